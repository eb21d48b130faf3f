/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST_OF_ABCDE "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"
#define CUT(kept, len)  "\"" kept "\\\\cut:" len ":" DIGEST_OF_ABCDE "\""

static const char *const colours[] = { "red", "green", "grey", NULL };

/* ---- writing ---- */

static char buf[4096];

static void assert_written(struct line *line, const char *expected)
{
	assert_int_equal(line->len, strlen(expected));
	assert_memory_equal(line->buf, expected, line->len);
	line_init(line, buf, sizeof(buf));
}

static void the_writer_sets_commas_between_values(void **)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	line_open_object(&line, NULL);
	line_uint(&line, "n", 1);
	line_open_array(&line, "a");
	line_null(&line, NULL);
	line_bool(&line, NULL, true);
	line_open_object(&line, NULL);
	line_close_object(&line);
	line_open_array(&line, NULL);
	line_close_array(&line);
	line_close_array(&line);
	line_word(&line, "w", "red");
	line_close_object(&line);
	assert_written(&line, "{\"n\":1,\"a\":[null,true,{},[]],\"w\":\"red\"}");
}

static void the_writer_knows_every_type(void **)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	line_uint(&line, NULL, LINE_UINT_MAX);
	assert_written(&line, "9223372036854775807");
	line_uint(&line, NULL, UINT64_MAX);
	assert_written(&line, "9223372036854775807");
	line_big(&line, NULL, UINT64_MAX);
	assert_written(&line, "\"18446744073709551615\"");
	line_hex(&line, NULL, "\x00\xab\xff", 3);
	assert_written(&line, "\"00abff\"");
	line_hex(&line, NULL, NULL, 0);
	assert_written(&line, "\"\"");
	line_base64(&line, NULL, "foobar", 6);
	assert_written(&line, "\"Zm9vYmFy\"");
	line_base64(&line, NULL, "fooba", 5);
	assert_written(&line, "\"Zm9vYmE=\"");
	line_base64(&line, NULL, "\xff\xef\xbe\xff", 4);
	assert_written(&line, "\"/+++/w==\"");
	line_time(&line, NULL, 0);
	assert_written(&line, "\"1970-01-01T00:00:00.000000000Z\"");
	line_time(&line, NULL, UINT64_MAX);
	assert_written(&line, "\"2554-07-21T23:34:33.709551615Z\"");
	line_time(&line, NULL, 1709210096000000007);
	assert_written(&line, "\"2024-02-29T12:34:56.000000007Z\"");
}

static void the_writer_escapes_text(void **)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	line_text(&line, NULL, "", 0, 8);
	assert_written(&line, "\"\"");
	line_text(&line, NULL, "a b~", 4, 8);
	assert_written(&line, "\"a b~\"");
	line_text(&line, NULL, "\"\\", 2, 8);
	assert_written(&line, "\"\\\"\\\\x5c\"");
	line_text(&line, NULL, "\x00\xff", 2, 8);
	assert_written(&line, "\"\\\\x00\\\\xff\"");
	line_text(&line, NULL, "\x1f\x7f", 2, 8);
	assert_written(&line, "\"\\\\x1f\\\\x7f\"");
}

static void the_writer_cuts_before_an_escape(void **)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	line_text(&line, NULL, "abcde", 5, 5);
	assert_written(&line, "\"abcde\"");
	line_text(&line, NULL, "abcde", 5, 4);
	assert_written(&line, CUT("abcd", "5"));
	/* sha256 of "abc\n" */
	line_text(&line, NULL, "abc\n", 4, 6);
	assert_written(&line,
		"\"abc\\\\cut:4:edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb\"");
}

/* Every text of up to two bytes, whatever its cap. */
static void what_is_written_is_what_the_checker_expects(void **)
{
	for (size_t max = 0; max <= 10; max++) {
		const struct line_field fields[] = {
			{ LINE_KEY("k"), .type = LINE_TEXT, .max = max },
			{ .key = NULL },
		};
		for (unsigned i = 0; i < 1U << 16; i++) {
			char bytes[] = { (char)i, (char)(i >> 8) };
			struct line_error error;
			struct line line;

			line_init(&line, buf, sizeof(buf));
			line_open_object(&line, NULL);
			line_text(&line, "k", bytes, i < 256 ? 1 : 2, max);
			line_close_object(&line);
			assert_int_equal(line_check(fields, line.buf, line.len, &error), 0);
		}
	}
}

/* ---- reading ---- */

static const char nested[] =
	"{\"a\":{\"b\":7,\"c\":\"}\\\",{\"},\"d\":[1,[2,\"]\"],{}],\"e\":null}";

static struct line_value get(const char *path)
{
	struct line_value value;

	assert_true(line_get(nested, strlen(nested), path, &value));
	return value;
}

static void get_follows_a_path(void **)
{
	struct line_value value;

	assert_int_equal(line_value_uint(get("a.b")), 7);
	assert_int_equal(get("a.c").len, strlen("\"}\\\",{\""));
	assert_int_equal(get("d").len, strlen("[1,[2,\"]\"],{}]"));
	assert_true(line_value_is_null(get("e")));
	assert_false(line_get(nested, strlen(nested), "b", &value));
	assert_false(line_get(nested, strlen(nested), "a.b.c", &value));
	assert_false(line_get(nested, strlen(nested), "a.", &value));
	assert_false(line_get(nested, strlen(nested), "", &value));
	assert_false(line_get(nested, strlen(nested), "d.e", &value));
	assert_false(line_get(nested, strlen(nested), "aa", &value));
}

static void each_visits_all(void **)
{
	struct line_each each = line_each(get("d"));
	struct line_value key, value;

	assert_true(line_next(&each, &key, &value));
	assert_int_equal(key.len, 0);
	assert_int_equal(line_value_uint(value), 1);
	assert_true(line_next(&each, NULL, &value));
	assert_int_equal(value.len, strlen("[2,\"]\"]"));
	assert_true(line_next(&each, NULL, &value));
	assert_int_equal(value.len, 2);
	assert_false(line_next(&each, NULL, &value));
	assert_false(line_next(&each, NULL, &value));

	each = line_each(value);
	assert_false(line_next(&each, NULL, &value));
	each = line_each(get("e"));
	assert_false(line_next(&each, NULL, &value));
	each = line_each(get("a"));
	assert_true(line_next(&each, &key, &value));
	assert_int_equal(key.len, 1);
	assert_memory_equal(key.at, "b", 1);
}

static struct line_value literal(const char *json)
{
	return (struct line_value){ .at = json, .len = strlen(json) };
}

static void values_are_read(void **)
{
	uint8_t bytes[4] = { 0 };
	char shown[8];

	assert_int_equal(line_value_uint(literal("9223372036854775807")), INT64_MAX);
	assert_true(line_value_uint(literal("\"18446744073709551615\"")) == UINT64_MAX);
	assert_int_equal(line_value_uint(literal("null")), 0);
	assert_true(line_value_bool(literal("true")));
	assert_false(line_value_bool(literal("false")));
	assert_false(line_value_bool(literal("null")));
	assert_true(line_value_is(literal("\"red\""), "red"));
	assert_false(line_value_is(literal("\"red\""), "re"));
	assert_false(line_value_is(literal("null"), "null"));
	assert_int_equal(line_value_word(literal("\"grey\""), colours), 2);
	assert_int_equal(line_value_word(literal("null"), colours), 3);
	assert_int_equal(line_value_hex(literal("\"00af\""), bytes, 4), 2);
	assert_memory_equal(bytes, "\x00\xaf", 2);
	assert_int_equal(line_value_hex(literal("\"0011223344\""), bytes, 4), 4);
	assert_int_equal(line_value_hex(literal("null"), bytes, 4), 0);
	assert_int_equal(line_value_base64(literal("\"Zm9v\""), bytes, 4), 3);
	assert_memory_equal(bytes, "foo", 3);
	assert_int_equal(line_value_base64(literal("\"Zm9vYmFy\""), bytes, 4), 4);
	assert_memory_equal(bytes, "foob", 4);
	assert_int_equal(line_value_base64(literal("\"/+8=\""), bytes, 4), 2);
	assert_memory_equal(bytes, "\xff\xef", 2);
	assert_int_equal(line_value_text(literal("\"a\\\"\\\\x00\""), shown, sizeof(shown)), 6);
	assert_string_equal(shown, "a\"\\x00");
	assert_int_equal(line_value_text(literal("\"abcdefghij\""), shown, sizeof(shown)), 7);
	assert_string_equal(shown, "abcdefg");
	assert_int_equal(line_value_text(literal("null"), shown, sizeof(shown)), 0);
	assert_string_equal(shown, "");
}

/* One moment of every day that the format has, against the C library. */
static void times_are_read_as_they_were_written(void **)
{
	for (uint64_t day = 0; day < 213503; day++) {
		uint64_t time_ns = day * 86400 * 1000000000 + day * 404999999;
		struct line line;

		line_init(&line, buf, sizeof(buf));
		line_time(&line, NULL, time_ns);
		assert_true(line_value_time((struct line_value){ line.buf, line.len }) == time_ns);
	}
	assert_true(line_value_time(literal("\"2554-07-21T23:34:33.709551615Z\"")) == UINT64_MAX);
	assert_int_equal(line_value_time(literal("null")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_writer_sets_commas_between_values),
		cmocka_unit_test(the_writer_knows_every_type),
		cmocka_unit_test(the_writer_escapes_text),
		cmocka_unit_test(the_writer_cuts_before_an_escape),
		cmocka_unit_test(what_is_written_is_what_the_checker_expects),
		cmocka_unit_test(get_follows_a_path),
		cmocka_unit_test(each_visits_all),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(times_are_read_as_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
