/* SPDX-License-Identifier: BSD-2-Clause */
/* Every call within one of our public functions fails once, for tests with cmocka. */
#ifndef TESTS_FAULT_NTH_EACH_H
#define TESTS_FAULT_NTH_EACH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fault/nth.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define NTH_HAS_LEAKED() __lsan_do_recoverable_leak_check()
#else
#define NTH_HAS_LEAKED() 0
#endif

enum { NTH_SAMPLES = 12 }; /* of a scenario's calls, without CHECK_LONG */

/*
 * before  makes the world; outputs filled with a pattern. NULL: nothing to make.
 * call    the public function; returns its result, 0 or more for success.
 * check   looks at what is there after a result: documented for that error, outputs untouched; or all
 *         there. After an error it is made good again, where that takes something.
 * done    takes the world down.
 *
 * errors  the documented ones, up to a 0. What failed and is none of them is a bug.
 * close   the call failed for good: it is not made again on the same world.
 */
struct nth_scenario {
	const char *name;
	unsigned classes; /* 0: all */
	const int *errors;
	bool close;
	void (*before)(void);
	int (*call)(void);
	void (*check)(int result);
	void (*done)(void);
};

static inline bool nth_is_documented(const struct nth_scenario *scenario, int result)
{
	const int *error = scenario->errors;

	while (*error && *error != result)
		error++;
	return *error == result;
}

/* One fault. Returns how many calls there were; ret_fired is whether the n-th was among them. */
static inline unsigned long nth_one(
	const struct nth_scenario *scenario, unsigned long n, unsigned variant, bool *ret_fired)
{
	static const char *last; /* the first makes what stays for the process */
	size_t live = nth_live();

	if (scenario->before)
		scenario->before();
	nth_arm(scenario->classes ? scenario->classes : NTH_ALL, n, variant);
	int result = scenario->call();
	const char *fired = nth_disarm();
	unsigned long calls = nth_calls();

	*ret_fired = fired;
	if (result < 0 && (!fired || !nth_is_documented(scenario, result)))
		fail_msg("%s: call %lu (%s, variant %u): %d", scenario->name, n,
			fired ? fired : "none", variant, result);
	scenario->check(result);
	if (result < 0 && !scenario->close) {
		result = scenario->call();
		if (result < 0)
			fail_msg("%s: call %lu (%s, variant %u): %d, and without a fault %d",
				scenario->name, n, fired, variant, result, result);
		scenario->check(result);
	}
	if (scenario->done)
		scenario->done();
	if (nth_live() != live && last == scenario->name)
		fail_msg("%s: call %lu (%s, variant %u): %zd blocks leaked", scenario->name, n,
			fired ? fired : "none", variant, (ssize_t)(nth_live() - live));
	last = scenario->name;
	return calls;
}

static inline void nth_each(const struct nth_scenario *scenario)
{
	bool fired, all;

	(void)nth_one(scenario, 0, 0, &fired);
	unsigned long calls = nth_one(scenario, 0, 0, &fired), tried = 0;
	all = getenv("CHECK_LONG") || calls <= 3;
	unsigned long step = all || calls < NTH_SAMPLES ? 1 : calls / NTH_SAMPLES;

	assert_true(calls > 0);
	for (unsigned long n = 1; n <= calls; n += step) {
		unsigned variants = 1;

		/* A sample fails in one way each, in turn. */
		for (unsigned variant = 0; variant < variants; variant++) {
			nth_one(scenario, n, all ? variant : (unsigned)tried, &fired);
			variants = all && fired ? nth_variants() : 1;
			tried += fired;
		}
	}
	assert_true(tried > 0);
	assert_int_equal(NTH_HAS_LEAKED(), 0);
	print_message("%s: %lu calls, %lu faults\n", scenario->name, calls, tried);
}

#endif
