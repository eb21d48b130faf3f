/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs in processes of their own, several at a time: what a job reads was written by others, and if it
 * dies of it the rest goes on.
 */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include <stddef.h>

enum { WORKER_ANSWER_MAX = 64 * 1024 * 1024 };

/*
 * job    runs in a process of its own and writes its answer to fd. The process ends when it returns.
 * taken  gets the answers, in the order of the jobs, as soon as those before are there; len 0 where the
 *        process died (status is as of waitpid(2)) or said too much.
 */
struct worker_jobs {
	size_t count;
	size_t parallel; /* at a time, from 1 */
	void *arg;
	void (*job)(void *arg, size_t index, int fd);
	void (*taken)(void *arg, size_t index, int status, const char *answer, size_t len);
};

/* All of them. Returns 0; a negative errno where processes cannot be made: then those that had begun
 * were taken and the rest was not. */
[[nodiscard]] int workers_run(const struct worker_jobs *jobs);

#endif
