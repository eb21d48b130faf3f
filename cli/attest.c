/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `attest`: a round with each machine, as often as is asked. */
#include "cli/attest.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attest/memory.h"
#include "cli/cli.h"
#include "cli/enrolment.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verdict.h"
#include "cli/when.h"
#include "cli/worker.h"

enum {
	PARALLEL = 8,
	PARALLEL_MAX = 1024,
	TIMEOUT_S = 300,
	NUMBER_MAX = 1000000, /* of seconds, MiB */
	SIZE_MIB = 4096,
	ALARM_TIMES = 15, /* a round asks three times at most, and is made five times at most */
	ALARM_S = 120,
	VERDICT_WIDTH = 9,
};

/* ---- the command line ---- */

static int parse_number(const char *name, const char *value, uint64_t max, unsigned *ret)
{
	uint64_t number;

	if (!cli_number(value, &number) || number < 1 || number > max)
		return cli_usage("--%s takes a number from 1 to %" PRIu64, name, max);
	*ret = (unsigned)number;
	return CLI_GOOD;
}

static int parse_option(struct attest *attest, int option, const char *value)
{
	unsigned mib = 0;
	int code = CLI_GOOD;

	switch (option) {
	case 'P':
		return appraisal_policy_add(&attest->appraisal, value);
	case 'R':
		return appraisal_reference_add(&attest->appraisal, value);
	case 'n':
		return parse_number("parallel", value, PARALLEL_MAX, &attest->parallel);
	case 't':
		return parse_number("timeout", value, NUMBER_MAX, &attest->timeout_s);
	case 'w':
		return parse_number("watch", value, NUMBER_MAX, &attest->watch_s);
	case 'm':
		code = parse_number("max-size", value, NUMBER_MAX, &mib);
		attest->size_max = (uint64_t)mib << 20;
		return code;
	case 'd':
		attest->db = value;
		return CLI_GOOD;
	case 'C':
		attest->ca = value;
		return CLI_GOOD;
	case 'c':
		attest->certificate = value;
		return CLI_GOOD;
	case 'k':
		attest->key = value;
		return CLI_GOOD;
	case 's':
		attest->save = value;
		return CLI_GOOD;
	case 'o':
		attest->on_change = value;
		return CLI_GOOD;
	case 'a':
		attest->all = true;
		return CLI_GOOD;
	case 'j':
		attest->json = true;
		return CLI_GOOD;
	case 'u':
		when_utc();
		return CLI_GOOD;
	default:
		return CLI_USAGE; /* getopt_long() has said why */
	}
}

static int check_options(const struct attest *attest)
{
	if (!attest->word_count && !attest->all)
		return cli_usage("needs a machine, or --all");
	if (attest->word_count && attest->all)
		return cli_usage("takes machines or --all, not both");
	for (size_t i = 0; i < attest->word_count; i++)
		if (!enrolment_is_name(attest->words[i]))
			return cli_usage("\"%s\" is no machine's name", attest->words[i]);
	if (attest->save && attest->word_count != 1)
		return cli_usage("--save takes the evidence of one machine");
	if (!attest->certificate != !attest->key)
		return cli_usage("--cert and --key go together");
	return CLI_GOOD;
}

const struct verb_option attest_options[] = {
	{ "policy", 'P', TAKES_POLICY },
	{ "reference", 'R', TAKES_FILE },
	{ "parallel", 'n', TAKES_TEXT },
	{ "timeout", 't', TAKES_TEXT },
	{ "watch", 'w', TAKES_TEXT },
	{ "max-size", 'm', TAKES_TEXT },
	{ "db", 'd', TAKES_FILE },
	{ "ca", 'C', TAKES_FILE },
	{ "cert", 'c', TAKES_FILE },
	{ "key", 'k', TAKES_FILE },
	{ "save", 's', TAKES_FILE },
	{ "on-change", 'o', TAKES_COMMAND },
	{ "all", 'a', TAKES_NOTHING },
	{ "json", 'j', TAKES_NOTHING },
	{ "utc", 'u', TAKES_NOTHING },
	{},
};

static int parse(int argc, char **argv, struct attest *attest)
{
	int option;

	while ((option = verb_next_option(argc, argv, attest_options)) != -1) {
		int code = parse_option(attest, option, optarg);
		if (code)
			return code;
	}
	attest->words = argv + optind;
	attest->word_count = (size_t)(argc - optind);
	return check_options(attest);
}

/* ---- which machines ---- */

static int add_target(struct attest *attest, const char *name)
{
	struct attest_target *targets = reallocarray(
		attest->targets, attest->target_count + 1, sizeof(*targets));
	size_t width = strlen(name);

	if (!targets)
		return -ENOMEM;
	attest->targets = targets;
	snprintf(targets[attest->target_count++].name, sizeof(targets->name), "%s", name);
	if (attest->name_width < width)
		attest->name_width = width;
	return 0;
}

static int add_machine(void *arg, const struct machine *machine)
{
	return add_target(arg, machine->name);
}

struct search {
	const char *word;
	char name[MACHINE_NAME_MAX + 1];
	size_t found;
};

/* HOST, where the machine's address is HOST:PORT or the same. */
static bool is_address(const char *address, const char *word)
{
	size_t len = strlen(word);

	return strncmp(address, word, len) == 0 && (!address[len] || address[len] == ':');
}

static int search(void *arg, const struct machine *machine)
{
	struct search *search = arg;

	if (strcmp(machine->name, search->word) == 0) {
		search->found = 1;
		strcpy(search->name, machine->name);
		return 1;
	}
	if (is_address(machine->address, search->word) && search->found++ == 0)
		strcpy(search->name, machine->name);
	return 0;
}

/* By its name, else by its address if no other has that. */
static int add_word(struct attest *attest, struct memory *memory, const char *word)
{
	struct search found = { .word = word };
	int r = memory_machines_each(memory, search, &found);

	return r < 0 ? r : add_target(attest, found.found == 1 ? found.name : word);
}

static int find_targets(struct attest *attest)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	int code = cli_memory_open(attest->db, &memory);

	if (code)
		return code;
	attest->target_count = attest->name_width = 0;
	int r = attest->all ? memory_machines_each(memory, add_machine, attest) : 0;
	for (size_t i = 0; i < attest->word_count && !r; i++)
		r = add_word(attest, memory, attest->words[i]);
	if (r)
		return cli_memory_fail(memory, r);
	if (!attest->target_count)
		return cli_memory_empty(attest->db);
	return CLI_GOOD;
}

/* ---- what is said ---- */

/* Of all machines. */
struct outcome {
	const struct attest *attest;
	size_t done;
	int code;
	bool has_progress;
};

/* Not trustworthy is worse than not known, and that is worse than good. */
static int worse(int a, int b)
{
	static const int order[] = { [CLI_GOOD] = 0, [CLI_UNKNOWN] = 1, [CLI_UNTRUSTED] = 2 };

	return order[a] >= order[b] ? a : b;
}

static const char *word_of(const json_t *object, const char *key, const char *otherwise)
{
	const char *word = json_string_value(json_object_get(object, key));

	return word ? word : otherwise;
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static enum table_color color_of(const char *verdict)
{
	if (strcmp(verdict, "trusted") == 0)
		return TABLE_GREEN;
	return strcmp(verdict, "untrusted") == 0 ? TABLE_RED : TABLE_YELLOW;
}

/* The time of a verdict, in the zone that times are shown in. */
static int print_time(const json_t *object)
{
	char text[WHEN_MAX] = "-";
	uint64_t ns;

	if (when_parse(word_of(object, "time", ""), 0, WHEN_FIRST, &ns))
		when_full(ns, text);
	return printf("%s  ", text);
}

/* One line; on a terminal that is too narrow for why, that comes below. */
static void print_line(const struct attest *attest, const json_t *object)
{
	enum { BELOW = VERDICT_WIDTH + 2 };
	const char *verdict = word_of(object, "verdict", "unknown");
	bool is_trusted = strcmp(verdict, "trusted") == 0;
	unsigned width = terminal_width();
	int column = attest->watch_s ? print_time(object) : 0;

	[[gnu::cleanup(json_freep)]] json_t *why = json_sprintf("%s%s%s",
		is_trusted ? "" : word_of(object, "reason", ""), is_trusted ? "" : ": ",
		word_of(object, "explanation", ""));
	const char *text = why ? json_string_value(why) : "";
	terminal_paint(color_of(verdict), verdict);
	column += VERDICT_WIDTH +
		printf("%*s  %-*s  %-9s  %-8s  %8" JSON_INTEGER_FORMAT,
			VERDICT_WIDTH - (int)strlen(verdict), "", (int)attest->name_width,
			word_of(object, "machine", ""), word_of(object, "mode", "-"),
			word_of(object, "tpm", "-"), number_of(object, "proven_seq"));
	bool is_below = width && (size_t)column + 2 + strlen(text) > width;
	printf("%s%*s", is_below ? "\n" : "", is_below ? BELOW : 2, "");
	terminal_wrap(text, BELOW, is_below ? width : 0);
	putchar('\n');
}

static void show_progress(struct outcome *outcome)
{
	const struct attest *attest = outcome->attest;

	if (attest->target_count < 2 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu machines\033[K", outcome->done, attest->target_count);
	outcome->has_progress = true;
}

static void clear_progress(struct outcome *outcome)
{
	if (outcome->has_progress)
		fputs("\r\033[K", stderr);
	outcome->has_progress = false;
}

/* ---- on a change ---- */

/* The shell sees the verdict in its environment; what it prints goes to stderr. */
static void run_command(const char *command, const json_t *object, const char *before)
{
	static const char *const names[][2] = {
		{ "BPFMEASURE_MACHINE", "machine" },
		{ "BPFMEASURE_ADDRESS", "address" },
		{ "BPFMEASURE_VERDICT", "verdict" },
		{ "BPFMEASURE_REASON", "reason" },
		{ "BPFMEASURE_EXPLANATION", "explanation" },
		{ "BPFMEASURE_MODE", "mode" },
		{ "BPFMEASURE_TPM", "tpm" },
		{ "BPFMEASURE_TIME", "time" },
	};
	char record[32];
	int status = -1;
	bool ok = setenv("BPFMEASURE_BEFORE", before, 1) == 0;

	snprintf(record, sizeof(record), "%" JSON_INTEGER_FORMAT, number_of(object, "proven_seq"));
	ok = ok && setenv("BPFMEASURE_RECORD", record, 1) == 0;
	for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++)
		ok = setenv(names[i][0], word_of(object, names[i][1], ""), 1) == 0;
	fflush(NULL);
	pid_t pid = ok ? fork() : -1;
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		(void)cli_unknown(
			"--on-change: the command failed for %s", word_of(object, "machine", ""));
}

/* By what the memory had; a round that it does not know would be a change each time. */
static void look_for_change(const struct attest *attest, const json_t *object)
{
	const char *before = word_of(json_object_get(object, "before"), "verdict", "");

	if (attest->on_change && json_is_true(json_object_get(object, "remembered")) &&
		strcmp(before, word_of(object, "verdict", "")) != 0)
		run_command(attest->on_change, object, before);
}

/* ---- a pass over all machines ---- */

static void work(void *arg, size_t index, int fd)
{
	const struct outcome *outcome = arg;
	const struct attest *attest = outcome->attest;

	alarm(ALARM_TIMES * attest->timeout_s + ALARM_S); /* whatever keeps it */
	attest_round(attest, attest->targets[index].name, fd);
}

/* Nothing, or nothing that makes sense, came from the process. */
static json_t *crashed(const struct attest *attest, const char *name, int status)
{
	char text[96];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(text, sizeof(text), "It took too long.");
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "The process that judges it died of signal %d.",
			WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "The process that judges it failed.");
	return attest_crashed(attest, name, text);
}

static void take(void *arg, size_t index, int status, const char *answer, size_t len)
{
	struct outcome *outcome = arg;
	const struct attest *attest = outcome->attest;
	json_t *object = len ? json_loadb(answer, len, 0, NULL) : NULL;

	if (!object)
		object = crashed(attest, attest->targets[index].name, status);
	clear_progress(outcome);
	if (!object) {
		(void)cli_unknown("not enough memory");
	} else if (attest->json) {
		json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		print_line(attest, object);
	}
	fflush(stdout);

	const char *verdict = word_of(object, "verdict", "unknown");
	int code = strcmp(verdict, "trusted") == 0  ? CLI_GOOD
		: strcmp(verdict, "untrusted") == 0 ? CLI_UNTRUSTED
						    : CLI_UNKNOWN;
	outcome->code = worse(outcome->code, code);
	if (json_is_false(json_object_get(object, "saved")))
		outcome->code = worse(outcome->code, CLI_UNKNOWN);
	outcome->done++;
	look_for_change(attest, object);
	show_progress(outcome);
	json_decref(object);
}

static int pass(struct attest *attest)
{
	struct outcome outcome = { .attest = attest };
	int code = find_targets(attest);

	attest->is_over = code != CLI_GOOD;
	if (code)
		return code;
	const struct worker_jobs jobs = {
		.count = attest->target_count,
		.parallel = attest->parallel,
		.arg = &outcome,
		.job = work,
		.taken = take,
	};
	show_progress(&outcome);
	int err = workers_run(&jobs);
	clear_progress(&outcome);
	return err ? worse(outcome.code, cli_unknown("%s", strerror(-err))) : outcome.code;
}

const char attest_help[] =
	"usage: bpfmeasure attest [OPTION]... MACHINE...|--all\n"
	"\n"
	"Ask machines for evidence, over the network, and judge it: by their enrolment,\n"
	"by what was proven before, and by policies. A line each.\n"
	"\n"
	"  --policy P        hold the records against it: a .sql file, or a shipped one\n"
	"  --reference FILE  reference values for policies; both may be given again\n"
	"  --all             every machine that is enrolled\n"
	"  --parallel N      so many at a time (default 8)\n"
	"  --timeout S       how long an answer may take (default 300)\n"
	"  --max-size MIB    how large an answer may be (default 4096)\n"
	"  --watch S         again every S seconds, until interrupted\n"
	"  --on-change CMD   run a shell command where a verdict is another than before\n"
	"  --save FILE       keep the evidence, of one machine: what is new\n"
	"  --ca FILE         check the server's certificate by this authority\n"
	"  --cert FILE, --key FILE  our own certificate, where servers want one\n"
	"  --json            an object a line\n"
	"  --utc             times of --watch in UTC\n"
	"  --db FILE         the verifier's memory\n"
	"\n"
	"Exit codes: 0 all trusted, 1 one is untrusted, 3 one could not be judged.\n"
	"\n"
	"example: bpfmeasure attest web-07 web-08 --policy signed-only\n";

static void attest_done(struct attest *attest)
{
	appraisal_done(&attest->appraisal);
	free(attest->targets);
}

/* Read them once to say what is wrong with them; each round reads them anew. */
static int check_policies(struct attest *attest)
{
	int code = appraisal_open(&attest->appraisal);

	policy_free(attest->appraisal.policy);
	attest->appraisal.policy = NULL;
	return code;
}

int attest_main(int argc, char **argv)
{
	[[gnu::cleanup(attest_done)]] struct attest attest = {
		.parallel = PARALLEL,
		.timeout_s = TIMEOUT_S,
		.size_max = (uint64_t)SIZE_MIB << 20,
	};
	int code = parse(argc, argv, &attest);

	if (!code)
		code = check_policies(&attest);
	if (code)
		return code;
	code = pass(&attest);
	while (attest.watch_s && !attest.is_over && sleep(attest.watch_s) == 0)
		code = pass(&attest);
	return code;
}
