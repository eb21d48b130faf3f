/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/tpms.h"

#include <errno.h>
#include <string.h>

/* 6.2 TPM_GENERATED, 6.9 TPM_ST */
static const uint32_t generated_value = 0xff544347;
static const uint16_t st_attest_quote = 0x8018;

/* 6.3 TPM_ALG_ID, 6.4 TPM_ECC_CURVE */
enum {
	ALG_NULL = 0x0010,
	ALG_ECDSA = 0x0018,
	ALG_ECC = 0x0023,
	ECC_NIST_P256 = 0x0003,
};

/*
 * The bytes still to be read. What is not there reads as zero, and the first refusal stays: so a
 * decoder reads a structure from top to bottom and asks once, at its end.
 */
struct bytes {
	const uint8_t *begin;
	const uint8_t *at;
	const uint8_t *end;
	struct tpms_error error; /* what is NULL: none yet */
};

static struct bytes bytes_of(const uint8_t *data, size_t len)
{
	return (struct bytes){ .begin = data, .at = data, .end = data + len };
}

static void refuse(struct bytes *in, int why, const char *what)
{
	if (in->error.what)
		return;
	in->error.why = why;
	in->error.at = (size_t)(in->at - in->begin);
	in->error.what = what;
	in->at = in->end;
}

static const uint8_t *take(struct bytes *in, size_t len)
{
	if ((size_t)(in->end - in->at) < len) {
		refuse(in, TPMS_MALFORMED, "the structure is cut short");
		return NULL;
	}
	const uint8_t *taken = in->at;
	in->at += len;
	return taken;
}

static uint64_t take_uint(struct bytes *in, size_t len)
{
	const uint8_t *taken = take(in, len);
	uint64_t value = 0;

	for (size_t i = 0; taken && i < len; i++)
		value = value << 8 | taken[i];
	return value;
}

static uint16_t take_u16(struct bytes *in)
{
	return (uint16_t)take_uint(in, 2);
}

static uint32_t take_u32(struct bytes *in)
{
	return (uint32_t)take_uint(in, 4);
}

/* A TPM2B_ structure of at most max bytes. Returns its length. */
static size_t take_sized(struct bytes *in, size_t max, uint8_t *ret)
{
	size_t len = take_u16(in);

	if (len > max)
		refuse(in, TPMS_MALFORMED, "a sized buffer is larger than its bound");
	const uint8_t *taken = take(in, len);
	if (!taken)
		return 0;
	memcpy(ret, taken, len);
	return len;
}

/* 11.2.5.1 TPM2B_ECC_PARAMETER, left-padded with zeros. */
static void take_number(struct bytes *in, uint8_t ret[static TPMS_ECC_LEN])
{
	uint8_t number[TPMS_ECC_LEN];
	size_t len = take_sized(in, sizeof(number), number);

	memset(ret, 0, TPMS_ECC_LEN);
	memcpy(ret + TPMS_ECC_LEN - len, number, len);
}

static void expect_u16(struct bytes *in, uint16_t expected, const char *what)
{
	struct bytes before = *in;

	if (take_u16(in) == expected || in->error.what)
		return;
	*in = before;
	refuse(in, TPMS_MALFORMED, what);
}

static int finish(struct bytes *in, struct tpms_error *ret_error)
{
	if (in->at != in->end)
		refuse(in, TPMS_MALFORMED, "bytes follow the structure");
	if (!in->error.what)
		return 0;
	*ret_error = in->error;
	return -EBADMSG;
}

/* ---- TPMS_ATTEST ---- */

static struct tpms_selection take_selection(struct bytes *in)
{
	struct tpms_selection selection = { .alg = take_u16(in) };
	size_t size = (size_t)take_uint(in, 1);

	if (size > TPMS_SELECT_MAX)
		refuse(in, TPMS_MALFORMED, "a PCR bit map is larger than its bound");
	const uint8_t *map = take(in, size);
	for (size_t i = 0; map && i < size; i++)
		selection.pcrs |= (uint32_t)map[i] << 8 * i;
	return selection;
}

static bool has_selection(const struct tpms_attest *attest, uint16_t alg)
{
	for (size_t i = 0; i < attest->selection_count; i++)
		if (attest->selections[i].alg == alg)
			return true;
	return false;
}

static void take_selections(struct bytes *in, struct tpms_attest *ret)
{
	size_t count = take_u32(in);

	if (count > TPMS_SELECTIONS_MAX)
		refuse(in, TPMS_MALFORMED, "more PCR selections than any TPM has banks");
	while (!in->error.what && ret->selection_count < count) {
		struct tpms_selection selection = take_selection(in);
		if (has_selection(ret, selection.alg))
			refuse(in, TPMS_MALFORMED, "a bank is selected twice");
		ret->selections[ret->selection_count++] = selection;
	}
}

/* 10.11.1 TPMS_CLOCK_INFO */
static void take_clock(struct bytes *in, struct tpms_attest *ret)
{
	ret->clock_ms = take_uint(in, 8);
	ret->reset_count = take_u32(in);
	ret->restart_count = take_u32(in);
	uint64_t safe = take_uint(in, 1);
	if (safe > 1)
		refuse(in, TPMS_MALFORMED, "safe is neither yes nor no");
	ret->safe = safe;
}

int tpms_attest_decode(
	const uint8_t *bytes, size_t len, struct tpms_attest *ret, struct tpms_error *ret_error)
{
	struct bytes in = bytes_of(bytes, len);
	struct tpms_attest attest = { 0 };

	if (take_u32(&in) != generated_value)
		refuse(&in, TPMS_MAGIC, "the TPM did not make what it signed");
	if (take_u16(&in) != st_attest_quote)
		refuse(&in, TPMS_TYPE, "the TPM attests to something else than PCRs");
	attest.signer_len = take_sized(&in, sizeof(attest.signer), attest.signer);
	attest.extra_len = take_sized(&in, sizeof(attest.extra), attest.extra);
	take_clock(&in, &attest);
	attest.firmware = take_uint(&in, 8);
	take_selections(&in, &attest);
	attest.pcr_digest_len = take_sized(&in, sizeof(attest.pcr_digest), attest.pcr_digest);

	int err = finish(&in, ret_error);
	if (!err)
		*ret = attest;
	return err;
}

/* ---- TPMT_SIGNATURE ---- */

int tpms_signature_decode(
	const uint8_t *bytes, size_t len, struct tpms_signature *ret, struct tpms_error *ret_error)
{
	struct bytes in = bytes_of(bytes, len);
	struct tpms_signature signature;

	expect_u16(&in, ALG_ECDSA, "not an ECDSA signature");
	expect_u16(&in, bank_alg(BANK_SHA256), "not a signature over a sha256");
	take_number(&in, signature.r);
	take_number(&in, signature.s);

	int err = finish(&in, ret_error);
	if (!err)
		*ret = signature;
	return err;
}

/* ---- TPM2B_PUBLIC ---- */

/* Part 1, 16 "Names": nameAlg || H(TPMT_PUBLIC). */
static int compute_name(enum bank hash, const uint8_t *area, size_t len, struct tpms_public *ret)
{
	uint16_t alg = bank_alg(hash);

	ret->name[0] = (uint8_t)(alg >> 8);
	ret->name[1] = (uint8_t)alg;
	ret->name_len = 2 + bank_size(hash);
	return bank_hash(hash, area, len, ret->name + 2);
}

int tpms_public_decode(
	const uint8_t *bytes, size_t len, struct tpms_public *ret, struct tpms_error *ret_error)
{
	struct bytes in = bytes_of(bytes, len);
	struct tpms_public public = { 0 };
	uint8_t policy[BANK_DIGEST_MAX];

	size_t area_len = take_u16(&in);
	if (area_len != (size_t)(in.end - in.at))
		refuse(&in, TPMS_MALFORMED, "the size is not that of the public area");
	const uint8_t *area = in.at;

	/* 12.2.4 TPMT_PUBLIC */
	expect_u16(&in, ALG_ECC, "not an ECC key");
	enum bank name_hash = bank_from_alg(take_u16(&in));
	if (name_hash == BANK_COUNT || name_hash == BANK_SHA1)
		refuse(&in, TPMS_MALFORMED, "the hash of the key's Name is none of the SHA-2");
	public.attributes = take_u32(&in);
	take_sized(&in, sizeof(policy), policy);
	/* 12.2.3.6 TPMS_ECC_PARMS */
	expect_u16(&in, ALG_NULL, "a signing key with a symmetric algorithm");
	expect_u16(&in, ALG_ECDSA, "the key's scheme is not ECDSA");
	expect_u16(&in, bank_alg(BANK_SHA256), "the key's scheme is not over a sha256");
	expect_u16(&in, ECC_NIST_P256, "the curve is not P-256");
	expect_u16(&in, ALG_NULL, "a signing key with a key derivation scheme");
	/* 11.2.5.2 TPMS_ECC_POINT */
	take_number(&in, public.x);
	take_number(&in, public.y);

	int err = finish(&in, ret_error);
	if (err)
		return err;
	err = compute_name(name_hash, area, area_len, &public);
	if (!err)
		*ret = public;
	return err;
}
