/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the report share and nobody else sees. */
#ifndef CLI_REPORT_OWN_H
#define CLI_REPORT_OWN_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/html.h"
#include "db/db.h"

/* ---- the page ---- */

enum {
	AXIS_WIDTH = 960, /* units of every picture that has the time from left to right */
	BUCKETS_MAX = 120,
	LIVES_MAX = 120, /* programs whose lives are printed: in report.sql too */
	SERIES_COUNT = 4, /* verified, unsigned, unknown, rejected */
};

/* The time from left to right, whole seconds since 1970. */
struct axis {
	int64_t from, to; /* to is behind the last */
	int64_t bucket; /* seconds of one */
	unsigned buckets;
	int64_t tick;
	int64_t east; /* seconds of the zone, at from */
};

struct timeline {
	uint64_t counts[BUCKETS_MAX][SERIES_COUNT];
	unsigned marks[BUCKETS_MAX][7]; /* of each enum mark */
	int64_t stopped_s; /* -1: runs, as far as is known */
	struct {
		int64_t from, to;
	} stops[BUCKETS_MAX]; /* the first so many */
	unsigned stop_count;
};

/* The program whose life is being printed. */
struct life_at {
	int64_t rank, part;
	int64_t from, to; /* a span that may go on in the next row; from -1: none */
	int64_t mark; /* the last place */
	int64_t count, total; /* of the part's list */
};

struct page {
	FILE *file;
	struct axis axis;
	bool is_empty; /* no record */
	bool is_damaged; /* records are missing, or lines are none */
	uint64_t strange; /* lines of the log that are no records */
	size_t at; /* which section */
	uint64_t shown, total; /* rows of its list */
	uint64_t programs; /* distinct ones, all of them */
	int64_t group; /* of rows that belong together */
	struct timeline timeline;
	struct life_at life;
	/* What the page was asked for, as records write times; "" and "9999" where it was not. */
	char since[40], until[40];
};

/* ---- rows ---- */

/* NULL where it is null, or no text without NUL bytes in it. */
const char *row_text(const struct db_row *row, const char *name);
int64_t row_number(const struct db_row *row, const char *name); /* 0 where it is none */
bool row_has(const struct db_row *row, const char *name);

/* ---- pieces of HTML ---- */

/* A time of a record, in the zone of the page; "–" where it is none. */
void page_time(struct page *page, const char *rfc3339);

/* "name type", a link to the program's life where the page has it. */
void page_program(struct page *page, const char *name, const char *type, int64_t rank);

/* A digest's beginning, the whole as its title. */
void page_digest(struct page *page, const char *hex);

/* "verified", "unsigned", "unknown", "rejected", with its sign. */
void page_verdict(struct page *page, unsigned series, const char *suffix);

/* A bar of how many of each verdict there are, where there are several. */
void page_share(struct page *page, const uint64_t counts[static SERIES_COUNT]);

/* <section> with a heading, then a paragraph if lead is not NULL, which is HTML. */
void page_section(struct page *page, const char *id, const char *title, const char *lead);

/* A table with a caption for those who do not see the heading; heads are HTML, and end with NULL. */
void page_table(struct page *page, const char *caption, const char *const *heads);

/*
 * What is left out of a list, if something is, and the query that has all of it: a @ in sql stands for
 * WHERE and the range of the page, a & for AND and the range.
 */
void page_more(struct page *page, const char *what, const char *sql);

/* </table>, and what is left out of it; before it none, over all columns, where it has no row. */
void page_table_end(
	struct page *page, unsigned columns, const char *none, const char *what, const char *sql);

/* What a program is attached to, in words, as far as its type and its name (NULL: none) say; and the whole
 * place. */
void page_target(struct page *page, const char *type, const char *name);
void page_place(struct page *page, const struct db_row *row);

/* ---- time ---- */

enum { AXIS_TEXT_MAX = 64 };

/* How a time is written, in the local zone. */
enum stamp {
	STAMP_FULL,
	STAMP_SECOND,
	STAMP_MINUTE,
	STAMP_DAY,
	STAMP_MONTH,
	STAMP_YEAR,
	STAMP_ZONE,
	STAMP_OFFSET,
};

void axis_init(struct axis *axis, int64_t first_s, int64_t last_s);
int64_t axis_x(const struct axis *axis, int64_t s);
unsigned axis_bucket(const struct axis *axis, int64_t s);
/* Lines and labels at its ticks, between top and bottom. */
void axis_draw(const struct page *page, int top, int bottom, bool has_labels);
void axis_text(int64_t s, enum stamp stamp, char ret_text[static AXIS_TEXT_MAX]);

/* ---- sections: what begins one, prints a row of its statement, ends it ---- */

struct section {
	void (*begin)(struct page *page);
	void (*row)(struct page *page, const struct db_row *row);
	void (*end)(struct page *page);
};

extern const struct section report_range, report_machine, report_trimmed, report_daemon,
	report_counts;
extern const struct section report_timeline, report_marks;
extern const struct section report_attached, report_loaders, report_signers, report_claims,
	report_events, report_rejects, report_programs, report_lives;

/* A row of the statements of report.sql; arg is the page. */
int page_row(void *arg, const struct db_row *row);
void page_begin(struct page *page);
void page_end(struct page *page);

extern const char report_sql[], report_tables_sql[], report_css[];

#endif
