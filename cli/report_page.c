// SPDX-License-Identifier: BSD-2-Clause
/* The frame of the page, and the pieces that every section is made of. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cli/report_own.h"
#include "cli/row.h"
#include "cli/when.h"

/* One for each statement of report.sql. */
static const struct section *const sections[] = {
	&report_range,
	&report_machine,
	&report_trimmed,
	&report_daemon,
	&report_counts,
	&report_timeline,
	&report_marks,
	&report_attached,
	&report_loaders,
	&report_signers,
	&report_claims,
	&report_events,
	&report_rejects,
	&report_programs,
	&report_lives,
};
enum { SECTION_COUNT = sizeof(sections) / sizeof(sections[0]) };

/* ---- rows ---- */

static const struct db_value *value_of(const struct db_row *row, const char *name)
{
	size_t i = 0;

	while (i < row->column_count && strcmp(row->names[i], name) != 0)
		i++;
	assert(i < row->column_count);
	return &row->values[i];
}

const char *row_text(const struct db_row *row, const char *name)
{
	const struct db_value *value = value_of(row, name);

	if (value->type != DB_TEXT || strlen(value->data) != value->len)
		return NULL;
	return value->data;
}

int64_t row_number(const struct db_row *row, const char *name)
{
	const struct db_value *value = value_of(row, name);

	if (value->type == DB_REAL && value->real >= 0 && value->real < 9e18)
		return (int64_t)value->real;
	return value->type == DB_INTEGER ? value->integer : 0;
}

bool row_has(const struct db_row *row, const char *name)
{
	return value_of(row, name)->type != DB_NULL;
}

/* ---- pieces ---- */

void page_time(struct page *page, const char *rfc3339)
{
	char text[AXIS_TEXT_MAX];
	uint64_t ns;

	if (!rfc3339) {
		html(page->file, "–");
		return;
	}
	if (!when_parse(rfc3339, 0, WHEN_FIRST, &ns)) {
		html_short(page->file, rfc3339, 40);
		return;
	}
	axis_text((int64_t)(ns / 1000000000), STAMP_FULL, text);
	html(page->file, "<time datetime=\"%s\">%s</time>", rfc3339, text);
}

void page_program(struct page *page, const char *name, const char *type, int64_t rank)
{
	bool is_linked = rank > 0 && rank <= LIVES_MAX;

	if (is_linked)
		html(page->file, "<a href=\"#p%" PRId64 "\">", rank);
	html(page->file, "<b class=\"n\">");
	html_short(page->file, name && *name ? name : "(no name)", 80);
	html(page->file, "</b>");
	if (rank > 0)
		html(page->file, "&#8239;<small>P%" PRId64 "</small>", rank);
	if (is_linked)
		html(page->file, "</a>");
	if (type)
		html(page->file, " <span class=\"q\">%.64s</span>", type);
}

void page_digest(struct page *page, const char *hex)
{
	if (hex)
		html(page->file, "<code title=\"%s\">%.16s…</code>", hex, hex);
	else
		html(page->file, "<span class=\"q\">not known</span>");
}

static const struct {
	const char *word;
	const char *sign;
} verdicts[SERIES_COUNT] = {
	{ "verified", "●" },
	{ "unsigned", "○" },
	{ "unknown", "◌" },
	{ "rejected", "✕" },
};

void page_verdict(struct page *page, unsigned series, const char *suffix)
{
	html(page->file, "<span class=\"v v%u\"><i>", series);
	fputs(verdicts[series].sign, page->file);
	html(page->file, "</i>%s%s</span>", verdicts[series].word, suffix);
}

void page_share(struct page *page, const uint64_t counts[static SERIES_COUNT])
{
	enum { WIDTH = 120 };
	uint64_t sum = 0, before = 0;
	unsigned kinds = 0;

	for (unsigned i = 0; i < SERIES_COUNT; i++) {
		sum += counts[i];
		kinds += counts[i] != 0;
	}
	if (kinds < 2)
		return;
	html(page->file,
		"<svg class=\"share\" viewBox=\"0 0 %d 8\" preserveAspectRatio=\"none\""
		" role=\"img\"><title>",
		WIDTH);
	for (unsigned i = 0; i < SERIES_COUNT; i++)
		if (counts[i])
			html(page->file, "%s%" PRIu64 " %s", before++ ? ", " : "", counts[i],
				verdicts[i].word);
	html(page->file, "</title>");
	before = 0;
	for (unsigned i = 0; i < SERIES_COUNT; i++) {
		uint64_t x = before * WIDTH / sum, end = (before + counts[i]) * WIDTH / sum;

		if (counts[i])
			html(page->file,
				"<rect class=\"f%u\" x=\"%" PRIu64 "\" width=\"%" PRIu64
				"\" height=\"8\"/>",
				i, x, end > x ? end - x : 1);
		before += counts[i];
	}
	html(page->file, "</svg>");
}

void page_section(struct page *page, const char *id, const char *title, const char *lead)
{
	html(page->file, "<section id=\"%s\"><h2>%s</h2>\n", id, title);
	if (lead) {
		fputs("<p class=\"lead\">", page->file);
		fputs(lead, page->file);
		fputs("</p>\n", page->file);
	}
	page->shown = page->total = 0;
	page->group = 0;
}

void page_table(struct page *page, const char *caption, const char *const *heads)
{
	html(page->file,
		"<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table>"
		"<caption>%s</caption><thead><tr>",
		caption, caption);
	for (; *heads; heads++) {
		bool is_number = **heads == '#';

		fputs(is_number ? "<th scope=\"col\" class=\"num\">" : "<th scope=\"col\">",
			page->file);
		html(page->file, "%s</th>", *heads + is_number);
	}
	html(page->file, "</tr></thead><tbody>\n");
}

static void print_range(struct page *page, const char *word)
{
	if (*page->since)
		html(page->file, " %s time &gt;= '%s'", word, page->since);
	if (*page->until)
		html(page->file, " %s time &lt;= '%s'", *page->since ? "AND" : word, page->until);
}

void page_more(struct page *page, const char *what, const char *sql)
{
	if (page->total <= page->shown)
		return;
	html(page->file,
		"<p class=\"more\">%" PRIu64 " more %s are not shown. All of them:"
		" <code>bpfmeasure query --limit 0 &quot;",
		page->total - page->shown, what);
	for (; *sql; sql++)
		if (*sql == '@' || *sql == '&')
			print_range(page, *sql == '@' ? "WHERE" : "AND");
		else
			html_text(page->file, sql, 1);
	html(page->file, "&quot;</code></p>\n");
}

void page_table_end(
	struct page *page, unsigned columns, const char *none, const char *what, const char *sql)
{
	if (!page->shown)
		html(page->file, "<tr><td colspan=\"%u\">%s</td></tr>", columns, none);
	html(page->file, "</tbody></table></div>\n");
	page_more(page, what, sql);
}

void page_target(struct page *page, const char *type, const char *name)
{
	char prefix[ROW_PREFIX_MAX];

	row_target_prefix(type ? type : "unknown", prefix);
	html(page->file, "%s", prefix);
	if (!name)
		return;
	html(page->file, "<b class=\"n\">");
	html_short(page->file, name, 120);
	html(page->file, "</b>");
}

void page_place(struct page *page, const struct db_row *row)
{
	const char *name = row_text(row, "target_name"), *via = row_text(row, "via");
	const char *attach_type = row_text(row, "attach_type");
	int64_t count = row_number(row, "target_count");

	page_target(page, row_text(row, "target_type"), name);
	if (!name && row_has(row, "target_id"))
		html(page->file, "%" PRId64, row_number(row, "target_id"));
	if (row_has(row, "target_index"))
		html(page->file, "[%" PRId64 "]", row_number(row, "target_index"));
	if (count > 1)
		html(page->file, " and %" PRId64 " more", count - 1);
	html(page->file, " <span class=\"q\">%.16s%s%.64s</span>", via, attach_type ? ", " : "",
		attach_type);
}

/* ---- the frame ---- */

static void section_begin(struct page *page)
{
	if (page->at < SECTION_COUNT && sections[page->at]->begin)
		sections[page->at]->begin(page);
}

static void section_end(struct page *page)
{
	if (sections[page->at]->end)
		sections[page->at]->end(page);
	page->at++;
	section_begin(page);
}

int page_row(void *arg, const struct db_row *row)
{
	struct page *page = arg;

	while (page->at < row->statement)
		section_end(page);
	sections[page->at]->row(page, row);
	return ferror(page->file) ? -EPIPE : 0;
}

void page_begin(struct page *page)
{
	html(page->file,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"
		" style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n"
		"<title>bpfmeasure report</title>\n<style>\n");
	fputs(report_css, page->file);
	html(page->file,
		"</style>\n</head>\n<body>\n<svg class=\"patterns\" aria-hidden=\"true\"><defs>"
		"<pattern id=\"h1\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
		"<rect class=\"p1\" width=\"6\" height=\"6\"/><path d=\"M-1 1L1 -1M0 6L6 0M5 7L7 5\"/></pattern>"
		"<pattern id=\"h2\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">"
		"<rect class=\"p2\" width=\"5\" height=\"5\"/><path d=\"M1 1h2v2h-2Z\"/></pattern>"
		"<pattern id=\"h3\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
		"<rect class=\"p3\" width=\"6\" height=\"6\"/><path d=\"M0 0L6 6M6 0L0 6\"/></pattern>"
		"</defs></svg>\n");
	section_begin(page);
}

void page_end(struct page *page)
{
	while (page->at < SECTION_COUNT)
		section_end(page);
	html(page->file, "</main>\n</body>\n</html>\n");
}
