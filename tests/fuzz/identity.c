/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an agent says of its machine: the identity, the public area of an EK (with libtss2-mu as the
 * oracle: what we accept, it accepts), a certificate, and the files that an operator pins.
 *
 * Input: one byte that chooses, then the bytes.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <tss2/tss2_mu.h>

#include "attest/credential.h"
#include "attest/ek.h"
#include "attest/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* It signed the certificate among the seeds; its private key is gone. */
static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
			       "MIIBMzCB2qADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGZ1enowIhgP\n"
			       "MjAyMDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVowDzENMAsGA1UEAwwEZnV6\n"
			       "ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKhEmRIJri4sPa+785JgHi4q4NyV\n"
			       "aNJL9YdzAmf2NB0AYpaItR5n2VYwNJnJ0L66Rm9zl/+3yRrPGGEKnFK9kJKjIzAh\n"
			       "MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49BAMCA0gA\n"
			       "MEUCIQDyvcdk0DO8uGEuzIFW8qs2+FLbR7kCgrAfSBsvMB5F6wIgJr2q7LXfcTwZ\n"
			       "+0l6MThjSg1k0ueXlNEm41u9Xlm1yuQ=\n"
			       "-----END CERTIFICATE-----\n";

/* P-256's base point as an EK of the template ecc256-l2. */
static const uint8_t base_ek[] = { 0x00, 0x7a, 0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0x00,
	0x20, 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5,
	0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33,
	0x14, 0x69, 0xaa, 0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10,
	0x00, 0x20, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,
	0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45,
	0xd8, 0x98, 0xc2, 0x96, 0x00, 0x20, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,
	0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce,
	0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 };

static struct ek_roots *make_roots(void)
{
	char dir[] = "/tmp/bpfmeasure-fuzz.XXXXXX", folder[64], path[80], error[EK_ERROR_MAX];
	struct ek_roots *roots;

	assert(mkdtemp(dir));
	snprintf(folder, sizeof(folder), "%s/hardware", dir);
	snprintf(path, sizeof(path), "%s/root.pem", folder);
	assert(mkdir(folder, 0700) == 0);
	FILE *file = fopen(path, "w");
	assert(file && fputs(root_pem, file) >= 0 && fclose(file) == 0);
	int err = ek_roots_load(dir, &roots, error);
	unlink(path);
	rmdir(folder);
	rmdir(dir);
	assert(!err);
	return roots;
}

static bool is_shown(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len < size;
}

static void try_identity(const uint8_t *data, size_t len)
{
	static struct identity_claim claim;
	struct line_error error;

	if (identity_claim_decode((const char *)data, len, &claim, &error)) {
		assert(error.at <= len && is_shown(error.what, sizeof(error.what)));
		return;
	}
	assert(claim.ak_len && claim.ak_len <= sizeof(claim.ak));
	assert(claim.pcr <= EVIDENCE_PCR_MAX && claim.banks < 1u << BANK_COUNT);
	assert(is_shown(claim.agent, sizeof(claim.agent)));
	assert(is_shown(claim.manufacturer, sizeof(claim.manufacturer)));
	assert(is_shown(claim.vendor, sizeof(claim.vendor)));
	assert(claim.ek_count <= IDENTITY_EK_MAX);
	for (size_t i = 0; i < claim.ek_count; i++) {
		const struct identity_ek *ek = &claim.eks[i];
		assert(ek->public_len && ek->public_len <= sizeof(ek->public));
		assert(ek->certificate_len <= sizeof(ek->certificate));
		assert(is_shown(ek->template, sizeof(ek->template)));
	}
}

static void try_ek(const uint8_t *data, size_t len)
{
	const uint8_t secret[ACTIVATION_SECRET_LEN] = { 0 }, name[34] = { 0, 0x0b };
	struct credential credential;
	char error[EK_ERROR_MAX];
	TPM2B_PUBLIC theirs = { 0 };
	struct ek ek;
	size_t at = 0;

	if (ek_decode(data, len, &ek, error)) {
		assert(is_shown(error, sizeof(error)));
		return;
	}
	assert(Tss2_MU_TPM2B_PUBLIC_Unmarshal(data, len, &at, &theirs) == TSS2_RC_SUCCESS);
	assert(at == len && ek.public_len == len && memcmp(ek.public, data, len) == 0);
	assert(theirs.publicArea.type ==
		(strncmp(ek_template_name(ek.kind), "rsa", 3) == 0 ? TPM2_ALG_RSA : TPM2_ALG_ECC));
	assert(theirs.publicArea.objectAttributes & TPMA_OBJECT_FIXEDTPM);
	assert(theirs.publicArea.nameAlg == bank_alg(ek_name_hash(&ek)));
	if (credential_make(&ek, name, sizeof(name), secret, &credential) == 0)
		assert(credential.blob_len <= sizeof(credential.blob) &&
			credential.secret_len <= sizeof(credential.secret));
}

static void try_certificate(const uint8_t *data, size_t len)
{
	static struct ek_roots *roots;
	static struct ek ek;
	char error[EK_ERROR_MAX];
	enum machine_tpm tpm;

	if (!roots) {
		roots = make_roots();
		assert(ek_decode(base_ek, sizeof(base_ek), &ek, error) == 0);
	}
	if (ek_certificate_judge(roots, &ek, data, len, &tpm, error))
		assert(strnlen(error, sizeof(error)) < sizeof(error));
	else
		assert(tpm == MACHINE_HARDWARE);
}

static void try_pin(const uint8_t *data, size_t len)
{
	char error[EK_ERROR_MAX];
	struct ek_pin pin;

	if (ek_pin_decode(data, len, &pin, error))
		return;
	assert(pin.spki_len && pin.spki_len <= sizeof(pin.spki));
	assert(pin.public_len <= sizeof(pin.public));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const tries[])(
		const uint8_t *, size_t) = { try_identity, try_ek, try_certificate, try_pin };

	if (len)
		tries[data[0] % 4](data + 1, len - 1);
	return 0;
}
