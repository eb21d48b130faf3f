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

int quote_settle(
	struct measurer *measurer, uint64_t *ret_behind, char error[static MEASURER_TEXT_MAX])
{
	char trouble[MEASURER_TROUBLE_MAX];
	uint64_t behind;

	if (!measurer_is_started(measurer)) {
		snprintf(error, MEASURER_TEXT_MAX, "not measuring yet: %.400s",
			measurer_trouble(measurer, trouble));
		return -EAGAIN;
	}
	behind = catch_up(measurer);
	/* The quote itself shows whether the PCR is still where it was, see measurer_quote(). */
	if (!measurer->located && measurer_is_well(measurer, FAULT_SLOT_TPM) &&
		!measurer_locate(measurer) &&
		(log_batch_count(measurer->log) ||
			log_extended_seq(measurer->log) < log_epoch_seq(measurer->log)))
		behind = catch_up(measurer);
	if (!measurer_is_well(measurer, FAULT_SLOT_TPM) ||
		!measurer_is_well(measurer, FAULT_SLOT_LOG) || measurer->mend) {
		snprintf(error, MEASURER_TEXT_MAX, "%.500s", measurer_trouble(measurer, trouble));
		return -EAGAIN;
	}
	if (log_extended_seq(measurer->log) < log_epoch_seq(measurer->log)) {
		snprintf(error, MEASURER_TEXT_MAX, "nothing of this epoch is extended yet");
		return -EAGAIN;
	}
	*ret_behind = behind;
	return 0;
}

int quote_sign(struct measurer *measurer, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX])
{
	int err = measurer_quote(measurer, qualifying, ret_quote);

	if (err)
		snprintf(error, MEASURER_TEXT_MAX, "quote: %.400s",
			err == -ESTALE ? "the PCR does not hold still" : tpm_errmsg(measurer->tpm));
	else
		log_mark(measurer->log);
	return err;
}

/* Where the records begin, and the PCR before them. */
static int begin(
	struct measurer *measurer, uint64_t since, bool near, struct evidence_statement *statement)
{
	uint64_t anchor = log_anchor_seq(measurer->log);
	int err;

	statement->since = since;
	statement->first = since < anchor ? anchor : since + 1;
	if (statement->first < log_first_seq(measurer->log))
		statement->first = log_first_seq(measurer->log);
	if (!near)
		return log_values_before(measurer->log, statement->first, &statement->start);
	err = log_place_before(
		measurer->log, statement->first, &statement->first, &statement->start);
	if (!err && statement->since >= statement->first)
		statement->since = statement->first - 1;
	return err;
}

int quote_cut(struct measurer *measurer, uint64_t since, bool near,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	struct evidence_statement statement = { .last = log_extended_seq(measurer->log) };
	char trouble[MEASURER_TROUBLE_MAX];
	const uint8_t *ak;
	int err;

	if (since > statement.last) {
		snprintf(error, MEASURER_TEXT_MAX, "since %llu: the log ends with record %llu",
			(unsigned long long)since, (unsigned long long)statement.last);
		return -EINVAL;
	}
	err = begin(measurer, since, near, &statement);
	if (!err)
		err = add_kept(measurer, &statement);
	if (err) {
		snprintf(error, MEASURER_TEXT_MAX, "%s", log_errmsg(measurer->log));
		return err;
	}
	statement.pcr = measurer->conf->tpm_pcr;
	statement.banks = statement.start_banks = log_epoch(measurer->log)->banks;
	statement.values = *log_values(measurer->log);
	tpm_ak_public(measurer->tpm, &ak, &statement.ak_len);
	memcpy(statement.ak, ak, statement.ak_len);
	statement.state = *measurer_trouble(measurer, trouble) ? EVIDENCE_DEGRADED
							       : EVIDENCE_MEASURING;
	snprintf(statement.agent, sizeof(statement.agent), "%s", VERSION);
	*ret_statement = statement;
	return 0;
}
