/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process in the attestation server's sandbox cannot do any more. Needs root, to give it up. */
#include "agent/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REFUSED = 200, WITHOUT = 201 };

static char dir[] = "/tmp/bpfmeasure-sandbox.XXXXXX";
static char database[128], secret[128];
static int listener = -1;

static void file_put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
}

static int set_up(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(secret, sizeof(secret), "%s/secret", dir);
	snprintf(database, sizeof(database), "%s/log", dir);
	assert_int_equal(mkdir(database, 0755), 0);
	strcat(database, "/log.db");
	file_put(database);
	file_put(secret);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(listener);
	unlink(database);
	unlink(secret);
	*strrchr(database, '/') = '\0';
	rmdir(database);
	return rmdir(dir);
}

/* What a process does in the sandbox: its errno or 0, or minus the signal that ended it. */
static int as_user(const char *user, int (*act)(void))
{
	const struct sandbox_options options = {
		.user = user, .group = "nogroup", .database = database, .is_required = true
	};
	char error[SANDBOX_ERROR_MAX] = "";
	struct sandbox_held held;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (sandbox_enter(&options, &held, error))
			_exit(REFUSED);
		_exit(held.landlock > 0 && held.seccomp ? act() : WITHOUT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int in_sandbox(int (*act)(void))
{
	return as_user("nobody", act);
}

static int result(long r)
{
	return r < 0 ? errno : 0;
}

/* ---- what is tried ---- */

static int read_file(const char *path)
{
	char text[4];
	int fd = open(path, O_RDONLY);

	return fd < 0 ? errno : read(fd, text, sizeof(text)) == sizeof(text) ? 0 : EIO;
}

static int read_log(void)
{
	return read_file(database);
}

static int read_random(void)
{
	return read_file("/dev/urandom");
}

static int read_other_file(void)
{
	return read_file(secret);
}

static int read_own_memory_file(void)
{
	return read_file("/proc/self/mem");
}

static int write_log(void)
{
	return result(open(database, O_RDWR));
}

static int make_file(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s-new", database);
	return result(open(path, O_WRONLY | O_CREAT, 0600));
}

static int remove_log(void)
{
	return result(unlink(database));
}

static int accept_none(void)
{
	return result(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
}

static int make_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int start_process(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int signal_parent(void)
{
	return result(kill(getppid(), 0));
}

static int run_program(void)
{
	return result(execl("/bin/true", "true", NULL));
}

static int become_root(void)
{
	return result(syscall(SYS_setuid, 0));
}

static int load_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int trace_parent(void)
{
	return result(syscall(SYS_ptrace, 0, 0, 0, 0));
}

/* ---- tests ---- */

static void the_log_can_be_read_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(read_log), 0);
	assert_int_equal(in_sandbox(read_random), 0);
	assert_int_equal(in_sandbox(read_other_file), EACCES);
	assert_int_equal(in_sandbox(read_own_memory_file), EACCES);
}

static void nothing_can_be_written(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(write_log), ENOSYS);
	assert_int_equal(in_sandbox(make_file), ENOSYS);
	assert_int_equal(in_sandbox(remove_log), ENOSYS);
}

static void it_listens_and_does_not_call(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(accept_none), EAGAIN);
	assert_int_equal(in_sandbox(make_socket), ENOSYS);
}

static void it_is_alone(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(start_process), ENOSYS);
	assert_int_equal(in_sandbox(signal_parent), ENOSYS);
}

static void what_only_an_intruder_does_ends_it(void **state)
{
	(void)state;
	assert_int_equal(in_sandbox(run_program), -SIGSYS);
	assert_int_equal(in_sandbox(become_root), -SIGSYS);
	assert_int_equal(in_sandbox(load_bpf), -SIGSYS);
	assert_int_equal(in_sandbox(trace_parent), -SIGSYS);
}

static void its_user_is_there_and_not_root(void **state)
{
	(void)state;
	assert_int_equal(as_user("root", read_log), REFUSED);
	assert_int_equal(as_user("nobody-of-that-name", read_log), REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_can_be_read_and_nothing_else),
		cmocka_unit_test(nothing_can_be_written),
		cmocka_unit_test(it_listens_and_does_not_call),
		cmocka_unit_test(it_is_alone),
		cmocka_unit_test(what_only_an_intruder_does_ends_it),
		cmocka_unit_test(its_user_is_there_and_not_root),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
