/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/context.h"
#include "tpm/ek.h"

#include <errno.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

enum {
	STORED_FIRST = 0x81010000, /* TCG TPM v2.0 Provisioning Guidance, 7.8 */
	STORED_LAST = 0x8101ffff,
	CERTIFICATE_FIRST = 0x01c00002,
	NV_CHUNK = 512, /* bytes that every TPM hands out at once */
};

/* ---- templates ------------------------------------------------------------------------------ */

/* Policy A: TPM2_PolicySecret(endorsement). Policy B: that, or TPM2_PolicyAuthorizeNV. */
static const TPM2B_DIGEST policy_a = {
	.size = 32,
	.buffer = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46,
		0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda,
		0x1b, 0x33, 0x14, 0x69, 0xaa },
};
static const TPM2B_DIGEST policy_b_sha256 = {
	.size = 32,
	.buffer = { 0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14,
		0xef, 0xcf, 0xb3, 0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b,
		0x50, 0x71, 0xc0, 0xb7, 0xa0 },
};
static const TPM2B_DIGEST policy_b_sha384 = {
	.size = 48,
	.buffer = { 0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5,
		0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a,
		0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f,
		0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12 },
};

/* A key that is protected by n bits takes a hash and a symmetric key to match. */
static const struct template
{
	const char *name;
	uint32_t certificate; /* NV index */
	const TPM2B_DIGEST *policy;
	TPMI_ALG_HASH name_alg;
	TPMI_AES_KEY_BITS aes_bits;
	TPMI_RSA_KEY_BITS rsa_bits; /* 0: of a curve */
	TPMI_ECC_CURVE curve;
}
templates[TPM_EK_COUNT] = {
	[TPM_EK_RSA2048_L1] = { "rsa2048-l1", 0x01c00002, &policy_a, TPM2_ALG_SHA256, 128, 2048 },
	[TPM_EK_ECC256_L2] = { "ecc256-l2", 0x01c0000a, &policy_a, TPM2_ALG_SHA256, 128,
		.curve = TPM2_ECC_NIST_P256 },
	[TPM_EK_RSA2048_H1] = { "rsa2048-h1", 0x01c00012, &policy_b_sha256, TPM2_ALG_SHA256, 128,
		2048 },
	[TPM_EK_ECC256_H2] = { "ecc256-h2", 0x01c00014, &policy_b_sha256, TPM2_ALG_SHA256, 128,
		.curve = TPM2_ECC_NIST_P256 },
	[TPM_EK_ECC384_H3] = { "ecc384-h3", 0x01c00016, &policy_b_sha384, TPM2_ALG_SHA384, 256,
		.curve = TPM2_ECC_NIST_P384 },
	[TPM_EK_RSA3072_H6] = { "rsa3072-h6", 0x01c0001c, &policy_b_sha384, TPM2_ALG_SHA384, 256,
		3072 },
};

const char *tpm_ek_name(enum tpm_ek_template template)
{
	return templates[template].name;
}

static bool is_low(const struct template *template)
{
	return template->policy == &policy_a;
}

/* The unique field of the low range is as many zeros as the key will take there, that of the high
 * range is empty. */
static void fill(const struct template *template, TPM2B_PUBLIC *ret_public)
{
	const TPMT_SYM_DEF_OBJECT symmetric = { .algorithm = TPM2_ALG_AES,
		.keyBits.aes = template->aes_bits,
		.mode.aes = TPM2_ALG_CFB };
	TPMT_PUBLIC public = {
		.type = template->rsa_bits ? TPM2_ALG_RSA : TPM2_ALG_ECC,
		.nameAlg = template->name_alg,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
			TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.authPolicy = *template->policy,
	};

	if (!is_low(template))
	public.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	if (template->rsa_bits) {
		public.parameters.rsaDetail = (TPMS_RSA_PARMS){ .symmetric = symmetric,
			.scheme.scheme = TPM2_ALG_NULL,
			.keyBits = template->rsa_bits };
		public.unique.rsa.size = is_low(template) ? template->rsa_bits / 8 : 0;
	} else {
		public.parameters.eccDetail = (TPMS_ECC_PARMS){ .symmetric = symmetric,
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = template->curve,
			.kdf.scheme = TPM2_ALG_NULL };
		public.unique.ecc.x.size = public.unique.ecc.y.size = is_low(template) ? 32 : 0;
	}
	*ret_public = (TPM2B_PUBLIC){ .publicArea = public };
}

static bool keep_public(struct tpm_ek *ek, const TPM2B_PUBLIC *public)
{
	size_t len = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(public, ek->public, sizeof(ek->public), &len))
		return false;
	ek->public_len = len;
	return true;
}

/* ---- certificates --------------------------------------------------------------------------- */

/*
 * The length of the DER SEQUENCE that bytes begin with, 0 where they do not.
 *
 * X.690, 8.1.3 and 10.1: lengths in as few bytes as can be.
 */
static size_t der_len(const uint8_t *bytes, size_t len)
{
	size_t whole = 0;

	if (len > 4 && bytes[0] == 0x30 && bytes[1] < 0x80)
		whole = 2 + (size_t)bytes[1];
	else if (len > 4 && bytes[0] == 0x30 && bytes[1] == 0x81 && bytes[2] >= 0x80)
		whole = 3 + (size_t)bytes[2];
	else if (len > 4 && bytes[0] == 0x30 && bytes[1] == 0x82 && bytes[2])
		whole = 4 + ((size_t)bytes[2] << 8 | bytes[3]);
	return whole <= len ? whole : 0;
}

static int nv_read(struct tpm *tpm, ESYS_TR index, ESYS_TR auth, size_t len, uint8_t *ret_bytes)
{
	for (size_t at = 0; at < len;) {
		[[gnu::cleanup(tpm_esys_freep)]] TPM2B_MAX_NV_BUFFER *part = NULL;
		size_t want = len - at < NV_CHUNK ? len - at : NV_CHUNK;

		TSS2_RC rc = Esys_NV_Read(tpm->main.esys, auth, index, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, (UINT16)want, (UINT16)at, &part);
		if (rc)
			return tpm_fail(tpm, "TPM2_NV_Read", rc);
		if (part->size != want)
			return tpm_fail_text(
				tpm, -EIO, "TPM2_NV_Read: gave less than was asked for");
		memcpy(ret_bytes + at, part->buffer, want);
		at += want;
	}
	return 0;
}

static int read_certificate_at(struct tpm *tpm, ESYS_TR index, struct tpm_ek *ek)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_NV_PUBLIC *public = NULL;
	TSS2_RC rc = Esys_NV_ReadPublic(
		tpm->main.esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
	if (rc)
		return tpm_fail(tpm, "TPM2_NV_ReadPublic", rc);

	size_t len = public->nvPublic.dataSize;
	/* Its own authorization is empty; the owner's may be set, but is the only one some take. */
	ESYS_TR auth = public->nvPublic.attributes & TPMA_NV_AUTHREAD ? index : ESYS_TR_RH_OWNER;
	if (len > sizeof(ek->certificate))
		return tpm_fail_text(tpm, -EIO, "NV index 0x%08x: too large for a certificate",
			templates[ek->template].certificate);
	int r = nv_read(tpm, index, auth, len, ek->certificate);
	if (r == 0)
		ek->certificate_len = der_len(ek->certificate, len);
	return r;
}

static int read_certificate(struct tpm *tpm, struct tpm_ek *ek)
{
	ESYS_TR index;
	TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->main.esys, templates[ek->template].certificate,
		ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index);
	if (rc)
		return tpm_fail(tpm, "TPM2_NV_ReadPublic", rc);

	int r = read_certificate_at(tpm, index, ek);
	if (tpm->main.esys)
		Esys_TR_Close(tpm->main.esys, &index);
	return r;
}

/* ---- what there is -------------------------------------------------------------------------- */

/* An error that is about one key or index, not about the TPM: others may do. */
static bool is_refusal(int error)
{
	return error == -EIO || error == -EACCES || error == -ENOENT || error == -EPERM;
}

static int find_certificates(struct tpm *tpm, struct tpm_ek eks[static TPM_EK_COUNT])
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_CAPABILITY_DATA *data = NULL;
	int r = tpm_capability(
		tpm, TPM2_CAP_HANDLES, CERTIFICATE_FIRST, TPM2_MAX_CAP_HANDLES, &data);

	for (uint32_t i = 0; r == 0 && i < data->data.handles.count; i++)
		for (struct tpm_ek *ek = eks; r == 0 && ek < eks + TPM_EK_COUNT; ek++)
			if (templates[ek->template].certificate == data->data.handles.handle[i]) {
				r = read_certificate(tpm, ek);
				if (is_refusal(r))
					r = 0;
			}
	return r;
}

/* If the key at a handle is an EK that was not found yet, keep where it is. */
static int adopt(struct tpm *tpm, uint32_t handle, const TPM2B_PUBLIC *public,
	struct tpm_ek eks[static TPM_EK_COUNT])
{
	TPM2B_PUBLIC template;

	for (struct tpm_ek *ek = eks; ek < eks + TPM_EK_COUNT; ek++) {
		fill(&templates[ek->template], &template);
		if (ek->handle || !tpm_key_has_template(public, &template))
			continue;
		if (!keep_public(ek, public))
			return tpm_fail_text(tpm, -EIO, "0x%08x: too large for an EK", handle);
		ek->handle = handle;
	}
	return 0;
}

static int find_stored_at(struct tpm *tpm, uint32_t handle, struct tpm_ek eks[static TPM_EK_COUNT])
{
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_PUBLIC *public = NULL;
	[[gnu::cleanup(tpm_esys_freep)]] TPM2B_NAME *name = NULL, *qualified = NULL;
	ESYS_TR object;
	TSS2_RC rc = Esys_TR_FromTPMPublic(
		tpm->main.esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object);

	if (!rc) {
		rc = Esys_ReadPublic(tpm->main.esys, object, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, &public, &name, &qualified);
		Esys_TR_Close(tpm->main.esys, &object);
	}
	if (rc)
		return tpm_fail(tpm, "TPM2_ReadPublic", rc);

	int r = tpm_key_is_endorsement(name, qualified);
	if (r < 0)
		return tpm_fail_text(tpm, r, "TPM2_ReadPublic: OpenSSL cannot hash");
	return r ? adopt(tpm, handle, public, eks) : 0;
}

static int find_stored(struct tpm *tpm, struct tpm_ek eks[static TPM_EK_COUNT])
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_CAPABILITY_DATA *data = NULL;
	int r = tpm_capability(tpm, TPM2_CAP_HANDLES, STORED_FIRST, TPM2_MAX_CAP_HANDLES, &data);

	for (uint32_t i = 0; r == 0 && i < data->data.handles.count; i++)
		if (data->data.handles.handle[i] <= STORED_LAST) {
			r = find_stored_at(tpm, data->data.handles.handle[i], eks);
			if (is_refusal(r))
				r = 0;
		}
	return r;
}

int tpm_ek_find(struct tpm *tpm, struct tpm_ek ret_eks[static TPM_EK_COUNT])
{
	struct tpm_ek eks[TPM_EK_COUNT] = { 0 };
	int count = 0;

	int r = tpm_check_connected(tpm);
	for (int i = 0; i < TPM_EK_COUNT; i++)
		eks[i].template = (enum tpm_ek_template)i;
	if (r == 0)
		r = find_certificates(tpm, eks);
	if (r == 0)
		r = find_stored(tpm, eks);
	if (r < 0)
		return r;
	for (int i = 0; i < TPM_EK_COUNT; i++)
		if (eks[i].certificate_len || eks[i].handle)
			ret_eks[count++] = eks[i];
	return count;
}

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

	fill(&templates[ek->template], &template);
	TSS2_RC rc = Esys_CreatePrimary(desk->link->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &template, &no_data, &no_pcrs, &desk->ek,
		&public, NULL, NULL, NULL);
	if (rc) {
		desk->ek = 0;
		return tpm_fail(desk->tpm, "TPM2_CreatePrimary", rc);
	}
	if (!tpm_key_has_template(public, &template) || !keep_public(ek, public))
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
	if (r == 0 && keep_public(&found, public) && is_same_public(&found, ek))
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

/* What is said of a parameter of TPM2_ActivateCredential is said of the credential: both are its. */
static bool is_of_a_parameter(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	return (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER) &&
		rc & TPM2_RC_FMT1 && rc & TPM2_RC_P;
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

	if (rc && is_of_a_parameter(rc)) {
		tpm_fail(desk->tpm, "TPM2_ActivateCredential", rc);
		return -EBADMSG;
	}
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
	if (r == 0 && is_low(&templates[ek->template]))
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
