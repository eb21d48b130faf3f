// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/row.h"
#include "cli/terminal.h"

static void assert_shortened(const char *text, size_t width, const char *expected)
{
	char shortened[64];

	size_t columns = terminal_shorten(text, width, shortened);
	assert_int_equal(columns, strlen(shortened));
	assert_string_equal(shortened, expected);
}

static void a_text_that_fits_stays(void **)
{
	assert_shortened("", 1, "");
	assert_shortened("xdp_pass", 8, "xdp_pass");
	assert_shortened("xdp_pass", 0, "xdp_pass");
}

static void a_longer_text_gives_up_its_middle(void **)
{
	assert_shortened("/usr/sbin/bpftool", 9, "/usr~tool");
	assert_shortened("/usr/sbin/bpftool", 8, "/usr~ool");
	assert_shortened("xdp_pass", 2, "x~");
	assert_shortened("xdp_pass", 1, "~");
}

static void an_escape_stays_whole_or_goes(void **)
{
	assert_shortened("\\x1b[31mred", 8, "\\x1b~red");
	assert_shortened("\\x1b[31mred", 7, "~red");
	assert_shortened("red\\x1b[31m", 8, "red~31m");
	assert_shortened("red and\\x0a", 8, "red ~");
}

static void a_number_is_digits_and_nothing_else(void **)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1.0",
		"18446744073709551616", "99999999999999999999" };
	uint64_t number = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cli_number(bad[i], &number));
	assert_int_equal(number, 42);
	assert_true(cli_number("0", &number));
	assert_int_equal(number, 0);
	assert_true(cli_number("18446744073709551615", &number));
	assert_true(number == UINT64_MAX);
}

static void hex_goes_there_and_back(void **)
{
	uint8_t bytes[4] = { 0, 0, 0, 42 };
	char text[9];

	assert_true(cli_unhex("00fFA90b", bytes, 4));
	cli_hex(bytes, 4, text);
	assert_string_equal(text, "00ffa90b");
	assert_false(cli_unhex("00ffa90", bytes, 4));
	assert_false(cli_unhex("00ffa90bc", bytes, 4));
	assert_false(cli_unhex("00ffa90g", bytes, 4));
	assert_false(cli_unhex("", bytes, 4));
}

/* A load by this loader. */
static struct line load_by(struct record_loader loader)
{
	static char buf[RECORD_LINE_MAX];
	struct line line;

	line_init(&line, buf, sizeof(buf));
	record_encode_load(&line, (struct record_head){ .seq = 1, .extend = true },
		&(struct record_load){ .loader = loader });
	return line;
}

static void a_loader_is_shortened_in_its_name(void **)
{
	struct record_loader loader = { .pid = 8,
		.tgid = 7,
		.uid = 1000,
		.comm = { "worker", 6 },
		.exe = { "/opt/bin/agent", 14 } };
	struct line line = load_by(loader);
	char text[ROW_TEXT_MAX];

	row_loader(line.buf, line.len, text);
	assert_string_equal(text, "agent[7]:1000");
	row_loader_shorten("agent[7]:1000", 0, text);
	assert_string_equal(text, "agent[7]:1000");
	row_loader_shorten("agent[7]:1000", 13, text);
	assert_string_equal(text, "agent[7]:1000");
	assert_int_equal(row_loader_shorten("agent[7]:1000", 12, text), 12);
	assert_string_equal(text, "ag~t[7]:1000");
	row_loader_shorten("a[1][7]:1000", 11, text);
	assert_string_equal(text, "a~][7]:1000");
	assert_int_equal(row_loader_shorten("agent[7]:1000", 8, text), 8);
	assert_string_equal(text, "agen~000");
	loader.exe.bytes = NULL;
	line = load_by(loader);
	row_loader(line.buf, line.len, text);
	assert_string_equal(text, "worker[7]:1000");
	loader.comm.bytes = NULL;
	line = load_by(loader);
	row_loader(line.buf, line.len, text);
	assert_string_equal(text, "[7]:1000");
}

/* The longest texts that a record can have. */
static void rows_hold_any_record(void **)
{
	static char path[RECORD_PATH_MAX + 100];
	struct record_head head;
	struct line_error error;
	struct row row;

	memset(path, '\x01', sizeof(path));
	struct line line = load_by((struct record_loader){ .exe = { path, sizeof(path) } });
	struct filter_line of = { .line = line.buf, .len = line.len };
	assert_int_equal(record_check(line.buf, line.len, &head, &error), 0);
	of.head = head;
	row_fill(NULL, &of, &row);
	assert_true(strlen(row.loader) > RECORD_PATH_MAX - 4);
	assert_string_equal(row.what, "- -");
	assert_string_equal(row.verdict, "unknown");
}

static void assert_word(const char *expected, const char *text)
{
	char word[DOCTOR_QUOTED_MAX];

	assert_string_equal(doctor_word(text, word), expected);
}

static void a_word_of_a_command_is_one_word_and_no_option(void **)
{
	char text[2 * DOCTOR_QUOTED_MAX];

	assert_word("/var/lib/bpfmeasure/log.db", "/var/lib/bpfmeasure/log.db");
	assert_word("'a b'", "a b");
	assert_word("'$(id);'", "$(id);");
	assert_word("'it'\\''s'", "it's");
	assert_word("''", "");
	assert_word("NAME", "--reboot");
	assert_word("NAME", "a\nb");
	assert_word("NAME", "\xc3\xa4");
	for (const char *byte = "a'"; *byte; byte++) { /* in quotes the second is longer */
		memset(text, *byte, sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		assert_word("NAME", text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_fits_stays),
		cmocka_unit_test(a_longer_text_gives_up_its_middle),
		cmocka_unit_test(an_escape_stays_whole_or_goes),
		cmocka_unit_test(a_number_is_digits_and_nothing_else),
		cmocka_unit_test(hex_goes_there_and_back),
		cmocka_unit_test(a_loader_is_shortened_in_its_name),
		cmocka_unit_test(rows_hold_any_record),
		cmocka_unit_test(a_word_of_a_command_is_one_word_and_no_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
