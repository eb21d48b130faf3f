/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `ack`: violations that an operator has looked at no longer make a machine untrusted. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attest/memory.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/when.h"

enum { SECOND_NS = 1000000000 };

struct request {
	const char *name;
	const char *db;
	bool is_ack; /* it was said which */
	struct memory_ack ack;
};

/* ---- the command line ---- */

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int parse_option(struct request *request, int option, const char *value)
{
	request->is_ack = request->is_ack || strchr("asr", option);
	switch (option) {
	case 'a':
		return CLI_GOOD;
	case 's':
		request->ack.has_seq = cli_number(value, &request->ack.seq);
		return request->ack.has_seq ? CLI_GOOD : cli_usage("--seq takes a record's number");
	case 'r':
		request->ack.rule = value;
		return CLI_GOOD;
	case 'c':
		request->ack.comment = value;
		return strlen(value) < MEMORY_TEXT_MAX && is_printable(value)
			? CLI_GOOD
			: cli_usage("--comment takes up to %d printable characters of ASCII",
				  MEMORY_TEXT_MAX - 1);
	case 'u':
		when_utc();
		return CLI_GOOD;
	case 'd':
		request->db = value;
		return CLI_GOOD;
	default:
		return CLI_USAGE; /* getopt_long() has said why */
	}
}

const struct verb_option ack_options[] = {
	{ "all", 'a', TAKES_NOTHING },
	{ "seq", 's', TAKES_TEXT },
	{ "rule", 'r', TAKES_TEXT },
	{ "comment", 'c', TAKES_TEXT },
	{ "utc", 'u', TAKES_NOTHING },
	{ "db", 'd', TAKES_FILE },
	{},
};

static int parse(int argc, char **argv, struct request *request)
{
	int option;

	while ((option = verb_next_option(argc, argv, ack_options)) != -1) {
		int code = parse_option(request, option, optarg);
		if (code)
			return code;
	}
	if (optind + 1 != argc)
		return cli_usage("needs one machine");
	if (request->ack.comment && !request->is_ack)
		return cli_usage("--comment needs --all, --seq or --rule: what is acknowledged");
	request->name = argv[optind];
	return CLI_GOOD;
}

/* ---- what is remembered ---- */

static void text_freep(char **text)
{
	free(*text);
}

/* On a terminal on as many lines as it takes. */
static int print_violation(void *arg, const struct memory_violation *violation)
{
	enum { INDENT = 4 };
	const struct policy_violation *what = &violation->what;
	[[gnu::cleanup(text_freep)]] char *text = NULL;
	char found[WHEN_MAX], acked[WHEN_MAX];
	size_t *open = arg, len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	*open += violation->acked_ns == 0;
	when_full(violation->found_ns, found);
	when_full(violation->acked_ns, acked);
	fputs(found, out);
	if (what->seq)
		fprintf(out, "  record %" PRIu64, what->seq);
	fprintf(out, "  %s: %s", what->rule, what->value);
	if (what->why[0])
		fprintf(out, what->value[0] ? " (%s)" : "%s", what->why);
	if (violation->acked_ns)
		fprintf(out, "  acknowledged %s by %s%s%s", acked, violation->acked_by,
			violation->comment[0] ? ": " : "", violation->comment);
	if (fclose(out) != 0)
		return -ENOMEM;
	terminal_wrap(text, INDENT, terminal_width());
	putchar('\n');
	return 0;
}

static int list(struct memory *memory, const char *name)
{
	size_t open = 0;

	int err = memory_violations_each(memory, name, print_violation, &open);
	if (err)
		return cli_memory_fail(memory, err);
	if (open)
		printf("%zu open: bpfmeasure ack %s --all, or --seq N, or --rule R\n", open, name);
	else
		printf("no open violation of %s\n", name);
	return CLI_GOOD;
}

/* The user by name; sudo's user where there is one. */
static const char *who(char ret_name[static MEMORY_TEXT_MAX])
{
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *user = getpwuid(getuid());

	if (sudo && sudo[0] && strlen(sudo) < MEMORY_TEXT_MAX && is_printable(sudo) &&
		getuid() == 0)
		snprintf(ret_name, MEMORY_TEXT_MAX, "%s", sudo);
	else if (user)
		snprintf(ret_name, MEMORY_TEXT_MAX, "%.100s", user->pw_name);
	else
		snprintf(ret_name, MEMORY_TEXT_MAX, "uid %u", (unsigned)getuid());
	return ret_name;
}

static int acknowledge(struct memory *memory, struct request *request)
{
	char name[MEMORY_TEXT_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	request->ack.by = who(name);
	request->ack.now_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
	int64_t count = memory_ack(memory, request->name, &request->ack);
	if (count < 0)
		return cli_memory_fail(memory, (int)count);
	printf("%" PRId64 " acknowledged\n", count);
	return count ? CLI_GOOD
		     : cli_unknown("no open violation of %s is like that", request->name);
}

const char ack_help[] =
	"usage: bpfmeasure ack [OPTION]... MACHINE\n"
	"\n"
	"List the violations that are remembered of a machine, or acknowledge open ones:\n"
	"they stay, with your name, and no longer make the verdict untrusted. They go\n"
	"when the machine boots anew.\n"
	"\n"
	"  --all           acknowledge all that are open, or those that all these name:\n"
	"  --seq N         of this record\n"
	"  --rule R        of this policy, or of this reason\n"
	"  --comment TEXT  why\n"
	"  --utc           times in UTC; else they are local\n"
	"  --db FILE       the verifier's memory\n"
	"\n"
	"A log that contradicts what was proven is refused again in the next round:\n"
	"enroll --replace begins anew with a machine that was set up anew.\n"
	"Exit codes: 0 listed or acknowledged, 3 there is nothing like that.\n"
	"\n"
	"example: bpfmeasure ack web-07 --seq 8121 --comment \"maintenance, ticket 5\"\n";

int ack_main(int argc, char **argv)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	struct request request = { 0 };
	struct machine machine;

	int code = parse(argc, argv, &request);
	if (!code)
		code = cli_memory_open(request.db, &memory);
	if (code)
		return code;
	int err = memory_machine_get(memory, request.name, &machine);
	if (err == -ENOENT)
		return cli_unknown("%s", memory_errmsg(memory));
	if (err)
		return cli_memory_fail(memory, err);
	return request.is_ack ? acknowledge(memory, &request) : list(memory, request.name);
}
