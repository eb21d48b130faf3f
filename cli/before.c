// SPDX-License-Identifier: BSD-2-Clause
#include "cli/before.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/evidence.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/filter.h"
#include "cli/table.h"
#include "cli/when.h"
#include "db/db.h"

struct trim {
	uint64_t seq;
	uint64_t time_ns;
	struct record_trim_facts facts;
	char *line;
	size_t len;
};

struct beginning {
	uint64_t first; /* the oldest record that is there; 0: none */
	uint8_t prev[SHA256_LEN]; /* what it says */
	uint64_t invalid; /* a line that is no record; 0: none */
	struct trim *trims; /* in the order of the log */
	size_t count;
};

static void beginning_done(struct beginning *beginning)
{
	for (size_t i = 0; i < beginning->count; i++)
		free(beginning->trims[i].line);
	free(beginning->trims);
	*beginning = (struct beginning){};
}

/* ---- reading ---- */

static int trim_add(struct beginning *beginning, const struct filter_line *line)
{
	struct trim trim = { .seq = line->head.seq, .time_ns = line->head.time_ns };
	struct trim *trims = reallocarray(
		beginning->trims, beginning->count + 1, sizeof(*beginning->trims));

	if (!trims)
		return -ENOMEM;
	beginning->trims = trims;
	record_trim_facts(line->line, line->len, &trim.facts);
	trim.len = line->len;
	trim.line = strndup(line->line, line->len);
	if (!trim.line)
		return -ENOMEM;
	trims[beginning->count++] = trim;
	return 0;
}

static int take_line(void *arg, const struct filter_line *line)
{
	struct beginning *beginning = arg;

	if (beginning->first == 0) {
		beginning->first = line->head.seq;
		memcpy(beginning->prev, line->head.prev, SHA256_LEN);
	}
	if (line->error)
		beginning->invalid = line->head.seq;
	return !line->error && line->head.kind == RECORD_TRIM ? trim_add(beginning, line) : 0;
}

static int beginning_read(struct db *db, struct beginning *beginning)
{
	const struct filter filter = filter_any();

	return filter_each(db, &filter, 1, UINT64_MAX, take_line, beginning);
}

/* What the trim records say alone. */
static int trims_read(struct db *db, struct beginning *beginning)
{
	struct filter filter = filter_any();

	filter.kind = "trim";
	return filter_each(db, &filter, 1, UINT64_MAX, take_line, beginning);
}

/* ---- judging ---- */

enum { WHY_LEN = 256 };

static bool is_done(const struct beginning *beginning, const struct trim *trim)
{
	return trim->facts.last + 1 == beginning->first;
}

/* The trim that the log begins behind, or else the one under way. NULL: there is none. */
static const struct trim *trim_of(const struct beginning *beginning)
{
	const struct trim *under_way = NULL;

	for (size_t i = beginning->count; i-- > 0;) {
		const struct trim *trim = &beginning->trims[i];

		if (is_done(beginning, trim))
			return trim;
		if (!under_way && trim->facts.first <= beginning->first &&
			beginning->first <= trim->facts.last)
			under_way = trim;
	}
	return under_way;
}

/* Records that went between one trim and the next, or behind the last. */
static bool has_gap(const struct beginning *beginning, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t next = beginning->count > 0 ? beginning->trims[0].facts.first : 1;
	uint64_t found = 0;

	for (size_t i = 0; i < beginning->count && !found; i++) {
		if (beginning->trims[i].facts.first > next)
			found = beginning->trims[i].facts.first;
		else
			next = beginning->trims[i].facts.last + 1;
	}
	if (!found && beginning->first > next)
		found = beginning->first;
	if (!found)
		return false;
	*ret_first = next;
	*ret_last = found - 1;
	return true;
}

/* Returns 0 or an error of db/db.h. */
static int judge_quote(struct db *db, const struct trim *trim, char ret_why[static WHY_LEN])
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct evidence_kept kept;
	struct line_error error;
	uint64_t seq = 0;
	size_t len = 0;

	int r = db_quote_last(db, trim->facts.last, &line, &len, &seq);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || seq != trim->facts.last)
		snprintf(ret_why, WHY_LEN,
			"the quote after record %" PRIu64 ", up to which record %" PRIu64
			" removed, is not kept: nothing proves what the log begins with",
			trim->facts.last, trim->seq);
	else if (evidence_kept_decode(line, len, &kept, &error) < 0 || kept.seq != seq ||
		memcmp(kept.sha256, trim->facts.last_sha256, SHA256_LEN) != 0)
		snprintf(ret_why, WHY_LEN,
			"the quote kept after record %" PRIu64
			" is not of the line that record %" PRIu64 " names",
			seq, trim->seq);
	return 0;
}

/* What is wrong with the beginning; "": nothing. Returns 0 or an error of db/db.h. */
static int judge(struct db *db, const struct beginning *beginning, char ret_why[static WHY_LEN])
{
	const struct trim *trim = trim_of(beginning);
	uint64_t first, last;

	ret_why[0] = '\0';
	if (has_gap(beginning, &first, &last))
		snprintf(ret_why, WHY_LEN,
			"records %" PRIu64 " to %" PRIu64
			" were removed, and no trim record says so",
			first, last);
	if (*ret_why || beginning->first <= 1)
		return 0;
	if (!trim)
		snprintf(ret_why, WHY_LEN,
			"the log begins with record %" PRIu64 ", and no trim record says so",
			beginning->first);
	else if (is_done(beginning, trim) && beginning->invalid != beginning->first &&
		memcmp(beginning->prev, trim->facts.last_sha256, SHA256_LEN) != 0)
		snprintf(ret_why, WHY_LEN,
			"record %" PRIu64 " does not follow the record %" PRIu64
			" that record %" PRIu64 " names",
			beginning->first, trim->facts.last, trim->seq);
	return trim && !*ret_why ? judge_quote(db, trim, ret_why) : 0;
}

/* Read and judge. What a writer did in between shall not be taken for a fault. */
static int beginning_judge(struct db *db, struct beginning *beginning, char ret_why[static WHY_LEN])
{
	for (;;) {
		uint64_t now = 0;
		int r = beginning_read(db, beginning);
		if (r == 0)
			r = judge(db, beginning, ret_why);
		if (r < 0 || !*ret_why)
			return r;
		r = db_first_seq(db, &now);
		if (r < 0 || now == beginning->first)
			return r;
		beginning_done(beginning);
	}
}

/* ---- printing ---- */

enum { SEQ, TIME, WHY, REMOVED, OLDEST, NEWEST };

/* Times of months and years ago: the year is worth more than the seconds. */
static void when_minutes(uint64_t ns, char ret_text[static WHEN_MAX])
{
	when_full(ns, ret_text);
	ret_text[strlen("2026-11-21 08:35")] = '\0';
}

static void trim_row(struct table *table, const struct trim *trim)
{
	struct table_row *row = table_row(table, NULL);
	char text[WHEN_MAX], why[FIELD_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, trim->seq);
	table_cell(table, row, SEQ, text, TABLE_PLAIN);
	when_minutes(trim->time_ns, text);
	table_cell(table, row, TIME, text, TABLE_PLAIN);
	field_text(trim->line, trim->len, "why", why);
	table_cell(table, row, WHY, why, TABLE_PLAIN);
	snprintf(
		text, sizeof(text), "%" PRIu64 " to %" PRIu64, trim->facts.first, trim->facts.last);
	table_cell(table, row, REMOVED, text, TABLE_PLAIN);
	when_minutes(trim->facts.first_time_ns, text);
	table_cell(table, row, OLDEST, text, TABLE_PLAIN);
	when_minutes(trim->facts.last_time_ns, text);
	table_cell(table, row, NEWEST, text, TABLE_PLAIN);
}

static int print_trims(const struct beginning *beginning)
{
	static const struct table_column columns[] = {
		[SEQ] = { "SEQ", TABLE_RIGHT },
		[TIME] = { "TIME", 0 },
		[WHY] = { "WHY", 0 },
		[REMOVED] = { "REMOVED", 0 },
		[OLDEST] = { "OLDEST", TABLE_CUT },
		[NEWEST] = { "NEWEST", TABLE_CUT },
	};
	[[gnu::cleanup(table_freep)]] struct table *table = table_new(
		stdout, columns, sizeof(columns) / sizeof(columns[0]));

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < beginning->count; i++)
		trim_row(table, &beginning->trims[i]);
	int r = table_flush(table);
	if (beginning->count > 0)
		putchar('\n');
	return r;
}

/* Where the log begins, and that this is as it should be. */
static void print_beginning(const struct beginning *beginning)
{
	const struct trim *trim = trim_of(beginning);

	if (beginning->first == 0)
		puts("nothing was removed: the log is empty");
	else if (beginning->first == 1)
		puts("nothing was removed: the log begins with record 1");
	else if (is_done(beginning, trim))
		printf("the log begins with record %" PRIu64 ", right behind what record %" PRIu64
		       " removed\n",
			beginning->first, trim->seq);
	else
		printf("the log begins with record %" PRIu64 "\n", beginning->first);
	if (beginning->first > 0 && trim && !is_done(beginning, trim))
		printf("records up to %" PRIu64 " are being removed, as record %" PRIu64 " says\n",
			trim->facts.last, trim->seq);
	if (beginning->first > 1)
		printf("a quote of the PCR after record %" PRIu64 " is kept\n", trim->facts.last);
	if (beginning->first > 1 && beginning->trims[0].facts.first > 1)
		printf("records 1 to %" PRIu64 " went before, and with time what said so\n",
			beginning->trims[0].facts.first - 1);
}

int before_print(struct db *db, bool json)
{
	[[gnu::cleanup(beginning_done)]] struct beginning beginning = {};
	char why[WHY_LEN] = "";

	int r = beginning_judge(db, &beginning, why);
	if (r == 0 && !json)
		r = print_trims(&beginning);
	if (r < 0)
		return r == -ENOMEM ? cli_unknown("%s", strerror(ENOMEM)) : cli_db_fail(db, r);
	for (size_t i = 0; json && i < beginning.count; i++)
		puts(beginning.trims[i].line);
	if (beginning.invalid > 0)
		snprintf(why, sizeof(why), "line %" PRIu64 " of the log is no record",
			beginning.invalid);
	if (*why)
		return cli_untrusted("%s", why);
	if (!json)
		print_beginning(&beginning);
	return CLI_GOOD;
}

int before_explain(struct db *db, uint64_t seq)
{
	[[gnu::cleanup(beginning_done)]] struct beginning beginning = {};
	char when[WHEN_MAX];

	int r = trims_read(db, &beginning);
	if (r < 0)
		return r == -ENOMEM ? cli_unknown("%s", strerror(ENOMEM)) : cli_db_fail(db, r);
	for (size_t i = beginning.count; i-- > 0;) {
		const struct trim *trim = &beginning.trims[i];

		when_full(trim->time_ns, when);
		if (trim->facts.first <= seq && seq <= trim->facts.last)
			return cli_unknown("record %" PRIu64
					   " was removed on %s: see record %" PRIu64 " (trim)",
				seq, when, trim->seq);
		if (i == 0 && seq < trim->facts.first)
			return cli_unknown("record %" PRIu64
					   " was removed before %s: see record %" PRIu64 " (trim)",
				seq, when, trim->seq);
	}
	return cli_untrusted("record %" PRIu64 " was removed, and no trim record says so", seq);
}
