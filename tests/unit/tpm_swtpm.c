/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/tpm_fixture.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static int ensure(const char *dir)
{
	char tcti[SWTPM_TCTI_MAX], error[SWTPM_ERROR_MAX] = "";
	int r = swtpm_ensure(dir, tcti, error);

	if (r < 0)
		assert_string_not_equal(error, "");
	return r;
}

static unsigned mode_of(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void it_runs_in_a_session_of_its_own(void **)
{
	pid_t pid = swtpm_pid(fixture_dir);

	assert_true(pid > 0);
	assert_int_not_equal(getsid(pid), getsid(0));
	assert_int_equal(atoi(sh("cat %s/pid", fixture_dir)), pid);
}

static void nobody_else_can_reach_it(void **)
{
	assert_int_equal(mode_of("tpm.sock"), 0600);
	assert_int_equal(mode_of("tpm.sock.ctrl"), 0600);
	assert_int_equal(mode_of("state"), 0700);
	assert_int_equal(mode_of(""), 0700);
}

static void it_inherits_nothing(void **)
{
	pid_t pid = swtpm_pid(fixture_dir);
	const char *environment = sh("tr '\\0' '\\n' </proc/%d/environ | cut -d= -f1 | sort", pid);

	assert_string_equal(environment, "LC_ALL\nPATH\n");
	assert_string_equal(sh("ls -l /proc/%d/fd | grep %s/lock || true", pid, fixture_dir), "");
	assert_string_equal(
		sh("awk '/^SigBlk/ { print $2 }' /proc/%d/status", pid), "0000000000000000\n");
}

static void it_is_not_started_twice(void **)
{
	pid_t pid = swtpm_pid(fixture_dir);

	assert_int_equal(ensure(fixture_dir), 0);
	assert_int_equal(swtpm_pid(fixture_dir), pid);
}

static void killed_it_comes_back_as_the_same_tpm(void **)
{
	uint8_t before[TPM_NAME_LEN], after[TPM_NAME_LEN];
	{
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
		assert_ok(tpm, tpm_ak_open(tpm, 0x81020001));
		tpm_ak_name(tpm, before);
	}
	swtpm_kill(fixture_dir);
	assert_int_equal(ensure(fixture_dir), 0);

	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_ok(tpm, tpm_ak_open(tpm, 0x81020001));
	tpm_ak_name(tpm, after);
	assert_memory_equal(before, after, sizeof(before));
}

static void one_without_its_sockets_is_left_alone(void **)
{
	pid_t pid = swtpm_pid(fixture_dir);

	sh("mv %1$s/tpm.sock %1$s/tpm.moved", fixture_dir);
	assert_int_equal(ensure(fixture_dir), -EBUSY);
	assert_int_equal(swtpm_pid(fixture_dir), pid);
	sh("mv %1$s/tpm.moved %1$s/tpm.sock", fixture_dir);
	assert_int_equal(ensure(fixture_dir), 0);
}

static void one_that_is_stuck_is_given_up(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pid_t pid = swtpm_pid(fixture_dir);
	int waiting[8];
	time_t began = time(NULL);

	assert_non_null(tpm);
	kill(pid, SIGSTOP);
	/* It listens, so it is there; it does not answer. */
	tpm_set_timeout(tpm, 200);
	assert_int_equal(ensure(fixture_dir), 0);
	assert_int_equal(tpm_connect(tpm, fixture_tcti), -ENODEV);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/tpm.sock", fixture_dir);
	for (int i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
	}
	assert_int_equal(tpm_connect(tpm, fixture_tcti), -ENODEV);
	assert_non_null(strstr(tpm_errmsg(tpm), "no answer within 200 ms"));
	assert_int_equal(ensure(fixture_dir), -EBUSY);
	assert_in_range(time(NULL) - began, 0, 10);

	kill(pid, SIGCONT);
	for (int i = 0; i < 8; i++)
		close(waiting[i]);
	assert_int_equal(ensure(fixture_dir), 0);
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
}

static void it_has_ek_certificates_of_its_own_ca(void **)
{
	for (int i = 0; i < 2; i++)
		sh("cd %s/state && openssl x509 -inform DER -in ek/ek-%s.crt -out /dev/stdout | "
		   "openssl verify -ignore_critical "
		   "-CAfile ca/swtpm-localca-rootca-cert.pem -untrusted ca/issuercert.pem 2>&1",
			fixture_dir, i ? "rsa2048" : "secp384r1");
}

static void a_half_made_state_does_not_count(void **)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/half", fixture_dir);
	sh("mkdir -m 0700 -p %1$s/state.new/tpm %1$s/state.new/ca && touch "
	   "%1$s/state.new/tpm/tpm2-00.permall %1$s/state.new/setup.conf",
		dir);
	assert_int_equal(ensure(dir), 0);
	sh("test -e %1$s/state/ek/ek-rsa2048.crt -a ! -e %1$s/state.new", dir);
	swtpm_kill(dir);
}

static void callers_at_once_start_one(void **)
{
	pid_t children[4];
	char dir[64];
	int status;

	snprintf(dir, sizeof(dir), "%s/many", fixture_dir);
	for (size_t i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			char tcti[SWTPM_TCTI_MAX], error[SWTPM_ERROR_MAX];
			_exit(swtpm_ensure(dir, tcti, error) < 0);
		}
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	/* A second one would have taken the sockets and the pid file of the first with it. */
	assert_int_equal(atoi(sh("cat %s/pid", dir)), swtpm_pid(dir));
	assert_int_equal(ensure(dir), 0);
	swtpm_kill(dir);
}

static void a_state_that_swtpm_refuses_is_an_error_with_its_words(void **)
{
	char dir[64], tcti[SWTPM_TCTI_MAX], error[SWTPM_ERROR_MAX];

	snprintf(dir, sizeof(dir), "%s/broken", fixture_dir);
	sh("mkdir -m 0700 -p %1$s/state/tpm && echo junk >%1$s/state/tpm/tpm2-00.permall", dir);
	assert_int_equal(swtpm_ensure(dir, tcti, error), -EIO);
	assert_non_null(strstr(error, "swtpm failed (exit 1)"));
	assert_non_null(strstr(error, "libtpms"));
}

static void a_directory_that_cannot_be_used_is_refused(void **)
{
	char dir[256];

	assert_int_equal(ensure("relative"), -EINVAL);
	assert_int_equal(ensure(""), -EINVAL);
	assert_int_equal(ensure("/tmp/a,mode=0666"), -EINVAL);
	assert_int_equal(ensure("/tmp/a b"), -EINVAL);
	assert_int_equal(ensure("/nonexistent/a"), -ENOENT);

	snprintf(dir, sizeof(dir), "%s/", fixture_dir);
	memset(dir + strlen(dir), 'x', 94 - strlen(dir));
	dir[94] = '\0';
	assert_int_equal(ensure(dir), -ENAMETOOLONG);

	snprintf(dir, sizeof(dir), "%s/open", fixture_dir);
	sh("mkdir -m 0770 %s", dir);
	assert_int_equal(ensure(dir), -EPERM);
	snprintf(dir, sizeof(dir), "%s/link", fixture_dir);
	sh("ln -s /tmp %s", dir);
	assert_true(ensure(dir) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_runs_in_a_session_of_its_own),
		cmocka_unit_test(nobody_else_can_reach_it),
		cmocka_unit_test(it_inherits_nothing),
		cmocka_unit_test(it_is_not_started_twice),
		cmocka_unit_test(killed_it_comes_back_as_the_same_tpm),
		cmocka_unit_test(one_without_its_sockets_is_left_alone),
		cmocka_unit_test(one_that_is_stuck_is_given_up),
		cmocka_unit_test(it_has_ek_certificates_of_its_own_ca),
		cmocka_unit_test(a_half_made_state_does_not_count),
		cmocka_unit_test(callers_at_once_start_one),
		cmocka_unit_test(a_state_that_swtpm_refuses_is_an_error_with_its_words),
		cmocka_unit_test(a_directory_that_cannot_be_used_is_refused),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
