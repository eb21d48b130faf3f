/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a TPM signed: the checks that an answer to a challenge and a quote that the daemon kept have
 * in common.
 *
 * Each returns VERIFY_OK, or the reason with a sentence for people in ret_text; outputs are written
 * under VERIFY_OK only. They are to be made in the order in which they stand here: each relies on
 * those before it.
 */
#ifndef ATTEST_QUOTED_H
#define ATTEST_QUOTED_H

#include "attest/ak.h"
#include "attest/merkle.h"
#include "attest/tpms.h"
#include "attest/verify.h"

/* Borrowed bytes, and what is said of them. */
struct quoted {
	const uint8_t *quote; /* TPMS_ATTEST */
	size_t quote_len;
	const uint8_t *signature; /* TPMT_SIGNATURE over them */
	size_t signature_len;
	const uint8_t *ak; /* TPM2B_PUBLIC */
	size_t ak_len;
	unsigned pcr; /* whose values are said to be: */
	bank_set banks;
	const struct bank_values *values;
};

/*
 * The key: the enrolled one (NULL: any), described as it was enrolled, and one that signs nothing
 * but what its TPM made. VERIFY_MALFORMED, VERIFY_AK_UNKNOWN, VERIFY_AK_ATTRIBUTES.
 */
enum verify_reason quoted_check_ak(const struct quoted *quoted, const struct ak *enrolled,
	struct tpms_public *ret_ak, char ret_text[static VERIFY_TEXT_MAX]);

/*
 * That key's signature over a quote that names it. VERIFY_MALFORMED, VERIFY_SIGNATURE,
 * VERIFY_MAGIC, VERIFY_TYPE, VERIFY_SIGNER.
 */
enum verify_reason quoted_check_attest(const struct quoted *quoted, const struct tpms_public *ak,
	struct tpms_attest *ret_attest, char ret_text[static VERIFY_TEXT_MAX]);

/* The qualifying data. VERIFY_QUALIFYING_DATA. */
enum verify_reason quoted_check_root(const struct tpms_attest *attest,
	const struct merkle_hash *root, char ret_text[static VERIFY_TEXT_MAX]);

/* Exactly that PCR in exactly those banks. VERIFY_PCR_SELECTION. */
enum verify_reason quoted_check_selection(const struct quoted *quoted,
	const struct tpms_attest *attest, char ret_text[static VERIFY_TEXT_MAX]);

/* Those values. VERIFY_PCR_DIGEST. */
enum verify_reason quoted_check_values(const struct quoted *quoted,
	const struct tpms_attest *attest, char ret_text[static VERIFY_TEXT_MAX]);

/* VERIFY_FAILED, and what an error of our own side (-ENOMEM, -EIO) means for people. */
enum verify_reason quoted_fail(int err, char ret_text[static VERIFY_TEXT_MAX]);

#endif
