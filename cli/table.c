// SPDX-License-Identifier: BSD-2-Clause
#include "cli/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

unsigned table_terminal_width(void)
{
	enum { USUAL = 80 };
	struct winsize size = {};

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : USUAL;
}

/* https://no-color.org/ */
static bool wants_colors(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
		strcmp(term, "dumb") != 0;
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

	return name && scols_table_new_column(table->scols, name, column->width, flags) ? 0
											: -ENOMEM;
}

struct table *table_new(FILE *stream, const struct table_column *columns, size_t count)
{
	[[gnu::cleanup(table_freep)]] struct table *table = calloc(1, sizeof(*table));
	unsigned width = table_terminal_width();

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
		scols_table_enable_colors(table->scols, wants_colors()) < 0 ||
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
		[TABLE_YELLOW] = "yellow",
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

int table_flush(struct table *table)
{
	if (table->error)
		return table->error;
	if (table_count(table) == 0)
		return 0;
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

void table_shorten(const char *text, size_t width, char *ret_text)
{
	size_t len = strlen(text);

	if (width == 0 || len <= width) {
		memcpy(ret_text, text, len + 1);
		return;
	}
	memcpy(ret_text, text, width - 1);
	ret_text[width - 1] = '~';
	ret_text[width] = '\0';
}
