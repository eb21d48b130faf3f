/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CMS (PKCS#7) signatures of BPF programs: who they claim to be from, and whether that is so.
 *
 * The kernel says that a signature is good, and in which keyring it found the key, but not which
 * key it was. What the signature itself says about that is a claim: anyone can make a certificate
 * with anyone's key identifier. So there are two questions, and the second one is answered with
 * certificates that the operator configured and nothing else.
 *
 * Signatures are bytes from attackers: whatever is not one DER-encoded SignedData of at most
 * CMS_SIGNATURE_MAX bytes claims nothing and is pinned to nobody. OpenSSL's error queue is left as
 * it was.
 *
 * RFC 5652, "Cryptographic Message Syntax", section 5.
 */
#ifndef AGENT_CMS_H
#define AGENT_CMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "bpf/record.h"

enum {
	CMS_SIGNATURE_MAX = 64 * 1024,
	CMS_DIGESTS_MAX = 8, /* of one signature; each costs a pass over the data */
	CMS_TRUST_MAX = 64, /* certificates */
	CMS_CERT_FILE_MAX = 1024 * 1024,
};

/* ---- claims ---- */

/*
 * Who a signature says it is from: for struct record_signature's signers, claimed_key_ids and digest_algs.
 *
 * signers  SignerInfos in it; unknown where the bytes are no signature
 * key_ids  of the first count of them, "keyid:HEX" (SubjectKeyIdentifier) or "issuer:HEX" (sha256
 *          of the DER of IssuerAndSerialNumber), at most RECORD_SIGNERS_MAX
 * digest_algs  that these SignerInfos name
 */
struct cms_claims {
	struct record_number signers;
	size_t count;
	struct record_text key_ids[RECORD_SIGNERS_MAX];
	enum record_alg digest_algs[RECORD_SIGNERS_MAX];
	char *text; /* of all key_ids */
};

/* Returns 0, also where nothing is claimed; -ENOMEM. ret_claims is set up in any case. */
[[nodiscard]] int cms_claims(const void *sig, size_t sig_len, struct cms_claims *ret_claims);
void cms_claims_done(struct cms_claims *claims);

/* ---- pinned ---- */

struct cms_trust;

/* A set of no certificates; NULL without memory. */
struct cms_trust *cms_trust_new(void);
void cms_trust_free(struct cms_trust *trust);
void cms_trust_freep(struct cms_trust **trust);

/*
 * Add the PEM certificates of a file, or of every file of a directory whose name does not begin
 * with a dot. Only their public keys count: dates, usages and issuers are not looked at.
 *
 * Returns 0; -EINVAL for a file without a certificate or with a broken one; -E2BIG above
 * CMS_TRUST_MAX or CMS_CERT_FILE_MAX; -ENOMEM; the errno of the file system. After an error the set
 * is what was added before it, and cms_trust_errmsg() names the file.
 */
[[nodiscard]] int cms_trust_load(struct cms_trust *trust, const char *path);
const char *cms_trust_errmsg(const struct cms_trust *trust);
size_t cms_trust_count(const struct cms_trust *trust);

/*
 * Whether one of the configured keys made a detached signature over data: every one of its
 * SignerInfos, at most RECORD_SIGNERS_MAX, verifies under that key, with signed attributes or
 * without. Certificates inside the signature are never used, nor are its key identifiers: a renewed
 * certificate of the same key is as good as the old one.
 *
 * ret_spki_sha256 is the sha256 of the key's SubjectPublicKeyInfo (DER), written where true is
 * returned. False also where it could not be found out.
 */
bool cms_pinned(const struct cms_trust *trust, const void *data, size_t data_len, const void *sig,
	size_t sig_len, uint8_t ret_spki_sha256[static SHA256_LEN]);

/*
 * The subject (RFC 2253) of the first configured certificate with the key of that digest; NULL where
 * there is none. It lives as long as trust does.
 */
const char *cms_trust_subject(
	const struct cms_trust *trust, const uint8_t spki_sha256[static SHA256_LEN]);

#endif
