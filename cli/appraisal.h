/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --policy and --reference: what records have to be held against, and what came out. Shared by the
 * verbs that judge evidence.
 */
#ifndef CLI_APPRAISAL_H
#define CLI_APPRAISAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/policy.h"
#include "attest/verify.h"

struct appraisal {
	const char *policies[POLICY_COUNT_MAX]; /* as they were given */
	size_t policy_count;
	const char *references[POLICY_COUNT_MAX];
	size_t reference_count;

	struct policy *policy; /* NULL: none was asked for */
	bool remembered; /* what the records that come next are */
	bool is_whole; /* records of this boot are there from its beginning on */
	int error; /* of a record that could not be taken over */

	bool has_run;
	int64_t standing; /* violations that are not of the past; a negative errno */
	char text[POLICY_ERROR_MAX]; /* where that is an error */
	struct policy_violation *violations; /* the first POLICY_VIOLATIONS_MAX */
	size_t count;
};
void appraisal_done(struct appraisal *appraisal);

/* Of the option's value. Return CLI_GOOD; CLI_USAGE, said, where there are too many. */
[[nodiscard]] int appraisal_policy_add(struct appraisal *appraisal, const char *value);
[[nodiscard]] int appraisal_reference_add(struct appraisal *appraisal, const char *value);

/* Read them. Returns CLI_GOOD; otherwise it was said what is wrong: CLI_USAGE where there is no such
 * policy, else CLI_UNKNOWN. */
[[nodiscard]] int appraisal_open(struct appraisal *appraisal);

/* verify_options.record, its argument the appraisal. */
void appraisal_record(void *arg, uint64_t seq, const char *line, size_t len);

/* Evidence was proven, what came before it up to proven_seq. */
void appraisal_proven(
	struct appraisal *appraisal, const struct verify_facts *facts, uint64_t proven_seq);

/*
 * Judge what was proven; epoch_seq is policy_epoch_set()'s. Where the beginning of this boot is not there,
 * policies that find nothing have failed.
 */
void appraisal_run(struct appraisal *appraisal, const struct machine *machine, uint64_t proven_seq,
	uint64_t epoch_seq);

/*
 * What remains of a verdict, and its word where that is the policies' doing: violations make anything
 * that is proven untrusted ("policy"), policies that could not be run make trusted unknown
 * ("policy-failed").
 */
enum verify_verdict appraisal_verdict(
	const struct appraisal *appraisal, enum verify_verdict verdict, const char **reason);

/* For people, a violation a line; and for programs, an object of jansson's, NULL without memory. */
void appraisal_print(const struct appraisal *appraisal);
struct json_t *appraisal_json(const struct appraisal *appraisal);

#endif
