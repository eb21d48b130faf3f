// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/field.h"
#include "cli/row.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "db/db.h"

enum { SEQ, TIME, KIND, WHAT, VERDICT, LOADER };

struct records {
	struct db *db;
	struct table *table; /* NULL: lines */
	uint64_t count;
};

/* Of all else the program is what was asked for. */
static bool is_load(enum record_kind kind)
{
	return kind == RECORD_LOAD || kind == RECORD_BASELINE || kind == RECORD_REJECT;
}

static int record_line(void *arg, const struct filter_line *line)
{
	enum { LOADER_WIDTH = 18 };
	struct records *records = arg;
	char loader[ROW_TEXT_MAX];
	struct row row;

	if (line->error)
		return 0;
	records->count++;
	if (!records->table) {
		printf("%.*s\n", (int)line->len, line->line);
		return 0;
	}
	row_fill(records->db, line, &row);
	struct table_row *to = table_row(records->table, NULL);
	table_cell(records->table, to, SEQ, row.seq, TABLE_PLAIN);
	table_cell(records->table, to, TIME, row.time, TABLE_PLAIN);
	table_cell(records->table, to, KIND, row.kind, row.kind_color);
	table_cell(records->table, to, WHAT, is_load(line->head.kind) ? row.what : row.details,
		TABLE_PLAIN);
	table_cell(records->table, to, VERDICT, row.verdict, row.verdict_color);
	row_loader_shorten(row.loader, terminal_width() ? LOADER_WIDTH : 0, loader);
	table_cell(records->table, to, LOADER, loader, TABLE_PLAIN);
	return 0;
}

static void insns_freep(uint8_t **insns)
{
	free(*insns);
}

static int print_kept(struct db *db, const char *sha256_hex)
{
	[[gnu::cleanup(insns_freep)]] uint8_t *insns = NULL;
	uint8_t sha256[SHA256_LEN];
	size_t len;

	if (!cli_unhex(sha256_hex, sha256, SHA256_LEN))
		return CLI_GOOD;
	int r = db_program_get(db, sha256, &insns, &len);
	if (r == -ENOENT)
		puts("  insns    not kept");
	else if (r == 0)
		printf("  insns    kept, %zu bytes: show --insns FILE writes them\n", len);
	return r < 0 && r != -ENOENT ? cli_db_fail(db, r) : CLI_GOOD;
}

int show_program(struct db *db, const char *sha256_hex, bool json)
{
	static const struct table_column columns[] = {
		[SEQ] = { "SEQ", TABLE_RIGHT },
		[TIME] = { "TIME", 0 },
		[KIND] = { "KIND", 0 },
		[WHAT] = { "WHAT", TABLE_CUT },
		[VERDICT] = { "VERDICT", 0 },
		[LOADER] = { "LOADER[PID]:UID", TABLE_CUT },
	};
	[[gnu::cleanup(table_freep)]] struct table *table = NULL;
	struct records records = { .db = db };
	struct filter filter = filter_any();

	filter.sha256 = sha256_hex;
	if (!json)
		table = table_new(stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!json && !table)
		return cli_unknown("%s", strerror(ENOMEM));
	records.table = table;
	int r = filter_each(db, &filter, 1, UINT64_MAX, record_line, &records);
	if (r < 0)
		return cli_db_fail(db, r);
	if (json)
		return CLI_GOOD;
	int used = printf("program\n  sha256   ") - (int)strlen("program\n");
	terminal_wrap(sha256_hex, (size_t)used, terminal_width());
	printf("\n  records  %" PRIu64 "\n", records.count);
	int code = print_kept(db, sha256_hex);
	putchar('\n');
	if (code == CLI_GOOD && table_flush(table) < 0)
		return cli_unknown("%s", strerror(ENOMEM));
	return code;
}
