// SPDX-License-Identifier: BSD-2-Clause
/* The log for an auditor: all of it, fast, and what an answer could come from besides its lines. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

#include "db/handle.h"

int db_scan(struct db *db, uint64_t first, uint64_t last,
	int (*fn)(void *arg, uint64_t seq, uint64_t ref, const void *line, size_t len), void *arg)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_SCAN];
	uint64_t end = 0;

	assert(db->sql && first > 0);
	int r = db_last_seq(db, &end);
	if (r == 0)
		r = db_bind_number(db, stmt, 1, first);
	if (last < end)
		end = last;
	for (uint64_t seq = first; seq <= end && r == 0; seq++) {
		const void *line = NULL;
		size_t len = 0;
		r = db_fetch(db, stmt, "reading records");
		if (r == 0 || (r == 1 && (uint64_t)sqlite3_column_int64(stmt, 0) != seq))
			return db_refuse(db, -EUCLEAN, "record %" PRIu64 " is missing", seq);
		if (r == 1 && sqlite3_column_type(stmt, 1) != SQLITE_INTEGER)
			r = db_refuse(db, -EUCLEAN, "record %" PRIu64 " has no ref", seq);
		if (r == 1)
			r = db_column_blob(db, stmt, 2, &line, &len);
		if (r == 0)
			r = fn(arg, seq, (uint64_t)sqlite3_column_int64(stmt, 1), line, len);
	}
	return r;
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

static const char *const checks[] = {
	"SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check<>'ok'",
	"SELECT 'program ' || id || ' says that all up to it have ' || total || ' bytes, not ' || sum"
	" FROM (SELECT id, total, sum(length(insns)) OVER (ORDER BY id) AS sum FROM program)"
	" WHERE total<>sum",
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
	int r = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
		r = check(db, checks[i], fn, arg);
	return r;
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

/*
 * SQLite's check calls a page damaged that could not be read. So before anything is called damaged,
 * the files are read from end to end, and then it must still be so.
 */
int db_audit(struct db *db, int (*fn)(void *arg, const char *finding), void *arg)
{
	assert(db->sql);
	int r = check_all(db, stop, NULL);
	if (r <= 0)
		return r;
	r = file_read(db, SQLITE_FCNTL_FILE_POINTER);
	if (r == 0)
		r = file_read(db, SQLITE_FCNTL_JOURNAL_POINTER);
	return r == 0 ? check_all(db, fn, arg) : r;
}
