// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure report */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/filter.h"
#include "cli/output.h"
#include "cli/report_own.h"
#include "cli/verbs.h"

const char report_help[] =
	"usage: bpfmeasure report [OPTION]... -o FILE\n"
	"\n"
	"Write what the log says as one page of HTML, to look at and to print: loads by\n"
	"verdict over time, who loads what, what is attached now, signers, gaps and\n"
	"epochs, and the life of each program. It needs no network and no script, and is\n"
	"a view of the log, not a proof of it: bpfmeasure audit is.\n"
	"\n"
	"  -o, --output FILE     where to; - is stdout, which is the default where that\n"
	"                        is no terminal\n"
	"  --since T, --until T  records of that time or later, of that time or earlier;\n"
	"                        bpfmeasure log --help has what a time is\n"
	"  --utc                 times in UTC, those of --since and --until too\n"
	"  --db PATH             the log (default: see bpfmeasure --help)\n"
	"\n"
	"The same log and the same range make the same page. Exit code 1 where records\n"
	"are missing in between, or lines are none.\n"
	"\n"
	"example: bpfmeasure report --since -1w -o report.html\n";

enum { OUTPUT = 'o', SINCE = 256, UNTIL, UTC, DB };

const struct verb_option report_options[] = {
	{ "output", OUTPUT, TAKES_FILE, NULL, true },
	{ "since", SINCE, TAKES_TIME },
	{ "until", UNTIL, TAKES_TIME },
	{ "utc", UTC, TAKES_NOTHING },
	{ "db", DB, TAKES_FILE },
	{},
};

struct options {
	const char *db_path, *path;
	uint64_t since_ns, until_ns;
};

/* As records have it. */
static void write_time(uint64_t ns, char ret_text[static 40])
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm = {};

	gmtime_r(&s, &tm);
	size_t len = strftime(ret_text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + len, 40 - len, ".%09uZ", (unsigned)(ns % 1000000000));
}

static void text_freep(char **text)
{
	free(*text);
}

static int count_strange(void *arg, const struct filter_line *line)
{
	struct page *page = arg;

	page->strange += line->error != NULL;
	return 0;
}

/*
 * The views show what a line has, whether or not it is a record, and trust the indexes; this does
 * neither. Behind a gap, which is damage enough, nothing is read.
 */
static int check_lines(struct db *db, struct page *page)
{
	const struct filter any = filter_any();
	uint64_t last = 0;

	int r = db_last_seq(db, &last);
	if (r == 0)
		r = filter_each(db, &any, 1, last, count_strange, page);
	if (r != -EUCLEAN)
		return r;
	page->is_damaged = true;
	return 0;
}

/* The views, and the tables that are made of them for the moment. */
static int fill(struct db *db, struct page *page)
{
	[[gnu::cleanup(text_freep)]] char *views = NULL;
	int r;

	if (asprintf(&views,
		    "%s CREATE TEMP TABLE asked AS SELECT '%s' AS since, '%s' AS until;\n%s",
		    record_views_sql(), page->since, *page->until ? page->until : "9999",
		    report_tables_sql) < 0) {
		views = NULL;
		return -ENOMEM;
	}
	r = check_lines(db, page);
	if (r < 0)
		return r;
	page_begin(page);
	r = db_query(db, report_sql, views, page_row, page, NULL);
	if (r == 0)
		page_end(page);
	return r;
}

static int fail(const struct db *db, const char *path, int err)
{
	/* The statements are ours: it is the lines that they do not work on. */
	if (err == -EINVAL)
		return cli_untrusted(
			"the log has a line that is no record: %s; bpfmeasure audit says where",
			db_errmsg(db));
	if (err == -EPIPE)
		return cli_unknown("%s: a write failed", path);
	return err == -ENOMEM ? cli_unknown("%s", strerror(ENOMEM)) : cli_db_fail(db, err);
}

static int put(struct page *page, const struct output *to)
{
	char buf[64 << 10];
	size_t len;

	rewind(page->file);
	while ((len = fread(buf, 1, sizeof(buf), page->file)) > 0)
		if (fwrite(buf, 1, len, to->file) != len)
			return -EIO;
	return ferror(page->file) ? -EIO : 0;
}

static void page_done(struct page *page)
{
	if (page->file)
		fclose(page->file);
}

/* The page is made in a file of our own: whoever reads it does not hold the log's snapshot. */
static int run(const struct options *options)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	[[gnu::cleanup(output_done)]] struct output output = {};
	[[gnu::cleanup(page_done)]] struct page page = { .file = tmpfile() };

	if (!page.file)
		return cli_unknown("a temporary file: %s", strerror(errno));
	if (options->since_ns)
		write_time(options->since_ns, page.since);
	if (options->until_ns != UINT64_MAX)
		write_time(options->until_ns, page.until);
	int code = cli_db_open(options->db_path, &db);
	if (code != CLI_GOOD)
		return code;
	int r = fill(db, &page);
	if (r < 0)
		return fail(db, "a temporary file", r);
	r = output_open(&output, options->path);
	if (r == 0)
		r = put(&page, &output);
	if (r == 0)
		r = output_commit(&output);
	if (r < 0)
		return cli_unknown("%s: %s", options->path, strerror(-r));
	if (!page.is_damaged)
		return CLI_GOOD;
	return cli_untrusted(
		"the log lacks records, or has lines that are none: bpfmeasure audit says where");
}

int report_main(int argc, char **argv)
{
	struct options options = { .db_path = cli_db_path(), .until_ns = UINT64_MAX };
	const char *since = NULL, *until = NULL;
	bool utc = false;
	int option;

	while ((option = verb_next_option(argc, argv, report_options)) != -1) {
		switch (option) {
		case OUTPUT:
			options.path = optarg;
			break;
		case SINCE:
			since = optarg;
			break;
		case UNTIL:
			until = optarg;
			break;
		case UTC:
			utc = true;
			break;
		case DB:
			options.db_path = optarg;
			break;
		default:
			return CLI_USAGE; /* getopt has said why */
		}
	}
	if (optind < argc)
		return cli_usage("\"%s\": report takes options only", argv[optind]);
	int code = cli_times(utc, since, until, &options.since_ns, &options.until_ns);
	if (code != CLI_GOOD)
		return code;
	if (options.since_ns > options.until_ns)
		return cli_usage("--since is after --until");
	if (!options.path && isatty(STDOUT_FILENO))
		return cli_usage("where to? -o report.html; -o - is stdout");
	if (!options.path)
		options.path = "-";
	return run(&options);
}
