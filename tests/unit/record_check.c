/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/rewrite.h"
#include "tests/samples.h"

#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

static char buf[RECORD_LINE_MAX];
static char again[RECORD_LINE_MAX];
static struct sampler sampler;

static struct line new_line(void)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	return line;
}

static struct record_digest digest_of(uint8_t fill)
{
	struct record_digest digest = { .known = true };

	memset(digest.sha256, fill, sizeof(digest.sha256));
	return digest;
}

static int check(const struct line *line)
{
	struct record_head ignored;
	struct line_error error;

	return record_check(line->buf, line->len, &ignored, &error);
}

static void every_line_of_the_encoder_is_accepted_and_read_back(void **)
{
	for (uint64_t i = 0; i < 20000; i++) {
		struct line line = new_line();
		struct record_head out = sample_head(&sampler), in;
		struct line_error error;

		out.kind = sample_kinds[i % SAMPLE_KINDS];
		sample_record(&sampler, out.kind, out, &line);
		assert_int_equal(record_check(line.buf, line.len, &in, &error), 0);
		assert_true(in.seq == out.seq && in.time_ns == out.time_ns &&
			in.boottime_ns == out.boottime_ns && in.kind == out.kind &&
			in.extend == out.extend);
		assert_memory_equal(in.prev, out.prev, SHA256_LEN);
		assert_true(rewrite_is_same(record_schema(), line.buf, line.len, again));
	}
}

/* The other kinds are made of the same objects. */
static const enum record_kind few_kinds[] = { RECORD_EPOCH, RECORD_START, RECORD_LOAD,
	RECORD_ATTACH, RECORD_INTEGRITY, RECORD_LOST, RECORD_FOREIGN, RECORD_TRIM };
enum { FEW_KINDS = sizeof(few_kinds) / sizeof(few_kinds[0]) };

/*
 * Whatever one byte is replaced by, left out or put in, the line is refused, or is the one encoding
 * of something else.
 */
static void a_changed_byte_never_makes_a_second_encoding(void **)
{
	static char changed[RECORD_LINE_MAX];
	struct line line = new_line();
	size_t accepted = 0;

	for (size_t k = 0; k < FEW_KINDS; k++) {
		sampler.state = 100 + k;
		sample_record(&sampler, few_kinds[k], sample_head(&sampler), &line);
		for (size_t at = 0; at < line.len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				struct line edit = { .buf = changed, .len = line.len };

				if (byte == (uint8_t)line.buf[at])
					continue;
				memcpy(changed, line.buf, line.len);
				changed[at] = (char)byte;
				if (check(&edit) < 0)
					continue;
				accepted++;
				assert_true(rewrite_is_same(
					record_schema(), edit.buf, edit.len, again));
			}
	}
	assert_true(accepted > 0);
}

static void an_inserted_or_missing_byte_never_makes_a_second_encoding(void **)
{
	static char changed[RECORD_LINE_MAX];
	static const char bytes[] = " \"\\0x,:[]{}a\n";
	struct line line = new_line();

	for (size_t k = 0; k < FEW_KINDS; k++) {
		sampler.state = 200 + k;
		sample_record(&sampler, few_kinds[k], sample_head(&sampler), &line);
		for (size_t at = 0; at <= line.len; at++) {
			struct line edit = { .buf = changed };

			edit.len = line.len - (at < line.len);
			memcpy(changed, line.buf, at);
			memcpy(changed + at, line.buf + at + 1, edit.len - at);
			if (at < line.len && check(&edit) == 0)
				assert_true(rewrite_is_same(
					record_schema(), edit.buf, edit.len, again));
			edit.len = line.len + 1;
			memcpy(changed + at + 1, line.buf + at, line.len - at);
			for (size_t i = 0; i < sizeof(bytes); i++) {
				changed[at] = bytes[i];
				if (check(&edit) == 0)
					assert_true(rewrite_is_same(
						record_schema(), edit.buf, edit.len, again));
			}
		}
	}
}

static void assert_refused(const char *line, const char *what)
{
	struct record_head result = { .seq = 4711 };
	struct line_error error;

	assert_int_equal(record_check(line, strlen(line), &result, &error), -EBADMSG);
	assert_string_equal(error.what, what);
	assert_int_equal(result.seq, 4711);
}

#define STOP "\"kind\":\"stop\",\"why\":null}"
#define TIME "\"time\":\"2026-01-02T03:04:05.000000006Z\",\"boottime_ns\":99,"

static void other_formats_are_refused(void **)
{
	assert_refused("{\"v\":2,\"seq\":8}", "v: a number outside its range");
	assert_refused("{\"v\":0,\"seq\":8}", "v: a number outside its range");
	assert_refused("{\"v\":1,\"seq\":0,\"prev\":\"" ONES "\"," TIME STOP,
		"seq: a number outside its range");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":null," TIME STOP, "prev: not a string");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"extend\":false,\"kind\":\"stop\",\"why\":null}",
		"kind: this key is missing here");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"kind\":\"stop\",\"extend\":true,\"why\":null}",
		"extend: not false");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"kind\":\"stop\",\"why\":null,\"extend\":false}",
		"the object should end here");
}

/* What stands in a list of words and has no table is reserved; of format 1 nothing is. */
static void no_kind_is_reserved(void **)
{
	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		bool has_sample = false;

		for (size_t i = 0; i < SAMPLE_KINDS; i++)
			has_sample |= sample_kinds[i] == kind;
		if (!has_sample)
			fail_msg("%s has no sample", record_kind_name(kind));
	}
}

/* ---- caps ---- */

static size_t worst_case(const struct line_field *field);

static size_t worst_object(const struct line_field *fields)
{
	size_t len = strlen("{}");
	size_t worst_variant = 0;

	for (const struct line_field *field = fields; field->key; field++) {
		len += field->token_len + worst_case(field);
		if (field->type != LINE_TAG)
			continue;
		for (size_t i = 0; field->words[i]; i++) {
			if (!field->variants[i])
				continue;
			size_t variant = worst_object(field->variants[i]);
			if (variant > worst_variant)
				worst_variant = variant;
		}
	}
	return len + worst_variant;
}

/* The longest that a value can be, as the table has it. */
static size_t worst_case(const struct line_field *field)
{
	size_t len = 0;

	switch (field->type) {
	case LINE_OBJECT:
		return worst_object(field->fields);
	case LINE_ARRAY:
		return strlen("[]") + field->max * (worst_case(field->fields) + strlen(","));
	case LINE_UINT:
	case LINE_BIG:
		return strlen("\"18446744073709551615\"");
	case LINE_BOOL:
	case LINE_FALSE:
		return strlen("false");
	case LINE_HEX:
		return strlen("\"\"") + 2 * field->max;
	case LINE_TEXT: /* every byte escaped once more by JSON; then what a cut adds */
		return strlen("\"\"") + 2 * field->max + strlen("\\\\cut:9223372036854775807:") +
			2 * SHA256_LEN;
	case LINE_WORD:
	case LINE_TAG:
		for (size_t i = 0; field->words[i]; i++)
			if (strlen(field->words[i]) > len)
				len = strlen(field->words[i]);
		return strlen("\"\"") + len;
	case LINE_TIME:
		return strlen("\"2026-01-02T03:04:05.000000006Z\"");
	case LINE_BASE64:
		return strlen("\"\"") + (field->max + 2) / 3 * 4;
	}
	return SIZE_MAX / 2;
}

static size_t depth_of(const struct line_field *fields)
{
	size_t depth = 0;

	for (const struct line_field *field = fields; field->key; field++) {
		size_t inner = 0;

		if (field->type == LINE_OBJECT)
			inner = depth_of(field->fields);
		else if (field->type == LINE_ARRAY)
			inner = 1 + (field->fields->fields ? depth_of(field->fields->fields) : 0);
		else if (field->type == LINE_TAG)
			for (size_t i = 0; field->words[i]; i++)
				if (field->variants[i] && depth_of(field->variants[i]) - 1 > inner)
					inner = depth_of(field->variants[i]) - 1;
		if (inner > depth)
			depth = inner;
	}
	return depth + 1;
}

static void no_line_is_longer_than_the_format_allows(void **)
{
	/* docs/format.md, "Grammar", gives the number. */
	assert_int_equal(worst_object(record_schema()), 63722);
	assert_true(worst_object(record_schema()) <= RECORD_LINE_MAX);
	assert_true(depth_of(record_schema()) <= LINE_DEPTH_MAX);
}

/* Of every byte of it the line needs two, and it is cut. */
static struct record_text longest(void)
{
	static char bytes[RECORD_PATH_MAX + 1];

	memset(bytes, '"', sizeof(bytes));
	return (struct record_text){ .bytes = bytes, .len = sizeof(bytes) };
}

static void every_value_at_its_cap_fits(void **)
{
	const struct record_number most = { true, UINT64_MAX };
	static struct record_map maps[RECORD_MAPS_MAX];
	struct record_load load = {
		.program = { most, longest(), longest(), longest(), longest(), most, false,
			digest_of(1), digest_of(2), true, { 0 }, most, false, false },
		.map_count = RECORD_MAPS_MAX,
		.maps = maps,
		.signature = { VERDICT_VERIFIED, COVERS_INSNS_MAPS, METADATA_KERNEL, digest_of(3),
			KEYRING_SECONDARY, most, most, RECORD_SIGNERS_MAX, { { 0 } }, { 0 },
			digest_of(4), longest(), most, digest_of(5) },
		.chain_digest = digest_of(6),
		.has_parent = true,
		.parent = { UINT64_MAX, digest_of(7), digest_of(8), VERDICT_VERIFIED },
		.loader = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, longest(), longest(),
			most, most, digest_of(9), digest_of(10), longest(), longest(), most, most,
			most, most, false },
		.stage = STAGE_SIGNATURE,
		.error = UINT32_MAX,
	};
	struct record_head full = {
		.seq = UINT64_MAX, .time_ns = UINT64_MAX, .boottime_ns = UINT64_MAX
	};
	struct line line = new_line();

	for (size_t i = 0; i < RECORD_MAPS_MAX; i++)
		maps[i] = (struct record_map){ UINT32_MAX, longest(), longest(), UINT32_MAX,
			UINT32_MAX, UINT32_MAX, UINT32_MAX, false, false, digest_of(11) };
	for (size_t i = 0; i < RECORD_SIGNERS_MAX; i++)
		load.signature.claimed_key_ids[i] = longest();
	record_encode_reject(&line, full, &load);
	assert_int_equal(check(&line), 0);
	assert_true(line.len <= worst_object(record_schema()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_of_the_encoder_is_accepted_and_read_back),
		cmocka_unit_test(a_changed_byte_never_makes_a_second_encoding),
		cmocka_unit_test(an_inserted_or_missing_byte_never_makes_a_second_encoding),
		cmocka_unit_test(other_formats_are_refused),
		cmocka_unit_test(no_kind_is_reserved),
		cmocka_unit_test(no_line_is_longer_than_the_format_allows),
		cmocka_unit_test(every_value_at_its_cap_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
