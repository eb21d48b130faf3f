// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure: read the log, ask the daemon, verify evidence. Needs no privilege. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct verb {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *summary;
	const char *help;
} verbs[] = {
	/* on the machine that is measured */
	{ "status", status_main, "is this machine being measured, and how far did it get",
		status_help },
	{ "log", log_main, "list the records, as a table, a tree or the measured lines", log_help },
	{ "show", show_main, "everything about one record or one program", show_help },
	{ "query", query_main, "ask the log in SQL", query_help },
	{ "quote", quote_main, "get evidence: the log, signed by the TPM", quote_help },
	{ "audit", audit_main, "is this whole log true, every epoch of it", audit_help },
	/* anywhere */
	{ "enroll", enroll_main, "learn a machine's key, and what vouches for it", enroll_help },
	{ "attest", attest_main, "ask machines for evidence over the network, and judge it",
		attest_help },
	{ "ack", ack_main, "list or acknowledge violations that are remembered of a machine",
		ack_help },
	{ "reference", reference_main, "make reference values for policies", reference_help },
	{ "verify", verify_main, "is this evidence, in a file, true", verify_help },
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static void help(void)
{
	puts("usage: bpfmeasure VERB [OPTION]...\n"
	     "\n"
	     "Read the log of the BPF programs that a kernel loaded, prove it, attest machines.\n"
	     "\n"
	     "On the machine that is measured:");
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].main == enroll_main)
			puts("Anywhere, of machines on the network or of evidence in a file:");
		printf("  %-9s %s\n", verbs[i].name, verbs[i].summary);
	}
	puts("\n"
	     "  --help     this; after a verb: its options and an example\n"
	     "  --version  the version\n"
	     "\n"
	     "The log is $BPFMEASURE_DB, else /var/lib/bpfmeasure/log.db; the daemon's socket is\n"
	     "$BPFMEASURE_SOCKET, else /run/bpfmeasure/measurer.sock: both for members of the group\n"
	     "bpfmeasure. A verifier's memory is $BPFMEASURE_MEMORY, else a file of the user's.\n"
	     "Exit codes: 0 good, 1 not trustworthy (status: degraded), 2 usage, 3 could not find out.\n"
	     "\n"
	     "example: bpfmeasure status && bpfmeasure log --since -1h");
}

static char program[] = "bpfmeasure";

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int verb_run(const struct verb *verb, int argc, char **argv)
{
	char name[32];

	if (asks_for_help(argc, argv)) {
		fputs(verb->help, stdout);
		return CLI_GOOD;
	}
	snprintf(name, sizeof(name), "%s %s", program, verb->name);
	argv[0] = name;
	program_invocation_short_name = name;
	int code = verb->main(argc, argv);
	program_invocation_short_name = program;
	return code;
}

static int run(int argc, char **argv)
{
	if (argc < 2)
		return cli_usage("a verb is missing: see bpfmeasure --help");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help();
		return CLI_GOOD;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("bpfmeasure " VERSION);
		return CLI_GOOD;
	}
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verb_run(&verbs[i], argc - 1, argv + 1);
	return cli_usage("there is no %s %s: see bpfmeasure --help",
		argv[1][0] == '-' ? "option" : "verb", argv[1]);
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, ""); /* what a table may draw its branches with */
	program_invocation_short_name = program;
	int code = run(argc, argv);
	if (fflush(stdout) != 0)
		return cli_unknown("stdout: %s", strerror(errno));
	if (ferror(stdout))
		return cli_unknown("stdout: an earlier write failed");
	return code;
}
