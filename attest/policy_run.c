/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies as they run: what SQL may do and how long, and rows that become violations. */
#include "attest/policy_own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One policy while it runs. */
struct run {
	struct policy *policy;
	const struct policy_rule *rule;
	uint64_t steps;
	uint64_t steps_max;
	bool too_much; /* memory */
	const char *refused; /* what the authorizer last refused */
	void (*each)(void *arg, const struct policy_violation *violation);
	void *arg;
	uint64_t found; /* of all policies */
	uint64_t standing; /* of these, not of the past */
	char *ret_error;
};

enum { GRAIN = 1000 };

static int progress(void *arg)
{
	struct run *run = arg;

	run->steps += GRAIN;
	run->too_much = sqlite3_memory_used() > (sqlite3_int64)POLICY_MEMORY_MIB << 20;
	return run->too_much || run->steps >= run->steps_max;
}

/* Of SQLite's: none that reaches beyond its arguments, but for the clock, or is random. */
static bool is_function_allowed(const char *name)
{
	static const char *const names[] = { "->", "->>", "abs", "avg", "char", "coalesce", "count",
		"date", "datetime", "dense_rank", "first_value", "format", "glob", "group_concat",
		"hex", "ifnull", "iif", "instr", "json", "json_array", "json_array_length",
		"json_extract", "json_group_array", "json_group_object", "json_object",
		"json_quote", "json_type", "json_valid", "julianday", "lag", "last_value", "lead",
		"length", "like", "lower", "ltrim", "max", "min", "nth_value", "nullif", "printf",
		"quote", "rank", "replace", "round", "row_number", "rtrim", "sign", "strftime",
		"substr", "substring", "sum", "time", "total", "trim", "typeof", "unicode",
		"unixepoch", "upper" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (sqlite3_stricmp(name, names[i]) == 0)
			return true;
	return false;
}

static int authorize(
	void *arg, int action, const char *, const char *name, const char *, const char *)
{
	struct run *run = arg;

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		if (is_function_allowed(name))
			return SQLITE_OK;
		run->refused = "a function that is not on the list";
		return SQLITE_DENY;
	case SQLITE_PRAGMA:
		run->refused = "PRAGMA";
		return SQLITE_DENY;
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		run->refused = "attaching a database";
		return SQLITE_DENY;
	default:
		run->refused = "anything but SELECT";
		return SQLITE_DENY;
	}
}

static int run_fail(struct run *run)
{
	sqlite3 *sql = run->policy->tables.sql;
	int err = policy_code(sqlite3_errcode(sql));

	if (run->refused)
		return policy_fail(
			run->ret_error, -EPERM, "%s: %s is refused", run->rule->name, run->refused);
	if (err == -ETIME)
		return policy_fail(run->ret_error, err, "%s: stopped, it took too %s",
			run->rule->name, run->too_much ? "much memory" : "many steps");
	return policy_fail(run->ret_error, err, "%s: %s", run->rule->name, sqlite3_errmsg(sql));
}

/* Where a row has what. */
struct columns {
	int seq, value, why; /* why: -1 where there is none */
};

static int columns_find(struct run *run, sqlite3_stmt *stmt, struct columns *ret)
{
	struct columns columns = { -1, -1, -1 };

	for (int i = 0; i < sqlite3_column_count(stmt); i++) {
		const char *name = sqlite3_column_name(stmt, i);

		if (!name)
			return run_fail(run);
		if (strcmp(name, "seq") == 0)
			columns.seq = i;
		else if (strcmp(name, "value") == 0)
			columns.value = i;
		else if (strcmp(name, "why") == 0)
			columns.why = i;
	}
	if (columns.seq < 0 || columns.value < 0)
		return policy_fail(run->ret_error, -EINVAL,
			"%s: a statement has no column called %s", run->rule->name,
			columns.seq < 0 ? "seq" : "value");
	*ret = columns;
	return 0;
}

/* Printable, and cut where it is too long. NULL is what it is in every table: not known. */
static int text_read(struct run *run, sqlite3_stmt *stmt, int column, char *ret_text)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	size_t len = (size_t)sqlite3_column_bytes(stmt, column), i;

	if (!text && sqlite3_column_type(stmt, column) != SQLITE_NULL) {
		if (sqlite3_errcode(run->policy->tables.sql) == SQLITE_NOMEM)
			return run_fail(run);
		len = 0; /* an empty BLOB */
	} else if (!text) {
		text = "unknown";
		len = strlen(text);
	}
	for (i = 0; i < len && i < POLICY_VALUE_MAX; i++)
		ret_text[i] = (char)(text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
	ret_text[i] = '\0';
	if (i < len)
		memcpy(ret_text + i - 3, "...", 3);
	return 0;
}

static int row_report(struct run *run, sqlite3_stmt *stmt, const struct columns *columns)
{
	struct policy_violation violation = { 0 };
	sqlite3_int64 seq = sqlite3_column_int64(stmt, columns->seq);

	if (sqlite3_column_type(stmt, columns->seq) != SQLITE_INTEGER || seq < 0)
		return policy_fail(run->ret_error, -EINVAL, "%s: a row's seq is no record's number",
			run->rule->name);
	violation.seq = (uint64_t)seq;
	violation.is_past = seq > 0 && violation.seq < run->policy->epoch_seq;
	snprintf(violation.rule, sizeof(violation.rule), "%s", run->rule->name);
	int err = text_read(run, stmt, columns->value, violation.value);
	if (!err && columns->why >= 0)
		err = text_read(run, stmt, columns->why, violation.why);
	if (err)
		return err;
	run->standing += !violation.is_past;
	if (run->found++ < POLICY_VIOLATIONS_MAX)
		run->each(run->arg, &violation);
	return 0;
}

static void finalizep(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

/* Run the first statement of *sql, if there is one there, and move past it. */
static int statement_run(struct run *run, const char **sql, size_t *count)
{
	[[gnu::cleanup(finalizep)]] sqlite3_stmt *stmt = NULL;
	struct columns columns = { 0 };
	int rc;

	if (sqlite3_prepare_v2(run->policy->tables.sql, *sql, -1, &stmt, sql) != SQLITE_OK)
		return run_fail(run);
	if (!stmt) /* a comment, or nothing */
		return 0;
	if (!sqlite3_stmt_readonly(stmt)) { /* VACUUM, of which the authorizer hears too late */
		run->refused = "anything but SELECT";
		return run_fail(run);
	}
	int err = columns_find(run, stmt, &columns);
	while (!err && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? row_report(run, stmt, &columns) : run_fail(run);
	(*count)++;
	return err;
}

static int rule_run(struct run *run, const struct policy_rule *rule)
{
	sqlite3 *sql = run->policy->tables.sql;
	const char *at = rule->sql;
	size_t count = 0;
	int err = 0;

	run->rule = rule;
	run->steps = 0;
	run->too_much = false;
	run->refused = NULL;
	sqlite3_set_authorizer(sql, authorize, run);
	sqlite3_progress_handler(sql, GRAIN, progress, run);
	while (*at && !err)
		err = statement_run(run, &at, &count);
	sqlite3_progress_handler(sql, 0, NULL, NULL);
	sqlite3_set_authorizer(sql, NULL, NULL);
	if (!err && count == 0)
		err = policy_fail(
			run->ret_error, -EINVAL, "%s: there is no statement in it", rule->name);
	return err;
}

int64_t policy_run(struct policy *policy,
	void (*each)(void *arg, const struct policy_violation *violation), void *arg,
	char ret_error[static POLICY_ERROR_MAX])
{
	char error[POLICY_ERROR_MAX]; /* of those behind the first: that one is told */
	struct run run = {
		.policy = policy,
		.steps_max = POLICY_STEPS + policy->records * POLICY_STEPS_PER_RECORD,
		.each = each,
		.arg = arg,
		.ret_error = ret_error,
	};
	int first = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		int err = rule_run(&run, &policy->rules[i]);

		if (err && !first) {
			first = err;
			run.ret_error = error;
		}
	}
	return first ? first : (int64_t)run.standing;
}
