// SPDX-License-Identifier: BSD-2-Clause
#include "attest/server_body.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/line.h"

/* A body is brought into the one form that a line can have, and then checked as lines are. */
static const struct line_field attest_fields[] = {
	{ LINE_KEY("nonce"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ LINE_KEY("since"), .type = LINE_UINT, .flags = LINE_OPTIONAL },
	{ 0 },
};

static const struct line_field activate_fields[] = {
	{ LINE_KEY("ek"), .type = LINE_UINT, .max = 255 },
	{ LINE_KEY("credential"), .type = LINE_BASE64, .min = 1, .max = CHANNEL_CREDENTIAL_MAX },
	{ LINE_KEY("secret"), .type = LINE_BASE64, .min = 1, .max = CHANNEL_SECRET_MAX },
	{ 0 },
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static void text_freep(char **text)
{
	free(*text);
}

static int refuse(char ret_error[static BODY_ERROR_MAX], const char *what)
{
	snprintf(ret_error, BODY_ERROR_MAX, "%s", what);
	return -EBADMSG;
}

/* The members that fields names, in its order; from is left with those that it does not. */
static int take_members(const struct line_field *fields, json_t *from, json_t *to,
	char ret_error[static BODY_ERROR_MAX])
{
	for (const struct line_field *field = fields; field->key; field++) {
		json_t *value = json_object_get(from, field->key);

		if (!value && field->flags & LINE_OPTIONAL)
			continue;
		if (!value) {
			snprintf(ret_error, BODY_ERROR_MAX, "\"%s\" is missing", field->key);
			return -EBADMSG;
		}
		if (json_is_object(value) || json_is_array(value)) {
			snprintf(ret_error, BODY_ERROR_MAX, "\"%s\" is not a value", field->key);
			return -EBADMSG;
		}
		if (json_object_set(to, field->key, value) || json_object_del(from, field->key))
			return -ENOMEM;
	}
	if (json_object_size(from))
		return refuse(ret_error, "a member that is not known");
	return 0;
}

/* Which member is at this byte of a line: the last key that begins before it. */
static const char *member_at(const struct line_field *fields, const char *line, size_t at)
{
	const char *name = "body";

	for (const struct line_field *field = fields; field->key; field++) {
		/* The first one has no comma before it. */
		const char *found = strstr(line, field->token + 1);
		if (found && (size_t)(found - line) <= at)
			name = field->key;
	}
	return name;
}

static int canonical(const struct line_field *fields, const char *bytes, size_t len,
	char **ret_line, char ret_error[static BODY_ERROR_MAX])
{
	json_error_t at;
	struct line_error error;
	[[gnu::cleanup(json_freep)]] json_t *from = json_loadb(
		bytes, len, JSON_REJECT_DUPLICATES, &at);
	[[gnu::cleanup(json_freep)]] json_t *to = json_object();
	[[gnu::cleanup(text_freep)]] char *line = NULL;

	if (!from || !json_is_object(from))
		return refuse(ret_error, "the body is not one JSON object without duplicates");
	if (!to)
		return -ENOMEM;
	int err = take_members(fields, from, to, ret_error);
	if (err)
		return err;
	line = json_dumps(to, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (!line)
		return -ENOMEM;
	err = line_check(fields, line, strlen(line), &error);
	if (err) {
		snprintf(ret_error, BODY_ERROR_MAX, "\"%s\": %s", member_at(fields, line, error.at),
			error.what);
		return err;
	}
	*ret_line = line;
	line = NULL;
	return 0;
}

static struct line_value member(const char *line, const char *key)
{
	struct line_value value = { "null", 4 };

	line_get(line, strlen(line), key, &value);
	return value;
}

int body_attest_parse(const char *bytes, size_t len, struct body_attest *ret,
	char ret_error[static BODY_ERROR_MAX])
{
	[[gnu::cleanup(text_freep)]] char *line = NULL;
	int err = canonical(attest_fields, bytes, len, &line, ret_error);

	if (err)
		return err;
	*ret = (struct body_attest){ .since = line_value_uint(member(line, "since")) };
	line_value_hex(member(line, "nonce"), ret->nonce, SHA256_LEN);
	return 0;
}

int body_activate_parse(const char *bytes, size_t len, struct body_activate *ret,
	char ret_error[static BODY_ERROR_MAX])
{
	[[gnu::cleanup(text_freep)]] char *line = NULL;
	int err = canonical(activate_fields, bytes, len, &line, ret_error);

	if (err)
		return err;
	*ret = (struct body_activate){ .ek = (uint32_t)line_value_uint(member(line, "ek")) };
	ret->credential_len = line_value_base64(
		member(line, "credential"), ret->credential, sizeof(ret->credential));
	ret->secret_len = line_value_base64(
		member(line, "secret"), ret->secret, sizeof(ret->secret));
	return 0;
}

/* Digits and nothing else, up to LINE_UINT_MAX. Returns how many there are, 0 where it is no number. */
static size_t number(const char *text, uint64_t *ret)
{
	uint64_t value = 0;
	size_t len = 0;

	for (; text[len] >= '0' && text[len] <= '9'; len++) {
		unsigned digit = (unsigned)(text[len] - '0');
		if (value > (LINE_UINT_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	*ret = value;
	return len;
}

int query_log_parse(const char *query, struct query_log *ret, char ret_error[static BODY_ERROR_MAX])
{
	struct query_log found = { .to = LINE_UINT_MAX };
	const struct {
		const char *key;
		uint64_t *value;
	} keys[] = { { "since=", &found.since }, { "to=", &found.to } };
	enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };
	bool seen[KEY_COUNT] = {};

	while (query && *query) {
		size_t key = 0, len = 0;
		while (key < KEY_COUNT && strncmp(query, keys[key].key, strlen(keys[key].key)) != 0)
			key++;
		if (key == KEY_COUNT)
			return refuse(ret_error, "the query is since=NUMBER and to=NUMBER");
		if (seen[key])
			return refuse(ret_error, "the query says something twice");
		seen[key] = true;
		query += strlen(keys[key].key);
		len = number(query, keys[key].value);
		query += len;
		if (!len || (*query && *query != '&'))
			return refuse(ret_error, "the query has a number that is none");
		if (*query && !*++query)
			return refuse(ret_error, "the query ends with &");
	}
	*ret = found;
	return 0;
}
