/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `attest` with one machine. */
#include "cli/attest.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attest/client.h"
#include "attest/replay.h"
#include "attest/round.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/verdict.h"

enum { CONNECT_MS = 10000, SECOND_MS = 1000, SECOND_NS = 1000000000 };

/* ---- the peer ---- */

static unsigned shorter(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static int connect_to(
	const struct attest *attest, const struct machine *machine, struct client **ret_client)
{
	const unsigned timeout_ms = attest->timeout_s * SECOND_MS;
	const struct client_options options = {
		.address = machine->address,
		.ca = attest->ca,
		.certificate = attest->certificate,
		.key = attest->key,
		.connect_timeout_ms = shorter(CONNECT_MS, timeout_ms),
		.stall_timeout_ms = timeout_ms,
		.total_timeout_ms = timeout_ms,
		.body_max = attest->size_max,
	};

	return client_new(&options, ret_client);
}

/* ---- what is said ---- */

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static json_t *time_json(uint64_t time_ns)
{
	return time_ns ? json_string(replay_instant(time_ns).text) : json_null();
}

static json_t *violation_json(const struct memory_violation *violation)
{
	bool is_acked = violation->acked_ns != 0;

	return json_pack("{sI ss ss ss ss so sb so* ss* ss*}", "seq",
		(json_int_t)violation->what.seq, "rule", violation->what.rule, "value",
		violation->what.value, "why", violation->what.why, "source",
		memory_source_name(violation->source), "found", time_json(violation->found_ns),
		"acknowledged", (int)is_acked, "acknowledged_at",
		is_acked ? time_json(violation->acked_ns) : NULL, "acknowledged_by",
		is_acked ? violation->acked_by : NULL, "comment",
		is_acked ? violation->comment : NULL);
}

static json_t *violations_json(const struct round_result *result)
{
	[[gnu::cleanup(json_freep)]] json_t *list = json_array();

	for (size_t i = 0; list && i < result->violation_count; i++)
		if (json_array_append_new(list, violation_json(&result->violations[i])))
			return NULL;
	return json_incref(list);
}

static json_t *before_json(const struct round_result *result)
{
	if (!result->has_before)
		return json_null();
	return json_pack("{ss ss so}", "verdict", verify_verdict_name(result->before.verdict),
		"reason", result->before.reason, "time", time_json(result->before.time_ns));
}

/* Every verdict, of a machine that is not enrolled too. */
static json_t *result_json(const char *name, const struct round_result *result)
{
	const struct verdict verdict = {
		.verdict = result->verdict,
		.reason = result->reason,
		.explanation = result->explanation,
		.is_fresh = result->has_evidence,
		.is_bound = result->has_evidence,
		.result = &result->evidence,
	};
	const struct machine *machine = &result->machine;
	[[gnu::cleanup(json_freep)]] json_t *object = verdict_json(&verdict);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	[[gnu::cleanup(json_freep)]] json_t *more = json_pack("{ss so ss* ss* ss* sI sI so so sb}",
		"machine", name, "time", time_json((uint64_t)now.tv_sec * SECOND_NS), "address",
		machine->name[0] ? machine->address : NULL, "mode",
		machine->name[0] ? machine_mode_name(machine->mode) : NULL, "tpm",
		machine->name[0] ? machine_tpm_name(machine->tpm) : NULL, "proven_seq",
		(json_int_t)result->last, "open", (json_int_t)result->open_count, "violations",
		violations_json(result), "before", before_json(result), "remembered",
		(int)result->is_remembered);
	if (!object || !more || json_object_update(more, object))
		return NULL;
	return json_incref(more);
}

/* ---- the round ---- */

[[gnu::format(printf, 3, 4)]] static void cannot(
	struct round_result *result, const char *reason, const char *format, ...)
{
	va_list args;

	snprintf(result->reason, sizeof(result->reason), "%s", reason);
	va_start(args, format);
	vsnprintf(result->explanation, sizeof(result->explanation), format, args);
	va_end(args);
}

/* Returns 0, or a negative errno that was said. */
static int save(const struct attest *attest, const struct round_result *result)
{
	[[gnu::cleanup(output_done)]] struct output output = { 0 };
	char bytes[65536];
	size_t len;

	if (!attest->save || !result->stream || !result->has_evidence)
		return 0;
	int err = output_open(&output, attest->save);
	rewind(result->stream);
	while (!err && (len = fread(bytes, 1, sizeof(bytes), result->stream)) > 0)
		if (fwrite(bytes, 1, len, output.file) != len)
			err = -errno;
	if (!err && ferror(result->stream))
		err = -EIO;
	if (!err)
		err = output_commit(&output);
	if (err)
		(void)cli_unknown("%s: %s", attest->save, strerror(-err));
	return err;
}

static void run(const struct attest *attest, const char *name, struct round_result *result)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	[[gnu::cleanup(appraisal_done)]] struct appraisal appraisal = attest->appraisal;
	[[gnu::cleanup(client_freep)]] struct client *client = NULL;
	struct machine machine;

	appraisal.policy = NULL; /* the parent's is not carried into another process */
	if (cli_memory_open(attest->db, &memory)) {
		cannot(result, "memory", "The verifier's memory cannot be opened.");
		return;
	}
	int err = memory_machine_get(memory, name, &machine);
	if (err == -ENOENT)
		cannot(result, "not-enrolled", "%s: bpfmeasure enroll %s", memory_errmsg(memory),
			name);
	else if (err)
		cannot(result, "memory", "The verifier's memory: %s.", memory_errmsg(memory));
	if (err)
		return;
	if (appraisal_open(&appraisal)) {
		cannot(result, "policy-failed", "The policies cannot be read.");
		return;
	}
	err = connect_to(attest, &machine, &client);
	if (err) {
		cannot(result, "failed", "%s: %s.", machine.address, strerror(-err));
		return;
	}
	const struct round_options options = {
		.memory = memory,
		.machine = name,
		.policy = appraisal.policy,
		.peer = round_peer_client(client),
	};
	if (round_run(&options, result) == -ENOENT)
		cannot(result, "not-enrolled", "%s is enrolled no more.", name);
}

void attest_round(const struct attest *attest, const char *name, int fd)
{
	struct round_result result = {
		.verdict = VERIFY_UNKNOWN,
		.evidence = { .verdict = VERIFY_UNKNOWN, .reason = VERIFY_FAILED },
	};

	run(attest, name, &result);
	[[gnu::cleanup(json_freep)]] json_t *object = result_json(name, &result);
	bool is_lost = save(attest, &result) != 0;
	round_result_done(&result);
	if (is_lost && object && json_object_set_new(object, "saved", json_false()))
		_exit(CLI_UNKNOWN);
	if (!object || json_dumpfd(object, fd, JSON_COMPACT))
		_exit(CLI_UNKNOWN);
}

json_t *attest_crashed(const struct attest *attest, const char *name, const char *explanation)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	struct round_result result = { .verdict = VERIFY_UNKNOWN };

	if (cli_memory_open(attest->db, &memory) ||
		round_crashed(memory, name, explanation, &result))
		cannot(&result, "crashed", "%s", explanation);
	json_t *object = result_json(name, &result);
	round_result_done(&result);
	return object;
}
