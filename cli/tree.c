// SPDX-License-Identifier: BSD-2-Clause
#include "cli/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/field.h"
#include "cli/row.h"
#include "cli/table.h"

enum { PROGRAM, SEQ, VERDICT, LOADER, UNLOADED };

/* Seqs come in order, so the branches are sorted. */
struct branch {
	uint64_t seq;
	struct table_row *row;
};

struct tree {
	struct table *table;
	unsigned loader_width;
	struct branch *branches;
	size_t count;
	size_t size;
};

static void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}

struct tree *tree_new(void)
{
	static const struct table_column columns[] = {
		[PROGRAM] = { "PROGRAM", 0, TABLE_TREE | TABLE_CUT },
		[SEQ] = { "SEQ", 0, TABLE_RIGHT },
		[VERDICT] = { "VERDICT", 0, 0 },
		[LOADER] = { "LOADER[PID]:UID", 0, TABLE_CUT },
		[UNLOADED] = { "UNLOADED", 0, 0 },
	};
	[[gnu::cleanup(tree_freep)]] struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return NULL;
	tree->loader_width = table_terminal_width() ? 20 : 0;
	tree->table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!tree->table)
		return NULL;
	struct tree *made = tree;
	tree = NULL;
	return made;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	table_free(tree->table);
	free(tree->branches);
	free(tree);
}

static int compare(const void *a, const void *b)
{
	const struct branch *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

/* The row of a record, or NULL where it is not one of those shown. */
static struct table_row *find(const struct tree *tree, uint64_t seq)
{
	const struct branch key = { .seq = seq };
	const struct branch *found = tree->count == 0
		? NULL
		: bsearch(&key, tree->branches, tree->count, sizeof(key), compare);

	return found ? found->row : NULL;
}

static int branch_add(struct tree *tree, uint64_t seq, struct table_row *row)
{
	if (tree->count == tree->size) {
		size_t size = tree->size ? tree->size * 2 : 1024;
		struct branch *branches = reallocarray(tree->branches, size, sizeof(*branches));
		if (!branches)
			return -ENOMEM;
		tree->branches = branches;
		tree->size = size;
	}
	tree->branches[tree->count++] = (struct branch){ .seq = seq, .row = row };
	return 0;
}

static int program_add(struct tree *tree, const struct filter_line *line)
{
	char text[ROW_TEXT_MAX], verdict[FIELD_MAX];
	uint64_t parent;

	field_uint(line->line, line->len, "parent.seq", &parent);
	struct table_row *row = table_row(tree->table, find(tree, parent));
	row_program(line->line, line->len, text);
	table_cell(tree->table, row, PROGRAM, text, TABLE_PLAIN);
	snprintf(text, sizeof(text), "%" PRIu64, line->head.seq);
	table_cell(tree->table, row, SEQ, text, TABLE_PLAIN);
	field_text(line->line, line->len, "signature.verdict", verdict);
	table_cell(tree->table, row, VERDICT, verdict, row_verdict_color(verdict));
	row_loader(line->line, line->len, tree->loader_width, text);
	table_cell(tree->table, row, LOADER, text, TABLE_PLAIN);
	return branch_add(tree, line->head.seq, row);
}

int tree_add(struct tree *tree, const struct filter_line *line)
{
	char text[WHEN_MAX];
	uint64_t seq;

	if (line->head.kind == RECORD_LOAD || line->head.kind == RECORD_BASELINE)
		return program_add(tree, line);
	if (line->head.kind != RECORD_UNLOAD)
		return 0;
	field_uint(line->line, line->len, "program.seq", &seq);
	when_short(line->head.time_ns, text);
	table_cell(tree->table, find(tree, seq), UNLOADED, text, TABLE_PLAIN);
	return 0;
}

int tree_print(struct tree *tree)
{
	tree->count = 0;
	return table_flush(tree->table);
}
