/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/tpm_peer.h"

#include "tpm/ek.h"

enum { PCR = 13, HANDLE = 0x81020001, EK_HANDLE = 0x81010077, SECRET_LEN = 32 };

static const uint8_t secret_of_the_verifier[SECRET_LEN] = "thirty-two bytes of a secret....";

static struct tpm *opened(void)
{
	struct tpm *tpm = connected();

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	return tpm;
}

static int found(struct tpm *tpm, struct tpm_ek eks[static TPM_EK_COUNT])
{
	int count = tpm_ek_find(tpm, eks);

	if (count < 0)
		fail_msg("%s: %s", strerror(-count), tpm_errmsg(tpm));
	return count;
}

/* The EK of a template, stored or not. */
static struct tpm_ek ek_of(struct tpm *tpm, enum tpm_ek_template template)
{
	struct tpm_ek eks[TPM_EK_COUNT], made = { .template = template };
	int count = found(tpm, eks);

	for (int i = 0; i < count; i++)
		if (eks[i].template == template && eks[i].public_len)
			return eks[i];
	assert_ok(tpm, tpm_ek_make(tpm, &made));
	return made;
}

static void assert_nothing_is_loaded(void)
{
	assert_string_equal(sh("tpm2_getcap -T %1$s handles-transient; "
			       "tpm2_getcap -T %1$s handles-loaded-session; "
			       "tpm2_getcap -T %1$s handles-saved-session",
				    fixture_tcti),
		"");
}

/* ---- a credential, made by tpm2-tools ------------------------------------------------------- */

struct credential {
	size_t object_len, secret_len;
	const uint8_t *object, *secret;
	uint8_t bytes[1024]; /* of tpm2_makecredential: eight bytes of its own, then both */
};

static void make_credential(
	const struct tpm_ek *ek, const uint8_t name[static TPM_NAME_LEN], struct credential *ret)
{
	char hex[2 * TPM_NAME_LEN + 1], path[256];

	to_hex(name, TPM_NAME_LEN, hex);
	write_bytes("ek.pub", ek->public, ek->public_len);
	write_bytes("secret", secret_of_the_verifier, SECRET_LEN);
	sh("tpm2_makecredential -Q -T none -u %1$s/ek.pub -s %1$s/secret -n %2$s -o %1$s/credential 2>&1",
		fixture_dir, hex);

	snprintf(path, sizeof(path), "%s/credential", fixture_dir);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t len = fread(ret->bytes, 1, sizeof(ret->bytes), file);
	fclose(file);
	ret->object = ret->bytes + 8;
	ret->object_len = 2 + (size_t)(ret->object[0] << 8 | ret->object[1]);
	ret->secret = ret->object + ret->object_len;
	ret->secret_len = len - 8 - ret->object_len;
}

static int activate(struct tpm *tpm, const struct tpm_ek *ek, const struct credential *credential,
	uint8_t ret_secret[static TPM_EK_SECRET_MAX])
{
	return tpm_ek_activate(tpm, ek, credential->object, credential->object_len,
		credential->secret, credential->secret_len, ret_secret);
}

static void assert_activates(struct tpm *tpm, const struct tpm_ek *ek)
{
	uint8_t name[TPM_NAME_LEN], secret[TPM_EK_SECRET_MAX];
	struct credential credential;

	tpm_ak_name(tpm, name);
	make_credential(ek, name, &credential);
	int len = activate(tpm, ek, &credential, secret);
	if (len < 0)
		fail_msg("%s: %s: %s", tpm_ek_name(ek->template), strerror(-len), tpm_errmsg(tpm));
	assert_int_equal(len, SECRET_LEN);
	assert_memory_equal(secret, secret_of_the_verifier, SECRET_LEN);
}

static void every_template_activates(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek = ek_of(tpm, (enum tpm_ek_template)i);
		assert_activates(tpm, &ek);
		assert_nothing_is_loaded();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_template_activates),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
