// SPDX-License-Identifier: BSD-2-Clause
/* Making and opening a log. */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/handle.h"

enum {
	APPLICATION_ID = 0x6270666d, /* "bpfm" */
	FORMAT_VERSION = 1,
	LENGTH_MAX = DB_VALUE_MAX + 4096, /* of a row: one value of the largest size and the rest */
	SQL_MAX = 1 << 20,
	/*
	 * Until then SQLite did not know of its JSON functions that they are innocuous, and a schema
	 * that has them is one to trust or not to open. It runs nothing of a schema by reading it;
	 * nothing is asked of the tables before schema_check(), and views and triggers are off.
	 */
	JSON_INNOCUOUS = 3041000,
};

/*
 * What a file is made with. Pages of 8 KiB hold a line of 1.2 KB with 11 % of slack, where those of
 * 4 KiB have 28 %, and are read half as fast again; a commit of one record writes 29 KB rather than
 * 18. With larger ones still, what commits write grows faster than what reading gains. auto_vacuum
 * lets db_trim() shorten the file, at 1 % to 10 % of what commits write.
 */
static const char file_pragmas[] = "PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL";

/*
 * The schema of format version 1, to the letter: SQLite keeps these texts and a reader compares
 * them. ref stands before line so that it is read without walking the line's overflow pages. total
 * is the size of all programs up to this one, so that the sum over a full store is one look.
 *
 * time, kind, name, sha256 and refers are not stored: they are computed from the line, of which they
 * are values by their paths, for the indexes and for whoever asks. A line that is no JSON has none of
 * them, and the kind ''. Most records are loads; kind is not for finding those.
 */
#define VALUE(path)                                                                                \
	"CASE WHEN json_valid(CAST(line AS TEXT)) THEN CAST(line AS TEXT) ->> '" path "' END"
#define LINE_TIME        VALUE("$.time")
#define LINE_KIND        VALUE("$.kind")
#define LINE_NAME        VALUE("$.program.name")
#define LINE_SHA256      VALUE("$.program.sha256")
#define LINE_PROGRAM_SEQ VALUE("$.program.seq")
#define LINE_PARENT_SEQ  VALUE("$.parent.seq")

static const char *const schema[] = {
	"CREATE TABLE record(seq INTEGER PRIMARY KEY, ref INTEGER NOT NULL, line BLOB NOT NULL,"
	" time TEXT AS (" LINE_TIME "), kind TEXT AS (coalesce(" LINE_KIND ", '')),"
	" name TEXT AS (" LINE_NAME "), sha256 TEXT AS (" LINE_SHA256 "),"
	" refers TEXT AS (coalesce(" LINE_PROGRAM_SEQ ", " LINE_PARENT_SEQ ")))",
	"CREATE TABLE program(id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, total INTEGER NOT NULL, insns BLOB NOT NULL)",
	"CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
	"CREATE TABLE quote(seq INTEGER PRIMARY KEY, line BLOB NOT NULL)",
	"CREATE INDEX record_ref ON record(ref) WHERE ref<>0",
	"CREATE INDEX record_time ON record(time)",
	"CREATE INDEX record_kind ON record(kind) WHERE kind<>'load'",
	"CREATE INDEX record_name ON record(name) WHERE name IS NOT NULL",
	"CREATE INDEX record_sha256 ON record(sha256) WHERE sha256 IS NOT NULL",
	"CREATE INDEX record_refers ON record(refers) WHERE refers IS NOT NULL",
};
enum { SCHEMA_COUNT = sizeof(schema) / sizeof(schema[0]) };

static const char *const stmt_text[DB_STMT_COUNT] = {
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_LAST_SEQ] = "SELECT max(seq) FROM record",
	[DB_LINE_PUT] = "INSERT INTO record(seq, ref, line) VALUES(?1, ?2, ?3)",
	[DB_LINE_GET] = "SELECT line FROM record WHERE seq=?1",
	[DB_LINES_FROM] = "SELECT seq, line FROM record WHERE seq>=?1 ORDER BY seq",
	[DB_REF_LAST] = "SELECT max(seq) FROM record WHERE ref=?1 AND ref<>0 AND seq>=?2",
	[DB_PROGRAM_PUT] = "INSERT INTO program(sha256, total, insns) VALUES(?1, ?2, ?3)",
	[DB_PROGRAM_GET] = "SELECT insns FROM program WHERE sha256=?1",
	[DB_PROGRAM_HAS] = "SELECT 1 FROM program WHERE sha256=?1",
	[DB_PROGRAM_BYTES] = "SELECT total FROM program ORDER BY id DESC LIMIT 1",
	[DB_STATE_PUT] = "INSERT OR REPLACE INTO state(key, value) VALUES(?1, ?2)",
	[DB_STATE_GET] = "SELECT value FROM state WHERE key=?1",
	[DB_FIRST_SEQ] = "SELECT min(seq) FROM record",
	[DB_RECORDS_TRIM] = "DELETE FROM record WHERE seq<=?1",
	[DB_QUOTE_PUT] = "INSERT OR REPLACE INTO quote(seq, line) VALUES(?1, ?2)",
	[DB_QUOTE_LAST] = "SELECT seq, line FROM quote WHERE seq<=?1 ORDER BY seq DESC LIMIT 1",
	[DB_QUOTES_FROM] = "SELECT seq, line FROM quote WHERE seq>=?1 ORDER BY seq LIMIT 1",
	[DB_QUOTES_TRIM] = "DELETE FROM quote WHERE seq IN"
			   " (SELECT seq FROM quote WHERE seq<?1 ORDER BY seq LIMIT ?2)",
	[DB_PAGES] =
		"SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count",
	[DB_USED_BYTES] = "SELECT (page_count - freelist_count) * page_size"
			  " FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
	[DB_SCAN] = "SELECT seq, ref, line FROM record WHERE seq>=?1 ORDER BY seq",
	[DB_RECORD_HAS] = "SELECT seq FROM record WHERE seq=?1",
	[DB_REFS] = "SELECT ref, seq FROM record INDEXED BY record_ref WHERE ref<>0",
	[DB_FIND + DB_TIME] = "SELECT seq FROM record INDEXED BY record_time"
			      " WHERE time BETWEEN ?1 AND ?2 LIMIT ?3",
	[DB_FIND + DB_KIND] = "SELECT seq FROM record INDEXED BY record_kind"
			      " WHERE kind<>'load' AND kind BETWEEN ?1 AND ?2 LIMIT ?3",
	[DB_FIND + DB_NAME] = "SELECT seq FROM record INDEXED BY record_name"
			      " WHERE name BETWEEN ?1 AND ?2 LIMIT ?3",
	[DB_FIND + DB_SHA256] = "SELECT seq FROM record INDEXED BY record_sha256"
				" WHERE sha256 BETWEEN ?1 AND ?2 LIMIT ?3",
	[DB_FIND + DB_REFERS] = "SELECT seq FROM record INDEXED BY record_refers"
				" WHERE refers BETWEEN ?1 AND ?2 LIMIT ?3",
	[DB_KEYS + DB_TIME] =
		"SELECT time, seq FROM record INDEXED BY record_time WHERE time IS NOT NULL ORDER BY time",
	[DB_KEYS + DB_KIND] = "SELECT kind, seq FROM record INDEXED BY record_kind"
			      " WHERE kind<>'load' ORDER BY kind",
	[DB_KEYS + DB_NAME] = "SELECT name, seq FROM record INDEXED BY record_name"
			      " WHERE name IS NOT NULL ORDER BY name",
	[DB_KEYS + DB_SHA256] = "SELECT sha256, seq FROM record INDEXED BY record_sha256"
				" WHERE sha256 IS NOT NULL ORDER BY sha256",
	[DB_KEYS + DB_REFERS] = "SELECT refers, seq FROM record INDEXED BY record_refers"
				" WHERE refers IS NOT NULL ORDER BY refers",
	[DB_PROGRAMS] = "SELECT sha256, insns FROM program ORDER BY id",
};

static void stmt_finalizep(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

static int exec(struct db *db, const char *sql)
{
	int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_fail(db, "opening the log");
}

/* The first column of the first row of sql. */
static int ask(struct db *db, const char *sql, int *ret_answer)
{
	[[gnu::cleanup(stmt_finalizep)]] sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK ||
		sqlite3_step(stmt) != SQLITE_ROW)
		return db_fail(db, "opening the log");
	*ret_answer = sqlite3_column_int(stmt, 0);
	return 0;
}

/* SQLite takes some names for something other than a file's; those are not a log's. */
int db_path_check(struct db *db, const char *path)
{
	if (path[0] == '\0' || path[0] == ':' || strncmp(path, "file:", 5) == 0)
		return db_refuse(db, -EINVAL, "\"%s\" is not the path of a log", path);
	if (strlen(path) + sizeof("-lock") > PATH_MAX)
		return db_refuse(db, -EINVAL, "the path of the log is too long");
	return 0;
}

int db_lock_take(struct db *db, const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s-lock", path);
	db->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock_fd < 0)
		return db_refuse(db, -errno, "%s: %s", name, strerror(errno));
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return db_refuse(db, -EBUSY, "%s: another process writes this log", path);
	return db_refuse(db, -errno, "%s: %s", name, strerror(errno));
}

/*
 * A PATH-wal without its PATH holds records, of a log that somebody removed or that was set aside by
 * half; SQLite would throw it away with the first look at an empty PATH.
 */
static int orphan_refuse(struct db *db, const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size > 0)
		return 0;
	snprintf(name, sizeof(name), "%s-wal", path);
	if (stat(name, &st) < 0 || st.st_size == 0)
		return 0;
	return db_refuse(db, -EUCLEAN, "%s is there without %s", name, path);
}

/*
 * Make PATH with our mode rather than SQLite's 0644. Only ever a file that was not there: closing a
 * descriptor of one that is would drop the POSIX locks that this process has on it through SQLite.
 */
static int file_make(struct db *db, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno == EEXIST ? 0 : db_refuse(db, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

/* What holds for every connection, before it looks at the file. */
static int harden(struct db *db)
{
	const struct {
		int option, value;
	} options[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, sqlite3_libversion_number() < JSON_INNOCUOUS},
		{SQLITE_DBCONFIG_DQS_DML, 0},
		{SQLITE_DBCONFIG_DQS_DDL, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_ENABLE_VIEW, 0}, /* those of the file; TEMP views work */
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
	}, limits[] = {
		{SQLITE_LIMIT_LENGTH, LENGTH_MAX},
		{SQLITE_LIMIT_SQL_LENGTH, SQL_MAX},
		{SQLITE_LIMIT_COLUMN, DB_COLUMNS_MAX},
		{SQLITE_LIMIT_EXPR_DEPTH, 200},
		{SQLITE_LIMIT_COMPOUND_SELECT, 50},
		{SQLITE_LIMIT_VDBE_OP, 1000000},
		{SQLITE_LIMIT_ATTACHED, 0},
		{SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
		{SQLITE_LIMIT_VARIABLE_NUMBER, 16},
		{SQLITE_LIMIT_TRIGGER_DEPTH, 1},
		{SQLITE_LIMIT_WORKER_THREADS, 0},
	};
	int persist_wal = 1;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (sqlite3_db_config(db->sql, options[i].option, options[i].value, NULL) !=
			SQLITE_OK)
			return db_fail(db, "opening the log");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		sqlite3_limit(db->sql, limits[i].option, limits[i].value);
	if (sqlite3_busy_timeout(db->sql, DB_BUSY_MS) != SQLITE_OK ||
		sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_PERSIST_WAL, &persist_wal) !=
			SQLITE_OK)
		return db_fail(db, "opening the log");
	return exec(db,
		"PRAGMA mmap_size=0; PRAGMA cache_size=-1024; PRAGMA cell_size_check=ON;"
		" PRAGMA secure_delete=FAST");
}

static int schema_make(struct db *db)
{
	char ids[96];

	snprintf(ids, sizeof(ids), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		APPLICATION_ID, FORMAT_VERSION);
	int r = exec(db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < SCHEMA_COUNT && r == 0; i++)
		r = exec(db, schema[i]);
	if (r == 0)
		r = exec(db, ids);
	return r == 0 ? exec(db, "COMMIT") : r;
}

/* Tables first: VACUUM puts them before the indexes, in whatever order they were made. */
static int schema_check(struct db *db)
{
	[[gnu::cleanup(stmt_finalizep)]] sqlite3_stmt *stmt = NULL;
	size_t found = 0;
	int rc = sqlite3_prepare_v2(db->sql,
		"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type<>'table', rowid",
		-1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return db_fail(db, "opening the log");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);
		if (!text)
			return db_fail(db, "opening the log");
		if (found == SCHEMA_COUNT || strcmp(text, schema[found]) != 0)
			return db_refuse(db, -EUCLEAN, "not the schema of a log: %.100s", text);
		found++;
	}
	if (rc != SQLITE_DONE)
		return db_fail(db, "opening the log");
	if (found != SCHEMA_COUNT)
		return db_refuse(db, -EUCLEAN, "parts of a log's schema are missing");
	return 0;
}

static int ids_check(struct db *db, bool *ret_blank)
{
	int application_id = 0, version = 0, objects = 0;

	int r = ask(db, "PRAGMA application_id", &application_id);
	if (r == 0)
		r = ask(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = ask(db, "SELECT count(*) FROM sqlite_schema", &objects);
	if (r < 0)
		return r;
	*ret_blank = application_id == 0 && version == 0 && objects == 0;
	if (*ret_blank)
		return 0;
	if (application_id != APPLICATION_ID)
		return db_refuse(db, -EMEDIUMTYPE, "a database, but not a log (application id %#x)",
			(unsigned)application_id);
	if (version != FORMAT_VERSION)
		return db_refuse(db, -EMEDIUMTYPE, "a log of format version %d, not %d", version,
			FORMAT_VERSION);
	return 0;
}

/* WAL is a property of the file, once set; where it cannot be, SQLite answers with the mode it
 * kept. */
static int wal_set(struct db *db)
{
	[[gnu::cleanup(stmt_finalizep)]] sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode=WAL", -1, &stmt, NULL) != SQLITE_OK ||
		sqlite3_step(stmt) != SQLITE_ROW)
		return db_fail(db, "opening the log");
	const char *mode = (const char *)sqlite3_column_text(stmt, 0);
	if (!mode || strcmp(mode, "wal") != 0)
		return db_refuse(db, -EIO, "this file system cannot hold a log in WAL mode");
	if (sqlite3_step(stmt) != SQLITE_DONE) /* it is only said so far, and not yet written */
		return db_fail(db, "opening the log");
	return exec(db,
		"PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=500;"
		" PRAGMA journal_size_limit=16777216");
}

static int prepare_all(struct db *db)
{
	for (size_t i = 0; i < DB_STMT_COUNT; i++)
		if (sqlite3_prepare_v3(db->sql, stmt_text[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &db->stmts[i], NULL) != SQLITE_OK)
			return db_fail(db, "opening the log");
	return 0;
}

static int connect(struct db *db, const char *path, int flags)
{
	sqlite3_randomness(sizeof(db->ref_key), db->ref_key);
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (sqlite3_open_v2(path, &db->sql, flags, NULL) == SQLITE_OK)
		return harden(db);
	return db->sql ? db_fail(db, path) : db_refuse(db, -ENOMEM, "out of memory");
}

static int writer_open(struct db *db, const char *path)
{
	bool blank = false;

	int r = db_path_check(db, path);
	if (r == 0)
		r = db_lock_take(db, path);
	if (r == 0)
		r = orphan_refuse(db, path);
	if (r == 0)
		r = file_make(db, path);
	if (r == 0)
		r = connect(db, path, SQLITE_OPEN_READWRITE);
	if (r == 0)
		r = ids_check(db, &blank);
	if (r == 0 && blank)
		r = exec(db, file_pragmas);
	if (r == 0)
		r = wal_set(db);
	if (r == 0 && blank)
		r = schema_make(db);
	if (r == 0)
		r = schema_check(db);
	if (r == 0)
		r = prepare_all(db);
	return r == 0 ? db_file_remember(db) : r;
}

static int reader_open(struct db *db, const char *path)
{
	bool blank = false;

	int r = db_path_check(db, path);
	if (r == 0)
		r = connect(db, path, SQLITE_OPEN_READONLY);
	if (r == 0)
		r = ids_check(db, &blank);
	if (r == 0 && blank)
		r = db_refuse(db, -EMEDIUMTYPE, "a log that nobody has begun to write");
	if (r == 0)
		r = schema_check(db);
	if (r == 0)
		r = prepare_all(db);
	return r == 0 ? db_file_remember(db) : r;
}

int db_create(struct db *db, const char *path)
{
	assert(!db->sql);
	int r = writer_open(db, path);
	if (r < 0)
		db_shut(db);
	else
		db->writer = true;
	return r;
}

static int last_code(const struct db *db)
{
	return db->sql ? sqlite3_extended_errcode(db->sql) : SQLITE_OK;
}

/* A reader that may not make the files beside PATH fails without them; SQLite does not say so. */
static int reader_diagnose(struct db *db, const char *path, int err)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	int rc = last_code(db);

	if ((rc & 0xff) != SQLITE_CANTOPEN && rc != SQLITE_READONLY_DIRECTORY)
		return err;
	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		char name[PATH_MAX];
		snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
		if (faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0)
			continue;
		if (errno == ENOENT && i > 0)
			return db_refuse(db, -ENODATA,
				"%s is not there, nor may it be made here: copy it along with the log, or "
				"read a copy that sqlite3's .backup made, in a folder of your own",
				name);
		return db_refuse(db, -errno, "%s: %s", name, strerror(errno));
	}
	return err;
}

int db_open(struct db *db, const char *path)
{
	assert(!db->sql);
	int r = reader_open(db, path);
	for (int ms = 0; r < 0 && db_is_unsettled(last_code(db)) && ms < DB_BUSY_MS;
		ms += DB_UNSETTLED_MS) {
		db_shut(db);
		sqlite3_sleep(DB_UNSETTLED_MS);
		r = reader_open(db, path);
	}
	if (r < 0) {
		r = reader_diagnose(db, path, r);
		db_shut(db);
	}
	return r;
}
