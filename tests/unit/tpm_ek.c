/* SPDX-License-Identifier: BSD-2-Clause */
/* The oracles are tpm2-tools (its EKs, its MakeCredential), openssl and swtpm_setup's files. */
#include "tests/unit/ek_fixture.h"
#include "tests/unit/tpm_peer.h"

enum { HANDLE = 0x81020001, EK_HANDLE = 0x81010077 };

static struct tpm *opened(void)
{
	struct tpm *tpm = connected();

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	return tpm;
}

static int find(struct tpm *tpm, struct tpm_ek eks[static TPM_EK_COUNT])
{
	int count = tpm_ek_find(tpm, eks);

	if (count < 0)
		fail_msg("%s: %s", strerror(-count), tpm_errmsg(tpm));
	return count;
}

/* The EK of a template among those found, or NULL. */
static const struct tpm_ek *among(
	const struct tpm_ek *eks, int count, enum tpm_ek_template template)
{
	for (int i = 0; i < count; i++)
		if (eks[i].template == template)
			return &eks[i];
	return NULL;
}

static void flush(void)
{
	sh("tpm2_flushcontext -T %s -t", fixture_tcti);
}

static void evict(unsigned handle)
{
	sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x", fixture_tcti, handle);
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

	assert_int_equal(find(tpm, eks), 2);
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
		/* The unique field is empty in these, which tpm2_createek gets wrong or has not. */
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
	int count = find(tpm, eks);

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
	assert_int_equal(find(tpm, eks), 3);
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
	assert_int_equal(find(tpm, eks), 3);
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
	assert_int_equal(find(tpm, eks), 2);
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
		int count = find(tpm, eks);
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
	assert_int_equal(find(tpm, eks), 2);
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
	undefine();

	/* Defined and never written. */
	sh("tpm2_nvdefine -Q -T %s 0x1c0000a -C o -s 600 -a 'ownerwrite|authread'", fixture_tcti);
	assert_int_equal(find(tpm, eks), 2);
	undefine();
}

/* ---- a credential, made by tpm2-tools ------------------------------------------------------- */

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
	int count = find(tpm, eks);

	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek = made(tpm, (enum tpm_ek_template)i);
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
		struct tpm_ek ek = made(tpm, (enum tpm_ek_template)i);
		struct credential credential = credential_for_name(&ek, name);

		assert_refused(tpm, &ek, &credential, -EBADMSG);
		assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_ActivateCredential: "));
		assert_loaded("");
	}
}

/* The keys of another TPM, with this one's attestation key. */
static void a_credential_for_another_ek_is_refused(void **)
{
	static const char *const kinds[TPM_EK_COUNT] = { "rsa", "ecc", NULL, NULL, "ecc384", NULL };
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

	assert_int_equal(find(tpm, eks), 2);
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

static void with_endorsement_auth_set_only_a_stored_key_of_the_high_range_activates(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek eks[TPM_EK_COUNT], ek = { .template = TPM_EK_ECC256_L2 };
	struct credential credential;

	assert_int_equal(find(tpm, eks), 2);
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

	assert_int_equal(find(tpm, eks), 2);
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
			assert_int_equal(find(tpm, eks), 2);
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
		assert_int_equal(find(tpm, eks), 2);
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
	int before = atoi(sh("ls /proc/%d/fd | wc -l", getpid()));

	assert_ok(tpm, tpm_connect(tpm, device_tcti));
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_true(tpm_ak_is_persistent(tpm));
	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek = made(tpm, (enum tpm_ek_template)i);
		assert_activates(tpm, &ek);
		assert_loaded("");
	}
	assert_int_equal(atoi(sh("ls /proc/%d/fd | wc -l", getpid())), before + 1);
}

static void without_an_attestation_key_nothing_is_activated(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);

	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_refused(tpm, &ek, &credential, -ENOENT);
}

/* ---- the end: what the TPM cannot be given back --------------------------------------------- */

static void a_tpm_without_certificates_has_the_keys_that_are_stored(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpm_ek eks[TPM_EK_COUNT];

	sh("tpm2_nvundefine -Q -T %1$s -C p 0x1c00002 && tpm2_nvundefine -Q -T %1$s -C p 0x1c00016",
		fixture_tcti);
	assert_int_equal(find(tpm, eks), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(eks[i].certificate_len, 0);
		assert_int_not_equal(eks[i].public_len, 0);
	}
	sh("tpm2_clear -T %s", fixture_tcti);
	assert_int_equal(find(tpm, eks), 0);
}

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
		cmocka_unit_test(eks_come_with_the_certificates_of_their_maker),
		cmocka_unit_test(a_key_that_is_made_is_that_of_tpm2_tools),
		cmocka_unit_test(a_key_that_is_made_is_the_one_that_is_stored),
		cmocka_unit_test(a_stored_ek_is_found_wherever_it_is),
		cmocka_unit_test(a_stored_key_that_the_certificate_is_not_for_is_no_ek),
		cmocka_unit_test(a_key_of_another_hierarchy_or_elsewhere_is_no_ek),
		cmocka_unit_test(only_the_first_der_object_is_the_certificate),
		cmocka_unit_test(a_certificate_that_may_not_be_read_is_left_out),
		cmocka_unit_test(a_key_of_every_template_activates),
		cmocka_unit_test(an_ek_that_is_stored_no_more_is_made),
		cmocka_unit_test(a_credential_for_another_ak_is_refused),
		cmocka_unit_test(a_credential_for_another_ek_is_refused),
		cmocka_unit_test(a_damaged_credential_is_refused),
		cmocka_unit_test(a_session_is_salted_only_with_the_ek_that_was_found),
		cmocka_unit_test(
			with_endorsement_auth_set_only_a_stored_key_of_the_high_range_activates),
		cmocka_unit_test(a_lockout_stops_the_high_range_only),
		cmocka_unit_test(full_slots_are_flushed),
		cmocka_unit_test(a_transient_ak_activates_and_stays),
		cmocka_unit_test(a_device_activates_on_a_connection_of_its_own),
		cmocka_unit_test(without_an_attestation_key_nothing_is_activated),
		cmocka_unit_test(a_tpm_without_certificates_has_the_keys_that_are_stored),
		cmocka_unit_test(a_new_endorsement_seed_makes_other_keys),
	};

	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
