/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials, given to a software TPM to open. */
#include "tpm_fixture.h"

#include "attest/credential.h"
#include "attest/ek.h"
#include "attest/tpms.h"

enum { HANDLE = 0x81020001 };

#define HIGH_RANGE                                                                                 \
	"-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|"    \
	"decrypt' -L policy"

/* How tpm2-tools make an EK of each template into ek.ctx; NULL where the software TPM cannot. */
static const struct {
	const char *name;
	const char *make;
	bool by_policy; /* else by its empty password */
} eks[EK_TEMPLATE_COUNT] = {
	[EK_RSA2048_L1] = { "rsa2048-l1", "createek -G rsa2048", true },
	[EK_RSA2048_H1] = { "rsa2048-h1",
		"createprimary -C e -g sha256 -G rsa2048:null:aes128cfb " HIGH_RANGE, false },
	[EK_ECC256_L2] = { "ecc256-l2", "createek -G ecc256", true },
	[EK_ECC256_H2] = { "ecc256-h2",
		"createprimary -C e -g sha256 -G ecc256:null:aes128cfb " HIGH_RANGE, false },
	[EK_RSA3072_H6] = { "rsa3072-h6", "createek -G rsa3072", false },
	[EK_RSA4096_H7] = { "rsa4096-h7", NULL, false },
	[EK_ECC384_H3] = { "ecc384-h3", "createek -G ecc384", false },
	[EK_ECC521_H4] = { "ecc521-h4", "createek -G ecc521", false },
};

/* B.6.4, in sha256 */
static const uint8_t policy_b[] = { 0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3,
	0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89,
	0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0 };

static size_t read_bytes(const char *name, uint8_t *ret, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t len = fread(ret, 1, size, file);
	fclose(file);
	return len;
}

/* An EK of a template, in ek.ctx. */
static struct ek make_ek(enum ek_template kind)
{
	uint8_t bytes[MACHINE_EK_MAX];
	char error[EK_ERROR_MAX];
	struct ek ek;

	write_bytes("policy", policy_b, sizeof(policy_b));
	sh("cd %s && export TPM2TOOLS_TCTI=%s && tpm2_%s -Q -c ek.ctx && tpm2_flushcontext -t && "
	   "tpm2_readpublic -Q -c ek.ctx -o ek.pub && tpm2_flushcontext -t",
		fixture_dir, fixture_tcti, eks[kind].make);
	size_t len = read_bytes("ek.pub", bytes, sizeof(bytes));
	if (ek_decode(bytes, len, &ek, error))
		fail_msg("%s: %s", eks[kind].name, error);
	return ek;
}

/* The name of a key that is to be given the secret. */
static struct tpms_public open_ak(void)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct tpms_public public;
	struct tpms_error error;
	const uint8_t *bytes;
	size_t len;

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	tpm_ak_public(tpm, &bytes, &len);
	assert_int_equal(tpms_public_decode(bytes, len, &public, &error), 0);
	return public;
}

/* In the form of tpm2_makecredential: a magic number and a version before the two structures. */
static void write_credential(const struct credential *credential)
{
	uint8_t bytes[8 + CHANNEL_CREDENTIAL_MAX + CHANNEL_SECRET_MAX] = { 0xba, 0xdc, 0xc0, 0xde,
		0, 0, 0, 1 };

	memcpy(bytes + 8, credential->blob, credential->blob_len);
	memcpy(bytes + 8 + credential->blob_len, credential->secret, credential->secret_len);
	write_bytes("credential", bytes, 8 + credential->blob_len + credential->secret_len);
}

/* Returns the length of what the TPM gave back; 0 where it refused. */
static size_t activate(enum ek_template kind, uint8_t ret[static ACTIVATION_SECRET_LEN])
{
	const char *policy = "tpm2_startauthsession -Q --policy-session -S session && "
			     "tpm2_policysecret -Q -S session -c e && P='-P session:session' && ";

	sh("cd %s && rm -f secret && export TPM2TOOLS_TCTI=%s P= && %s"
	   "{ tpm2_activatecredential -Q -c 0x%x -C ek.ctx $P -i credential -o secret 2>error || "
	   "grep -q 0x1DF error; } && tpm2_flushcontext -t && tpm2_flushcontext -l && touch secret",
		fixture_dir, fixture_tcti, eks[kind].by_policy ? policy : "", HANDLE);
	return read_bytes("secret", ret, ACTIVATION_SECRET_LEN);
}

static void a_tpm_opens_what_was_made_for_its_ek_and_ak(void **)
{
	struct tpms_public ak = open_ak();
	uint8_t secret[ACTIVATION_SECRET_LEN], back[ACTIVATION_SECRET_LEN];
	struct credential credential;

	for (enum ek_template kind = 0; kind < EK_TEMPLATE_COUNT; kind++) {
		if (!eks[kind].make)
			continue;
		struct ek ek = make_ek(kind);
		assert_int_equal(ek.kind, kind);
		assert_string_equal(ek_template_name(ek.kind), eks[kind].name);
		memset(secret, 0x40 + (int)kind, sizeof(secret));
		assert_int_equal(
			credential_make(&ek, ak.name, ak.name_len, secret, &credential), 0);
		write_credential(&credential);
		if (activate(kind, back) != sizeof(back))
			fail_msg("%s: refused", eks[kind].name);
		assert_memory_equal(back, secret, sizeof(secret));
	}
}

static void a_tpm_opens_nothing_for_another_ak_or_ek(void **)
{
	struct tpms_public ak = open_ak();
	uint8_t secret[ACTIVATION_SECRET_LEN] = { 1 }, back[ACTIVATION_SECRET_LEN];
	struct credential credential;
	struct ek other = make_ek(EK_ECC384_H3), ek = make_ek(EK_ECC256_L2);

	ak.name[ak.name_len - 1] ^= 1;
	assert_int_equal(credential_make(&ek, ak.name, ak.name_len, secret, &credential), 0);
	write_credential(&credential);
	assert_int_equal(activate(EK_ECC256_L2, back), 0);
	ak.name[ak.name_len - 1] ^= 1;

	/* A key of the same template that this TPM does not have: the other's x on the right curve
	 * would be no point, so one is taken that is. */
	static const uint8_t g[2 * 32] = { 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8,
		0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33,
		0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
		0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
		0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 };
	struct ek base = ek;
	memcpy(base.x, g, 32);
	memcpy(base.y, g + 32, 32);
	assert_int_equal(credential_make(&base, ak.name, ak.name_len, secret, &credential), 0);
	write_credential(&credential);
	assert_int_equal(activate(EK_ECC256_L2, back), 0);

	base.y[31] ^= 1;
	assert_int_equal(
		credential_make(&base, ak.name, ak.name_len, secret, &credential), -EBADMSG);
	assert_int_equal(credential_make(&other, ak.name, ak.name_len, secret, &credential), 0);
}

static void two_credentials_of_a_secret_have_nothing_in_common(void **)
{
	uint8_t secret[ACTIVATION_SECRET_LEN] = { 1 }, name[34] = { 0, 0x0b };
	struct credential a, b;

	for (int i = 0; i < 2; i++) {
		struct ek ek = make_ek(i ? EK_RSA2048_L1 : EK_ECC256_L2);
		assert_int_equal(credential_make(&ek, name, sizeof(name), secret, &a), 0);
		assert_int_equal(credential_make(&ek, name, sizeof(name), secret, &b), 0);
		assert_int_equal(a.blob_len, b.blob_len);
		assert_memory_not_equal(a.blob + 4, b.blob + 4, 32);
		assert_memory_not_equal(a.blob + 36, b.blob + 36, 34);
		assert_memory_not_equal(a.secret + 4, b.secret + 4, 30);
	}
}

static void kdfa_gives_the_known_answers(void **)
{
	static const struct {
		enum bank hash;
		size_t key_len;
		const char *label;
		bool has_context;
		unsigned bits;
		const char *answer;
	} cases[] = {
		{ BANK_SHA256, 32, "STORAGE", true, 128, "8b9746d9cde648e20ad34f7c5099ae8f" },
		{ BANK_SHA256, 32, "INTEGRITY", false, 256,
			"bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e" },
		{ BANK_SHA384, 48, "STORAGE", true, 256,
			"d138828a891a7948ef5e558c804b3e481c56e4791c180ef4bae6cc9064289003" },
	};
	uint8_t key[48], context[34] = { 0x00, 0x0b }, bytes[32];
	char hex[65];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	for (uint8_t i = 0; i < 32; i++)
		context[2 + i] = i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t context_len = cases[i].has_context ? sizeof(context) : 0;
		assert_int_equal(
			credential_kdfa(cases[i].hash, key, cases[i].key_len, cases[i].label,
				context, context_len, cases[i].bits, bytes),
			0);
		to_hex(bytes, cases[i].bits / 8, hex);
		assert_string_equal(hex, cases[i].answer);
	}
}

static void an_ek_is_of_a_template_bit_for_bit(void **)
{
	static const enum ek_template kinds[] = { EK_RSA2048_L1, EK_ECC384_H3 };
	uint8_t bytes[MACHINE_EK_MAX + 1];
	char error[EK_ERROR_MAX];
	struct ek ek;

	for (size_t k = 0; k < 2; k++) {
		struct ek good = make_ek(kinds[k]);
		size_t len = good.public_len;
		size_t key_at = len - (k ? 2 : 1) * (2 + good.number_len);

		for (size_t bit = 0; bit < 8 * (key_at + 2); bit++) {
			memcpy(bytes, good.public, len);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ek_decode(bytes, len, &ek, error), -EBADMSG);
		}
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(ek_decode(good.public, cut, &ek, error), -EBADMSG);
		memcpy(bytes, good.public, len);
		bytes[len] = 0;
		assert_int_equal(ek_decode(bytes, len + 1, &ek, error), -EBADMSG);
	}
}

static void what_an_operator_pins_is_found_again(void **)
{
	struct ek ek = make_ek(EK_RSA2048_L1), other = make_ek(EK_ECC256_L2);
	static uint8_t bytes[EK_FILE_MAX];
	char error[EK_ERROR_MAX];
	struct ek_pin pin;

	assert_int_equal(ek_pin_decode(ek.public, ek.public_len, &pin, error), 0);
	assert_int_equal(ek_pin_matches(&pin, &ek), 1);
	assert_int_equal(ek_pin_matches(&pin, &other), 0);

	sh("cd %s && tpm2_readpublic -Q -T %s -c ek.ctx -f pem -o ek.pem && "
	   "tpm2_flushcontext -T %s -t",
		fixture_dir, fixture_tcti, fixture_tcti);
	size_t len = read_bytes("ek.pem", bytes, sizeof(bytes));
	assert_int_equal(ek_pin_decode(bytes, len, &pin, error), 0);
	assert_int_equal(pin.public_len, 0);
	assert_int_equal(ek_pin_matches(&pin, &other), 1);
	assert_int_equal(ek_pin_matches(&pin, &ek), 0);

	sh("cd %s && openssl ec -pubin -in ek.pem -conv_form compressed -out compressed.pem "
	   "2>/dev/null",
		fixture_dir);
	len = read_bytes("compressed.pem", bytes, sizeof(bytes));
	assert_int_equal(ek_pin_decode(bytes, len, &pin, error), 0);
	assert_int_equal(ek_pin_matches(&pin, &other), 1);

	assert_int_equal(ek_pin_decode(bytes, len / 2, &pin, error), -EBADMSG);
	assert_int_equal(ek_pin_decode(bytes, 0, &pin, error), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(kdfa_gives_the_known_answers),
		cmocka_unit_test(a_tpm_opens_what_was_made_for_its_ek_and_ak),
		cmocka_unit_test(a_tpm_opens_nothing_for_another_ak_or_ek),
		cmocka_unit_test(two_credentials_of_a_secret_have_nothing_in_common),
		cmocka_unit_test(an_ek_is_of_a_template_bit_for_bit),
		cmocka_unit_test(what_an_operator_pins_is_found_again),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
