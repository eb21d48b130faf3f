/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both ends of an enrolment compute: the proof that the attester's TPM could decrypt a credential
 * that only the TPM with this EK and this AK can decrypt, made for this TLS channel.
 */
#ifndef ATTEST_ACTIVATION_H
#define ATTEST_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"

enum { ACTIVATION_SECRET_LEN = 32 }; /* bytes of the secret in the credential */

/*
 * HMAC-SHA256(secret, transcript). The transcript is the 21 bytes "bpfmeasure/activate/1", the binding,
 * the sha256 of the AK's TPM2B_PUBLIC and the sha256 of the EK's TPM2B_PUBLIC.
 *
 * Returns 0, or -EIO when OpenSSL refuses.
 */
[[nodiscard]] int activation_proof(const uint8_t secret[static ACTIVATION_SECRET_LEN],
	const uint8_t binding[static SHA256_LEN], const uint8_t *ak, size_t ak_len,
	const uint8_t *ek, size_t ek_len, uint8_t ret_proof[static SHA256_LEN]);

#endif
