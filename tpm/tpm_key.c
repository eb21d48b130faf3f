/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/context.h"
#include "tpm/tpm.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

/* The unique field is empty. It goes into the key too: another one would make another key. */
static const TPM2B_PUBLIC ak_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
			TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
		.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = {
				.scheme = TPM2_ALG_ECDSA,
				.details.ecdsa.hashAlg = TPM2_ALG_SHA256,
			},
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	},
};

/* What TPM2_ReadPublic says of a key. */
struct public_area {
	TPM2B_PUBLIC *public;
	TPM2B_NAME *name;
	TPM2B_NAME *qualified_name;
};

static void public_area_done(struct public_area *area)
{
	Esys_Free(area->public);
	Esys_Free(area->name);
	Esys_Free(area->qualified_name);
}

static struct tpm_link *ak_link(struct tpm *tpm)
{
	return tpm->ak.link.esys ? &tpm->ak.link : &tpm->main;
}

/* ---- recognising the key -------------------------------------------------------------------- */

bool tpm_key_has_template(const TPM2B_PUBLIC *public, const TPM2B_PUBLIC *template)
{
	uint8_t bytes[2][sizeof(TPM2B_PUBLIC)];
	size_t len[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		TPM2B_PUBLIC without = i ? *template : *public;

		memset(&without.publicArea.unique, 0, sizeof(without.publicArea.unique));
		if (Tss2_MU_TPM2B_PUBLIC_Marshal(&without, bytes[i], sizeof(bytes[i]), &len[i]))
			return false;
	}
	return len[0] == len[1] && memcmp(bytes[0], bytes[1], len[0]) == 0;
}

int tpm_key_is_endorsement(const TPM2B_NAME *name, const TPM2B_NAME *qualified)
{
	static const uint8_t hierarchy[] = { 0x40, 0x00, 0x00, 0x0b }; /* TPM_RH_ENDORSEMENT */
	uint8_t preimage[sizeof(hierarchy) + sizeof(name->name)], expected[BANK_DIGEST_MAX];
	enum bank bank = bank_from_alg((uint16_t)(name->name[0] << 8 | name->name[1]));

	if (bank == BANK_COUNT || name->size != 2 + bank_size(bank) ||
		qualified->size != name->size || memcmp(qualified->name, name->name, 2) != 0)
		return 0;
	memcpy(preimage, hierarchy, sizeof(hierarchy));
	memcpy(preimage + sizeof(hierarchy), name->name, name->size);
	int r = bank_hash(bank, preimage, sizeof(hierarchy) + name->size, expected);
	return r < 0 ? r : memcmp(expected, qualified->name + 2, bank_size(bank)) == 0;
}

/* Keep object as our AK, if that is what it is: else -EEXIST. */
static int ak_adopt(struct tpm *tpm, struct tpm_link *link, ESYS_TR object, bool persistent)
{
	[[gnu::cleanup(public_area_done)]] struct public_area area = { 0 };
	struct ak *ak = &tpm->ak;

	TSS2_RC rc = Esys_ReadPublic(link->esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		&area.public, &area.name, &area.qualified_name);
	if (rc)
		return tpm_fail(tpm, "TPM2_ReadPublic", rc);

	size_t len = 0;
	int r = tpm_key_is_endorsement(area.name, area.qualified_name);
	if (r < 0)
		return tpm_fail_text(tpm, r, "TPM2_ReadPublic: OpenSSL cannot hash");
	if (!r || !tpm_key_has_template(area.public, &ak_template) ||
		Tss2_MU_TPM2B_PUBLIC_Marshal(area.public, ak->public, sizeof(ak->public), &len))
		return -EEXIST;

	memcpy(ak->name, area.name->name, TPM_NAME_LEN);
	ak->public_len = len;
	ak->object = object;
	ak->persistent = persistent;
	return 0;
}

/* ---- finding or making it ------------------------------------------------------------------- */

/* Use the key at a persistent handle. -ENOENT: there is none; -EEXIST: it is not ours. */
static int ak_find(struct tpm *tpm, uint32_t handle)
{
	ESYS_TR object;
	TSS2_RC rc = Esys_TR_FromTPMPublic(
		tpm->main.esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object);
	if (rc)
		return tpm_fail(tpm, "TPM2_ReadPublic", rc);

	int r = ak_adopt(tpm, &tpm->main, object, true);
	if (r == -EEXIST)
		r = tpm_fail_text(tpm, -EEXIST,
			"handle 0x%08x holds a key that is not an attestation key of ours: "
			"evict it or configure another handle",
			handle);
	if (r < 0 && tpm->main.esys)
		Esys_TR_Close(tpm->main.esys, &object);
	return r;
}

/* The AK as a transient object on a connection. */
static int ak_create(struct tpm *tpm, struct tpm_link *link)
{
	static const TPM2B_SENSITIVE_CREATE no_auth;
	static const TPM2B_DATA no_data;
	static const TPML_PCR_SELECTION no_pcrs;
	ESYS_TR object;

	TSS2_RC rc = Esys_CreatePrimary(link->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &ak_template, &no_data, &no_pcrs, &object,
		NULL, NULL, NULL, NULL);
	if (rc)
		return tpm_fail(tpm, "TPM2_CreatePrimary", rc);

	int r = ak_adopt(tpm, link, object, false);
	if (r == -EEXIST)
		r = tpm_fail_text(
			tpm, -EIO, "TPM2_CreatePrimary: made another key than was asked for");
	if (r < 0 && link->esys)
		Esys_FlushContext(link->esys, object);
	return r;
}

static int flush(struct tpm *tpm, ESYS_TR object)
{
	TSS2_RC rc = Esys_FlushContext(tpm->main.esys, object);

	return rc ? tpm_fail(tpm, "TPM2_FlushContext", rc) : 0;
}

/* Make the transient AK the persistent one. An error says by tpm->ak.persistent if it is
 * that now. */
static int ak_store(struct tpm *tpm, uint32_t handle)
{
	ESYS_TR transient = tpm->ak.object;

	TSS2_RC rc = Esys_EvictControl(tpm->main.esys, ESYS_TR_RH_OWNER, transient,
		ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle, &tpm->ak.object);
	if (rc) {
		tpm->ak.object = transient;
		return tpm_fail(tpm, "TPM2_EvictControl", rc);
	}
	tpm->ak.persistent = true;
	return flush(tpm, transient);
}

/* The key could not be stored: move it off the connection that extends, if that frees anything. */
static int ak_keep_transient(struct tpm *tpm)
{
	if (tpm->shared_slots)
		return 0;

	int r = flush(tpm, tpm->ak.object);
	tpm->ak.object = 0;
	if (r == 0)
		r = tpm_link_open(tpm, &tpm->ak.link);
	if (r == 0)
		r = ak_create(tpm, &tpm->ak.link);
	return r;
}

void tpm_ak_close(struct tpm *tpm)
{
	ESYS_TR object = tpm->ak.object;

	if (object && tpm->ak.persistent)
		Esys_TR_Close(tpm->main.esys, &object);
	else if (object)
		Esys_FlushContext(ak_link(tpm)->esys, object);
	tpm_link_close(&tpm->ak.link);
	memset(&tpm->ak, 0, sizeof(tpm->ak));
}

static int ak_open(struct tpm *tpm, uint32_t handle)
{
	tpm_ak_close(tpm);

	int r = ak_find(tpm, handle);
	if (r != -ENOENT)
		return r;

	r = ak_create(tpm, &tpm->main);
	if (r < 0)
		return r;

	r = ak_store(tpm, handle);
	if (!tpm->ak.persistent && (r == -EACCES || r == -ENOSPC || r == -EIO))
		r = ak_keep_transient(tpm);
	return r;
}

int tpm_ak_open(struct tpm *tpm, uint32_t handle)
{
	int r = tpm_check_connected(tpm);
	if (r < 0)
		return r;
	if (handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
		return tpm_fail_text(tpm, -EINVAL, "0x%08x is no persistent handle", handle);

	r = ak_open(tpm, handle);
	if (r == -ENOSPC && tpm_make_room(tpm))
		r = ak_open(tpm, handle);
	if (r < 0)
		tpm_ak_close(tpm);
	return r;
}

bool tpm_ak_is_open(const struct tpm *tpm)
{
	return tpm->ak.object;
}

bool tpm_ak_is_persistent(const struct tpm *tpm)
{
	return tpm->ak.persistent;
}

void tpm_ak_public(const struct tpm *tpm, const uint8_t **ret_bytes, size_t *ret_len)
{
	assert(tpm->ak.object);
	*ret_bytes = tpm->ak.public;
	*ret_len = tpm->ak.public_len;
}

void tpm_ak_name(const struct tpm *tpm, uint8_t ret_name[static TPM_NAME_LEN])
{
	assert(tpm->ak.object);
	memcpy(ret_name, tpm->ak.name, TPM_NAME_LEN);
}

/* ---- quotes --------------------------------------------------------------------------------- */

static int quote(struct tpm *tpm, unsigned pcr, const uint8_t qualifying[static SHA256_LEN],
	TPM2B_ATTEST **ret_attest, TPMT_SIGNATURE **ret_signature)
{
	static const TPMT_SIG_SCHEME scheme_of_the_key = { .scheme = TPM2_ALG_NULL };
	TPM2B_DATA data = { .size = SHA256_LEN };
	TPML_PCR_SELECTION selection;

	memcpy(data.buffer, qualifying, SHA256_LEN);
	tpm_select_pcr(pcr, tpm_banks(tpm, pcr), &selection);
	TSS2_RC rc = Esys_Quote(ak_link(tpm)->esys, tpm->ak.object, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		ESYS_TR_NONE, &data, &scheme_of_the_key, &selection, ret_attest, ret_signature);
	return rc ? tpm_fail(tpm, "TPM2_Quote", rc) : 0;
}

int tpm_quote(struct tpm *tpm, unsigned pcr, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_ATTEST *attest = NULL;
	[[gnu::cleanup(tpm_esys_freep)]] TPMT_SIGNATURE *signature = NULL;
	struct tpm_quote result = { 0 };

	int r = tpm_check_pcr(tpm, pcr);
	if (r < 0)
		return r;
	if (!tpm->ak.object)
		return tpm_fail_text(tpm, -ENOENT, "the attestation key is not open");

	r = quote(tpm, pcr, qualifying, &attest, &signature);
	if (r == -ENOSPC && tpm_make_room(tpm))
		r = quote(tpm, pcr, qualifying, &attest, &signature);
	if (r < 0)
		return r;

	if (attest->size > sizeof(result.attest) ||
		Tss2_MU_TPMT_SIGNATURE_Marshal(signature, result.signature,
			sizeof(result.signature), &result.signature_len))
		return tpm_fail_text(tpm, -EIO, "TPM2_Quote: larger than a P-256 quote can be");
	memcpy(result.attest, attest->attestationData, attest->size);
	result.attest_len = attest->size;
	*ret_quote = result;
	return 0;
}
