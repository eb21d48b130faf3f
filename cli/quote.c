// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure quote */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "attest/evidence.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/export.h"
#include "cli/output.h"
#include "cli/verbs.h"

const char quote_help[] =
	"usage: bpfmeasure quote [OPTION]... -o FILE\n"
	"\n"
	"Get evidence from the daemon: the log, and the TPM's signature over what it\n"
	"adds up to. Prints the nonce and which records there are; verifies nothing.\n"
	"\n"
	"  -o, --output FILE  where to; - is stdout\n"
	"  --nonce HEX        the challenge, 64 digits; random where it is not given\n"
	"  --since SEQ        only records after SEQ, which the verifier has proven\n"
	"  --export DIR       also write the key, and the quote for tpm2_checkquote(1)\n"
	"  --socket PATH      the daemon's socket\n"
	"\n"
	"A verifier believes in evidence for a nonce that it has chosen itself.\n"
	"\n"
	"example: bpfmeasure quote --nonce $(openssl rand -hex 32) -o evidence\n";

enum { TIMEOUT_S = 120 };

struct options {
	const char *socket_path;
	const char *file;
	const char *export;
	bool has_nonce;
	struct ask_request request;
};

/* ---- taking the evidence ---- */

static int fail_read(int err)
{
	switch (err) {
	case 0:
	case -ENODATA:
		return cli_unknown("the evidence was cut off");
	case -EMSGSIZE:
		return cli_unknown("a line of the evidence is too long");
	default:
		return cli_unknown("the evidence stopped coming");
	}
}

static void put_line(FILE *file, const char *line, size_t len)
{
	fwrite(line, 1, len, file);
	putc('\n', file);
}

static int take_statement(struct evidence_reader *reader, const struct options *options, FILE *file,
	struct evidence_statement *ret)
{
	const struct ask_request *request = &options->request;
	struct line_error error;
	const char *line;
	size_t len;

	int r = evidence_read(reader, &line, &len);
	if (r <= 0)
		return fail_read(r);
	if (evidence_statement_decode(line, len, ret, &error) < 0)
		return cli_unknown("the daemon's statement: %s, byte %zu", error.what, error.at);
	if (memcmp(ret->nonce, request->nonce, SHA256_LEN) != 0 ||
		memcmp(ret->binding, request->binding, SHA256_LEN) != 0 ||
		ret->since != request->since)
		return cli_unknown("this evidence answers another challenge");
	put_line(file, line, len);
	return CLI_GOOD;
}

/* Exactly as many records as the statement speaks of. */
static int take_records(
	struct evidence_reader *reader, const struct evidence_statement *statement, FILE *file)
{
	const char *line;
	size_t len;
	int r = 1;

	for (uint64_t seq = statement->first; seq <= statement->last; seq++) {
		r = evidence_read(reader, &line, &len);
		if (r <= 0)
			return fail_read(r);
		put_line(file, line, len);
		if (ferror(file))
			return CLI_GOOD; /* output_commit() says so */
	}
	r = evidence_read(reader, &line, &len);
	if (r < 0)
		return fail_read(r);
	return r > 0 ? cli_unknown("there are more lines than the evidence speaks of") : CLI_GOOD;
}

static int take(const struct options *options, FILE *answer, struct evidence_statement *ret)
{
	[[gnu::cleanup(output_done)]] struct output output = {};
	struct evidence_reader reader;

	int r = output_open(&output, options->file);
	if (r < 0)
		return cli_unknown("%s: %s", options->file, strerror(-r));
	evidence_reader_init(&reader, answer);
	int code = take_statement(&reader, options, output.file, ret);
	if (code == CLI_GOOD)
		code = take_records(&reader, ret, output.file);
	if (code != CLI_GOOD)
		return code;
	r = output_commit(&output);
	return r < 0 ? cli_unknown("%s: %s", options->file, strerror(-r)) : CLI_GOOD;
}

/* ---- the verb ---- */

static void report(FILE *to, const struct evidence_statement *statement)
{
	char nonce[2 * SHA256_LEN + 1];

	cli_hex(statement->nonce, SHA256_LEN, nonce);
	fprintf(to, "nonce      %s\n", nonce);
	if (statement->last < statement->first)
		fprintf(to, "records    none after %" PRIu64 "\n", statement->since);
	else
		fprintf(to, "records    %" PRIu64 " to %" PRIu64 "\n", statement->first,
			statement->last);
	fprintf(to, "state      %s\n", evidence_state_name(statement->state));
	if (statement->behind > 0)
		fprintf(to, "behind     %" PRIu64 " events not measured yet\n", statement->behind);
}

static int run(const struct options *options)
{
	[[gnu::cleanup(ask_closep)]] FILE *answer = NULL;
	struct evidence_statement statement;
	char why[ASK_ERROR_MAX];

	int r = ask(options->socket_path, &options->request, TIMEOUT_S, &answer, why);
	if (r < 0)
		return cli_unknown("%s", why);
	int code = take(options, answer, &statement);
	if (code == CLI_GOOD && options->export)
		code = export_quote(options->export, &statement);
	if (code == CLI_GOOD)
		report(strcmp(options->file, "-") == 0 ? stderr : stdout, &statement);
	return code;
}

static int parse_option(int option, struct options *options)
{
	switch (option) {
	case 'n':
		options->has_nonce = true;
		if (!cli_unhex(optarg, options->request.nonce, SHA256_LEN))
			return cli_usage("--nonce: give %d hexadecimal digits", 2 * SHA256_LEN);
		return CLI_GOOD;
	case 'S':
		if (!cli_number(optarg, &options->request.since) ||
			options->request.since > LINE_UINT_MAX)
			return cli_usage("--since: \"%s\" is no number of a record", optarg);
		return CLI_GOOD;
	case 'o':
		options->file = optarg;
		return CLI_GOOD;
	case 'e':
		options->export = optarg;
		return CLI_GOOD;
	case 's':
		options->socket_path = optarg;
		return CLI_GOOD;
	default:
		return CLI_USAGE;
	}
}

const struct verb_option quote_options[] = {
	{ "nonce", 'n', TAKES_TEXT },
	{ "since", 'S', TAKES_TEXT },
	{ "output", 'o', TAKES_FILE, .has_letter = true },
	{ "export", 'e', TAKES_FOLDER },
	{ "socket", 's', TAKES_FILE },
	{},
};

int quote_main(int argc, char **argv)
{
	struct options options = {
		.socket_path = cli_socket_path(),
		.request = { .what = ASK_EVIDENCE },
	};
	int option;

	while ((option = verb_next_option(argc, argv, quote_options)) != -1) {
		int code = parse_option(option, &options);
		if (code != CLI_GOOD)
			return code;
	}
	if (optind < argc)
		return cli_usage("\"%s\": quote takes options only", argv[optind]);
	if (!options.file)
		return cli_usage("say where to: -o FILE");
	if (!options.has_nonce &&
		getentropy(options.request.nonce, sizeof(options.request.nonce)) < 0)
		return cli_unknown("no random nonce: %s", strerror(errno));
	return run(&options);
}
