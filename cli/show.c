// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure show */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/before.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/filter.h"
#include "cli/output.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "db/db.h"

const char show_help[] =
	"usage: bpfmeasure show [OPTION]... SEQ | SHA256\n"
	"\n"
	"Everything about one record, or about one program and all its records: what\n"
	"the record says, key by key; the digests that were measured; what the program\n"
	"loaded, where it was attached, and when it was unloaded.\n"
	"\n"
	"SEQ is the number of a record. SHA256 is that of a program's instructions, or\n"
	"its first 8 digits or more; with sha256: before it where the digits could be a\n"
	"number.\n"
	"\n"
	"  --json        the lines as they were measured\n"
	"  --insns FILE  only write the program's instructions to FILE, as they were\n"
	"                handed to the kernel and checked against their sha256\n"
	"  --utc         times in UTC; else they are local\n"
	"  --db PATH     the log\n"
	"\n"
	"Exit code 3 where there is none, or its instructions are not kept.\n"
	"\n"
	"example: bpfmeasure show 42\n"
	"         bpfmeasure show 59f4a931 --insns program.bin\n";

enum { PREFIX_MIN = 8, SHA256_DIGITS = 2 * SHA256_LEN };

struct options {
	const char *db_path;
	const char *insns;
	bool json;
	bool is_seq;
	uint64_t seq;
	char prefix[SHA256_DIGITS + 1];
};

/* ---- which one ---- */

static int parse_target(const char *text, struct options *options)
{
	static const char scheme[] = "sha256:";
	bool has_scheme = strncmp(text, scheme, strlen(scheme)) == 0;
	size_t len = strlen(text);

	options->is_seq = !has_scheme && len < SHA256_DIGITS && cli_number(text, &options->seq);
	if (options->is_seq)
		return options->seq > 0 ? CLI_GOOD : cli_usage("records are counted from 1");
	if (has_scheme)
		text += strlen(scheme);
	len = strlen(text);
	if (len == 0 || strspn(text, "0123456789abcdefABCDEF") != len || len > SHA256_DIGITS)
		return cli_usage("\"%s\" is neither the number of a record nor a sha256", text);
	if (len < PREFIX_MIN)
		return cli_usage("at least %d digits of a sha256, please", PREFIX_MIN);
	for (size_t i = 0; i <= len; i++)
		options->prefix[i] = (char)tolower((unsigned char)text[i]);
	return CLI_GOOD;
}

/* Finding the program of a prefix. */
struct search {
	char sha256[FIELD_MAX]; /* "": none yet */
	bool is_ambiguous;
};

static int search_line(void *arg, const struct filter_line *line)
{
	struct search *search = arg;
	char sha256[FIELD_MAX];

	if (line->error || !field_text(line->line, line->len, "program.sha256", sha256))
		return 0;
	if (*search->sha256 && strcmp(search->sha256, sha256) != 0)
		search->is_ambiguous = true;
	strcpy(search->sha256, sha256);
	return search->is_ambiguous;
}

/* The full sha256 of the program that is meant. */
static int find_program(
	struct db *db, const struct options *options, char ret_sha256[static FIELD_MAX])
{
	struct search search = {};
	struct filter filter = filter_any();

	filter.sha256 = options->prefix;
	int r = filter_each(db, &filter, 1, UINT64_MAX, search_line, &search);
	if (r < 0)
		return cli_db_fail(db, r);
	if (search.is_ambiguous)
		return cli_usage("more than one program's sha256 begins with %s", options->prefix);
	if (!*search.sha256)
		return cli_unknown("no program's sha256 begins with %s", options->prefix);
	strcpy(ret_sha256, search.sha256);
	return CLI_GOOD;
}

/* ---- one record ---- */

struct one {
	const struct options *options;
	struct db *db;
	char sha256[FIELD_MAX]; /* of its program; "": none */
	int code;
};

static int one_line(void *arg, const struct filter_line *line)
{
	struct one *one = arg;

	if (line->error) {
		one->code = cli_untrusted("line %" PRIu64 " of the log is no record: %s",
			line->head.seq, line->error);
		return 0;
	}
	field_text(line->line, line->len, "program.sha256", one->sha256);
	if (one->options->insns)
		return 0;
	if (one->options->json)
		printf("%.*s\n", (int)line->len, line->line);
	else
		one->code = show_record(one->db, line);
	return 0;
}

static int run_record(struct one *one)
{
	struct filter filter = filter_any();
	uint64_t first, last, seq = one->options->seq;

	int r = db_first_seq(one->db, &first);
	if (r == 0 && seq < first)
		return before_explain(one->db, seq);
	if (r == 0)
		r = db_last_seq(one->db, &last);
	if (r == 0 && seq > last)
		return cli_unknown(
			"there is no record %" PRIu64 ": the last is %" PRIu64, seq, last);
	if (r == 0)
		r = filter_each(one->db, &filter, seq, seq, one_line, one);
	return r < 0 ? cli_db_fail(one->db, r) : one->code;
}

/* ---- instructions ---- */

static void bytes_freep(uint8_t **bytes)
{
	free(*bytes);
}

static int write_insns(struct db *db, const char *hex, const char *path)
{
	[[gnu::cleanup(bytes_freep)]] uint8_t *insns = NULL;
	uint8_t expected[SHA256_LEN], found[SHA256_LEN];
	size_t len;

	if (!cli_unhex(hex, expected, SHA256_LEN))
		return cli_unknown("the record has no sha256 of instructions");
	int r = db_program_get(db, expected, &insns, &len);
	if (r == -ENOENT)
		return cli_unknown("the instructions of %s are not kept", hex);
	if (r < 0)
		return cli_db_fail(db, r);
	if (sha256(insns, len, found) < 0)
		return cli_unknown("OpenSSL has no sha256");
	if (memcmp(found, expected, SHA256_LEN) != 0)
		return cli_untrusted("the bytes kept for %s are others: nothing is written", hex);
	r = output_write(path, insns, len);
	if (r < 0)
		return cli_unknown("%s: %s", path, strerror(-r));
	if (strcmp(path, "-") != 0)
		printf("%s: %zu bytes, %zu instructions, sha256 %s\n", path, len, len / 8, hex);
	return CLI_GOOD;
}

/* ---- the verb ---- */

static int run(const struct options *options)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	struct one one = { .options = options };

	int code = cli_db_open(options->db_path, &db);
	if (code != CLI_GOOD)
		return code;
	one.db = db;
	code = options->is_seq ? run_record(&one) : find_program(db, options, one.sha256);
	if (code != CLI_GOOD)
		return code;
	if (options->insns)
		return write_insns(db, one.sha256, options->insns);
	return options->is_seq ? CLI_GOOD : show_program(db, one.sha256, options->json);
}

const struct verb_option show_options[] = {
	{ "json", 'j', TAKES_NOTHING },
	{ "insns", 'i', TAKES_FILE },
	{ "utc", 'u', TAKES_NOTHING },
	{ "db", 'd', TAKES_FILE },
	{},
};

int show_main(int argc, char **argv)
{
	struct options options = { .db_path = cli_db_path() };
	int option;

	while ((option = verb_next_option(argc, argv, show_options)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'i':
			options.insns = optarg;
			break;
		case 'u':
			when_utc();
			break;
		case 'd':
			options.db_path = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (argc - optind != 1)
		return cli_usage("give the number of one record or the sha256 of one program");
	if (options.json && options.insns)
		return cli_usage("--json and --insns: one at a time");
	int code = parse_target(argv[optind], &options);
	return code == CLI_GOOD ? run(&options) : code;
}
