/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kept quotes: the daemon's own, so that what was recorded stays provable when the PCR is gone. One
 * is due when enough records came together, or when some have waited long enough; one more is taken
 * at a clean stop.
 */
#include <errno.h>
#include <string.h>

#include "agent/measurer.h"
#include "attest/evidence.h"
#include "attest/merkle.h"
#include "attest/tpms.h"

/* TPM 2.0 Library, Part 1, "Selecting Multiple PCR": the banks in the order of the selection, which is
 * ours. */
static int pcr_digest(
	bank_set banks, const struct bank_values *values, uint8_t ret[static SHA256_LEN])
{
	uint8_t bytes[BANK_COUNT * BANK_DIGEST_MAX];
	size_t len = 0;

	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank) {
			memcpy(bytes + len, values->digest[bank], bank_size(bank));
			len += bank_size(bank);
		}
	return sha256(bytes, len, ret);
}

/* Whether the TPM signed the PCR that the log leads to, at the counters of its epoch. */
static bool is_of_the_log(const struct measurer *measurer, const struct tpm_quote *quote)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	uint8_t digest[SHA256_LEN];
	struct tpms_attest attest;
	struct tpms_error error;

	return !tpms_attest_decode(quote->attest, quote->attest_len, &attest, &error) &&
		attest.reset_count == epoch->reset_count &&
		attest.restart_count == epoch->restart_count &&
		!pcr_digest(epoch->banks, log_values(measurer->log), digest) &&
		attest.pcr_digest_len == SHA256_LEN &&
		!memcmp(attest.pcr_digest, digest, SHA256_LEN);
}

int measurer_quote(struct measurer *measurer, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote)
{
	uint64_t asked_ns = measurer_wall_ns(), began_ns = measurer_boot_ns();
	struct tpm_quote quote;
	int err = tpm_quote(measurer->tpm, measurer->conf->tpm_pcr, qualifying, &quote);

	if (err == -EAGAIN)
		return err;
	durations_add(&measurer->counts.quotes, measurer_boot_ns() - began_ns);
	if (err) /* the AK may be gone: it is opened anew when faults are tried again */
		return measurer_fail_tpm(measurer, err);
	if (!is_of_the_log(measurer, &quote)) {
		measurer->located = false;
		return -ESTALE;
	}
	measurer_confirm(measurer, asked_ns);
	*ret_quote = quote;
	return 0;
}

static void fill(
	struct measurer *measurer, const struct tpm_quote *quote, struct evidence_kept *kept)
{
	const uint8_t *ak;

	kept->pcr = measurer->conf->tpm_pcr;
	kept->banks = log_epoch(measurer->log)->banks;
	kept->values = *log_values(measurer->log);
	kept->quote_len = quote->attest_len;
	memcpy(kept->quote, quote->attest, quote->attest_len);
	kept->signature_len = quote->signature_len;
	memcpy(kept->signature, quote->signature, quote->signature_len);
	tpm_ak_public(measurer->tpm, &ak, &kept->ak_len);
	memcpy(kept->ak, ak, kept->ak_len);
}

void measurer_keep(struct measurer *measurer)
{
	struct evidence_kept kept = { .seq = log_extended_seq(measurer->log) };
	struct merkle_hash leaf;
	struct tpm_quote quote;
	int err;

	if (!measurer_is_well(measurer, FAULT_SLOT_TPM) || !measurer->located ||
		kept.seq <= log_kept_seq(measurer->log) || kept.seq < log_epoch_seq(measurer->log))
		return;
	err = log_extended_sha256(measurer->log, kept.sha256);
	if (err) {
		measurer_fail_log(measurer, err);
		return;
	}
	if (merkle_leaf_kept(kept.sha256, &leaf) || measurer_quote(measurer, leaf.sha256, &quote))
		return;
	fill(measurer, &quote, &kept);
	err = log_keep(measurer->log, &kept);
	if (err)
		measurer_fail_log(measurer, err);
	else
		measurer->unkept_ms = 0;
}

void measurer_keep_due(struct measurer *measurer)
{
	const struct conf *conf = measurer->conf;
	uint64_t extended = log_extended_seq(measurer->log), kept = log_kept_seq(measurer->log);
	uint64_t now_ms = measurer_now_ms();

	if (extended <= kept)
		return;
	if (!measurer->unkept_ms)
		measurer->unkept_ms = now_ms;
	if (extended - kept >= conf->log_quote_every ||
		now_ms - measurer->unkept_ms >= conf->log_quote_after_s * 1000ULL)
		measurer_keep(measurer);
}
