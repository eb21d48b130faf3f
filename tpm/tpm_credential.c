/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/context.h"
#include "tpm/ek.h"

#include <errno.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

/* ---- what is loaded for a call -------------------------------------------------------------- */

/*
 * A connection that nothing is extended on, and what was loaded there. A device gets one of its own:
 * every command on a connection that holds objects costs loads and saves, and when it is closed, by
 * whatever end, the kernel flushes them. A transient AK can be used on its connection only.
 */
struct desk {
	struct tpm *tpm;
	struct tpm_link *link;
	struct tpm_link own;
	ESYS_TR ak; /* 0: not opened here */
	ESYS_TR ek; /* 0: none */
	bool ek_is_stored;
	ESYS_TR hmac, policy; /* sessions; 0: none */
};

static int desk_open(struct tpm *tpm, struct desk *desk)
{
	*desk = (struct desk){ .tpm = tpm, .link = &tpm->main };
	if (tpm->ak.link.esys)
		desk->link = &tpm->ak.link;
	else if (!tpm->shared_slots)
		desk->link = &desk->own;
	return desk->link == &desk->own ? tpm_link_open(tpm, &desk->own) : 0;
}

static int flush(struct desk *desk, ESYS_TR *object)
{
	/* Where the way to the TPM broke, main is closed. */
	if (!*object || !desk->tpm->main.esys)
		return 0;
	TSS2_RC rc = Esys_FlushContext(desk->link->esys, *object);
	*object = 0;
	return rc ? tpm_fail(desk->tpm, "TPM2_FlushContext", rc) : 0;
}

static void release(struct desk *desk, ESYS_TR *object)
{
	if (*object && desk->tpm->main.esys)
		Esys_TR_Close(desk->link->esys, object);
	*object = 0;
}

/* To be called however the call went, with its result. Returns that, or the error of its own. */
static int desk_close(struct desk *desk, int result)
{
	ESYS_TR *const loaded[] = { &desk->policy, &desk->hmac, &desk->ek };

	if (desk->ek_is_stored)
		release(desk, &desk->ek);
	release(desk, &desk->ak);
	for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++) {
		int r = flush(desk, loaded[i]);
		if (r < 0 && r != -ENODEV)
			tpm_make_room(desk->tpm);
		if (result >= 0 && r < 0)
			result = r;
	}
	tpm_link_close(&desk->own);
	return result;
}

/* ---- making it ------------------------------------------------------------------------------ */

static int create(struct desk *desk, struct tpm_ek *ek)
{
	static const TPM2B_SENSITIVE_CREATE no_auth;
	static const TPM2B_DATA no_data;
	static const TPML_PCR_SELECTION no_pcrs;
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template;

	tpm_ek_fill(ek->template, &template);
	TSS2_RC rc = Esys_CreatePrimary(desk->link->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &template, &no_data, &no_pcrs, &desk->ek,
		&public, NULL, NULL, NULL);
	if (rc) {
		desk->ek = 0;
		return tpm_fail(desk->tpm, "TPM2_CreatePrimary", rc);
	}
	if (!tpm_key_has_template(public, &template) || !tpm_ek_keep_public(ek, public))
		return tpm_fail_text(
			desk->tpm, -EIO, "TPM2_CreatePrimary: made another key than was asked for");
	return 0;
}

static int make(struct tpm *tpm, struct tpm_ek *ek)
{
	struct desk desk;
	int r = desk_open(tpm, &desk);

	if (r == 0)
		r = create(&desk, ek);
	return desk_close(&desk, r);
}

int tpm_ek_make(struct tpm *tpm, struct tpm_ek *ek)
{
	struct tpm_ek made = { .template = ek->template };
	int r = tpm_check_connected(tpm);

	if (r < 0)
		return r;
	r = make(tpm, &made);
	if (r == -ENOSPC && tpm_make_room(tpm))
		r = make(tpm, &made);
	if (r < 0)
		return r;
	ek->public_len = made.public_len;
	memcpy(ek->public, made.public, sizeof(ek->public));
	return 0;
}

/* ---- a credential --------------------------------------------------------------------------- */

static bool is_same_public(const struct tpm_ek *a, const struct tpm_ek *b)
{
	return a->public_len == b->public_len && memcmp(a->public, b->public, a->public_len) == 0;
}

/* The EK at its handle, if it is there and the same. Returns 1 or 0, or an error. */
static int load_stored(struct desk *desk, const struct tpm_ek *ek)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_PUBLIC *public = NULL;
	struct tpm_ek found = { 0 };

	TSS2_RC rc = Esys_TR_FromTPMPublic(
		desk->link->esys, ek->handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &desk->ek);
	if (!rc) {
		desk->ek_is_stored = true;
		rc = Esys_ReadPublic(desk->link->esys, desk->ek, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, &public, NULL, NULL);
	}
	int r = rc ? tpm_fail(desk->tpm, "TPM2_ReadPublic", rc) : 0;
	if (r == 0 && tpm_ek_keep_public(&found, public) && is_same_public(&found, ek))
		return 1;
	release(desk, &desk->ek);
	desk->ek_is_stored = false;
	return r == -ENOENT ? 0 : r;
}

/*
 * The session is salted with what is loaded: it has to be the key that the certificate is of, or
 * somebody on the way to the TPM could read along.
 */
static int load_ek(struct desk *desk, const struct tpm_ek *ek)
{
	struct tpm_ek made = { .template = ek->template };
	int r = ek->handle ? load_stored(desk, ek) : 0;

	if (r != 0)
		return r < 0 ? r : 0;
	r = create(desk, &made);
	if (r == 0 && !is_same_public(&made, ek))
		r = tpm_fail_text(desk->tpm, -ENOKEY, "the TPM has another %s endorsement key now",
			tpm_ek_name(ek->template));
	return r;
}

static int load_ak(struct desk *desk, ESYS_TR *ret_ak)
{
	struct tpm *tpm = desk->tpm;
	TPM2_HANDLE handle;

	*ret_ak = tpm->ak.object;
	if (desk->link != &desk->own)
		return 0;
	TSS2_RC rc = Esys_TR_GetTpmHandle(tpm->main.esys, tpm->ak.object, &handle);
	if (!rc)
		rc = Esys_TR_FromTPMPublic(desk->link->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, &desk->ak);
	*ret_ak = desk->ak;
	return rc ? tpm_fail(tpm, "TPM2_ReadPublic", rc) : 0;
}

static int start_hmac(struct desk *desk)
{
	static const TPMT_SYM_DEF aes = {
		.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB
	};
	const TPMA_SESSION attributes = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT;

	TSS2_RC rc = Esys_StartAuthSession(desk->link->esys, desk->ek, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &desk->hmac);
	if (rc)
		desk->hmac = 0;
	else
		rc = Esys_TRSess_SetAttributes(desk->link->esys, desk->hmac, attributes, 0xff);
	return rc ? tpm_fail(desk->tpm, "TPM2_StartAuthSession", rc) : 0;
}

/* Policy A: whoever has the endorsement hierarchy's authorization value, which is empty. */
static int start_policy(struct desk *desk)
{
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };

	TSS2_RC rc = Esys_StartAuthSession(desk->link->esys, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none,
		TPM2_ALG_SHA256, &desk->policy);
	if (rc) {
		desk->policy = 0;
		return tpm_fail(desk->tpm, "TPM2_StartAuthSession", rc);
	}
	rc = Esys_PolicySecret(desk->link->esys, ESYS_TR_RH_ENDORSEMENT, desk->policy,
		ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	return rc ? tpm_fail(desk->tpm, "TPM2_PolicySecret", rc) : 0;
}

/*
 * What TPM2_ActivateCredential says of a parameter it says of the credential: both are its. libtpms
 * answers an RSA secret that it cannot decrypt with TPM_RC_FAILURE, and is well: in failure mode no
 * other command would be answered.
 */
static bool is_of_the_credential(struct tpm *tpm, TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK, code = rc & ~TSS2_RC_LAYER_MASK;
	struct tpm_clock clock;

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return false;
	return (code & TPM2_RC_FMT1 && code & TPM2_RC_P) ||
		(code == TPM2_RC_FAILURE && tpm_clock_read(tpm, &clock) == 0);
}

struct credential {
	TPM2B_ID_OBJECT object;
	TPM2B_ENCRYPTED_SECRET secret;
};

static int decrypt(struct desk *desk, ESYS_TR ak, const struct credential *credential,
	uint8_t ret_secret[static TPM_EK_SECRET_MAX])
{
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_DIGEST *secret = NULL;
	TSS2_RC rc = Esys_ActivateCredential(desk->link->esys, ak, desk->ek, desk->hmac,
		desk->policy ? desk->policy : ESYS_TR_PASSWORD, ESYS_TR_NONE, &credential->object,
		&credential->secret, &secret);

	if (rc && is_of_the_credential(desk->tpm, rc))
		return tpm_fail_text(desk->tpm, -EBADMSG,
			"TPM2_ActivateCredential: the credential is not for these keys, or damaged (0x%x)",
			rc);
	if (rc)
		return tpm_fail(desk->tpm, "TPM2_ActivateCredential", rc);
	int len = secret->size;
	memcpy(ret_secret, secret->buffer, secret->size);
	explicit_bzero(secret, sizeof(*secret));
	return len;
}

static int activate(struct tpm *tpm, const struct tpm_ek *ek, const struct credential *credential,
	uint8_t ret_secret[static TPM_EK_SECRET_MAX])
{
	struct desk desk;
	ESYS_TR ak;
	int r = desk_open(tpm, &desk);

	if (r == 0)
		r = load_ak(&desk, &ak);
	if (r == 0)
		r = load_ek(&desk, ek);
	if (r == 0)
		r = start_hmac(&desk);
	if (r == 0 && tpm_ek_is_low(ek->template))
		r = start_policy(&desk);
	if (r == 0)
		r = decrypt(&desk, ak, credential, ret_secret);
	return desk_close(&desk, r);
}

int tpm_ek_activate(struct tpm *tpm, const struct tpm_ek *ek, const uint8_t *credential,
	size_t credential_len, const uint8_t *secret, size_t secret_len,
	uint8_t ret_secret[static TPM_EK_SECRET_MAX])
{
	struct credential decoded = { 0 };
	uint8_t bytes[TPM_EK_SECRET_MAX];
	size_t credential_at = 0, secret_at = 0;

	int r = tpm_check_connected(tpm);
	if (r < 0)
		return r;
	if (!tpm->ak.object)
		return tpm_fail_text(tpm, -ENOENT, "the attestation key is not open");
	if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(
		    credential, credential_len, &credential_at, &decoded.object) ||
		Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(
			secret, secret_len, &secret_at, &decoded.secret) ||
		credential_at != credential_len || secret_at != secret_len)
		return tpm_fail_text(tpm, -EBADMSG, "the credential is malformed");

	r = activate(tpm, ek, &decoded, bytes);
	if (r == -ENOSPC && tpm_make_room(tpm))
		r = activate(tpm, ek, &decoded, bytes);
	if (r >= 0)
		memcpy(ret_secret, bytes, (size_t)r);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}
