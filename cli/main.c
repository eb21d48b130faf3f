// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure: read the log, ask the daemon, verify evidence. Needs no privilege. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/verbs.h"

static void help(void)
{
	puts("usage: bpfmeasure VERB [OPTION]...\n"
	     "\n"
	     "Read the log of the BPF programs that a kernel loads, prove it, attest machines.\n"
	     "On the machine that is measured:");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		if (verb->main == enroll_main)
			puts("Anywhere, of machines on the network or of evidence in a file:");
		printf("  %-9s %s\n", verb->name, verb->summary);
	}
	puts("\n"
	     "  --help, behind a verb too; --version; --completion bash|zsh\n"
	     "\n"
	     "Manual pages: bpfmeasure(1), which has the environment too; bpfmeasure-VERB(1).\n"
	     "Exit codes: 0 good, 1 not trustworthy, 2 usage, 3 could not find out.\n"
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
	if (strcmp(argv[1], "--completion") == 0)
		return completion_print(argc == 3 ? argv[2] : "");
	const struct verb *verb = verb_find(argv[1]);
	if (verb)
		return verb_run(verb, argc - 1, argv + 1);
	return cli_usage("there is no %s %s: see bpfmeasure --help",
		argv[1][0] == '-' ? "option" : "verb", argv[1]);
}

/* A descriptor that was closed would be the next file's, and what is printed would go there. */
static void keep_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	keep_standard_descriptors();
	setlocale(LC_CTYPE, ""); /* what a table may draw its branches with */
	program_invocation_short_name = program;
	int code = run(argc, argv);
	if (fflush(stdout) != 0)
		return cli_unknown("stdout: %s", strerror(errno));
	if (ferror(stdout))
		return cli_unknown("stdout: an earlier write failed");
	return code;
}
