// SPDX-License-Identifier: BSD-2-Clause
/* Which log this is, how far it goes, and its numbers. */
#include <string.h>

#include "cli/report_own.h"

/* ---- range ---- */

static void range_begin(struct page *page)
{
	html(page->file,
		"<header>\n<p class=\"kicker\">bpfmeasure report</p>\n"
		"<h1>What this kernel loaded</h1>\n");
}

static void print_zone(struct page *page, int64_t s)
{
	char zone[AXIS_TEXT_MAX], offset[AXIS_TEXT_MAX];

	axis_text(s, STAMP_ZONE, zone);
	axis_text(s, STAMP_OFFSET, offset);
	if (strcmp(zone, "UTC") == 0)
		html(page->file, "times are UTC");
	else
		html(page->file, "times are local: %s, UTC%s", zone, offset);
}

static void print_extent(struct page *page, const struct db_row *row)
{
	int64_t first = row_number(row, "log_first"), last = row_number(row, "log_last");

	html(page->file, "<dt>Log</dt><dd>records %" PRId64 " to %" PRId64, first, last);
	if (row_number(row, "first") != first || row_number(row, "last") != last)
		html(page->file, "; this page has %" PRId64 " of them, %" PRId64 " to %" PRId64,
			row_number(row, "records"), row_number(row, "first"),
			row_number(row, "last"));
	if (first > 1)
		html(page->file,
			"; those before are removed (<code>bpfmeasure log --before</code>)");
	html(page->file, "</dd>\n<dt>Kept quotes</dt><dd>");
	if (!row_has(row, "kept"))
		html(page->file,
			"none: after a reboot the TPM cannot prove these records any more");
	else
		html(page->file,
			"the newest is of record %" PRId64
			"; what they prove <code>bpfmeasure audit</code> says. Records after it only the"
			" PCR can prove, until it is reset",
			row_number(row, "kept"));
	html(page->file, "</dd>\n");
}

static void print_damage(struct page *page, const struct db_row *row)
{
	int64_t missing = row_number(row, "missing");

	if (missing)
		html(page->file,
			"<p class=\"alarm\"><b>✕ Records are missing.</b> %" PRId64
			" numbers between the first record and the last have none: the file was changed"
			" or is damaged. <code>bpfmeasure audit</code> says where.</p>\n",
			missing);
	if (page->strange)
		html(page->file,
			"<p class=\"alarm\"><b>✕ Lines are no records.</b> %" PRIu64
			" lines are not in the form of a record, and what this page has of them is worth"
			" nothing: the file was changed or is damaged. <code>bpfmeasure audit</code> says"
			" where.</p>\n",
			page->strange);
	page->is_damaged = page->is_damaged || missing || page->strange;
}

static void range_row(struct page *page, const struct db_row *row)
{
	page->is_empty = row_number(row, "records") == 0;
	axis_init(&page->axis, row_number(row, "first_s"), row_number(row, "last_s"));
	html(page->file, "<p class=\"range\">");
	if (page->is_empty) {
		html(page->file,
			row_has(row, "log_last") ? "No record in this range of time"
						 : "The log is empty");
	} else {
		page_time(page, row_text(row, "first_time"));
		html(page->file, " to ");
		page_time(page, row_text(row, "last_time"));
		html(page->file, " <span class=\"q\">");
		print_zone(page, row_number(row, "last_s"));
		html(page->file, "</span>");
	}
	html(page->file,
		"</p>\n<aside class=\"note\"><b>This page is a view of the log, not a proof of it.</b>"
		" Whoever can write the file can make it say something else, and a page like this one"
		" would show that. What proves the whole log, offline, is <code>bpfmeasure audit</code>;"
		" what proves it up to now, by the TPM, <code>bpfmeasure quote</code> and"
		" <code>bpfmeasure verify</code>.</aside>\n");
	print_damage(page, row);
	html(page->file, "<dl class=\"facts\">\n");
	if (row_has(row, "log_last"))
		print_extent(page, row);
}

const struct section report_range = { range_begin, range_row, NULL };

/* ---- machine ---- */

static void print_software(struct page *page, bool is_software)
{
	html(page->file,
		is_software
			? "<strong class=\"warn\">software</strong>: protects against nobody who is"
			  " root on the machine"
			: "says that it is hardware; <code>bpfmeasure enroll</code> finds out");
}

static void machine_row(struct page *page, const struct db_row *row)
{
	const char *manufacturer = row_text(row, "tpm_manufacturer"), *vendor;

	vendor = row_text(row, "tpm_vendor");
	html(page->file, "<dt>Log id</dt><dd><code>%.64s</code></dd>\n", row_text(row, "log_id"));
	html(page->file, "<dt>Kernel</dt><dd>%.128s <span class=\"q\">boot %.64s</span></dd>\n",
		row_text(row, "kernel"), row_text(row, "boot_id"));
	html(page->file, "<dt>TPM</dt><dd>%.64s%s%.64s, PCR %" PRId64 ", ", manufacturer,
		manufacturer && vendor ? " " : "", vendor, row_number(row, "tpm_pcr"));
	print_software(page, row_number(row, "tpm_software"));
	html(page->file, "</dd>\n<dt>Epoch</dt><dd>since record %" PRId64 ", ",
		row_number(row, "seq"));
	page_time(page, row_text(row, "time"));
	html(page->file, " <span class=\"q\">%.16s</span></dd>\n", row_text(row, "why"));
}

const struct section report_machine = { NULL, machine_row, NULL };

static void trimmed_row(struct page *page, const struct db_row *row)
{
	html(page->file,
		"<dt>Log id</dt><dd><code>%.64s</code> <span class=\"q\">its epoch record is"
		" removed</span></dd>\n<dt>TPM</dt><dd>",
		row_text(row, "log_id"));
	print_software(page, row_number(row, "software"));
	html(page->file, "</dd>\n");
}

const struct section report_trimmed = { NULL, trimmed_row, NULL };

static void daemon_row(struct page *page, const struct db_row *row)
{
	const char *missing = row_text(row, "missing");

	html(page->file, "<dt>Daemon</dt><dd>bpfmeasured %.32s, started ",
		row_text(row, "version"));
	page_time(page, row_text(row, "time"));
	if (missing) {
		html(page->file, "; <strong class=\"warn\">hooks that are missing</strong>: ");
		html_short(page->file, missing, 400);
	}
	html(page->file, "</dd>\n");
}

static void daemon_end(struct page *page)
{
	static const struct {
		const char *id, *title;
	} links[] = {
		{ "timeline", "Timeline" },
		{ "attached", "Attached now" },
		{ "loaders", "Who loads" },
		{ "signers", "Signers" },
		{ "events", "Gaps and epochs" },
		{ "rejects", "Rejected" },
		{ "programs", "Programs" },
		{ "lives", "Lives" },
	};

	html(page->file, "</dl>\n<nav aria-label=\"Sections\">");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		html(page->file, "<a href=\"#%s\">%s</a> ", links[i].id, links[i].title);
	html(page->file, "</nav>\n</header>\n<main>\n");
}

const struct section report_daemon = { NULL, daemon_row, daemon_end };

/* ---- counts ---- */

static void figure(
	struct page *page, const char *style, int64_t number, const char *what, const char *more)
{
	html(page->file, "<li><b>%" PRId64 "</b> ", number);
	if (style)
		page_verdict(page, (unsigned)(*style - '0'), "");
	else
		html(page->file, "<span>%s</span>", what);
	if (more)
		html(page->file, "<small>%s</small>", more);
	html(page->file, "</li>\n");
}

static void print_alarms(struct page *page, const struct db_row *row)
{
	int64_t broken = row_number(row, "broken"), foreigns = row_number(row, "foreigns");

	if (broken || foreigns)
		html(page->file,
			"<p class=\"alarm\"><b>✕ The log says that its chain broke.</b> The PCR did not hold"
			" what was recorded (broken epochs: %" PRId64
			", extends by somebody else: %" PRId64
			"). From there until the TPM was next reset nothing is proven:"
			" <a href=\"#events\">gaps and epochs</a>.</p>\n",
			broken, foreigns);
	if (row_number(row, "gaps"))
		html(page->file,
			"<p class=\"caution\"><b>▲ Not everything was recorded.</b> Up to %" PRId64
			" events were missed (records that say so: %" PRId64 "):"
			" <a href=\"#events\">gaps and epochs</a>.</p>\n",
			row_number(row, "lost"), row_number(row, "gaps"));
}

static void counts_row(struct page *page, const struct db_row *row)
{
	char more[128];
	int64_t verified = row_number(row, "verified"), identified = row_number(row, "identified");

	html(page->file, "<section id=\"summary\"><h2>In short</h2>\n");
	print_alarms(page, row);
	html(page->file, "<ul class=\"figures\">\n");
	snprintf(more, sizeof(more), "of %" PRId64 " programs, by %" PRId64 " loaders",
		row_number(row, "programs"), row_number(row, "loaders"));
	figure(page, NULL, row_number(row, "loads"), "loads", more);
	snprintf(more, sizeof(more), "%" PRId64 " by a known key", identified);
	figure(page, "0", verified, NULL, more);
	figure(page, "1", row_number(row, "unsigned"), NULL, NULL);
	figure(page, "2", row_number(row, "unknown"), NULL, NULL);
	figure(page, "3", row_number(row, "rejected"), NULL, NULL);
	figure(page, NULL, row_number(row, "attached"), "attached now", NULL);
	figure(page, NULL, row_number(row, "found"), "found loaded", "at the start of an epoch");
	figure(page, NULL, row_number(row, "epochs"), "epochs", NULL);
	html(page->file, "</ul>\n");
	if (verified > identified)
		html(page->file,
			"<p>%" PRId64
			" of the verified loads brought a key of their own, which nobody here"
			" has pinned: as good as unsigned. See <a href=\"#signers\">signers</a>.</p>\n",
			verified - identified);
	html(page->file, "</section>\n");
}

const struct section report_counts = { NULL, counts_row, NULL };
