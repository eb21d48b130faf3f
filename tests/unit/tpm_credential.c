/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials that tpm2_makecredential makes, and who can decrypt them. */
#include "tests/unit/ek_fixture.h"
#include "tests/unit/tpm_peer.h"

enum { HANDLE = 0x81020001, EK_HANDLE = 0x81010077 };

static struct tpm *opened(void)
{
	struct tpm *tpm = connected();

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	return tpm;
}

static void assert_activates(struct tpm *tpm, const struct tpm_ek *ek)
{
	struct credential credential = credential_for(ek, tpm);
	uint8_t secret[TPM_EK_SECRET_MAX];

	int len = activate(tpm, ek, &credential, secret);
	if (len < 0)
		fail_msg("%s: %s: %s", tpm_ek_name(ek->template), strerror(-len), tpm_errmsg(tpm));
	assert_int_equal(len, SECRET_LEN);
	assert_memory_equal(secret, secret_of_the_verifier, SECRET_LEN);
}

static void assert_refused(
	struct tpm *tpm, const struct tpm_ek *ek, const struct credential *credential, int error)
{
	uint8_t secret[TPM_EK_SECRET_MAX], untouched[TPM_EK_SECRET_MAX];
	struct tpm_clock clock;

	memset(secret, 0x5a, sizeof(secret));
	memset(untouched, 0x5a, sizeof(untouched));
	assert_int_equal(activate(tpm, ek, credential, secret), error);
	assert_memory_equal(secret, untouched, sizeof(secret));
	assert_ok(tpm, tpm_clock_read(tpm, &clock)); /* still connected */
}

static void a_key_of_every_template_activates(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT];
	int count = eks_of(tpm, eks);

	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek;

		if (make_if_known(tpm, (enum tpm_ek_template)i, &ek))
			assert_activates(tpm, &ek);
		assert_loaded("");
	}
	for (int i = 0; i < count; i++) {
		assert_int_not_equal(eks[i].handle, 0);
		assert_activates(tpm, &eks[i]);
		assert_loaded("");
	}
}

static void an_ek_that_is_stored_no_more_is_made(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);

	ek.handle = EK_HANDLE; /* there is nothing */
	assert_activates(tpm, &ek);
	ek.handle = 0x81010001; /* there is another key */
	assert_activates(tpm, &ek);
	ek.handle = 0x81010016;
	assert_activates(tpm, &ek);
	assert_loaded("");
}

static void a_credential_for_another_ak_is_refused(void **)
{
	static const char name[] =
		"000b00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek;

		if (!make_if_known(tpm, (enum tpm_ek_template)i, &ek))
			continue;
		struct credential credential = credential_for_name(&ek, name);
		assert_refused(tpm, &ek, &credential, -EBADMSG);
		assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_ActivateCredential: "));
		assert_loaded("");
	}
}

/* The keys of another TPM, with this one's attestation key. */
static void a_credential_for_another_ek_is_refused(void **)
{
	static const char *const kinds[TPM_EK_COUNT] = { [TPM_EK_RSA2048_L1] = "rsa",
		[TPM_EK_ECC256_L2] = "ecc",
		[TPM_EK_ECC384_H3] = "ecc384" };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	char other_dir[64], tcti[SWTPM_TCTI_MAX], error[SWTPM_ERROR_MAX];

	snprintf(other_dir, sizeof(other_dir), "%s/other", fixture_dir);
	assert_int_equal(swtpm_ensure(other_dir, tcti, error), 0);
	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ours, theirs;

		if (!kinds[i])
			continue;
		ours = theirs = made(tpm, (enum tpm_ek_template)i);
		sh("tpm2_createek -Q -T %1$s -G %3$s -u %2$s/theirs -c %2$s/ek.ctx && "
		   "tpm2_flushcontext -T %1$s -t",
			tcti, fixture_dir, kinds[i]);
		theirs.public_len = read_bytes("theirs", theirs.public, sizeof(theirs.public));

		struct credential credential = credential_for(&theirs, tpm);
		assert_refused(tpm, &ours, &credential, -EBADMSG);
		assert_loaded("");
	}
}

static void a_damaged_credential_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT];

	assert_int_equal(eks_of(tpm, eks), 2);
	for (int i = 0; i < 2; i++) {
		struct credential whole = credential_for(&eks[i], tpm);
		size_t len = 8 + whole.object_len + whole.secret_len;

		for (size_t at = 8; at < len; at += at < 12 ? 1 : 37) {
			struct credential damaged = whole;

			damaged.bytes[at] ^= 1;
			assert_refused(tpm, &eks[i], &damaged, -EBADMSG);
		}
		for (size_t cut = 1; cut <= whole.secret_len; cut += 31) {
			struct credential damaged = whole;

			damaged.secret_len -= cut;
			assert_refused(tpm, &eks[i], &damaged, -EBADMSG);
			/* The same with a size that is right. */
			uint8_t *secret = damaged.bytes + 8 + damaged.object_len;
			if (damaged.secret_len < 2)
				continue;
			secret[0] = (uint8_t)((damaged.secret_len - 2) >> 8);
			secret[1] = (uint8_t)(damaged.secret_len - 2);
			assert_refused(tpm, &eks[i], &damaged, -EBADMSG);
		}
		struct credential longer = whole;
		longer.secret_len++;
		assert_refused(tpm, &eks[i], &longer, -EBADMSG);
		longer = whole;
		longer.object_len = 0;
		assert_refused(tpm, &eks[i], &longer, -EBADMSG);
		assert_activates(tpm, &eks[i]);
	}
	assert_loaded("");
}

/* Whoever puts his own key in the EK's place could read the secret on its way from the TPM. */
static void a_session_is_salted_only_with_the_ek_that_was_found(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);

	ek.public[ek.public_len - 1] ^= 1;
	assert_refused(tpm, &ek, &credential, -ENOKEY);
	assert_non_null(strstr(tpm_errmsg(tpm), "another ecc256-l2 endorsement key"));
	assert_loaded("");
}

/* ---- what an operator may have set ---------------------------------------------------------- */

static void with_endorsement_auth_only_a_stored_high_range_key_activates(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT], ek = { .template = TPM_EK_ECC256_L2 };
	struct credential credential;

	assert_int_equal(eks_of(tpm, eks), 2);
	sh("tpm2_changeauth -T %s -c e secret", fixture_tcti);
	assert_int_equal(tpm_ek_make(tpm, &ek), -EACCES);
	assert_int_equal(ek.public_len, 0);
	credential = credential_for(&eks[0], tpm);
	assert_refused(tpm, &eks[0], &credential, -EACCES);
	assert_activates(tpm, &eks[1]);
	assert_loaded("");
	sh("tpm2_changeauth -T %s -c e -p secret", fixture_tcti);
}

static void a_lockout_stops_the_high_range_only(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT];
	struct credential credential;

	assert_int_equal(eks_of(tpm, eks), 2);
	sh("tpm2_dictionarylockout -T %s -s -n 1 -t 1000 -l 1000", fixture_tcti);
	sh("tpm2_createprimary -Q -T %s -C n -G ecc -p right -c %s/da.ctx", fixture_tcti,
		fixture_dir);
	sh("! tpm2_create -Q -T %s -C %s/da.ctx -P wrong -G ecc -c %s/x.ctx 2>&1", fixture_tcti,
		fixture_dir, fixture_dir);
	flush();
	assert_activates(tpm, &eks[0]);
	credential = credential_for(&eks[1], tpm);
	assert_refused(tpm, &eks[1], &credential, -EPERM);
	sh("tpm2_dictionarylockout -T %s -c", fixture_tcti);
	assert_activates(tpm, &eks[1]);
	assert_loaded("");
}

static void full_slots_are_flushed(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT], ek = { .template = TPM_EK_ECC256_L2 };

	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < 3; i++)
			sh("tpm2_createprimary -Q -T %s -C n -G ecc -c %s/leak.ctx", fixture_tcti,
				fixture_dir);
		if (turn == 0)
			assert_int_equal(eks_of(tpm, eks), 2);
		else if (turn == 1)
			assert_ok(tpm, tpm_ek_make(tpm, &ek));
		else
			assert_activates(tpm, &ek);
		assert_loaded("");
	}
}

static void a_transient_ak_activates_and_stays(void **)
{
	static const uint8_t nonce[SHA256_LEN];
	const char *const ways[] = { fixture_tcti, device_tcti };

	evict(HANDLE);
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti);
	for (int i = 0; i < 2; i++) {
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
		struct tpm_ek eks[TPM_EK_COUNT];
		struct tpm_quote quote;

		assert_ok(tpm, tpm_connect(tpm, ways[i]));
		assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
		assert_false(tpm_ak_is_persistent(tpm));
		assert_int_equal(eks_of(tpm, eks), 2);
		for (int ek = 0; ek < 2; ek++) {
			assert_activates(tpm, &eks[ek]);
			eks[ek].handle = 0; /* both keys in the slots */
			assert_activates(tpm, &eks[ek]);
			assert_loaded("- 0x80000000\n");
			assert_ok(tpm, tpm_quote(tpm, 13, nonce, &quote));
		}
	}
	assert_loaded("");
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
}

static void a_device_activates_on_a_connection_of_its_own(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
	int before = descriptors();

	assert_ok(tpm, tpm_connect(tpm, device_tcti));
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_true(tpm_ak_is_persistent(tpm));
	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek;

		if (make_if_known(tpm, (enum tpm_ek_template)i, &ek))
			assert_activates(tpm, &ek);
		assert_loaded("");
	}
	assert_int_equal(descriptors(), before + 1);
}

static void without_an_attestation_key_nothing_is_activated(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);

	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_refused(tpm, &ek, &credential, -ENOENT);
}

/* The last: the TPM cannot be given back what it takes. */
static void a_new_endorsement_seed_makes_other_keys(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);

	sh("tpm2_changeeps -T %s", fixture_tcti);
	assert_refused(tpm, &ek, &credential, -ENOKEY);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_refused(tpm, &ek, &credential, -ENOKEY);
	ek = made(tpm, TPM_EK_ECC256_L2);
	assert_refused(tpm, &ek, &credential, -EBADMSG);
	assert_activates(tpm, &ek);
	assert_loaded("");
}

static int setup(void **state)
{
	if (fixture_setup(state) < 0)
		return -1;
	device_setup();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_of_every_template_activates),
		cmocka_unit_test(an_ek_that_is_stored_no_more_is_made),
		cmocka_unit_test(a_credential_for_another_ak_is_refused),
		cmocka_unit_test(a_credential_for_another_ek_is_refused),
		cmocka_unit_test(a_damaged_credential_is_refused),
		cmocka_unit_test(a_session_is_salted_only_with_the_ek_that_was_found),
		cmocka_unit_test(with_endorsement_auth_only_a_stored_high_range_key_activates),
		cmocka_unit_test(a_lockout_stops_the_high_range_only),
		cmocka_unit_test(full_slots_are_flushed),
		cmocka_unit_test(a_transient_ak_activates_and_stays),
		cmocka_unit_test(a_device_activates_on_a_connection_of_its_own),
		cmocka_unit_test(without_an_attestation_key_nothing_is_activated),
		cmocka_unit_test(a_new_endorsement_seed_makes_other_keys),
	};

	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
