/* SPDX-License-Identifier: BSD-2-Clause */
/* One record in the columns of a table. */
#ifndef CLI_ROW_H
#define CLI_ROW_H

#include "cli/filter.h"
#include "cli/table.h"
#include "cli/when.h"

enum { ROW_TEXT_MAX = 4096 }; /* holds any text of a record and what is said about it */

struct row {
	char seq[24];
	char time[WHEN_MAX]; /* local: "Nov 21 08:35:01" */
	const char *kind;
	enum table_color kind_color;
	char what[ROW_TEXT_MAX]; /* "xdp_pass xdp #41" */
	char verdict[16];
	enum table_color verdict_color;
	char loader[ROW_TEXT_MAX]; /* "bpftool[812]:0": executable or thread, process and user */
	char details[ROW_TEXT_MAX];
	/* What matters most of the details, with less and less around it: "interface eth0", "eth0". "":
	 * no less than before. */
	char gist[2][ROW_TEXT_MAX];
};

/* db finds what a record refers to. */
void row_fill(struct db *db, const struct filter_line *line, struct row *ret_row);

/* "xdp_pass xdp #41": the program of a load, baseline or reject record. */
void row_program(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX]);

/* What stands before the name of a target of this type: "interface ", "bpffs:" of a pin's path. */
enum { ROW_PREFIX_MAX = 32 };
void row_target_prefix(const char *type, char ret_text[static ROW_PREFIX_MAX]);

/* "interface eth0": to what an attach or detach record says that a program is attached; and with how,
 * "interface eth0, link 9, xdp". */
void row_target(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX]);
void row_place(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX]);

/* "bpftool[812]:0", who loaded or attached it; of a baseline record the user alone, ":0". */
void row_loader(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX]);

/* That in width columns (0: any), shortened in its name as long as this leaves something of it. Returns
 * how many columns it takes. */
size_t row_loader_shorten(const char *loader, size_t width, char ret_text[static ROW_TEXT_MAX]);

/* Of the verdict on a program's signature. Green only where it is known who signed: a key that the loader
 * brought along, in a user keyring and not pinned, is as good as none. */
enum table_color row_verdict_color(const char *line, size_t len);

#endif
