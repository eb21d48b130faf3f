// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>
#include <time.h>

#include "cli/report_own.h"

enum { LEFT = 76, MINUTE = 60, HOUR = 3600, DAY = 86400 };

/* Lengths that people count in. */
static const int64_t lengths[] = { 1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE,
	15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY,
	4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 182 * DAY, 365 * DAY, 730 * DAY, 1825 * DAY,
	3650 * DAY, (int64_t)36500 * DAY };

/* The shortest of which no more than so many make the whole. */
static int64_t length_for(int64_t whole, int64_t at_most)
{
	size_t i = 0;

	while (i + 1 < sizeof(lengths) / sizeof(lengths[0]) && whole > lengths[i] * (at_most - 1))
		i++;
	return lengths[i];
}

static int64_t floor_to(int64_t s, int64_t length, int64_t east)
{
	return s - ((s + east) % length + length) % length;
}

static int64_t within_records_times(int64_t s)
{
	const int64_t last = INT64_C(253402300799); /* of the year 9999 */

	if (s < 0)
		return 0;
	return s < last ? s : last;
}

void axis_init(struct axis *axis, int64_t first_s, int64_t last_s)
{
	enum { TICKS_MAX = 10 };
	struct tm tm = {};

	/* Times that no record has are in a file that somebody changed: so BUCKETS_MAX is always enough. */
	first_s = within_records_times(first_s);
	last_s = within_records_times(last_s);
	time_t at = (time_t)first_s;
	localtime_r(&at, &tm);
	axis->east = tm.tm_gmtoff;
	axis->bucket = length_for(last_s - first_s + 1, BUCKETS_MAX);
	axis->from = floor_to(first_s, axis->bucket, axis->east);
	axis->buckets = (unsigned)((last_s - axis->from) / axis->bucket + 1);
	axis->to = axis->from + (int64_t)axis->buckets * axis->bucket;
	axis->tick = length_for(axis->to - axis->from, TICKS_MAX);
}

int64_t axis_x(const struct axis *axis, int64_t s)
{
	if (s < axis->from)
		s = axis->from;
	if (s > axis->to)
		s = axis->to;
	return LEFT + (s - axis->from) * (AXIS_WIDTH - LEFT) / (axis->to - axis->from);
}

unsigned axis_bucket(const struct axis *axis, int64_t s)
{
	int64_t bucket = (s - axis->from) / axis->bucket;

	if (bucket < 0)
		return 0;
	return bucket < axis->buckets ? (unsigned)bucket : axis->buckets - 1;
}

void axis_text(int64_t s, enum stamp stamp, char ret_text[static AXIS_TEXT_MAX])
{
	time_t at = (time_t)s;
	struct tm tm = {};
	size_t len = 0;

	localtime_r(&at, &tm);
	switch (stamp) {
	case STAMP_FULL:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
		break;
	case STAMP_SECOND:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%H:%M:%S", &tm);
		break;
	case STAMP_MINUTE:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%H:%M", &tm);
		break;
	case STAMP_DAY:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%e %b", &tm);
		break;
	case STAMP_MONTH:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%b %Y", &tm);
		break;
	case STAMP_YEAR:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%Y", &tm);
		break;
	case STAMP_ZONE:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%Z", &tm);
		break;
	case STAMP_OFFSET:
		len = strftime(ret_text, AXIS_TEXT_MAX, "%z", &tm);
		break;
	}
	if (len == 0)
		ret_text[0] = '\0';
}

/* To the right of x, and to the left of it where the picture would cut it. */
static void draw_label(const struct page *page, int64_t x, int y, const char *text)
{
	enum { BESIDE = 3, CHARACTER = 7 };
	const int64_t end = x + BESIDE + CHARACTER * (int64_t)strlen(text);

	if (end <= AXIS_WIDTH)
		html(page->file, "<text x=\"%" PRId64 "\" y=\"%d\">%s</text>", x + BESIDE, y, text);
	else
		html(page->file, "<text x=\"%" PRId64 "\" y=\"%d\" text-anchor=\"end\">%s</text>",
			x - BESIDE, y, text);
}

/* The day as well where it is another than the label's before. */
void axis_draw(const struct page *page, int top, int bottom, bool has_labels)
{
	const struct axis *axis = &page->axis;
	char text[AXIS_TEXT_MAX], day[AXIS_TEXT_MAX], last[AXIS_TEXT_MAX] = "";
	enum stamp stamp = axis->tick < MINUTE ? STAMP_SECOND
		: axis->tick < DAY             ? STAMP_MINUTE
		: axis->tick < 28 * DAY        ? STAMP_DAY
		: axis->tick < 365 * DAY       ? STAMP_MONTH
					       : STAMP_YEAR;
	int64_t first = floor_to(axis->from, axis->tick, axis->east);

	for (int64_t s = first < axis->from ? first + axis->tick : first; s < axis->to;
		s += axis->tick) {
		int64_t x = axis_x(axis, s);

		html(page->file, "<path class=\"tick\" d=\"M%" PRId64 " %dV%d\"/>", x, top, bottom);
		if (!has_labels)
			continue;
		axis_text(s, stamp, text);
		draw_label(page, x, bottom + 12, text);
		axis_text(s, STAMP_DAY, day);
		if (axis->tick < DAY && strcmp(day, last) != 0)
			draw_label(page, x, bottom + 24, day);
		strcpy(last, day);
	}
}
