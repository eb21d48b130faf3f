/* SPDX-License-Identifier: BSD-2-Clause */
/* The TPM's structures as the verifier reads them; libtss2-mu is the oracle. */
#include "attest_expect.h"

#include <errno.h>
#include <time.h>

#include <openssl/pem.h>
#include <tss2/tss2_mu.h>

/* ---- against the oracle ---- */

enum { ROUNDS = 3000 };

static uint32_t random_below(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

static uint16_t random_bytes(void *bytes, uint32_t max)
{
	uint32_t len = random_below(max + 1);

	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)bytes)[i] = (uint8_t)random();
	return (uint16_t)len;
}

static TPMS_ATTEST random_attest(void)
{
	TPMS_ATTEST attest = {
		.magic = TPM2_GENERATED_VALUE,
		.type = TPM2_ST_ATTEST_QUOTE,
		.clockInfo = {
			.clock = (uint64_t)random() << 32 | (uint64_t)random(),
			.resetCount = (uint32_t)random(),
			.restartCount = (uint32_t)random(),
			.safe = (TPMI_YES_NO)random_below(2),
		},
		.firmwareVersion = (uint64_t)random() << 32 | (uint64_t)random(),
	};
	TPML_PCR_SELECTION *selection = &attest.attested.quote.pcrSelect;
	TPM2B_DIGEST *digest = &attest.attested.quote.pcrDigest;

	attest.qualifiedSigner.size = random_bytes(attest.qualifiedSigner.name, TPMS_NAME_MAX);
	attest.extraData.size = random_bytes(attest.extraData.buffer, 64);
	selection->count = random_below(TPMS_SELECTIONS_MAX + 1);
	for (uint32_t i = 0; i < selection->count; i++) {
		TPMS_PCR_SELECTION *bank = &selection->pcrSelections[i];
		bank->hash = (TPMI_ALG_HASH)(i + 1 + random_below(2) * 100);
		bank->sizeofSelect = (UINT8)random_bytes(bank->pcrSelect, TPM2_PCR_SELECT_MAX);
	}
	digest->size = random_bytes(digest->buffer, 64);
	return attest;
}

static void assert_attest(const struct tpms_attest *ours, const TPMS_ATTEST *theirs)
{
	const TPML_PCR_SELECTION *selection = &theirs->attested.quote.pcrSelect;
	const TPM2B_DIGEST *digest = &theirs->attested.quote.pcrDigest;

	assert_int_equal(ours->signer_len, theirs->qualifiedSigner.size);
	assert_memory_equal(ours->signer, theirs->qualifiedSigner.name, ours->signer_len);
	assert_int_equal(ours->extra_len, theirs->extraData.size);
	assert_memory_equal(ours->extra, theirs->extraData.buffer, ours->extra_len);
	assert_true(ours->clock_ms == theirs->clockInfo.clock);
	assert_true(ours->reset_count == theirs->clockInfo.resetCount);
	assert_true(ours->restart_count == theirs->clockInfo.restartCount);
	assert_int_equal(ours->safe, theirs->clockInfo.safe);
	assert_true(ours->firmware == theirs->firmwareVersion);
	assert_int_equal(ours->selection_count, selection->count);
	for (size_t i = 0; i < ours->selection_count; i++) {
		const TPMS_PCR_SELECTION *bank = &selection->pcrSelections[i];
		uint32_t pcrs = 0;
		for (unsigned n = 0; n < bank->sizeofSelect; n++)
			pcrs |= (uint32_t)bank->pcrSelect[n] << 8 * n;
		assert_int_equal(ours->selections[i].alg, bank->hash);
		assert_true(ours->selections[i].pcrs == pcrs);
	}
	assert_int_equal(ours->pcr_digest_len, digest->size);
	assert_memory_equal(ours->pcr_digest, digest->buffer, ours->pcr_digest_len);
}

static void quotes_are_read_as_the_oracle_wrote_them(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		TPMS_ATTEST theirs = random_attest();
		struct tpms_attest ours;
		struct tpms_error error;
		uint8_t bytes[1024];
		size_t len = 0;
		TSS2_RC rc = Tss2_MU_TPMS_ATTEST_Marshal(&theirs, bytes, sizeof(bytes), &len);

		assert_int_equal(rc, TSS2_RC_SUCCESS);
		assert_int_equal(tpms_attest_decode(bytes, len, &ours, &error), 0);
		assert_attest(&ours, &theirs);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(tpms_attest_decode(bytes, cut, &ours, &error), -EBADMSG);
		assert_int_equal(tpms_attest_decode(bytes, len + 1, &ours, &error), -EBADMSG);
	}
}

/* What we accept, the oracle accepts, and understands as we do. */
static void changed_quotes_are_read_as_the_oracle_reads_them(void **state)
{
	int accepted = 0;

	(void)state;
	for (int round = 0; round < 20 * ROUNDS; round++) {
		TPMS_ATTEST theirs = random_attest();
		struct tpms_attest ours;
		struct tpms_error error;
		uint8_t bytes[1024];
		size_t len = 0, at = 0;
		TSS2_RC rc = Tss2_MU_TPMS_ATTEST_Marshal(&theirs, bytes, sizeof(bytes), &len);

		assert_int_equal(rc, TSS2_RC_SUCCESS);
		bytes[random_below((uint32_t)len)] = (uint8_t)random();
		if (tpms_attest_decode(bytes, len, &ours, &error))
			continue;
		accepted++;
		memset(&theirs, 0, sizeof(theirs));
		rc = Tss2_MU_TPMS_ATTEST_Unmarshal(bytes, len, &at, &theirs);
		assert_int_equal(rc, TSS2_RC_SUCCESS);
		assert_int_equal(at, len);
		assert_attest(&ours, &theirs);
	}
	assert_true(accepted > ROUNDS);
}

static void signatures_are_read_as_the_oracle_wrote_them(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		TPMT_SIGNATURE theirs = { .sigAlg = TPM2_ALG_ECDSA };
		TPMS_SIGNATURE_ECC *ecdsa = &theirs.signature.ecdsa;
		struct tpms_signature ours;
		struct tpms_error error;
		uint8_t bytes[256], zero[TPMS_ECC_LEN] = { 0 };
		size_t len = 0;

		ecdsa->hash = TPM2_ALG_SHA256;
		ecdsa->signatureR.size = random_bytes(ecdsa->signatureR.buffer, TPMS_ECC_LEN);
		ecdsa->signatureS.size = random_bytes(ecdsa->signatureS.buffer, TPMS_ECC_LEN);
		TSS2_RC rc = Tss2_MU_TPMT_SIGNATURE_Marshal(&theirs, bytes, sizeof(bytes), &len);
		assert_int_equal(rc, TSS2_RC_SUCCESS);
		assert_int_equal(tpms_signature_decode(bytes, len, &ours, &error), 0);
		size_t pad = TPMS_ECC_LEN - ecdsa->signatureR.size;
		assert_memory_equal(ours.r, zero, pad);
		assert_memory_equal(ours.r + pad, ecdsa->signatureR.buffer, ecdsa->signatureR.size);
		pad = TPMS_ECC_LEN - ecdsa->signatureS.size;
		assert_memory_equal(ours.s, zero, pad);
		assert_memory_equal(ours.s + pad, ecdsa->signatureS.buffer, ecdsa->signatureS.size);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(
				tpms_signature_decode(bytes, cut, &ours, &error), -EBADMSG);
		assert_int_equal(tpms_signature_decode(bytes, len + 1, &ours, &error), -EBADMSG);
	}
}

static TPM2B_PUBLIC random_public(void)
{
	TPM2B_PUBLIC public = {
		.publicArea = {
			.type = TPM2_ALG_ECC,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = (TPMA_OBJECT)random(),
			.parameters.eccDetail = {
				.symmetric.algorithm = TPM2_ALG_NULL,
				.scheme.scheme = TPM2_ALG_ECDSA,
				.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256,
				.curveID = TPM2_ECC_NIST_P256,
				.kdf.scheme = TPM2_ALG_NULL,
			},
		},
	};
	TPMS_ECC_POINT *point = &public.publicArea.unique.ecc;

	public.publicArea.authPolicy.size = random_bytes(public.publicArea.authPolicy.buffer, 64);
	point->x.size = random_bytes(point->x.buffer, TPMS_ECC_LEN);
	point->y.size = random_bytes(point->y.buffer, TPMS_ECC_LEN);
	return public;
}

static void keys_are_read_as_the_oracle_wrote_them(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		TPM2B_PUBLIC theirs = random_public();
		const TPMS_ECC_POINT *point = &theirs.publicArea.unique.ecc;
		struct tpms_public ours;
		struct tpms_error error;
		uint8_t bytes[512];
		size_t len = 0;
		TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(&theirs, bytes, sizeof(bytes), &len);

		assert_int_equal(rc, TSS2_RC_SUCCESS);
		assert_int_equal(tpms_public_decode(bytes, len, &ours, &error), 0);
		assert_true(ours.attributes == theirs.publicArea.objectAttributes);
		assert_memory_equal(
			ours.x + TPMS_ECC_LEN - point->x.size, point->x.buffer, point->x.size);
		assert_memory_equal(
			ours.y + TPMS_ECC_LEN - point->y.size, point->y.buffer, point->y.size);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(tpms_public_decode(bytes, cut, &ours, &error), -EBADMSG);
		assert_int_equal(tpms_public_decode(bytes, len + 1, &ours, &error), -EBADMSG);
	}
}

/* ---- what only we refuse ---- */

static void other_kinds_of_key_are_refused(void **state)
{
	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		TPM2B_PUBLIC theirs = random_public();
		TPMS_ECC_PARMS *parms = &theirs.publicArea.parameters.eccDetail;
		struct tpms_public ours;
		struct tpms_error error;
		uint8_t bytes[512];
		size_t len = 0;

		if (kind == 0)
			theirs.publicArea.nameAlg = TPM2_ALG_SHA1;
		if (kind == 1)
			parms->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA1;
		if (kind == 2)
			parms->curveID = TPM2_ECC_NIST_P384;
		if (kind == 3)
			parms->scheme.scheme = TPM2_ALG_ECSCHNORR;
		if (kind == 4)
			parms->scheme.scheme = TPM2_ALG_NULL;
		TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(&theirs, bytes, sizeof(bytes), &len);
		assert_int_equal(rc, TSS2_RC_SUCCESS);
		assert_int_equal(tpms_public_decode(bytes, len, &ours, &error), -EBADMSG);
	}
}

static void a_flood_of_selections_costs_nothing(void **state)
{
	static uint8_t bytes[20 * 1024];
	const struct forge *forge = *state;
	size_t at = 4 + 2 + 2 + 34 + 2 + 32 + 17 + 8; /* of the count of selections */
	struct tpms_attest attest;
	struct tpms_error error;
	struct timespec before, after;

	memcpy(bytes, forge->statement.quote, at);
	size_t count = (sizeof(bytes) - at - 4) / 6;
	for (size_t i = 0; i < 4; i++)
		bytes[at + i] = (uint8_t)(count >> (24 - 8 * i));
	for (size_t i = at + 4; i + 6 <= sizeof(bytes); i += 6)
		memcpy(bytes + i, "\x00\x0b\x03\x00\x20\x00", 6);

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			tpms_attest_decode(bytes, sizeof(bytes), &attest, &error), -EBADMSG);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	assert_true(after.tv_sec - before.tv_sec <= 1); /* a thousand times; 1 ms each is a lot */

	memset(bytes + at, 0, 3);
	bytes[at + 3] = 2; /* and one duplicate is one too many */
	assert_int_equal(tpms_attest_decode(bytes, sizeof(bytes), &attest, &error), -EBADMSG);
	assert_string_equal(error.what, "a bank is selected twice");
}

/* ---- the key ---- */

static void a_key_is_the_same_from_pem_and_from_the_tpm(void **state)
{
	const struct forge *forge = *state;
	const struct evidence_statement *statement = &forge->statement;
	struct ak ak, pem;
	char error[AK_ERROR_MAX];
	uint8_t spki[AK_SPKI_LEN], *der = NULL;
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(ak_decode(statement->ak, statement->ak_len, &ak, error), 0);
	assert_true(ak.has_name);
	assert_memory_equal(ak.public.name, forge->public.name, forge->public.name_len);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, forge->key), 1);
	long len = BIO_get_mem_data(bio, &text);
	assert_int_equal(ak_decode((const uint8_t *)text, (size_t)len, &pem, error), 0);
	assert_false(pem.has_name);
	assert_true(ak_is_same_key(&ak.public, &pem.public));
	BIO_free(bio);

	ak_spki(&ak.public, spki);
	assert_int_equal(i2d_PUBKEY(forge->key, &der), AK_SPKI_LEN);
	assert_memory_equal(spki, der, AK_SPKI_LEN);
	OPENSSL_free(der);
}

static void what_is_no_p256_key_is_refused(void **state)
{
	struct forge *forge = *state;
	struct evidence_statement *statement = &forge->statement;
	static const char pem[] = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
	EVP_PKEY *other = EVP_EC_gen("P-384");
	BIO *bio = BIO_new(BIO_s_mem());
	struct ak ak;
	char error[AK_ERROR_MAX];
	char *text = NULL;

	assert_int_equal(ak_decode((const uint8_t *)"", 0, &ak, error), -EBADMSG);
	assert_int_equal(ak_decode((const uint8_t *)pem, sizeof(pem) - 1, &ak, error), -EBADMSG);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, other), 1);
	long len = BIO_get_mem_data(bio, &text);
	assert_int_equal(ak_decode((const uint8_t *)text, (size_t)len, &ak, error), -EBADMSG);
	BIO_free(bio);
	EVP_PKEY_free(other);

	statement->ak[statement->ak_len - 1] ^= 1; /* off the curve */
	assert_int_equal(ak_decode(statement->ak, statement->ak_len, &ak, error), -EBADMSG);
	assert_non_null(strstr(error, "curve"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_are_read_as_the_oracle_wrote_them),
		cmocka_unit_test(changed_quotes_are_read_as_the_oracle_reads_them),
		cmocka_unit_test(signatures_are_read_as_the_oracle_wrote_them),
		cmocka_unit_test(keys_are_read_as_the_oracle_wrote_them),
		cmocka_unit_test(other_kinds_of_key_are_refused),
		TEST(a_flood_of_selections_costs_nothing),
		TEST(a_key_is_the_same_from_pem_and_from_the_tpm),
		TEST(what_is_no_p256_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
