// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/when.h"

#define S UINT64_C(1000000000)

static const uint64_t now = 1780272000 * S; /* 2026-06-01T00:00:00Z */

static void assert_time(const char *text, uint64_t expected)
{
	uint64_t ns = 0;

	if (!when_parse(text, now, WHEN_FIRST, &ns) || ns != expected)
		fail_msg("\"%s\": %llu instead of %llu", text, (unsigned long long)ns,
			(unsigned long long)expected);
}

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static void rfc3339_says_its_zone(void **)
{
	set_zone("XXX-5");
	assert_time("2026-06-01T00:00:00Z", now);
	assert_time("2026-06-01t00:00:00z", now);
	assert_time("2026-06-01T02:30:00+02:30", now);
	assert_time("2026-05-31T17:00:00-07:00", now);
	assert_time("2026-06-01T00:00:00.5Z", now + S / 2);
	assert_time("2026-06-01T00:00:00.000000001Z", now + 1);
	assert_time("2026-06-01T00:00:00.0000000019Z", now + 1);
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2554-07-21T23:34:33Z", UINT64_C(18446744073) * S);
}

static void a_time_without_a_zone_is_local(void **)
{
	set_zone("XXX-2");
	assert_time("2026-06-01 02:00:00", now);
	assert_time("2026-06-01 02:00", now);
	assert_time("2026-06-01", now - 7200 * S);
	set_zone("UTC0");
	assert_time("2026-06-01", now);
	assert_time("2024-02-29 23:59:59", 1709251199 * S);
}

static void assert_between(const char *text, const char *first, const char *last)
{
	uint64_t ns, first_ns = 0, last_ns = 0;

	assert_true(when_parse(first, now, WHEN_FIRST, &first_ns));
	assert_true(when_parse(last, now, WHEN_FIRST, &last_ns));
	if (!when_parse(text, now, WHEN_FIRST, &ns) || ns != first_ns)
		fail_msg("first \"%s\"", text);
	if (!when_parse(text, now, WHEN_LAST, &ns) || ns != last_ns)
		fail_msg("last \"%s\"", text);
}

static void an_hour_that_there_is_twice_has_two_ends(void **)
{
	set_zone("Europe/Berlin");
	assert_between(
		"2026-10-25 01:59:59", "2026-10-25T01:59:59+02:00", "2026-10-25T01:59:59+02:00");
	assert_between(
		"2026-10-25 02:30", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00");
	assert_between(
		"2026-10-25 03:00", "2026-10-25T03:00:00+01:00", "2026-10-25T03:00:00+01:00");
	assert_between("2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-25T00:00:00+02:00");
	set_zone("America/Santiago"); /* summer is elsewhere, and the hour is before midnight */
	assert_between(
		"2026-04-04 23:30", "2026-04-04T23:30:00-03:00", "2026-04-04T23:30:00-04:00");
}

static void an_hour_that_is_passed_over_is_no_time(void **)
{
	uint64_t ns;

	set_zone("Europe/Berlin");
	assert_time("2026-03-29 01:59:59", UINT64_C(1774745999) * S);
	assert_time("2026-03-29 03:00:00", UINT64_C(1774746000) * S);
	assert_false(when_parse("2026-03-29 02:00", now, WHEN_FIRST, &ns));
	assert_false(when_parse("2026-03-29 02:59:59", now, WHEN_LAST, &ns));
	set_zone("America/Santiago");
	assert_between("2026-09-06", "2026-09-06T01:00:00-03:00", "2026-09-06T01:00:00-03:00");
	assert_false(when_parse("2026-09-06 00:00", now, WHEN_FIRST, &ns));
}

static void the_zone_may_be_utc(void **)
{
	char text[WHEN_MAX];

	set_zone("Europe/Berlin");
	when_zone(now, text);
	assert_string_equal(text, "CET/CEST");
	when_utc();
	assert_time("2026-06-01 00:00", now);
	assert_time("2026-03-29 02:30", UINT64_C(1774751400) * S);
	when_full(now, text);
	assert_string_equal(text, "2026-06-01 00:00:00 +0000");
	when_zone(now, text);
	assert_string_equal(text, "UTC");
}

static void relative_times_count_back(void **)
{
	assert_time("-0s", now);
	assert_time("-90s", now - 90 * S);
	assert_time("-30m", now - 1800 * S);
	assert_time("-1h", now - 3600 * S);
	assert_time("-2d", now - 2 * 86400 * S);
	assert_time("-1w", now - 7 * 86400 * S);
	assert_time("-99999d", 0);
}

static void what_is_no_time_is_refused(void **)
{
	static const char *const texts[] = {
		"",
		" ",
		"now",
		"-",
		"-1",
		"-h",
		"-1y",
		"1h",
		"+1h",
		"-1hh",
		"--1h",
		"-1.5h",
		"-99999999999999999999s",
		"-9999999999999999999w",
		"2026",
		"2026-06",
		"2026-6-1",
		"2026-00-01",
		"2026-13-01",
		"2026-06-00",
		"2026-06-31",
		"2026-02-29",
		"1969-12-31",
		"9999-12-31",
		"2026-06-01 ",
		"2026-06-01 2",
		"2026-06-01 24:00",
		"2026-06-01 00:60",
		"2026-06-01 00:00:60",
		"2026-06-01 00:00:00.5",
		"2026-06-01 00:00:00Z",
		"2026-06-01T00:00",
		"2026-06-01T00:00Z",
		"2026-06-01T00:00:00",
		"2026-06-01T00:00:00.Z",
		"2026-06-01T00:00:00+1",
		"2026-06-01T00:00:00+24:00",
		"2026-06-01T00:00:00Zx",
		"1970-01-01T00:00:00+01:00",
		"2554-07-21T23:34:34Z",
	};

	set_zone("UTC0");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint64_t ns = 42;
		if (when_parse(texts[i], now, WHEN_FIRST, &ns))
			fail_msg("\"%s\" is %llu", texts[i], (unsigned long long)ns);
		assert_int_equal(ns, 42);
	}
}

static void times_are_shown_in_the_local_zone(void **)
{
	char text[WHEN_MAX];

	set_zone("XXX-2");
	when_short(now, text);
	assert_string_equal(text, "Jun 01 02:00:00");
	when_date(now, text);
	assert_string_equal(text, "Jun 01");
	when_clock(now, text);
	assert_string_equal(text, "02:00:00");
	when_day(now, text);
	assert_string_equal(text, "2026-06-01 +0200");
	when_full(now, text);
	assert_string_equal(text, "2026-06-01 02:00:00 +0200");
	when_full(UINT64_MAX, text);
	assert_string_equal(text, "2554-07-22 01:34:33 +0200");
}

static void a_zone_with_a_name_that_is_too_long_is_shown_without(void **)
{
	static const char letters[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	char zone[sizeof(letters) + 1], text[WHEN_MAX];

	snprintf(zone, sizeof(zone), "%s0", letters);
	set_zone(zone);
	when_zone(now, text);
	assert_string_equal(text, "");
	set_zone("UTC0");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_says_its_zone),
		cmocka_unit_test(a_time_without_a_zone_is_local),
		cmocka_unit_test(an_hour_that_there_is_twice_has_two_ends),
		cmocka_unit_test(an_hour_that_is_passed_over_is_no_time),
		cmocka_unit_test(the_zone_may_be_utc),
		cmocka_unit_test(a_zone_with_a_name_that_is_too_long_is_shown_without),
		cmocka_unit_test(relative_times_count_back),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(times_are_shown_in_the_local_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
