/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials as a verifier makes them, by tpm2-tools, and what the TPM has loaded. */
#ifndef TESTS_UNIT_EK_FIXTURE_H
#define TESTS_UNIT_EK_FIXTURE_H

#include "tests/unit/tpm_fixture.h"

#include "tpm/ek.h"

enum { SECRET_LEN = 32 };

static const uint8_t secret_of_the_verifier[SECRET_LEN] = "thirty-two bytes of a secret....";

static inline struct tpm_ek made(struct tpm *tpm, enum tpm_ek_template template)
{
	struct tpm_ek ek = { .template = template };

	assert_ok(tpm, tpm_ek_make(tpm, &ek));
	return ek;
}

/* The same where the software TPM knows the algorithms; it may not know RSA-4096. */
static inline bool make_if_known(struct tpm *tpm, enum tpm_ek_template template, struct tpm_ek *ret)
{
	*ret = (struct tpm_ek){ .template = template };
	int r = tpm_ek_make(tpm, ret);

	if (r == 0)
		return true;
	assert_int_equal(r, -EIO);
	assert_int_equal(template, TPM_EK_RSA4096_H7);
	return false;
}

static inline void assert_loaded(const char *transient)
{
	assert_string_equal(sh("tpm2_getcap -T %1$s handles-transient; "
			       "tpm2_getcap -T %1$s handles-loaded-session; "
			       "tpm2_getcap -T %1$s handles-saved-session",
				    fixture_tcti),
		transient);
}

static inline int eks_of(struct tpm *tpm, struct tpm_ek eks[static TPM_EK_COUNT])
{
	int count = tpm_ek_find(tpm, eks);

	if (count < 0)
		fail_msg("%s: %s", strerror(-count), tpm_errmsg(tpm));
	return count;
}

static inline void flush(void)
{
	sh("tpm2_flushcontext -T %s -t", fixture_tcti);
}

static inline void evict(unsigned handle)
{
	sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x", fixture_tcti, handle);
}

struct credential {
	size_t object_len, secret_len;
	uint8_t bytes[1024]; /* of tpm2_makecredential: eight bytes of its own, then both */
};

static inline size_t read_bytes(const char *name, uint8_t *ret_bytes, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t len = fread(ret_bytes, 1, size, file);
	fclose(file);
	return len;
}

/* For the key of this Name, in hexadecimal. */
static inline struct credential credential_for_name(const struct tpm_ek *ek, const char *name)
{
	struct credential credential;

	write_bytes("ek.pub", ek->public, ek->public_len);
	write_bytes("secret", secret_of_the_verifier, SECRET_LEN);
	sh("cd %s && tpm2_makecredential -Q -T none -u ek.pub -s secret -n %s -o credential 2>&1",
		fixture_dir, name);
	size_t len = read_bytes("credential", credential.bytes, sizeof(credential.bytes));
	credential.object_len = 2 + (size_t)(credential.bytes[8] << 8 | credential.bytes[9]);
	credential.secret_len = len - 8 - credential.object_len;
	return credential;
}

static inline struct credential credential_for(const struct tpm_ek *ek, const struct tpm *tpm)
{
	uint8_t name[TPM_NAME_LEN];
	char hex[2 * TPM_NAME_LEN + 1];

	tpm_ak_name(tpm, name);
	to_hex(name, TPM_NAME_LEN, hex);
	return credential_for_name(ek, hex);
}

static inline int activate(struct tpm *tpm, const struct tpm_ek *ek,
	const struct credential *credential, uint8_t ret_secret[static TPM_EK_SECRET_MAX])
{
	const uint8_t *object = credential->bytes + 8, *secret = object + credential->object_len;

	return tpm_ek_activate(tpm, ek, object, credential->object_len, secret,
		credential->secret_len, ret_secret);
}

#endif
