// SPDX-License-Identifier: BSD-2-Clause
#include "cli/verbs.h"

#include <assert.h>
#include <getopt.h>
#include <string.h>

const struct verb verbs[] = {
	/* on the machine that is measured */
	{ "status", status_main, "is this machine being measured, and how far did it get",
		status_help, status_options, TAKES_NOTHING },
	{ "log", log_main, "list the records, as a table, a tree or the measured lines", log_help,
		log_options, TAKES_NOTHING },
	{ "show", show_main, "everything about one record or one program", show_help, show_options,
		TAKES_TEXT },
	{ "query", query_main, "ask the log in SQL", query_help, query_options, TAKES_TEXT },
	{ "report", report_main, "the log as a page to look at and to print", report_help,
		report_options, TAKES_NOTHING },
	{ "quote", quote_main, "get evidence: the log, signed by the TPM", quote_help,
		quote_options, TAKES_NOTHING },
	{ "audit", audit_main, "is this whole log true, every epoch of it", audit_help,
		audit_options, TAKES_FILE },
	{ "doctor", doctor_main, "can this machine be measured, is all well, and what to do",
		doctor_help, doctor_options, TAKES_NOTHING },
	/* anywhere; enroll is the first of them */
	{ "enroll", enroll_main, "learn a machine's key, and what vouches for it", enroll_help,
		enroll_options, TAKES_HOST },
	{ "attest", attest_main, "ask machines for evidence over the network, and judge it",
		attest_help, attest_options, TAKES_MACHINE },
	{ "ack", ack_main, "list or acknowledge violations that are remembered of a machine",
		ack_help, ack_options, TAKES_MACHINE },
	{ "reference", reference_main, "make reference values for policies", reference_help,
		reference_options, TAKES_FILE },
	{ "verify", verify_main, "is this evidence, in a file, true", verify_help, verify_options,
		TAKES_FILE },
	{},
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

/* getopt_long(3) has its own table; what it remembers between two calls is a place in argv. */
int verb_next_option(int argc, char **argv, const struct verb_option *options)
{
	enum { OPTIONS_MAX = 32 };
	struct option names[OPTIONS_MAX + 1] = {};
	char letters[2 * OPTIONS_MAX + 1], *letter = letters;

	for (size_t i = 0; options[i].name; i++) {
		bool takes = options[i].takes != TAKES_NOTHING;

		assert(i < OPTIONS_MAX);
		names[i] = (struct option){ options[i].name,
			takes ? required_argument : no_argument, NULL, options[i].value };
		if (!options[i].has_letter)
			continue;
		*letter++ = (char)options[i].value;
		if (takes)
			*letter++ = ':';
	}
	*letter = '\0';
	return getopt_long(argc, argv, letters, names, NULL);
}
