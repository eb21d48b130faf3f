/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of `bpfmeasure`: one table, which main() calls from, --help lists, shells complete by,
 * and tests/lint-docs holds against the manual pages.
 *
 * A new verb is a row in cli/verbs.c, its declarations below, and docs/man/bpfmeasure-VERB.1.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <stdbool.h>
#include <stddef.h>

/* What an option or an argument is, as far as a shell can offer some. */
enum verb_takes {
	TAKES_NOTHING,
	TAKES_TEXT, /* a number, SQL, ...: nothing to offer */
	TAKES_FILE,
	TAKES_FOLDER,
	TAKES_WORD, /* one of a list */
	TAKES_TIME, /* as when_parse() reads it */
	TAKES_KIND, /* of a record */
	TAKES_BANK, /* BANK:HEX */
	TAKES_POLICY, /* a shipped one, or a file */
	TAKES_MACHINE, /* that is enrolled */
	TAKES_HOST,
	TAKES_COMMAND, /* of the shell */
};

/* A table of them ends with {}. */
struct verb_option {
	const char *name; /* without the dashes */
	int value; /* what verb_next_option() returns for it */
	enum verb_takes takes;
	const char *words; /* of TAKES_WORD, with a blank between */
	bool has_letter; /* -V is the same, where V is the value */
};

/*
 * The next option: its value, and optarg is what it takes; -1 after the last, and optind is where
 * the arguments begin; '?' for one that there is not, and getopt_long(3) has said so.
 */
[[nodiscard]] int verb_next_option(int argc, char **argv, const struct verb_option *options);

struct verb {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *summary;
	const char *help;
	const struct verb_option *options;
	enum verb_takes argument;
};

/* Those of the measured machine, then those of any. Ends with {}. */
extern const struct verb verbs[];

/* NULL: there is none of that name. */
const struct verb *verb_find(const char *name);

int status_main(int argc, char **argv);
int log_main(int argc, char **argv);
int show_main(int argc, char **argv);
int query_main(int argc, char **argv);
int report_main(int argc, char **argv);
int quote_main(int argc, char **argv);
int audit_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int enroll_main(int argc, char **argv);
int attest_main(int argc, char **argv);
int ack_main(int argc, char **argv);
int reference_main(int argc, char **argv);
int verify_main(int argc, char **argv);

extern const char status_help[], log_help[], show_help[], query_help[], report_help[], quote_help[],
	audit_help[], doctor_help[], enroll_help[], attest_help[], ack_help[], reference_help[],
	verify_help[];

extern const struct verb_option status_options[], log_options[], show_options[], query_options[],
	report_options[], quote_options[], audit_options[], doctor_options[], enroll_options[],
	attest_options[], ack_options[], reference_options[], verify_options[];

#endif
