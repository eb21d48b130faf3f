/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TPM's endorsement keys (EKs): which it has, the certificates that their makers left in it, and
 * the one thing that an enrolment asks of them, TPM2_ActivateCredential.
 *
 * Errors are those of tpm/tpm.h. After any of them nothing that was made here stays in the TPM. On a
 * device it was on a connection of its own, which the kernel cleans up however it ends, with us too;
 * only a transient AK's connection is used again. On a software TPM it is flushed, and what a broken
 * connection or a killed process left there is flushed by the next tpm_connect().
 *
 * TCG EK Credential Profile for TPM Family 2.0, Version 2.6, 2.2.1.4 and 2.2.1.5 (NV indices), Annex
 * B.3 and B.4 (templates).
 */
#ifndef TPM_EK_H
#define TPM_EK_H

#include "tpm/tpm.h"

/* Of the low range (L): used by the endorsement hierarchy's policy; of the high range (H): by the key's
 * own authorization value, which is empty. */
enum tpm_ek_template {
	TPM_EK_RSA2048_L1,
	TPM_EK_ECC256_L2,
	TPM_EK_RSA2048_H1,
	TPM_EK_ECC256_H2,
	TPM_EK_ECC384_H3,
	TPM_EK_ECC521_H4,
	TPM_EK_RSA3072_H6,
	TPM_EK_RSA4096_H7,
	TPM_EK_COUNT,
};

enum {
	TPM_EK_PUBLIC_MAX = 640,
	TPM_EK_CERTIFICATE_MAX = 4096,
	TPM_EK_SECRET_MAX = 64, /* of a credential: a digest of the EK's name algorithm */
};

/* "rsa2048-l1", "ecc256-l2", "rsa2048-h1", "ecc256-h2", "ecc384-h3", "ecc521-h4", "rsa3072-h6",
 * "rsa4096-h7". */
const char *tpm_ek_name(enum tpm_ek_template template);

struct tpm_ek {
	enum tpm_ek_template template;
	uint32_t handle; /* where it is stored; 0: it is made of its template each time */
	size_t public_len; /* TPM2B_PUBLIC; 0: not known before tpm_ek_make() */
	size_t certificate_len; /* X.509, DER; 0: the TPM has none */
	uint8_t public[TPM_EK_PUBLIC_MAX];
	uint8_t certificate[TPM_EK_CERTIFICATE_MAX];
};

/*
 * Find the EKs that have a certificate in the TPM, or are stored in it (0x81010000..0x8101ffff, an
 * endorsement primary with the public area of a template, and where there is a certificate, the key in
 * it); in the order of the enum. Quick: no key is made.
 *
 * A certificate is the first DER object in its NV index, since many are padded. One that is larger
 * than TPM_EK_CERTIFICATE_MAX, may not be read, or is no DER is left out. Nothing vouches for it here.
 *
 * Returns their number, 0 too, or an error. ret_eks is written on success only.
 *
 * TPM 2.0 Library, Part 3, TPM2_NV_ReadPublic and TPM2_NV_Read.
 */
[[nodiscard]] int tpm_ek_find(struct tpm *tpm, struct tpm_ek ret_eks[static TPM_EK_COUNT]);

/*
 * Make the key of a template to learn its public area: ek->public. A chip may take tens of seconds for
 * an RSA key, more than the limit of tpm_set_timeout() perhaps: that is -ENODEV, as always.
 *
 * Returns 0 or an error with ek unchanged; -EIO where the TPM does not know the algorithms.
 *
 * TPM 2.0 Library, Part 3, TPM2_CreatePrimary.
 */
[[nodiscard]] int tpm_ek_make(struct tpm *tpm, struct tpm_ek *ek);

/*
 * Decrypt a credential that somebody made for this EK and our AK: only the TPM that has both can. The
 * secret is encrypted on its way from the TPM, in a session salted with the EK. Only after
 * tpm_ak_open().
 *
 * ek          of tpm_ek_find(), its public area known; one that is not stored is made again, which
 *             takes as long as tpm_ek_make().
 * credential  TPM2B_ID_OBJECT, marshalled.
 * secret      TPM2B_ENCRYPTED_SECRET, marshalled.
 *
 * Returns the length of ret_secret, or an error; -EBADMSG where the credential is for another AK or
 * EK, damaged or malformed, and the TPM is well; -ENOKEY where the TPM's EK is another one by now:
 * tpm_ek_find().
 *
 * TPM 2.0 Library, Part 1, 24 "Credential Protection"; Part 3, TPM2_ActivateCredential.
 */
[[nodiscard]] int tpm_ek_activate(struct tpm *tpm, const struct tpm_ek *ek,
	const uint8_t *credential, size_t credential_len, const uint8_t *secret, size_t secret_len,
	uint8_t ret_secret[static TPM_EK_SECRET_MAX]);

#endif
