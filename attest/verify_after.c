/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier's last step: against what was proven before, and what is proven now. */
#include "attest/verification.h"

#include <inttypes.h>
#include <string.h>

/*
 * A kept quote from which evidence goes on is of any PCR that root had it kept of: by itself it does not say
 * that what follows is of the boot in which it was proven.
 */
void verification_meet_after(struct verification *v, const struct replay_line *line)
{
	const struct verify_anchor *after = v->options->after;
	const struct verification_epoch *epoch = &v->epoch;

	if (!after || line->place != after->seq)
		return;
	if (memcmp(line->sha256, after->sha256, SHA256_LEN) != 0)
		v->after_fault = VERIFY_FORK;
	else if (epoch->reset_count != after->reset_count ||
		epoch->restart_count != after->restart_count)
		v->after_fault = VERIFY_EPOCH_COUNTS;
	else if (!replay_is_at(&v->replay, after->banks, &after->values))
		v->after_fault = VERIFY_START;
}

static bool check_again(struct verification *v, const struct verify_anchor *after)
{
	switch (v->after_fault) {
	case VERIFY_OK:
		return true;
	case VERIFY_FORK:
		return verification_conclude(v, VERIFY_FORK,
			"Record %" PRIu64
			" is not the one that was proven before: the log has been rewritten.",
			after->seq);
	case VERIFY_EPOCH_COUNTS:
		return verification_conclude(v, VERIFY_EPOCH_COUNTS,
			"Record %" PRIu64 " was proven at %" PRIu32 " resets and %" PRIu32
			" restarts of the TPM, here it is of another boot: the log does not know of a "
			"reset or resume.",
			after->seq, after->reset_count, after->restart_count);
	default:
		return verification_conclude(v, v->after_fault,
			"Record %" PRIu64
			" was proven with other PCR values than those to which the records lead from "
			"where the evidence starts.",
			after->seq);
	}
}

/*
 * TPM 2.0 Library, Part 1, 36 "Timing Components": a reset counts one more reset, a restart or resume
 * one more restart, and Clock does not go back; but for TPM2_Clear, which sets all of them to zero.
 */
static bool check_counts(struct verification *v, const struct verify_anchor *after)
{
	const struct tpms_attest *quote = &v->quote;
	bool is_same_reset = quote->reset_count == after->reset_count;
	bool is_new = v->reset > after->seq;

	if (v->cleared) {
		verification_note(v,
			"record %" PRIu64 " says that the TPM was cleared: its counters begin anew",
			v->cleared);
		return true;
	}
	if (quote->reset_count < after->reset_count ||
		(is_same_reset && quote->restart_count < after->restart_count + is_new))
		return verification_conclude(v, VERIFY_RESET_COUNT,
			"The TPM counts %" PRIu32 " resets and %" PRIu32
			" restarts, not more than the %" PRIu32 " and %" PRIu32
			" that were proven before%s: an earlier state of a virtual TPM, or TPM2_Clear that "
			"the log does not tell of.",
			quote->reset_count, quote->restart_count, after->reset_count,
			after->restart_count, is_new ? ", though its PCR began anew" : "");
	if (is_same_reset && quote->clock_ms < after->clock_ms)
		return verification_conclude(v, VERIFY_CLOCK,
			"The TPM's clock is at %" PRIu64 " ms, and was at %" PRIu64
			" ms before in the same boot: an earlier state of a virtual TPM.",
			quote->clock_ms, after->clock_ms);
	return true;
}

static bool check_after(struct verification *v, const struct verify_anchor *after)
{
	const struct evidence_statement *statement = &v->statement;

	if (statement->last < after->seq)
		return verification_conclude(v, VERIFY_ROLLBACK,
			"The log ends with record %" PRIu64 ", but %" PRIu64
			" records were proven before: it was rolled back.",
			statement->last, after->seq);
	if (!check_again(v, after))
		return false;
	if (v->shorter)
		return verification_conclude(v, VERIFY_ROLLBACK,
			"Record %" PRIu64
			" says that the epoch before it had ended before record %" PRIu64
			", which was proven: the log was rolled back, and then the machine started.",
			v->shorter, after->seq);
	return check_counts(v, after);
}

static void note_records(struct verification *v)
{
	const struct verify_facts *facts = &v->result->facts;

	if (facts->software)
		verification_note(v,
			"the TPM is software: that machine's root can make it say "
			"anything");
	if (facts->lost)
		verification_note(v, "%" PRIu64 " event%s lost, and recorded as lost", facts->lost,
			facts->lost == 1 ? " was" : "s were");
	if (facts->state == EVIDENCE_DEGRADED)
		verification_note(v, "the agent says that it is degraded");
}

static void explain_proof(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	uint64_t first = statement->first;
	uint64_t last = statement->last;

	if (last < first)
		verification_conclude(v, VERIFY_OK,
			"Nothing was recorded after record %" PRIu64 ", which was proven before.",
			last);
	else if (v->reset > first)
		verification_conclude(v, VERIFY_OK,
			"Records %" PRIu64 "-%" PRIu64 " are what PCR %u holds; those from %" PRIu64
			" on are of earlier epochs, each named by the next.",
			v->reset, last, statement->pcr, first);
	else if (is_kept_start(v) && !v->reset && !is_continued(v))
		verification_conclude(v, VERIFY_OK,
			"Records %" PRIu64 "-%" PRIu64
			" lead from the quote that was kept before them to what PCR %u holds.",
			first, last, statement->pcr);
	else
		verification_conclude(v, VERIFY_OK,
			"Records %" PRIu64 "-%" PRIu64 " are what PCR %u holds, all of it.", first,
			last, statement->pcr);
}

bool check_memory(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	struct verify_result *result = v->result;

	if (v->other_log)
		return verification_conclude(v, VERIFY_OTHER_LOG,
			"Record %" PRIu64 " belongs to another log than the records before it.",
			v->other_log);
	if (v->options->after && !check_after(v, v->options->after))
		return false;

	note_records(v);
	explain_proof(v);
	result->is_proven = true;
	result->end = (struct verify_anchor){
		.seq = statement->last,
		.banks = statement->banks,
		.values = statement->values,
		.software = result->facts.software,
		.reset_count = v->quote.reset_count,
		.restart_count = v->quote.restart_count,
		.clock_ms = v->quote.clock_ms,
	};
	memcpy(result->end.sha256, v->replay.prev, SHA256_LEN);
	memcpy(result->end.log_id, result->facts.log_id, sizeof(result->end.log_id));
	return true;
}
