/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/appraisal.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

void appraisal_done(struct appraisal *appraisal)
{
	policy_free(appraisal->policy);
	free(appraisal->violations);
}

int appraisal_policy_add(struct appraisal *appraisal, const char *value)
{
	if (appraisal->policy_count == POLICY_COUNT_MAX)
		return cli_usage("--policy may be given %d times", POLICY_COUNT_MAX);
	appraisal->policies[appraisal->policy_count++] = value;
	return CLI_GOOD;
}

int appraisal_reference_add(struct appraisal *appraisal, const char *value)
{
	if (appraisal->reference_count == POLICY_COUNT_MAX)
		return cli_usage("--reference may be given %d times", POLICY_COUNT_MAX);
	appraisal->references[appraisal->reference_count++] = value;
	return CLI_GOOD;
}

int appraisal_open(struct appraisal *appraisal)
{
	char error[POLICY_ERROR_MAX];

	if (appraisal->reference_count && !appraisal->policy_count)
		return cli_usage("--reference needs a --policy that asks for the values");
	if (!appraisal->policy_count)
		return CLI_GOOD;
	int err = policy_open(appraisal->policies, appraisal->policy_count, appraisal->references,
		appraisal->reference_count, &appraisal->policy, error);
	if (err == -ENOENT || err == -EINVAL)
		return cli_usage("%s", error);
	return err ? cli_unknown("%s", error) : CLI_GOOD;
}

void appraisal_record(void *arg, uint64_t seq, const char *line, size_t len)
{
	struct appraisal *appraisal = arg;

	if (appraisal->policy && !appraisal->error)
		appraisal->error = policy_record_add(
			appraisal->policy, seq, line, len, appraisal->remembered);
}

static void keep(void *arg, const struct policy_violation *violation)
{
	struct appraisal *appraisal = arg;

	if (appraisal->error)
		return;
	if ((appraisal->count & (appraisal->count - 1)) == 0) { /* full at each power of two */
		struct policy_violation *more = reallocarray(appraisal->violations,
			appraisal->count ? 2 * appraisal->count : 1, sizeof(*more));
		if (!more) {
			appraisal->error = -ENOMEM;
			return;
		}
		appraisal->violations = more;
	}
	appraisal->violations[appraisal->count++] = *violation;
}

void appraisal_proven(
	struct appraisal *appraisal, const struct verify_facts *facts, uint64_t proven_seq)
{
	appraisal->is_whole = facts->reset_seq ||
		(appraisal->is_whole && facts->first <= proven_seq + 1);
}

void appraisal_run(struct appraisal *appraisal, const struct machine *machine, uint64_t proven_seq,
	uint64_t epoch_seq)
{
	if (!appraisal->policy)
		return;
	policy_epoch_set(appraisal->policy, epoch_seq);
	if (!appraisal->error)
		appraisal->error = policy_machine_set(appraisal->policy, machine, proven_seq);
	if (!appraisal->error)
		appraisal->standing = policy_run(
			appraisal->policy, keep, appraisal, appraisal->text);
	if (appraisal->error) {
		appraisal->standing = appraisal->error;
		snprintf(appraisal->text, sizeof(appraisal->text),
			"the records could not be taken into the tables: %s",
			strerror(-appraisal->error));
	}
	if (!appraisal->is_whole && !appraisal->standing) {
		appraisal->standing = -ENODATA;
		snprintf(appraisal->text, sizeof(appraisal->text),
			"they were not shown all that this boot has recorded");
	}
	appraisal->has_run = true;
}

static bool has_standing(const struct appraisal *appraisal)
{
	for (size_t i = 0; i < appraisal->count; i++)
		if (!appraisal->violations[i].is_past)
			return true;
	return appraisal->standing > 0;
}

enum verify_verdict appraisal_verdict(
	const struct appraisal *appraisal, enum verify_verdict verdict, const char **reason)
{
	if (!appraisal->has_run || verdict == VERIFY_UNTRUSTED)
		return verdict;
	if (has_standing(appraisal)) {
		*reason = "policy";
		return VERIFY_UNTRUSTED;
	}
	if (appraisal->standing < 0 && verdict == VERIFY_TRUSTED) {
		*reason = "policy-failed";
		return VERIFY_UNKNOWN;
	}
	return verdict;
}

void appraisal_print(const struct appraisal *appraisal)
{
	if (!appraisal->has_run)
		return;
	for (size_t i = 0; i < appraisal->count; i++) {
		const struct policy_violation *violation = &appraisal->violations[i];

		printf("%s: ", violation->is_past ? "past violation" : "violation");
		if (violation->seq)
			printf("record %" PRIu64 ": ", violation->seq);
		printf("%s: %s", violation->rule, violation->value);
		printf(violation->why[0] ? " (%s)\n" : "\n", violation->why);
	}
	if (appraisal->count == POLICY_VIOLATIONS_MAX)
		printf("there may be more violations: these are the first %d\n",
			POLICY_VIOLATIONS_MAX);
	if (appraisal->standing < 0)
		printf("policy failed: %s\n", appraisal->text);
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

json_t *appraisal_json(const struct appraisal *appraisal)
{
	[[gnu::cleanup(json_freep)]] json_t *violations = json_array();
	[[gnu::cleanup(json_freep)]] json_t *policies = json_array();

	for (size_t i = 0; i < appraisal->policy_count; i++)
		if (json_array_append_new(policies, json_string(appraisal->policies[i])))
			return NULL;
	for (size_t i = 0; i < appraisal->count; i++) {
		const struct policy_violation *violation = &appraisal->violations[i];

		if (json_array_append_new(violations,
			    json_pack("{sI ss ss ss sb}", "seq", (json_int_t)violation->seq, "rule",
				    violation->rule, "value", violation->value, "why",
				    violation->why, "past", (int)violation->is_past)))
			return NULL;
	}
	return json_pack("{sO sb sO ss*}", "policies", policies, "run", (int)appraisal->has_run,
		"violations", violations, "error",
		appraisal->standing < 0 ? appraisal->text : NULL);
}
