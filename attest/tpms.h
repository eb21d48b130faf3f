/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The structures of the TPM that a verifier reads, out of bytes that anybody may have made: a
 * quote, its signature, the public area of the key. Everything is big-endian.
 *
 * Not a general decoder: only what an attestation key of ours (ECC P-256, ECDSA with SHA-256) can
 * cause is accepted. Every structure must fill its bytes exactly; every size has a bound; the work
 * is linear in at most a few hundred bytes.
 *
 * TPM 2.0 Library, Part 2 "Structures", revision 1.59: the sections named below are its.
 */
#ifndef ATTEST_TPMS_H
#define ATTEST_TPMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"

enum {
	TPMS_SELECTIONS_MAX = 16, /* HASH_COUNT of every TPM known is below it */
	TPMS_SELECT_MAX = 4, /* bytes of one bit map: 32 PCRs */
	TPMS_NAME_MAX = 2 + BANK_DIGEST_MAX, /* nameAlg and digest */
	TPMS_ECC_LEN = 32, /* of a number of P-256 */
};

/* Why bytes were refused. */
struct tpms_error {
	enum { TPMS_MALFORMED, TPMS_MAGIC, TPMS_TYPE } why;
	size_t at; /* byte offset */
	const char *what; /* one clause, static */
};

/* 10.6.2 TPMS_PCR_SELECTION: the PCRs of one bank; bit n is PCR n. */
struct tpms_selection {
	uint16_t alg;
	uint32_t pcrs;
};

/*
 * 10.12.12 TPMS_ATTEST with 10.12.1 TPMS_QUOTE_INFO in it.
 *
 * The magic is TPM_GENERATED_VALUE: a TPM puts it where it made the structure itself, and its
 * restricted keys sign nothing from outside that begins with it. A signature over anything else
 * proves nothing, so it is looked at first (-EBADMSG with TPMS_MAGIC, then TPMS_TYPE).
 */
struct tpms_attest {
	size_t signer_len; /* 10.5.3 TPM2B_NAME: the Qualified Name of the key */
	uint8_t signer[TPMS_NAME_MAX];
	size_t extra_len; /* 10.4.3 TPM2B_DATA: the qualifying data */
	uint8_t extra[BANK_DIGEST_MAX];
	uint64_t clock_ms; /* 10.11.2 TPMS_CLOCK_INFO */
	uint32_t reset_count;
	uint32_t restart_count;
	bool safe;
	uint64_t firmware;
	size_t selection_count; /* 10.9.7 TPML_PCR_SELECTION: no bank twice */
	struct tpms_selection selections[TPMS_SELECTIONS_MAX];
	size_t pcr_digest_len; /* 10.4.2 TPM2B_DIGEST */
	uint8_t pcr_digest[BANK_DIGEST_MAX];
};

/* 11.3.4 TPMT_SIGNATURE, ECDSA with SHA-256: 11.3.2 TPMS_SIGNATURE_ECC, left-padded with zeros. */
struct tpms_signature {
	uint8_t r[TPMS_ECC_LEN];
	uint8_t s[TPMS_ECC_LEN];
};

/*
 * 12.2.5 TPM2B_PUBLIC: an ECC key on P-256 whose one scheme is ECDSA with SHA-256.
 *
 * name  Part 1, 16 "Names": nameAlg (sha256, sha384 or sha512) and the hash of the TPMT_PUBLIC
 *       under it.
 */
struct tpms_public {
	uint32_t attributes; /* 8.3 TPMA_OBJECT */
	uint8_t x[TPMS_ECC_LEN]; /* left-padded with zeros; NOT checked to be on the curve */
	uint8_t y[TPMS_ECC_LEN];
	size_t name_len;
	uint8_t name[TPMS_NAME_MAX];
};

/* 8.3.2 TPMA_OBJECT, the bits that make an attestation key. */
enum {
	TPMS_FIXED_TPM = 1 << 1,
	TPMS_FIXED_PARENT = 1 << 4,
	TPMS_SENSITIVE_DATA_ORIGIN = 1 << 5,
	TPMS_NO_DA = 1 << 10,
	TPMS_RESTRICTED = 1 << 16,
	TPMS_DECRYPT = 1 << 17,
	TPMS_SIGN = 1 << 18,
	TPMS_X509_SIGN = 1 << 19,
};

/*
 * Decode len bytes. Return 0; -EBADMSG with ret_error written; tpms_public_decode() also -EIO when
 * OpenSSL refuses the hash of the Name. The result is written on success only.
 */
[[nodiscard]] int tpms_attest_decode(
	const uint8_t *bytes, size_t len, struct tpms_attest *ret, struct tpms_error *ret_error);
[[nodiscard]] int tpms_signature_decode(
	const uint8_t *bytes, size_t len, struct tpms_signature *ret, struct tpms_error *ret_error);
[[nodiscard]] int tpms_public_decode(
	const uint8_t *bytes, size_t len, struct tpms_public *ret, struct tpms_error *ret_error);

#endif
