/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TPM2_MakeCredential without a TPM: a secret that only the TPM with this EK gives back, and only for
 * the key with this Name.
 *
 * TPM 2.0 Library, Part 1, 24 "Credential Protection"; Part 3, 12.6 TPM2_MakeCredential.
 */
#ifndef ATTEST_CREDENTIAL_H
#define ATTEST_CREDENTIAL_H

#include <stddef.h>
#include <stdint.h>

#include "attest/activation.h"
#include "attest/channel.h"
#include "attest/ek.h"
#include "attest/tpms.h"

struct credential {
	size_t blob_len; /* TPM2B_ID_OBJECT */
	uint8_t blob[CHANNEL_CREDENTIAL_MAX];
	size_t secret_len; /* TPM2B_ENCRYPTED_SECRET */
	uint8_t secret[CHANNEL_SECRET_MAX];
};

/*
 * name   of the key that the secret is for, name_len bytes (Part 1, 16 "Names").
 *
 * Returns 0; -EBADMSG where the EK is no key (a point off the curve); -EIO where OpenSSL fails
 * otherwise.
 */
[[nodiscard]] int credential_make(const struct ek *ek, const uint8_t *name, size_t name_len,
	const uint8_t secret[static ACTIVATION_SECRET_LEN], struct credential *ret);

/*
 * KDFa, of which the rest is made: bits (a multiple of 8) from a key, a label and a context.
 *
 * TPM 2.0 Library, Part 1, 11.4.10.2 "KDFa()", which is the counter mode of NIST SP 800-108 with HMAC.
 *
 * Returns 0, or -EIO where OpenSSL refuses.
 */
[[nodiscard]] int credential_kdfa(enum bank hash, const uint8_t *key, size_t key_len,
	const char *label, const uint8_t *context, size_t context_len, unsigned bits,
	uint8_t *ret_bytes);

#endif
