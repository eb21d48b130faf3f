// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure log */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/before.h"
#include "cli/cli.h"
#include "cli/filter.h"
#include "cli/row.h"
#include "cli/table.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "db/db.h"

const char log_help[] =
	"usage: bpfmeasure log [OPTION]...\n"
	"\n"
	"List the records of the log, oldest first. All filters given must hold.\n"
	"\n"
	"  --since T, --until T  at that time or later, at that time or earlier:\n"
	"                        2026-01-02T03:04:05Z; 2026-01-02, 2026-01-02 03:04[:05] (local);\n"
	"                        -90s, -30m, -1h, -2d, -1w (before now)\n"
	"  --kind K              epoch, resume, foreign, start, stop, baseline, load, integrity, reject,\n"
	"                        attach, detach, unload, lost, trim\n"
	"  --name N              program name; N, TYPE and L are globs: 'sd_*'\n"
	"  --type TYPE           program type: xdp, kprobe, lsm, ...\n"
	"  --verdict V           verified, unsigned, unknown\n"
	"  --loader L            who loaded or attached it: name of the executable or the thread, or,\n"
	"                        with a /, the executable's path\n"
	"  --last N              the newest N of these; a table has the newest 1000 unless told\n"
	"                        otherwise, 0 is all\n"
	"  --json                the lines as they were measured, one JSON object each\n"
	"  --tree                programs below the program that loaded them, and below a program where\n"
	"                        it is attached now\n"
	"  --follow              then wait for new records\n"
	"  --before              instead, with --json and --db alone: what was removed from the beginning\n"
	"                        of the log, and when; exit code 1 where records do not explain it\n"
	"  --db PATH             the log (default: see bpfmeasure --help)\n"
	"\n"
	"A line that is no record is shown whatever the filter, and makes the exit code 1.\n"
	"\n"
	"example: bpfmeasure log --since -1h --verdict unsigned --loader 'cilium*'\n"
	"         bpfmeasure log --json | jq 'select(.kind == \"load\") | .program.name'\n";

enum {
	TABLE_LAST = 1000, /* records, where the caller does not say */
	CHUNK = 1000, /* rows that are in memory at a time */
	POLL_MS = 250,
	WRITE_FAILED = 1, /* to stdout; main() says so */
};

struct options {
	const char *db_path;
	struct filter filter;
	bool has_last;
	uint64_t last;
	bool json;
	bool tree;
	bool follow;
	bool before;
	bool is_selective; /* an option that --before does not go with */
};

/* ---- output ---- */

struct listing {
	struct db *db;
	struct table *table; /* of rows */
	struct tree *tree;
	unsigned what_width; /* 0: whole */
	unsigned loader_width;
	unsigned details_width;
	bool has_details;
	bool has_invalid; /* a line was no record */
};

static void listing_done(struct listing *listing)
{
	table_free(listing->table);
	tree_free(listing->tree);
}

enum { SEQ, TIME, KIND, WHAT, VERDICT, LOADER, DETAILS, COLUMN_COUNT };

/*
 * Every column but the last has a fixed width, so that what --follow prints later stands below;
 * what is left of the terminal is for the details, or they are left out.
 */
static int table_begin(struct listing *listing)
{
	enum {
		SEQ_WIDTH = 6,
		TIME_WIDTH = 15,
		KIND_WIDTH = 9,
		VERDICT_WIDTH = 8,
		DETAILS_MIN = 20
	};
	unsigned terminal = table_terminal_width();
	bool wide = terminal >= 120, narrow = terminal < 80;

	listing->what_width = !terminal ? 0 : wide ? 34 : narrow ? 10 : 20;
	listing->loader_width = !terminal ? 0 : wide ? 24 : 16;
	unsigned used = SEQ_WIDTH + TIME_WIDTH + KIND_WIDTH + VERDICT_WIDTH + listing->what_width +
		listing->loader_width + COLUMN_COUNT - 1;
	listing->details_width = terminal > used ? terminal - used : 0;
	listing->has_details = !terminal || listing->details_width >= DETAILS_MIN;
	struct table_column columns[COLUMN_COUNT] = {
		[SEQ] = { "SEQ", SEQ_WIDTH, TABLE_RIGHT },
		[TIME] = { "TIME", TIME_WIDTH, 0 },
		[KIND] = { "KIND", KIND_WIDTH, 0 },
		[WHAT] = { "WHAT", listing->what_width, TABLE_CUT },
		[VERDICT] = { "VERDICT", VERDICT_WIDTH, 0 },
		[LOADER] = { "LOADER[PID]:UID", listing->loader_width, TABLE_CUT },
		[DETAILS] = { "DETAILS", 0, 0 },
	};
	listing->table = table_new(stdout, columns, COLUMN_COUNT - (listing->has_details ? 0 : 1));
	return listing->table ? 0 : -ENOMEM;
}

static void warn_invalid(struct listing *listing, const struct filter_line *line)
{
	listing->has_invalid = true;
	warnx("line %" PRIu64 " of the log is no record: %s", line->head.seq, line->error);
}

static int print_json(void *arg, const struct filter_line *line)
{
	if (line->error) {
		warn_invalid(arg, line);
		return 0;
	}
	fwrite(line->line, 1, line->len, stdout);
	putchar('\n');
	return ferror(stdout) ? WRITE_FAILED : 0;
}

static int print_row(void *arg, const struct filter_line *line)
{
	struct listing *listing = arg;
	struct table *table = listing->table;
	struct row row;
	char text[ROW_TEXT_MAX];

	if (line->error)
		warn_invalid(listing, line);
	row_fill(listing->db, line, listing->loader_width, &row);
	struct table_row *to = table_row(table, NULL);
	table_cell(table, to, SEQ, row.seq, TABLE_PLAIN);
	table_cell(table, to, TIME, row.time, TABLE_PLAIN);
	table_cell(table, to, KIND, row.kind, row.kind_color);
	table_shorten(row.what, listing->what_width, text);
	table_cell(table, to, WHAT, text, TABLE_PLAIN);
	table_cell(table, to, VERDICT, row.verdict, row.verdict_color);
	table_cell(table, to, LOADER, row.loader, TABLE_PLAIN);
	table_shorten(row.details, listing->details_width, text);
	if (listing->has_details)
		table_cell(table, to, DETAILS, text, TABLE_PLAIN);
	return table_count(table) < CHUNK ? 0 : table_flush(table);
}

static int tree_line(void *arg, const struct filter_line *line)
{
	struct listing *listing = arg;

	if (line->error) {
		warn_invalid(listing, line);
		return 0;
	}
	return tree_add(listing->tree, line);
}

/* ---- walking ---- */

/* Print first ... last, and whatever stands in a buffer. Returns an exit code. */
static int print_range(
	struct listing *listing, const struct options *options, uint64_t first, uint64_t last)
{
	int r = 0;

	if (first <= last)
		r = filter_each(listing->db, &options->filter, first, last,
			options->json           ? print_json
				: options->tree ? tree_line
						: print_row,
			listing);
	if (r == 0 && listing->table)
		r = table_flush(listing->table);
	if (r == 0 && listing->tree)
		r = tree_print(listing->tree);
	if (r == 0)
		return CLI_GOOD;
	if (r == WRITE_FAILED)
		return CLI_UNKNOWN;
	return r == -ENOMEM ? cli_unknown("%s", strerror(ENOMEM)) : cli_db_fail(listing->db, r);
}

/* Where to begin for `last` records. A table says what it leaves out. */
static int find_first(
	struct db *db, const struct options *options, uint64_t end, uint64_t *ret_first)
{
	uint64_t count = options->last, older = 1;

	*ret_first = 1;
	if (!options->has_last)
		count = options->json || options->tree ? 0 : TABLE_LAST;
	if (count == 0)
		return CLI_GOOD;
	int r = filter_newest(db, &options->filter, count, end, ret_first);
	if (r == 0 && !options->has_last && *ret_first > 1)
		r = filter_newest(db, &options->filter, 1, *ret_first - 1, &older);
	if (r < 0)
		return cli_db_fail(db, r);
	if (!options->has_last && older < *ret_first)
		warnx("the newest %d; --last 0 shows all", TABLE_LAST);
	return CLI_GOOD;
}

static int follow(struct listing *listing, const struct options *options, uint64_t last)
{
	static const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	uint64_t now = last;

	for (;;) {
		if (fflush(stdout) != 0)
			return CLI_GOOD; /* main() says so */
		nanosleep(&pause, NULL);
		int r = db_check_file(listing->db); /* else it would wait for what never comes */
		if (r == 0)
			r = db_last_seq(listing->db, &now);
		if (r == -EBUSY)
			continue;
		if (r < 0)
			return cli_db_fail(listing->db, r);
		int code = print_range(listing, options, last + 1, now);
		if (code != CLI_GOOD)
			return code;
		last = now;
	}
}

static int run(const struct options *options)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	[[gnu::cleanup(listing_done)]] struct listing listing = {};
	uint64_t first, last;

	int code = cli_db_open(options->db_path, &db);
	if (code != CLI_GOOD)
		return code;
	if (options->before)
		return before_print(db, options->json);
	listing.db = db;
	if (options->tree)
		listing.tree = tree_new();
	if (options->tree ? !listing.tree : !options->json && table_begin(&listing) < 0)
		return cli_unknown("%s", strerror(ENOMEM));
	int r = db_last_seq(db, &last);
	if (r < 0)
		return cli_db_fail(db, r);
	code = find_first(db, options, last, &first);
	if (code == CLI_GOOD)
		code = print_range(&listing, options, first, last);
	if (code == CLI_GOOD && options->follow)
		code = follow(&listing, options, last);
	return code == CLI_GOOD && listing.has_invalid ? CLI_UNTRUSTED : code;
}

/* ---- options ---- */

static int parse_time(const char *option, const char *text, uint64_t *ret_ns)
{
	if (when_parse(text, when_now(), ret_ns))
		return CLI_GOOD;
	return cli_usage(
		"--%s: \"%s\" is no time: 2026-01-02T03:04:05Z, \"2026-01-02 03:04\" and -1h are",
		option, text);
}

static int parse_last(const char *text, struct options *options)
{
	options->has_last = true;
	if (cli_number(text, &options->last))
		return CLI_GOOD;
	return cli_usage("--last: \"%s\" is no number", text);
}

static int parse_kind(const char *text, struct filter *filter)
{
	filter->kind = text;
	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++)
		if (strcmp(text, record_kind_name(kind)) == 0)
			return CLI_GOOD;
	return cli_usage("--kind: there is no kind \"%s\"", text);
}

static int parse_verdict(const char *text, struct filter *filter)
{
	filter->verdict = text;
	if (strcmp(text, "verified") == 0 || strcmp(text, "unsigned") == 0 ||
		strcmp(text, "unknown") == 0)
		return CLI_GOOD;
	return cli_usage("--verdict: \"%s\" is none of verified, unsigned, unknown", text);
}

enum {
	SINCE = 256,
	UNTIL,
	NAME,
	TYPE,
	OF_VERDICT,
	OF_LOADER,
	OF_KIND,
	LAST,
	JSON,
	TREE,
	FOLLOW,
	BEFORE,
	DB
};

const struct verb_option log_options[] = {
	{ "since", SINCE, TAKES_TIME },
	{ "until", UNTIL, TAKES_TIME },
	{ "name", NAME, TAKES_TEXT },
	{ "type", TYPE, TAKES_WORD,
		"socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb"
		" cgroup_sock lwt_in lwt_out lwt_xmit sock_ops sk_skb cgroup_device sk_msg"
		" raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 sk_reuseport"
		" flow_dissector cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing"
		" struct_ops ext lsm sk_lookup syscall netfilter" },
	{ "verdict", OF_VERDICT, TAKES_WORD, "verified unsigned unknown" },
	{ "loader", OF_LOADER, TAKES_TEXT },
	{ "kind", OF_KIND, TAKES_KIND },
	{ "last", LAST, TAKES_TEXT },
	{ "json", JSON, TAKES_NOTHING },
	{ "tree", TREE, TAKES_NOTHING },
	{ "follow", FOLLOW, TAKES_NOTHING },
	{ "before", BEFORE, TAKES_NOTHING },
	{ "db", DB, TAKES_FILE },
	{},
};

static int parse_option(int option, struct options *options)
{
	struct filter *filter = &options->filter;

	if (option != BEFORE && option != JSON && option != DB)
		options->is_selective = true;
	switch (option) {
	case SINCE:
		return parse_time("since", optarg, &filter->since_ns);
	case UNTIL:
		return parse_time("until", optarg, &filter->until_ns);
	case NAME:
		filter->name = optarg;
		return CLI_GOOD;
	case TYPE:
		filter->type = optarg;
		return CLI_GOOD;
	case OF_VERDICT:
		return parse_verdict(optarg, filter);
	case OF_LOADER:
		filter->loader = optarg;
		return CLI_GOOD;
	case OF_KIND:
		return parse_kind(optarg, filter);
	case LAST:
		return parse_last(optarg, options);
	case JSON:
		options->json = true;
		return CLI_GOOD;
	case TREE:
		options->tree = filter->ends = true;
		return CLI_GOOD;
	case FOLLOW:
		options->follow = true;
		return CLI_GOOD;
	case BEFORE:
		options->before = true;
		return CLI_GOOD;
	case DB:
		options->db_path = optarg;
		return CLI_GOOD;
	default:
		return CLI_USAGE; /* getopt has said why */
	}
}

int log_main(int argc, char **argv)
{
	struct options options = { .db_path = cli_db_path(), .filter = filter_any() };
	int option, code;

	while ((option = verb_next_option(argc, argv, log_options)) != -1) {
		code = parse_option(option, &options);
		if (code != CLI_GOOD)
			return code;
	}
	if (optind < argc)
		return cli_usage("\"%s\": log takes options only", argv[optind]);
	if (options.before && options.is_selective)
		return cli_usage("--before goes with --json and --db alone");
	if (options.tree && (options.json || options.follow))
		return cli_usage("--tree is printed once, as a tree: without --json and --follow");
	return run(&options);
}
