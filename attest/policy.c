/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies and reference values as they are opened, and the records that they will be held against. */
#include "attest/policy_own.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

int policy_fail(char *ret_error, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ret_error, POLICY_ERROR_MAX, fmt, args);
	va_end(args);
	return err;
}

int policy_code(int rc)
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
		return policy_fail(ret_error, -errno, "%s: %s", path, strerror(errno));
	do {
		size = size ? 2 * size : 4096;
		char *more = realloc(text, size);
		if (!more)
			return policy_fail(ret_error, -ENOMEM, "not enough memory");
		text = more;
		len += fread(text + len, 1, size - 1 - len, file);
		if (len > max)
			return policy_fail(
				ret_error, -EMSGSIZE, "%s: more than %zu bytes", path, max);
	} while (len == size - 1);
	if (ferror(file))
		return policy_fail(ret_error, -EIO, "%s: cannot be read", path);
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
		return *ret_sql ? 0 : policy_fail(ret_error, -ENOMEM, "not enough memory");
	}
	return policy_fail(ret_error, -ENOENT,
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
		return policy_fail(ret_error, -EINVAL, "%s: a policy's name has 1 to %d bytes",
			path, POLICY_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return policy_fail(ret_error, -EINVAL,
				"%s: a policy's name is printable ASCII without blanks", path);
	snprintf(ret_name, POLICY_NAME_MAX + 1, "%.*s", (int)len, name);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (strcmp(policy->rules[i].name, ret_name) == 0)
			return policy_fail(
				ret_error, -EINVAL, "two policies are called %s", ret_name);
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
	struct policy_rule *rule = &policy->rules[policy->rule_count];
	size_t len;

	if (policy->rule_count == POLICY_COUNT_MAX)
		return policy_fail(ret_error, -EINVAL, "more than %d policies", POLICY_COUNT_MAX);
	int err = name_rule(policy, given, rule->name, ret_error);
	if (!err)
		err = rule_read(given, rule->name, &rule->sql, &len, ret_error);
	if (err)
		return err;
	policy->rule_count++;
	if (strlen(rule->sql) != len)
		return policy_fail(ret_error, -EINVAL, "%s: a NUL byte in it", given);
	err = digest_add(policy, rule->name, rule->sql, len);
	return err ? policy_fail(ret_error, err, "OpenSSL refuses sha256") : 0;
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
			return policy_fail(ret_error, -EBADMSG, "%s:%zu: the line is too long",
				path, number + 1);
		if (reference_check(at, line_len, &kind, &error))
			return policy_fail(ret_error, -EBADMSG,
				"%s:%zu: no reference value: %s (byte %zu)", path, number + 1,
				error.what, error.at);
		err = policy_code(tables_reference_put(&policy->tables, kind, at, line_len));
		if (err)
			return policy_fail(ret_error, err, "%s:%zu: %s", path, number + 1,
				sqlite3_errmsg(policy->tables.sql));
		at += line_len + 1;
	}
	if (!err && digest_add(policy, "", text, len))
		return policy_fail(ret_error, -EIO, "OpenSSL refuses sha256");
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
		return policy_fail(ret_error, -ENOMEM, "not enough memory");
	int err = policy_code(tables_open(&policy->tables));
	if (err)
		return policy_fail(ret_error, err, "making the tables: %s",
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
	return policy_code(tables_machine_set(&policy->tables, machine, proven_seq));
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
	return policy_code(tables_record_put(&policy->tables, head.kind, line, len, remembered));
}

int policy_reset(struct policy *policy)
{
	policy->records = 0;
	policy->epoch_seq = 0;
	return policy_code(tables_clear(&policy->tables));
}
