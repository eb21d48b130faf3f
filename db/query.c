// SPDX-License-Identifier: BSD-2-Clause
/* Running SQL from anyone over the log, for reading only. */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <strings.h>
#include <time.h>

#include "db/handle.h"

/* One query while it runs. */
struct query {
	struct db *db;
	const struct db_limits *limits;
	uint64_t steps;
	uint64_t cpu_start_ms;
	const char *refused; /* what the authorizer last refused */
	int (*fn)(void *arg, const struct db_row *row);
	void *arg;
};

static uint64_t cpu_now_ms(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Called every DB_LIMIT_GRAIN steps; other than 0 stops the statement. */
static int progress(void *arg)
{
	struct query *query = arg;
	const struct db_limits *limits = query->limits;

	query->steps += DB_LIMIT_GRAIN;
	return (limits->steps != 0 && query->steps >= limits->steps) ||
		(limits->cpu_ms != 0 && cpu_now_ms() - query->cpu_start_ms >= limits->cpu_ms);
}

static const char *action_name(int action)
{
	switch (action) {
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		return "attaching a database";
	case SQLITE_PRAGMA:
		return "PRAGMA";
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return "a transaction";
	default:
		return "writing";
	}
}

/* The name as we spell it of a function that reaches beyond the log, or NULL. */
static const char *forbidden_function(const char *name)
{
	static const char *const names[] = { "load_extension", "fts3_tokenizer" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return names[i];
	return NULL;
}

static int authorize(
	void *arg, int action, const char *, const char *name, const char *, const char *)
{
	struct query *query = arg;
	const char *refused = action_name(action);

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		refused = forbidden_function(name);
	}
	if (!refused)
		return SQLITE_OK;
	query->refused = refused;
	return SQLITE_DENY;
}

static int query_fail(struct query *query)
{
	if (query->refused)
		return db_refuse(
			query->db, -EPERM, "a query may only read: %s is refused", query->refused);
	if (sqlite3_errcode(query->db->sql) == SQLITE_INTERRUPT)
		return db_refuse(query->db, -ETIME, "the query took too long and was stopped");
	return db_fail(query->db, "query");
}

static int value_read(struct query *query, sqlite3_stmt *stmt, int column, struct db_value *value)
{
	*value = (struct db_value){};
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		value->type = DB_INTEGER;
		value->integer = sqlite3_column_int64(stmt, column);
		return 0;
	case SQLITE_FLOAT:
		value->type = DB_REAL;
		value->real = sqlite3_column_double(stmt, column);
		return 0;
	case SQLITE_TEXT:
		value->type = DB_TEXT;
		value->data = sqlite3_column_text(stmt, column);
		break;
	case SQLITE_BLOB:
		value->type = DB_BLOB;
		value->data = sqlite3_column_blob(stmt, column);
		break;
	default:
		return 0;
	}
	if (!value->data && sqlite3_errcode(query->db->sql) == SQLITE_NOMEM)
		return query_fail(query);
	if (!value->data)
		value->data = "";
	value->len = (size_t)sqlite3_column_bytes(stmt, column);
	return 0;
}

static int statement_run(struct query *query, sqlite3_stmt *stmt, size_t index)
{
	const char *names[DB_COLUMNS_MAX];
	struct db_value values[DB_COLUMNS_MAX];
	int count = sqlite3_column_count(stmt), rc, r;

	assert(count <= DB_COLUMNS_MAX); /* SQLITE_LIMIT_COLUMN */
	for (int i = 0; i < count; i++) {
		names[i] = sqlite3_column_name(stmt, i);
		if (!names[i])
			return query_fail(query);
	}
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		for (int i = 0; i < count; i++) {
			r = value_read(query, stmt, i, &values[i]);
			if (r < 0)
				return r;
		}
		r = query->fn(query->arg,
			&(struct db_row){
				.statement = index,
				.column_count = (size_t)count,
				.names = names,
				.values = values,
			});
		if (r != 0)
			return r;
	}
	return rc == SQLITE_DONE ? 0 : query_fail(query);
}

static void stmt_finalizep(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

/* Run the first statement of *sql, if there is one there, and move past it. */
static int next_run(struct query *query, const char **sql, size_t *count)
{
	[[gnu::cleanup(stmt_finalizep)]] sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(query->db->sql, *sql, -1, &stmt, sql) != SQLITE_OK)
		return query_fail(query);
	if (!stmt) /* a comment, or nothing */
		return 0;
	if (!sqlite3_stmt_readonly(stmt)) { /* VACUUM, of which the authorizer hears too late */
		query->refused = action_name(0);
		return query_fail(query);
	}
	return statement_run(query, stmt, (*count)++);
}

static int text_run(struct query *query, const char *sql)
{
	size_t count = 0;
	int r = 0;

	while (*sql && r == 0)
		r = next_run(query, &sql, &count);
	if (r == 0 && count == 0)
		return db_refuse(query->db, -EINVAL, "there is no statement in this query");
	return r;
}

/*
 * Begin a transaction, take its snapshot and make the views in it, with which they go. SQLite
 * before 3.41 asks the authorizer to UPDATE sqlite_master when a connection first meets json_each
 * or json_tree; so it meets them here.
 */
static int query_begin(struct db *db, const char *views)
{
	uint64_t last = 0;

	if (sqlite3_exec(db->sql, "SELECT 1 FROM json_each('0'), json_tree('0'); BEGIN", NULL, NULL,
		    NULL) != SQLITE_OK)
		return db_fail(db, "beginning a query");
	int r = db_last_seq(db, &last);
	if (r < 0)
		return r;
	if (views && sqlite3_exec(db->sql, views, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, "making the query's views");
	return 0;
}

int db_query(struct db *db, const char *sql, const char *views,
	int (*fn)(void *arg, const struct db_row *row), void *arg, const struct db_limits *limits)
{
	struct query query = {
		.db = db,
		.limits = limits,
		.cpu_start_ms = cpu_now_ms(),
		.fn = fn,
		.arg = arg,
	};

	assert(db->sql);
	db_rollback(db);
	int r = query_begin(db, views);
	if (r == 0) {
		sqlite3_set_authorizer(db->sql, authorize, &query);
		if (limits)
			sqlite3_progress_handler(db->sql, DB_LIMIT_GRAIN, progress, &query);
		r = text_run(&query, sql);
		sqlite3_progress_handler(db->sql, 0, NULL, NULL);
		sqlite3_set_authorizer(db->sql, NULL, NULL);
	}
	db_rollback(db);
	return r;
}
