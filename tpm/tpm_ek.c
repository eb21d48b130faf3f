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

static const TPM2B_DIGEST policy_b_sha512 = {
	.size = 64,
	.buffer = { 0xb8, 0x22, 0x1c, 0xa6, 0x9e, 0x85, 0x50, 0xa4, 0x91, 0x4d, 0xe3, 0xfa, 0xa6,
		0xa1, 0x8c, 0x07, 0x2c, 0xc0, 0x12, 0x08, 0x07, 0x3a, 0x92, 0x8d, 0x5d, 0x66, 0xd5,
		0x9e, 0xf7, 0x9e, 0x49, 0xa4, 0x29, 0xc4, 0x1a, 0x6b, 0x26, 0x95, 0x71, 0xd5, 0x7e,
		0xdb, 0x25, 0xfb, 0xdb, 0x18, 0x38, 0x42, 0x56, 0x08, 0xb4, 0x13, 0xcd, 0x61, 0x6a,
		0x5f, 0x6d, 0xb5, 0xb6, 0x07, 0x1a, 0xf9, 0x9b, 0xea },
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
	[TPM_EK_ECC521_H4] = { "ecc521-h4", 0x01c00018, &policy_b_sha512, TPM2_ALG_SHA512, 256,
		.curve = TPM2_ECC_NIST_P521 },
	[TPM_EK_RSA3072_H6] = { "rsa3072-h6", 0x01c0001c, &policy_b_sha384, TPM2_ALG_SHA384, 256,
		3072 },
	[TPM_EK_RSA4096_H7] = { "rsa4096-h7", 0x01c0001e, &policy_b_sha384, TPM2_ALG_SHA384, 256,
		4096 },
};

const char *tpm_ek_name(enum tpm_ek_template template)
{
	return templates[template].name;
}

bool tpm_ek_is_low(enum tpm_ek_template template)
{
	return templates[template].policy == &policy_a;
}

/* The unique field of the low range is as many zeros as the key will take there, that of the high
 * range is empty. */
void tpm_ek_fill(enum tpm_ek_template which, TPM2B_PUBLIC *ret_public)
{
	const struct template *template = &templates[which];
	bool is_low = tpm_ek_is_low(which);
	const TPMT_SYM_DEF_OBJECT symmetric = { .algorithm = TPM2_ALG_AES,
		.keyBits.aes = template->aes_bits,
		.mode.aes = TPM2_ALG_CFB };
	TPMT_PUBLIC area = {
		.type = template->rsa_bits ? TPM2_ALG_RSA : TPM2_ALG_ECC,
		.nameAlg = template->name_alg,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
			TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.authPolicy = *template->policy,
	};

	if (!is_low)
		area.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	if (template->rsa_bits) {
		area.parameters.rsaDetail = (TPMS_RSA_PARMS){ .symmetric = symmetric,
			.scheme.scheme = TPM2_ALG_NULL,
			.keyBits = template->rsa_bits };
		area.unique.rsa.size = is_low ? template->rsa_bits / 8 : 0;
	} else {
		area.parameters.eccDetail = (TPMS_ECC_PARMS){ .symmetric = symmetric,
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = template->curve,
			.kdf.scheme = TPM2_ALG_NULL };
		area.unique.ecc.x.size = area.unique.ecc.y.size = is_low ? 32 : 0;
	}
	*ret_public = (TPM2B_PUBLIC){ .publicArea = area };
}

bool tpm_ek_keep_public(struct tpm_ek *ek, const TPM2B_PUBLIC *public)
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

/* Whether the key's modulus, or the x of its point, is in the certificate. */
static bool is_certified(const struct tpm_ek *ek, const TPM2B_PUBLIC *public)
{
	const TPMU_PUBLIC_ID *unique = &public->publicArea.unique;

	return public->publicArea.type == TPM2_ALG_RSA
		? memmem(ek->certificate, ek->certificate_len, unique->rsa.buffer, unique->rsa.size)
		: memmem(ek->certificate, ek->certificate_len, unique->ecc.x.buffer,
			  unique->ecc.x.size);
}

/*
 * If the key at a handle is an EK that was not found yet, keep where it is. One that was made with
 * another unique field than the template's looks the same, but the certificate is not for it.
 */
static int adopt(struct tpm *tpm, uint32_t handle, const TPM2B_PUBLIC *public,
	struct tpm_ek eks[static TPM_EK_COUNT])
{
	TPM2B_PUBLIC template;

	for (struct tpm_ek *ek = eks; ek < eks + TPM_EK_COUNT; ek++) {
		tpm_ek_fill(ek->template, &template);
		if (ek->handle || !tpm_key_has_template(public, &template) ||
			(ek->certificate_len && !is_certified(ek, public)))
			continue;
		if (!tpm_ek_keep_public(ek, public))
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

static int find(struct tpm *tpm, struct tpm_ek ret_eks[static TPM_EK_COUNT])
{
	int r;

	memset(ret_eks, 0, TPM_EK_COUNT * sizeof(*ret_eks));
	for (int i = 0; i < TPM_EK_COUNT; i++)
		ret_eks[i].template = (enum tpm_ek_template)i;
	r = find_certificates(tpm, ret_eks);
	return r < 0 ? r : find_stored(tpm, ret_eks);
}

int tpm_ek_find(struct tpm *tpm, struct tpm_ek ret_eks[static TPM_EK_COUNT])
{
	struct tpm_ek eks[TPM_EK_COUNT];
	int count = 0, r = tpm_check_connected(tpm);

	if (r < 0)
		return r;
	r = find(tpm, eks);
	if (r == -ENOSPC && tpm_make_room(tpm)) /* to look at a stored key takes a slot */
		r = find(tpm, eks);
	if (r < 0)
		return r;
	for (int i = 0; i < TPM_EK_COUNT; i++)
		if (eks[i].certificate_len || eks[i].handle)
			ret_eks[count++] = eks[i];
	return count;
}
