/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCR banks: the hash algorithms under which a record is measured, and the two operations that
 * measuring consists of. Shared by everything that extends, replays or prints PCR values.
 *
 * Algorithm identifiers: TCG Algorithm Registry, table "Hash algorithms".
 */
#ifndef BPF_BANK_H
#define BPF_BANK_H

#include <stddef.h>
#include <stdint.h>

enum bank {
	BANK_SHA1,
	BANK_SHA256,
	BANK_SHA384,
	BANK_SHA512,
	BANK_COUNT,
};

enum { BANK_DIGEST_MAX = 64, SHA256_LEN = 32 };

/* A set of banks: bit n is bank n. Everywhere, banks are visited in the order of the enum. */
typedef unsigned bank_set;

/* One value per bank; those of banks outside the set in force are zero bytes. */
struct bank_values {
	uint8_t digest[BANK_COUNT][BANK_DIGEST_MAX];
};

/* "sha1", "sha256", "sha384", "sha512". */
const char *bank_name(enum bank bank);

/* Bytes of a digest. */
size_t bank_size(enum bank bank);

/* TPM_ALG_ID. */
uint16_t bank_alg(enum bank bank);

/* The bank of a TPM_ALG_ID, or BANK_COUNT where it is none of ours. */
enum bank bank_from_alg(uint16_t alg);

/* The bank of a name of name_len bytes, or BANK_COUNT. */
enum bank bank_from_name(const char *name, size_t name_len);

/*
 * Digest of data under one bank. Returns 0, or -EIO when OpenSSL refuses (SHA-1 under a policy that
 * forbids it, for example); ret_digest is written on success only, then entirely: the bytes behind
 * the digest are zero, so whole arrays compare with memcmp().
 *
 * This and the two below may be called from any thread at once. data may be NULL when len is 0.
 */
[[nodiscard]] int bank_hash(
	enum bank bank, const void *data, size_t len, uint8_t ret_digest[static BANK_DIGEST_MAX]);

/*
 * What TPM2_PCR_Extend does: value = H(value || digest), in place; bytes of value behind the digest
 * stay as they are.
 * Returns 0, or -EIO with value untouched.
 *
 * TPM 2.0 Library, Part 1, 17.2 "Extend of a PCR".
 */
[[nodiscard]] int bank_extend(enum bank bank, uint8_t value[static BANK_DIGEST_MAX],
	const uint8_t digest[static BANK_DIGEST_MAX]);

/* bank_hash(BANK_SHA256) into an array of its own size. */
[[nodiscard]] int sha256(const void *data, size_t len, uint8_t ret_digest[static SHA256_LEN]);

#endif
