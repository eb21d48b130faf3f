/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "attest/verify.h"
#include "cli/appraisal.h"
#include "cli/cli.h"
#include "cli/enrolment.h"
#include "cli/verbs.h"
#include "cli/verdict.h"

enum { AFTER_MAX = 64 };

struct request {
	const char *file;
	const char *ak_file;
	const char *after[AFTER_MAX];
	size_t after_count;
	bool has_nonce, has_binding;
	uint8_t nonce[SHA256_LEN], binding[SHA256_LEN];
	unsigned pcr;
	bool json;
	struct appraisal appraisal;
};

static void request_done(struct request *request)
{
	appraisal_done(&request->appraisal);
}

/* ---- the command line ---- */

static int parse_option(struct request *request, int option, const char *value)
{
	switch (option) {
	case 'k':
		request->ak_file = value;
		return CLI_GOOD;
	case 'n':
		request->has_nonce = cli_unhex(value, request->nonce, SHA256_LEN);
		return request->has_nonce ? CLI_GOOD
					  : cli_usage("--nonce takes 64 hexadecimal digits");
	case 'b':
		request->has_binding = cli_unhex(value, request->binding, SHA256_LEN);
		return request->has_binding ? CLI_GOOD
					    : cli_usage("--binding takes 64 hexadecimal digits");
	case 'p':
		return enrolment_pcr_parse(value, &request->pcr)
			? CLI_GOOD
			: cli_usage("--pcr takes a number from 0 to %d", EVIDENCE_PCR_MAX);
	case 'a':
		if (request->after_count == AFTER_MAX)
			return cli_usage("--after may be given %d times", AFTER_MAX);
		request->after[request->after_count++] = value;
		return CLI_GOOD;
	case 'P':
		return appraisal_policy_add(&request->appraisal, value);
	case 'R':
		return appraisal_reference_add(&request->appraisal, value);
	case 'j':
		request->json = true;
		return CLI_GOOD;
	default:
		return CLI_USAGE; /* getopt_long() has said why */
	}
}

const struct verb_option verify_options[] = {
	{ "ak", 'k', TAKES_FILE },
	{ "nonce", 'n', TAKES_TEXT },
	{ "binding", 'b', TAKES_TEXT },
	{ "pcr", 'p', TAKES_TEXT },
	{ "after", 'a', TAKES_FILE },
	{ "policy", 'P', TAKES_POLICY },
	{ "reference", 'R', TAKES_FILE },
	{ "json", 'j', TAKES_NOTHING },
	{},
};

static int parse(int argc, char **argv, struct request *ret)
{
	int option;

	ret->pcr = VERIFY_PCR;
	while ((option = verb_next_option(argc, argv, verify_options)) != -1) {
		int code = parse_option(ret, option, optarg);
		if (code)
			return code;
	}
	if (optind + 1 != argc)
		return cli_usage("needs one FILE (- is the standard input)");
	if (!ret->ak_file)
		return cli_usage("needs --ak FILE, the key that the machine was enrolled with");
	ret->file = argv[optind];
	return CLI_GOOD;
}

/* ---- files ---- */

static void fclosep(FILE **file)
{
	if (*file && *file != stdin)
		fclose(*file);
}

static FILE *open_file(const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");

	if (!file)
		cli_unknown("%s: %s", path, strerror(errno));
	return file;
}

static int verify_file(
	const char *path, const struct verify_options *options, struct verify_result *ret)
{
	[[gnu::cleanup(fclosep)]] FILE *file = open_file(path);

	if (!file)
		return CLI_UNKNOWN;
	verify_evidence(file, options, ret);
	return CLI_GOOD;
}

/* Where the earlier evidence ends. */
static int prove_earlier(
	struct request *request, struct verify_options options, struct verify_anchor *ret)
{
	struct verify_result result;

	options.nonce = NULL; /* its challenge was another */
	for (size_t i = 0; i < request->after_count; i++) {
		int code = verify_file(request->after[i], &options, &result);
		if (code)
			return code;
		if (!result.is_proven)
			return cli_unknown("%s is no anchor: %s: %s", request->after[i],
				verify_reason_name(result.reason), result.explanation);
		appraisal_proven(&request->appraisal, &result.facts, ret->seq);
		*ret = result.end;
		options.after = ret;
	}
	return CLI_GOOD;
}

/* ---- what is said ---- */

static void print_facts(const struct verify_facts *facts)
{
	char log_id[2 * sizeof(facts->log_id) + 1], epoch[128] = "";

	cli_hex(facts->log_id, sizeof(facts->log_id), log_id);
	if (facts->has_epoch)
		snprintf(epoch, sizeof(epoch), ", epoch from record %" PRIu64 " (%.64s)",
			facts->epoch_seq, facts->epoch_why);
	terminal_print("log %s%s, TPM reset %" PRIu32 " restart %" PRIu32 " clock %" PRIu64 " ms",
		log_id, epoch, facts->reset_count, facts->restart_count, facts->clock_ms);
	terminal_print("loads: %" PRIu64 " verified, %" PRIu64 " unsigned, %" PRIu64
		       " unknown; %" PRIu64 " found loaded, %" PRIu64 " rejected, %" PRIu64
		       " lost; %" PRIu64 " attachments",
		facts->loads[VERDICT_VERIFIED], facts->loads[VERDICT_UNSIGNED],
		facts->loads[VERDICT_UNKNOWN], facts->kinds[RECORD_BASELINE],
		facts->kinds[RECORD_REJECT], facts->lost, facts->kinds[RECORD_ATTACH]);
	terminal_print("not signed: agent %s says that it is %s", facts->agent,
		evidence_state_name(facts->state));
}

static void print_result(const struct request *request, const struct verify_result *result)
{
	const char *reason = verify_reason_name(result->reason);
	enum verify_verdict verdict = appraisal_verdict(
		&request->appraisal, result->verdict, &reason);

	terminal_paint(verdict_color(verdict), verify_verdict_name(verdict));
	if (verdict != VERIFY_TRUSTED)
		printf(": %s", reason);
	putchar('\n');
	terminal_print("%s", result->explanation);
	appraisal_print(&request->appraisal);
	if (result->is_proven)
		print_facts(&result->facts);
	for (size_t i = 0; i < result->note_count; i++)
		terminal_print("note: %s", result->notes[i]);
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static int print_json(const struct request *request, const struct verify_result *result)
{
	const char *reason = verify_reason_name(result->reason);
	const struct verdict verdict = {
		.verdict = appraisal_verdict(&request->appraisal, result->verdict, &reason),
		.reason = reason,
		.explanation = result->explanation,
		.is_fresh = request->has_nonce,
		.is_bound = request->has_binding,
		.result = result,
	};
	[[gnu::cleanup(json_freep)]] json_t *object = verdict_json(&verdict);

	if (!object ||
		(request->appraisal.policy &&
			json_object_set_new(
				object, "policy", appraisal_json(&request->appraisal))) ||
		json_dumpf(object, stdout, JSON_COMPACT))
		return cli_unknown("not enough memory, or no output");
	putchar('\n');
	return CLI_GOOD;
}

const char verify_help[] =
	"usage: bpfmeasure verify [OPTION]... --ak FILE EVIDENCE\n"
	"\n"
	"Is this log what that machine's TPM holds, all of it, now? EVIDENCE is what\n"
	"quote, attest --save or curl wrote; - is stdin.\n"
	"\n"
	"  --ak FILE         the machine's attestation key: TPM2B_PUBLIC or PEM\n"
	"  --nonce HEX       the challenge; without it, old evidence passes for new\n"
	"  --binding HEX     the channel (RFC 9266, tls-exporter); without it, evidence\n"
	"                    that was passed on is not told apart\n"
	"  --after FILE      evidence verified before, from which this one goes on\n"
	"  --pcr N           the PCR that is asked for (default 13)\n"
	"  --policy P        a .sql file, or signed-only, kernel-verified-metadata,\n"
	"                    known-programs, known-signers, known-loaders, no-gaps,\n"
	"                    no-foreign; again for more\n"
	"  --reference FILE  values of `bpfmeasure reference` for them; again for more\n"
	"  --json            the verdict as one object\n"
	"\n"
	"Exit codes: 0 trusted, 1 untrusted, 3 it could not be found out.\n"
	"\n"
	"example: bpfmeasure verify evidence --ak ak.tpm2b --nonce $nonce\n";

/* What the enrolment would know: the operator gave the key, and nobody vouches for the TPM. */
static void appraise(
	struct appraisal *appraisal, const struct verify_result *result, uint64_t proven_seq)
{
	const struct machine machine = {
		.name = "unknown",
		.mode = MACHINE_AK_PINNED,
		.tpm = result->facts.software ? MACHINE_SOFTWARE : MACHINE_UNPROVEN,
	};

	if (!result->is_proven)
		return;
	appraisal_proven(appraisal, &result->facts, proven_seq);
	appraisal_run(appraisal, &machine, proven_seq, result->facts.reset_seq);
}

static int verify(struct request *request, struct verify_result *ret_result)
{
	struct appraisal *appraisal = &request->appraisal;
	struct ak ak;
	struct verify_anchor anchor = { 0 };
	struct verify_options options = {
		.ak = &ak,
		.pcr = request->pcr,
		.record = appraisal_record,
		.record_arg = appraisal,
	};

	int code = enrolment_ak_load(request->ak_file, &ak);
	if (!code)
		code = appraisal_open(appraisal);
	appraisal->remembered = true;
	if (!code)
		code = prove_earlier(request, options, &anchor);
	if (code)
		return code;
	appraisal->remembered = false;
	options.after = request->after_count ? &anchor : NULL;
	options.nonce = request->has_nonce ? request->nonce : NULL;
	options.binding = request->has_binding ? request->binding : NULL;
	code = verify_file(request->file, &options, ret_result);
	if (!code)
		appraise(appraisal, ret_result, anchor.seq);
	return code;
}

int verify_main(int argc, char **argv)
{
	[[gnu::cleanup(request_done)]] struct request request = { 0 };
	struct verify_result result;
	const char *reason;

	int code = parse(argc, argv, &request);
	if (!code)
		code = verify(&request, &result);
	if (code)
		return code;
	if (request.json)
		code = print_json(&request, &result);
	else
		print_result(&request, &result);
	if (!code && fflush(stdout))
		return cli_unknown("cannot write the verdict: %s", strerror(errno));
	return code ? code
		    : verdict_code(appraisal_verdict(&request.appraisal, result.verdict, &reason));
}
