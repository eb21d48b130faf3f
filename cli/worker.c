/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	pid_t pid;
	int fd; /* of the answer; -1: it has ended */
	int status;
	char *answer;
	size_t len, size;
};

/* ---- one ---- */

static int start(const struct worker_jobs *jobs, size_t index, struct worker *worker)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC)) /* the caller may run other programs meanwhile */
		return -errno;
	fflush(NULL); /* what is written here is not to be written there once more */
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		jobs->job(jobs->arg, index, fds[1]);
		_exit(0);
	}
	int err = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (err) {
		close(fds[0]);
		return err;
	}
	*worker = (struct worker){ .pid = pid, .fd = fds[0] };
	return 0;
}

static void end(struct worker *worker)
{
	close(worker->fd);
	worker->fd = -1;
	while (waitpid(worker->pid, &worker->status, 0) < 0 && errno == EINTR)
		;
	if (worker->status)
		worker->len = 0;
}

/* Room for more of the answer; where there is none the worker has said too much. */
static int grow(struct worker *worker)
{
	size_t size = worker->size ? 2 * worker->size : 4096;
	char *answer = size > WORKER_ANSWER_MAX ? NULL : realloc(worker->answer, size);

	if (!answer)
		return -ENOMEM;
	worker->answer = answer;
	worker->size = size;
	return 0;
}

static void take(struct worker *worker)
{
	ssize_t n = -1;

	if (worker->len < worker->size || !grow(worker)) {
		n = read(worker->fd, worker->answer + worker->len, worker->size - worker->len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
	}
	if (n > 0) {
		worker->len += (size_t)n;
		return;
	}
	if (n < 0)
		worker->len = 0;
	end(worker);
}

/* ---- all ---- */

struct pool {
	const struct worker_jobs *jobs;
	struct worker *workers; /* by index */
	struct pollfd *polls; /* of those that run */
	size_t *running; /* their indices */
	size_t running_count;
	size_t started, taken;
};

static void pool_done(struct pool *pool)
{
	free(pool->workers);
	free(pool->polls);
	free(pool->running);
}

static void wait_for_some(struct pool *pool)
{
	size_t left = 0;

	for (size_t i = 0; i < pool->running_count; i++)
		pool->polls[i] = (struct pollfd){ .fd = pool->workers[pool->running[i]].fd,
			.events = POLLIN };
	if (poll(pool->polls, pool->running_count, -1) < 0)
		return;
	for (size_t i = 0; i < pool->running_count; i++) {
		struct worker *worker = &pool->workers[pool->running[i]];
		if (pool->polls[i].revents)
			take(worker);
		if (worker->fd >= 0)
			pool->running[left++] = pool->running[i];
	}
	pool->running_count = left;
}

static void hand_out(struct pool *pool)
{
	for (; pool->taken < pool->started && pool->workers[pool->taken].fd < 0; pool->taken++) {
		struct worker *worker = &pool->workers[pool->taken];
		pool->jobs->taken(
			pool->jobs->arg, pool->taken, worker->status, worker->answer, worker->len);
		free(worker->answer);
	}
}

int workers_run(const struct worker_jobs *jobs)
{
	[[gnu::cleanup(pool_done)]] struct pool pool = {
		.jobs = jobs,
		.workers = calloc(jobs->count, sizeof(*pool.workers)),
		.polls = calloc(jobs->parallel, sizeof(*pool.polls)),
		.running = calloc(jobs->parallel, sizeof(*pool.running)),
	};
	int err = 0;

	if (!pool.workers || !pool.polls || !pool.running)
		return -ENOMEM;
	while (pool.running_count || (pool.started < jobs->count && !err)) {
		while (!err && pool.started < jobs->count && pool.running_count < jobs->parallel) {
			err = start(jobs, pool.started, &pool.workers[pool.started]);
			if (!err)
				pool.running[pool.running_count++] = pool.started++;
		}
		if (pool.running_count)
			wait_for_some(&pool);
		hand_out(&pool);
	}
	return err;
}
