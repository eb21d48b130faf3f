// SPDX-License-Identifier: BSD-2-Clause
/* Appending to the log and reading it back. */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "db/handle.h"

static_assert(DB_SHA256_LEN == 32, "a sha256");

static int line_put(struct db *db, const struct db_line *line, uint64_t expected)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_LINE_PUT];

	assert(line->len > 0);
	if (line->seq != expected || line->seq > INT64_MAX)
		return db_refuse(db, -EINVAL, "record %" PRIu64 " is not the next, %" PRIu64 " is",
			line->seq, expected);
	if (line->ref > INT64_MAX)
		return db_refuse(db, -EINVAL, "record %" PRIu64 ": ref is too large", line->seq);
	int r = db_bind_number(db, stmt, 1, line->seq);
	if (r == 0)
		r = db_bind_number(db, stmt, 2, line->ref);
	if (r == 0)
		r = db_bind_blob(db, stmt, 3, line->line, line->len);
	return r == 0 ? db_run(db, DB_LINE_PUT, "storing a record") : r;
}

static int program_has(struct db *db, const uint8_t *sha256)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PROGRAM_HAS];

	int r = db_bind_blob(db, stmt, 1, sha256, DB_SHA256_LEN);
	return r == 0 ? db_fetch(db, stmt, "looking for a program") : r;
}

/* Returns 1 if the program was left out because bytes_max leaves no room for it. */
static int program_put(struct db *db, const struct db_program *program, uint64_t bytes_max)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PROGRAM_PUT];
	uint64_t total = 0;

	assert(program->len > 0);
	int r = program_has(db, program->sha256);
	if (r != 0)
		return r < 0 ? r : 0;
	r = db_program_bytes(db, &total);
	if (r < 0)
		return r;
	if (program->len > bytes_max || total > bytes_max - program->len)
		return 1;
	r = db_bind_blob(db, stmt, 1, program->sha256, DB_SHA256_LEN);
	if (r == 0)
		r = db_bind_number(db, stmt, 2, total + program->len);
	if (r == 0)
		r = db_bind_blob(db, stmt, 3, program->insns, program->len);
	return r == 0 ? db_run(db, DB_PROGRAM_PUT, "storing a program") : r;
}

static int bind_key(struct db *db, sqlite3_stmt *stmt, const char *key)
{
	int rc = sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	return rc == SQLITE_OK ? 0 : db_fail(db, "bind");
}

static int state_put(struct db *db, const struct db_state *state)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_STATE_PUT];

	int r = bind_key(db, stmt, state->key);
	if (r == 0)
		r = db_bind_blob(db, stmt, 2, state->value, state->len);
	return r == 0 ? db_run(db, DB_STATE_PUT, "storing a state") : r;
}

static int batch_put(struct db *db, const void *arg)
{
	const struct db_batch *batch = arg;
	uint64_t last = 0;
	int left_out = 0;

	int r = db_last_seq(db, &last);
	for (size_t i = 0; i < batch->line_count && r == 0; i++)
		r = line_put(db, &batch->lines[i], last + 1 + i);
	for (size_t i = 0; i < batch->program_count && r == 0; i++) {
		r = program_put(db, &batch->programs[i], batch->program_bytes_max);
		if (r > 0) {
			left_out++;
			r = 0;
		}
	}
	for (size_t i = 0; i < batch->state_count && r == 0; i++)
		r = state_put(db, &batch->states[i]);
	return r < 0 ? r : left_out;
}

int db_append(struct db *db, const struct db_batch *batch)
{
	return db_transact(db, batch_put, batch);
}

int db_last_seq(struct db *db, uint64_t *ret_seq)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_LAST_SEQ];

	int r = db_fetch(db, stmt, "looking for the last record");
	if (r < 0)
		return r;
	return db_column_seq(db, stmt, 0, ret_seq);
}

int db_first_seq(struct db *db, uint64_t *ret_seq)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_FIRST_SEQ];

	int r = db_fetch(db, stmt, "looking for the first record");
	return r < 0 ? r : db_column_seq(db, stmt, 0, ret_seq);
}

void db_line_freep(char **line)
{
	free(*line);
}

int db_line_get(struct db *db, uint64_t seq, char **ret_line, size_t *ret_len)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_LINE_GET];

	int r = db_bind_number(db, stmt, 1, seq);
	if (r == 0)
		r = db_fetch(db, stmt, "reading a record");
	if (r == 0)
		return db_refuse(db, -ENOENT, "there is no record %" PRIu64, seq);
	return r < 0 ? r : db_column_copy(db, stmt, 0, ret_line, ret_len);
}

/* Consecutive lines, copied out of a transaction that is over. */
struct page {
	char *bytes;
	size_t size;
	size_t used;
	size_t count;
	size_t end[256]; /* of each line in bytes */
};

enum {
	PAGE_LINES = sizeof((struct page){}.end) / sizeof(size_t),
	PAGE_BYTES = 256 << 10, /* as many lines as fit, or one larger one */
};

static void page_done(struct page *page)
{
	free(page->bytes);
}

/* Returns 0; 1 if the line does not fit any more; -ENOMEM. */
static int page_add(struct page *page, const void *line, size_t len)
{
	if (page->count == PAGE_LINES || (page->count > 0 && len > page->size - page->used))
		return 1;
	if (!page->bytes || len > page->size) {
		char *bytes = realloc(page->bytes, len > PAGE_BYTES ? len : PAGE_BYTES);
		if (!bytes)
			return -ENOMEM;
		page->bytes = bytes;
		page->size = len > PAGE_BYTES ? len : PAGE_BYTES;
	}
	memcpy(page->bytes + page->used, line, len);
	page->used += len;
	page->end[page->count++] = page->used;
	return 0;
}

/*
 * Fill a page with the records first ... last, or as many as fit. What stops it after the first
 * line - an error, a gap - is left for the next call to meet, so that every line before it is
 * handed out.
 */
static int page_read(struct db *db, struct page *page, uint64_t first, uint64_t last)
{
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_LINES_FROM];

	page->used = 0;
	page->count = 0;
	int r = db_bind_number(db, stmt, 1, first);
	for (uint64_t seq = first; seq <= last && r == 0; seq++) {
		const void *line = NULL;
		size_t len = 0;
		r = db_fetch(db, stmt, "reading records");
		if (r == 0 || (r == 1 && (uint64_t)sqlite3_column_int64(stmt, 0) != seq))
			r = db_refuse(db, -EUCLEAN, "record %" PRIu64 " is missing", seq);
		if (r == 1)
			r = db_column_blob(db, stmt, 1, &line, &len);
		if (r == 0)
			r = page_add(page, line, len);
		if (r == -ENOMEM)
			r = db_refuse(db, -ENOMEM, "out of memory");
	}
	return page->count > 0 ? 0 : r;
}

int db_each(struct db *db, uint64_t first, uint64_t last,
	int (*fn)(void *arg, uint64_t seq, const void *line, size_t len), void *arg)
{
	[[gnu::cleanup(page_done)]] struct page page = {};
	uint64_t end = 0;

	assert(db->sql && first > 0);
	int r = db_last_seq(db, &end);
	if (r < 0)
		return r;
	if (last < end)
		end = last;
	for (uint64_t seq = first; seq <= end;) {
		r = page_read(db, &page, seq, end);
		if (r < 0)
			return r;
		for (size_t i = 0, start = 0; i < page.count; i++, seq++) {
			r = fn(arg, seq, page.bytes + start, page.end[i] - start);
			if (r != 0)
				return r;
			start = page.end[i];
		}
	}
	return 0;
}

int db_ref_last(struct db *db, uint64_t ref, uint64_t at_least_seq, uint64_t *ret_seq)
{
	assert(db->sql && ref != 0);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_REF_LAST];

	int r = db_bind_number(db, stmt, 1, ref);
	if (r == 0)
		r = db_bind_number(db, stmt, 2, at_least_seq);
	if (r == 0)
		r = db_fetch(db, stmt, "looking for a record");
	if (r < 0)
		return r;
	if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		return db_refuse(db, -ENOENT, "no record has ref %" PRIu64, ref);
	*ret_seq = (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}

int db_find(struct db *db, enum db_key key, const char *low, const char *high, uint64_t *ret_seqs,
	size_t max)
{
	assert(db->sql && max > 0 && max <= INT_MAX);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_FIND + key];
	int count = 0;

	if (sqlite3_bind_text(stmt, 1, low, -1, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_bind_text(stmt, 2, high, -1, SQLITE_STATIC) != SQLITE_OK)
		return db_fail(db, "bind");
	int r = db_bind_number(db, stmt, 3, max);
	if (r == 0)
		r = db_fetch(db, stmt, "looking for records");
	for (; r == 1; r = db_fetch(db, stmt, "looking for records")) {
		r = db_column_seq(db, stmt, 0, &ret_seqs[count]);
		if (r < 0)
			return r;
		count++;
	}
	return r < 0 ? r : count;
}

int db_state_get(struct db *db, const char *key, void *buf, size_t size)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_STATE_GET];
	const void *data = NULL;
	size_t len = 0;

	int r = bind_key(db, stmt, key);
	if (r == 0)
		r = db_fetch(db, stmt, "reading a state");
	if (r == 0)
		return db_refuse(db, -ENOENT, "there is no state %s", key);
	if (r > 0)
		r = db_column_blob(db, stmt, 0, &data, &len);
	if (r < 0)
		return r;
	if (len > size)
		return db_refuse(db, -EMSGSIZE, "state %s has %zu bytes, not %zu", key, len, size);
	if (len > 0)
		memcpy(buf, data, len);
	return (int)len;
}

int db_program_get(struct db *db, const uint8_t sha256[static DB_SHA256_LEN], uint8_t **ret_insns,
	size_t *ret_len)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PROGRAM_GET];

	int r = db_bind_blob(db, stmt, 1, sha256, DB_SHA256_LEN);
	if (r == 0)
		r = db_fetch(db, stmt, "reading a program");
	if (r == 0)
		return db_refuse(db, -ENOENT, "this program's instructions are not kept");
	return r < 0 ? r : db_column_copy(db, stmt, 0, (char **)ret_insns, ret_len);
}

int db_program_bytes(struct db *db, uint64_t *ret_bytes)
{
	assert(db->sql);
	[[gnu::cleanup(db_stmt_resetp)]] sqlite3_stmt *stmt = db->stmts[DB_PROGRAM_BYTES];

	int r = db_fetch(db, stmt, "adding up the programs");
	if (r < 0)
		return r;
	*ret_bytes = r == 0 ? 0 : (uint64_t)sqlite3_column_int64(stmt, 0);
	return 0;
}
