/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/activation.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const char label[] = { 'b', 'p', 'f', 'm', 'e', 'a', 's', 'u', 'r', 'e', '/', 'a', 'c', 't',
	'i', 'v', 'a', 't', 'e', '/', '1' };

int activation_proof(const uint8_t secret[static ACTIVATION_SECRET_LEN],
	const uint8_t binding[static SHA256_LEN], const uint8_t *ak, size_t ak_len,
	const uint8_t *ek, size_t ek_len, uint8_t ret_proof[static SHA256_LEN])
{
	uint8_t transcript[sizeof(label) + 3 * SHA256_LEN], *p = transcript;
	uint8_t proof[SHA256_LEN];

	memcpy(p, label, sizeof(label));
	memcpy(p += sizeof(label), binding, SHA256_LEN);
	int err = sha256(ak, ak_len, p += SHA256_LEN);
	if (!err)
		err = sha256(ek, ek_len, p += SHA256_LEN);
	if (!err &&
		!HMAC(EVP_sha256(), secret, ACTIVATION_SECRET_LEN, transcript, sizeof(transcript),
			proof, NULL))
		err = -EIO;
	if (!err)
		memcpy(ret_proof, proof, sizeof(proof));
	return err;
}
