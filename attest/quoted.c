/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/quoted.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/replay.h"

[[gnu::format(printf, 3, 4)]] static enum verify_reason refuse(
	char text[static VERIFY_TEXT_MAX], enum verify_reason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, VERIFY_TEXT_MAX, format, args);
	va_end(args);
	return reason;
}

enum verify_reason quoted_fail(int err, char ret_text[static VERIFY_TEXT_MAX])
{
	return refuse(ret_text, VERIFY_FAILED, "%s",
		err == -ENOMEM ? "There is not enough memory."
			       : "OpenSSL refuses an algorithm that the evidence needs.");
}

/* ---- the key ---- */

enum verify_reason quoted_check_ak(const struct quoted *quoted, const struct ak *enrolled,
	struct tpms_public *ret_ak, char ret_text[static VERIFY_TEXT_MAX])
{
	struct tpms_public ak;
	struct tpms_error error;

	int err = tpms_public_decode(quoted->ak, quoted->ak_len, &ak, &error);
	if (err == -EBADMSG)
		return refuse(ret_text, VERIFY_MALFORMED,
			"The AK is no ECC P-256 signing key: %s (byte %zu of it).", error.what,
			error.at);
	if (err)
		return quoted_fail(err, ret_text);
	if (enrolled && !ak_is_same_key(&ak, &enrolled->public))
		return refuse(ret_text, VERIFY_AK_UNKNOWN,
			"The evidence was made with the AK %s, enrolled is %s: another machine, or new "
			"keys.",
			replay_shorten(ak.x).text, replay_shorten(enrolled->public.x).text);
	if (enrolled && enrolled->has_name &&
		(ak.name_len != enrolled->public.name_len ||
			memcmp(ak.name, enrolled->public.name, ak.name_len) != 0))
		return refuse(ret_text, VERIFY_AK_UNKNOWN,
			"The evidence names the enrolled key, but describes it in another way.");

	const char *fault = ak_attributes_fault(ak.attributes);
	if (fault)
		return refuse(ret_text, VERIFY_AK_ATTRIBUTES, "The AK cannot attest: %s.", fault);
	*ret_ak = ak;
	return VERIFY_OK;
}

/* ---- the quote ---- */

static enum verify_reason check_signature(const struct quoted *quoted, const struct tpms_public *ak,
	char ret_text[static VERIFY_TEXT_MAX])
{
	struct tpms_signature signature;
	struct tpms_error error;

	if (tpms_signature_decode(quoted->signature, quoted->signature_len, &signature, &error))
		return refuse(ret_text, VERIFY_MALFORMED,
			"The signature is none of ours: %s (byte %zu of it).", error.what,
			error.at);

	int r = ak_verify(ak, quoted->quote, quoted->quote_len, &signature);
	if (r == -EBADMSG)
		return refuse(ret_text, VERIFY_MALFORMED, "The AK is no point of the curve P-256.");
	if (r < 0)
		return quoted_fail(r, ret_text);
	if (!r)
		return refuse(ret_text, VERIFY_SIGNATURE, "The AK did not sign this quote.");
	return VERIFY_OK;
}

enum verify_reason quoted_check_attest(const struct quoted *quoted, const struct tpms_public *ak,
	struct tpms_attest *ret_attest, char ret_text[static VERIFY_TEXT_MAX])
{
	struct tpms_attest attest;
	struct tpms_error error;

	enum verify_reason reason = check_signature(quoted, ak, ret_text);
	if (reason)
		return reason;
	if (tpms_attest_decode(quoted->quote, quoted->quote_len, &attest, &error)) {
		reason = error.why == TPMS_MAGIC ? VERIFY_MAGIC
			: error.why == TPMS_TYPE ? VERIFY_TYPE
						 : VERIFY_MALFORMED;
		return refuse(ret_text, reason,
			"What the AK signed is no quote: %s (byte %zu of it).", error.what,
			error.at);
	}
	int r = ak_is_endorsement(ak, attest.signer, attest.signer_len);
	if (r < 0)
		return quoted_fail(r, ret_text);
	if (!r)
		return refuse(ret_text, VERIFY_SIGNER,
			"The quote does not name the AK as a primary key of the endorsement "
			"hierarchy.");
	*ret_attest = attest;
	return VERIFY_OK;
}

enum verify_reason quoted_check_root(const struct tpms_attest *attest,
	const struct merkle_hash *root, char ret_text[static VERIFY_TEXT_MAX])
{
	if (attest->extra_len == SHA256_LEN && memcmp(attest->extra, root->sha256, SHA256_LEN) == 0)
		return VERIFY_OK;
	return refuse(ret_text, VERIFY_QUALIFYING_DATA,
		"What was asked leads to the qualifying data %s, the quote has other.",
		replay_shorten(root->sha256).text);
}

/* ---- the PCR ---- */

enum verify_reason quoted_check_selection(const struct quoted *quoted,
	const struct tpms_attest *attest, char ret_text[static VERIFY_TEXT_MAX])
{
	bank_set banks = 0;
	bool is_ours = true;

	for (size_t i = 0; i < attest->selection_count; i++) {
		enum bank bank = bank_from_alg(attest->selections[i].alg);
		is_ours = is_ours && bank != BANK_COUNT &&
			attest->selections[i].pcrs == 1u << quoted->pcr;
		banks |= 1u << bank;
	}
	if (!is_ours || banks != quoted->banks)
		return refuse(ret_text, VERIFY_PCR_SELECTION,
			"The quote does not cover exactly PCR %u in exactly the banks stated.",
			quoted->pcr);
	return VERIFY_OK;
}

/* TPM 2.0 Library, Part 1, "Selecting Multiple PCR": in the order of the selection. */
enum verify_reason quoted_check_values(const struct quoted *quoted,
	const struct tpms_attest *attest, char ret_text[static VERIFY_TEXT_MAX])
{
	uint8_t values[BANK_COUNT * BANK_DIGEST_MAX];
	uint8_t digest[SHA256_LEN];
	size_t len = 0;

	for (size_t i = 0; i < attest->selection_count; i++) {
		enum bank bank = bank_from_alg(attest->selections[i].alg);
		memcpy(values + len, quoted->values->digest[bank], bank_size(bank));
		len += bank_size(bank);
	}
	int err = sha256(values, len, digest);
	if (err)
		return quoted_fail(err, ret_text);
	if (attest->pcr_digest_len != SHA256_LEN ||
		memcmp(attest->pcr_digest, digest, SHA256_LEN) != 0)
		return refuse(ret_text, VERIFY_PCR_DIGEST,
			"The PCR values stated have the digest %s, the TPM signed another.",
			replay_shorten(digest).text);
	return VERIFY_OK;
}

/* ---- a quote that the daemon kept ---- */

enum verify_reason verify_kept(const struct evidence_kept *kept, const struct ak *ak,
	struct tpms_attest *ret_attest, char ret_text[static VERIFY_TEXT_MAX])
{
	const struct quoted quoted = {
		.quote = kept->quote,
		.quote_len = kept->quote_len,
		.signature = kept->signature,
		.signature_len = kept->signature_len,
		.ak = kept->ak,
		.ak_len = kept->ak_len,
		.pcr = kept->pcr,
		.banks = kept->banks,
		.values = &kept->values,
	};
	struct tpms_public public;
	struct tpms_attest attest;
	struct merkle_hash root; /* the lone leaf */

	enum verify_reason reason = quoted_check_ak(&quoted, ak, &public, ret_text);
	if (!reason)
		reason = quoted_check_attest(&quoted, &public, &attest, ret_text);
	if (reason)
		return reason;
	int err = merkle_leaf_kept(kept->sha256, &root);
	if (err)
		return quoted_fail(err, ret_text);
	reason = quoted_check_root(&attest, &root, ret_text);
	if (!reason)
		reason = quoted_check_selection(&quoted, &attest, ret_text);
	if (!reason)
		reason = quoted_check_values(&quoted, &attest, ret_text);
	if (!reason)
		*ret_attest = attest;
	return reason;
}
