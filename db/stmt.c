// SPDX-License-Identifier: BSD-2-Clause
/* What every call on the log is made of: statements that are kept ready, bound and stepped. */
#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "db/handle.h"

int db_step(sqlite3_stmt *stmt)
{
	bool first = !sqlite3_stmt_busy(stmt); /* later ones are inside a transaction */
	int rc = sqlite3_step(stmt);

	for (int ms = 0; first && db_is_unsettled(rc) && ms < DB_BUSY_MS; ms += DB_UNSETTLED_MS) {
		sqlite3_reset(stmt);
		sqlite3_sleep(DB_UNSETTLED_MS);
		rc = sqlite3_step(stmt);
	}
	return rc;
}

int db_run(struct db *db, enum db_stmt which, const char *what)
{
	int rc = sqlite3_step(db->stmts[which]);
	int r = rc == SQLITE_DONE ? 0 : db_fail(db, what);
	sqlite3_reset(db->stmts[which]);
	return r;
}

void db_rollback(struct db *db)
{
	if (sqlite3_get_autocommit(db->sql))
		return;
	(void)sqlite3_step(db->stmts[DB_ROLLBACK]);
	sqlite3_reset(db->stmts[DB_ROLLBACK]);
}

void db_stmt_resetp(sqlite3_stmt **stmt)
{
	sqlite3_reset(*stmt);
	sqlite3_clear_bindings(*stmt);
}

int db_bind_number(struct db *db, sqlite3_stmt *stmt, int column, uint64_t value)
{
	sqlite3_int64 bound = value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value;
	return sqlite3_bind_int64(stmt, column, bound) == SQLITE_OK ? 0 : db_fail(db, "bind");
}

int db_bind_blob(struct db *db, sqlite3_stmt *stmt, int column, const void *data, size_t len)
{
	if (len > DB_VALUE_MAX)
		return db_refuse(db, -EMSGSIZE, "%zu bytes are more than a value can hold", len);
	int rc = len == 0 ? sqlite3_bind_zeroblob(stmt, column, 0)
			  : sqlite3_bind_blob(stmt, column, data, (int)len, SQLITE_STATIC);
	return rc == SQLITE_OK ? 0 : db_fail(db, "bind");
}

int db_fetch(struct db *db, sqlite3_stmt *stmt, const char *what)
{
	switch (db_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_fail(db, what);
	}
}

int db_column_blob(
	struct db *db, sqlite3_stmt *stmt, int column, const void **ret_data, size_t *ret_len)
{
	if (sqlite3_column_type(stmt, column) != SQLITE_BLOB)
		return db_refuse(db, -EUCLEAN, "a value is not of the type that was stored");
	const void *data = sqlite3_column_blob(stmt, column);
	if (!data && sqlite3_errcode(db->sql) == SQLITE_NOMEM)
		return db_fail(db, "reading a value");
	*ret_data = data ? data : "";
	*ret_len = data ? (size_t)sqlite3_column_bytes(stmt, column) : 0;
	return 0;
}

int db_column_copy(struct db *db, sqlite3_stmt *stmt, int column, char **ret_copy, size_t *ret_len)
{
	const void *data = NULL;
	size_t len = 0;

	int r = db_column_blob(db, stmt, column, &data, &len);
	if (r < 0)
		return r;
	char *copy = malloc(len + 1);
	if (!copy)
		return db_refuse(db, -ENOMEM, "out of memory");
	memcpy(copy, data, len);
	copy[len] = '\0';
	*ret_copy = copy;
	*ret_len = len;
	return 0;
}

int db_column_seq(struct db *db, sqlite3_stmt *stmt, int column, uint64_t *ret_seq)
{
	sqlite3_int64 seq = sqlite3_column_int64(stmt, column);

	if (seq < 1 && sqlite3_column_type(stmt, column) != SQLITE_NULL)
		return db_refuse(db, -EUCLEAN, "there is a record %lld", (long long)seq);
	*ret_seq = (uint64_t)seq;
	return 0;
}

int db_transact(struct db *db, int (*fn)(struct db *db, const void *arg), const void *arg)
{
	assert(db->sql);
	if (!db->writer)
		return db_refuse(db, -EROFS, "the log is open for reading only");
	db_rollback(db); /* nothing, unless an earlier rollback failed */
	int r = db_run(db, DB_BEGIN, "beginning a transaction");
	if (r < 0)
		return r;
	int count = fn(db, arg);
	r = count < 0 ? count : db_run(db, DB_COMMIT, "committing");
	if (r < 0)
		db_rollback(db);
	return r < 0 ? r : count;
}
