/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/bank.h"
#include "tests/rewrite.h"

#define DIGEST_OF_ABCDE "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"

static const char *const colours[] = { "red", "green", "grey", NULL };
static const struct line_field numbers[] = { { .type = LINE_UINT } };
static const struct line_field more[] = { { LINE_KEY("m"), .type = LINE_UINT }, { .key = NULL } };
static const struct line_field none[] = { { .key = NULL } };
static const struct line_field *const variants[] = { more, none, NULL };
static const struct line_field members[] = {
	{ LINE_KEY("a"), .type = LINE_UINT, .flags = LINE_OPTIONAL },
	{ LINE_KEY("b"), .type = LINE_UINT, .flags = LINE_OPTIONAL },
	{ .key = NULL },
};

static const struct line_field plain = { LINE_KEY("k"), .type = LINE_UINT };
static const struct line_field ranged = { LINE_KEY("k"), .type = LINE_UINT, .min = 5, .max = 20 };
static const struct line_field big = { LINE_KEY("k"), .type = LINE_BIG };
static const struct line_field boolean = { LINE_KEY("k"), .type = LINE_BOOL };
static const struct line_field only_false = { LINE_KEY("k"), .type = LINE_FALSE };
static const struct line_field hex = { LINE_KEY("k"), .type = LINE_HEX, .min = 1, .max = 3 };
static const struct line_field text = { LINE_KEY("k"), .type = LINE_TEXT, .max = 8 };
static const struct line_field text4 = { LINE_KEY("k"), .type = LINE_TEXT, .max = 4 };
static const struct line_field word = { LINE_KEY("k"), .type = LINE_WORD, .words = colours };
static const struct line_field tag = { LINE_KEY("k"), .type = LINE_TAG, .words = colours,
	.variants = variants };
static const struct line_field moment = { LINE_KEY("k"), .type = LINE_TIME };
static const struct line_field base64 = { LINE_KEY("k"), .type = LINE_BASE64, .min = 1, .max = 5 };
static const struct line_field array = { LINE_KEY("k"), .type = LINE_ARRAY, .min = 1, .max = 3,
	.fields = numbers };
static const struct line_field object = { LINE_KEY("k"), .type = LINE_OBJECT, .min = 1,
	.fields = members };
static const struct line_field nullable = { LINE_KEY("k"), .type = LINE_TEXT,
	.flags = LINE_NULLABLE, .max = 8 };

/* line_check() of {"k":VALUE}; what it says where it refuses goes to ret_error. The bytes are in
 * memory of their own, so that ASan sees whoever reads behind them. */
static int check(const struct line_field *field, const char *value, struct line_error *ret_error)
{
	const struct line_field fields[] = { *field, { .key = NULL } };
	size_t len = strlen(value) + strlen("{\"k\":}");
	char *line = malloc(len + 1);

	snprintf(line, len + 1, "{\"k\":%s}", value);
	char *exact = malloc(len);
	memcpy(exact, line, len);
	int r = line_check(fields, exact, len, ret_error);
	if (r == 0)
		assert_true(rewrite_is_same(fields, exact, len, line));
	/* Nothing that was accepted is still accepted when its end is missing. */
	struct line_error error;
	for (size_t i = 0; i < len; i++) {
		memcpy(line, exact, i);
		char *cut = malloc(i ? i : 1);
		memcpy(cut, exact, i);
		assert_int_equal(line_check(fields, cut, i, &error), -EBADMSG);
		free(cut);
	}
	free(exact);
	free(line);
	return r;
}

static void accept(const struct line_field *field, const char *value)
{
	struct line_error error;

	if (check(field, value, &error) < 0)
		fail_msg("%s: %s at %zu", value, error.what, error.at);
}

/* at counts from the value's first byte. */
static void refuse(const struct line_field *field, const char *value, size_t at, const char *what)
{
	struct line_error error;
	const char *key = "k: ";

	if (check(field, value, &error) == 0)
		fail_msg("%s: accepted", value);
	/* What is wrong behind the value is wrong with the line. */
	if (strncmp(error.what, key, strlen(key)) != 0)
		key = "";
	assert_string_equal(error.what + strlen(key), what);
	assert_int_equal(error.at, at + strlen("{\"k\":"));
}

static void a_number_has_one_form(void **)
{
	accept(&plain, "0");
	accept(&plain, "7");
	accept(&plain, "9223372036854775807");
	refuse(&plain, "9223372036854775808", 0, "a number outside its range");
	refuse(&plain, "18446744073709551615", 0, "a number outside its range");
	refuse(&plain, "18446744073709551616", 0, "a number that is too large");
	refuse(&plain, "99999999999999999999", 0, "a number that is too large");
	refuse(&plain, "1000000000000000000000000", 0, "a number that is too large");
	refuse(&plain, "00", 0, "a number with a leading zero");
	refuse(&plain, "07", 0, "a number with a leading zero");
	refuse(&plain, "-1", 0, "not a number");
	refuse(&plain, "+1", 0, "not a number");
	refuse(&plain, "", 0, "not a number");
	refuse(&plain, "\"1\"", 0, "not a number");
	refuse(&plain, "null", 0, "not a number");
	refuse(&plain, " 1", 0, "not a number");
	refuse(&plain, "1 ", 1, "the object should end here");
	refuse(&plain, "1.0", 1, "the object should end here");
	refuse(&plain, "1e3", 1, "the object should end here");
	accept(&ranged, "5");
	accept(&ranged, "20");
	refuse(&ranged, "4", 0, "a number outside its range");
	refuse(&ranged, "21", 0, "a number outside its range");
}

static void a_big_number_is_a_decimal_string(void **)
{
	accept(&big, "\"0\"");
	accept(&big, "\"18446744073709551615\"");
	refuse(&big, "\"18446744073709551616\"", 1, "a number that is too large");
	refuse(&big, "\"00\"", 1, "a number with a leading zero");
	refuse(&big, "\"\"", 1, "not a number");
	refuse(&big, "1", 0, "not a string");
	refuse(&big, "\"1a\"", 2, "the string should end here");
}

static void booleans_are_words(void **)
{
	accept(&boolean, "true");
	accept(&boolean, "false");
	refuse(&boolean, "True", 0, "neither true nor false");
	refuse(&boolean, "1", 0, "neither true nor false");
	accept(&only_false, "false");
	refuse(&only_false, "true", 0, "not false");
}

static void hex_is_lower_case_and_of_the_right_length(void **)
{
	accept(&hex, "\"00\"");
	accept(&hex, "\"abcdef\"");
	refuse(&hex, "\"\"", 1, "not enough lower-case hexadecimal digits");
	refuse(&hex, "\"0\"", 2, "not enough lower-case hexadecimal digits");
	refuse(&hex, "\"abc\"", 4, "not enough lower-case hexadecimal digits");
	refuse(&hex, "\"AB\"", 1, "not enough lower-case hexadecimal digits");
	refuse(&hex, "\"0g\"", 2, "not enough lower-case hexadecimal digits");
	refuse(&hex, "\"00112233\"", 7, "the string should end here");
	refuse(&hex, "00", 0, "not a string");
}

static void text_has_one_escaped_form(void **)
{
	accept(&text, "\"\"");
	accept(&text, "\"a b~!@^\"");
	accept(&text, "\"\\\"\"");
	accept(&text, "\"\\\\x5c\"");
	accept(&text, "\"\\\\x00\\\\xff\"");
	accept(&text, "\"\\\\x1f\\\\x7f\"");
	refuse(&text, "\"\\\\x20\"", 4, "an escape of a byte that stands for itself");
	refuse(&text, "\"\\\\x41\"", 4, "an escape of a byte that stands for itself");
	refuse(&text, "\"\\\\x22\"", 4, "an escape of a byte that stands for itself");
	refuse(&text, "\"\\\\x7e\"", 4, "an escape of a byte that stands for itself");
	refuse(&text, "\"\\\\x5C\"", 4, "an escape without its two lower-case hexadecimal digits");
	refuse(&text, "\"\\\\xF\"", 4, "an escape without its two lower-case hexadecimal digits");
	refuse(&text, "\"\\\\x\"", 4, "an escape without its two lower-case hexadecimal digits");
	refuse(&text, "\"\\\\X00\"", 1, "not a character of a text");
	refuse(&text, "\"\\\\\"", 1, "not a character of a text");
	refuse(&text, "\"\\n\"", 1, "not a character of a text");
	refuse(&text, "\"\\/\"", 1, "not a character of a text");
	refuse(&text, "\"\\u0041\"", 1, "not a character of a text");
	refuse(&text, "\"\\x00\"", 1, "not a character of a text");
	refuse(&text, "\"a\tb\"", 2, "not a character of a text");
	refuse(&text, "\"a\x7f\"", 2, "not a character of a text");
	refuse(&text, "\"\xc3\xa9\"", 1, "not a character of a text");
	refuse(&text, "7", 0, "not a string");
}

static void text_ends_at_its_cap(void **)
{
	accept(&text, "\"12345678\"");
	accept(&text, "\"1234\\\\x00\"");
	accept(&text, "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"");
	refuse(&text, "\"123456789\"", 10, "a text longer than its cap");
	refuse(&text, "\"12345\\\\x00\"", 11, "a text longer than its cap");
}

#define CUT(kept, len) "\"" kept "\\\\cut:" len ":" DIGEST_OF_ABCDE "\""

static void a_cut_is_where_the_writer_would_have_made_it(void **)
{
	accept(&text4, CUT("abcd", "5"));
	accept(&text4, CUT("abcd", "9223372036854775807"));
	accept(&text4, CUT("abc", "4"));
	accept(&text4, CUT("a", "2"));
	accept(&text4, CUT("\\\\x00", "2"));
	refuse(&text4, CUT("", "5"), 7, "a text that was cut too early");
	refuse(&text, CUT("abcd", "5"), 11, "a text that was cut too early");
	refuse(&text4, CUT("abcde", "6"), 6, "a text longer than its cap");
	refuse(&text4, CUT("abcd", "4"), 12, "a cut text of the wrong length");
	refuse(&text4, CUT("abcd", "0"), 12, "a cut text of the wrong length");
	refuse(&text4, CUT("abcd", "05"), 11, "a number with a leading zero");
	refuse(&text4, CUT("abcd", ""), 11, "not a number");
	refuse(&text4, CUT("abcd", "9223372036854775808"), 30, "a cut text of the wrong length");
	refuse(&text4, "\"abcd\\\\cut:5\"", 12, "a cut text without its digest");
	refuse(&text4, "\"abcd\\\\cut:5:00\"", 15, "not enough lower-case hexadecimal digits");
	refuse(&text4, "\"abcd\\\\cut:5:" DIGEST_OF_ABCDE "0\"", 77, "the string should end here");
	refuse(&text4, "\"abcd\\\\cut\"", 5, "not a character of a text");
}

static void a_word_is_one_of_its_list(void **)
{
	accept(&word, "\"red\"");
	accept(&word, "\"grey\"");
	refuse(&word, "\"re\"", 1, "not one of its words");
	refuse(&word, "\"redd\"", 1, "not one of its words");
	refuse(&word, "\"\"", 1, "not one of its words");
	refuse(&word, "red", 0, "not a string");
	refuse(&word, "null", 0, "not a string");
}

static void a_tag_brings_its_own_keys(void **)
{
	accept(&tag, "\"red\",\"m\":1");
	accept(&tag, "\"green\"");
	refuse(&tag, "\"grey\"", 0, "reserved, and not yet part of the format");
	refuse(&tag, "\"blue\"", 1, "not one of its words");
	refuse(&tag, "\"green\",\"m\":1", 7, "the object should end here");

	struct line_error error;
	assert_int_equal(check(&tag, "\"red\"", &error), -EBADMSG);
	assert_string_equal(error.what, "m: this key is missing here");
}

static void a_time_exists(void **)
{
	accept(&moment, "\"1970-01-01T00:00:00.000000000Z\"");
	accept(&moment, "\"2000-02-29T23:59:59.999999999Z\"");
	accept(&moment, "\"2024-02-29T00:00:00.000000000Z\"");
	accept(&moment, "\"2100-02-28T00:00:00.000000000Z\"");
	accept(&moment, "\"2100-03-01T00:00:00.000000000Z\"");
	accept(&moment, "\"2400-02-29T00:00:00.000000000Z\"");
	accept(&moment, "\"2554-07-21T23:34:33.709551615Z\"");
	static const char *const impossible[] = {
		"\"2554-07-21T23:34:33.709551616Z\"",
		"\"9999-12-31T23:59:59.999999999Z\"",
		"\"1969-12-31T23:59:59.999999999Z\"",
		"\"0000-01-01T00:00:00.000000000Z\"",
		"\"2023-02-29T00:00:00.000000000Z\"",
		"\"2100-02-29T00:00:00.000000000Z\"",
		"\"2024-04-31T00:00:00.000000000Z\"",
		"\"2024-00-10T00:00:00.000000000Z\"",
		"\"2024-13-10T00:00:00.000000000Z\"",
		"\"2024-01-00T00:00:00.000000000Z\"",
		"\"2024-01-32T00:00:00.000000000Z\"",
		"\"2024-01-01T24:00:00.000000000Z\"",
		"\"2024-01-01T00:60:00.000000000Z\"",
		"\"2024-06-30T23:59:60.000000000Z\"",
	};
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++)
		refuse(&moment, impossible[i], 1, "a time that does not exist");
	static const char *const shapeless[] = {
		"\"2024-01-01 00:00:00.000000000Z\"",
		"\"2024-01-01t00:00:00.000000000z\"",
		"\"2024-01-01T00:00:00.000000000+\"",
		"\"2024-01-01T00:00:00Z\"",
		"\"2024-01-01T00:00:0x.000000000Z\"",
	};
	for (size_t i = 0; i < sizeof(shapeless) / sizeof(shapeless[0]); i++)
		refuse(&moment, shapeless[i], 1, "not a time");
	refuse(&moment, "\"2024-01-01T00:00:00.000000000ZZ\"", 31, "the string should end here");
}

static void base64_is_padded_with_zeros(void **)
{
	accept(&base64, "\"AA==\"");
	accept(&base64, "\"/w==\"");
	accept(&base64, "\"+/8=\"");
	accept(&base64, "\"Zm9v\"");
	accept(&base64, "\"Zm9vYmE=\"");
	refuse(&base64, "\"\"", 1, "a base64 value of the wrong length");
	refuse(&base64, "\"Zm9vYmFy\"", 9, "a base64 value of the wrong length");
	refuse(&base64, "\"AB==\"", 3, "base64 that is not padded with zeros");
	refuse(&base64, "\"AAB=\"", 4, "base64 that is not padded with zeros");
	refuse(&base64, "\"AA=\"", 3, "base64 that is not padded with zeros");
	refuse(&base64, "\"AA\"", 3, "base64 that is not padded with zeros");
	refuse(&base64, "\"AAA\"", 4, "base64 that is not padded with zeros");
	refuse(&base64, "\"AAAAA\"", 6, "base64 that is not padded with zeros");
	refuse(&base64, "\"AA===\"", 5, "the string should end here");
	refuse(&base64, "\"Zm9v=\"", 5, "the string should end here");
	refuse(&base64, "\"A-==\"", 2, "a base64 value of the wrong length");
	refuse(&base64, "\"A\"", 2, "a base64 value of the wrong length");
}

static void arrays_and_objects_keep_their_counts(void **)
{
	accept(&array, "[1]");
	accept(&array, "[1,2,3]");
	refuse(&array, "[]", 1, "too few elements");
	refuse(&array, "[1,2,3,4]", 6, "the array should end here");
	refuse(&array, "[1,]", 3, "not a number");
	refuse(&array, "[,1]", 1, "not a number");
	refuse(&array, "[1 ,2]", 2, "the array should end here");
	refuse(&array, "[1", 2, "the array should end here");
	refuse(&array, "1", 0, "not an array");
	accept(&object, "{\"a\":1}");
	accept(&object, "{\"b\":1}");
	accept(&object, "{\"a\":1,\"b\":1}");
	refuse(&object, "{}", 1, "too few keys");
	refuse(&object, "{\"b\":1,\"a\":1}", 6, "the object should end here");
	refuse(&object, "{\"a\":1,\"a\":1}", 6, "the object should end here");
	refuse(&object, "{\"c\":1}", 1, "too few keys");
	refuse(&object, "{\"a\": 1}", 5, "k.a: not a number");
	refuse(&object, "{ \"a\":1}", 1, "too few keys");
	refuse(&object, "[]", 0, "not an object");
}

static void only_what_may_be_null_is(void **)
{
	accept(&nullable, "null");
	accept(&nullable, "\"null\"");
	refuse(&nullable, "nul", 0, "not a string");
	refuse(&nullable, "nulll", 4, "the object should end here");
}

static void a_line_is_one_object_and_nothing_else(void **)
{
	const struct line_field fields[] = { plain, { .key = NULL } };
	struct line_error error;
	static const struct {
		const char *line;
		size_t at;
		const char *what;
	} cases[] = {
		{ "", 0, "not an object" },
		{ "1", 0, "not an object" },
		{ " {\"k\":1}", 0, "not an object" },
		{ "{\"k\":1} ", 7, "bytes behind the end of the line's object" },
		{ "{\"k\":1}\n", 7, "bytes behind the end of the line's object" },
		{ "{\"k\":1}{\"k\":1}", 7, "bytes behind the end of the line's object" },
		{ "{}", 1, "k: this key is missing here" },
		{ "{\"K\":1}", 1, "k: this key is missing here" },
		{ "{\"k\" :1}", 1, "k: this key is missing here" },
		{ "{,\"k\":1}", 1, "k: this key is missing here" },
		{ "{\"k\":1,}", 6, "the object should end here" },
		{ "{\"k\":1,\"k\":1}", 6, "the object should end here" },
		{ "{\"k\":1,\"l\":1}", 6, "the object should end here" },
		{ "\xef\xbb\xbf{\"k\":1}", 0, "not an object" },
	};

	assert_int_equal(line_check(fields, "{\"k\":1}", 7, &error), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			line_check(fields, cases[i].line, strlen(cases[i].line), &error), -EBADMSG);
		assert_string_equal(error.what, cases[i].what);
		assert_int_equal(error.at, cases[i].at);
	}
	assert_int_equal(line_check(fields, "{\"k\":\0001}", 8, &error), -EBADMSG);
}

static void an_error_names_the_place(void **)
{
	static const struct line_field inner[] = {
		{ LINE_KEY("x"), .type = LINE_UINT },
		{ .key = NULL },
	};
	static const struct line_field element = { .type = LINE_OBJECT, .fields = inner };
	static const struct line_field middle[] = {
		{ LINE_KEY("list"), .type = LINE_ARRAY, .max = 3, .fields = &element },
		{ .key = NULL },
	};
	static const struct line_field outer[] = {
		{ LINE_KEY("top"), .type = LINE_OBJECT, .fields = middle },
		{ .key = NULL },
	};
	const char line[] = "{\"top\":{\"list\":[{\"x\":1},{\"x\":-}]}}";
	struct line_error error;

	assert_int_equal(line_check(outer, line, strlen(line), &error), -EBADMSG);
	assert_string_equal(error.what, "top.list.x: not a number");
	assert_int_equal(line[error.at], '-');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_has_one_form),
		cmocka_unit_test(a_big_number_is_a_decimal_string),
		cmocka_unit_test(booleans_are_words),
		cmocka_unit_test(hex_is_lower_case_and_of_the_right_length),
		cmocka_unit_test(text_has_one_escaped_form),
		cmocka_unit_test(text_ends_at_its_cap),
		cmocka_unit_test(a_cut_is_where_the_writer_would_have_made_it),
		cmocka_unit_test(a_word_is_one_of_its_list),
		cmocka_unit_test(a_tag_brings_its_own_keys),
		cmocka_unit_test(a_time_exists),
		cmocka_unit_test(base64_is_padded_with_zeros),
		cmocka_unit_test(arrays_and_objects_keep_their_counts),
		cmocka_unit_test(only_what_may_be_null_is),
		cmocka_unit_test(a_line_is_one_object_and_nothing_else),
		cmocka_unit_test(an_error_names_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
