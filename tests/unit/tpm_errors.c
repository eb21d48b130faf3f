/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the TPM and the way to it can do to us, done on purpose: a proxy in front of the software
 * TPM that answers a command itself, swallows it, or swallows its answer.
 */
#include "tests/unit/ek_fixture.h"
#include "tests/unit/tpm_peer.h"

#include <stdatomic.h>
#include <threads.h>

enum { PCR = 13, HANDLE = 0x81020001 };

/* TPM 2.0 Library, Part 2, 6.5.2 "TPM_CC Listing". */
enum {
	CC_EVICT = 0x120,
	CC_CREATE_PRIMARY = 0x131,
	CC_ACTIVATE_CREDENTIAL = 0x147,
	CC_QUOTE = 0x158,
	CC_FLUSH = 0x165,
	CC_READ_PUBLIC = 0x173,
	CC_GET_CAPABILITY = 0x17a,
	CC_PCR_READ = 0x17e,
	CC_PCR_EXTEND = 0x182,
};

enum meddling {
	PASS,
	ANSWER, /* with the code, without asking the TPM */
	DROP_COMMAND, /* close before the TPM saw it */
	DROP_ANSWER, /* close after the TPM executed it */
	CUT_ANSWER, /* half of it */
	BABBLE, /* something that is not an answer */
	ONE_BANK, /* TPM2_PCR_Read of the first bank only */
	ONE_BANK_MOVES, /* and somebody extends after each of the first few */
	LISTEN, /* keep the answer */
	SM3, /* TPM_CAP_PCRS: SM3_256 where SHA-384 is allocated */
};

static struct {
	atomic_int meddling;
	atomic_uint command; /* the command code meddled with */
	atomic_uint code;
	atomic_int seen; /* how often it was sent */
	size_t heard_len;
	uint8_t heard[4096];
} proxy;

static char proxy_tcti[SWTPM_TCTI_MAX];
static int proxy_fd = -1;

/* Somebody else extends PCR 10, which moves the PCR update counter. */
static void extend_something(void)
{
	uint8_t buffer[4096] = { 0x80, 0x02, 0, 0, 0, 65, 0, 0, 0x01, 0x82, 0, 0, 0, 10, 0, 0, 0, 9,
		0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b };

	ask(buffer, 65);
}

/* Returns what is left to send back; 0 closes. */
static size_t meddle(uint8_t buffer[static 4096], size_t len)
{
	int meddling = get32(buffer + 6) == proxy.command ? proxy.meddling : PASS;

	if (get32(buffer + 6) == proxy.command)
		proxy.seen++;
	switch (meddling) {
	case ANSWER:
		memcpy(buffer, "\x80\x01\x00\x00\x00\x0a", 6);
		put32(buffer + 6, proxy.code);
		return 10;
	case DROP_COMMAND:
		return 0;
	case DROP_ANSWER:
		ask(buffer, len);
		return 0;
	case CUT_ANSWER:
		return ask(buffer, len) / 2;
	case BABBLE:
		ask(buffer, len);
		memset(buffer, 0xff, 64);
		memcpy(buffer, "\x80\x02\x00\x00\x00\x40\x00\x00\x00\x00", 10);
		return 64;
	case ONE_BANK:
	case ONE_BANK_MOVES:
		put32(buffer + 2, 20);
		put32(buffer + 10, 1);
		len = ask(buffer, 20);
		if (meddling == ONE_BANK_MOVES && proxy.seen < 4)
			extend_something();
		return len;
	case LISTEN:
		len = proxy.heard_len = ask(buffer, len);
		memcpy(proxy.heard, buffer, len);
		return len;
	case SM3:
		len = ask(buffer, len);
		for (size_t i = 19; i + 6 <= len && get32(buffer + 11) == 5; i += 6)
			if (buffer[i + 1] == 0x0c)
				buffer[i + 1] = 0x12;
		return len;
	default:
		return ask(buffer, len);
	}
}

static int serve(void *)
{
	for (;;) {
		uint8_t buffer[4096];
		int fd = accept4(proxy_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return 0;
		size_t len = receive(fd, buffer);
		if (len)
			len = meddle(buffer, len);
		if (len)
			send(fd, buffer, len, MSG_NOSIGNAL);
		close(fd);
	}
}

static thrd_t server;

static int setup(void **state)
{
	if (fixture_setup(state) < 0)
		return -1;

	struct sockaddr_un address = address_of("proxy.sock");
	proxy_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(proxy_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(proxy_fd, 4) < 0)
		return -1;
	sh("ln -s tpm.sock.ctrl %s/proxy.sock.ctrl", fixture_dir);
	snprintf(proxy_tcti, sizeof(proxy_tcti), "swtpm:path=%s/proxy.sock", fixture_dir);
	return thrd_create(&server, serve, NULL) == thrd_success ? 0 : -1;
}

static int teardown(void **state)
{
	shutdown(proxy_fd, SHUT_RDWR);
	thrd_join(server, NULL);
	close(proxy_fd);
	return fixture_teardown(state);
}

static void arrange(enum meddling meddling, uint32_t command, uint32_t code)
{
	proxy.meddling = meddling;
	proxy.command = command;
	proxy.code = code;
	proxy.seen = 0;
}

static struct tpm *connected_by_proxy(void)
{
	struct tpm *tpm = tpm_new();

	arrange(PASS, 0, 0);
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	return tpm;
}

static void every_refusal_has_its_class_and_moves_nothing(void **)
{
	static const struct {
		uint32_t code;
		int error, sent;
	} refusals[] = {
		{ 0x922, -EAGAIN, 5 }, /* RETRY */
		{ 0x908, -EAGAIN, 5 }, /* YIELDED */
		{ 0x90a, -EAGAIN, 5 }, /* TESTING */
		{ 0x909, -EAGAIN, 1 }, /* CANCELED */
		{ 0x920, -EAGAIN, 1 }, /* NV_RATE */
		{ 0x923, -EAGAIN, 1 }, /* NV_UNAVAILABLE */
		{ 0x921, -EPERM, 1 }, /* LOCKOUT */
		{ 0x9a2, -EACCES, 1 }, /* BAD_AUTH, session 1 */
		{ 0x98e, -EACCES, 1 }, /* AUTH_FAIL, session 1 */
		{ 0x902, -ENOSPC, 1 }, /* OBJECT_MEMORY */
		{ 0x903, -ENOSPC, 1 }, /* SESSION_MEMORY */
		{ 0x100, -ESTALE, 1 }, /* INITIALIZE */
		{ 0x101, -EHWPOISON, 1 }, /* FAILURE */
		{ 0x907, -EIO, 1 }, /* LOCALITY */
		{ 0x1d5, -EIO, 1 }, /* SIZE, parameter 1 */
		{ 0xc0143, -EIO, 1 }, /* COMMAND_CODE, of the kernel's resource manager */
	};
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), before;
	char code[16];

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &before));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		arrange(ANSWER, CC_PCR_EXTEND, refusals[i].code);
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), refusals[i].error);
		snprintf(code, sizeof(code), "(0x%x)", refusals[i].code);
		assert_non_null(strstr(tpm_errmsg(tpm), code));
		assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_PCR_Extend: "));
		assert_int_equal(proxy.seen, refusals[i].sent);
		assert_pcr(tpm, PCR, &before); /* and still connected */
	}
}

/* After each, the error is the same whether the PCR moved or not: that is why it means unknown. */
static void a_broken_way_means_unknown(void **)
{
	static const struct {
		enum meddling meddling;
		bool moved;
	} cases[] = {
		{ DROP_COMMAND, false },
		{ DROP_ANSWER, true },
		{ CUT_ANSWER, true },
		{ BABBLE, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
		struct bank_values digests = digests_of("x"), expected;

		assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
		if (cases[i].moved)
			fold(&expected, tpm_banks(tpm, PCR), &digests);
		arrange(cases[i].meddling, CC_PCR_EXTEND, 0);
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
		assert_int_equal(proxy.seen, 1); /* nobody repeated it */
		arrange(PASS, 0, 0);
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
		assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
		assert_pcr(tpm, PCR, &expected);
	}
}

static void banks_that_come_one_by_one_are_all_read(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), values;

	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	arrange(ONE_BANK, CC_PCR_READ, 0);
	assert_pcr(tpm, PCR, &values);
	assert_int_equal(proxy.seen, 2);
}

static void a_read_starts_over_when_pcrs_move(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values values;

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	arrange(ONE_BANK_MOVES, CC_PCR_READ, 0);
	assert_pcr(tpm, PCR, &values);
	assert_true(proxy.seen >= 4);
}

static void a_quote_that_breaks_leaves_no_quote(void **)
{
	static const uint8_t nonce[SHA256_LEN];
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct tpm_quote quote = { .attest_len = 7 };

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	arrange(ANSWER, CC_QUOTE, 0x902);
	assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENOSPC);
	assert_int_equal(proxy.seen, 2); /* flushed and tried again, once */
	arrange(CUT_ANSWER, CC_QUOTE, 0);
	assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENODEV);
	assert_int_equal(quote.attest_len, 7);
	arrange(PASS, 0, 0);
	assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENODEV);
}

/* Whatever breaks while the AK is opened: an error, nothing left behind, and the next try works. */
static void opening_the_ak_survives_a_failure_of_any_command(void **)
{
	static const uint32_t commands[] = { CC_READ_PUBLIC, CC_CREATE_PRIMARY, CC_EVICT,
		CC_FLUSH };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		for (enum meddling meddling = DROP_COMMAND; meddling <= CUT_ANSWER; meddling++) {
			[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();

			sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x 2>&1 || true", fixture_tcti,
				(unsigned)HANDLE);
			arrange(meddling, commands[i], 0);
			assert_int_equal(tpm_ak_open(tpm, HANDLE), -ENODEV);
			arrange(PASS, 0, 0);
			assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
			assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
			assert_true(tpm_ak_is_persistent(tpm));
			assert_string_equal(
				sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
		}
	}
}

static void a_bank_that_is_not_ours_is_reported(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();

	assert_int_equal(tpm_foreign_bank(tpm, PCR), 0);
	arrange(SM3, CC_GET_CAPABILITY, 0);
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_int_equal(tpm_banks(tpm, PCR), 1u << BANK_SHA256);
	assert_int_equal(tpm_foreign_bank(tpm, PCR), 0x0012);
}

static void connecting_fails_whole(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values values;

	arrange(ANSWER, CC_GET_CAPABILITY, 0x101);
	assert_int_equal(tpm_connect(tpm, proxy_tcti), -EHWPOISON);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_GetCapability: "));
	arrange(PASS, 0, 0);
	assert_int_equal(tpm_pcr_read(tpm, PCR, &values), -ENODEV);
}

static void a_secret_is_encrypted_on_its_way_from_the_tpm(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	uint8_t secret[TPM_EK_SECRET_MAX];

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	for (int i = 0; i < TPM_EK_COUNT; i++) {
		struct tpm_ek ek;

		if (!make_if_known(tpm, (enum tpm_ek_template)i, &ek))
			continue;
		struct credential credential = credential_for(&ek, tpm);
		arrange(LISTEN, CC_ACTIVATE_CREDENTIAL, 0);
		assert_int_equal(activate(tpm, &ek, &credential, secret), SECRET_LEN);
		assert_in_range(proxy.seen, 1, 5); /* it may have to test itself first */
		assert_true(proxy.heard_len > SECRET_LEN);
		assert_null(memmem(proxy.heard, proxy.heard_len, secret, 8));
		assert_null(memmem(proxy.heard, proxy.heard_len, secret + SECRET_LEN - 8, 8));
	}
}

/* What libtpms says of a credential it cannot decrypt, and what it says in failure mode. */
static void a_credential_that_fails_is_not_a_tpm_that_fails(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	uint8_t secret[TPM_EK_SECRET_MAX];

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);
	arrange(ANSWER, CC_ACTIVATE_CREDENTIAL, 0x101);
	assert_int_equal(activate(tpm, &ek, &credential, secret), -EBADMSG);
	arrange(ANSWER, CC_ACTIVATE_CREDENTIAL, 0xc0101);
	assert_int_equal(activate(tpm, &ek, &credential, secret), -EBADMSG);
	arrange(ANSWER, CC_ACTIVATE_CREDENTIAL, 0x9a2); /* BAD_AUTH, session 1 */
	assert_int_equal(activate(tpm, &ek, &credential, secret), -EACCES);
	arrange(ANSWER, CC_ACTIVATE_CREDENTIAL, 0x18b); /* HANDLE, handle 1 */
	assert_int_equal(activate(tpm, &ek, &credential, secret), -ENOENT);
	arrange(BABBLE, CC_ACTIVATE_CREDENTIAL, 0);
	assert_int_equal(activate(tpm, &ek, &credential, secret), -ENODEV);
	arrange(PASS, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_has_its_class_and_moves_nothing),
		cmocka_unit_test(a_secret_is_encrypted_on_its_way_from_the_tpm),
		cmocka_unit_test(a_credential_that_fails_is_not_a_tpm_that_fails),
		cmocka_unit_test(a_broken_way_means_unknown),
		cmocka_unit_test(banks_that_come_one_by_one_are_all_read),
		cmocka_unit_test(a_read_starts_over_when_pcrs_move),
		cmocka_unit_test(a_quote_that_breaks_leaves_no_quote),
		cmocka_unit_test(opening_the_ak_survives_a_failure_of_any_command),
		cmocka_unit_test(a_bank_that_is_not_ours_is_reported),
		cmocka_unit_test(connecting_fails_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
