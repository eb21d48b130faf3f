/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "attest/quoted.h"
#include "attest/verification.h"

static const char *const verdict_names[] = {
	[VERIFY_TRUSTED] = "trusted",
	[VERIFY_UNTRUSTED] = "untrusted",
	[VERIFY_UNKNOWN] = "unknown",
};

static const struct {
	const char *name;
	enum verify_verdict verdict;
} reasons[VERIFY_REASON_COUNT] = {
	[VERIFY_OK] = { "ok", VERIFY_TRUSTED },
	[VERIFY_MALFORMED] = { "malformed", VERIFY_UNTRUSTED },
	[VERIFY_AK_UNKNOWN] = { "ak-unknown", VERIFY_UNTRUSTED },
	[VERIFY_AK_ATTRIBUTES] = { "ak-attributes", VERIFY_UNTRUSTED },
	[VERIFY_SIGNATURE] = { "signature", VERIFY_UNTRUSTED },
	[VERIFY_MAGIC] = { "magic", VERIFY_UNTRUSTED },
	[VERIFY_TYPE] = { "type", VERIFY_UNTRUSTED },
	[VERIFY_SIGNER] = { "signer", VERIFY_UNTRUSTED },
	[VERIFY_NONCE] = { "nonce", VERIFY_UNTRUSTED },
	[VERIFY_BINDING] = { "binding", VERIFY_UNTRUSTED },
	[VERIFY_QUALIFYING_DATA] = { "qualifying-data", VERIFY_UNTRUSTED },
	[VERIFY_PCR_SELECTION] = { "pcr-selection", VERIFY_UNTRUSTED },
	[VERIFY_PCR_DIGEST] = { "pcr-digest", VERIFY_UNTRUSTED },
	[VERIFY_START] = { "start", VERIFY_UNTRUSTED },
	[VERIFY_REPLAY] = { "replay", VERIFY_UNTRUSTED },
	[VERIFY_BASE] = { "unexplained-base", VERIFY_UNTRUSTED },
	[VERIFY_FOREIGN] = { "foreign", VERIFY_UNTRUSTED },
	[VERIFY_GRAMMAR] = { "grammar", VERIFY_UNTRUSTED },
	[VERIFY_PREV] = { "prev", VERIFY_UNTRUSTED },
	[VERIFY_SEQ] = { "seq", VERIFY_UNTRUSTED },
	[VERIFY_UNEXTENDED] = { "unextended", VERIFY_UNTRUSTED },
	[VERIFY_AK_NAME] = { "ak-name", VERIFY_UNTRUSTED },
	[VERIFY_EPOCH_COUNTS] = { "epoch-counts", VERIFY_UNTRUSTED },
	[VERIFY_CLOCK] = { "clock", VERIFY_UNTRUSTED },
	[VERIFY_OTHER_LOG] = { "other-log", VERIFY_UNTRUSTED },
	[VERIFY_ROLLBACK] = { "rollback", VERIFY_UNTRUSTED },
	[VERIFY_FORK] = { "fork", VERIFY_UNTRUSTED },
	[VERIFY_RESET_COUNT] = { "reset-count", VERIFY_UNTRUSTED },
	[VERIFY_BEHIND] = { "behind", VERIFY_UNKNOWN },
	[VERIFY_UNREADABLE] = { "unreadable", VERIFY_UNKNOWN },
	[VERIFY_FAILED] = { "failed", VERIFY_UNKNOWN },
};

const char *verify_verdict_name(enum verify_verdict verdict)
{
	return verdict_names[verdict];
}

const char *verify_reason_name(enum verify_reason reason)
{
	return reasons[reason].name;
}

/* ---- the result ---- */

bool verification_conclude(
	struct verification *v, enum verify_reason reason, const char *format, ...)
{
	va_list args;

	v->result->reason = reason;
	v->result->verdict = reasons[reason].verdict;
	va_start(args, format);
	vsnprintf(v->result->explanation, sizeof(v->result->explanation), format, args);
	va_end(args);
	return false;
}

bool verification_fail(struct verification *v, int err)
{
	char text[VERIFY_TEXT_MAX];

	return verification_conclude(v, quoted_fail(err, text), "%s", text);
}

void verification_note(struct verification *v, const char *format, ...)
{
	struct verify_result *result = v->result;
	va_list args;

	if (result->note_count == VERIFY_NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(result->notes[result->note_count++], VERIFY_NOTE_MAX, format, args);
	va_end(args);
}

bool verification_read(struct verification *v)
{
	int r = evidence_read(&v->reader, &v->line, &v->line_len);
	size_t line = v->reader.line + 1;

	if (r <= 0)
		v->line = NULL;
	if (r == -EMSGSIZE)
		return verification_conclude(v, VERIFY_MALFORMED,
			"Line %zu is longer than a record can be (%d bytes).", line,
			RECORD_LINE_MAX);
	if (r == -ENODATA)
		return verification_conclude(v, VERIFY_MALFORMED,
			"Line %zu does not end with a newline: the evidence was cut there.", line);
	if (r < 0)
		return verification_conclude(
			v, VERIFY_UNREADABLE, "Line %zu cannot be read.", line);
	return true;
}

/* ---- before anything is believed ---- */

static bool read_statement(struct verification *v)
{
	struct line_error error;

	if (!verification_read(v))
		return false;
	if (!v->line)
		return verification_conclude(v, VERIFY_MALFORMED, "The evidence is empty.");
	if (evidence_statement_decode(v->line, v->line_len, &v->statement, &error))
		return verification_conclude(v, VERIFY_MALFORMED,
			"The first line is no statement of evidence/1: %s (byte %zu).", error.what,
			error.at);

	struct verify_facts *facts = &v->result->facts;
	facts->first = v->statement.first;
	facts->last = v->statement.last;
	facts->behind = v->statement.behind;
	facts->state = v->statement.state;
	memcpy(facts->agent, v->statement.agent, sizeof(facts->agent));
	return true;
}

static struct quoted quoted_of(const struct evidence_statement *statement)
{
	return (struct quoted){
		.quote = statement->quote,
		.quote_len = statement->quote_len,
		.signature = statement->signature,
		.signature_len = statement->signature_len,
		.ak = statement->ak,
		.ak_len = statement->ak_len,
		.pcr = statement->pcr,
		.banks = statement->banks,
		.values = &statement->values,
	};
}

static bool judge(
	struct verification *v, enum verify_reason reason, const char text[static VERIFY_TEXT_MAX])
{
	return reason == VERIFY_OK || verification_conclude(v, reason, "%s", text);
}

static bool check_ak(struct verification *v)
{
	const struct quoted quoted = quoted_of(&v->statement);
	char text[VERIFY_TEXT_MAX];

	return judge(v, quoted_check_ak(&quoted, v->options->ak, &v->ak, text), text);
}

/* ---- what the TPM signed ---- */

static bool check_quote(struct verification *v)
{
	const struct quoted quoted = quoted_of(&v->statement);
	struct verify_facts *facts = &v->result->facts;
	char text[VERIFY_TEXT_MAX];

	if (!judge(v, quoted_check_attest(&quoted, &v->ak, &v->quote, text), text))
		return false;
	facts->clock_ms = v->quote.clock_ms;
	facts->reset_count = v->quote.reset_count;
	facts->restart_count = v->quote.restart_count;
	facts->safe = v->quote.safe;
	if (!facts->safe)
		verification_note(v,
			"the TPM was stopped without warning: its clock may have gone back then");
	return true;
}

static bool check_challenge(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	const uint8_t *nonce = v->options->nonce;
	const uint8_t *binding = v->options->binding;
	struct merkle_hash leaf, root;
	char text[VERIFY_TEXT_MAX];

	if (nonce && memcmp(nonce, statement->nonce, SHA256_LEN) != 0)
		return verification_conclude(v, VERIFY_NONCE,
			"The evidence answers the challenge %s, asked was %s.",
			replay_shorten(statement->nonce).text, replay_shorten(nonce).text);
	if (binding && memcmp(binding, statement->binding, SHA256_LEN) != 0)
		return verification_conclude(v, VERIFY_BINDING,
			"The evidence was made for another channel than the one it came through: "
			"somebody may have passed it on.");

	int err = merkle_leaf_attest(statement->nonce, statement->binding, &leaf);
	if (!err)
		err = merkle_path_root(&leaf, statement->index, statement->count, statement->path,
			statement->path_len, &root);
	if (err == -EBADMSG)
		return verification_conclude(v, VERIFY_QUALIFYING_DATA,
			"A path of %zu hashes does not fit challenge %" PRIu64 " of %" PRIu64 ".",
			statement->path_len, statement->index + 1, statement->count);
	if (err)
		return verification_fail(v, err);
	return judge(v, quoted_check_root(&v->quote, &root, text), text);
}

static bool check_pcr(struct verification *v)
{
	const struct quoted quoted = quoted_of(&v->statement);
	char text[VERIFY_TEXT_MAX];

	if (quoted.pcr != v->options->pcr)
		return verification_conclude(v, VERIFY_PCR_SELECTION,
			"The evidence is about PCR %u, asked was PCR %u.", quoted.pcr,
			v->options->pcr);
	return judge(v, quoted_check_selection(&quoted, &v->quote, text), text) &&
		judge(v, quoted_check_values(&quoted, &v->quote, text), text);
}

/* ---- the whole ---- */

static bool check_behind(struct verification *v)
{
	uint64_t behind = v->statement.behind;

	if (!behind)
		return true;
	return verification_conclude(v, VERIFY_BEHIND,
		"Records %" PRIu64 "-%" PRIu64
		" are proven, but the agent says that it had seen %" PRIu64
		" more event%s that it had not measured yet.",
		v->statement.first, v->statement.last, behind, behind == 1 ? "" : "s");
}

static void note_what_was_not_checked(struct verification *v)
{
	if (!v->options->nonce)
		verification_note(v, "freshness was not checked: the quote may be old");
	if (!v->options->binding)
		verification_note(v, "the channel was not checked");
	if (!v->options->ak->has_name)
		verification_note(v,
			"the AK was given without its attributes: that it only signs "
			"what its TPM made is the word of the evidence");
	if (v->options->pcr == 16 || v->options->pcr == 23)
		verification_note(
			v, "PCR %u can be reset by anybody on that machine", v->options->pcr);
}

static void freep(struct verification **v)
{
	free(*v);
}

void verify_evidence(
	FILE *stream, const struct verify_options *options, struct verify_result *ret_result)
{
	/* The order is the design; each check may rely on those above it. */
	static bool (*const checks[])(struct verification *) = {
		read_statement,
		check_ak,
		check_quote,
		check_challenge,
		check_pcr,
		check_kept,
		check_start,
		follow_log,
		check_replay,
		check_history,
		check_records,
		check_epoch,
		check_memory,
		check_behind,
	};
	[[gnu::cleanup(freep)]] struct verification *v = calloc(1, sizeof(*v));

	*ret_result = (struct verify_result){ .verdict = VERIFY_UNKNOWN, .reason = VERIFY_FAILED };
	if (!v) {
		snprintf(ret_result->explanation, sizeof(ret_result->explanation),
			"There is not enough memory.");
		return;
	}
	v->options = options;
	v->result = ret_result;
	evidence_reader_init(&v->reader, stream);
	note_what_was_not_checked(v);

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (options->is_statement && checks[i] == check_start)
			break;
		if (!checks[i](v))
			return;
	}
	if (!options->is_statement)
		ret_result->verdict = VERIFY_TRUSTED;
	ret_result->reason = VERIFY_OK;
}
