/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/context.h"
#include "tpm/tpm.h"

#include <errno.h>
#include <string.h>
#include <tss2/tss2_esys.h>

/* How often a read starts over because PCRs move under it; each time somebody extended one. */
enum { READ_TRIES = 16 };

int tpm_check_pcr(struct tpm *tpm, unsigned pcr)
{
	int r = tpm_check_connected(tpm);

	if (r == 0 && !tpm_banks(tpm, pcr))
		r = tpm_fail_text(tpm, -EIO, "PCR %u: no bank of ours is allocated", pcr);
	return r;
}

void tpm_select_pcr(unsigned pcr, bank_set banks, TPML_PCR_SELECTION *ret_selection)
{
	TPML_PCR_SELECTION list = { 0 };

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(banks & 1u << bank))
			continue;
		TPMS_PCR_SELECTION *selection = &list.pcrSelections[list.count++];
		selection->hash = bank_alg(bank);
		selection->sizeofSelect = TPM_PCR_COUNT / 8;
		selection->pcrSelect[pcr / 8] = (BYTE)(1 << pcr % 8);
	}
	*ret_selection = list;
}

int tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct bank_values *digests)
{
	int r = tpm_check_pcr(tpm, pcr);
	if (r < 0)
		return r;

	TPML_DIGEST_VALUES list = { 0 };
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(tpm_banks(tpm, pcr) & 1u << bank))
			continue;
		TPMT_HA *digest = &list.digests[list.count++];
		digest->hashAlg = bank_alg(bank);
		memcpy(&digest->digest, digests->digest[bank], bank_size(bank));
	}

	TSS2_RC rc = Esys_PCR_Extend(tpm->main.esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, &list);
	return rc ? tpm_fail(tpm, "TPM2_PCR_Extend", rc) : 0;
}

/*
 * One TPM2_PCR_Read: stores what came of the banks wanted and returns which they were (not all of
 * them, perhaps), with the counter under which they were read.
 */
static int read_some(struct tpm *tpm, unsigned pcr, bank_set wanted, struct bank_values *values,
	uint32_t *ret_counter)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPML_PCR_SELECTION *selected = NULL;
	[[gnu::cleanup(tpm_esys_freep)]] TPML_DIGEST *digests = NULL;
	TPML_PCR_SELECTION selection;
	bank_set got = 0;
	uint32_t n = 0;

	tpm_select_pcr(pcr, wanted, &selection);
	TSS2_RC rc = Esys_PCR_Read(tpm->main.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		&selection, ret_counter, &selected, &digests);
	if (rc)
		return tpm_fail(tpm, "TPM2_PCR_Read", rc);

	for (uint32_t i = 0; i < selected->count && n < digests->count; i++) {
		const TPMS_PCR_SELECTION *s = &selected->pcrSelections[i];
		enum bank bank = bank_from_alg(s->hash);

		if (pcr / 8 >= s->sizeofSelect || !(s->pcrSelect[pcr / 8] & 1 << pcr % 8))
			continue;
		const TPM2B_DIGEST *digest = &digests->digests[n++];
		if (bank >= BANK_COUNT || digest->size != bank_size(bank))
			break;
		memcpy(values->digest[bank], digest->buffer, digest->size);
		got |= 1u << bank;
	}
	got &= wanted;
	if (!got)
		return tpm_fail_text(tpm, -EIO, "TPM2_PCR_Read: no value for PCR %u", pcr);
	return (int)got;
}

int tpm_pcr_read(struct tpm *tpm, unsigned pcr, struct bank_values *ret_values)
{
	int r = tpm_check_pcr(tpm, pcr);
	if (r < 0)
		return r;

	for (int i = 0; i < READ_TRIES; i++) {
		struct bank_values values = { 0 };
		bank_set missing = tpm_banks(tpm, pcr);
		uint32_t counter, first_counter;

		r = read_some(tpm, pcr, missing, &values, &first_counter);
		counter = first_counter;
		while (r > 0 && counter == first_counter && (missing &= ~(bank_set)r))
			r = read_some(tpm, pcr, missing, &values, &counter);
		if (r < 0)
			return r;
		if (counter == first_counter) {
			*ret_values = values;
			return 0;
		}
	}
	return tpm_fail_text(tpm, -EAGAIN, "TPM2_PCR_Read: the PCRs did not hold still");
}

int tpm_clock_read(struct tpm *tpm, struct tpm_clock *ret_clock)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_TIME_INFO *time = NULL;
	int r = tpm_check_connected(tpm);
	if (r < 0)
		return r;

	TSS2_RC rc = Esys_ReadClock(
		tpm->main.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time);
	if (rc)
		return tpm_fail(tpm, "TPM2_ReadClock", rc);

	const TPMS_CLOCK_INFO *info = &time->clockInfo;
	*ret_clock = (struct tpm_clock){
		.clock_ms = info->clock,
		.reset_count = info->resetCount,
		.restart_count = info->restartCount,
		.safe = info->safe == TPM2_YES,
		.firmware = tpm->identity.firmware,
	};
	return 0;
}
