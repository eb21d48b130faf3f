// SPDX-License-Identifier: BSD-2-Clause
/* Loads by verdict over time, and what happened to the log itself. */
#include <string.h>

#include "cli/report_own.h"

enum {
	TOP = 14,
	HEIGHT = 190,
	LANE = 22,
	LANE_COUNT = 3,
	VIEW = TOP + HEIGHT + LANE_COUNT * LANE + 42
};

enum mark {
	MARK_EPOCH,
	MARK_BROKEN,
	MARK_RESUME,
	MARK_FOREIGN,
	MARK_LOST,
	MARK_TRIM,
	MARK_START,
	MARK_COUNT
};

static void timeline_begin(struct page *page)
{
	page_section(page, "timeline", "Timeline of loads", NULL);
	page->timeline = (struct timeline){ .stopped_s = -1 };
}

static void timeline_row(struct page *page, const struct db_row *row)
{
	unsigned series = (unsigned)row_number(row, "series");
	unsigned bucket = axis_bucket(&page->axis, row_number(row, "s"));

	page->timeline.counts[bucket][series] += (uint64_t)row_number(row, "count");
}

const struct section report_timeline = { timeline_begin, timeline_row, NULL };

/* ---- marks ---- */

static enum mark mark_of(const char *kind, const char *why)
{
	if (strcmp(kind, "epoch") == 0)
		return strcmp(why, "broken_log") == 0 ? MARK_BROKEN : MARK_EPOCH;
	if (strcmp(kind, "resume") == 0)
		return MARK_RESUME;
	if (strcmp(kind, "foreign") == 0)
		return MARK_FOREIGN;
	if (strcmp(kind, "lost") == 0)
		return MARK_LOST;
	return strcmp(kind, "trim") == 0 ? MARK_TRIM : MARK_START;
}

static void marks_row(struct page *page, const struct db_row *row)
{
	struct timeline *timeline = &page->timeline;
	const char *kind = row_text(row, "kind"), *why = row_text(row, "why");
	int64_t s = row_number(row, "s");

	if (!kind || !why)
		return;
	if (strcmp(kind, "stop") == 0) {
		timeline->stopped_s = s;
		return;
	}
	timeline->marks[axis_bucket(&page->axis, s)][mark_of(kind, why)]++;
	if (strcmp(kind, "start") != 0 || timeline->stopped_s < 0)
		return;
	if (timeline->stop_count < BUCKETS_MAX) {
		timeline->stops[timeline->stop_count].from = timeline->stopped_s;
		timeline->stops[timeline->stop_count++].to = s;
	}
	timeline->stopped_s = -1;
}

/* ---- the picture ---- */

struct scale {
	uint64_t loads, rejects; /* of the fullest bucket */
	int64_t base; /* where the bars stand */
};

static struct scale scale_of(const struct page *page)
{
	struct scale scale = {};

	for (unsigned i = 0; i < page->axis.buckets; i++) {
		const uint64_t *counts = page->timeline.counts[i];
		uint64_t loads = counts[0] + counts[1] + counts[2];

		if (loads > scale.loads)
			scale.loads = loads;
		if (counts[3] > scale.rejects)
			scale.rejects = counts[3];
	}
	uint64_t sum = scale.loads + scale.rejects;
	int64_t below = sum ? (int64_t)(scale.rejects * HEIGHT / sum) : 0;
	if (scale.rejects && below < 12)
		below = 12;
	if (scale.loads && below > HEIGHT - 12)
		below = HEIGHT - 12;
	scale.base = TOP + HEIGHT - below;
	return scale;
}

static int64_t bar_height(uint64_t count, uint64_t of, int64_t whole)
{
	if (!count || !of)
		return 0;
	int64_t height = (int64_t)(count * (uint64_t)whole / of);
	return height > 1 ? height : 2;
}

/* All the bars of one verdict: a path of its own for each would be a pattern of its own in print. */
static void draw_series(struct page *page, const struct scale *scale, unsigned series)
{
	const bool is_below = series == 3;

	html(page->file, "<path class=\"s%u\" d=\"", series);
	for (unsigned i = 0; i < page->axis.buckets; i++) {
		const uint64_t *counts = page->timeline.counts[i];
		int64_t from = page->axis.from + i * page->axis.bucket, y = scale->base;
		int64_t x = axis_x(&page->axis, from);
		int64_t width = axis_x(&page->axis, from + page->axis.bucket) - x;
		int64_t height = is_below
			? bar_height(counts[3], scale->rejects, TOP + HEIGHT - scale->base)
			: bar_height(counts[series], scale->loads, scale->base - TOP);

		for (unsigned below = 0; below < series && !is_below; below++)
			y -= bar_height(counts[below], scale->loads, scale->base - TOP);
		if (width > 3)
			width--;
		if (height)
			html(page->file,
				"M%" PRId64 " %" PRId64 "h%" PRId64 "v%" PRId64 "h-%" PRId64 "z", x,
				y, width, is_below ? height : -height, width);
	}
	html(page->file, "\"/>\n");
}

/* What a pointer over a bar is told. */
static void draw_title(struct page *page, unsigned bucket)
{
	const uint64_t *counts = page->timeline.counts[bucket];
	int64_t from = page->axis.from + bucket * page->axis.bucket;
	int64_t x = axis_x(&page->axis, from);
	char when[AXIS_TEXT_MAX];

	if (!(counts[0] + counts[1] + counts[2] + counts[3]))
		return;
	axis_text(from, STAMP_FULL, when);
	html(page->file,
		"<rect class=\"over\" x=\"%" PRId64 "\" y=\"%d\" width=\"%" PRId64
		"\" height=\"%d\"><title>%s: %" PRIu64 " verified, %" PRIu64 " unsigned, %" PRIu64
		" unknown, %" PRIu64 " rejected</title></rect>\n",
		x, TOP, axis_x(&page->axis, from + page->axis.bucket) - x, HEIGHT, when, counts[0],
		counts[1], counts[2], counts[3]);
}

static const struct {
	const char *word;
	const char *path; /* around the origin */
	int lane;
} marks[MARK_COUNT] = {
	[MARK_EPOCH] = { "epoch begins", "M0 -6L6 0L0 6L-6 0Z", 0 },
	[MARK_BROKEN] = { "broken epoch", "M-5 -5L5 5M5 -5L-5 5", 0 },
	[MARK_RESUME] = { "resume", "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", 0 },
	[MARK_FOREIGN] = { "foreign extend", "M-6 -6H6V6H-6ZM-3 -3L3 3M3 -3L-3 3", 1 },
	[MARK_LOST] = { "events lost", "M0 -6L6 5H-6Z", 1 },
	[MARK_TRIM] = { "records removed", "M4 -6H-2V6H4", 1 },
	[MARK_START] = { "daemon starts", "M-4 -5L5 0L-4 5Z", 2 },
};

/* What happened in one bucket; in one lane, one beside the other. */
static void draw_bucket_marks(struct page *page, int top, unsigned bucket)
{
	enum { BESIDE = 12 };
	int64_t s = page->axis.from + bucket * page->axis.bucket + page->axis.bucket / 2;
	int64_t middle = axis_x(&page->axis, s), beside[LANE_COUNT] = {};

	for (unsigned mark = 0; mark < MARK_COUNT; mark++) {
		int lane = marks[mark].lane;

		if (!page->timeline.marks[bucket][mark])
			continue;
		if (mark == MARK_EPOCH || mark == MARK_BROKEN)
			html(page->file, "<path class=\"cut%s\" d=\"M%" PRId64 " %dV%d\"/>",
				mark == MARK_BROKEN ? " bad" : "", middle, TOP, top - 8);
		html(page->file,
			"<path class=\"m m%u\" transform=\"translate(%" PRId64
			" %d)\" d=\"%s\"><title>%s: %u</title></path>",
			mark, middle + BESIDE * beside[lane]++, top + lane * LANE, marks[mark].path,
			marks[mark].word, page->timeline.marks[bucket][mark]);
	}
}

static void draw_marks(struct page *page, int top)
{
	static const char *const lanes[LANE_COUNT] = { "epochs", "gaps", "daemon" };

	for (int lane = 0; lane < LANE_COUNT; lane++)
		html(page->file,
			"<text class=\"ll\" x=\"0\" y=\"%d\">%s</text><path class=\"lane\" d=\"M%" PRId64
			" %dH%d\"/>",
			top + lane * LANE + 4, lanes[lane], axis_x(&page->axis, page->axis.from),
			top + lane * LANE, AXIS_WIDTH);
	for (unsigned i = 0; i < page->timeline.stop_count; i++) {
		int64_t x = axis_x(&page->axis, page->timeline.stops[i].from);
		int64_t end = axis_x(&page->axis, page->timeline.stops[i].to);

		html(page->file,
			"<rect class=\"down\" x=\"%" PRId64 "\" y=\"%d\" width=\"%" PRId64
			"\" height=\"12\"><title>no daemon</title></rect>",
			x, top + 2 * LANE - 6, end > x + 1 ? end - x : 2);
	}
	for (unsigned i = 0; i < page->axis.buckets; i++)
		draw_bucket_marks(page, top, i);
}

static void draw_legend(struct page *page)
{
	html(page->file, "<ul class=\"legend\">");
	for (unsigned i = 0; i < SERIES_COUNT; i++) {
		html(page->file,
			"<li><svg viewBox=\"0 0 14 12\" aria-hidden=\"true\"><rect class=\"s%u\""
			" width=\"14\" height=\"12\"/></svg>",
			i);
		page_verdict(page, i, "");
		html(page->file, "</li>");
	}
	for (unsigned mark = 0; mark < MARK_COUNT; mark++)
		html(page->file,
			"<li><svg viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><path class=\"m m%u\""
			" d=\"%s\"/></svg>%s</li>",
			mark, marks[mark].path, marks[mark].word);
	html(page->file,
		"<li><svg viewBox=\"0 0 14 12\" aria-hidden=\"true\"><rect class=\"down\" width=\"14\""
		" height=\"12\"/></svg>no daemon</li></ul>\n");
}

static void marks_end(struct page *page)
{
	const int lanes = TOP + HEIGHT + 24;
	const struct scale scale = scale_of(page);
	const int64_t left = axis_x(&page->axis, page->axis.from);

	if (page->is_empty) {
		html(page->file, "<p>Nothing happened.</p></section>\n");
		return;
	}
	html(page->file,
		"<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline\">"
		"<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"tt td\">"
		"<title id=\"tt\">Loads by verdict over time</title><desc id=\"td\">Bars above the line are"
		" loads, below it loads that were rejected; under them the epochs and gaps of the log. The"
		" sections below have all of it in words.</desc>\n",
		AXIS_WIDTH, VIEW);
	axis_draw(page, TOP, lanes + 2 * LANE + 8, true);
	html(page->file, "<text class=\"ll\" x=\"0\" y=\"%d\">%" PRIu64 " loads</text>", TOP + 8,
		scale.loads);
	if (scale.rejects)
		html(page->file, "<text class=\"ll\" x=\"0\" y=\"%d\">%" PRIu64 " rejected</text>",
			TOP + HEIGHT, scale.rejects);
	for (unsigned series = 0; series < SERIES_COUNT; series++)
		draw_series(page, &scale, series);
	for (unsigned i = 0; i < page->axis.buckets; i++)
		draw_title(page, i);
	html(page->file, "<path class=\"base\" d=\"M%" PRId64 " %" PRId64 "H%d\"/>", left,
		scale.base, AXIS_WIDTH);
	draw_marks(page, lanes);
	html(page->file, "</svg></div>\n");
	draw_legend(page);
	html(page->file, "</section>\n");
}

const struct section report_marks = { NULL, marks_row, marks_end };
