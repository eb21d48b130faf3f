// SPDX-License-Identifier: BSD-2-Clause
#include "cli/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "cli/row.h"
#include "cli/table.h"

enum { PROGRAM, SEQ, VERDICT, LOADER, UNLOADED };

/* Seqs come in order, so the branches are sorted. */
struct branch {
	uint64_t seq;
	uint64_t later; /* the record of the same program in a later epoch; 0: none */
	struct table_row *row;
	bool is_unloaded;
};

/* Likewise sorted. */
struct attachment {
	uint64_t seq;
	uint64_t program_seq;
	uint64_t program_id;
	uint64_t link_id; /* 0: none */
	bool is_baseline;
	bool is_gone;
	char *place; /* as row_place() has it: what is the same place is the same text */
	size_t target_len; /* its beginning, what row_target() has */
	char *by;
};

struct tree {
	struct table *table;
	unsigned terminal; /* its width; 0: none */
	struct branch *branches;
	size_t count;
	size_t size;
	struct attachment *attachments; /* of this boot */
	size_t attachment_count;
	size_t attachment_size;
	char boot_id[FIELD_MAX];
};

static bool is_narrow(const struct tree *tree)
{
	enum { WIDE = 100 };

	return tree->terminal && tree->terminal < WIDE;
}

static void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}

struct tree *tree_new(void)
{
	static const struct table_column columns[] = {
		[PROGRAM] = { "PROGRAM", TABLE_TREE | TABLE_CUT },
		[SEQ] = { "SEQ", TABLE_RIGHT },
		[VERDICT] = { "VERDICT", 0 },
		[LOADER] = { "LOADER[PID]:UID", TABLE_CUT },
		[UNLOADED] = { "UNLOADED", 0 },
	};
	[[gnu::cleanup(tree_freep)]] struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return NULL;
	tree->terminal = terminal_width();
	tree->table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!tree->table)
		return NULL;
	struct tree *made = tree;
	tree = NULL;
	return made;
}

static void attachments_forget(struct tree *tree)
{
	for (size_t i = 0; i < tree->attachment_count; i++) {
		free(tree->attachments[i].place);
		free(tree->attachments[i].by);
	}
	tree->attachment_count = 0;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	attachments_forget(tree);
	free(tree->attachments);
	table_free(tree->table);
	free(tree->branches);
	free(tree);
}

/* ---- programs ---- */

static int compare_branches(const void *a, const void *b)
{
	const struct branch *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

/* That of a record, or NULL where it is not one of those shown. */
static struct branch *branch_find(const struct tree *tree, uint64_t seq)
{
	const struct branch key = { .seq = seq };

	if (tree->count == 0)
		return NULL;
	return bsearch(&key, tree->branches, tree->count, sizeof(key), compare_branches);
}

/* Room for one more element at the end of a list; NULL without memory. */
static void *grow(void *list, size_t count, size_t *size, size_t width)
{
	if (count < *size)
		return list;
	size_t room = *size ? *size * 2 : 1024;
	void *grown = reallocarray(list, room, width);
	if (grown)
		*size = room;
	return grown;
}

static void loader_text(
	const struct tree *tree, const struct filter_line *line, char ret_text[static ROW_TEXT_MAX])
{
	enum { WIDTH = 18 }; /* on a terminal: the program's column is to have the room */
	char whole[ROW_TEXT_MAX];

	row_loader(line->line, line->len, whole);
	row_loader_shorten(whole, tree->terminal ? WIDTH : 0, ret_text);
}

static int branch_add(struct tree *tree, uint64_t seq, struct table_row *row)
{
	struct branch *branches = grow(tree->branches, tree->count, &tree->size, sizeof(*branches));

	if (!branches)
		return -ENOMEM;
	tree->branches = branches;
	branches[tree->count++] = (struct branch){ .seq = seq, .row = row };
	return 0;
}

static int program_add(struct tree *tree, const struct filter_line *line)
{
	char text[ROW_TEXT_MAX], verdict[FIELD_MAX];
	uint64_t parent, earlier;

	field_uint(line->line, line->len, "parent.seq", &parent);
	struct branch *below = branch_find(tree, parent);
	struct table_row *row = table_row(tree->table, below ? below->row : NULL);
	row_program(line->line, line->len, text);
	table_cell(tree->table, row, PROGRAM, text, TABLE_PLAIN);
	snprintf(text, sizeof(text), "%" PRIu64, line->head.seq);
	table_cell(tree->table, row, SEQ, text, TABLE_PLAIN);
	field_text(line->line, line->len, "signature.verdict", verdict);
	table_cell(tree->table, row, VERDICT, verdict, row_verdict_color(line->line, line->len));
	loader_text(tree, line, text);
	table_cell(tree->table, row, LOADER, text, TABLE_PLAIN);
	field_uint(line->line, line->len, "earlier.seq", &earlier);
	struct branch *same = branch_find(tree, earlier);
	if (same)
		same->later = line->head.seq;
	return branch_add(tree, line->head.seq, row);
}

/* Where there is little room: the time of today, the day of what is older. */
static void when_unloaded(const struct tree *tree, uint64_t ns, char ret_text[static WHEN_MAX])
{
	char today[WHEN_MAX], day[WHEN_MAX];

	if (!is_narrow(tree)) {
		when_short(ns, ret_text);
		return;
	}
	when_day(when_now(), today);
	when_day(ns, day);
	if (strcmp(day, today) == 0)
		when_clock(ns, ret_text);
	else
		when_date(ns, ret_text);
}

static void program_unload(struct tree *tree, const struct filter_line *line)
{
	char text[WHEN_MAX];
	uint64_t seq;

	field_uint(line->line, line->len, "program.seq", &seq);
	struct branch *branch = branch_find(tree, seq);
	if (!branch)
		return;
	branch->is_unloaded = true;
	when_unloaded(tree, line->head.time_ns, text);
	table_cell(tree->table, branch->row, UNLOADED, text, TABLE_PLAIN);
}

/* ---- attachments ---- */

static int compare_attachments(const void *a, const void *b)
{
	const struct attachment *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

/* What this record says again, of the same link, or of a place that was found once more. */
static void attachments_supersede(struct tree *tree, const struct attachment *newer)
{
	for (size_t i = 0; i < tree->attachment_count; i++) {
		struct attachment *old = &tree->attachments[i];

		if (newer->link_id ? old->link_id == newer->link_id
				   : newer->is_baseline && !old->link_id &&
					old->program_id == newer->program_id &&
					strcmp(old->place, newer->place) == 0)
			old->is_gone = true;
	}
}

static int attachment_add(struct tree *tree, const struct filter_line *line)
{
	struct attachment *list = grow(
		tree->attachments, tree->attachment_count, &tree->attachment_size, sizeof(*list));
	struct attachment attachment = { .seq = line->head.seq };
	char text[ROW_TEXT_MAX], how[FIELD_MAX];

	if (!list)
		return -ENOMEM;
	tree->attachments = list;
	field_uint(line->line, line->len, "program.seq", &attachment.program_seq);
	field_uint(line->line, line->len, "program.id", &attachment.program_id);
	field_uint(line->line, line->len, "link.id", &attachment.link_id);
	field_text(line->line, line->len, "how", how);
	attachment.is_baseline = strcmp(how, "baseline") == 0;
	row_target(line->line, line->len, text);
	attachment.target_len = strlen(text);
	row_place(line->line, line->len, text);
	attachment.place = strdup(text);
	loader_text(tree, line, text);
	attachment.by = strdup(text);
	if (!attachment.place || !attachment.by) {
		free(attachment.place);
		free(attachment.by);
		return -ENOMEM;
	}
	if (strcmp(how, "new") != 0)
		attachments_supersede(tree, &attachment);
	list[tree->attachment_count++] = attachment;
	return 0;
}

static void attachment_end(struct tree *tree, const struct filter_line *line)
{
	struct attachment key = {}, *found = NULL;

	field_uint(line->line, line->len, "attach_seq", &key.seq);
	if (tree->attachment_count > 0)
		found = bsearch(&key, tree->attachments, tree->attachment_count, sizeof(key),
			compare_attachments);
	if (found)
		found->is_gone = true;
}

/* An attachment ends with its boot. */
static void epoch_begin(struct tree *tree, const struct filter_line *line)
{
	char boot_id[FIELD_MAX];

	if (field_text(line->line, line->len, "boot_id", boot_id) &&
		strcmp(boot_id, tree->boot_id) == 0)
		return;
	strcpy(tree->boot_id, boot_id);
	attachments_forget(tree);
}

static void attachment_show(struct tree *tree, const struct attachment *attachment)
{
	struct branch *branch = branch_find(tree, attachment->program_seq);
	char text[ROW_TEXT_MAX + 64], program[32] = "";

	while (branch && branch->later)
		branch = branch_find(tree, branch->later);
	if (attachment->program_seq && (!branch || branch->is_unloaded))
		return;
	if (!branch) /* the program has no record: what it does has one */
		snprintf(program, sizeof(program), "#%" PRIu64 " ", attachment->program_id);
	struct table_row *row = table_row(tree->table, branch ? branch->row : NULL);
	if (is_narrow(tree))
		snprintf(text, sizeof(text), "%sat %.*s", program, (int)attachment->target_len,
			attachment->place);
	else
		snprintf(text, sizeof(text), "%sat %s%s", program, attachment->place,
			attachment->is_baseline ? ", baseline" : "");
	table_cell(tree->table, row, PROGRAM, text, TABLE_PLAIN);
	snprintf(text, sizeof(text), "%" PRIu64, attachment->seq);
	table_cell(tree->table, row, SEQ, text, TABLE_PLAIN);
	table_cell(tree->table, row, LOADER, attachment->by, TABLE_PLAIN);
}

/* ---- the whole ---- */

int tree_add(struct tree *tree, const struct filter_line *line)
{
	switch (line->head.kind) {
	case RECORD_LOAD:
	case RECORD_BASELINE:
		return program_add(tree, line);
	case RECORD_UNLOAD:
		program_unload(tree, line);
		return 0;
	case RECORD_ATTACH:
		return attachment_add(tree, line);
	case RECORD_DETACH:
		attachment_end(tree, line);
		return 0;
	case RECORD_EPOCH:
		epoch_begin(tree, line);
		return 0;
	default:
		return 0;
	}
}

int tree_print(struct tree *tree)
{
	for (size_t i = 0; i < tree->attachment_count; i++)
		if (!tree->attachments[i].is_gone)
			attachment_show(tree, &tree->attachments[i]);
	tree->count = 0;
	attachments_forget(tree);
	return table_flush(tree->table);
}
