/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs in processes of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/worker.h"

enum { JOBS = 6, LONG = 1 << 20 };

struct seen {
	size_t count;
	size_t len[JOBS];
	int status[JOBS];
	char first[JOBS];
};

static void take(void *arg, size_t index, int status, const char *answer, size_t len)
{
	struct seen *seen = arg;

	assert_int_equal(index, seen->count);
	seen->len[index] = len;
	seen->status[index] = status;
	seen->first[index] = len ? answer[0] : '\0';
	seen->count++;
}

static void run(struct seen *seen, size_t parallel, void (*job)(void *, size_t, int))
{
	const struct worker_jobs jobs = {
		.count = JOBS, .parallel = parallel, .arg = seen, .job = job, .taken = take
	};

	*seen = (struct seen){ 0 };
	assert_int_equal(workers_run(&jobs), 0);
	assert_int_equal(seen->count, JOBS);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

/* The first ends last. */
static void say_letter(void *, size_t index, int fd)
{
	const char letter = (char)('a' + index);

	usleep((useconds_t)(JOBS - index) * 5000);
	if (write(fd, &letter, 1) != 1)
		_exit(1);
}

static void answers_come_in_the_order_of_the_jobs(void **)
{
	static const size_t parallel[] = { 1, 2, JOBS, 2 * JOBS };
	struct seen seen;

	for (size_t i = 0; i < sizeof(parallel) / sizeof(parallel[0]); i++) {
		run(&seen, parallel[i], say_letter);
		assert_memory_equal(seen.first, "abcdef", JOBS);
	}
}

static void say_much(void *, size_t, int fd)
{
	char *bytes = calloc(1, LONG);
	size_t at = 0;

	while (bytes && at < LONG) {
		ssize_t n = write(fd, bytes + at, LONG - at);
		if (n < 0)
			_exit(1);
		at += (size_t)n;
	}
	free(bytes);
}

static void a_long_answer_comes_whole(void **)
{
	struct seen seen;

	run(&seen, 3, say_much);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(seen.len[i], LONG);
}

static void die(void *, size_t index, int fd)
{
	if (write(fd, "half of it", 10) != 10)
		_exit(1);
	if (index == 1)
		kill(getpid(), SIGKILL);
	if (index == 2)
		_exit(3);
}

static void one_that_dies_has_said_nothing(void **)
{
	struct seen seen;

	run(&seen, 2, die);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(seen.len[i], i == 1 || i == 2 ? 0 : 10);
	assert_true(WIFSIGNALED(seen.status[1]));
	assert_int_equal(WEXITSTATUS(seen.status[2]), 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_in_the_order_of_the_jobs),
		cmocka_unit_test(a_long_answer_comes_whole),
		cmocka_unit_test(one_that_dies_has_said_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
