/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/quote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Everything collected before the challenge goes into the TPM, while there is time. Returns what did
 * not: records, and events of the kernel that are missing and not yet recorded as lost.
 */
static uint64_t catch_up(struct measurer *measurer)
{
	uint64_t deadline = measurer_now_ms() + measurer->conf->measure_quote_wait_ms;
	uint64_t wanted, missing;

	measurer_drain(measurer);
	wanted = log_last_seq(measurer->log) + log_batch_count(measurer->log);
	while (log_extended_seq(measurer->log) < wanted && measurer_now_ms() < deadline)
		if (!measurer_step(measurer))
			break;
	missing = seen_holes(&measurer->collect.tickets);
	return wanted > log_extended_seq(measurer->log)
		? wanted - log_extended_seq(measurer->log) + missing
		: missing;
}

/*
 * The quote that vouches for where the records begin, where the log was trimmed; of a PCR that others
 * extended, the one that proves what was before.
 */
static int add_kept(struct measurer *measurer, struct evidence_statement *statement)
{
	uint64_t broken = log_broken_seq(measurer->log), at_most = 0;
	int err;

	if (statement->first == log_first_seq(measurer->log) && statement->first > 1 &&
		statement->first > log_anchor_seq(measurer->log))
		at_most = statement->first - 1;
	else if (broken > statement->first)
		at_most = broken - 1;
	if (!at_most)
		return 0;
	err = log_kept_get(measurer->log, at_most, &statement->kept);
	if (err == -ENOENT)
		return 0;
	statement->has_kept = !err && statement->kept.seq + 1 >= statement->first;
	return err;
}

/* The records that the challenger does not have: none where there is nothing new. */
static int cut(struct measurer *measurer, uint64_t since, struct evidence_statement *statement,
	char error[static MEASURER_TEXT_MAX])
{
	uint64_t begin = log_anchor_seq(measurer->log);
	int err;

	statement->last = log_extended_seq(measurer->log);
	if (since > statement->last) {
		snprintf(error, MEASURER_TEXT_MAX, "since %llu: the log ends with record %llu",
			(unsigned long long)since, (unsigned long long)statement->last);
		return -EINVAL;
	}
	if (statement->last < log_epoch_seq(measurer->log)) {
		snprintf(error, MEASURER_TEXT_MAX, "nothing of this epoch is extended yet");
		return -EAGAIN;
	}
	statement->since = since;
	statement->first = since < begin ? begin : since + 1;
	if (statement->first < log_first_seq(measurer->log))
		statement->first = log_first_seq(measurer->log);
	err = log_values_before(measurer->log, statement->first, &statement->start);
	if (!err)
		err = add_kept(measurer, statement);
	if (err)
		snprintf(error, MEASURER_TEXT_MAX, "%s", log_errmsg(measurer->log));
	return err;
}

/* Everything collected is extended as far as there is time, and the PCR is what the log leads to. */
static int settle(struct measurer *measurer, struct evidence_statement *statement,
	char error[static MEASURER_TEXT_MAX])
{
	char trouble[MEASURER_TROUBLE_MAX];

	if (!measurer_is_started(measurer)) {
		snprintf(error, MEASURER_TEXT_MAX, "not measuring yet: %.400s",
			measurer_trouble(measurer, trouble));
		return -EAGAIN;
	}
	statement->behind = catch_up(measurer);
	if (measurer_is_well(measurer, FAULT_SLOT_TPM) && !measurer_locate(measurer) &&
		(log_batch_count(measurer->log) ||
			log_extended_seq(measurer->log) < log_epoch_seq(measurer->log)))
		statement->behind = catch_up(measurer);
	if (measurer_is_well(measurer, FAULT_SLOT_TPM) &&
		measurer_is_well(measurer, FAULT_SLOT_LOG) && !measurer->mend)
		return 0;
	snprintf(error, MEASURER_TEXT_MAX, "%.500s", measurer_trouble(measurer, trouble));
	return -EAGAIN;
}

/* Everything as of one moment: settled, cut, and quoted. Returns as measurer_quote(). */
static int take(struct measurer *measurer, const struct ask_request *request,
	struct evidence_statement *statement, struct tpm_quote *ret_quote,
	char error[static MEASURER_TEXT_MAX])
{
	struct merkle_hash leaf;
	int err = settle(measurer, statement, error);

	if (!err)
		err = cut(measurer, request->since, statement, error);
	if (err)
		return err;
	/* A tree of one: its root is its leaf. */
	err = merkle_leaf_attest(request->nonce, request->binding, &leaf);
	if (!err)
		err = measurer_quote(measurer, leaf.sha256, ret_quote);
	if (err)
		snprintf(error, MEASURER_TEXT_MAX, "quote: %.400s",
			err == -ESTALE ? "the PCR does not hold still" : tpm_errmsg(measurer->tpm));
	return err;
}

int quote_take(struct measurer *measurer, const struct ask_request *request,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	struct evidence_statement statement = {};
	struct tpm_quote quote;
	const uint8_t *ak;
	char trouble[MEASURER_TROUBLE_MAX];
	int err = take(measurer, request, &statement, &quote, error);

	/* Extended by somebody else just now: that is recorded by the second try, and proven. */
	if (err == -ESTALE) {
		statement = (struct evidence_statement){};
		err = take(measurer, request, &statement, &quote, error);
	}
	if (err)
		return err;
	memcpy(statement.nonce, request->nonce, SHA256_LEN);
	memcpy(statement.binding, request->binding, SHA256_LEN);
	statement.pcr = measurer->conf->tpm_pcr;
	statement.banks = statement.start_banks = log_epoch(measurer->log)->banks;
	statement.values = *log_values(measurer->log);
	statement.quote_len = quote.attest_len;
	memcpy(statement.quote, quote.attest, quote.attest_len);
	statement.signature_len = quote.signature_len;
	memcpy(statement.signature, quote.signature, quote.signature_len);
	tpm_ak_public(measurer->tpm, &ak, &statement.ak_len);
	memcpy(statement.ak, ak, statement.ak_len);
	statement.count = 1;
	statement.state = *measurer_trouble(measurer, trouble) ? EVIDENCE_DEGRADED
							       : EVIDENCE_MEASURING;
	snprintf(statement.agent, sizeof(statement.agent), "%s", VERSION);
	log_mark(measurer->log);
	*ret_statement = statement;
	return 0;
}
