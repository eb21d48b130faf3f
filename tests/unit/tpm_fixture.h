/* SPDX-License-Identifier: BSD-2-Clause */
/* A software TPM for a group of tests, gone with its files when the group ends or dies. */
#ifndef TESTS_UNIT_TPM_FIXTURE_H
#define TESTS_UNIT_TPM_FIXTURE_H

#include "tpm/swtpm.h"
#include "tpm/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char fixture_dir[] = "/dev/shm/bpfmeasure-tpm.XXXXXX";
static char fixture_tcti[SWTPM_TCTI_MAX];
static int fixture_alive = -1; /* the guardian waits for its end to close */
static pid_t fixture_guardian;

/* Run a command of the shell, which must succeed; returns what it printed, until the next call. */
[[gnu::format(printf, 1, 2)]] static inline const char *sh(const char *format, ...)
{
	static char output[8192];
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);

	FILE *pipe = popen(command, "re");
	assert_non_null(pipe);
	size_t n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = '\0';
	int status = pclose(pipe);
	if (status != 0)
		fail_msg("%s: status %x: %s", command, (unsigned)status, output);
	return output;
}

/* The process that has the lock on a TPM's state, or 0. */
static inline pid_t swtpm_pid(const char *dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[256];

	snprintf(path, sizeof(path), "%s/state/tpm/.lock", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	int r = fcntl(fd, F_GETLK, &lock);
	close(fd);
	return r == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

static inline void swtpm_kill(const char *dir)
{
	pid_t pid = swtpm_pid(dir);

	if (pid > 0)
		kill(pid, SIGKILL);
	for (int i = 0; i < 1000 && swtpm_pid(dir) == pid && pid > 0; i++)
		usleep(1000);
}

/* Every TPM in the fixture's directory or one below it, then the files. */
static inline void fixture_clean(void)
{
	static const char locks[] = "/state/tpm/.lock";
	char pattern[64], command[64];
	glob_t found;

	for (int depth = 0; depth < 2; depth++) {
		snprintf(pattern, sizeof(pattern), "%s%s%s", fixture_dir, depth ? "/*" : "", locks);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++) {
			found.gl_pathv[i][strlen(found.gl_pathv[i]) - strlen(locks)] = '\0';
			swtpm_kill(found.gl_pathv[i]);
		}
		globfree(&found);
	}
	snprintf(command, sizeof(command), "rm -rf %s", fixture_dir);
	_exit(system(command));
}

static inline void fixture_ensure(void)
{
	char error[SWTPM_ERROR_MAX];

	if (swtpm_ensure(fixture_dir, fixture_tcti, error) < 0)
		fail_msg("%s", error);
}

static inline int fixture_setup(void **)
{
	int ends[2];

	setenv("TSS2_LOG", "all+none", 1);
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(fixture_dir) || pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	fixture_guardian = fork();
	if (fixture_guardian < 0)
		return -1;
	if (fixture_guardian == 0) {
		char byte;

		setsid();
		close(ends[1]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		fixture_clean();
	}
	close(ends[0]);
	fixture_alive = ends[1];
	fixture_ensure();
	return 0;
}

static inline int fixture_teardown(void **)
{
	int status;

	close(fixture_alive);
	return waitpid(fixture_guardian, &status, 0) == fixture_guardian && status == 0 ? 0 : -1;
}

/* A reset as the hardware does it; startup is what firmware does next. */
static inline void fixture_reset(bool startup)
{
	sh("swtpm_ioctl -i --unix %s/tpm.sock.ctrl", fixture_dir);
	if (startup)
		sh("tpm2_startup -T %s -c", fixture_tcti);
}

#define assert_ok(tpm, call)                                                                       \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_ < 0)                                                                        \
			fail_msg("%s: %s: %s", #call, strerror(-r_), tpm_errmsg(tpm));             \
	} while (0)

/* A connected context; the caller frees it. */
static inline struct tpm *connected(void)
{
	struct tpm *tpm = tpm_new();

	assert_non_null(tpm);
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	return tpm;
}

/* H(line) in every bank. */
static inline struct bank_values digests_of(const char *line)
{
	struct bank_values digests = { 0 };

	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		assert_int_equal(bank_hash(bank, line, strlen(line), digests.digest[bank]), 0);
	return digests;
}

/* What an extend should make of values, in some banks. */
static inline void fold(
	struct bank_values *values, bank_set banks, const struct bank_values *digests)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1u << bank)
			assert_int_equal(
				bank_extend(bank, values->digest[bank], digests->digest[bank]), 0);
}

static inline void assert_pcr(struct tpm *tpm, unsigned pcr, const struct bank_values *expected)
{
	struct bank_values values;

	assert_ok(tpm, tpm_pcr_read(tpm, pcr, &values));
	assert_memory_equal(&values, expected, sizeof(values));
}

static inline void to_hex(const uint8_t *bytes, size_t len, char *ret_hex)
{
	for (size_t i = 0; i < len; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
}

static inline void write_bytes(const char *name, const void *bytes, size_t len)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

#endif
