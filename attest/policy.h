/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Appraisal policy: SQL whose rows are violations, over what proven evidence says. docs/policy.md is the
 * normative text of tables and columns.
 *
 * A policy is a .sql file, and its name without .sql is the rule's. Every statement of it runs; each row
 * must have a column `seq` and a column `value`, and may have one `why`. No statement, an error, another
 * column missing, too many steps: the policy says nothing, and the verdict is unknown, never trusted.
 */
#ifndef ATTEST_POLICY_H
#define ATTEST_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/machine.h"

enum {
	POLICY_NAME_MAX = 63,
	POLICY_VALUE_MAX = 255,
	POLICY_ERROR_MAX = 512,
	POLICY_VIOLATIONS_MAX = 10000, /* of one run; more are counted */
};

struct policy_violation {
	uint64_t seq; /* of the record */
	char rule[POLICY_NAME_MAX + 1];
	char value[POLICY_VALUE_MAX + 1]; /* printable ASCII, shortened */
	char why[POLICY_VALUE_MAX + 1];
};

struct policy;

/*
 * Empty tables, and the policies and reference values that will be held against them.
 *
 * policies    paths of .sql files, or names of shipped ones ("signed-only").
 * references  paths of what `bpfmeasure reference` writes.
 *
 * Returns 0, or a negative errno and ret_error (one clause): -ENOENT, -EINVAL (no statement, bad
 * reference), -ENOMEM.
 */
[[nodiscard]] int policy_open(const char *const *policies, size_t policy_count,
	const char *const *references, size_t reference_count, struct policy **ret_policy,
	char ret_error[static POLICY_ERROR_MAX]);
void policy_free(struct policy *policy);
void policy_freep(struct policy **policy);

/* sha256 over names and texts of the policies and the reference values, in order: whether an earlier
 * verdict was by the same. */
void policy_digest(const struct policy *policy, uint8_t ret_sha256[static SHA256_LEN]);

/* What is known of the machine besides its evidence: a row of the table `machine`. */
[[nodiscard]] int policy_machine_set(struct policy *policy, const struct machine *machine);

/*
 * Take over a record's line: one that verify_evidence() has proven, or one remembered from an earlier
 * round, which policies see in `loaded` and as parents, but which is not judged again.
 */
[[nodiscard]] int policy_record_add(
	struct policy *policy, uint64_t seq, const char *line, size_t len, bool remembered);

/*
 * Run them all. each() gets every violation, in the order of policies and of their rows.
 *
 * Returns the number of violations; a negative errno and ret_error where a policy could not be run to
 * its end: the others ran all the same.
 */
[[nodiscard]] int64_t policy_run(struct policy *policy,
	void (*each)(void *arg, const struct policy_violation *violation), void *arg,
	char ret_error[static POLICY_ERROR_MAX]);

/* Forget the records, for the next machine. */
void policy_reset(struct policy *policy);

#endif
