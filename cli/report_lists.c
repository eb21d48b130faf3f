// SPDX-License-Identifier: BSD-2-Clause
/* What is attached, who loads, who signs, what was rejected. */
#include <string.h>

#include "cli/report_own.h"

static void count_row(struct page *page, const struct db_row *row)
{
	page->shown++;
	page->total = (uint64_t)row_number(row, "total");
}

static void cell_number(struct page *page, int64_t number)
{
	html(page->file, "<td class=\"num\">%" PRId64 "</td>", number);
}

static void cell_time(struct page *page, const char *time)
{
	html(page->file, "<td>");
	page_time(page, time);
	html(page->file, "</td>");
}

/* The executable, or else the name that the thread gives itself. */
static void print_task(struct page *page, const char *exe, const char *comm)
{
	if (exe) {
		html(page->file, "<b class=\"n\">");
		html_short(page->file, exe, 120);
		html(page->file, "</b>");
	} else if (comm) {
		html(page->file,
			"<b class=\"n\">%.64s</b> <span class=\"q\">its executable is not"
			" known</span>",
			comm);
	} else {
		html(page->file, "<span class=\"q\">not known</span>");
	}
}

/* ---- attached now ---- */

static void attached_begin(struct page *page)
{
	static const char *const heads[] = { "Where", "Program", "Since", "By", "#Record", NULL };

	page_section(page, "attached", "Programs attached now",
		"At the end of the log, whatever range of time this page has: every attachment that no"
		" record has ended; the agent's own hooks are the last. A <em>pin</em> keeps a program"
		" and runs it nowhere; <em>bpffs:</em> is before its path in the BPF file system.");
	page_table(page, "Programs attached now", heads);
}

static void attached_row(struct page *page, const struct db_row *row)
{
	const char *how = row_text(row, "how");

	count_row(page, row);
	html(page->file, "<tr><th scope=\"row\">");
	page_place(page, row);
	html(page->file, "</th><td>");
	page_program(page, row_text(row, "program_name"), row_text(row, "program_type"),
		row_number(row, "rank"));
	html(page->file, "</td>");
	cell_time(page, row_text(row, "time"));
	html(page->file, "<td>");
	if (how && strcmp(how, "baseline") == 0) {
		html(page->file, "<span class=\"q\">%s</span>",
			row_number(row, "self") ? "the agent's own hook"
						: "found there: nobody saw who did it");
	} else {
		print_task(page, row_text(row, "by_exe"), row_text(row, "by_comm"));
		if (row_has(row, "by_uid"))
			html(page->file, " <span class=\"q\">uid %" PRId64 "</span>",
				row_number(row, "by_uid"));
	}
	html(page->file, "</td>");
	cell_number(page, row_number(row, "seq"));
	html(page->file, "</tr>\n");
}

static void attached_end(struct page *page)
{
	page_table_end(page, 5, "Nothing, as far as the log tells.", "attachments",
		"SELECT * FROM attached_now");
	html(page->file, "</section>\n");
}

const struct section report_attached = { attached_begin, attached_row, attached_end };

/* ---- loaders ---- */

static void loaders_begin(struct page *page)
{
	static const char *const heads[] = { "Executable", "Unit, user", "#Loads", "Verdicts",
		"Programs", NULL };

	page_section(page, "loaders", "Who loads what",
		"One row for each executable, by its path and sha256, in one unit and of one user.");
	page_table(page, "Who loads what", heads);
}

static void loader_close(struct page *page)
{
	if (page->group)
		html(page->file, "</td></tr>\n");
}

static void loader_open(struct page *page, const struct db_row *row)
{
	const uint64_t counts[SERIES_COUNT] = { (uint64_t)row_number(row, "verified"),
		(uint64_t)row_number(row, "unsigned"), (uint64_t)row_number(row, "unknown") };

	html(page->file, "<tr><th scope=\"row\">");
	print_task(page, row_text(row, "exe"), row_text(row, "comm"));
	html(page->file, "<br>");
	page_digest(page, row_text(row, "exe_sha256"));
	html(page->file, "</th><td class=\"u\">%s<br><span class=\"q\">uid %" PRId64 "</span></td>",
		row_text(row, "unit"), row_number(row, "uid"));
	cell_number(page, row_number(row, "loads"));
	html(page->file, "<td class=\"verdicts\">");
	page_share(page, counts);
	for (unsigned i = 0; i < 3; i++)
		if (counts[i]) {
			char count[32];

			snprintf(count, sizeof(count), " %" PRIu64, counts[i]);
			page_verdict(page, i, count);
		}
	if (row_number(row, "own"))
		html(page->file, "<span class=\"warn\">%" PRId64 " by a key of its own</span>",
			row_number(row, "own"));
	html(page->file, "</td><td class=\"chips\"><span class=\"q\">%" PRId64 " distinct:</span> ",
		row_number(row, "programs"));
}

static void loaders_row(struct page *page, const struct db_row *row)
{
	int64_t place = row_number(row, "place");

	if (row_number(row, "nth") == 0) {
		loader_close(page);
		count_row(page, row);
		page->group = place;
		loader_open(page, row);
		return;
	}
	page_program(page, row_text(row, "name"), NULL, row_number(row, "rank"));
	html(page->file, "&#8239;×%" PRId64 " ", row_number(row, "loads"));
}

static void loaders_end(struct page *page)
{
	loader_close(page);
	page_table_end(page, 5, "Nobody loaded anything.", "loaders",
		"SELECT loader_exe, loader_exe_sha256, loader_unit, loader_uid, count(*) FROM load@"
		" GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC");
	html(page->file, "</section>\n");
}

const struct section report_loaders = { loaders_begin, loaders_row, loaders_end };

/* ---- signers ---- */

static void signers_begin(struct page *page)
{
	static const char *const heads[] = { "Key", "Keyring", "#Loads", "#Programs", "First",
		"Last", NULL };

	page_section(page, "signers", "Signers",
		"Loads whose signature the kernel verified, by what vouches for the key. Who signed is known"
		" where the agent itself found the key to be a <em>pinned</em> one, or where it was in one of"
		" the kernel’s own keyrings. A key out of a <em>user</em> keyring that nobody pinned is one"
		" that the loader brought along: as good as unsigned.");
	page_table(page, "Verified loads by key", heads);
}

static void signers_row(struct page *page, const struct db_row *row)
{
	const char *pinned = row_text(row, "pinned"), *keyring = row_text(row, "keyring");
	bool is_user = !keyring || strcmp(keyring, "user") == 0;

	count_row(page, row);
	html(page->file, "<tr><th scope=\"row\">");
	if (pinned) {
		html_short(page->file, row_text(row, "subject"), 128);
		html(page->file, "<br>");
		page_digest(page, pinned);
		html(page->file, " <span class=\"q\">pinned</span>");
	} else if (is_user) {
		html(page->file, "<span class=\"warn\">a key of the loader’s own</span>");
	} else {
		html(page->file, "a key of the kernel’s");
	}
	html(page->file, "</th><td>%.32s</td>", keyring);
	cell_number(page, row_number(row, "loads"));
	cell_number(page, row_number(row, "programs"));
	cell_time(page, row_text(row, "first_time"));
	cell_time(page, row_text(row, "last_time"));
	html(page->file, "</tr>\n");
}

static void signers_end(struct page *page)
{
	page_table_end(page, 6, "No load was verified.", "keys",
		"SELECT signature_pinned, signature_keyring, count(*) FROM load"
		" WHERE signature_verdict = 'verified'& GROUP BY 1, 2");
	page->shown = page->total = 0;
}

const struct section report_signers = { signers_begin, signers_row, signers_end };

static void claims_begin(struct page *page)
{
	static const char *const heads[] = { "Claimed key", "#Loads", "#Verified",
		"#By a pinned key", "First", "Last", NULL };

	html(page->file,
		"<h3>What signatures claim</h3>\n<p class=\"lead\">The key identifiers that signatures name"
		" themselves. <strong>Claims, and no identity</strong>: anybody can make a certificate with"
		" anybody’s key identifier.</p>\n");
	page_table(page, "Claimed key identifiers", heads);
}

static void claims_row(struct page *page, const struct db_row *row)
{
	count_row(page, row);
	html(page->file, "<tr><th scope=\"row\"><code>");
	html_short(page->file, row_text(row, "claim"), 140);
	html(page->file, "</code></th>");
	cell_number(page, row_number(row, "loads"));
	cell_number(page, row_number(row, "verified"));
	cell_number(page, row_number(row, "pinned"));
	cell_time(page, row_text(row, "first_time"));
	cell_time(page, row_text(row, "last_time"));
	html(page->file, "</tr>\n");
}

static void claims_end(struct page *page)
{
	page_table_end(page, 6, "None.", "claimed keys",
		"SELECT claimed_key_id, count(*) FROM signature_claim JOIN load USING (seq)@"
		" GROUP BY 1 ORDER BY 2 DESC");
	html(page->file, "</section>\n");
}

const struct section report_claims = { claims_begin, claims_row, claims_end };

/* ---- rejects ---- */

static void rejects_begin(struct page *page)
{
	static const char *const heads[] = { "Program", "Why", "Signature", "Loader", "#Times",
		"Last", "#Record", NULL };

	page_section(page, "rejects", "Rejected loads",
		"Loads that failed at their signature, in a security module or in the verifier.");
	page_table(page, "Rejected loads", heads);
}

static void rejects_row(struct page *page, const struct db_row *row)
{
	const char *verdict = row_text(row, "signature_verdict");
	const char *error = strerrorname_np((int)row_number(row, "errno"));

	count_row(page, row);
	html(page->file, "<tr><th scope=\"row\">");
	page_program(page, row_text(row, "program_name"), row_text(row, "program_type"), 0);
	html(page->file, "<br>");
	page_digest(page, row_text(row, "program_sha256"));
	html(page->file, "</th><td><span class=\"v v3\"><i>✕</i>%.16s</span> ",
		row_text(row, "stage"));
	if (error)
		html(page->file, "%s", error);
	else
		html(page->file, "errno %" PRId64, row_number(row, "errno"));
	html(page->file, "</td><td>%.16s</td><td>", verdict);
	print_task(page, row_text(row, "loader_exe"), row_text(row, "loader_comm"));
	html(page->file, " <span class=\"q\">%s uid %" PRId64 "</span></td>",
		row_text(row, "loader_unit"), row_number(row, "loader_uid"));
	cell_number(page, row_number(row, "times"));
	cell_time(page, row_text(row, "last_time"));
	cell_number(page, row_number(row, "last_seq"));
	html(page->file, "</tr>\n");
}

static void rejects_end(struct page *page)
{
	page_table_end(page, 7, "None.", "kinds of rejected loads",
		"SELECT stage, errno, program_name, program_type, program_sha256, signature_verdict,"
		" loader_exe, loader_unit, loader_uid, count(*) FROM reject@"
		" GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9");
	html(page->file, "</section>\n");
}

const struct section report_rejects = { rejects_begin, rejects_row, rejects_end };
