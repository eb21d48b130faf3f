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
#include "cli/listing.h"
#include "cli/terminal.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "db/db.h"

const char log_help[] =
	"usage: bpfmeasure log [OPTION]...\n"
	"\n"
	"List the records of the log, oldest first. All filters given must hold.\n"
	"\n"
	"  --since T, --until T  at that time or later, at that time or earlier:\n"
	"                        2026-01-02T03:04:05Z, 2026-01-02, '2026-01-02 03:04',\n"
	"                        or before now: -90s, -30m, -1h, -2d, -1w\n"
	"  --kind K        load, reject, attach, detach, unload, baseline, integrity,\n"
	"                  start, stop, lost, epoch, resume, foreign, trim\n"
	"  --name N        program name; N, TYPE and L are globs: 'sd_*'\n"
	"  --type TYPE     program type: xdp, kprobe, lsm, ...\n"
	"  --verdict V     verified, unsigned, unknown\n"
	"  --loader L      who loaded or attached it: executable or thread, or its path\n"
	"  --last N        the newest N of these, 0 is all; without it 1000 in a table\n"
	"  --json          the lines as they were measured, one JSON object each\n"
	"  --tree          programs below their loaders, and where they are attached now\n"
	"  --follow        then wait for new records\n"
	"  --before        instead: what was removed from the beginning of the log\n"
	"  --utc           times in UTC, also those given; else they are local\n"
	"  --db PATH       the log\n"
	"\n"
	"example: bpfmeasure log --since -1h --verdict unsigned --loader 'cilium*'\n";

enum {
	TABLE_LAST = 1000, /* records, where the caller does not say */
	POLL_MS = 250,
	WRITE_FAILED = 1, /* to stdout; main() says so */
};

struct options {
	const char *db_path;
	struct filter filter;
	const char *since, *until;
	bool utc;
	bool has_last;
	uint64_t last;
	bool json;
	bool tree;
	bool follow;
	bool before;
	bool is_selective; /* an option that --before does not go with */
};

/* ---- output ---- */

struct printer {
	struct db *db;
	struct listing listing;
	struct tree *tree;
	uint64_t count; /* of what was printed */
	bool has_invalid; /* a line was no record */
};

static void printer_done(struct printer *printer)
{
	tree_free(printer->tree);
}

static void warn_invalid(struct printer *printer, const struct filter_line *line)
{
	printer->has_invalid = true;
	warnx("line %" PRIu64 " of the log is no record: %s", line->head.seq, line->error);
}

static int print_json(void *arg, const struct filter_line *line)
{
	if (line->error) {
		warn_invalid(arg, line);
		return 0;
	}
	((struct printer *)arg)->count++;
	fwrite(line->line, 1, line->len, stdout);
	putchar('\n');
	return ferror(stdout) ? WRITE_FAILED : 0;
}

static int print_row(void *arg, const struct filter_line *line)
{
	struct printer *printer = arg;

	if (line->error)
		warn_invalid(printer, line);
	printer->count++;
	listing_print(&printer->listing, printer->db, line);
	return ferror(stdout) ? WRITE_FAILED : 0;
}

static int tree_line(void *arg, const struct filter_line *line)
{
	struct printer *printer = arg;

	if (line->error) {
		warn_invalid(printer, line);
		return 0;
	}
	printer->count++;
	return tree_add(printer->tree, line);
}

/* ---- walking ---- */

static int boot_line(void *arg, const struct filter_line *line)
{
	return line->error ? 0 : tree_add(arg, line);
}

/* Of which boot the first record of a tree is: attachments end with theirs. */
static int tree_begin(struct printer *printer, uint64_t first)
{
	struct filter filter = filter_any();
	uint64_t epoch;

	filter.kind = "epoch";
	if (!printer->tree || first <= 1)
		return CLI_GOOD;
	int r = filter_newest(printer->db, &filter, 1, first - 1, &epoch);
	if (r == 0 && epoch < first)
		r = filter_each(printer->db, &filter, epoch, epoch, boot_line, printer->tree);
	return r < 0 ? cli_db_fail(printer->db, r) : CLI_GOOD;
}

/* Print first ... last, and whatever stands in a buffer. Returns an exit code. */
static int print_range(
	struct printer *printer, const struct options *options, uint64_t first, uint64_t last)
{
	int r = 0;

	if (first <= last)
		r = filter_each(printer->db, &options->filter, first, last,
			options->json           ? print_json
				: options->tree ? tree_line
						: print_row,
			printer);
	if (r == 0 && printer->tree)
		r = tree_print(printer->tree);
	if (r == 0)
		return CLI_GOOD;
	if (r == WRITE_FAILED)
		return CLI_UNKNOWN;
	return r == -ENOMEM ? cli_unknown("%s", strerror(ENOMEM)) : cli_db_fail(printer->db, r);
}

static int first_line(void *arg, const struct filter_line *line)
{
	*(uint64_t *)arg = line->head.seq;
	return 1;
}

/* Where a tree begins: nothing before the first program that is in it says anything about one. */
static int find_program(
	struct db *db, const struct options *options, uint64_t end, uint64_t *ret_first)
{
	struct filter filter = options->filter;

	filter.ends = false;
	*ret_first = end + 1;
	int r = filter_each(db, &filter, 1, end, first_line, ret_first);
	return r < 0 ? cli_db_fail(db, r) : CLI_GOOD;
}

/* Where to begin for `last` records. A table says what it leaves out. */
static int find_first(
	struct db *db, const struct options *options, uint64_t end, uint64_t *ret_first)
{
	uint64_t count = options->last, older = 1;

	*ret_first = 1;
	if (options->tree && !options->has_last)
		return find_program(db, options, end, ret_first);
	if (!options->has_last)
		count = options->json ? 0 : TABLE_LAST;
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

static int follow(struct printer *printer, const struct options *options, uint64_t last)
{
	static const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	uint64_t now = last;

	for (;;) {
		if (fflush(stdout) != 0)
			return CLI_GOOD; /* main() says so */
		nanosleep(&pause, NULL);
		int r = db_check_file(printer->db); /* else it would wait for what never comes */
		if (r == 0)
			r = db_last_seq(printer->db, &now);
		if (r == -EBUSY)
			continue;
		if (r < 0)
			return cli_db_fail(printer->db, r);
		int code = print_range(printer, options, last + 1, now);
		if (code != CLI_GOOD)
			return code;
		last = now;
	}
}

/* An empty table on a terminal leaves open whether it is one. */
static void say_none(const struct printer *printer, uint64_t last)
{
	if (printer->count > 0 || !terminal_width())
		return;
	if (last == 0)
		warnx("no records yet");
	else
		warnx("of %" PRIu64 " records none is like that", last);
}

static int run(const struct options *options)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	[[gnu::cleanup(printer_done)]] struct printer printer = {};
	uint64_t first, last;

	int code = cli_db_open(options->db_path, &db);
	if (code != CLI_GOOD)
		return code;
	if (options->before)
		return before_print(db, options->json);
	printer.db = db;
	if (options->tree)
		printer.tree = tree_new();
	if (options->tree && !printer.tree)
		return cli_unknown("%s", strerror(ENOMEM));
	int r = db_last_seq(db, &last);
	if (r < 0)
		return cli_db_fail(db, r);
	listing_init(&printer.listing, terminal_width(), last);
	code = find_first(db, options, last, &first);
	if (code == CLI_GOOD)
		code = tree_begin(&printer, first);
	if (code == CLI_GOOD)
		code = print_range(&printer, options, first, last);
	if (code == CLI_GOOD)
		say_none(&printer, last);
	if (code == CLI_GOOD && options->follow)
		code = follow(&printer, options, last);
	return code == CLI_GOOD && printer.has_invalid ? CLI_UNTRUSTED : code;
}

/* ---- options ---- */

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
	UTC,
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
	{ "utc", UTC, TAKES_NOTHING },
	{ "db", DB, TAKES_FILE },
	{},
};

static int parse_option(int option, struct options *options)
{
	struct filter *filter = &options->filter;

	if (option != BEFORE && option != JSON && option != UTC && option != DB)
		options->is_selective = true;
	switch (option) {
	case SINCE:
		options->since = optarg;
		return CLI_GOOD;
	case UNTIL:
		options->until = optarg;
		return CLI_GOOD;
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
	case UTC:
		options->utc = true;
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
		return cli_usage("--before goes with --json, --utc and --db alone");
	if (options.tree && (options.json || options.follow))
		return cli_usage("--tree is printed once, as a tree: without --json and --follow");
	code = cli_times(options.utc, options.since, options.until, &options.filter.since_ns,
		&options.filter.until_ns);
	return code == CLI_GOOD ? run(&options) : code;
}
