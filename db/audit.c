// SPDX-License-Identifier: BSD-2-Clause
/* The log for an auditor: all of it, fast, and what an answer could come from besides its lines. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/handle.h"

enum { KEY_MAX = 4096 }; /* of those that an index is fast with; our own are far shorter */

/* A bijection that spreads every bit; splitmix64's. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* One term of a sum over refs, which whoever wrote the file cannot aim at. */
static uint64_t ref_term(const struct db *db, uint64_t ref, uint64_t seq)
{
	return ref ? mix(mix(ref ^ db->ref_key[0]) + (seq ^ db->ref_key[1])) : 0;
}

/* One term of a sum over keys. */
static uint64_t key_term(
	const struct db *db, enum db_key key, uint64_t seq, const char *value, size_t len)
{
	uint64_t sum = mix(seq ^ db->ref_key[0]) + mix((uint64_t)len << 8 ^ key ^ db->ref_key[1]);

	for (uint64_t word = 0; len > 0;) {
		size_t taken = len < sizeof(word) ? len : sizeof(word);

		word = 0;
		memcpy(&word, value, taken);
		sum = mix(sum ^ word);
		value += taken;
		len -= taken;
	}
	return sum;
}

void db_scanned_key(const struct db *db, struct db_scanned *scanned, enum db_key key, uint64_t seq,
	const void *value, size_t len)
{
	scanned->keys += key_term(db, key, seq, value, len);
}

/* 1 if there is a record of this number, looked for from the top of the tree. */
static int record_has(struct db *db, uint64_t seq)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_RECORD_HAS];

	int r = db_bind_number(db, stmt, 1, seq);
	return r == 0 ? db_fetch(db, stmt, "looking for a record") : r;
}

/* How many pages SQLite has asked its cache for. */
static uint64_t pages_asked(struct db *db)
{
	int hits = 0, misses = 0, high = 0;

	sqlite3_db_status(db->sql, SQLITE_DBSTATUS_CACHE_HIT, &hits, &high, 0);
	sqlite3_db_status(db->sql, SQLITE_DBSTATUS_CACHE_MISS, &misses, &high, 0);
	return (uint64_t)hits + (uint64_t)misses;
}

/*
 * A scan goes from page to page, and so it meets records that are not found by their numbers, where
 * a key in the inner pages of the tree is wrong. When the first and the last record of a page are
 * found, those between are, as no key lies between them: so wherever SQLite asked for another page,
 * the record before and the one after are looked for. If one is not found, what was scanned begins
 * anew behind it, and then is not all of the log.
 */
static int scanned_add(struct db *db, struct db_scanned *scanned, uint64_t seq, uint64_t ref)
{
	int r = 1;

	if (!scanned->last || seq != scanned->last + 1)
		*scanned = (struct db_scanned){ .first = seq };
	if (scanned->pages != pages_asked(db)) {
		if (scanned->last)
			r = record_has(db, scanned->last);
		if (r == 1)
			r = record_has(db, seq);
		scanned->pages = pages_asked(db);
	}
	scanned->last = r == 1 ? seq : 0;
	scanned->refs += ref_term(db, ref, seq);
	return r < 0 ? r : 0;
}

/* Behind what db_last_seq() calls the last record there must be none. */
static int scanned_end(struct db *db, struct db_scanned *scanned, sqlite3_stmt *scan)
{
	int r = record_has(db, scanned->last);
	bool has = r == 1;

	if (r >= 0)
		r = db_fetch(db, scan, "reading records");
	scanned->is_whole = has && r == 0;
	return r < 0 ? r : 0;
}

int db_scan(struct db *db, uint64_t first, uint64_t last, struct db_scanned *scanned,
	int (*fn)(void *arg, uint64_t seq, uint64_t ref, const void *line, size_t len), void *arg)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_SCAN];
	uint64_t end = 0;

	assert(db->sql && first > 0);
	int r = db_last_seq(db, &end);
	if (r == 0)
		r = db_bind_number(db, stmt, 1, first);
	bool is_all = last >= end;
	if (is_all)
		last = end;
	if (scanned)
		scanned->is_whole = false;
	for (uint64_t seq = first; seq <= last && r == 0; seq++) {
		const void *line = NULL;
		size_t len = 0;
		r = db_fetch(db, stmt, "reading records");
		if (r == 0 || (r == 1 && (uint64_t)sqlite3_column_int64(stmt, 0) != seq))
			return db_refuse(db, -EUCLEAN, "record %" PRIu64 " is missing", seq);
		if (r == 1 && sqlite3_column_type(stmt, 1) != SQLITE_INTEGER)
			r = db_refuse(db, -EUCLEAN, "record %" PRIu64 " has no ref", seq);
		uint64_t ref = (uint64_t)sqlite3_column_int64(stmt, 1);
		if (r == 1)
			r = db_column_blob(db, stmt, 2, &line, &len);
		if (r == 0 && scanned)
			r = scanned_add(db, scanned, seq, ref);
		if (r == 0)
			r = fn(arg, seq, ref, line, len);
	}
	return r == 0 && scanned && is_all && first <= end ? scanned_end(db, scanned, stmt) : r;
}

int db_programs_each(struct db *db,
	int (*fn)(void *arg, const uint8_t *sha256, const void *insns, size_t len), void *arg)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PROGRAMS];
	int r;

	assert(db->sql);
	while ((r = db_fetch(db, stmt, "reading programs")) == 1) {
		const void *sha256 = NULL, *insns = NULL;
		size_t sha256_len = 0, len = 0;
		r = db_column_blob(db, stmt, 0, &sha256, &sha256_len);
		if (r == 0)
			r = db_column_blob(db, stmt, 1, &insns, &len);
		if (r == 0 && sha256_len != DB_SHA256_LEN)
			r = db_refuse(db, -EUCLEAN, "a program's sha256 has %zu bytes", sha256_len);
		if (r == 0)
			r = fn(arg, sha256, insns, len);
		if (r != 0)
			return r;
	}
	return r;
}

static void stmt_finalizep(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

/* Each row is a finding. */
static const char totals_check[] =
	"SELECT 'program ' || id || ' says that all up to it have ' || total || ' bytes, not ' || sum"
	" FROM (SELECT id, total, sum(length(insns)) OVER (ORDER BY id) AS sum FROM program)"
	" WHERE total<>sum";
static const char file_check[] =
	"SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check<>'ok'";
static const char tables_check[] =
	"SELECT integrity_check FROM (VALUES('program'), ('quote'), ('state')),"
	" pragma_integrity_check(column1) WHERE integrity_check<>'ok'";

/* SQLite's own check finds what an index lacks; what a partial one has too much, not in every version. */
#define STRAYS(column, condition)                                                                  \
	"SELECT 'record ' || i.seq || ' does not belong where index record_" column " has it'"     \
	" FROM (SELECT seq, " column " AS found FROM record INDEXED BY record_" column             \
	" WHERE " condition ") AS i LEFT JOIN record AS r NOT INDEXED ON r.seq=i.seq"              \
	" WHERE r." column " IS NOT i.found"
static const char *const strays_checks[] = {
	STRAYS("ref", "ref<>0"),
	STRAYS("time", "time IS NOT NULL"),
	STRAYS("kind", "kind<>'load'"),
	STRAYS("name", "name IS NOT NULL"),
	STRAYS("sha256", "sha256 IS NOT NULL"),
	STRAYS("refers", "refers IS NOT NULL"),
};

static int check(
	struct db *db, const char *sql, int (*fn)(void *arg, const char *finding), void *arg)
{
	[[gnu::cleanup(stmt_finalizep)]] sqlite3_stmt *stmt = NULL;
	int r;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK)
		return db_fail(db, "auditing the log");
	while ((r = db_fetch(db, stmt, "auditing the log")) == 1) {
		const char *finding = (const char *)sqlite3_column_text(stmt, 0);
		if (!finding)
			return db_fail(db, "auditing the log");
		r = fn(arg, finding);
		if (r != 0)
			return r;
	}
	return r;
}

static int check_all(struct db *db, int (*fn)(void *arg, const char *finding), void *arg)
{
	int r = check(db, file_check, fn, arg);
	for (size_t i = 0; i < sizeof(strays_checks) / sizeof(*strays_checks) && r == 0; i++)
		r = check(db, strays_checks[i], fn, arg);
	return r == 0 ? check(db, totals_check, fn, arg) : r;
}

/*
 * 1 if the index has the refs that were scanned, and in order, so that each is found; 0 if not. It
 * may have those of records appended since.
 */
static int check_refs(struct db *db, const struct db_scanned *scanned)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_REFS];
	uint64_t ref_before = 0, seq_before = 0, refs = 0, first = 0, end = 0;

	int r = db_fetch(
		db, stmt, "auditing the log"); /* begins the transaction, if there is one */
	int r_log = db_first_seq(db, &first);
	if (r_log == 0)
		r_log = db_last_seq(db, &end);
	if (r < 0 || r_log < 0)
		return r < 0 ? r : r_log;
	for (; r == 1; r = db_fetch(db, stmt, "auditing the log")) {
		uint64_t ref = (uint64_t)sqlite3_column_int64(stmt, 0);
		uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 1);
		bool is_next = ref > ref_before || (ref == ref_before && seq > seq_before);
		if (sqlite3_column_type(stmt, 0) != SQLITE_INTEGER || !is_next || seq > end)
			return 0;
		if (seq <= scanned->last)
			refs += ref_term(db, ref, seq);
		ref_before = ref;
		seq_before = seq;
	}
	return r < 0 ? r : first == scanned->first && refs == scanned->refs;
}

/* The sum over one of the indexes of keys, in the order of which nothing is out of place. */
static int keys_add(struct db *db, enum db_key key, uint64_t last, uint64_t end, uint64_t *keys)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_KEYS + key];
	char before[KEY_MAX];
	int len_before = 0, r;
	uint64_t seq_before = 0;

	while ((r = db_fetch(db, stmt, "auditing the log")) == 1) {
		const char *value = (const char *)sqlite3_column_text(stmt, 0);
		int len = sqlite3_column_bytes(stmt, 0);
		uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 1);

		if (!value || len > KEY_MAX || seq > end)
			return 0;
		int order = memcmp(before, value, (size_t)(len < len_before ? len : len_before));
		order = order ? order : len_before - len;
		if (order > 0 || (order == 0 && seq <= seq_before))
			return 0;
		if (seq <= last)
			*keys += key_term(db, key, seq, value, (size_t)len);
		memcpy(before, value, (size_t)len);
		len_before = len;
		seq_before = seq;
	}
	return r < 0 ? r : 1;
}

/* 1 if the indexes have the keys that were told of what was scanned; 0 if not. */
static int check_keys(struct db *db, const struct db_scanned *scanned)
{
	uint64_t keys = 0, end = 0;

	int r = db_last_seq(db, &end);
	if (r < 0)
		return r;
	r = 1;
	for (enum db_key key = 0; key < DB_KEY_COUNT && r == 1; key++)
		r = keys_add(db, key, scanned->last, end, &keys);
	return r == 1 ? keys == scanned->keys : r;
}

static int stop(void *, const char *)
{
	return 1;
}

/* Read all of a file: SQLITE_FCNTL_FILE_POINTER or SQLITE_FCNTL_JOURNAL_POINTER, which is PATH-wal. */
static int file_read(struct db *db, int which)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	char buf[32 << 10];

	if (sqlite3_file_control(db->sql, "main", which, &file) != SQLITE_OK)
		return db_fail(db, "auditing the log");
	int rc = file->pMethods ? file->pMethods->xFileSize(file, &size) : SQLITE_OK;
	for (sqlite3_int64 at = 0; at < size && rc == SQLITE_OK; at += (int)sizeof(buf)) {
		rc = file->pMethods->xRead(file, buf, sizeof(buf), at);
		if (rc == SQLITE_IOERR_SHORT_READ) /* its last bytes */
			rc = SQLITE_OK;
	}
	return rc == SQLITE_OK ? 0 : db_refuse(db, -EIO, "reading the log: %s", sqlite3_errstr(rc));
}

/* 1 if all that an answer can come from is as it should be, 0 if that is not certain. */
static int check_answers(struct db *db, const struct db_scanned *scanned)
{
	if (!scanned || !scanned->is_whole)
		return 0;
	int r = check(db, tables_check, stop, NULL);
	if (r == 0)
		r = check(db, totals_check, stop, NULL);
	if (r != 0)
		return r < 0 ? r : 0;
	r = check_refs(db, scanned);
	return r == 1 ? check_keys(db, scanned) : r;
}

/*
 * SQLite's check calls a page damaged that could not be read. So before anything is called damaged,
 * the files are read from end to end, and then it must still be so.
 */
int db_audit(struct db *db, const struct db_scanned *scanned,
	int (*fn)(void *arg, const char *finding), void *arg)
{
	assert(db->sql);
	int r = check_answers(db, scanned);
	if (r != 0 && r != -EUCLEAN)
		return r < 0 ? r : 0;
	r = check_all(db, stop, NULL);
	if (r <= 0)
		return r;
	r = file_read(db, SQLITE_FCNTL_FILE_POINTER);
	if (r == 0)
		r = file_read(db, SQLITE_FCNTL_JOURNAL_POINTER);
	return r == 0 ? check_all(db, fn, arg) : r;
}
