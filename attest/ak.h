/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attestation key as a verifier knows it: the public half of a key that it was told belongs to
 * the machine in question.
 */
#ifndef ATTEST_AK_H
#define ATTEST_AK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/tpms.h"

enum {
	AK_FILE_MAX = 4096, /* bytes of a file that can hold an AK */
	AK_SPKI_LEN = 91, /* of every P-256 key */
	AK_ERROR_MAX = 160,
};

/*
 * has_name   the key was given as a TPM2B_PUBLIC, whose Name covers its attributes. Of a PEM file
 *            only x and y are known: what kind of key it is was for its enrolment to find out.
 */
struct ak {
	bool has_name;
	struct tpms_public public;
};

/*
 * Read an AK from the bytes of a file: a marshalled TPM2B_PUBLIC, or a PEM "PUBLIC KEY".
 *
 * Returns 0; -EBADMSG for anything that is not an ECC P-256 key, a point off the curve too; -EIO
 * when OpenSSL fails otherwise; -ENOMEM. ret_error is then one clause for people.
 */
[[nodiscard]] int ak_decode(
	const uint8_t *bytes, size_t len, struct ak *ret, char ret_error[static AK_ERROR_MAX]);

/* Whether both are the same point of the curve. */
bool ak_is_same_key(const struct tpms_public *a, const struct tpms_public *b);

/*
 * What of its attributes keeps a key from attesting, as a clause; NULL if nothing does: it signs
 * only what its TPM made (restricted, sign, not decrypt, not x509sign), was born in that TPM
 * (sensitiveDataOrigin) and cannot leave it (fixedTPM, fixedParent).
 */
const char *ak_attributes_fault(uint32_t attributes);

/*
 * Whether a Qualified Name is that of this key as a primary of the endorsement hierarchy: the only
 * one whose quotes carry the TPM's counters in the clear. A primary's is H(hierarchy || Name).
 *
 * Returns 1 or 0, or -EIO.
 *
 * TPM 2.0 Library, Part 1, 16 "Names"; Part 2, 7.4 TPM_RH.
 */
[[nodiscard]] int ak_is_endorsement(
	const struct tpms_public *key, const uint8_t *qualified, size_t len);

/* The SubjectPublicKeyInfo (DER, RFC 5480), uncompressed. */
void ak_spki(const struct tpms_public *key, uint8_t ret_spki[static AK_SPKI_LEN]);

/*
 * Verify a signature over the sha256 of len bytes.
 *
 * Returns 1 if it is the key's, 0 if not, -EBADMSG if the key is no point of the curve, -ENOMEM.
 */
[[nodiscard]] int ak_verify(const struct tpms_public *key, const uint8_t *bytes, size_t len,
	const struct tpms_signature *signature);

#endif
