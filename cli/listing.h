/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of `bpfmeasure log`. Its columns have their widths before the first row is there, so that
 * rows come out at once and what --follow prints later stands below.
 *
 *	no terminal       nothing is shortened: what is longer than its column moves the rest of its row
 *	120 columns       every column, shortened to fit
 *	fewer             a record without a verdict has its place, error or details where the verdict and
 *	                  the loader of others are, and the loader behind it; a line for each day has the
 *	                  date, and rows the time of day
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/row.h"
#include "cli/when.h"

struct db;

struct listing {
	size_t seq, what, loader; /* columns of these */
	size_t details; /* 0: all of it */
	bool is_terminal;
	bool is_narrow;
	bool has_heading;
	char day[WHEN_MAX]; /* of the newest row, where it is narrow */
	size_t gap; /* blanks due before the next text of this row */
};

/* terminal: columns, 0 for none; last: the newest record that there is. */
void listing_init(struct listing *listing, unsigned terminal, uint64_t last);

/* Print a record, and what belongs above it. db finds what it refers to. */
void listing_print(struct listing *listing, struct db *db, const struct filter_line *line);

#endif
