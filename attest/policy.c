/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/policy_tables.h"

struct rule {
	char name[POLICY_NAME_MAX + 1];
	char *sql;
};

struct policy {
	struct policy_tables tables;
	struct rule rules[POLICY_COUNT_MAX];
	size_t rule_count;
	uint8_t digest[SHA256_LEN];
	uint64_t records; /* in the tables */
	uint64_t epoch_seq;
};

/* ---- errors ---- */

[[gnu::format(printf, 3, 4)]] static int fail(char *ret_error, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ret_error, POLICY_ERROR_MAX, fmt, args);
	va_end(args);
	return err;
}

static int code(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_AUTH:
		return -EPERM;
	case SQLITE_INTERRUPT:
		return -ETIME;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return -EIO;
	default:
		return -EINVAL;
	}
}

/* ---- files ---- */

static void fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void freep(char **text)
{
	free(*text);
}

/* The whole of a file and a NUL byte, for the caller to free(). */
static int file_read(
	const char *path, size_t max, char **ret_text, size_t *ret_len, char *ret_error)
{
	[[gnu::cleanup(fclosep)]] FILE *file = fopen(path, "rb");
	[[gnu::cleanup(freep)]] char *text = NULL;
	size_t len = 0, size = 0;

	if (!file)
		return fail(ret_error, -errno, "%s: %s", path, strerror(errno));
	do {
		size = size ? 2 * size : 4096;
		char *more = realloc(text, size);
		if (!more)
			return fail(ret_error, -ENOMEM, "not enough memory");
		text = more;
		len += fread(text + len, 1, size - 1 - len, file);
		if (len > max)
			return fail(ret_error, -EMSGSIZE, "%s: more than %zu bytes", path, max);
	} while (len == size - 1);
	if (ferror(file))
		return fail(ret_error, -EIO, "%s: cannot be read", path);
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	text = NULL;
	return 0;
}

/* The digest goes on over a name and a text: neither can be passed off as part of the other. */
static int digest_add(struct policy *policy, const char *name, const char *text, size_t len)
{
	uint8_t all[3][SHA256_LEN];

	memcpy(all[0], policy->digest, SHA256_LEN);
	int err = sha256(name, strlen(name), all[1]);
	if (!err)
		err = sha256(text, len, all[2]);
	return err ? err : sha256(all, sizeof(all), policy->digest);
}

/* ---- policies ---- */

/* For the caller to free(). */
static int shipped_read(const char *name, char **ret_sql, size_t *ret_len, char *ret_error)
{
	const char *text, *shipped;
	size_t len;

	for (size_t i = 0; (shipped = policy_shipped(i, &text, &len)); i++) {
		if (strcmp(shipped, name) != 0)
			continue;
		*ret_sql = strndup(text, len);
		*ret_len = len;
		return *ret_sql ? 0 : fail(ret_error, -ENOMEM, "not enough memory");
	}
	return fail(ret_error, -ENOENT,
		"no shipped policy is called %s, and a file's name ends in .sql or has a /", name);
}

/* What a policy calls itself in verdicts: the file's name without folder and .sql. */
static int name_rule(const struct policy *policy, const char *path, char *ret_name, char *ret_error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = strlen(name);

	if (len > 4 && strcmp(name + len - 4, ".sql") == 0)
		len -= 4;
	if (len == 0 || len > POLICY_NAME_MAX)
		return fail(ret_error, -EINVAL, "%s: a policy's name has 1 to %d bytes", path,
			POLICY_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return fail(ret_error, -EINVAL,
				"%s: a policy's name is printable ASCII without blanks", path);
	snprintf(ret_name, POLICY_NAME_MAX + 1, "%.*s", (int)len, name);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (strcmp(policy->rules[i].name, ret_name) == 0)
			return fail(ret_error, -EINVAL, "two policies are called %s", ret_name);
	return 0;
}

/* A file where there is one, or where only a file can be meant; else a shipped policy. */
static int rule_read(
	const char *given, const char *name, char **ret_sql, size_t *ret_len, char *ret_error)
{
	char error[POLICY_ERROR_MAX];

	if (strcmp(given, name) == 0)
		return shipped_read(name, ret_sql, ret_len, ret_error);
	int err = file_read(given, POLICY_FILE_MAX, ret_sql, ret_len, ret_error);
	if (err != -ENOENT || strchr(given, '/'))
		return err;
	return shipped_read(name, ret_sql, ret_len, error) == 0 ? 0 : err;
}

static int rule_add(struct policy *policy, const char *given, char *ret_error)
{
	struct rule *rule = &policy->rules[policy->rule_count];
	size_t len;

	if (policy->rule_count == POLICY_COUNT_MAX)
		return fail(ret_error, -EINVAL, "more than %d policies", POLICY_COUNT_MAX);
	int err = name_rule(policy, given, rule->name, ret_error);
	if (!err)
		err = rule_read(given, rule->name, &rule->sql, &len, ret_error);
	if (err)
		return err;
	policy->rule_count++;
	if (strlen(rule->sql) != len)
		return fail(ret_error, -EINVAL, "%s: a NUL byte in it", given);
	err = digest_add(policy, rule->name, rule->sql, len);
	return err ? fail(ret_error, err, "OpenSSL refuses sha256") : 0;
}

/* ---- reference values ---- */

enum { REFERENCES_MAX = 64 * 1024 * 1024 };

static int references_add(struct policy *policy, const char *path, char *ret_error)
{
	[[gnu::cleanup(freep)]] char *text = NULL;
	struct line_error error;
	enum reference_kind kind;
	size_t len, number = 0;

	int err = file_read(path, REFERENCES_MAX, &text, &len, ret_error);
	for (const char *at = text; !err && at < text + len; number++) {
		const char *end = memchr(at, '\n', (size_t)(text + len - at));
		size_t line_len = (size_t)((end ? end : text + len) - at);

		if (line_len > REFERENCE_LINE_MAX)
			return fail(ret_error, -EBADMSG, "%s:%zu: the line is too long", path,
				number + 1);
		if (reference_check(at, line_len, &kind, &error))
			return fail(ret_error, -EBADMSG,
				"%s:%zu: no reference value: %s (byte %zu)", path, number + 1,
				error.what, error.at);
		err = code(tables_reference_put(&policy->tables, kind, at, line_len));
		if (err)
			return fail(ret_error, err, "%s:%zu: %s", path, number + 1,
				sqlite3_errmsg(policy->tables.sql));
		at += line_len + 1;
	}
	if (!err && digest_add(policy, "", text, len))
		return fail(ret_error, -EIO, "OpenSSL refuses sha256");
	return err;
}

/* ---- the handle ---- */

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	tables_close(&policy->tables);
	for (size_t i = 0; i < policy->rule_count; i++)
		free(policy->rules[i].sql);
	free(policy);
}

void policy_freep(struct policy **policy)
{
	policy_free(*policy);
}

int policy_open(const char *const *policies, size_t policy_count, const char *const *references,
	size_t reference_count, struct policy **ret_policy, char ret_error[static POLICY_ERROR_MAX])
{
	[[gnu::cleanup(policy_freep)]] struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return fail(ret_error, -ENOMEM, "not enough memory");
	int err = code(tables_open(&policy->tables));
	if (err)
		return fail(ret_error, err, "making the tables: %s",
			sqlite3_errmsg(policy->tables.sql));
	for (size_t i = 0; i < policy_count && !err; i++)
		err = rule_add(policy, policies[i], ret_error);
	for (size_t i = 0; i < reference_count && !err; i++)
		err = references_add(policy, references[i], ret_error);
	if (err)
		return err;
	*ret_policy = policy;
	policy = NULL;
	return 0;
}

void policy_digest(const struct policy *policy, uint8_t ret_sha256[static SHA256_LEN])
{
	memcpy(ret_sha256, policy->digest, SHA256_LEN);
}

const char *policy_rule(const struct policy *policy, size_t index)
{
	return index < policy->rule_count ? policy->rules[index].name : NULL;
}

int policy_machine_set(struct policy *policy, const struct machine *machine, uint64_t proven_seq)
{
	return code(tables_machine_set(&policy->tables, machine, proven_seq));
}

void policy_epoch_set(struct policy *policy, uint64_t seq)
{
	policy->epoch_seq = seq;
}

int policy_record_add(
	struct policy *policy, uint64_t seq, const char *line, size_t len, bool remembered)
{
	struct record_head head;
	struct line_error error;

	if (record_check(line, len, &head, &error) || head.seq != seq)
		return -EBADMSG;
	policy->records++;
	return code(tables_record_put(&policy->tables, head.kind, line, len, remembered));
}

int policy_reset(struct policy *policy)
{
	policy->records = 0;
	policy->epoch_seq = 0;
	return code(tables_clear(&policy->tables));
}

/* ---- a run ---- */

/* One policy while it runs. */
struct run {
	struct policy *policy;
	const struct rule *rule;
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

/* Of SQLite's: none that reaches beyond its arguments, or is different each time. */
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
	int err = code(sqlite3_errcode(sql));

	if (run->refused)
		return fail(
			run->ret_error, -EPERM, "%s: %s is refused", run->rule->name, run->refused);
	if (err == -ETIME)
		return fail(run->ret_error, err, "%s: stopped, it took too %s", run->rule->name,
			run->too_much ? "much memory" : "many steps");
	return fail(run->ret_error, err, "%s: %s", run->rule->name, sqlite3_errmsg(sql));
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
		return fail(run->ret_error, -EINVAL, "%s: a statement has no column called %s",
			run->rule->name, columns.seq < 0 ? "seq" : "value");
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
		return fail(run->ret_error, -EINVAL, "%s: a row's seq is no record's number",
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

static int rule_run(struct run *run, const struct rule *rule)
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
		err = fail(run->ret_error, -EINVAL, "%s: there is no statement in it", rule->name);
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
