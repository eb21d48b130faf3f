/* SPDX-License-Identifier: BSD-2-Clause */
/* The file, and the machines in it. */
#include "attest/memory_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	APPLICATION_ID = 0x62706676, /* "bpfv" */
	VERSION_OF_FILE = 1,
	LENGTH_MAX = 1 << 20, /* of a row */
	RETRY_MS = 20,
};

/* To the letter: SQLite keeps these texts, and what is found is compared with them. */
static const char *const schema[] = {
	"CREATE TABLE machine(name TEXT PRIMARY KEY, address TEXT NOT NULL, mode TEXT NOT NULL,"
	" tpm TEXT NOT NULL, ak BLOB NOT NULL, ek BLOB NOT NULL, pcr INTEGER NOT NULL,"
	" base_banks INTEGER NOT NULL, base BLOB NOT NULL, enrolled_ns INTEGER NOT NULL,"
	" round INTEGER NOT NULL DEFAULT 0) STRICT",
	"CREATE TABLE proven(machine TEXT PRIMARY KEY REFERENCES machine ON DELETE CASCADE,"
	" seq INTEGER NOT NULL, sha256 BLOB NOT NULL, banks INTEGER NOT NULL,"
	" pcr_values BLOB NOT NULL, log_id BLOB NOT NULL, software INTEGER NOT NULL,"
	" reset_count INTEGER NOT NULL, restart_count INTEGER NOT NULL, clock_ms INTEGER NOT NULL,"
	" epoch_seq INTEGER NOT NULL, policy BLOB NOT NULL, is_partial INTEGER NOT NULL) STRICT",
	"CREATE TABLE nonce(nonce BLOB PRIMARY KEY, machine TEXT NOT NULL REFERENCES machine"
	" ON DELETE CASCADE, sent_ns INTEGER NOT NULL) STRICT",
	"CREATE TABLE violation(id INTEGER PRIMARY KEY, machine TEXT NOT NULL REFERENCES machine"
	" ON DELETE CASCADE, epoch_seq INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" source TEXT NOT NULL, rule TEXT NOT NULL, value TEXT NOT NULL, why TEXT NOT NULL,"
	" found_ns INTEGER NOT NULL, acked_ns INTEGER NOT NULL, acked_by TEXT NOT NULL,"
	" comment TEXT NOT NULL) STRICT",
	"CREATE TABLE verdict(id INTEGER PRIMARY KEY, machine TEXT NOT NULL REFERENCES machine"
	" ON DELETE CASCADE, time_ns INTEGER NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,"
	" explanation TEXT NOT NULL, seq INTEGER NOT NULL, mode TEXT NOT NULL, tpm TEXT NOT NULL)"
	" STRICT",
	/* Records that policies need in later rounds, as they were measured. */
	"CREATE TABLE line(machine TEXT NOT NULL REFERENCES machine ON DELETE CASCADE,"
	" seq INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY(machine, seq)) STRICT, WITHOUT ROWID",
	"CREATE INDEX nonce_machine ON nonce(machine)",
	"CREATE UNIQUE INDEX violation_once ON violation(machine, rule, seq, value)"
	" WHERE source='policy'",
	"CREATE INDEX violation_open ON violation(machine) WHERE acked_ns=0",
	"CREATE INDEX verdict_machine ON verdict(machine, id)",
};
enum { SCHEMA_COUNT = sizeof(schema) / sizeof(schema[0]) };

/* ---- errors ---- */

int memory_refuse(struct memory *memory, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(memory->errmsg, sizeof(memory->errmsg), fmt, args);
	va_end(args);
	return err;
}

static int code(int rc, int sys)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return -EUCLEAN;
	case SQLITE_CANTOPEN:
		return sys ? -sys : -EIO;
	}
	if (rc == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	return sys == ENOSPC || sys == EDQUOT || sys == EFBIG ? -ENOSPC : -EIO;
}

/* Keep SQLite's last error as the text, and return it as one of ours. */
static int fail(struct memory *memory)
{
	int rc = sqlite3_extended_errcode(memory->sql);
	int sys = sqlite3_system_errno(memory->sql);
	bool is_of_system = (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR;

	return memory_refuse(memory, code(rc, sys), "%s%s%s", sqlite3_errmsg(memory->sql),
		is_of_system && sys ? ": " : "", is_of_system && sys ? strerror(sys) : "");
}

int memory_damaged(struct memory *memory, const char *what)
{
	if ((sqlite3_errcode(memory->sql) & 0xff) == SQLITE_NOMEM)
		return memory_refuse(memory, -ENOMEM, "not enough memory");
	return memory_refuse(memory, -EUCLEAN, "%s is damaged", what);
}

const char *memory_errmsg(const struct memory *memory)
{
	return memory ? memory->errmsg : "not enough memory";
}

/* ---- statements ---- */

void memory_stmt_freep(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

static sqlite3_int64 stored(uint64_t number)
{
	return number > INT64_MAX ? INT64_MAX : (sqlite3_int64)number;
}

static int bind(sqlite3_stmt *stmt, const char *types, va_list args)
{
	for (int i = 1, rc; *types; types++, i++) {
		if (*types == 'n') {
			rc = sqlite3_bind_int64(stmt, i, stored(va_arg(args, uint64_t)));
		} else if (*types == 't') {
			rc = sqlite3_bind_text(
				stmt, i, va_arg(args, const char *), -1, SQLITE_STATIC);
		} else {
			const void *bytes = va_arg(args, const void *);
			size_t len = va_arg(args, size_t);
			rc = len ? sqlite3_bind_blob64(stmt, i, bytes, len, SQLITE_STATIC)
				 : sqlite3_bind_zeroblob(stmt, i, 0);
		}
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

int memory_next(struct memory *memory, sqlite3_stmt *stmt)
{
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	}
	return fail(memory);
}

static int ask_with(struct memory *memory, sqlite3_stmt **ret_stmt, const char *sql,
	const char *types, va_list args)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(memory->sql, sql, -1, &stmt, NULL) != SQLITE_OK ||
		bind(stmt, types, args) != SQLITE_OK)
		return fail(memory);
	int r = memory_next(memory, stmt);
	if (r < 0)
		return r;
	*ret_stmt = stmt;
	stmt = NULL;
	return r;
}

int memory_ask(
	struct memory *memory, sqlite3_stmt **ret_stmt, const char *sql, const char *types, ...)
{
	va_list args;

	va_start(args, types);
	int r = ask_with(memory, ret_stmt, sql, types, args);
	va_end(args);
	return r;
}

int memory_do(struct memory *memory, const char *sql, const char *types, ...)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	va_list args;

	va_start(args, types);
	int r = ask_with(memory, &stmt, sql, types, args);
	va_end(args);
	return r < 0 ? r : 0;
}

int memory_transact(struct memory *memory, int (*fn)(struct memory *memory, void *arg), void *arg)
{
	int r = memory_do(memory, "BEGIN IMMEDIATE", "");

	if (r)
		return r;
	r = fn(memory, arg);
	int err = r < 0 ? r : memory_do(memory, "COMMIT", "");
	if (err && !sqlite3_get_autocommit(memory->sql))
		(void)sqlite3_exec(memory->sql, "ROLLBACK", NULL, NULL, NULL);
	return err ? err : r;
}

/* ---- columns ---- */

uint64_t memory_number(sqlite3_stmt *stmt, int column)
{
	sqlite3_int64 number = sqlite3_column_int64(stmt, column);

	return number < 0 ? 0 : (uint64_t)number;
}

bool memory_is_number(sqlite3_stmt *stmt, int column, uint64_t max)
{
	sqlite3_int64 number = sqlite3_column_int64(stmt, column);

	return sqlite3_column_type(stmt, column) == SQLITE_INTEGER && number >= 0 &&
		(uint64_t)number <= max;
}

bool memory_text(sqlite3_stmt *stmt, int column, char *ret_text, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);
	size_t len = (size_t)sqlite3_column_bytes(stmt, column);

	if (!text || len >= size || strlen((const char *)text) != len)
		return false;
	memcpy(ret_text, text, len + 1);
	return true;
}

bool memory_bytes(sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t size, size_t *ret_len)
{
	const void *bytes = sqlite3_column_blob(stmt, column);
	size_t len = (size_t)sqlite3_column_bytes(stmt, column);

	if (len > size || (len && !bytes))
		return false;
	if (len)
		memcpy(ret_bytes, bytes, len);
	*ret_len = len;
	return true;
}

bool memory_exactly(sqlite3_stmt *stmt, int column, void *ret_bytes, size_t len)
{
	size_t found;

	return sqlite3_column_bytes(stmt, column) == (int)len &&
		memory_bytes(stmt, column, ret_bytes, len, &found) && found == len;
}

/* ---- the file ---- */

/* Made with our mode rather than SQLite's 0644. */
static int file_make(struct memory *memory, const char *path)
{
	if (path[0] == '\0' || path[0] == ':' || strncmp(path, "file:", 5) == 0)
		return memory_refuse(memory, -EINVAL, "\"%s\" is not the path of a file", path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : memory_refuse(memory, -errno, "%s", strerror(errno));
	close(fd);
	return 0;
}

static int connect(struct memory *memory, const char *path)
{
	static const int options[][2] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
	};
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	if (sqlite3_open_v2(path, &memory->sql, flags, NULL) != SQLITE_OK)
		return memory->sql ? fail(memory)
				   : memory_refuse(memory, -ENOMEM, "not enough memory");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (sqlite3_db_config(memory->sql, options[i][0], options[i][1], NULL) != SQLITE_OK)
			return fail(memory);
	sqlite3_limit(memory->sql, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	sqlite3_limit(memory->sql, SQLITE_LIMIT_ATTACHED, 0);
	if (sqlite3_busy_timeout(memory->sql, MEMORY_BUSY_MS) != SQLITE_OK)
		return fail(memory);
	return 0;
}

/* The same text as was made, object by object; tables first, as VACUUM makes them anew. */
static int check_schema(struct memory *memory)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	size_t found = 0;
	int r = memory_ask(memory, &stmt,
		"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type<>'table', rowid",
		"");

	for (; r > 0; r = memory_next(memory, stmt), found++) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);
		if (found == SCHEMA_COUNT || !text || strcmp(text, schema[found]) != 0)
			return memory_refuse(memory, -EUCLEAN,
				"damaged, or changed by another program: %.100s", text ? text : "");
	}
	if (r == 0 && found != SCHEMA_COUNT)
		return memory_refuse(memory, -EUCLEAN, "parts of it are missing");
	return r;
}

/* Whose file it is; blank: nobody's yet. */
static int check_ids(struct memory *memory, bool *ret_blank)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	/* In one statement: another process may be making it. */
	int r = memory_ask(memory, &stmt,
		"SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
		" FROM pragma_application_id, pragma_user_version",
		"");

	if (r < 0)
		return r;
	uint64_t id = memory_number(stmt, 0), version = memory_number(stmt, 1);
	uint64_t objects = memory_number(stmt, 2);
	*ret_blank = id == 0 && version == 0 && objects == 0;
	if (*ret_blank)
		return 0;
	if (id != APPLICATION_ID)
		return memory_refuse(memory, -EMEDIUMTYPE,
			"a database, but not a verifier's memory (application id %#llx)",
			(unsigned long long)id);
	if (version != VERSION_OF_FILE)
		return memory_refuse(memory, -EMEDIUMTYPE,
			"a verifier's memory of version %llu, not %d", (unsigned long long)version,
			VERSION_OF_FILE);
	return 0;
}

/* In a transaction, so that of two processes that make it one does. */
static int make_schema(struct memory *memory, void *arg)
{
	char ids[96];
	bool blank = false;
	int r = check_ids(memory, &blank);

	(void)arg;
	if (r || !blank)
		return r ? r : check_schema(memory);
	snprintf(ids, sizeof(ids), "PRAGMA application_id=%d", APPLICATION_ID);
	r = memory_do(memory, ids, "");
	snprintf(ids, sizeof(ids), "PRAGMA user_version=%d", VERSION_OF_FILE);
	if (!r)
		r = memory_do(memory, ids, "");
	for (size_t i = 0; i < SCHEMA_COUNT && !r; i++)
		r = memory_do(memory, schema[i], "");
	return r;
}

/*
 * WAL is a property of the file once it is set. SQLite does not wait for another process here, which
 * is only ever in the way while that one makes the file.
 */
static int set_wal(struct memory *memory)
{
	int r = -EBUSY;

	for (int ms = 0; r == -EBUSY && ms < MEMORY_BUSY_MS; ms += RETRY_MS) {
		[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
		char mode[16];

		r = memory_ask(memory, &stmt, "PRAGMA journal_mode=WAL", "");
		if (r == 1 && (!memory_text(stmt, 0, mode, sizeof(mode)) || strcmp(mode, "wal")))
			return memory_refuse(
				memory, -EIO, "this file system cannot hold it in WAL mode");
		if (r == 1)
			r = memory_next(memory, stmt);
		if (r == -EBUSY)
			sqlite3_sleep(RETRY_MS);
	}
	return r ? r : memory_do(memory, "PRAGMA synchronous=FULL", "");
}

static int set_up(struct memory *memory, const char *path)
{
	bool blank;
	int r = file_make(memory, path);

	if (!r)
		r = connect(memory, path);
	if (!r)
		r = check_ids(memory, &blank); /* before anything in it is changed */
	if (!r)
		r = memory_do(memory, "PRAGMA cell_size_check=ON", "");
	if (!r)
		r = set_wal(memory);
	if (!r)
		r = memory_transact(memory, make_schema, NULL);
	return r;
}

int memory_open(const char *path, struct memory **ret_memory)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	*ret_memory = memory;
	if (!memory)
		return -ENOMEM;
	int r = set_up(memory, path);
	if (r) {
		sqlite3_close(memory->sql);
		memory->sql = NULL;
	}
	return r;
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	sqlite3_close(memory->sql);
	free(memory);
}

void memory_freep(struct memory **memory)
{
	memory_free(*memory);
}
