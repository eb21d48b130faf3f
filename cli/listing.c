// SPDX-License-Identifier: BSD-2-Clause
#include "cli/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/terminal.h"

enum { LONG_TIME = 15, SHORT_TIME = 8, KIND = 9, VERDICT = 8 }; /* columns of these */

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- widths ---- */

static void wide_init(struct listing *listing, unsigned terminal)
{
	enum { SPACIOUS = 150 };
	bool is_spacious = !terminal || terminal >= SPACIOUS;

	listing->what = is_spacious ? 34 : 28;
	listing->loader = is_spacious ? 24 : 18;
	size_t used = listing->seq + 1 + LONG_TIME + 1 + KIND + 1 + listing->what + 1 + VERDICT +
		1 + listing->loader + 1;
	listing->details = terminal > used ? terminal - used : 0;
}

static void narrow_init(struct listing *listing, unsigned terminal)
{
	enum { WHAT_MIN = 12, WHAT_MAX = 34, LOADER_MIN = 10 };
	size_t used = listing->seq + 1 + SHORT_TIME + 1 + KIND + 1;
	size_t left = larger(terminal, used + WHAT_MIN) - used;
	size_t what = larger(WHAT_MIN, left * 43 / 100);

	listing->what = what < WHAT_MAX ? what : WHAT_MAX;
	used = listing->what + 1 + VERDICT + 1;
	listing->loader = larger(left, used + LOADER_MIN) - used;
}

void listing_init(struct listing *listing, unsigned terminal, uint64_t last)
{
	enum { SEQ_MIN = 4, WIDE = 120 };
	size_t digits = (size_t)snprintf(NULL, 0, "%" PRIu64, last);

	*listing = (struct listing){
		.seq = larger(SEQ_MIN, digits),
		.is_terminal = terminal > 0,
		.is_narrow = terminal > 0 && terminal < WIDE,
	};
	if (listing->is_narrow)
		narrow_init(listing, terminal);
	else
		wide_init(listing, terminal);
}

/* ---- cells ---- */

/* A text of that many columns in its column. */
static void put_exactly(struct listing *listing, const char *text, size_t used, size_t width,
	enum table_color color)
{
	if (used > 0)
		printf("%*s", (int)listing->gap, "");
	listing->gap = (used > 0 ? 0 : listing->gap) + larger(width, used) - used + 1;
	terminal_paint(color, text);
}

/* On a terminal shortened to fit. */
static void put(struct listing *listing, const char *text, size_t width, enum table_color color)
{
	char fitted[ROW_TEXT_MAX + TERMINAL_MARK_MAX];
	size_t used = terminal_shorten(text, listing->is_terminal ? width : 0, fitted);

	put_exactly(listing, fitted, used, width, color);
}

static void put_loader(struct listing *listing, const char *loader)
{
	char fitted[ROW_TEXT_MAX];
	size_t used = row_loader_shorten(
		loader, listing->is_terminal ? listing->loader : 0, fitted);

	put_exactly(listing, fitted, used, listing->loader, TABLE_PLAIN);
}

/* How many bytes of the details fit in whole, the first of them first, and a mark behind them. */
static size_t details_fitting(const char *details, size_t width)
{
	enum { MARK = 3 /* ", …" */ };
	size_t fitting = 0;

	if (strlen(details) <= width)
		return strlen(details);
	for (const char *at = details; (at = strstr(at, ", ")); at++)
		if ((size_t)(at - details) + MARK <= width)
			fitting = (size_t)(at - details);
	return fitting;
}

/* What does not fit gives up its last details; where the first alone does not, that its middle. */
static void put_details(struct listing *listing, const char *details, size_t width)
{
	enum { MORE = 3 /* ", …" */ };
	char text[ROW_TEXT_MAX], fitted[ROW_TEXT_MAX + 2 * TERMINAL_MARK_MAX];
	size_t len = listing->is_terminal ? details_fitting(details, width) : strlen(details);
	size_t first = (size_t)(strchrnul(details, ',') - details);

	if (len == strlen(details) || (len == 0 && (!details[first] || width <= MORE))) {
		put(listing, details, width, TABLE_PLAIN);
		return;
	}
	snprintf(text, sizeof(text), "%.*s", (int)(len ? len : first), details);
	size_t used = terminal_shorten(text, width - MORE, fitted);
	strcpy(stpcpy(fitted + strlen(fitted), ", "), terminal_mark());
	put_exactly(listing, fitted, used + MORE, width, TABLE_PLAIN);
}

/* Of "xdp_pass xdp #41" the type gives way first. */
static void put_what(struct listing *listing, const char *what)
{
	enum { TYPE_MIN = 4 };
	char type[ROW_TEXT_MAX] = "", text[ROW_TEXT_MAX + TERMINAL_MARK_MAX];
	const char *name_end = strchr(what, ' '), *id = strrchr(what, ' ');
	const size_t len = strlen(what), width = listing->what;

	if (!listing->is_terminal || len <= width || id == name_end || id[1] != '#') {
		put(listing, what, width, TABLE_PLAIN);
		return;
	}
	size_t type_len = (size_t)(id - name_end) - 1,
	       left = smaller(width, type_len - smaller(type_len, len - width));
	if (left >= TYPE_MIN) {
		snprintf(text, sizeof(text), "%.*s", (int)type_len, name_end + 1);
		terminal_shorten(text, left, type);
	}
	snprintf(text, sizeof(text), "%.*s%s%s%s", (int)(name_end - what), what, *type ? " " : "",
		type, id);
	if (*type)
		put_exactly(listing, text, width, width, TABLE_PLAIN);
	else
		put(listing, text, width, TABLE_PLAIN);
}

static void put_right(struct listing *listing, const char *text, size_t width)
{
	size_t len = strlen(text);

	listing->gap += larger(width, len) - len;
	put(listing, text, len, TABLE_PLAIN);
}

static void row_end(struct listing *listing)
{
	listing->gap = 0;
	putchar('\n');
}

/* ---- what is narrow ---- */

/* The day, where it is not that of the row above; a zone that changes its offset begins one too. */
static void put_day(struct listing *listing, uint64_t time_ns)
{
	char day[WHEN_MAX];

	when_day(time_ns, day);
	if (strcmp(day, listing->day) == 0)
		return;
	strcpy(listing->day, day);
	put(listing, "", listing->seq, TABLE_PLAIN);
	put(listing, day, 0, TABLE_PLAIN);
	row_end(listing);
}

/* In place of verdict and loader: the gist, with as much around it as fits, and who. */
static void put_gist(struct listing *listing, const struct row *row)
{
	enum { LOADER_MIN = 12, GIST_MIN = 12, BY = 4 /* " by " */ };
	const size_t width = VERDICT + 1 + listing->loader;
	const char *gist = *row->gist[0] ? row->gist[0] : row->details;
	char loader[ROW_TEXT_MAX];

	if (!*row->loader) {
		put_details(listing, gist, width);
		return;
	}
	if (strlen(gist) + BY + strlen(row->loader) > width && *row->gist[1])
		gist = row->gist[1];
	if (width < smaller(strlen(gist), GIST_MIN) + BY + LOADER_MIN) {
		put(listing, gist, width, TABLE_PLAIN);
		return;
	}
	size_t who = larger(LOADER_MIN, width - smaller(width, strlen(gist) + BY));
	who = row_loader_shorten(row->loader, who, loader);
	put(listing, gist, smaller(strlen(gist), width - BY - who), TABLE_PLAIN);
	put(listing, "by", 0, TABLE_PLAIN);
	put_exactly(listing, loader, who, 0, TABLE_PLAIN);
}

/* Who loaded it, and as many of the details as there is room for. */
static void put_load(struct listing *listing, const struct row *row)
{
	char loader[ROW_TEXT_MAX];

	size_t used = row_loader_shorten(row->loader, listing->loader, loader);
	put(listing, row->verdict, VERDICT, row->verdict_color);
	put_exactly(listing, loader, used, 0, TABLE_PLAIN);
	if (listing->loader > used + 1 &&
		details_fitting(row->details, listing->loader - used - 1) > 0)
		put_details(listing, row->details, listing->loader - used - 1);
}

/* ---- rows ---- */

static void put_heading(struct listing *listing)
{
	static const char loader[] = "LOADER[PID]:UID";
	char zone[WHEN_MAX], time[2 * WHEN_MAX] = "TIME";

	when_zone(when_now(), zone);
	if (!listing->is_narrow && strlen(zone) < LONG_TIME - strlen(time))
		snprintf(time, sizeof(time), "TIME %s", zone);
	put_right(listing, "SEQ", listing->seq);
	put(listing, time, listing->is_narrow ? SHORT_TIME : LONG_TIME, TABLE_PLAIN);
	put(listing, "KIND", KIND, TABLE_PLAIN);
	put(listing, "WHAT", listing->what, TABLE_PLAIN);
	put(listing, "VERDICT", VERDICT, TABLE_PLAIN);
	put(listing, listing->loader < strlen(loader) ? "LOADER" : loader, listing->loader,
		TABLE_PLAIN);
	if (!listing->is_narrow)
		put(listing, "DETAILS", listing->details, TABLE_PLAIN);
	row_end(listing);
	listing->has_heading = true;
}

static void put_rest(struct listing *listing, const struct row *row, enum record_kind kind)
{
	if (listing->is_narrow && (!*row->verdict || kind == RECORD_REJECT)) {
		put_gist(listing, row);
	} else if (listing->is_narrow) {
		put_load(listing, row);
	} else {
		put(listing, row->verdict, VERDICT, row->verdict_color);
		put_loader(listing, row->loader);
		put_details(listing, row->details, listing->details);
	}
}

void listing_print(struct listing *listing, struct db *db, const struct filter_line *line)
{
	char clock[WHEN_MAX] = "";
	struct row row;

	if (!listing->has_heading)
		put_heading(listing);
	row_fill(db, line, &row);
	if (listing->is_narrow && !line->error) {
		put_day(listing, line->head.time_ns);
		when_clock(line->head.time_ns, clock);
	}
	put_right(listing, row.seq, listing->seq);
	put(listing, listing->is_narrow ? clock : row.time,
		listing->is_narrow ? SHORT_TIME : LONG_TIME, TABLE_PLAIN);
	put(listing, row.kind, KIND, row.kind_color);
	put_what(listing, row.what);
	put_rest(listing, &row, line->head.kind);
	row_end(listing);
}
