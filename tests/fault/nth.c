// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which call fails. In a program that a test only starts, the environment says so:
 *
 *	BPFMEASURE_NTH=CLASS:N      memory, sqlite, esys, openssl or heap; N 0: none
 *	BPFMEASURE_NTH_FILE=PATH    a file for what came of it: "CALLS NAME", rewritten by the fault and
 *	                            by the end of the program
 */
#include "tests/fault/nth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	_Atomic unsigned classes; /* 0: not armed */
	unsigned long n;
	unsigned variant;
	atomic_ulong calls;
	const char *_Atomic fired;
	unsigned variants;
} state;

static const char *report_path; /* of a program under the environment's orders */

static void report(void)
{
	char text[128];
	int fd = open(report_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int len = snprintf(
		text, sizeof(text), "%lu %s\n", nth_calls(), state.fired ? state.fired : "-");

	if (fd < 0 || write(fd, text, (size_t)len) != len)
		abort();
	close(fd);
}

void nth_arm(unsigned classes, unsigned long n, unsigned variant)
{
	state.n = n;
	state.variant = variant;
	state.calls = 0;
	state.fired = NULL;
	state.variants = 1;
	state.classes = classes;
}

const char *nth_disarm(void)
{
	state.classes = 0;
	return state.fired;
}

unsigned long nth_calls(void)
{
	return state.calls;
}

unsigned nth_variants(void)
{
	return state.variants;
}

bool nth_fails(enum nth_class class, const char *name)
{
	if (!(state.classes & 1U << class) || ++state.calls != state.n)
		return false;
	state.fired = name;
	if (report_path)
		report();
	errno = ENOMEM; /* as malloc() leaves it */
	return true;
}

unsigned nth_variant(unsigned count)
{
	state.variants = count;
	return state.variant % count;
}

/* ---- a program under the environment's orders ---- */

static void arm_from_environment(const char *order)
{
	static const char *const names[NTH_CLASS_COUNT] = {
		[NTH_MEMORY] = "memory",
		[NTH_SQLITE] = "sqlite",
		[NTH_ESYS] = "esys",
		[NTH_OPENSSL] = "openssl",
		[NTH_HEAP] = "heap",
	};
	const char *colon = strchr(order, ':');

	for (unsigned class = 0; colon && class < NTH_CLASS_COUNT; class ++) {
		if (strncmp(order, names[class], strlen(names[class])) != 0)
			continue;
		unsigned long n = strtoul(colon + 1, NULL, 10);
		nth_arm(1U << class, n, (unsigned)n);
		return;
	}
	fprintf(stderr, "BPFMEASURE_NTH=%s\n", order);
	abort();
}

/* What is to fail is a call of this process, not of one that it starts. */
static void forget(void)
{
	nth_arm(0, 0, 0);
}

[[gnu::constructor]] static void start(void)
{
	const char *order = getenv("BPFMEASURE_NTH");

	pthread_atfork(NULL, NULL, forget);
	if (!order)
		return;
	report_path = getenv("BPFMEASURE_NTH_FILE");
	if (report_path)
		atexit(report);
	arm_from_environment(order);
}
