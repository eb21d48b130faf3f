// SPDX-License-Identifier: BSD-2-Clause
#include "cli/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

struct table {
	struct libscols_table *scols;
	int error;
	bool has_heading; /* printed already */
};

/* struct table_row is smartcols' line under a name of ours. */
static struct libscols_line *line_of(struct table_row *row)
{
	return (struct libscols_line *)row;
}

static void text_freep(char **text)
{
	free(*text);
}

/*
 * A copy with \xHH for every byte outside printable ASCII, as records have it; NULL without memory.
 * smartcols' own escaping would take the \xHH of a record's text for something to be escaped again.
 */
static char *printable(const char *text)
{
	char *copy = malloc(4 * strlen(text) + 1), *to = copy;

	if (!copy)
		return NULL;
	for (; *text; text++)
		if (*text >= 0x20 && *text <= 0x7e)
			*to++ = *text;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
	*to = '\0';
	return copy;
}

static int column_add(struct table *table, const struct table_column *column)
{
	int flags = (column->flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0) |
		(column->flags & TABLE_CUT ? SCOLS_FL_TRUNC : 0) |
		(column->flags & TABLE_TREE ? SCOLS_FL_TREE : 0);

	[[gnu::cleanup(text_freep)]] char *name = printable(column->name);

	return name && scols_table_new_column(table->scols, name, 0, flags) ? 0 : -ENOMEM;
}

struct table *table_new(FILE *stream, const struct table_column *columns, size_t count)
{
	[[gnu::cleanup(table_freep)]] struct table *table = calloc(1, sizeof(*table));
	unsigned width = terminal_width();

	if (!table)
		return NULL;
	table->scols = scols_new_table();
	if (!table->scols)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (column_add(table, &columns[i]) < 0)
			return NULL;
	if (scols_table_set_stream(table->scols, stream) < 0 ||
		scols_table_enable_noencoding(table->scols, 1) < 0 ||
		scols_table_enable_colors(table->scols, terminal_has_colors()) < 0 ||
		scols_table_set_termforce(
			table->scols, width ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER) < 0 ||
		(width && scols_table_set_termwidth(table->scols, width) < 0))
		return NULL;
	struct table *made = table;
	table = NULL;
	return made;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	scols_unref_table(table->scols);
	free(table);
}

void table_freep(struct table **table)
{
	table_free(*table);
}

struct table_row *table_row(struct table *table, struct table_row *parent)
{
	struct libscols_line *line = scols_table_new_line(table->scols, line_of(parent));

	if (!line)
		table->error = -ENOMEM;
	return (struct table_row *)line;
}

void table_cell(struct table *table, struct table_row *row, size_t column, const char *text,
	enum table_color color)
{
	static const char *const colors[] = {
		[TABLE_GREEN] = "green",
		[TABLE_YELLOW] =
			"brown", /* the terminal's yellow: smartcols' own is the bright one */
		[TABLE_RED] = "red",
	};

	if (!row)
		return;
	struct libscols_cell *cell = scols_line_get_cell(line_of(row), column);
	[[gnu::cleanup(text_freep)]] char *data = printable(text);
	if (!cell || !data || scols_cell_refer_data(cell, data) < 0) {
		table->error = -ENOMEM;
		return;
	}
	data = NULL; /* the cell's */
	if (colors[color] && scols_cell_set_color(cell, colors[color]) < 0)
		table->error = -ENOMEM;
}

/* ---- as wide as the terminal ---- */

/* What a cell takes, with the branches before it. */
static size_t cell_width(struct libscols_column *column, struct libscols_line *line, size_t number)
{
	enum { BRANCH = 2 };
	const char *data = scols_cell_get_data(scols_line_get_cell(line, number));
	size_t width = data ? strlen(data) : 0;

	while (scols_column_is_tree(column) && (line = scols_line_get_parent(line)))
		width += BRANCH;
	return width;
}

/* The widest that may be cut becomes narrower, until all of them fit. */
static void fit_widths(struct libscols_table *scols, size_t *widths, size_t count, size_t room)
{
	enum { WIDTH_MIN = 8 };
	size_t used = count - 1;

	for (size_t i = 0; i < count; i++)
		used += widths[i];
	while (used > room) {
		size_t widest = count;

		for (size_t i = 0; i < count; i++)
			if (scols_column_is_trunc(scols_table_get_column(scols, i)) &&
				widths[i] > WIDTH_MIN &&
				(widest == count || widths[i] > widths[widest]))
				widest = i;
		if (widest == count)
			return;
		widths[widest]--;
		used--;
	}
}

static int cell_shorten(struct libscols_line *line, size_t number, size_t over)
{
	struct libscols_cell *cell = scols_line_get_cell(line, number);
	const char *data = scols_cell_get_data(cell);
	size_t len = data ? strlen(data) : 0;
	[[gnu::cleanup(text_freep)]] char *text = malloc(len + 1 + TERMINAL_MARK_MAX);

	if (!text)
		return -ENOMEM;
	terminal_shorten(data ? data : "", len > over ? len - over : 1, text);
	if (scols_cell_refer_data(cell, text) < 0)
		return -ENOMEM;
	text = NULL; /* the cell's */
	return 0;
}

/* The widest cell of each column. */
static void natural_widths(struct libscols_table *scols, struct libscols_iter *each, size_t *widths)
{
	struct libscols_line *line;

	for (size_t i = 0; i < scols_table_get_ncols(scols); i++) {
		struct libscols_column *column = scols_table_get_column(scols, i);

		widths[i] = strlen(scols_column_get_name(column));
		scols_reset_iter(each, SCOLS_ITER_FORWARD);
		while (scols_table_next_line(scols, each, &line) == 0) {
			size_t width = cell_width(column, line, i);
			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
}

static void iter_freep(struct libscols_iter **iter)
{
	scols_free_iter(*iter);
}

static void widths_freep(size_t **widths)
{
	free(*widths);
}

/* Shorten what makes the table wider than that. smartcols would cut the end of it, without a mark. */
static int fit(struct libscols_table *scols, size_t room)
{
	size_t count = scols_table_get_ncols(scols);
	[[gnu::cleanup(iter_freep)]] struct libscols_iter *each = scols_new_iter(
		SCOLS_ITER_FORWARD);
	[[gnu::cleanup(widths_freep)]] size_t *widths = calloc(count, sizeof(*widths));
	struct libscols_line *line;

	if (!each || !widths)
		return -ENOMEM;
	natural_widths(scols, each, widths);
	fit_widths(scols, widths, count, room);
	scols_reset_iter(each, SCOLS_ITER_FORWARD);
	while (scols_table_next_line(scols, each, &line) == 0)
		for (size_t i = 0; i < count; i++) {
			size_t width = cell_width(scols_table_get_column(scols, i), line, i);

			if (width > widths[i] && cell_shorten(line, i, width - widths[i]) < 0)
				return -ENOMEM;
		}
	return 0;
}

int table_flush(struct table *table)
{
	unsigned width = terminal_width();

	if (table->error)
		return table->error;
	if (table_count(table) == 0)
		return 0;
	if (width && fit(table->scols, width) < 0)
		return -ENOMEM;
	if (scols_print_table(table->scols) < 0)
		return -ENOMEM;
	scols_table_remove_lines(table->scols);
	if (!table->has_heading && scols_table_enable_noheadings(table->scols, 1) < 0)
		return -ENOMEM;
	table->has_heading = true;
	return 0;
}

size_t table_count(const struct table *table)
{
	return scols_table_get_nlines(table->scols);
}
