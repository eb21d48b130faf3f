// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/html.h"

enum { WRITTEN_MAX = 8192 };

/* What an expression that writes to file has written. */
#define assert_writes(expected, expression)                                                        \
	do {                                                                                       \
		char written[WRITTEN_MAX] = "";                                                    \
		FILE *file = fmemopen(written, sizeof(written), "w");                              \
		assert_non_null(file);                                                             \
		expression;                                                                        \
		fclose(file);                                                                      \
		assert_string_equal(written, expected);                                            \
	} while (0)

static void markup_in_a_text_is_text(void **)
{
	assert_writes("&lt;b&gt;&amp;&quot;&#39;", html(file, "%s", "<b>&\"'"));
	assert_writes("<b title=\"&quot;x\">&amp;lt;</b>",
		html(file, "<b title=\"%s\">%s</b>", "\"x", "&lt;"));
}

static void bytes_that_are_not_printable_are_shown(void **)
{
	assert_writes("a\\x00b\\x1b\\x7f\\xc3\\xa4", html_text(file, "a\0b\x1b\x7f\xc3\xa4", 7));
}

static void a_format_has_numbers_and_cut_texts(void **)
{
	assert_writes("1 2 3 -4 5% abc",
		html(file, "%d %u %zu %" PRId64 " %" PRIu64 "%% %.3s", 1, 2u, (size_t)3,
			(int64_t)-4, (uint64_t)5, "abcd"));
}

static void null_is_no_text(void **)
{
	const char *volatile none = NULL;

	assert_writes("()", html(file, "(%s)", none));
	assert_writes("", html_short(file, none, 10));
}

static void a_long_text_gives_up_its_middle(void **)
{
	assert_writes("/usr/bin/x", html_short(file, "/usr/bin/x", 10));
	assert_writes("/opt/so…n/x", html_short(file, "/opt/somewhere/bin/x", 10));
	assert_writes("&lt;&lt;…&lt;", html_short(file, "<<<<<<", 3));
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* The text as a browser reads it: references resolved. */
static size_t read_back(const char *written, char *text)
{
	static const struct {
		const char *reference;
		char byte;
	} references[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' },
		{ "&#39;", '\'' } };
	size_t len = 0;

	while (*written) {
		size_t used = 0;

		assert_null(strchr("<>\"'", *written));
		assert_in_range(*written, 0x20, 0x7e);
		for (size_t i = 0; *written == '&' && i < 5; i++)
			if (strncmp(written, references[i].reference,
				    strlen(references[i].reference)) == 0) {
				text[len++] = references[i].byte;
				used = strlen(references[i].reference);
			}
		assert_true(*written != '&' || used > 0);
		if (used == 0) {
			text[len++] = *written;
			used = 1;
		}
		written += used;
	}
	return len;
}

static void whatever_the_bytes_no_markup_comes_of_them(void **)
{
	uint32_t state = 1;

	for (unsigned turn = 0; turn < 20000; turn++) {
		char text[64], written[8 * sizeof(text)] = "", back[sizeof(written)],
					   expected[8 * 64];
		size_t len = next_random(&state) % sizeof(text), at = 0;
		FILE *file = fmemopen(written, sizeof(written), "w");

		assert_non_null(file);
		for (size_t i = 0; i < len; i++)
			text[i] = turn % 2 ? (char)next_random(&state)
					   : "<>&\"'\\;#x3a/! \n"[next_random(&state) % 15];
		html_text(file, text, len);
		fclose(file);
		for (size_t i = 0; i < len; i++) {
			if (text[i] >= 0x20 && text[i] <= 0x7e)
				expected[at++] = text[i];
			else
				at += (size_t)sprintf(expected + at, "\\x%02x", (uint8_t)text[i]);
		}
		assert_int_equal(read_back(written, back), at);
		assert_memory_equal(back, expected, at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markup_in_a_text_is_text),
		cmocka_unit_test(bytes_that_are_not_printable_are_shown),
		cmocka_unit_test(a_format_has_numbers_and_cut_texts),
		cmocka_unit_test(null_is_no_text),
		cmocka_unit_test(a_long_text_gives_up_its_middle),
		cmocka_unit_test(whatever_the_bytes_no_markup_comes_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
