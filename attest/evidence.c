/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/evidence.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

/* ---- what statement and kept quote share ---- */

static const char *const versions[] = { "evidence/1", NULL };
static const char *const kept_versions[] = { "kept/1", NULL };
static const char no_sha256[] = "no sha256 bank";

static const struct line_field bank_fields[] = {
	{ LINE_KEY("sha1"), .type = LINE_HEX, .flags = LINE_OPTIONAL, .min = 20, .max = 20 },
	{ LINE_KEY("sha256"), .type = LINE_HEX, .flags = LINE_OPTIONAL, .min = 32, .max = 32 },
	{ LINE_KEY("sha384"), .type = LINE_HEX, .flags = LINE_OPTIONAL, .min = 48, .max = 48 },
	{ LINE_KEY("sha512"), .type = LINE_HEX, .flags = LINE_OPTIONAL, .min = 64, .max = 64 },
	{ 0 },
};

static void encode_banks(
	struct line *line, const char *key, bank_set banks, const struct bank_values *values)
{
	line_open_object(line, key);
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1u << bank)
			line_hex(line, bank_name(bank), values->digest[bank], bank_size(bank));
	line_close_object(line);
}

static struct line_value member(const char *line, size_t len, const char *path)
{
	struct line_value value = { 0 };
	bool found = line_get(line, len, path, &value);

	/* The schema was checked, and none of the keys asked for is optional. */
	assert(found);
	return value;
}

static bank_set decode_banks(struct line_value object, struct bank_values *ret_values)
{
	struct line_each each = line_each(object);
	struct line_value key, value;
	bank_set banks = 0;

	*ret_values = (struct bank_values){ 0 };
	while (line_next(&each, &key, &value)) {
		enum bank bank = bank_from_name(key.at, key.len);
		line_value_hex(value, ret_values->digest[bank], bank_size(bank));
		banks |= 1u << bank;
	}
	return banks;
}

static size_t decode_base64(
	const char *line, size_t len, const char *path, uint8_t *ret_bytes, size_t size)
{
	return line_value_base64(member(line, len, path), ret_bytes, size);
}

static int refuse(size_t at, const char *what, struct line_error *ret_error)
{
	*ret_error = (struct line_error){ .at = at };
	snprintf(ret_error->what, sizeof(ret_error->what), "%s", what);
	return -EBADMSG;
}

static int check(const struct line_field *fields, size_t max, const char *line, size_t len,
	struct line_error *ret_error)
{
	return len > max ? refuse(max, "too long", ret_error)
			 : line_check(fields, line, len, ret_error);
}

/* ---- a kept quote ---- */

static const struct line_field kept_fields[] = {
	{ LINE_KEY("bpfmeasure"), .type = LINE_WORD, .words = kept_versions },
	{ LINE_KEY("seq"), .type = LINE_UINT, .min = 1 },
	{ LINE_KEY("sha256"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ LINE_KEY("pcr"), .type = LINE_UINT, .max = EVIDENCE_PCR_MAX },
	{ LINE_KEY("values"), .type = LINE_OBJECT, .min = 1, .fields = bank_fields },
	{ LINE_KEY("quote"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_QUOTE_MAX },
	{ LINE_KEY("signature"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_SIGNATURE_MAX },
	{ LINE_KEY("ak"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_AK_MAX },
	{ 0 },
};

void evidence_kept_encode(struct line *line, const struct evidence_kept *kept)
{
	assert(kept->seq >= 1 && kept->pcr <= EVIDENCE_PCR_MAX);
	assert(kept->banks & 1u << BANK_SHA256);
	assert(kept->quote_len && kept->signature_len && kept->ak_len);

	line_init(line, line->buf, line->size);
	line_open_object(line, NULL);
	line_word(line, "bpfmeasure", kept_versions[0]);
	line_uint(line, "seq", kept->seq);
	line_hex(line, "sha256", kept->sha256, SHA256_LEN);
	line_uint(line, "pcr", kept->pcr);
	encode_banks(line, "values", kept->banks, &kept->values);
	line_base64(line, "quote", kept->quote, kept->quote_len);
	line_base64(line, "signature", kept->signature, kept->signature_len);
	line_base64(line, "ak", kept->ak, kept->ak_len);
	line_close_object(line);
}

int evidence_kept_decode(
	const char *line, size_t len, struct evidence_kept *ret, struct line_error *ret_error)
{
	int err = check(kept_fields, EVIDENCE_KEPT_MAX, line, len, ret_error);
	if (err)
		return err;

	struct evidence_kept kept = {
		.seq = line_value_uint(member(line, len, "seq")),
		.pcr = (unsigned)line_value_uint(member(line, len, "pcr")),
	};
	struct line_value values = member(line, len, "values");
	line_value_hex(member(line, len, "sha256"), kept.sha256, SHA256_LEN);
	kept.banks = decode_banks(values, &kept.values);
	kept.quote_len = decode_base64(line, len, "quote", kept.quote, EVIDENCE_QUOTE_MAX);
	kept.signature_len = decode_base64(
		line, len, "signature", kept.signature, EVIDENCE_SIGNATURE_MAX);
	kept.ak_len = decode_base64(line, len, "ak", kept.ak, EVIDENCE_AK_MAX);
	if (!(kept.banks & 1u << BANK_SHA256))
		return refuse((size_t)(values.at - line), no_sha256, ret_error);
	*ret = kept;
	return 0;
}

/* ---- the statement ---- */

static const char *const states[] = {
	[EVIDENCE_MEASURING] = "measuring",
	[EVIDENCE_DEGRADED] = "degraded",
	NULL,
};

static const struct line_field path_element[] = {
	{ .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ 0 },
};

static const struct line_field batch_fields[] = {
	{ LINE_KEY("index"), .type = LINE_UINT, .max = MERKLE_LEAVES_MAX - 1 },
	{ LINE_KEY("count"), .type = LINE_UINT, .min = 1, .max = MERKLE_LEAVES_MAX },
	{ LINE_KEY("path"), .type = LINE_ARRAY, .max = MERKLE_PATH_MAX, .fields = path_element },
	{ 0 },
};

static const struct line_field statement_kept_fields[] = {
	{ LINE_KEY("seq"), .type = LINE_UINT, .min = 1 },
	{ LINE_KEY("sha256"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ LINE_KEY("values"), .type = LINE_OBJECT, .min = 1, .fields = bank_fields },
	{ LINE_KEY("quote"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_QUOTE_MAX },
	{ LINE_KEY("signature"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_SIGNATURE_MAX },
	{ 0 },
};

static const struct line_field statement_fields[] = {
	{ LINE_KEY("bpfmeasure"), .type = LINE_WORD, .words = versions },
	{ LINE_KEY("nonce"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ LINE_KEY("binding"), .type = LINE_HEX, .min = SHA256_LEN, .max = SHA256_LEN },
	{ LINE_KEY("since"), .type = LINE_UINT },
	{ LINE_KEY("first"), .type = LINE_UINT, .min = 1 },
	{ LINE_KEY("last"), .type = LINE_UINT, .min = 1 },
	{ LINE_KEY("start"), .type = LINE_OBJECT, .min = 1, .fields = bank_fields },
	{ LINE_KEY("pcr"), .type = LINE_UINT, .max = EVIDENCE_PCR_MAX },
	{ LINE_KEY("values"), .type = LINE_OBJECT, .min = 1, .fields = bank_fields },
	{ LINE_KEY("quote"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_QUOTE_MAX },
	{ LINE_KEY("signature"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_SIGNATURE_MAX },
	{ LINE_KEY("ak"), .type = LINE_BASE64, .min = 1, .max = EVIDENCE_AK_MAX },
	{ LINE_KEY("batch"), .type = LINE_OBJECT, .fields = batch_fields },
	{ LINE_KEY("kept"), .type = LINE_OBJECT, .flags = LINE_OPTIONAL,
		.fields = statement_kept_fields },
	{ LINE_KEY("behind"), .type = LINE_UINT },
	{ LINE_KEY("state"), .type = LINE_WORD, .words = states },
	{ LINE_KEY("agent"), .type = LINE_TEXT, .max = EVIDENCE_AGENT_MAX },
	{ 0 },
};

/* Bytes of each member at its cap, so that no statement is too long for those who read it. */
enum {
	KEY_LEN = sizeof(
		"\"bpfmeasure\":\"\","), /* the longest, with what is around it and the value */
	UINT_LEN = KEY_LEN + 19,
	SHA256_HEX_LEN = KEY_LEN + 2 * SHA256_LEN,
	BANKS_LEN = KEY_LEN + 4 * KEY_LEN + 2 * (20 + 32 + 48 + 64),
	QUOTED_LEN = 2 * KEY_LEN + BASE64_LEN(EVIDENCE_QUOTE_MAX) +
		BASE64_LEN(EVIDENCE_SIGNATURE_MAX),
	AK_LEN = KEY_LEN + BASE64_LEN(EVIDENCE_AK_MAX),
	BATCH_LEN = KEY_LEN + 2 * UINT_LEN + KEY_LEN + MERKLE_PATH_MAX * SHA256_HEX_LEN,
	KEPT_LEN = KEY_LEN + UINT_LEN + SHA256_HEX_LEN + BANKS_LEN + QUOTED_LEN,
	STATEMENT_LEN = 2 * SHA256_HEX_LEN + 5 * UINT_LEN + 2 * BANKS_LEN + QUOTED_LEN + AK_LEN +
		BATCH_LEN + KEPT_LEN + 3 * KEY_LEN + sizeof("evidence/1measuring{}") +
		EVIDENCE_AGENT_MAX,
};
static_assert((size_t)STATEMENT_LEN <= EVIDENCE_STATEMENT_MAX);
static_assert((size_t)KEPT_LEN + AK_LEN + UINT_LEN + sizeof("kept/1") <= EVIDENCE_KEPT_MAX);

const char *evidence_state_name(enum evidence_state state)
{
	return states[state];
}

static void encode_batch(struct line *line, const struct evidence_statement *statement)
{
	line_open_object(line, "batch");
	line_uint(line, "index", statement->index);
	line_uint(line, "count", statement->count);
	line_open_array(line, "path");
	for (size_t i = 0; i < statement->path_len; i++)
		line_hex(line, NULL, statement->path[i].sha256, SHA256_LEN);
	line_close_array(line);
	line_close_object(line);
}

static void encode_kept(struct line *line, const struct evidence_kept *kept)
{
	line_open_object(line, "kept");
	line_uint(line, "seq", kept->seq);
	line_hex(line, "sha256", kept->sha256, SHA256_LEN);
	encode_banks(line, "values", kept->banks, &kept->values);
	line_base64(line, "quote", kept->quote, kept->quote_len);
	line_base64(line, "signature", kept->signature, kept->signature_len);
	line_close_object(line);
}

static bool is_kept_in_place(const struct evidence_statement *statement)
{
	return statement->kept.seq + 1 >= statement->first &&
		statement->kept.seq <= statement->last;
}

void evidence_statement_encode(struct line *line, const struct evidence_statement *statement)
{
	assert(statement->last >= 1 && statement->first <= statement->last + 1);
	assert(statement->since < statement->first);
	assert(statement->start_banks & statement->banks & 1u << BANK_SHA256);
	assert(statement->index < statement->count && statement->count <= MERKLE_LEAVES_MAX);
	assert(statement->quote_len && statement->signature_len && statement->ak_len);
	assert(!statement->has_kept || is_kept_in_place(statement));

	line_init(line, line->buf, line->size);
	line_open_object(line, NULL);
	line_word(line, "bpfmeasure", versions[0]);
	line_hex(line, "nonce", statement->nonce, SHA256_LEN);
	line_hex(line, "binding", statement->binding, SHA256_LEN);
	line_uint(line, "since", statement->since);
	line_uint(line, "first", statement->first);
	line_uint(line, "last", statement->last);
	encode_banks(line, "start", statement->start_banks, &statement->start);
	line_uint(line, "pcr", statement->pcr);
	encode_banks(line, "values", statement->banks, &statement->values);
	line_base64(line, "quote", statement->quote, statement->quote_len);
	line_base64(line, "signature", statement->signature, statement->signature_len);
	line_base64(line, "ak", statement->ak, statement->ak_len);
	encode_batch(line, statement);
	if (statement->has_kept)
		encode_kept(line, &statement->kept);
	line_uint(line, "behind", statement->behind);
	line_word(line, "state", evidence_state_name(statement->state));
	line_text(line, "agent", statement->agent, strlen(statement->agent), EVIDENCE_AGENT_MAX);
	line_close_object(line);
}

static size_t decode_path(
	struct line_value array, struct merkle_hash ret_path[static MERKLE_PATH_MAX])
{
	struct line_each each = line_each(array);
	struct line_value value;
	size_t len = 0;

	while (len < MERKLE_PATH_MAX && line_next(&each, NULL, &value))
		line_value_hex(value, ret_path[len++].sha256, SHA256_LEN);
	return len;
}

/* The statement's pcr and ak are those of the kept quote as well. */
static void decode_kept(const char *line, size_t len, struct evidence_statement *statement)
{
	struct evidence_kept *kept = &statement->kept;
	struct line_value object;

	statement->has_kept = line_get(line, len, "kept", &object);
	if (!statement->has_kept)
		return;
	kept->seq = line_value_uint(member(line, len, "kept.seq"));
	line_value_hex(member(line, len, "kept.sha256"), kept->sha256, SHA256_LEN);
	kept->banks = decode_banks(member(line, len, "kept.values"), &kept->values);
	kept->quote_len = decode_base64(line, len, "kept.quote", kept->quote, EVIDENCE_QUOTE_MAX);
	kept->signature_len = decode_base64(
		line, len, "kept.signature", kept->signature, EVIDENCE_SIGNATURE_MAX);
	kept->pcr = statement->pcr;
	kept->ak_len = statement->ak_len;
	memcpy(kept->ak, statement->ak, statement->ak_len);
}

static void decode(const char *line, size_t len, struct evidence_statement *ret)
{
	*ret = (struct evidence_statement){
		.since = line_value_uint(member(line, len, "since")),
		.first = line_value_uint(member(line, len, "first")),
		.last = line_value_uint(member(line, len, "last")),
		.pcr = (unsigned)line_value_uint(member(line, len, "pcr")),
		.index = line_value_uint(member(line, len, "batch.index")),
		.count = line_value_uint(member(line, len, "batch.count")),
		.behind = line_value_uint(member(line, len, "behind")),
		.state = (enum evidence_state)line_value_word(member(line, len, "state"), states),
	};
	line_value_hex(member(line, len, "nonce"), ret->nonce, SHA256_LEN);
	line_value_hex(member(line, len, "binding"), ret->binding, SHA256_LEN);
	ret->start_banks = decode_banks(member(line, len, "start"), &ret->start);
	ret->banks = decode_banks(member(line, len, "values"), &ret->values);
	ret->quote_len = decode_base64(line, len, "quote", ret->quote, EVIDENCE_QUOTE_MAX);
	ret->signature_len = decode_base64(
		line, len, "signature", ret->signature, EVIDENCE_SIGNATURE_MAX);
	ret->ak_len = decode_base64(line, len, "ak", ret->ak, EVIDENCE_AK_MAX);
	ret->path_len = decode_path(member(line, len, "batch.path"), ret->path);
	decode_kept(line, len, ret);
	line_value_text(member(line, len, "agent"), ret->agent, sizeof(ret->agent));
}

/* What a table of keys cannot say. */
static const char *contradiction(const struct evidence_statement *statement, const char **ret_key)
{
	*ret_key = "last";
	if (statement->first > statement->last + 1)
		return "the last record is long before the first";
	*ret_key = "since";
	if (statement->since >= statement->first)
		return "the first record is not after those that were known";
	*ret_key = "start";
	if (!(statement->start_banks & 1u << BANK_SHA256))
		return no_sha256;
	*ret_key = "values";
	if (!(statement->banks & 1u << BANK_SHA256))
		return no_sha256;
	*ret_key = "batch";
	if (statement->index >= statement->count)
		return "the index is not below the count";
	*ret_key = "kept";
	if (statement->has_kept && !(statement->kept.banks & 1u << BANK_SHA256))
		return no_sha256;
	if (statement->has_kept && !is_kept_in_place(statement))
		return "it is of none of these records, and not of the one before them";
	return NULL;
}

int evidence_statement_decode(
	const char *line, size_t len, struct evidence_statement *ret, struct line_error *ret_error)
{
	struct evidence_statement statement;
	const char *key;

	int err = check(statement_fields, EVIDENCE_STATEMENT_MAX, line, len, ret_error);
	if (err)
		return err;

	decode(line, len, &statement);
	const char *what = contradiction(&statement, &key);
	if (what)
		return refuse((size_t)(member(line, len, key).at - line), what, ret_error);
	*ret = statement;
	return 0;
}

/* ---- lines of a stream ---- */

void evidence_reader_init(struct evidence_reader *reader, FILE *stream)
{
	reader->stream = stream;
	reader->line = 0;
	reader->begin = reader->end = 0;
}

/* Returns 0 when there are more bytes in buf. */
static int fill(struct evidence_reader *reader)
{
	size_t kept = reader->end - reader->begin;

	if (kept == sizeof(reader->buf))
		return -EMSGSIZE;
	memmove(reader->buf, reader->buf + reader->begin, kept);
	reader->begin = 0;
	reader->end = kept;

	size_t got = fread(reader->buf + kept, 1, sizeof(reader->buf) - kept, reader->stream);
	reader->end += got;
	if (got)
		return 0;
	return ferror(reader->stream) ? -EIO : -ENODATA;
}

int evidence_read(struct evidence_reader *reader, const char **ret_line, size_t *ret_len)
{
	size_t searched = 0;

	for (;;) {
		const char *line = reader->buf + reader->begin;
		size_t have = reader->end - reader->begin;
		const char *newline = memchr(line + searched, '\n', have - searched);
		if (newline) {
			*ret_line = line;
			*ret_len = (size_t)(newline - line);
			reader->begin += *ret_len + 1;
			reader->line++;
			return 1;
		}
		searched = have;
		int err = fill(reader);
		if (err == -ENODATA && !have)
			return 0;
		if (err)
			return err;
	}
}
