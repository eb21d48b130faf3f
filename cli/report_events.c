// SPDX-License-Identifier: BSD-2-Clause
/* Epochs, gaps and whatever else happened to the log itself, each in a sentence. */
#include <string.h>

#include "cli/report_own.h"

static void events_begin(struct page *page)
{
	static const char *const heads[] = { "When", "What", "Which means", "#Record", NULL };

	page_section(page, "events", "Gaps and epochs",
		"What the log says of itself: an <em>epoch</em> is the time in which the PCR only grew by"
		" the records’ digests. Times without a daemon, and what was lost, are gaps.");
	page_table(page, "Gaps and epochs", heads);
}

static const char *const epochs[][2] = {
	{ "first_use", "The log begins." },
	{ "boot", "The machine booted, and with it the PCR began anew." },
	{ "tpm_reset", "The TPM was reset without a boot, and with it the PCR." },
	{ "tpm_restart", "The TPM was restarted without a boot, and with it the PCR." },
	{ "tpm_clear", "The TPM was cleared; the PCR went on." },
	{ "kexec", "Another kernel was started by kexec; the PCR went on." },
	{ "broken_log",
		"What was recorded does not lead to the value that the PCR has. From here until the"
		" TPM is reset the records are proven by nothing but a quote that was kept before." },
	{ "new_tpm", "The attestation key is another than before: another TPM, or a new key." },
};

static void epoch_row(struct page *page, const struct db_row *row)
{
	const char *why = row_text(row, "why");

	for (size_t i = 0; why && i < sizeof(epochs) / sizeof(epochs[0]); i++)
		if (strcmp(why, epochs[i][0]) == 0)
			html(page->file, "%s", epochs[i][1]);
	html(page->file,
		" <span class=\"q\">kernel %.128s, TPM resets %" PRId64 ", restarts %" PRId64
		"</span>",
		row_text(row, "kernel"), row_number(row, "tpm_reset_count"),
		row_number(row, "tpm_restart_count"));
}

static void foreign_row(struct page *page, const struct db_row *row)
{
	html(page->file, "Somebody else extended the PCR after record %" PRId64 ", between ",
		row_number(row, "after_seq"));
	if (row_has(row, "last_seen"))
		page_time(page, row_text(row, "last_seen"));
	else
		html(page->file, "a time that is not known");
	html(page->file, " and the time of this record.");
}

static void start_row(struct page *page, const struct db_row *row)
{
	const char *last = row_text(row, "last_exit"), *missing = row_text(row, "missing");

	if (last && strcmp(last, "unclean") == 0)
		html(page->file, "It had not been stopped in order. ");
	else if (last && strcmp(last, "none") == 0)
		html(page->file, "For the first time. ");
	html(page->file,
		row_number(row, "kept_measuring")
			? "The hooks went on recording while no daemon ran."
			: "No hook was recording before.");
	if (missing) {
		html(page->file, " <span class=\"warn\">Missing hooks:</span> ");
		html_short(page->file, missing, 400);
	}
	html(page->file, " <span class=\"q\">version %.64s</span>", row_text(row, "version"));
}

static void lost_row(struct page *page, const struct db_row *row)
{
	const char *what = row_text(row, "what");
	bool is_ids = what && strcmp(what, "ids") == 0;

	html(page->file, "%" PRId64 " ", row_number(row, "count"));
	html(page->file,
		is_ids ? "program ids were skipped: no load of theirs was seen"
		       : "%.32s are not in the log: what they were cannot be found out",
		what);
	html(page->file, " <span class=\"q\">numbers %" PRId64 " to %" PRId64 "</span>",
		row_number(row, "first"), row_number(row, "last"));
}

static void trim_row(struct page *page, const struct db_row *row)
{
	html(page->file,
		"Records %" PRId64 " to %" PRId64
		" are removed, as the configuration asks (%.16s): from ",
		row_number(row, "first"), row_number(row, "last"), row_text(row, "why"));
	page_time(page, row_text(row, "first_time"));
	html(page->file, " to ");
	page_time(page, row_text(row, "last_time"));
	html(page->file, ".");
}

static void resume_row(struct page *page, const struct db_row *row)
{
	html(page->file,
		"A suspend: the TPM’s counters moved to restart %" PRId64 ", the PCR was kept.",
		row_number(row, "resumed"));
}

static void stop_row(struct page *page, const struct db_row *row)
{
	html(page->file, "In order: ");
	html_short(page->file, row_text(row, "why"), 120);
}

static const struct event {
	const char *kind;
	const char *word;
	const char *style; /* good, bad or a gap */
	void (*row)(struct page *page, const struct db_row *row);
} events[] = {
	{ "epoch", "◆ epoch", "", epoch_row },
	{ "resume", "● resume", "", resume_row },
	{ "foreign", "✕ foreign extend", "bad", foreign_row },
	{ "start", "▶ daemon starts", "", start_row },
	{ "stop", "■ daemon stops", "", stop_row },
	{ "lost", "▲ lost", "gap", lost_row },
	{ "trim", "[ removed", "", trim_row },
};

static void events_row(struct page *page, const struct db_row *row)
{
	const char *kind = row_text(row, "kind"), *why = row_text(row, "why");
	bool is_broken = kind && strcmp(kind, "epoch") == 0 && why &&
		strcmp(why, "broken_log") == 0;
	const struct event *event = events;

	while (kind && strcmp(event->kind, kind) != 0)
		event++;
	page->shown++;
	page->total = (uint64_t)row_number(row, "total");
	html(page->file, "<tr class=\"%s\"><td>", is_broken ? "bad" : event->style);
	page_time(page, row_text(row, "time"));
	html(page->file, "</td><th scope=\"row\">");
	fputs(is_broken ? "✕ broken epoch" : event->word, page->file);
	if (!is_broken && event->row == epoch_row)
		html(page->file, " <span class=\"q\">%.32s</span>", why);
	html(page->file, "</th><td>");
	event->row(page, row);
	html(page->file, "</td><td class=\"num\">%" PRId64 "</td></tr>\n", row_number(row, "seq"));
}

static void events_end(struct page *page)
{
	page_table_end(page, 4, "None.", "older events",
		"SELECT seq, time, kind FROM head WHERE kind IN ('epoch', 'resume', 'foreign', 'start',"
		" 'stop', 'lost', 'trim')&");
	html(page->file, "</section>\n");
}

const struct section report_events = { events_begin, events_row, events_end };
