/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The identity and its proof, by a real software TPM, tpm2-tools and Python. The measurer around them
 * is made up here: what of it they call is below.
 */
#include "agent/identity.h"
#include "agent/measurer.h"

#include "tests/unit/ek_fixture.h"

enum { PCR = 13, HANDLE = 0x81020001 };

static const struct conf conf = { .tpm_pcr = PCR };
static const uint8_t binding[SHA256_LEN] = "the exporter value of a channel.";
static struct measurer measurer;

/* ---- the measurer --------------------------------------------------------------------------- */

static struct {
	bool is_started;
	int fault; /* that was noted */
	uint64_t now_ms;
	uint64_t epoch_seq;
	unsigned drained;
} world;

static const struct record_epoch_facts epoch = { .log_id = { 0x01, 0x23, 0x45 } };

bool measurer_is_started(const struct measurer *)
{
	return world.is_started;
}

bool measurer_is_well(const struct measurer *, enum fault_slot)
{
	return !world.fault;
}

const char *measurer_trouble(const struct measurer *, char buf[static MEASURER_TROUBLE_MAX])
{
	memset(buf, 'x', MEASURER_TROUBLE_MAX - 1);
	buf[MEASURER_TROUBLE_MAX - 1] = '\0';
	return buf;
}

int measurer_fail_tpm(struct measurer *, int err)
{
	return world.fault = err;
}

uint64_t measurer_now_ms(void)
{
	return world.now_ms;
}

int measurer_drain_some(struct measurer *)
{
	world.drained++;
	return 0;
}

uint64_t log_epoch_seq(const struct log *)
{
	return world.epoch_seq;
}

const struct record_epoch_facts *log_epoch(const struct log *)
{
	return &epoch;
}

/* As measurer_tpm_connect() does it. */
static void connect_again(void)
{
	identity_forget(&measurer);
	assert_ok(measurer.tpm, tpm_connect(measurer.tpm, fixture_tcti));
	assert_ok(measurer.tpm, tpm_ak_open(measurer.tpm, HANDLE));
	world.fault = 0;
}

static int measurer_setup(void **)
{
	memset(&measurer, 0, sizeof(measurer));
	memset(&world, 0, sizeof(world));
	world.is_started = true;
	world.now_ms = 1000;
	world.epoch_seq = 1;
	measurer.conf = &conf;
	measurer.tpm = connected();
	assert_ok(measurer.tpm, tpm_ak_open(measurer.tpm, HANDLE));
	return 0;
}

static int measurer_teardown(void **)
{
	tpm_free(measurer.tpm);
	return 0;
}

/* ---- the identity --------------------------------------------------------------------------- */

static void read_identity(void)
{
	char error[IDENTITY_ERROR_MAX], *json;

	if (identity_json(&measurer, &json, error))
		fail_msg("%s", error);
	write_bytes("identity", json, strlen(json));
	free(json);
}

/* Python over the identity, i, in the fixture's directory; prints what it prints. */
static const char *python(const char *script)
{
	return sh(
		"cd %s && python3 -c \"import json,base64,hashlib,hmac; i=json.load(open('identity'))\n"
		"b=base64.b64decode\n%s\" 2>&1",
		fixture_dir, script);
}

static void identity_says_what_the_tpm_has(void **)
{
	read_identity();
	sh("tpm2_readpublic -Q -T %1$s -c 0x%3$x -o %2$s/ak && "
	   "tpm2_readpublic -Q -T %1$s -c 0x81010001 -o %2$s/rsa && "
	   "tpm2_readpublic -Q -T %1$s -c 0x81010016 -o %2$s/p384",
		fixture_tcti, fixture_dir, (unsigned)HANDLE);
	assert_string_equal(
		python("def f(name): return open(name,'rb').read()\n"
		       "assert list(i)==['bpfmeasure','agent','ak','pcr','banks','log_id','software',"
		       "'manufacturer','vendor','eks'], i\n"
		       "assert open('identity').read()==json.dumps(i,separators=(',',':'))\n"
		       "assert b(i['ak'])==f('ak')\n"
		       "assert [e['template'] for e in i['eks']]==['rsa2048-l1','ecc384-h3']\n"
		       "assert [list(e) for e in i['eks']]==[['template','public','certificate']]*2\n"
		       "assert [b(e['public']) for e in i['eks']]==[f('rsa'),f('p384')]\n"
		       "assert [b(e['certificate']) for e in i['eks']]=="
		       "[f('state/ek/ek-rsa2048.crt'),f('state/ek/ek-secp384r1.crt')]\n"
		       "print(i['bpfmeasure'],i['pcr'],i['banks'],i['log_id'],i['software'],"
		       "i['manufacturer'],i['vendor'])"),
		"identity/1 13 ['sha256', 'sha384'] 01234500000000000000000000000000 True "
		"IBM SW   TPM\n");
	assert_loaded("");
}

static void without_a_log_the_log_id_is_null(void **)
{
	world.epoch_seq = 0;
	read_identity();
	assert_string_equal(python("print(i['log_id'])"), "None\n");
}

static void while_nothing_is_measured_there_is_no_identity(void **)
{
	char error[IDENTITY_ERROR_MAX], *json = NULL;
	struct channel_activate_request request = { 0 };
	uint8_t proof[SHA256_LEN];

	world.is_started = false;
	assert_int_equal(identity_json(&measurer, &json, error), -EAGAIN);
	assert_int_equal(strncmp(error, "not measuring: xxx", 18), 0);
	assert_int_equal(identity_activate(&measurer, &request, proof, error), -EAGAIN);
	world.is_started = true;
	world.fault = -EIO;
	assert_int_equal(identity_json(&measurer, &json, error), -EAGAIN);
	world.fault = 0;
	assert_ok(measurer.tpm, tpm_connect(measurer.tpm, fixture_tcti)); /* the AK is not open */
	assert_int_equal(identity_json(&measurer, &json, error), -EAGAIN);
	assert_null(json);
}

/* ---- a credential --------------------------------------------------------------------------- */

static struct channel_activate_request request_for(uint32_t ek)
{
	struct channel_activate_request request = { .ek = ek };
	struct credential credential = credential_for(&measurer.identity.eks[ek], measurer.tpm);

	request.credential_len = (uint16_t)credential.object_len;
	request.secret_len = (uint16_t)credential.secret_len;
	memcpy(request.binding, binding, sizeof(binding));
	memcpy(request.credential, credential.bytes + 8, credential.object_len);
	memcpy(request.secret, credential.bytes + 8 + credential.object_len, credential.secret_len);
	return request;
}

static void assert_refused(const struct channel_activate_request *request, int expected)
{
	char error[IDENTITY_ERROR_MAX] = "";
	uint8_t proof[SHA256_LEN] = { 0 };
	static const uint8_t none[SHA256_LEN];

	assert_int_equal(identity_activate(&measurer, request, proof, error), expected);
	assert_string_not_equal(error, "");
	assert_memory_equal(proof, none, sizeof(none));
}

static void assert_proves(uint32_t ek)
{
	struct channel_activate_request request = request_for(ek);
	uint8_t proof[SHA256_LEN], expected[SHA256_LEN];
	char error[IDENTITY_ERROR_MAX], script[512];

	if (identity_activate(&measurer, &request, proof, error))
		fail_msg("%s", error);
	read_identity();
	write_bytes("binding", binding, sizeof(binding));
	snprintf(script, sizeof(script),
		"def h(x): return hashlib.sha256(b(x)).digest()\n"
		"open('proof','wb').write(hmac.new(open('secret','rb').read(),b'bpfmeasure/activate/1'+"
		"open('binding','rb').read()+h(i['ak'])+h(i['eks'][%u]['public']),'sha256').digest())",
		ek);
	python(script);
	assert_int_equal(read_bytes("proof", expected, sizeof(expected)), SHA256_LEN);
	assert_memory_equal(proof, expected, SHA256_LEN);
}

static void every_ek_of_the_identity_proves_the_secret(void **)
{
	read_identity();
	assert_int_equal(measurer.identity.ek_count, 2);
	assert_proves(0);
	assert_proves(1);
	assert_true(world.drained >= 2); /* before each */
	connect_again(); /* whoever has asked before may answer after */
	struct channel_activate_request request = { .ek = 9 };
	assert_refused(&request, -EINVAL);
	assert_true(measurer.identity.is_known);
	assert_proves(1);
}

static void what_is_wrong_with_a_request_is_no_fault(void **)
{
	read_identity();
	for (uint32_t ek = 0; ek < 2; ek++) {
		struct channel_activate_request good = request_for(ek), bad = good;

		bad.ek = !ek;
		assert_refused(&bad, -EBADMSG);
		bad.ek = 2;
		assert_refused(&bad, -EINVAL);
		bad.ek = UINT32_MAX;
		assert_refused(&bad, -EINVAL);
		bad = good;
		bad.credential[20] ^= 1;
		assert_refused(&bad, -EBADMSG);
		bad = good;
		bad.secret[bad.secret_len - 1] ^= 1;
		assert_refused(&bad, -EBADMSG);
		bad = good;
		bad.credential_len = CHANNEL_CREDENTIAL_MAX + 1;
		assert_refused(&bad, -EBADMSG);
		bad = good;
		bad.secret_len = UINT16_MAX;
		assert_refused(&bad, -EBADMSG);
		bad = good;
		bad.secret_len = bad.credential_len = 0;
		assert_refused(&bad, -EBADMSG);
	}
	assert_int_equal(world.fault, 0);
	assert_loaded("");
	assert_proves(0);
}

static void a_secret_of_another_length_proves_nothing(void **)
{
	read_identity();
	struct channel_activate_request request = request_for(0);
	char hex[2 * TPM_NAME_LEN + 1];
	uint8_t name[TPM_NAME_LEN], bytes[1024];

	tpm_ak_name(measurer.tpm, name);
	to_hex(name, sizeof(name), hex);
	sh("cd %s && head -c 16 secret >short && "
	   "tpm2_makecredential -Q -T none -u ek.pub -s short -n %s -o credential 2>&1",
		fixture_dir, hex);
	size_t len = read_bytes("credential", bytes, sizeof(bytes));
	request.credential_len = (uint16_t)(2 + (bytes[8] << 8 | bytes[9]));
	request.secret_len = (uint16_t)(len - 8 - request.credential_len);
	memcpy(request.credential, bytes + 8, request.credential_len);
	memcpy(request.secret, bytes + 8 + request.credential_len, request.secret_len);
	assert_refused(&request, -EBADMSG);
}

/* ---- EKs that have to be made --------------------------------------------------------------- */

static void an_ek_that_has_to_be_made_is_made_once_a_connection(void **)
{
	evict(0x81010016);
	read_identity();
	assert_int_equal(measurer.identity.ek_count, 2);
	assert_int_equal(measurer.identity.eks[1].handle, 0);
	assert_int_equal(world.drained, 1);
	read_identity();
	assert_int_equal(world.drained, 1);
	assert_proves(1);
	connect_again();
	read_identity();
	assert_int_equal(world.drained, 3);
	assert_loaded("");
}

/* Or everybody who likes to could keep the TPM from measuring. */
static void a_key_that_the_tpm_did_not_answer_over_is_left_alone_for_a_while(void **)
{
	char error[IDENTITY_ERROR_MAX], *json = NULL;

	read_identity();
	struct channel_activate_request request = request_for(1);
	swtpm_kill(fixture_dir);
	assert_refused(&request, -ENODEV);
	assert_int_equal(world.fault, -ENODEV);
	fixture_ensure();
	connect_again();
	read_identity();
	assert_string_equal(python("print([e['template'] for e in i['eks']])"), "['rsa2048-l1']\n");
	assert_proves(0);

	world.now_ms += IDENTITY_SHUN_MS;
	connect_again();
	read_identity();
	assert_string_equal(python("print([e['template'] for e in i['eks']])"),
		"['rsa2048-l1', 'ecc384-h3']\n");

	/* Not where it was something else that had no answer. */
	identity_forget(&measurer);
	swtpm_kill(fixture_dir);
	assert_int_equal(identity_json(&measurer, &json, error), -ENODEV);
	assert_null(json);
	fixture_ensure();
	connect_again();
	read_identity();
	assert_int_equal(measurer.identity.ek_count, 2);
}

static void an_ek_that_the_tpm_refuses_to_make_is_left_out(void **)
{
	sh("tpm2_changeauth -T %s -c e secret", fixture_tcti);
	read_identity();
	assert_string_equal(python("print([e['template'] for e in i['eks']])"), "['rsa2048-l1']\n");
	struct channel_activate_request request = request_for(0);
	assert_refused(&request, -EACCES); /* its policy asks for that value */
	assert_int_equal(world.fault, 0);
	sh("tpm2_changeauth -T %s -c e -p secret", fixture_tcti);
}

static void a_tpm_without_certificates_has_an_ek_all_the_same(void **)
{
	sh("tpm2_nvundefine -Q -T %1$s -C p 0x1c00002 && tpm2_nvundefine -Q -T %1$s -C p 0x1c00016",
		fixture_tcti);
	evict(0x81010001);
	read_identity();
	assert_string_equal(python("print([(e['template'],e['certificate']) for e in i['eks']])"),
		"[('ecc256-l2', None)]\n");
	assert_proves(0);
	assert_loaded("");
}

static void another_endorsement_seed_is_noticed(void **)
{
	read_identity();
	struct channel_activate_request request = request_for(0);

	sh("tpm2_changeeps -T %s", fixture_tcti);
	assert_refused(&request, -ENOKEY);
	assert_false(measurer.identity.is_known);
	connect_again();
	read_identity();
	assert_proves(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, measurer_setup, measurer_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(identity_says_what_the_tpm_has),
		TEST(without_a_log_the_log_id_is_null),
		TEST(while_nothing_is_measured_there_is_no_identity),
		TEST(every_ek_of_the_identity_proves_the_secret),
		TEST(what_is_wrong_with_a_request_is_no_fault),
		TEST(a_secret_of_another_length_proves_nothing),
		TEST(an_ek_that_has_to_be_made_is_made_once_a_connection),
		TEST(a_key_that_the_tpm_did_not_answer_over_is_left_alone_for_a_while),
		TEST(an_ek_that_the_tpm_refuses_to_make_is_left_out),
		TEST(a_tpm_without_certificates_has_an_ek_all_the_same),
		TEST(another_endorsement_seed_is_noticed),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
