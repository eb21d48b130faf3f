/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An endorsement key as a verifier judges it: its public area, its certificate, and the roots that an
 * operator has chosen. All of it but the roots may be anybody's bytes.
 *
 * TCG EK Credential Profile for TPM Family 2.0, version 2.5: the sections named below are its.
 */
#ifndef ATTEST_EK_H
#define ATTEST_EK_H

#include <stddef.h>
#include <stdint.h>

#include "attest/machine.h"

enum {
	EK_NUMBER_MAX = 512, /* bytes: the modulus of RSA-4096 */
	EK_CERTIFICATE_MAX = 4096, /* bytes, DER */
	EK_FILE_MAX = 16 * 1024, /* bytes of a file that can hold an EK */
	EK_ERROR_MAX = 512,
};

/* B.3, B.4: the templates that an EK is made from, in order of strength. */
enum ek_template {
	EK_RSA2048_L1, /* "rsa2048-l1" */
	EK_RSA2048_H1, /* "rsa2048-h1" */
	EK_ECC256_L2, /* "ecc256-l2" */
	EK_ECC256_H2, /* "ecc256-h2" */
	EK_RSA3072_H6, /* "rsa3072-h6" */
	EK_RSA4096_H7, /* "rsa4096-h7" */
	EK_ECC384_H3, /* "ecc384-h3" */
	EK_ECC521_H4, /* "ecc521-h4" */
	EK_TEMPLATE_COUNT,
};

const char *ek_template_name(enum ek_template kind);

struct ek {
	enum ek_template kind;
	size_t number_len; /* bytes of each number */
	uint8_t x
		[EK_NUMBER_MAX]; /* RSA: the modulus (the exponent is 65537); ECC: NOT checked to be */
	uint8_t y[EK_NUMBER_MAX]; /* on the curve, padded with zeros on the left; RSA: not used */
	size_t public_len;
	uint8_t public[MACHINE_EK_MAX]; /* TPM2B_PUBLIC, from which the rest is */
};

/*
 * Decode a TPM2B_PUBLIC that fills len bytes exactly and is that of one of the templates: attributes,
 * policy, hash of the Name, symmetric algorithm and scheme are theirs, bit for bit. So the key belongs to
 * a TPM, cannot leave it, and decrypts nothing but what is meant for its TPM.
 *
 * Returns 0, or -EBADMSG with ret_error: one clause.
 */
[[nodiscard]] int ek_decode(
	const uint8_t *bytes, size_t len, struct ek *ret, char ret_error[static EK_ERROR_MAX]);

/* Of the TPM2B_PUBLIC's Name, and of the symmetric key in a credential for it. */
enum bank ek_name_hash(const struct ek *ek);
unsigned ek_symmetric_bits(const struct ek *ek);

/*
 * The key for OpenSSL (an EVP_PKEY), which is the caller's. Returns 0; -EBADMSG for what is no key, a
 * point off the curve; -ENOMEM.
 */
struct evp_pkey_st;
[[nodiscard]] int ek_to_pkey(const struct ek *ek, struct evp_pkey_st **ret_pkey);

/* ---- what an operator gives ---- */

/* An EK that was pinned: the whole public area, or only the key where the file has no more. */
struct ek_pin {
	size_t public_len; /* 0: only the key is known */
	uint8_t public[MACHINE_EK_MAX]; /* TPM2B_PUBLIC */
	size_t spki_len;
	uint8_t spki[EK_NUMBER_MAX + 64]; /* the key: SubjectPublicKeyInfo, DER */
};

/*
 * Read an EK from the bytes of a file: a marshalled TPM2B_PUBLIC, a PEM "PUBLIC KEY", or a certificate
 * (PEM or DER), of which only the key counts.
 *
 * Returns 0; -EBADMSG with ret_error, one clause; -ENOMEM.
 */
[[nodiscard]] int ek_pin_decode(
	const uint8_t *bytes, size_t len, struct ek_pin *ret, char ret_error[static EK_ERROR_MAX]);

/* Returns 1 if the EK is the one that was pinned, else 0; -ENOMEM. */
[[nodiscard]] int ek_pin_matches(const struct ek_pin *pin, const struct ek *ek);

/* ---- certificates ---- */

struct ek_roots;

/*
 * Load the certificates of vendors: DIR/hardware and DIR/software, each file below them that ends in
 * .pem, .crt, .cer or .der. One that signed itself is a root, and what a chain that ends in it is worth
 * follows from its folder; a root in both is software. Any other helps to build chains.
 *
 * Returns 0, or a negative errno with ret_error, which names the file: -ENOENT where there is no root,
 * -EBADMSG for a file without a certificate, -ENOMEM, or of the system.
 */
[[nodiscard]] int ek_roots_load(
	const char *dir, struct ek_roots **ret_roots, char ret_error[static EK_ERROR_MAX]);
void ek_roots_free(struct ek_roots *roots);
void ek_roots_freep(struct ek_roots **roots);

enum ek_fault {
	EK_GOOD,
	EK_CERTIFICATE, /* it is none, or none of an EK */
	EK_KEY, /* it is of another key */
	EK_CHAIN, /* it leads to no root, or is not valid now */
	EK_FAILED, /* no memory */
};

/*
 * Judge a certificate (DER; what follows it, as padding of the NV index, does not count): that it is of
 * this EK, and that it leads to one of the roots today.
 *
 * Section 3: not a CA; where it has an extended key usage, tcg-kp-EKCertificate is in it; where it has a
 * key usage, keyEncipherment or keyAgreement is in it. The certificates between it and the root are CAs.
 * An extension that is critical and unknown refuses it, and so does a key that is marked id-RSAES-OAEP,
 * as some vendors do: OpenSSL does not know it. Revocation is not looked up.
 *
 * On EK_GOOD ret_tpm is MACHINE_HARDWARE or MACHINE_SOFTWARE; otherwise ret_error is a clause.
 */
enum ek_fault ek_certificate_judge(const struct ek_roots *roots, const struct ek *ek,
	const uint8_t *der, size_t len, enum machine_tpm *ret_tpm,
	char ret_error[static EK_ERROR_MAX]);

#endif
