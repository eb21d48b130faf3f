/* SPDX-License-Identifier: BSD-2-Clause */
/* Enrolment of an agent that is made up here, but for its TPM. */
#include "ca_fixture.h"

#include "attest/activation.h"
#include "attest/enrol.h"
#include "attest/identity.h"
#include "tpm/ek.h"

enum { HANDLE = 0x81020001 };

#define MAKER_ROOT         "state/ca/swtpm-localca-rootca-cert.pem"
#define MAKER_INTERMEDIATE "state/ca/issuercert.pem"

/* The agent, and what is wrong with it. */
struct agent {
	struct tpm *tpm;
	size_t ak_len;
	uint8_t ak[EVIDENCE_AK_MAX];
	size_t ek_count;
	struct tpm_ek eks[TPM_EK_COUNT];
	bool software;
	unsigned pcr;
	uint8_t binding[SHA256_LEN]; /* of the verifier's channel */
	bool is_relayed; /* the agent's channel is another */
	int err; /* of every request */
	int identity_status, activate_status; /* 0: 200 */
	unsigned activate_fails; /* bit n: for EK n */
	const char *identity, *proof; /* instead */
	unsigned activations;
};

/* The identity without what is of no interest here. */
static int say_identity(struct agent *agent, FILE *into)
{
	static char buf[CHANNEL_BYTES_MAX];
	struct line line;

	if (agent->identity)
		return fputs(agent->identity, into) < 0 ? -EIO : 200;
	line_init(&line, buf, sizeof(buf));
	line_open_object(&line, NULL);
	line_word(&line, "bpfmeasure", "identity/1");
	line_word(&line, "agent", "0.1.0");
	line_base64(&line, "ak", agent->ak, agent->ak_len);
	line_uint(&line, "pcr", agent->pcr);
	line_open_array(&line, "banks");
	line_word(&line, NULL, "sha256");
	line_close_array(&line);
	line_null(&line, "log_id");
	line_bool(&line, "software", agent->software);
	line_text(&line, "manufacturer", "IBM", 3, 64);
	line_text(&line, "vendor", "SW TPM", 6, 64);
	line_open_array(&line, "eks");
	for (size_t i = 0; i < agent->ek_count; i++) {
		const struct tpm_ek *ek = &agent->eks[i];
		line_open_object(&line, NULL);
		line_word(&line, "template", tpm_ek_name(ek->template));
		line_base64(&line, "public", ek->public, ek->public_len);
		if (ek->certificate_len)
			line_base64(&line, "certificate", ek->certificate, ek->certificate_len);
		line_close_object(&line);
	}
	line_close_array(&line);
	line_close_object(&line);
	fprintf(into, "%.*s\n", (int)line.len, line.buf);
	return agent->identity_status ? agent->identity_status : 200;
}

static const struct line_field activate_fields[] = {
	{ LINE_KEY("ek"), .type = LINE_UINT, .mark = 1, .max = TPM_EK_COUNT },
	{ LINE_KEY("credential"), .type = LINE_BASE64, .mark = 2, .max = CHANNEL_CREDENTIAL_MAX },
	{ LINE_KEY("secret"), .type = LINE_BASE64, .mark = 3, .max = CHANNEL_SECRET_MAX },
	{ 0 },
};

static int say_proof(struct agent *agent, const char *json, FILE *into)
{
	uint8_t credential[CHANNEL_CREDENTIAL_MAX], encrypted[CHANNEL_SECRET_MAX];
	uint8_t secret[TPM_EK_SECRET_MAX], binding[SHA256_LEN], proof[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];
	struct line_value marks[4];
	struct line_error error;

	agent->activations++;
	assert_int_equal(line_check_marked(activate_fields, json, strlen(json), marks, &error), 0);
	size_t index = line_value_uint(marks[1]);
	assert_in_range(index, 0, agent->ek_count - 1);
	size_t credential_len = line_value_base64(marks[2], credential, sizeof(credential));
	size_t encrypted_len = line_value_base64(marks[3], encrypted, sizeof(encrypted));
	if (agent->activate_status || agent->activate_fails & 1u << index) {
		fputs("{\"error\":\"no\"}\n", into);
		return agent->activate_status ? agent->activate_status : 503;
	}
	int len = tpm_ek_activate(agent->tpm, &agent->eks[index], credential, credential_len,
		encrypted, encrypted_len, secret);
	if (len < 0) {
		fprintf(into, "{\"error\":\"%s\"}\n", tpm_errmsg(agent->tpm));
		return len == -EBADMSG ? 400 : 503;
	}
	memcpy(binding, agent->binding, sizeof(binding));
	binding[0] ^= agent->is_relayed;
	assert_int_equal(activation_proof(secret, binding, agent->ak, agent->ak_len,
				 agent->eks[index].public, agent->eks[index].public_len, proof),
		0);
	to_hex(proof, sizeof(proof), hex);
	fprintf(into, "{\"proof\":\"%s\"}\n", agent->proof ? agent->proof : hex);
	return 200;
}

static int request(void *arg, const char *path, const char *json, FILE *into)
{
	struct agent *agent = arg;

	if (agent->err)
		return agent->err;
	if (strcmp(path, "/v1/identity") == 0) {
		assert_null(json);
		return say_identity(agent, into);
	}
	assert_string_equal(path, "/v1/activate");
	return say_proof(agent, json, into);
}

static const uint8_t *binding_of(void *arg)
{
	return ((struct agent *)arg)->binding;
}

static const char *errmsg(void *)
{
	return "web-07:7913: an error";
}

static struct agent agent_of(struct tpm *tpm)
{
	struct agent agent = { .tpm = tpm, .software = true, .pcr = 13, .binding = "a channel" };
	const uint8_t *ak;

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	tpm_ak_public(tpm, &ak, &agent.ak_len);
	memcpy(agent.ak, ak, agent.ak_len);
	int count = tpm_ek_find(tpm, agent.eks);
	assert_int_equal(count, 2);
	agent.ek_count = (size_t)count;
	return agent;
}

/* ---- the verifier ---- */

static struct ek_roots *maker_roots; /* of kind hardware */

static struct enrol_result result; /* of the last one */

static struct enrol_options options_of(struct agent *agent, enum machine_mode mode)
{
	return (struct enrol_options){
		.peer = { agent, request, binding_of, errmsg },
		.name = "web-07",
		.address = "web-07:7913",
		.mode = mode,
		.roots = maker_roots,
		.pcr = 13,
	};
}

static void expect(const struct enrol_options *options, enum enrol_reason reason)
{
	enrol(options, &result);
	if (result.reason != reason)
		fail_msg("%s instead of %s: %s", enrol_reason_name(result.reason),
			enrol_reason_name(reason), result.explanation);
	assert_true(strlen(result.explanation) > 10);
	assert_int_equal(result.explanation[strlen(result.explanation) - 1], '.');
}

static void expect_mode(struct agent *agent, enum machine_mode mode, enum enrol_reason reason)
{
	struct enrol_options options = options_of(agent, mode);

	expect(&options, reason);
}

static int begin(void **state)
{
	char error[EK_ERROR_MAX];

	if (fixture_setup(state))
		return -1;
	ca_folders();
	sh("cp %s/%s %s/%s %s/hardware", fixture_dir, MAKER_ROOT, fixture_dir, MAKER_INTERMEDIATE,
		ca_dir());
	return ek_roots_load(ca_dir(), &maker_roots, error);
}

static int end(void **state)
{
	ek_roots_free(maker_roots);
	return fixture_teardown(state);
}

/* ---- tests ---- */

static void a_machine_is_enrolled_by_its_strongest_certificate(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	agent.software = false;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_OK);
	assert_string_equal(result.template, "ecc384-h3");
	assert_int_equal(result.machine.tpm, MACHINE_HARDWARE);
	assert_int_equal(result.machine.mode, MACHINE_EK_CERT);
	assert_string_equal(result.machine.name, "web-07");
	assert_memory_equal(result.machine.ak, agent.ak, agent.ak_len);
	assert_int_equal(result.machine.ak_len, agent.ak_len);
	assert_memory_equal(result.machine.ek, agent.eks[1].public, agent.eks[1].public_len);
	assert_int_equal(agent.activations, 1);
}

static void another_ek_is_tried_where_one_does_not_do(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	agent.activate_fails = 1u << 1;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_OK);
	assert_string_equal(result.template, "rsa2048-l1");
	assert_int_equal(agent.activations, 2);

	agent = agent_of(tpm);
	agent.eks[1].certificate[agent.eks[1].certificate_len - 1] ^= 1;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_OK);
	assert_string_equal(result.template, "rsa2048-l1");
	agent.eks[0].certificate_len = 0;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_EK_CHAIN);
	agent.eks[1].certificate_len = 0;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_EK_NONE);
}

static void software_is_believed_and_hardware_is_not(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_CERT);

	expect(&options, ENROL_OK);
	assert_int_equal(result.machine.tpm, MACHINE_SOFTWARE);
	options.require_hardware = true;
	expect(&options, ENROL_NOT_HARDWARE);

	agent.software = false;
	expect(&options, ENROL_OK);
	options.mode = MACHINE_FIRST_USE;
	expect(&options, ENROL_NOT_HARDWARE);
	options.require_hardware = false;
	expect(&options, ENROL_OK);
	assert_int_equal(result.machine.tpm, MACHINE_UNPROVEN);
}

static void a_software_tpm_is_labelled_by_its_root(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_CERT);
	struct ek_roots *roots;
	char error[EK_ERROR_MAX];

	sh("mkdir -p %1$s/soft/software && cp %1$s/%2$s %1$s/%3$s %1$s/soft/software", fixture_dir,
		MAKER_ROOT, MAKER_INTERMEDIATE);
	assert_int_equal(ek_roots_load(sh("printf %s/soft", fixture_dir), &roots, error), 0);
	agent.software = false; /* it says */
	options.roots = roots;
	options.require_hardware = true;
	expect(&options, ENROL_NOT_HARDWARE);
	options.require_hardware = false;
	expect(&options, ENROL_OK);
	assert_int_equal(result.machine.tpm, MACHINE_SOFTWARE);
	ek_roots_free(roots);
}

static void a_relay_through_another_channel_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	agent.is_relayed = true;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_PROOF);
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_PROOF);
}

/* A key outside of the TPM, said to be of it: with a public area as it must be. */
static void the_ak_of_another_tpm_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *point = NULL;

	assert_int_equal(EVP_PKEY_get1_encoded_public_key(key, &point), 65);
	memcpy(agent.ak + agent.ak_len - 66, point + 1, 32);
	memcpy(agent.ak + agent.ak_len - 32, point + 33, 32);
	OPENSSL_free(point);
	EVP_PKEY_free(key);
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_PROOF);
	assert_int_equal(agent.activations, 2);
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_PROOF);
}

static void an_ak_that_cannot_attest_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	const struct agent good = agent;

	agent.ak[7] ^= 1; /* restricted */
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_AK_ATTRIBUTES);
	agent = good;
	agent.ak[9] ^= 2; /* fixedTPM */
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_AK_ATTRIBUTES);
	agent = good;
	agent.ak[agent.ak_len - 1] ^= 1; /* off the curve */
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_AK_ATTRIBUTES);
	agent = good;
	memcpy(agent.ak, agent.eks[0].public, sizeof(agent.ak));
	agent.ak_len = sizeof(agent.ak);
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_AK_ATTRIBUTES);

	static const char pem[] = /* P-256, of which nothing else is known */
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
		"6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
		"-----END PUBLIC KEY-----\n";
	memcpy(agent.ak, pem, sizeof(pem) - 1);
	agent.ak_len = sizeof(pem) - 1;
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_AK_ATTRIBUTES);
	assert_int_equal(agent.activations, 0);
}

static void a_pinned_ek_is_the_one_that_is_used(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_PINNED);
	char error[EK_ERROR_MAX];
	struct ek_pin pin;

	agent.software = false;
	assert_int_equal(
		ek_pin_decode(agent.eks[0].public, agent.eks[0].public_len, &pin, error), 0);
	options.ek = &pin;
	options.word = MACHINE_HARDWARE;
	expect(&options, ENROL_OK);
	assert_string_equal(result.template, "rsa2048-l1");
	assert_int_equal(result.machine.tpm, MACHINE_HARDWARE);

	assert_int_equal(
		ek_pin_decode(agent.eks[1].certificate, agent.eks[1].certificate_len, &pin, error),
		0);
	expect(&options, ENROL_OK);
	assert_string_equal(result.template, "ecc384-h3");
	agent.ek_count = 1;
	expect(&options, ENROL_EK_NONE);
}

static void a_pinned_ak_is_the_one_that_answers(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_AK_PINNED);
	char error[AK_ERROR_MAX];
	struct ak pin;

	assert_int_equal(ak_decode(agent.ak, agent.ak_len, &pin, error), 0);
	options.ak = &pin;
	expect(&options, ENROL_OK);
	assert_int_equal(result.machine.ek_len, 0);
	assert_int_equal(agent.activations, 0);
	pin.public.name[5] ^= 1;
	expect(&options, ENROL_AK_UNKNOWN);
	pin.has_name = false; /* from PEM */
	expect(&options, ENROL_OK);
	pin.public.x[0] ^= 1;
	expect(&options, ENROL_AK_UNKNOWN);
}

static void who_comes_first_still_has_both_keys_in_one_tpm(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	agent.eks[0].certificate_len = agent.eks[1].certificate_len = 0;
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_OK);
	assert_int_equal(agent.activations, 1);
	assert_int_equal(result.machine.ek_len, agent.eks[1].public_len);
	agent.ek_count = 0;
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_OK);
	assert_int_equal(agent.activations, 1);
	assert_null(result.template);
}

static void keys_that_somebody_vouched_for_do_not_become_first_use_until_replaced(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_CERT);

	expect(&options, ENROL_OK);
	struct machine known = result.machine;
	options.known = &known;
	options.mode = MACHINE_FIRST_USE;
	expect(&options, ENROL_CHANGED);
	assert_non_null(strstr(result.explanation, "ek-cert"));
	options.replace = true;
	expect(&options, ENROL_OK);
	known = result.machine;
	options.replace = false;
	expect(&options, ENROL_OK);
	options.mode = MACHINE_EK_CERT;
	expect(&options, ENROL_OK);
}

static void other_keys_than_before_are_refused_until_replaced(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_CERT);

	expect(&options, ENROL_OK);
	struct machine known = result.machine, other;
	options.known = &known;
	expect(&options, ENROL_OK);

	other = known;
	other.ak[other.ak_len - 1] ^= 1;
	options.known = &other;
	expect(&options, ENROL_CHANGED);
	assert_non_null(strstr(result.explanation, "AK"));
	options.replace = true;
	expect(&options, ENROL_OK);
	options.replace = false;
	other = known;
	other.ek[other.ek_len - 1] ^= 1;
	expect(&options, ENROL_CHANGED);
	assert_non_null(strstr(result.explanation, "EK"));

	/* A weaker EK that is known goes before a stronger one. */
	other = known;
	memcpy(other.ek, agent.eks[0].public, agent.eks[0].public_len);
	other.ek_len = agent.eks[0].public_len;
	expect(&options, ENROL_OK);
	assert_string_equal(result.template, "rsa2048-l1");
}

static void an_ek_of_no_template_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	agent.eks[0].public[9] ^= 2; /* fixedTPM */
	agent.eks[1].public[9] ^= 2;
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_EK_TEMPLATE);
	expect_mode(&agent, MACHINE_FIRST_USE, ENROL_OK);
	assert_int_equal(result.machine.ek_len, 0);
}

static void answers_that_are_none_are_refused(void **)
{
	static const char *const identities[] = { "", "{}", "no",
		"{\"bpfmeasure\":\"identity/2\"}" };
	static const char *const proofs[] = { "", "00", "\",\"more\":\"" };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);

	for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		agent.identity = identities[i];
		expect_mode(&agent, MACHINE_EK_CERT, ENROL_MALFORMED);
	}
	agent.identity = NULL;
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		agent.proof = proofs[i];
		expect_mode(&agent, MACHINE_EK_CERT, ENROL_MALFORMED);
	}
	agent.proof = "0000000000000000000000000000000000000000000000000000000000000000";
	expect_mode(&agent, MACHINE_EK_CERT, ENROL_PROOF);
}

static void what_was_not_found_out_is_no_refusal(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct agent agent = agent_of(tpm);
	struct enrol_options options = options_of(&agent, MACHINE_EK_CERT);

	agent.err = -ECONNREFUSED;
	expect(&options, ENROL_UNREACHABLE);
	assert_false(enrol_is_refusal(result.reason));
	agent.err = -EPROTO;
	expect(&options, ENROL_CHANNEL);
	agent.err = 0;
	agent.identity_status = 503;
	expect(&options, ENROL_REFUSED);
	agent.identity_status = 0;
	agent.activate_status = 429;
	expect(&options, ENROL_REFUSED);
	assert_false(enrol_is_refusal(result.reason));
	agent.activate_status = 0;
	options.pcr = 12;
	expect(&options, ENROL_PCR);
	assert_true(enrol_is_refusal(result.reason));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_is_enrolled_by_its_strongest_certificate),
		cmocka_unit_test(another_ek_is_tried_where_one_does_not_do),
		cmocka_unit_test(software_is_believed_and_hardware_is_not),
		cmocka_unit_test(a_software_tpm_is_labelled_by_its_root),
		cmocka_unit_test(a_relay_through_another_channel_is_refused),
		cmocka_unit_test(the_ak_of_another_tpm_is_refused),
		cmocka_unit_test(an_ak_that_cannot_attest_is_refused),
		cmocka_unit_test(a_pinned_ek_is_the_one_that_is_used),
		cmocka_unit_test(a_pinned_ak_is_the_one_that_answers),
		cmocka_unit_test(who_comes_first_still_has_both_keys_in_one_tpm),
		cmocka_unit_test(other_keys_than_before_are_refused_until_replaced),
		cmocka_unit_test(
			keys_that_somebody_vouched_for_do_not_become_first_use_until_replaced),
		cmocka_unit_test(an_ek_of_no_template_is_refused),
		cmocka_unit_test(answers_that_are_none_are_refused),
		cmocka_unit_test(what_was_not_found_out_is_no_refusal),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
