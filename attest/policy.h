/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Appraisal policy: SQL whose rows are violations, over what proven evidence says. docs/policy.md is the
 * normative text of tables and columns.
 *
 * A policy is a .sql file, and its name without .sql is the rule's. Every statement of it runs; each row
 * must have a column `seq` and a column `value`, and may have one `why`. No statement, an error, a column
 * that is missing, too many steps: the policy says nothing, and the verdict is unknown, never trusted.
 */
#ifndef ATTEST_POLICY_H
#define ATTEST_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/machine.h"

enum {
	POLICY_NAME_MAX = 63,
	POLICY_VALUE_MAX = 255,
	POLICY_ERROR_MAX = 512,
	POLICY_FILE_MAX = 256 * 1024, /* bytes of a policy */
	POLICY_COUNT_MAX = 64, /* policies, and files of reference values, at a time */
	POLICY_VIOLATIONS_MAX = 10000, /* of one run that are handed out; more are counted */

	/* One policy may take POLICY_STEPS of SQLite's virtual machine, and POLICY_STEPS_PER_RECORD more for
	 * each record; and SQLite's memory, all of this process's, may grow to POLICY_MEMORY_MIB. */
	POLICY_STEPS = 20000000,
	POLICY_STEPS_PER_RECORD = 5000,
	POLICY_MEMORY_MIB = 1024,
};

struct policy_violation {
	uint64_t seq; /* of the record; 0: it is no record's */
	bool is_past; /* of an epoch that ended: the PCR began anew after it */
	char rule[POLICY_NAME_MAX + 1];
	char value[POLICY_VALUE_MAX + 1]; /* printable ASCII, shortened, as is why */
	char why[POLICY_VALUE_MAX + 1];
};

struct policy;

/*
 * Empty tables, and the policies and reference values that will be held against them.
 *
 * policies    paths of .sql files, or names of shipped ones: "signed-only", or "signed-only.sql" where
 *             there is no such file.
 * references  paths of what `bpfmeasure reference` writes.
 *
 * Whether a policy compiles is not asked before it runs: its verdict is unknown then.
 *
 * Returns 0, or a negative errno and ret_error (one clause): -ENOENT, -EINVAL (no policy's name, two
 * policies of a name), -EBADMSG (not reference values), -EMSGSIZE, -ENOMEM, -EIO.
 */
[[nodiscard]] int policy_open(const char *const *policies, size_t policy_count,
	const char *const *references, size_t reference_count, struct policy **ret_policy,
	char ret_error[static POLICY_ERROR_MAX]);
void policy_free(struct policy *policy);
void policy_freep(struct policy **policy);

/* sha256 over names and texts of the policies and the reference values, in order: whether an earlier
 * verdict was by the same. */
void policy_digest(const struct policy *policy, uint8_t ret_sha256[static SHA256_LEN]);

/* The names of the policies by number from 0; NULL behind the last. */
const char *policy_rule(const struct policy *policy, size_t index);

/*
 * What is known of the machine besides its evidence: the row of the table `machine`.
 *
 * machine     NULL: not known, and its words are "unknown".
 * proven_seq  the last record that was proven before this evidence; 0: none.
 */
[[nodiscard]] int policy_machine_set(
	struct policy *policy, const struct machine *machine, uint64_t proven_seq);

/*
 * The last record with which the PCR began anew, as the replay has shown: violations before it are past.
 * 0, as after policy_open() and policy_reset(): none are. A record's own word for why it begins an epoch
 * does not count, for whoever controls the agent can write it.
 */
void policy_epoch_set(struct policy *policy, uint64_t seq);

/*
 * Take over a record's line, len bytes without the newline.
 *
 * remembered  from an earlier round: policies see it in `loaded`, `known_program` and `attached`, but it is
 *             not judged again. Those of programs that are still loaded (load, baseline), of attachments in
 *             force (attach) and of the epochs of this boot are all that is needed. A record that comes
 *             twice is what it was the second time.
 *
 * Records may be added while they are read: they are to be judged only once they are proven.
 *
 * Returns 0; -EBADMSG for a line that is no record of that number; -ENOSPC, -ENOMEM, -EIO.
 */
[[nodiscard]] int policy_record_add(
	struct policy *policy, uint64_t seq, const char *line, size_t len, bool remembered);

/*
 * Run them all. each() gets the violations, in the order of policies and of their rows, up to
 * POLICY_VIOLATIONS_MAX.
 *
 * Returns the number of violations that are not of the past, those that were not handed out too; a
 * negative errno and ret_error (one clause that begins with the policy's name) where a policy could not
 * be run to its end: the others ran all the same.
 */
[[nodiscard]] int64_t policy_run(struct policy *policy,
	void (*each)(void *arg, const struct policy_violation *violation), void *arg,
	char ret_error[static POLICY_ERROR_MAX]);

/* Forget the records and the machine, for the next one. 0, -ENOMEM or -EIO; then it is of no more use. */
[[nodiscard]] int policy_reset(struct policy *policy);

/* The shipped policies by number from 0: name and text, of which len bytes. NULL behind the last. */
const char *policy_shipped(size_t index, const char **ret_text, size_t *ret_len);

#endif
