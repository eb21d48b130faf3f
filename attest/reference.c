/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/reference.h"

#include <assert.h>

#define DIGEST_OR_NULL(name)                                                                       \
	LINE_KEY(name), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN,                    \
			.flags = LINE_NULLABLE
#define TEXT_OR_NULL(name, cap)                                                                    \
	LINE_KEY(name), .type = LINE_TEXT, .max = (cap), .flags = LINE_NULLABLE
#define SOURCE LINE_KEY("source"), .type = LINE_TEXT, .max = REFERENCE_SOURCE_MAX

static const char *const versions[] = { "reference/1", NULL };
static const char *const kinds[] = {
	[REFERENCE_PROGRAM] = "program",
	[REFERENCE_SIGNER] = "signer",
	[REFERENCE_LOADER] = "loader",
	NULL,
};

/* Those of a record, without the one that the loader chooses. */
static const char *const keyrings[] = {
	[KEYRING_BUILTIN - 1] = "builtin",
	[KEYRING_SECONDARY - 1] = "secondary",
	[KEYRING_PLATFORM - 1] = "platform",
	NULL,
};

static const struct line_field program_fields[] = {
	{ TEXT_OR_NULL("name", REFERENCE_NAME_MAX) },
	{ DIGEST_OR_NULL("sha256") },
	{ DIGEST_OR_NULL("chain_digest") },
	{ SOURCE },
	{ .key = NULL },
};

static const struct line_field signer_fields[] = {
	{ TEXT_OR_NULL("name", REFERENCE_NAME_MAX) },
	{ DIGEST_OR_NULL("pinned") },
	{ LINE_KEY("keyring"), .type = LINE_WORD, .words = keyrings, .flags = LINE_NULLABLE },
	{ SOURCE },
	{ .key = NULL },
};

static const struct line_field loader_fields[] = {
	{ TEXT_OR_NULL("exe", RECORD_PATH_MAX) },
	{ LINE_KEY("exe_sha256"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ SOURCE },
	{ .key = NULL },
};

static const struct line_field *const fields_of_kind[] = {
	[REFERENCE_PROGRAM] = program_fields,
	[REFERENCE_SIGNER] = signer_fields,
	[REFERENCE_LOADER] = loader_fields,
};

enum { MARK_KIND = 1, MARK_COUNT };

static const struct line_field reference_fields[] = {
	{ LINE_KEY("bpfmeasure"), .type = LINE_WORD, .words = versions },
	{ LINE_KEY("kind"), .type = LINE_TAG, .words = kinds, .variants = fields_of_kind,
		.mark = MARK_KIND },
	{ .key = NULL },
};

const struct line_field *reference_schema(void)
{
	return reference_fields;
}

const char *reference_kind_name(enum reference_kind kind)
{
	return kinds[kind];
}

static void put_digest(struct line *line, const char *key, const struct record_digest *digest)
{
	if (digest->known)
		line_hex(line, key, digest->sha256, SHA256_LEN);
	else
		line_null(line, key);
}

static void put_text(struct line *line, const char *key, const struct record_text *text, size_t max)
{
	if (text->bytes)
		line_text(line, key, text->bytes, text->len, max);
	else
		line_null(line, key);
}

void reference_encode(struct line *line, const struct reference *reference)
{
	enum reference_kind kind;
	struct line_error error;

	line_init(line, line->buf, line->size);
	line_open_object(line, NULL);
	line_word(line, "bpfmeasure", versions[0]);
	line_word(line, "kind", kinds[reference->kind]);
	switch (reference->kind) {
	case REFERENCE_PROGRAM:
		put_text(line, "name", &reference->name, REFERENCE_NAME_MAX);
		put_digest(line, "sha256", &reference->sha256);
		put_digest(line, "chain_digest", &reference->chain_digest);
		break;
	case REFERENCE_SIGNER:
		put_text(line, "name", &reference->name, REFERENCE_NAME_MAX);
		put_digest(line, "pinned", &reference->pinned);
		if (reference->keyring)
			line_word(line, "keyring", keyrings[reference->keyring - 1]);
		else
			line_null(line, "keyring");
		break;
	default:
		put_text(line, "exe", &reference->exe, RECORD_PATH_MAX);
		put_digest(line, "exe_sha256", &reference->sha256);
	}
	put_text(line, "source", &reference->source, REFERENCE_SOURCE_MAX);
	line_close_object(line);
	assert(reference_check(line->buf, line->len, &kind, &error) == 0);
}

int reference_check(
	const char *line, size_t len, enum reference_kind *ret_kind, struct line_error *ret_error)
{
	struct line_value marks[MARK_COUNT];
	int err = line_check_marked(reference_fields, line, len, marks, ret_error);

	if (err)
		return err;
	*ret_kind = (enum reference_kind)line_value_word(marks[MARK_KIND], kinds);
	return 0;
}
