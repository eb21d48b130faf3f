// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure query */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "db/db.h"

const char query_help[] =
	"usage: bpfmeasure query [OPTION]... SQL\n"
	"\n"
	"Ask the log in SQL, for reading only. The views: head, epoch, resume,\n"
	"foreign_extend, start, stop, baseline, load, integrity, reject, attach, detach,\n"
	"unload, lost, trim, one for each kind of record; program, map, loader,\n"
	"signature_claim, attached_now. Their columns: man bpfmeasure-views.\n"
	"Double-quoted words are names, never strings. All rows are printed, or none.\n"
	"\n"
	"  --json           an object for each row and line; BLOBs in hexadecimal\n"
	"  --limit SECONDS  of processor time (default 10); 0 is none\n"
	"  --db PATH        the log\n"
	"\n"
	"A statement that is refused or wrong is exit code 2.\n"
	"\n"
	"example: bpfmeasure query 'SELECT program_name, count(*) FROM load GROUP BY 1'\n"
	"         bpfmeasure query --json \"SELECT seq, loader_exe FROM load\n"
	"                                  WHERE signature_verdict = 'unsigned'\"\n";

enum {
	LIMIT_S = 10,
	LIMIT_MAX_S = 86400,
	CHUNK = 10000, /* rows of a table that are in memory at a time */
};

/*
 * Rows are written to a file of our own and come out when the query is done: it keeps the log's
 * PATH-wal from being emptied, and so must not wait for whoever reads our output.
 */
struct answer {
	FILE *spool;
	struct table *table; /* of statement */
	size_t statement;
	bool json;
};

static void answer_done(struct answer *answer)
{
	table_free(answer->table);
	if (answer->spool)
		fclose(answer->spool);
}

/* ---- JSON ---- */

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static json_t *blob_to_json(const void *bytes, size_t len)
{
	char *text = malloc(2 * len + 1);

	if (!text)
		return NULL;
	cli_hex(bytes, len, text);
	json_t *json = json_string(text);
	free(text);
	return json;
}

static json_t *value_to_json(const struct db_value *value)
{
	json_t *json = NULL;

	switch (value->type) {
	case DB_NULL:
		break;
	case DB_INTEGER:
		return json_integer(value->integer);
	case DB_REAL:
		json = json_real(value->real); /* not infinity */
		break;
	case DB_TEXT:
		json = json_stringn(value->data, value->len);
		return json ? json : blob_to_json(value->data, value->len); /* not UTF-8 */
	case DB_BLOB:
		return blob_to_json(value->data, value->len);
	}
	return json ? json : json_null();
}

static int row_json(struct answer *answer, const struct db_row *row)
{
	[[gnu::cleanup(json_freep)]] json_t *object = json_object();

	for (size_t i = 0; i < row->column_count; i++) {
		if (json_object_get(object, row->names[i])) {
			warnx("two columns are called %s: name one with AS", row->names[i]);
			return -EBADMSG;
		}
		if (json_object_set_new(object, row->names[i], value_to_json(&row->values[i])) < 0)
			return -ENOMEM;
	}
	if (json_dumpf(object, answer->spool,
		    JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17)) < 0)
		return ferror(answer->spool) ? -EPIPE : -ENOMEM;
	putc('\n', answer->spool);
	return 0;
}

/* ---- tables ---- */

static int table_begin(struct answer *answer, const struct db_row *row)
{
	struct table_column columns[DB_COLUMNS_MAX] = {};

	if (answer->table && table_flush(answer->table) < 0)
		return -ENOMEM;
	if (answer->table)
		putc('\n', answer->spool);
	table_free(answer->table);
	for (size_t i = 0; i < row->column_count; i++) {
		int type = row->values[i].type;
		bool is_number = type == DB_INTEGER || type == DB_REAL;

		columns[i] = (struct table_column){
			.name = row->names[i],
			.flags = is_number ? TABLE_RIGHT : TABLE_CUT,
		};
	}
	answer->table = table_new(answer->spool, columns, row->column_count);
	answer->statement = row->statement;
	return answer->table ? 0 : -ENOMEM;
}

/* For the caller to free(); NULL without memory. */
static char *value_to_text(const struct db_value *value)
{
	char *text = NULL;
	int len = 0;

	switch (value->type) {
	case DB_NULL:
		return strdup("");
	case DB_INTEGER:
		len = asprintf(&text, "%" PRId64, value->integer);
		break;
	case DB_REAL:
		len = asprintf(&text, "%.15g", value->real);
		break;
	case DB_TEXT:
		return strndup(value->data, value->len);
	case DB_BLOB:
		text = malloc(2 * value->len + 1);
		if (text)
			cli_hex(value->data, value->len, text);
		break;
	}
	return len < 0 ? NULL : text;
}

static int row_table(struct answer *answer, const struct db_row *row)
{
	if (!answer->table || answer->statement != row->statement)
		if (table_begin(answer, row) < 0)
			return -ENOMEM;

	struct table_row *to = table_row(answer->table, NULL);
	for (size_t i = 0; i < row->column_count; i++) {
		char *text = value_to_text(&row->values[i]);
		if (!text)
			return -ENOMEM;
		table_cell(answer->table, to, i, text, TABLE_PLAIN);
		free(text);
	}
	return table_count(answer->table) < CHUNK ? 0 : table_flush(answer->table);
}

/* ---- the query ---- */

static int on_row(void *arg, const struct db_row *row)
{
	struct answer *answer = arg;
	int r = answer->json ? row_json(answer, row) : row_table(answer, row);

	return r == 0 && ferror(answer->spool) ? -EPIPE : r;
}

static int fail(const struct db *db, int err)
{
	switch (err) {
	case -EBADMSG:
		return CLI_USAGE;
	case -EPIPE:
		return cli_unknown(
			"there is no room for the rows in the directory for temporary files");
	case -ENOMEM:
		return cli_unknown("%s", strerror(ENOMEM));
	case -EPERM:
	case -EINVAL: /* SQLite does not say whose JSON it was */
		return cli_usage("%s%s", db_errmsg(db),
			strstr(db_errmsg(db), "malformed JSON")
				? ", in the statement or in a line of the log: bpfmeasure log says which"
				: "");
	case -ETIME:
		return cli_unknown("%s; --limit allows it more", db_errmsg(db));
	default:
		return cli_db_fail(db, err);
	}
}

static void spool_print(FILE *spool)
{
	char buf[64 << 10];
	size_t len;

	rewind(spool);
	while ((len = fread(buf, 1, sizeof(buf), spool)) > 0)
		if (fwrite(buf, 1, len, stdout) != len)
			return; /* main() says so */
}

static int run(const char *db_path, const char *sql, bool json, uint64_t limit_s)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	[[gnu::cleanup(answer_done)]] struct answer answer = { .json = json };
	const struct db_limits limits = { .cpu_ms = limit_s * 1000 };

	int code = cli_db_open(db_path, &db);
	if (code != CLI_GOOD)
		return code;
	answer.spool = tmpfile();
	if (!answer.spool)
		return cli_unknown("a temporary file: %s", strerror(errno));
	int r = db_query(db, sql, record_views_sql(), on_row, &answer, &limits);
	if (r == 0 && answer.table)
		r = table_flush(answer.table);
	if (r == 0 && fflush(answer.spool) != 0)
		r = -EPIPE;
	if (r < 0)
		return fail(db, r);
	spool_print(answer.spool);
	return CLI_GOOD;
}

const struct verb_option query_options[] = {
	{ "json", 'j', TAKES_NOTHING },
	{ "limit", 'l', TAKES_TEXT },
	{ "db", 'd', TAKES_FILE },
	{},
};

int query_main(int argc, char **argv)
{
	const char *db_path = cli_db_path();
	uint64_t limit_s = LIMIT_S;
	bool json = false;
	int option;

	while ((option = verb_next_option(argc, argv, query_options)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'l':
			if (!cli_number(optarg, &limit_s) || limit_s > LIMIT_MAX_S)
				return cli_usage("--limit: \"%s\" is no number of seconds up to %d",
					optarg, LIMIT_MAX_S);
			break;
		case 'd':
			db_path = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (argc - optind != 1)
		return cli_usage("give the SQL as one argument: bpfmeasure query 'SELECT ...'");
	return run(db_path, argv[optind], json, limit_s);
}
