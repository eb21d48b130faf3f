/* SPDX-License-Identifier: BSD-2-Clause */
/* The oracles are tpm2-tools (its EKs, its MakeCredential), openssl and swtpm_setup's files. */
#include "tests/unit/ek_fixture.h"

enum { EK_HANDLE = 0x81010077 };

/* The EK of a template among those found, or NULL. */
static const struct tpm_ek *among(
	const struct tpm_ek *eks, int count, enum tpm_ek_template template)
{
	for (int i = 0; i < count; i++)
		if (eks[i].template == template)
			return &eks[i];
	return NULL;
}

/* ---- which there are ------------------------------------------------------------------------ */

static void assert_is_certificate(const struct tpm_ek *ek, const char *file)
{
	write_bytes("ek.pub", ek->public, ek->public_len);
	write_bytes("ek.der", ek->certificate, ek->certificate_len);
	sh("cd %s && cmp ek.der state/ek/%s && "
	   "tpm2_print -t TPM2B_PUBLIC -f pem ek.pub >ek.pem && "
	   "openssl x509 -inform der -in ek.der -out ek.crt && openssl x509 -in ek.crt -noout -pubkey "
	   "| cmp - ek.pem && openssl verify -x509_strict "
	   "-CAfile state/ca/swtpm-localca-rootca-cert.pem -untrusted state/ca/issuercert.pem ek.crt "
	   "2>&1",
		fixture_dir, file);
}

static void eks_come_with_the_certificates_of_their_maker(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	assert_int_equal(eks_of(tpm, eks), 2);
	assert_int_equal(eks[0].template, TPM_EK_RSA2048_L1);
	assert_int_equal(eks[0].handle, 0x81010001);
	assert_is_certificate(&eks[0], "ek-rsa2048.crt");
	assert_int_equal(eks[1].template, TPM_EK_ECC384_H3);
	assert_int_equal(eks[1].handle, 0x81010016);
	assert_is_certificate(&eks[1], "ek-secp384r1.crt");
	assert_loaded("");
}

static void assert_public_is(const struct tpm_ek *ek, const char *file)
{
	write_bytes("ours", ek->public, ek->public_len);
	sh("cmp %1$s/ours %1$s/%2$s 2>&1", fixture_dir, file);
}

static void a_key_that_is_made_is_that_of_tpm2_tools(void **)
{
	static const struct {
		enum tpm_ek_template template;
		const char *command;
	} keys[] = {
		{ TPM_EK_RSA2048_L1, "createek -G rsa -u" },
		{ TPM_EK_ECC256_L2, "createek -G ecc -u" },
		{ TPM_EK_ECC384_H3, "createek -G ecc384 -u" },
		{ TPM_EK_ECC521_H4, "createek -G ecc521 -u" },
		{ TPM_EK_RSA3072_H6, "createek -G rsa3072 -u" },
		/* tpm2_createek takes the low range for these. */
		{ TPM_EK_RSA2048_H1, "createprimary -C e -g sha256 -G rsa2048:null:aes128cfb" },
		{ TPM_EK_ECC256_H2, "createprimary -C e -g sha256 -G ecc256:null:aes128cfb" },
	};
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();

	/* Policy B is policy A, which the TPM computes, or policy C, a name in the profile. */
	sh("cd %2$s && export TPM2TOOLS_TCTI=%1$s && tpm2_startauthsession -S s && "
	   "tpm2_policysecret -Q -S s -c e -L a && tpm2_flushcontext s && "
	   "echo 3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde | xxd -r -p >c && "
	   "tpm2_startauthsession -S s && tpm2_policyor -Q -S s -L b sha256:a,c && "
	   "tpm2_flushcontext s",
		fixture_tcti, fixture_dir);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct tpm_ek ek = made(tpm, keys[i].template);

		assert_loaded("");
		if (strncmp(keys[i].command, "createek", 8) == 0)
			sh("cd %2$s && tpm2_%3$s theirs -Q -T %1$s -c ek.ctx", fixture_tcti,
				fixture_dir, keys[i].command);
		else
			sh("cd %2$s && tpm2_%3$s -L b -Q -T %1$s -c ek.ctx -a 'fixedtpm|fixedparent|"
			   "sensitivedataorigin|userwithauth|adminwithpolicy|restricted|decrypt' && "
			   "tpm2_readpublic -Q -T %1$s -c ek.ctx -o theirs",
				fixture_tcti, fixture_dir, keys[i].command);
		assert_public_is(&ek, "theirs");
		flush();
	}
}

static void a_key_that_is_made_is_the_one_that_is_stored(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];
	int count = eks_of(tpm, eks);

	for (int i = 0; i < count; i++) {
		struct tpm_ek ek = made(tpm, eks[i].template);
		assert_int_equal(ek.public_len, eks[i].public_len);
		assert_memory_equal(ek.public, eks[i].public, ek.public_len);
	}
}

/* A P-256 key at a handle that looks like an EK, but was made with an empty unique field. */
static void plant(unsigned handle, const char *hierarchy)
{
	sh("cd %2$s && "
	   "echo 837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa | xxd -r -p >a && "
	   "tpm2_createprimary -Q -T %1$s -C %4$s -g sha256 -G ecc256:null:aes128cfb -L a "
	   "-a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt' "
	   "-c planted && tpm2_evictcontrol -Q -T %1$s -C o -c planted 0x%3$x",
		fixture_tcti, fixture_dir, handle, hierarchy);
	flush();
}

/* The file of the fixture as the certificate of an EK that has none. */
static void define(const char *file, const char *attributes)
{
	sh("cd %2$s && tpm2_nvdefine -Q -T %1$s 0x1c0000a -C o -s $(stat -c %%s %3$s) -a '%4$s' && "
	   "tpm2_nvwrite -Q -T %1$s 0x1c0000a -C o -i %3$s",
		fixture_tcti, fixture_dir, file, attributes);
}

static void undefine(void)
{
	sh("tpm2_nvundefine -Q -T %s -C o 0x1c0000a", fixture_tcti);
}

static void a_stored_ek_is_found_wherever_it_is(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT], ek = made(tpm, TPM_EK_ECC256_L2);

	sh("tpm2_createek -Q -T %s -G ecc -c 0x%x", fixture_tcti, (unsigned)EK_HANDLE);
	flush();
	assert_int_equal(eks_of(tpm, eks), 3);
	assert_int_equal(eks[1].template, TPM_EK_ECC256_L2);
	assert_int_equal(eks[1].handle, EK_HANDLE);
	assert_int_equal(eks[1].certificate_len, 0);
	assert_memory_equal(eks[1].public, ek.public, ek.public_len);
	evict(EK_HANDLE);
}

static void a_stored_key_that_the_certificate_is_not_for_is_no_ek(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	plant(EK_HANDLE, "e");
	sh("cp %1$s/state/ek/ek-rsa2048.crt %1$s/content", fixture_dir); /* any other's */
	define("content", "ownerwrite|authread");
	assert_int_equal(eks_of(tpm, eks), 3);
	undefine();
	evict(EK_HANDLE);
	assert_int_equal(eks[1].template, TPM_EK_ECC256_L2);
	assert_int_not_equal(eks[1].certificate_len, 0);
	assert_int_equal(eks[1].handle, 0);
}

static void a_key_of_another_hierarchy_or_elsewhere_is_no_ek(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	plant(EK_HANDLE, "o");
	sh("tpm2_createek -Q -T %s -G ecc -c 0x81020077", fixture_tcti);
	flush();
	assert_int_equal(eks_of(tpm, eks), 2);
	evict(EK_HANDLE);
	evict(0x81020077);
}

static void only_the_first_der_object_is_the_certificate(void **)
{
	static const struct {
		const char *make, *first; /* NULL: there is none */
	} contents[] = {
		{ "cat $c", "cat $c" },
		{ "cat $c; head -c 700 /dev/zero", "cat $c" },
		{ "cat $c; printf '\\060\\003abc'", "cat $c" },
		{ "printf '\\060\\003abc\\0\\0'", "printf '\\060\\003abc'" },
		{ "printf '\\060\\201\\200'; head -c 129 /dev/zero",
			"printf '\\060\\201\\200'; head -c 128 /dev/zero" },
		{ "head -c -1 $c", NULL },
		/* a length in more bytes than it takes, or in none; no SEQUENCE; too short for any */
		{ "printf '\\060\\201\\003abc'; head -c 9 /dev/zero", NULL },
		{ "printf '\\060\\202\\000\\003abc'; head -c 9 /dev/zero", NULL },
		{ "printf '\\060\\200abc'; head -c 200 /dev/zero", NULL },
		{ "printf '\\061\\003abc'; head -c 9 /dev/zero", NULL },
		{ "printf '\\060\\001x'", NULL },
		{ "head -c 600 /dev/zero", NULL },
		{ "head -c 2000 /dev/urandom | tr '\\060' x", NULL },
	};
	static const char *const attributes[] = { "ownerwrite|authread", "ownerwrite|ownerread" };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();

	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		struct tpm_ek eks[TPM_EK_COUNT];

		sh("cd %s && c=state/ek/ek-rsa2048.crt && (%s) >content && (%s) >first",
			fixture_dir, contents[i].make, contents[i].first ? contents[i].first : ":");
		define("content", attributes[i % 2]);
		int count = eks_of(tpm, eks);
		const struct tpm_ek *ek = among(eks, count, TPM_EK_ECC256_L2);
		undefine();
		assert_int_equal(ek != NULL, contents[i].first != NULL);
		if (!ek)
			continue;
		assert_int_equal(ek->public_len, 0); /* for tpm_ek_make() */
		write_bytes("ours", ek->certificate, ek->certificate_len);
		sh("cmp %1$s/ours %1$s/first 2>&1", fixture_dir);
	}
}

static void a_certificate_that_may_not_be_read_is_left_out(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	sh("head -c 600 /dev/zero >%s/content", fixture_dir);
	define("content", "ownerwrite|ownerread");
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti);
	assert_int_equal(eks_of(tpm, eks), 2);
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
	undefine();

	/* Defined and never written. */
	sh("tpm2_nvdefine -Q -T %s 0x1c0000a -C o -s 600 -a 'ownerwrite|authread'", fixture_tcti);
	assert_int_equal(eks_of(tpm, eks), 2);
	undefine();
}

/* The last: the TPM cannot be given back what it takes. */
static void a_tpm_without_certificates_has_the_keys_that_are_stored(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	sh("tpm2_nvundefine -Q -T %1$s -C p 0x1c00002 && tpm2_nvundefine -Q -T %1$s -C p 0x1c00016",
		fixture_tcti);
	assert_int_equal(eks_of(tpm, eks), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(eks[i].certificate_len, 0);
		assert_int_not_equal(eks[i].public_len, 0);
	}
	sh("tpm2_clear -T %s", fixture_tcti);
	assert_int_equal(eks_of(tpm, eks), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(eks_come_with_the_certificates_of_their_maker),
		cmocka_unit_test(a_key_that_is_made_is_that_of_tpm2_tools),
		cmocka_unit_test(a_key_that_is_made_is_the_one_that_is_stored),
		cmocka_unit_test(a_stored_ek_is_found_wherever_it_is),
		cmocka_unit_test(a_stored_key_that_the_certificate_is_not_for_is_no_ek),
		cmocka_unit_test(a_key_of_another_hierarchy_or_elsewhere_is_no_ek),
		cmocka_unit_test(only_the_first_der_object_is_the_certificate),
		cmocka_unit_test(a_certificate_that_may_not_be_read_is_left_out),
		cmocka_unit_test(a_tpm_without_certificates_has_the_keys_that_are_stored),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
