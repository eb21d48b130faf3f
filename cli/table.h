/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables for stdout. On a terminal they fit its width and may have colours (not with NO_COLOR or
 * TERM=dumb); elsewhere nothing is cut. Bytes outside printable ASCII are shown as \xHH.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/terminal.h"

struct table;
struct table_row;

enum {
	TABLE_RIGHT = 1, /* aligned to the right */
	TABLE_CUT = 2, /* may give up the middle of what is in it where the terminal is narrow */
	TABLE_TREE = 4, /* shows whose child a row is */
};

/* As wide as what is in it. */
struct table_column {
	const char *name;
	unsigned flags;
};

/* stream is stdout, or what comes to it later. NULL without memory. Columns are copied. */
struct table *table_new(FILE *stream, const struct table_column *columns, size_t count);
void table_free(struct table *table);
void table_freep(struct table **table);

/* A new row below parent (NULL: none), and the text of one of its cells, copied. Where memory is
 * missing, table_flush() says so. */
struct table_row *table_row(struct table *table, struct table_row *parent);
void table_cell(struct table *table, struct table_row *row, size_t column, const char *text,
	enum table_color color);

/* Print the rows and forget them; the heading stands above the first only. Returns 0 or -ENOMEM. */
[[nodiscard]] int table_flush(struct table *table);

/* Rows since the last flush. */
size_t table_count(const struct table *table);

#endif
