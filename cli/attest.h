/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the verb `attest` share. */
#ifndef CLI_ATTEST_H
#define CLI_ATTEST_H

#include "attest/machine.h"
#include "cli/appraisal.h"

struct attest_target {
	char name[MACHINE_NAME_MAX +
		1]; /* in the memory, or what was typed where it is not there */
};

struct attest {
	struct appraisal appraisal;
	const char *db, *ca, *certificate, *key, *save, *on_change; /* NULL: not given */
	unsigned parallel;
	unsigned timeout_s;
	unsigned watch_s; /* 0: once */
	uint64_t size_max;
	bool all, json;
	char **words; /* the machines as they were typed */
	size_t word_count;

	struct attest_target *targets;
	size_t target_count;
	size_t name_width;
	bool is_over; /* there is nobody to ask, or no telling who: --watch ends */
};

/*
 * One round with one machine, in a process of its own: the answer is an object of JSON on fd, what
 * `--json` prints.
 */
void attest_round(const struct attest *attest, const char *name, int fd);

/* The same of a round whose process has died: the object, NULL without memory. */
struct json_t *attest_crashed(
	const struct attest *attest, const char *name, const char *explanation);

#endif
