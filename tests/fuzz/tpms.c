/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TPM's structures, with libtss2-mu as the oracle: whatever we accept, it accepts, of the same
 * length, and it reads the same values. (It accepts more; tpms.h says what we refuse.)
 *
 * Input: one byte that chooses the structure, then its bytes.
 */
#include <assert.h>
#include <string.h>

#include <tss2/tss2_mu.h>

#include "attest/tpms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void assert_bytes(const uint8_t *ours, size_t len, const uint8_t *theirs, size_t their_len)
{
	assert(len == their_len && memcmp(ours, theirs, len) == 0);
}

static void assert_number(
	const uint8_t ours[static TPMS_ECC_LEN], const TPM2B_ECC_PARAMETER *theirs)
{
	uint8_t padded[TPMS_ECC_LEN] = { 0 };

	assert(theirs->size <= TPMS_ECC_LEN);
	memcpy(padded + TPMS_ECC_LEN - theirs->size, theirs->buffer, theirs->size);
	assert_bytes(ours, TPMS_ECC_LEN, padded, TPMS_ECC_LEN);
}

static void try_attest(const uint8_t *data, size_t len)
{
	struct tpms_attest ours;
	struct tpms_error error;
	TPMS_ATTEST theirs = { 0 };
	size_t at = 0;

	if (tpms_attest_decode(data, len, &ours, &error)) {
		assert(error.at <= len && error.what);
		return;
	}
	assert(Tss2_MU_TPMS_ATTEST_Unmarshal(data, len, &at, &theirs) == TSS2_RC_SUCCESS);
	assert(at == len);
	assert(theirs.magic == TPM2_GENERATED_VALUE && theirs.type == TPM2_ST_ATTEST_QUOTE);
	assert_bytes(ours.signer, ours.signer_len, theirs.qualifiedSigner.name,
		theirs.qualifiedSigner.size);
	assert_bytes(ours.extra, ours.extra_len, theirs.extraData.buffer, theirs.extraData.size);
	assert(ours.clock_ms == theirs.clockInfo.clock);
	assert(ours.reset_count == theirs.clockInfo.resetCount);
	assert(ours.restart_count == theirs.clockInfo.restartCount);
	assert(ours.safe == theirs.clockInfo.safe);
	assert(ours.firmware == theirs.firmwareVersion);

	const TPMS_QUOTE_INFO *quote = &theirs.attested.quote;
	assert(ours.selection_count == quote->pcrSelect.count);
	for (size_t i = 0; i < ours.selection_count; i++) {
		const TPMS_PCR_SELECTION *bank = &quote->pcrSelect.pcrSelections[i];
		uint32_t pcrs = 0;
		for (unsigned n = 0; n < bank->sizeofSelect; n++)
			pcrs |= (uint32_t)bank->pcrSelect[n] << 8 * n;
		assert(ours.selections[i].alg == bank->hash && ours.selections[i].pcrs == pcrs);
		for (size_t n = 0; n < i; n++)
			assert(ours.selections[n].alg != bank->hash);
	}
	assert_bytes(ours.pcr_digest, ours.pcr_digest_len, quote->pcrDigest.buffer,
		quote->pcrDigest.size);
}

static void try_signature(const uint8_t *data, size_t len)
{
	struct tpms_signature ours;
	struct tpms_error error;
	TPMT_SIGNATURE theirs = { 0 };
	size_t at = 0;

	if (tpms_signature_decode(data, len, &ours, &error)) {
		assert(error.at <= len && error.what);
		return;
	}
	assert(Tss2_MU_TPMT_SIGNATURE_Unmarshal(data, len, &at, &theirs) == TSS2_RC_SUCCESS);
	assert(at == len);
	assert(theirs.sigAlg == TPM2_ALG_ECDSA);
	assert(theirs.signature.ecdsa.hash == TPM2_ALG_SHA256);
	assert_number(ours.r, &theirs.signature.ecdsa.signatureR);
	assert_number(ours.s, &theirs.signature.ecdsa.signatureS);
}

static void try_public(const uint8_t *data, size_t len)
{
	struct tpms_public ours;
	struct tpms_error error;
	TPM2B_PUBLIC theirs = { 0 };
	size_t at = 0;

	if (tpms_public_decode(data, len, &ours, &error)) {
		assert(error.at <= len && error.what);
		return;
	}
	assert(Tss2_MU_TPM2B_PUBLIC_Unmarshal(data, len, &at, &theirs) == TSS2_RC_SUCCESS);
	assert(at == len);
	assert(ours.attributes == theirs.publicArea.objectAttributes);
	assert(theirs.publicArea.parameters.eccDetail.curveID == TPM2_ECC_NIST_P256);
	assert(theirs.publicArea.parameters.eccDetail.scheme.scheme == TPM2_ALG_ECDSA);
	assert_number(ours.x, &theirs.publicArea.unique.ecc.x);
	assert_number(ours.y, &theirs.publicArea.unique.ecc.y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const structures[])(const uint8_t *, size_t) = {
		try_attest,
		try_signature,
		try_public,
	};

	if (len > 0)
		structures[data[0] % 3](data + 1, len - 1);
	return 0;
}
