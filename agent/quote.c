/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/quote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * Everything collected before the challenge goes into the TPM, while there is time. Returns what did
 * not: records, and events of the kernel that are missing and not yet recorded as lost.
 */
static uint64_t catch_up(struct measurer *measurer)
{
	uint64_t deadline = now_ms() + measurer->conf->measure_quote_wait_ms;
	uint64_t wanted, missing;

	measurer_drain(measurer);
	wanted = log_last_seq(measurer->log) + log_batch_count(measurer->log);
	while (log_extended_seq(measurer->log) < wanted && now_ms() < deadline)
		if (!measurer_step(measurer))
			break;
	missing = seen_holes(&measurer->collect.tickets);
	return wanted > log_extended_seq(measurer->log)
		? wanted - log_extended_seq(measurer->log) + missing
		: missing;
}

/* The records that the challenger does not have: none where there is nothing new. */
static int cut(struct measurer *measurer, uint64_t since, struct evidence_statement *statement,
	char error[static MEASURER_TEXT_MAX])
{
	uint64_t epoch_seq = log_epoch_seq(measurer->log);
	int err;

	statement->last = log_extended_seq(measurer->log);
	if (since > statement->last) {
		snprintf(error, MEASURER_TEXT_MAX, "since %llu: the log ends with record %llu",
			(unsigned long long)since, (unsigned long long)statement->last);
		return -EINVAL;
	}
	if (statement->last < epoch_seq) {
		snprintf(error, MEASURER_TEXT_MAX, "nothing of this epoch is extended yet");
		return -EAGAIN;
	}
	statement->since = since;
	statement->first = since < epoch_seq ? epoch_seq : since + 1;
	err = log_values_before(measurer->log, statement->first, &statement->start);
	if (err)
		snprintf(error, MEASURER_TEXT_MAX, "%s", log_errmsg(measurer->log));
	return err;
}

int quote_take(struct measurer *measurer, const struct ask_request *request,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	const struct conf *conf = measurer->conf;
	struct evidence_statement statement = {};
	struct merkle_hash leaf;
	struct tpm_quote quote;
	const uint8_t *ak;
	char trouble[3 * MEASURER_TEXT_MAX + 8];
	int err;

	statement.behind = catch_up(measurer);
	/* The quote is of the PCR as it is; the log has to be where it is. */
	if (!measurer->tpm_trouble[0] && !measurer_locate(measurer) &&
		log_extended_seq(measurer->log) < log_epoch_seq(measurer->log))
		statement.behind = catch_up(measurer);
	if (measurer->tpm_trouble[0] || measurer->log_trouble[0]) {
		snprintf(error, MEASURER_TEXT_MAX, "%s",
			measurer->tpm_trouble[0] ? measurer->tpm_trouble : measurer->log_trouble);
		return -EAGAIN;
	}
	err = cut(measurer, request->since, &statement, error);
	if (err)
		return err;
	/* A tree of one: its root is its leaf. */
	err = merkle_leaf_attest(request->nonce, request->binding, &leaf);
	if (!err)
		err = tpm_quote(measurer->tpm, conf->tpm_pcr, leaf.sha256, &quote);
	if (err) { /* the AK may be gone: it is opened anew when troubles are tried again */
		snprintf(error, MEASURER_TEXT_MAX, "quote: %.400s", tpm_errmsg(measurer->tpm));
		snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "%s", error);
		return err;
	}

	memcpy(statement.nonce, request->nonce, SHA256_LEN);
	memcpy(statement.binding, request->binding, SHA256_LEN);
	statement.pcr = conf->tpm_pcr;
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
