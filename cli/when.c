// SPDX-License-Identifier: BSD-2-Clause
#include "cli/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECOND = 1000000000 };

uint64_t when_now(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static struct tm local_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / SECOND);
	struct tm tm = {};

	localtime_r(&seconds, &tm);
	return tm;
}

void when_utc(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
}

void when_short(uint64_t ns, char ret_text[static WHEN_MAX])
{
	const struct tm tm = local_time(ns);

	strftime(ret_text, WHEN_MAX, "%b %d %H:%M:%S", &tm);
}

void when_date(uint64_t ns, char ret_text[static WHEN_MAX])
{
	const struct tm tm = local_time(ns);

	strftime(ret_text, WHEN_MAX, "%b %d", &tm);
}

void when_clock(uint64_t ns, char ret_text[static WHEN_MAX])
{
	const struct tm tm = local_time(ns);

	strftime(ret_text, WHEN_MAX, "%H:%M:%S", &tm);
}

void when_day(uint64_t ns, char ret_text[static WHEN_MAX])
{
	const struct tm tm = local_time(ns);

	strftime(ret_text, WHEN_MAX, "%Y-%m-%d %z", &tm);
}

void when_full(uint64_t ns, char ret_text[static WHEN_MAX])
{
	const struct tm tm = local_time(ns);

	strftime(ret_text, WHEN_MAX, "%Y-%m-%d %H:%M:%S %z", &tm);
}

/* "" where TZ has a longer one than there is room for: strftime() leaves half of it then, without an end. */
static void zone_name(uint64_t ns, char *ret_name, size_t size)
{
	const struct tm tm = local_time(ns);

	if (strftime(ret_name, size, "%Z", &tm) == 0)
		ret_name[0] = '\0';
}

void when_zone(uint64_t now_ns, char ret_text[static WHEN_MAX])
{
	static const uint64_t day = UINT64_C(86400) * SECOND;
	char summer[WHEN_MAX / 2 - 1], winter[WHEN_MAX / 2 - 1];

	/* One of them is, whichever. */
	now_ns -= (uint64_t)local_time(now_ns).tm_yday * day;
	zone_name(now_ns, winter, sizeof(winter));
	zone_name(now_ns + 182 * day, summer, sizeof(summer));
	bool is_one = strcmp(winter, summer) == 0;
	snprintf(ret_text, WHEN_MAX, "%s%s%s", winter, is_one ? "" : "/", is_one ? "" : summer);
}

/* Exactly count digits at *at, moved past them. */
static bool digits(const char **at, unsigned count, int *ret_number)
{
	int number = 0;

	for (unsigned i = 0; i < count; i++, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		number = number * 10 + (**at - '0');
	}
	*ret_number = number;
	return true;
}

static bool literal(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

static bool date(const char **at, struct tm *tm)
{
	int year, month;

	if (!digits(at, 4, &year) || !literal(at, '-') || !digits(at, 2, &month) ||
		!literal(at, '-') || !digits(at, 2, &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return year >= 1970 && month >= 1 && month <= 12 && tm->tm_mday >= 1;
}

static bool minutes(const char **at, struct tm *tm)
{
	return digits(at, 2, &tm->tm_hour) && literal(at, ':') && digits(at, 2, &tm->tm_min) &&
		tm->tm_hour < 24 && tm->tm_min < 60;
}

static bool seconds(const char **at, struct tm *tm)
{
	return literal(at, ':') && digits(at, 2, &tm->tm_sec) && tm->tm_sec < 60;
}

/* ".123": at most nine digits of them count. */
static bool fraction(const char **at, uint64_t *ret_ns)
{
	uint64_t unit = SECOND, ns = 0;

	*ret_ns = 0;
	if (!literal(at, '.'))
		return true;
	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at); ++*at) {
		unit /= 10;
		ns += unit * (uint64_t)(**at - '0');
	}
	*ret_ns = ns;
	return true;
}

/* "Z" or "+01:00": seconds east of UTC. */
static bool zone(const char **at, int *ret_east)
{
	bool west = **at == '-';
	struct tm offset = {};

	*ret_east = 0;
	if (literal(at, 'Z') || literal(at, 'z'))
		return true;
	if ((!literal(at, '+') && !literal(at, '-')) || !minutes(at, &offset))
		return false;
	*ret_east = (offset.tm_hour * 60 + offset.tm_min) * (west ? -60 : 60);
	return true;
}

/* Seconds and a fraction, and whether the calendar has that day: mktime() and timegm() take the
 * 31st of February for one in March. */
static bool finish(time_t at, int mday, const struct tm *tm, uint64_t ns, uint64_t *ret_ns)
{
	uint64_t whole;

	return at >= 0 && tm->tm_mday == mday &&
		!__builtin_mul_overflow((uint64_t)at, SECOND, &whole) &&
		!__builtin_add_overflow(whole, ns, ret_ns);
}

static bool rfc3339(const char *at, uint64_t *ret_ns)
{
	struct tm tm = {};
	uint64_t ns;
	int east;

	if (!date(&at, &tm) || (!literal(&at, 'T') && !literal(&at, 't')) || !minutes(&at, &tm) ||
		!seconds(&at, &tm) || !fraction(&at, &ns) || !zone(&at, &east) || *at)
		return false;
	int mday = tm.tm_mday;
	time_t utc = timegm(&tm);
	return finish(utc - east, mday, &tm, ns, ret_ns);
}

/* The moment that clocks show this, with summer time or without; false: there is none such. */
static bool local_at(struct tm tm, int is_summer, time_t *ret_at)
{
	const struct tm wanted = tm;

	tm.tm_isdst = is_summer;
	*ret_at = mktime(&tm);
	return *ret_at >= 0 && tm.tm_mday == wanted.tm_mday && tm.tm_hour == wanted.tm_hour &&
		tm.tm_min == wanted.tm_min;
}

/* Of a day without midnight: clocks go on from it, and that is midnight of winter time. */
static bool day_begins(struct tm tm, time_t *ret_at)
{
	const int mday = tm.tm_mday;

	tm.tm_isdst = 0;
	*ret_at = mktime(&tm);
	return *ret_at >= 0 && tm.tm_mday == mday;
}

static bool local(const char *at, enum when_end end, uint64_t *ret_ns)
{
	struct tm tm = {};
	time_t summer, winter;

	if (!date(&at, &tm))
		return false;
	bool is_day = !*at;
	if (!is_day && (!literal(&at, ' ') || !minutes(&at, &tm)))
		return false;
	if (*at && (!seconds(&at, &tm) || *at))
		return false;
	bool is_summer = local_at(tm, 1, &summer), is_winter = local_at(tm, 0, &winter);
	if (is_summer && is_winter)
		summer = (summer < winter) == (end == WHEN_FIRST) ? summer : winter;
	else if (is_winter)
		summer = winter;
	else if (!is_summer && !(is_day && day_begins(tm, &summer)))
		return false;
	return finish(summer, tm.tm_mday, &tm, 0, ret_ns);
}

static bool relative(const char *at, uint64_t now_ns, uint64_t *ret_ns)
{
	static const char units[] = "smhdw";
	static const uint64_t lengths[] = { 1, 60, 3600, 86400, 7 * 86400 };
	uint64_t count = 0;

	if (!literal(&at, '-') || !isdigit((unsigned char)*at))
		return false;
	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(count, 10, &count) ||
			__builtin_add_overflow(count, (uint64_t)(*at - '0'), &count))
			return false;
	const char *unit = *at ? strchr(units, *at) : NULL;
	if (!unit || at[1] || __builtin_mul_overflow(count, lengths[unit - units], &count) ||
		__builtin_mul_overflow(count, SECOND, &count))
		return false;
	*ret_ns = count < now_ns ? now_ns - count : 0;
	return true;
}

bool when_parse(const char *text, uint64_t now_ns, enum when_end end, uint64_t *ret_ns)
{
	return relative(text, now_ns, ret_ns) || rfc3339(text, ret_ns) || local(text, end, ret_ns);
}
