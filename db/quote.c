// SPDX-License-Identifier: BSD-2-Clause
/* Kept quotes, and trimming, which they make possible. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>

#include "db/handle.h"

struct quote {
	uint64_t seq;
	const void *line;
	size_t len;
};

static int quote_put(struct db *db, const void *arg)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_QUOTE_PUT];
	const struct quote *quote = arg;

	int r = db_bind_number(db, stmt, 1, quote->seq);
	if (r == 0)
		r = db_bind_blob(db, stmt, 2, quote->line, quote->len);
	return r == 0 ? db_run(db, DB_QUOTE_PUT, "storing a quote") : r;
}

int db_quote_put(struct db *db, uint64_t seq, const void *line, size_t len)
{
	const struct quote quote = { seq, line, len };

	assert(len > 0);
	if (seq > INT64_MAX)
		return db_refuse(db, -EINVAL, "a quote of record %" PRIu64, seq);
	return db_transact(db, quote_put, &quote);
}

static int quote_fetch(struct db *db, enum db_stmt which, uint64_t seq, char **ret_line,
	size_t *ret_len, uint64_t *ret_seq)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[which];
	uint64_t found = 0;

	int r = db_bind_number(db, stmt, 1, seq);
	if (r == 0)
		r = db_fetch(db, stmt, "reading a quote");
	if (r == 0)
		return db_refuse(db, -ENOENT, "there is no such quote");
	if (r > 0)
		r = db_column_seq(db, stmt, 0, &found);
	/* In a damaged tree a search may end anywhere. */
	if (r == 0 && (which == DB_QUOTE_LAST ? found > seq : found < seq))
		r = db_refuse(db, -EUCLEAN, "the kept quotes are not in order");
	if (r == 0)
		r = db_column_copy(db, stmt, 1, ret_line, ret_len);
	if (r == 0)
		*ret_seq = found;
	return r;
}

int db_quote_last(
	struct db *db, uint64_t at_most_seq, char **ret_line, size_t *ret_len, uint64_t *ret_seq)
{
	assert(db->sql);
	return quote_fetch(db, DB_QUOTE_LAST, at_most_seq, ret_line, ret_len, ret_seq);
}

int db_quotes_each(struct db *db, uint64_t first, uint64_t last,
	int (*fn)(void *arg, uint64_t seq, const void *line, size_t len), void *arg)
{
	assert(db->sql);
	if (last > INT64_MAX)
		last = INT64_MAX;
	for (uint64_t seq = first; seq <= last; seq++) {
		[[gnu::cleanup(db_line_freep)]] char *line = NULL;
		size_t len = 0;
		int r = quote_fetch(db, DB_QUOTES_FROM, seq, &line, &len, &seq);
		if (r == -ENOENT || (r == 0 && seq > last))
			return 0;
		if (r == 0)
			r = fn(arg, seq, line, len);
		if (r != 0)
			return r;
	}
	return 0;
}

struct trim {
	uint64_t last;
	unsigned rows_max;
};

/* Run a statement that deletes, and say how many rows it did. */
static int rows_delete(struct db *db, enum db_stmt which, uint64_t number, uint64_t limit)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[which];

	int r = db_bind_number(db, stmt, 1, number);
	if (r == 0 && limit > 0)
		r = db_bind_number(db, stmt, 2, limit);
	if (r == 0)
		r = db_run(db, which, "trimming");
	return r < 0 ? r : sqlite3_changes(db->sql);
}

/*
 * Give pages back to the file system, but for the eighth of the file that the next records will
 * want: a log that is trimmed as it grows keeps its size and moves no pages. Returns how many.
 */
static int pages_give_back(struct db *db, unsigned pages_max)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PAGES];
	char sql[64];

	int r = db_fetch(db, stmt, "trimming");
	if (r < 0)
		return r;
	sqlite3_int64 spare = sqlite3_column_int64(stmt, 0) - sqlite3_column_int64(stmt, 1) / 8;
	sqlite3_reset(stmt);
	if (spare <= 0)
		return 0;
	unsigned pages = spare < pages_max ? (unsigned)spare : pages_max;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%u)", pages);
	if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, "giving pages back");
	return (int)pages;
}

static int trim(struct db *db, const void *arg)
{
	const struct trim *trim = arg;
	uint64_t first = 0, newest = 0;

	int r = db_first_seq(db, &first);
	if (r == 0)
		r = db_last_seq(db, &newest);
	if (r < 0)
		return r;
	if (trim->last >= newest)
		return db_refuse(db, -EINVAL,
			"trimming up to record %" PRIu64 " of %" PRIu64 " would leave none",
			trim->last, newest);
	if (first > trim->last) {
		r = rows_delete(db, DB_QUOTES_TRIM, trim->last, trim->rows_max);
		return r == 0 ? pages_give_back(db, trim->rows_max) : r;
	}
	if (trim->last - first >= trim->rows_max)
		return rows_delete(db, DB_RECORDS_TRIM, first + trim->rows_max - 1, 0);
	return rows_delete(db, DB_RECORDS_TRIM, trim->last, 0);
}

int db_trim(struct db *db, uint64_t last, unsigned rows_max)
{
	const struct trim arg = { last, rows_max };

	assert(rows_max > 0 && rows_max <= INT_MAX);
	return db_transact(db, trim, &arg);
}

int db_used_bytes(struct db *db, uint64_t *ret_bytes)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_USED_BYTES];

	int r = db_fetch(db, stmt, "looking how large the log is");
	if (r < 0)
		return r;
	*ret_bytes = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}
