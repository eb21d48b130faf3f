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

/* Every row of sql is a finding, but for one that says ok. */
static int findings(
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

int db_audit(struct db *db, int (*fn)(void *arg, const char *finding), void *arg)
{
	static const char *const checks[] = {
		"SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check<>'ok'",
		"SELECT 'program ' || id || ' says that all up to it have ' || total || ' bytes, not '"
		" || sum FROM (SELECT id, total, sum(length(insns)) OVER (ORDER BY id) AS sum"
		" FROM program) WHERE total<>sum",
	};
	int r = 0;

	assert(db->sql);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
		r = findings(db, checks[i], fn, arg);
	return r;
}
