// SPDX-License-Identifier: BSD-2-Clause
/* The programs: a list, and the life of each. */
#include <string.h>

#include "cli/report_own.h"

/* ---- the list ---- */

static void programs_begin(struct page *page)
{
	static const char *const heads[] = { "Program", "sha256", "#Loads", "Verdicts", "First",
		"Last", "Now", NULL };

	page_section(page, "programs", "Programs",
		"Distinct programs by the sha256 of their instructions: those that are attached first, then"
		" by how often they were loaded. P-numbers are this page’s own.");
	page_table(page, "Programs", heads);
}

static void programs_row(struct page *page, const struct db_row *row)
{
	const uint64_t counts[SERIES_COUNT] = { (uint64_t)row_number(row, "verified"),
		(uint64_t)row_number(row, "unsigned"), (uint64_t)row_number(row, "unknown") };
	int64_t attached = row_number(row, "attached");

	page->shown++;
	page->total = (uint64_t)row_number(row, "total");
	html(page->file, "<tr><th scope=\"row\">");
	page_program(page, row_text(row, "name"), row_text(row, "type"), row_number(row, "rank"));
	html(page->file, "</th><td>");
	page_digest(page, row_text(row, "sha256"));
	html(page->file, "</td><td class=\"num\">%" PRId64 "</td><td class=\"verdicts\">",
		row_number(row, "loads"));
	page_share(page, counts);
	for (unsigned i = 0; i < 3; i++)
		if (counts[i])
			page_verdict(page, i, "");
	if (row_number(row, "own"))
		html(page->file, "<span class=\"warn\">own key</span>");
	if (row_number(row, "loads") == 0)
		html(page->file, "<span class=\"q\">found loaded</span>");
	html(page->file, "</td><td>");
	page_time(page, row_text(row, "first_time"));
	html(page->file, "</td><td>");
	page_time(page, row_text(row, "last_time"));
	html(page->file, "</td><td class=\"now\">");
	if (attached)
		html(page->file, "attached ×%" PRId64, attached);
	else if (row_number(row, "alive"))
		html(page->file, "loaded");
	else
		html(page->file, "<span class=\"q\">gone</span>");
	html(page->file, "</td></tr>\n");
}

static void programs_end(struct page *page)
{
	page_table_end(page, 7, "None.", "programs",
		"SELECT program_sha256, program_name, count(*) FROM load@ GROUP BY 1 ORDER BY 3 DESC");
	html(page->file, "</section>\n");
	page->programs = page->total;
}

const struct section report_programs = { programs_begin, programs_row, programs_end };

/* ---- lives ---- */

enum {
	PART_HEAD,
	PART_LOADED,
	PART_ATTACHED,
	PART_WHOM,
	PART_WHERE,
	PART_MAPS,
	PART_PARENTS,
	PART_CHILDREN
};

enum { LOADED_Y = 12, ATTACHED_Y = 26, LANE_VIEW = 34 };

static void lives_begin(struct page *page)
{
	page_section(page, "lives", "Lives of the programs",
		"On each line, from left to right, the time of the whole page: above, when the program was"
		" loaded (a tick is a load); below, when it was attached.");
	page->life = (struct life_at){ .from = -1 };
}

static void span_flush(struct page *page)
{
	struct life_at *life = &page->life;
	int y = life->part == PART_LOADED ? LOADED_Y : ATTACHED_Y;

	if (life->from >= 0)
		html(page->file,
			"<rect class=\"%s\" x=\"%" PRId64 "\" y=\"%d\" width=\"%" PRId64
			"\" height=\"6\"/>",
			life->part == PART_LOADED ? "lived" : "placed", life->from, y,
			life->to > life->from ? life->to - life->from : 1);
	life->from = -1;
}

/* What a part of a life leaves open. */
static void part_close(struct page *page)
{
	struct life_at *life = &page->life;

	switch (life->part) {
	case PART_LOADED:
	case PART_ATTACHED:
		span_flush(page);
		break;
	case PART_WHOM:
	case PART_WHERE:
	case PART_MAPS:
	case PART_PARENTS:
	case PART_CHILDREN:
		if (life->total > life->count)
			html(page->file, "<li class=\"q\">and %" PRId64 " more</li>",
				life->total - life->count);
		html(page->file, "</ul></dd>\n");
		break;
	}
}

static const char *const labels[] = {
	[PART_WHOM] = "Loaded by",
	[PART_WHERE] = "Attached",
	[PART_MAPS] = "Maps, last load",
	[PART_PARENTS] = "Loaded from",
	[PART_CHILDREN] = "Loads",
};

static bool is_lane(int64_t part)
{
	return part == PART_LOADED || part == PART_ATTACHED;
}

static void part_open(struct page *page, int64_t part)
{
	struct life_at *life = &page->life;

	if (!is_lane(part) && (is_lane(life->part) || life->part == PART_HEAD))
		html(page->file, "</svg>\n<dl>\n");
	life->part = part;
	life->count = life->total = 0;
	life->mark = -1;
	if (part < PART_WHOM)
		return;
	html(page->file, "<dt>%s</dt><dd><ul", labels[part]);
	fputs(part == PART_WHERE ? ">" : " class=\"flow\">", page->file);
}

static void life_close(struct page *page)
{
	if (page->life.rank == 0)
		return;
	part_close(page);
	if (page->life.part < PART_WHOM)
		html(page->file, "</svg>\n<dl>\n");
	html(page->file, "</dl></article>\n");
}

static void print_counts(struct page *page, const struct db_row *row)
{
	static const char *const names[] = { "j", "k", "l" };

	for (unsigned i = 0; i < 3; i++) {
		char count[32];
		int64_t number = row_number(row, names[i]);

		snprintf(count, sizeof(count), " %" PRId64, number);
		if (number)
			page_verdict(page, i, count);
	}
}

static void life_head(struct page *page, const struct db_row *row)
{
	int64_t rank = row_number(row, "rank"), alive = row_number(row, "f");
	const char *sha256 = row_text(row, "a"), *digest = row_text(row, "b");

	html(page->file,
		"<article id=\"p%" PRId64 "\"><h3><small>P%" PRId64 "</small> <b class=\"n\">",
		rank, rank);
	html_short(page->file, row_text(row, "name") ? row_text(row, "name") : "(no name)", 100);
	html(page->file, "</b> <span class=\"q\">%.64s</span> ", row_text(row, "type"));
	print_counts(page, row);
	html(page->file, "</h3>\n<p class=\"ids\">");
	if (sha256)
		html(page->file, "sha256 <code>%s</code>", sha256);
	else
		html(page->file, "never captured; the kernel’s digest <code>%s</code>", digest);
	if (row_has(row, "c"))
		html(page->file, ", %" PRId64 " instructions", row_number(row, "c"));
	if (row_number(row, "n"))
		html(page->file, ", the agent’s own");
	html(page->file, "</p>\n<p>");
	html(page->file, "Loaded %" PRId64 " times", row_number(row, "d"));
	if (row_number(row, "e"))
		html(page->file, ", found loaded %" PRId64 " times", row_number(row, "e"));
	html(page->file, ", from ");
	page_time(page, row_text(row, "g"));
	html(page->file, " (record %" PRId64 ") to ", row_number(row, "nth"));
	page_time(page, row_text(row, "h"));
	html(page->file, " (record %" PRId64 "); unloaded %" PRId64 " times; ",
		row_number(row, "i"), row_number(row, "o"));
	if (alive)
		html(page->file, "<b>%" PRId64 " loaded at the end</b>.", alive);
	else
		html(page->file, "none loaded at the end.");
	if (row_number(row, "m") > 1)
		html(page->file, " It came under %" PRId64 " names.", row_number(row, "m"));
	html(page->file,
		"</p>\n<svg class=\"life\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\"><title>When it was loaded and"
		" attached</title>",
		AXIS_WIDTH, LANE_VIEW);
	axis_draw(page, 2, LANE_VIEW, false);
	html(page->file,
		"<text class=\"ll\" x=\"0\" y=\"%d\">loaded</text><text class=\"ll\" x=\"0\" y=\"%d\">"
		"attached</text>",
		LOADED_Y + 6, ATTACHED_Y + 6);
}

static void life_span(struct page *page, const struct db_row *row)
{
	struct life_at *life = &page->life;
	int64_t from = axis_x(&page->axis, row_number(row, "nth"));
	int64_t to = row_has(row, "c") ? axis_x(&page->axis, row_number(row, "c")) : AXIS_WIDTH;

	if (life->part == PART_LOADED && from != life->mark)
		html(page->file, "<path class=\"load\" d=\"M%" PRId64 " 4v6\"/>", from);
	life->mark = from;
	if (life->from >= 0 && from > life->to + 1)
		span_flush(page);
	if (life->from < 0) {
		life->from = from;
		life->to = to;
	} else if (to > life->to) {
		life->to = to;
	}
}

static void life_whom(struct page *page, const struct db_row *row)
{
	const char *exe = row_text(row, "a"), *unit = row_text(row, "b");

	page->life.total = row_number(row, "i");
	html(page->file, "<li><b class=\"n\">");
	html_short(page->file, exe ? exe : row_text(row, "g"), 120);
	html(page->file, "</b> <span class=\"q\">%s%suid %" PRId64 "</span> ×%" PRId64 "</li>",
		unit, unit ? ", " : "", row_number(row, "c"), row_number(row, "d"));
}

static void life_where(struct page *page, const struct db_row *row)
{
	const char *place = row_text(row, "name");
	int64_t times = row_number(row, "e"), now = row_number(row, "f");

	page->life.total = row_number(row, "i");
	html(page->file, "<li>");
	page_target(page, row_text(row, "type"), place);
	if (!place && row_has(row, "c"))
		html(page->file, "%" PRId64, row_number(row, "c"));
	if (row_has(row, "d"))
		html(page->file, "[%" PRId64 "]", row_number(row, "d"));
	html(page->file, " <span class=\"q\">%.16s</span> ×%" PRId64 ", ", row_text(row, "a"),
		times);
	page_time(page, row_text(row, "g"));
	if (times > 1) {
		html(page->file, " to ");
		page_time(page, row_text(row, "h"));
	}
	if (now)
		html(page->file, ", <b>%" PRId64 " attached now</b>", now);
	html(page->file, "</li>");
}

static void life_map(struct page *page, const struct db_row *row)
{
	const char *sha256 = row_text(row, "a");

	html(page->file,
		"<li><b class=\"n\">%.64s</b> <span class=\"q\">%.64s, key %" PRId64
		", value %" PRId64 ", %" PRId64 " entries%s%s</span>",
		row_text(row, "name"), row_text(row, "type"), row_number(row, "c"),
		row_number(row, "d"), row_number(row, "e"), row_number(row, "f") ? ", frozen" : "",
		row_number(row, "j") ? ", exclusive" : "");
	if (sha256) {
		html(page->file, " ");
		page_digest(page, sha256);
	}
	html(page->file, "</li>");
}

static void life_relative(struct page *page, const struct db_row *row)
{
	html(page->file, "<li>");
	page_program(page, row_text(row, "name"), row_text(row, "type"), row_number(row, "nth"));
	html(page->file, " ×%" PRId64 "</li>", row_number(row, "c"));
}

static void (*const parts[])(struct page *page, const struct db_row *row) = {
	[PART_HEAD] = life_head,
	[PART_LOADED] = life_span,
	[PART_ATTACHED] = life_span,
	[PART_WHOM] = life_whom,
	[PART_WHERE] = life_where,
	[PART_MAPS] = life_map,
	[PART_PARENTS] = life_relative,
	[PART_CHILDREN] = life_relative,
};

static void lives_row(struct page *page, const struct db_row *row)
{
	struct life_at *life = &page->life;
	int64_t rank = row_number(row, "rank"), part = row_number(row, "part");

	if (rank != life->rank) {
		life_close(page);
		*life = (struct life_at){ .rank = rank, .from = -1, .mark = -1 };
	} else if (part != life->part) {
		part_close(page);
		part_open(page, part);
	}
	life->count++;
	parts[part](page, row);
}

static void lives_end(struct page *page)
{
	life_close(page);
	if (page->programs > LIVES_MAX)
		html(page->file,
			"<p class=\"more\">%" PRIu64
			" more programs are not shown here. The records of"
			" one: <code>bpfmeasure show SHA256</code></p>\n",
			page->programs - LIVES_MAX);
	if (page->programs == 0)
		html(page->file, "<p>None.</p>\n");
	html(page->file, "</section>\n");
}

const struct section report_lives = { lives_begin, lives_row, lives_end };
