/* SPDX-License-Identifier: BSD-2-Clause */
/* What a round found goes into the memory, and the verdict follows from what is remembered then. */
#include "attest/round_own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attest/replay.h"

static const char not_shown[] = "not-shown";

/* ---- what is remembered of it ---- */

/* Refused, though the TPM has just signed it: nobody on the network can be the cause of that. */
static bool is_proven_failure(const struct round *round)
{
	const struct verify_result *evidence = &round->result->evidence;

	return round->result->has_evidence && evidence->verdict == VERIFY_UNTRUSTED &&
		evidence->reason >= VERIFY_START;
}

static int put_refusal(struct round *round, const char *rule, const char *why)
{
	struct memory_violation violation = {
		.source = MEMORY_EVIDENCE,
		.epoch_seq = round_epoch_seq(round),
		.found_ns = round->asked_ns,
	};

	snprintf(violation.what.rule, sizeof(violation.what.rule), "%s", rule);
	snprintf(violation.what.why, sizeof(violation.what.why), "%.255s", why);
	int r = memory_violation_put(round->options->memory, round->options->machine, &violation);
	return r < 0 && r != -ENOBUFS ? r : 0;
}

static int put_found(struct round *round)
{
	struct memory *memory = round->options->memory;
	const char *machine = round->options->machine;
	struct round_found *found = &round->found;
	const char *rule;
	bool is_full = false;
	int r = 0;

	for (size_t i = 0;
		found->standing >= 0 && !r && (rule = policy_rule(round->options->policy, i)); i++)
		r = memory_violations_drop(memory, machine, rule, round->judged_from);
	for (size_t i = 0; i < found->count && r >= 0; i++) {
		struct memory_violation violation = {
			.source = MEMORY_POLICY,
			.what = found->list[i],
			.epoch_seq = round_epoch_seq(round),
			.found_ns = round->asked_ns,
		};
		r = memory_violation_put(memory, machine, &violation);
		if (r == -ENOBUFS) {
			is_full = true;
			r = 0;
			break;
		}
	}
	if (is_full || found->standing > (int64_t)found->count) {
		round->is_unfinished = true;
		round_note(round, "there are more violations than are remembered (%d)",
			MEMORY_VIOLATIONS_MAX);
	}
	return r < 0 ? r : 0;
}

static int put_proven(struct round *round)
{
	struct memory *memory = round->options->memory;
	const char *machine = round->options->machine;
	struct memory_proven proven = {
		.anchor = round->result->evidence.end,
		.epoch_seq = round_epoch_seq(round),
	};
	int r = 0;

	if (round->is_judged) {
		if (round->is_whole && !round->is_boot_short)
			r = memory_lines_drop(memory, machine);
		if (!r && !round->records.is_partial)
			r = round_records_put(round);
		proven.is_partial = round->records.is_partial;
		if (!round->is_unfinished)
			memcpy(proven.policy, round->policy_digest, SHA256_LEN);
	} else if (round_is_newer(round)) { /* no policy has seen it */
		r = memory_lines_drop(memory, machine);
	} else {
		proven.is_partial = round->proven.is_partial;
		memcpy(proven.policy, round->proven.policy, SHA256_LEN);
	}
	return r ? r : memory_proven_put(memory, machine, &proven);
}

static int take_violation(void *arg, const struct memory_violation *violation)
{
	struct round_result *result = arg;
	size_t count = result->violation_count;

	if ((count & (count - 1)) == 0) { /* a power of two, or none */
		void *list = reallocarray(
			result->violations, count ? 2 * count : 1, sizeof(*result->violations));
		if (!list)
			return -ENOMEM;
		result->violations = list;
	}
	result->violations[result->violation_count++] = *violation;
	result->open_count += violation->acked_ns == 0;
	return 0;
}

static int list_violations(struct round *round)
{
	free(round->result->violations);
	round->result->violations = NULL;
	round->result->violation_count = round->result->open_count = 0;
	return memory_violations_each(
		round->options->memory, round->options->machine, take_violation, round->result);
}

/* ---- the verdict ---- */

static void append(struct round_result *result, const char *text)
{
	strncat(result->explanation, text,
		sizeof(result->explanation) - strlen(result->explanation) - 1);
}

static void conclude_violations(struct round *round)
{
	struct round_result *result = round->result;
	const struct memory_violation *first = result->violations;
	struct replay_instant date = { "" };
	char more[64] = "";

	if (result->open_count > 1)
		snprintf(more, sizeof(more), " There %s %zu more.",
			result->open_count == 2 ? "is" : "are", result->open_count - 1);
	if (first->found_ns != round->asked_ns)
		date = replay_instant(first->found_ns);
	if (first->source == MEMORY_EVIDENCE)
		round_conclude(round, VERIFY_UNTRUSTED, "remembered",
			"Evidence was refused%s%s, and nobody has acknowledged that: %s: %s%s",
			date.text[0] ? " on " : "", date.text, first->what.rule, first->what.why,
			more);
	else
		round_conclude(round, VERIFY_UNTRUSTED, "policy",
			"Record %" PRIu64 " violates %s: %s%s%s%s.%s%s%s", first->what.seq,
			first->what.rule, first->what.value, first->what.why[0] ? " (" : "",
			first->what.why, first->what.why[0] ? ")" : "",
			date.text[0] ? " Found on " : "", date.text, date.text[0] ? "." : "");
	if (first->source == MEMORY_POLICY)
		append(result, more);
	if (round->is_judged && round->found.standing < 0) {
		append(result, " And a policy failed: ");
		append(result, round->found.error);
		append(result, ".");
	}
}

static void decide(struct round *round)
{
	struct round_result *result = round->result;
	const struct verify_result *evidence = &result->evidence;

	if (!evidence->is_proven) {
		round_conclude(round, evidence->verdict, verify_reason_name(evidence->reason), "%s",
			evidence->explanation);
		return;
	}
	if (result->machine.tpm == MACHINE_HARDWARE && evidence->facts.software)
		round_conclude(round, VERIFY_UNTRUSTED, "software-tpm",
			"It was enrolled with a hardware TPM, and the log says that its TPM is "
			"software.");
	else if (round->unshown[0])
		round_conclude(round, VERIFY_UNTRUSTED, not_shown, "%s", round->unshown);
	else if (result->open_count)
		conclude_violations(round);
	else if (round->is_judged && round->found.standing < 0)
		round_conclude(round, VERIFY_UNKNOWN, "policy-failed", "%s.", round->found.error);
	else
		round_conclude(round, evidence->verdict, verify_reason_name(evidence->reason), "%s",
			evidence->explanation);
}

static int put_verdict(struct round *round)
{
	struct round_result *result = round->result;
	struct memory *memory = round->options->memory;
	struct memory_verdict verdict = {
		.time_ns = round->asked_ns,
		.verdict = result->verdict,
		.seq = result->last,
		.mode = result->machine.mode,
		.tpm = result->machine.tpm,
	};

	snprintf(verdict.reason, sizeof(verdict.reason), "%s", result->reason);
	snprintf(verdict.explanation, sizeof(verdict.explanation), "%s", result->explanation);
	int r = memory_verdict_last(memory, round->options->machine, &result->before);
	if (r && r != -ENOENT)
		return r;
	result->has_before = !r;
	return memory_verdict_put(memory, round->options->machine, &verdict);
}

int round_remember(struct round *round, bool is_answered)
{
	struct round_result *result = round->result;
	struct memory *memory = round->options->memory;
	const char *machine = round->options->machine;
	const struct verify_result *evidence = &result->evidence;
	int r = is_answered ? memory_nonce_take(memory, machine, round->nonce, round_now_ns()) : 0;

	if (r == -ENOENT) {
		round_conclude(round, VERIFY_UNTRUSTED, "not-outstanding",
			"The answer is to a challenge that is not outstanding: it was answered before, "
			"or the answer took more than %d s.",
			MEMORY_NONCE_S);
		r = list_violations(round);
		return r ? r : put_verdict(round);
	}
	if (!r && evidence->is_proven && round->is_judged)
		r = put_found(round);
	if (!r && evidence->is_proven)
		r = put_proven(round);
	if (!r && is_proven_failure(round))
		r = put_refusal(round, verify_reason_name(evidence->reason), evidence->explanation);
	if (!r && round->unshown[0])
		r = put_refusal(round, not_shown, round->unshown);
	if (!r)
		r = list_violations(round);
	if (r)
		return r;
	result->last = evidence->is_proven ? evidence->end.seq : round->proven.anchor.seq;
	if (is_answered)
		decide(round);
	if (result->verdict == VERIFY_UNKNOWN && result->open_count)
		round_note(round, "%zu violation%s open", result->open_count,
			result->open_count == 1 ? " is" : "s are");
	return put_verdict(round);
}
