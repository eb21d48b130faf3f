/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The faults of a TPM and of the way to it, by tests/tools/tpm-proxy in front of a real software TPM:
 * each has the class that tpm.h says, and after it the PCR tells what happened.
 */
#include "tests/unit/ek_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { PCR = 13, HANDLE = 0x81020001, LIMIT_MS = 300, DROPS = 1000 };

static const uint8_t nonce[SHA256_LEN] = "thirty-two bytes of a nonce.....";
static char proxy_tcti[SWTPM_TCTI_MAX];
static FILE *proxy;

/* Lines for the proxy, which must take them. */
[[gnu::format(printf, 1, 2)]] static void tell(const char *format, ...)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char line[128], answer[128];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[len++] = '\n';
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", fixture_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, line, (size_t)len), len);
	assert_int_equal(read(fd, answer, sizeof(answer)), 3);
	assert_memory_equal(answer, "ok\n", 3);
	close(fd);
}

static int setup(void **state)
{
	char command[512], control[128];

	if (fixture_setup(state) < 0)
		return -1;
	snprintf(proxy_tcti, sizeof(proxy_tcti), "swtpm:path=%s/proxy.sock", fixture_dir);
	snprintf(command, sizeof(command),
		"exec tests/tools/tpm-proxy --listen %1$s/proxy.sock --to %1$s/tpm.sock "
		"--control %1$s/control --log %1$s/proxy.log --stdin",
		fixture_dir);
	snprintf(control, sizeof(control), "%s/control", fixture_dir);
	proxy = popen(command, "we");
	for (int i = 0; i < 500 && access(control, F_OK) < 0; i++)
		usleep(10000);
	usleep(50000); /* between bind(2) and listen(2) */
	return proxy ? 0 : -1;
}

static int teardown(void **state)
{
	return pclose(proxy) | fixture_teardown(state);
}

static struct tpm *connected_by_proxy(void)
{
	struct tpm *tpm = tpm_new();

	assert_non_null(tpm);
	tell("pass");
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	tpm_set_timeout(tpm, LIMIT_MS);
	return tpm;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* What the proxy wrote of the last TPM2_PCR_Extend. */
static bool log_says_executed(void)
{
	const char *line = sh("grep '\"cc\": \"0x182\"' %s/proxy.log | tail -1", fixture_dir);

	assert_non_null(strstr(line, "\"executed\": "));
	return strstr(line, "\"executed\": true");
}

static void a_lost_extend_is_found_by_reading_the_pcr(void **)
{
	static const struct {
		const char *rule;
		bool executed, waits;
	} faults[] = {
		{ "drop-command", false, false },
		{ "drop-answer", true, false },
		{ "swallow", false, true },
		{ "swallow-answer", true, true },
		{ "truncate 0", true, false },
		{ "truncate 9", true, false },
		{ "truncate 18", true, false },
		{ "garble 2", true, false }, /* the length: larger than any answer */
		{ "garble 5", true, true }, /* and one that does not come */
		{ "delay 600", true, true },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
		struct bank_values digests = digests_of("x"), expected;

		assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
		if (faults[i].executed)
			fold(&expected, tpm_banks(tpm, PCR), &digests);
		tell("%s next 1 cc 0x182", faults[i].rule);
		long long began = now_ms();
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
		long long took = now_ms() - began;
		assert_in_range(took, faults[i].waits ? LIMIT_MS : 0, 4 * LIMIT_MS);
		assert_true((strstr(tpm_errmsg(tpm), "no answer within 300 ms") != NULL) ==
			faults[i].waits);
		tpm_set_timeout(tpm, TPM_TIMEOUT_MS);
		assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
		assert_pcr(tpm, PCR, &expected);
		assert_int_equal(log_says_executed(), faults[i].executed);
	}
}

static void no_command_of_connecting_or_of_the_ak_waits_for_ever(void **)
{
	static const char *const rules[] = { "swallow", "swallow-answer" };

	for (int i = 0; i < 2; i++)
		for (int after = 0;; after++) {
			[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
			long long began = now_ms();

			sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x 2>&1 || true", fixture_tcti,
				(unsigned)HANDLE);
			tpm_set_timeout(tpm, LIMIT_MS);
			tell("pass");
			tell("%s after %d", rules[i], after);
			int r = tpm_connect(tpm, proxy_tcti);
			if (r == 0)
				r = tpm_ak_open(tpm, HANDLE);
			/* One more than the limit: a key that is not stored is flushed first. */
			assert_in_range(now_ms() - began, 0, 8 * LIMIT_MS);
			if (r == 0 && after > 5)
				break;
			assert_int_equal(r, -ENODEV);
			tell("pass");
			assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
		}
}

/* One command of an activation meddled with. Returns its result. */
static int meddled_activation(
	const char *rule, const struct tpm_ek *ek, const struct credential *credential)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	uint8_t secret[TPM_EK_SECRET_MAX];
	struct tpm_clock clock;

	tell("%s", rule);
	long long began = now_ms();
	int r = activate(tpm, ek, credential, secret);
	assert_in_range(now_ms() - began, 0, 4 * LIMIT_MS);
	tell("pass");
	assert_int_equal(tpm_clock_read(tpm, &clock), r == -ENODEV ? -ENODEV : 0);
	if (r == -ENODEV)
		assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_loaded("");
	return r;
}

static void an_activation_that_breaks_anywhere_leaves_nothing_in_the_tpm(void **)
{
	static const struct {
		const char *rule;
		int error;
	} faults[] = {
		{ "drop-command", -ENODEV },
		{ "drop-answer", -ENODEV },
		{ "refuse 0x120", -EIO },
	};
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct tpm_ek eks[TPM_EK_COUNT];

	assert_int_equal(tpm_ek_find(tpm, eks), 2);
	eks[1] = made(tpm, TPM_EK_ECC256_L2);
	for (int i = 0; i < 2; i++) {
		struct credential credential = credential_for(&eks[i], tpm);

		for (size_t fault = 0; fault < sizeof(faults) / sizeof(faults[0]); fault++) {
			int after = 0, r;

			do {
				char rule[64];

				snprintf(rule, sizeof(rule), "%s next 1 after %d",
					faults[fault].rule, after++);
				r = meddled_activation(rule, &eks[i], &credential);
				if (r < 0)
					assert_int_equal(r, faults[fault].error);
			} while (r < 0);
			assert_in_range(after, 7, 12); /* there are about so many */
		}
	}
}

static void an_activation_without_an_answer_ends(void **)
{
	static const char *const commands[] = { "0x131", "0x147", "0x165" };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);

	for (int i = 0; i < 3; i++) {
		char rule[64];

		snprintf(rule, sizeof(rule), "swallow-answer next 1 cc %s", commands[i]);
		assert_int_equal(meddled_activation(rule, &ek, &credential), -ENODEV);
	}
}

/* Killed with everything loaded that an activation loads. */
static void what_a_killed_activation_left_is_flushed_by_the_next(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct tpm_ek ek = made(tpm, TPM_EK_ECC256_L2);
	struct credential credential = credential_for(&ek, tpm);
	uint8_t secret[TPM_EK_SECRET_MAX];

	tell("swallow cc 0x147");
	tpm_set_timeout(tpm, TPM_TIMEOUT_MS);
	pid_t child = fork();
	if (child == 0)
		_exit(activate(tpm, &ek, &credential, secret) < 0);
	sh("for i in $(seq 100); do tpm2_getcap -T %s handles-loaded-session | grep -q 0x3 && exit 0; "
	   "sleep 0.02; done; exit 1",
		fixture_tcti);
	assert_string_not_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);

	tell("pass");
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_loaded("");
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_int_equal(activate(tpm, &ek, &credential, secret), SECRET_LEN);
}

static void a_refusal_names_what_the_operator_can_do(void **)
{
	static const struct {
		uint32_t code;
		int error;
		const char *remedy;
	} refusals[] = {
		{ 0x100, -ESTALE, "tpm2_startup" },
		{ 0x101, -EHWPOISON, "reboot" },
		{ 0x902, -ENOSPC, "tpm2_flushcontext" },
		{ 0x903, -ENOSPC, "tpm2_flushcontext" },
		{ 0x921, -EPERM, "tpm2_dictionarylockout" },
		{ 0x9a2, -EACCES, "tpm2_changeauth" },
		{ 0x922, -EAGAIN, "TPM2_PCR_Extend" },
		{ 0x120, -EIO, "TPM2_PCR_Extend" },
	};
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), before;

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &before));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		tell("refuse %u cc 0x182", refusals[i].code);
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), refusals[i].error);
		assert_non_null(strstr(tpm_errmsg(tpm), refusals[i].remedy));
		tell("pass");
		assert_pcr(tpm, PCR, &before);
	}
}

static void four_refusals_to_retry_are_retried(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), expected;

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
	fold(&expected, tpm_banks(tpm, PCR), &digests);
	tell("refuse 0x922 next 4 cc 0x182");
	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_pcr(tpm, PCR, &expected);
}

static void failure_mode_lasts_until_the_reset(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), values;
	struct tpm_quote quote;
	struct tpm_clock clock;

	tell("refuse 0x101");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -EHWPOISON);
		assert_int_equal(tpm_pcr_read(tpm, PCR, &values), -EHWPOISON);
		assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -EHWPOISON);
		assert_int_equal(tpm_clock_read(tpm, &clock), -EHWPOISON);
		assert_int_equal(tpm_connect(tpm, proxy_tcti), -EHWPOISON);
		tell("pass");
		assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
		assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
		tell("refuse 0x101");
	}
	tell("pass");
	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
}

static void a_tpm_that_went_away_is_found_when_it_is_back(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), values;

	tell("gone");
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
	assert_non_null(strstr(tpm_errmsg(tpm), "proxy.sock: Connection refused"));
	assert_int_equal(tpm_connect(tpm, proxy_tcti), -ENODEV);
	tell("back");
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
}

/* Of 1,000 answers of an AK that is made anew each time: what stays behind would be three keys. */
static void a_thousand_lost_answers_leave_no_slot_taken(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_by_proxy();
	struct bank_values digests = digests_of("x"), expected;
	int lost = 0, moved = 0;

	tpm_set_timeout(tpm, TPM_TIMEOUT_MS);
	sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x", fixture_tcti, (unsigned)HANDLE);
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti); /* the AK is transient */
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
	tell("drop-answer chance 0.2");
	while (lost < (int)DROPS) {
		struct bank_values before = expected, now;
		struct tpm_quote quote;
		int r = tpm_pcr_extend(tpm, PCR, &digests);

		fold(&expected, tpm_banks(tpm, PCR), &digests);
		if (r == 0)
			r = tpm_quote(tpm, PCR, nonce, &quote);
		while (r < 0) {
			/* -ENOENT: no AK yet, after connecting. */
			assert_true(r == -ENODEV || r == -ENOENT);
			lost += r == -ENODEV;
			r = tpm_connect(tpm, proxy_tcti);
			if (r == 0)
				r = tpm_ak_open(tpm, HANDLE);
			if (r == 0)
				r = tpm_pcr_read(tpm, PCR, &now);
			if (r < 0)
				continue;
			moved += memcmp(&now, &before, sizeof(now)) != 0;
			assert_memory_equal(&now, &expected, sizeof(now)); /* executed, all */
		}
	}
	assert_true(moved > 0);
	tell("pass");
	assert_ok(tpm, tpm_connect(tpm, proxy_tcti));
	assert_pcr(tpm, PCR, &expected);
	assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	assert_string_equal(
		sh("grep -c '\"rc\": \"0x90[2-6]\"' %s/proxy.log || true", fixture_dir), "0\n");
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_extend_is_found_by_reading_the_pcr),
		cmocka_unit_test(no_command_of_connecting_or_of_the_ak_waits_for_ever),
		cmocka_unit_test(an_activation_that_breaks_anywhere_leaves_nothing_in_the_tpm),
		cmocka_unit_test(an_activation_without_an_answer_ends),
		cmocka_unit_test(what_a_killed_activation_left_is_flushed_by_the_next),
		cmocka_unit_test(a_refusal_names_what_the_operator_can_do),
		cmocka_unit_test(four_refusals_to_retry_are_retried),
		cmocka_unit_test(failure_mode_lasts_until_the_reset),
		cmocka_unit_test(a_tpm_that_went_away_is_found_when_it_is_back),
		cmocka_unit_test(a_thousand_lost_answers_leave_no_slot_taken),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
