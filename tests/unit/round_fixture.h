/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine that answers rounds: the forge's TPM and log behind the three routes that a round uses, and
 * what an attacker would have it do. And a verifier's memory in which it is enrolled.
 */
#ifndef TESTS_UNIT_ROUND_FIXTURE_H
#define TESTS_UNIT_ROUND_FIXTURE_H

#include "memory_fixture.h"

#include "attest_forge_kept.h"

#include "attest/round.h"

enum { FAKE_BODY_MAX = 128 * 1024 };

struct fake {
	struct memory_fixture memory;
	struct forge log; /* all of it */
	uint64_t begin; /* the last record with which the PCR began anew */
	uint8_t binding[SHA256_LEN];

	/* What goes wrong. */
	int err; /* instead of an answer */
	int status; /* likewise; 0: none */
	bool has_no_log; /* the route for old records */
	int log_err; /* of that route, instead of an answer */
	uint64_t log_begins_at; /* likewise: the first that it still has */
	bool is_forgetful; /* cannot begin where it is asked to, but with the epoch */
	bool floods; /* with bytes, until they are not taken */
	bool replays; /* the last answer once more */
	uint64_t begins_at; /* this record, whatever is asked; 0: does not */
	void (*spoil)(struct fake *fake, struct forge *evidence); /* before the TPM signs */
	void (*meanwhile)(struct fake *fake); /* while the verifier waits; once */

	/* What was asked and answered. */
	unsigned questions;
	uint64_t since;
	size_t body_len;
	char body[FAKE_BODY_MAX];
};

/* ---- the machine ---- */

static inline uint64_t fake_last(const struct fake *fake)
{
	return fake->log.count;
}

/* The records from first on, and the PCR before them. */
static inline void fake_cut(const struct fake *fake, uint64_t first, struct forge *ret)
{
	struct replay replay;
	struct replay_line line;

	*ret = fake->log;
	replay_init(&replay, 1, ret->statement.start_banks, &ret->statement.start, NULL);
	for (uint64_t seq = 1; seq < first; seq++) {
		int err = replay_next(&replay, fake->log.lines[seq - 1].text,
			fake->log.lines[seq - 1].len, &line);
		assert_int_equal(err, 0);
	}
	if (first == fake->begin)
		memset(&replay.values, 0, sizeof(replay.values));
	ret->statement.start = replay.values;
	ret->statement.first = first;
	ret->statement.last = fake_last(fake);
	ret->count = fake_last(fake) + 1 - first;
	memmove(ret->lines, &ret->lines[first - 1], ret->count * sizeof(ret->lines[0]));
}

static inline void fake_unhex(const char *text, uint8_t *ret_bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &ret_bytes[i]), 1);
}

static inline int fake_attest(struct fake *fake, const char *json)
{
	static struct forge evidence;
	struct evidence_statement *statement = &evidence.statement;
	uint64_t since = strtoull(strstr(json, "\"since\":") + 8, NULL, 10);
	uint64_t first = since < fake->begin || fake->is_forgetful ? fake->begin : since + 1;

	fake->questions++;
	fake->since = since;
	if (since > fake_last(fake))
		return 400;
	if (fake->replays)
		return 200;
	if (fake->begins_at)
		first = fake->begins_at;
	fake_cut(fake, first, &evidence);
	fake_unhex(strstr(json, "\"nonce\":\"") + 9, statement->nonce, SHA256_LEN);
	memcpy(statement->binding, fake->binding, SHA256_LEN);
	statement->since = since < first ? since : first - 1;
	forge_challenge(&evidence);
	if (fake->spoil)
		fake->spoil(fake, &evidence);
	forge_tpm(&evidence);
	char *text = forge_text(&evidence, &fake->body_len);
	assert_true(fake->body_len < FAKE_BODY_MAX);
	memcpy(fake->body, text, fake->body_len);
	free(text);
	return 200;
}

static inline int fake_log(struct fake *fake, const char *path, FILE *into)
{
	uint64_t since = 0, to = 0;

	assert_int_equal(sscanf(path, "/v1/log?since=%lu&to=%lu", &since, &to), 2);
	if (fake->log_err)
		return fake->log_err;
	if (fake->has_no_log)
		return 404;
	if (since + 1 < fake->log_begins_at)
		since = fake->log_begins_at - 1;
	for (uint64_t seq = since + 1; seq <= to; seq++)
		fprintf(into, "%.*s\n", (int)fake->log.lines[seq - 1].len,
			fake->log.lines[seq - 1].text);
	return 200;
}

static inline int fake_flood(struct fake *fake, FILE *into)
{
	static const char bytes[4096];

	for (fake->body_len = 0; fake->body_len < 64 * 1024 * 1024; fake->body_len += sizeof(bytes))
		if (fwrite(bytes, 1, sizeof(bytes), into) != sizeof(bytes))
			return -EIO;
	return 200;
}

static inline int fake_request(void *arg, const char *path, const char *json, FILE *into)
{
	struct fake *fake = arg;
	void (*meanwhile)(struct fake *) = fake->meanwhile;

	fake->meanwhile = NULL;
	if (meanwhile)
		meanwhile(fake);
	if (fake->err)
		return fake->err;
	if (fake->status) {
		fputs("{\"error\":\"not measuring\x1b[2J yet\"}\n", into);
		return fake->status;
	}
	if (!json)
		return fake_log(fake, path, into);
	assert_string_equal(path, "/v1/attest");
	if (fake->floods)
		return fake_flood(fake, into);
	int status = fake_attest(fake, json);
	if (status == 200)
		fwrite(fake->body, 1, fake->body_len, into);
	return status;
}

static inline const uint8_t *fake_binding(void *arg)
{
	return ((struct fake *)arg)->binding;
}

static inline const char *fake_errmsg(void *arg)
{
	(void)arg;
	return "nobody answers";
}

/* The machine is booted: a new epoch at the end of the log. */
static inline void fake_boot(struct fake *fake)
{
	struct record_epoch epoch;

	fake->log.reset_count++;
	fake->log.clock_ms += 1000;
	epoch = forge_epoch_record(&fake->log);
	epoch.why = WHY_BOOT;
	epoch.clock_ms = fake->log.clock_ms;
	forge_add_epoch(&fake->log, &epoch);
	fake->begin = fake_last(fake);
}

/* ---- the verifier ---- */

static inline int fake_make(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	struct machine machine = some_machine("web-07");

	assert_non_null(fake);
	memory_fixture_init(&fake->memory);
	forge_init(&fake->log);
	fake->begin = 1;
	memset(fake->binding, 7, SHA256_LEN);
	machine.ak_len = fake->log.statement.ak_len;
	memset(machine.ak, 0, sizeof(machine.ak));
	memcpy(machine.ak, fake->log.statement.ak, machine.ak_len);
	assert_int_equal(memory_machine_put(fake->memory.memory, &machine, false), 0);
	*state = fake;
	return 0;
}

static inline int fake_unmake(void **state)
{
	struct fake *fake = *state;

	memory_fixture_done(&fake->memory);
	free(fake);
	return 0;
}

static inline struct round_options fake_options(struct fake *fake, struct policy *policy)
{
	return (struct round_options){
		.memory = fake->memory.memory,
		.machine = "web-07",
		.policy = policy,
		.peer = { fake, fake_request, fake_binding, fake_errmsg },
	};
}

/* A round; the caller ends the result. */
static inline struct round_result fake_round_with(struct fake *fake, struct policy *policy)
{
	const struct round_options options = fake_options(fake, policy);
	struct round_result result;

	fake->questions = 0;
	assert_int_equal(round_run(&options, &result), 0);
	return result;
}

/* A policy of this text, called rule. */
static inline struct policy *fake_policy(
	const struct fake *fake, const char *rule, const char *text)
{
	char path[128], error[POLICY_ERROR_MAX] = "";
	const char *const paths[] = { path };
	struct policy *policy;

	snprintf(path, sizeof(path), "%s/%s.sql", fake->memory.dir, rule);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	int err = policy_open(paths, 1, NULL, 0, &policy, error);
	assert_int_equal(unlink(path), 0);
	if (err)
		fail_msg("%s", error);
	return policy;
}

/* The agent keeps quotes all the time: one is no reason to begin after what was not shown. */
static inline void fake_hide(struct fake *fake, struct forge *evidence)
{
	const struct evidence_kept kept = forge_keep(evidence, 4);

	(void)fake;
	forge_trim(evidence, &kept);
}

/* A round that is expected to end like that. */
static inline void fake_expect(struct fake *fake, struct policy *policy,
	enum verify_verdict verdict, const char *reason, const char *words)
{
	struct round_result result = fake_round_with(fake, policy);

	if (result.verdict != verdict || strcmp(result.reason, reason) != 0 ||
		!strstr(result.explanation, words))
		fail_msg("%s: %s: %s", verify_verdict_name(result.verdict), result.reason,
			result.explanation);
	round_result_done(&result);
}

#endif
