/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/verdict.h"

#include <jansson.h>

#include "cli/cli.h"

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static json_t *facts_json(const struct verify_facts *facts)
{
	char log_id[2 * sizeof(facts->log_id) + 1];

	cli_hex(facts->log_id, sizeof(facts->log_id), log_id);
	return json_pack("{sI sI sI ss ss* sI sb sI sI sb s{sI sI sI} sI sI sI sI ss ss sI}",
		"first", (json_int_t)facts->first, "last", (json_int_t)facts->last, "records",
		(json_int_t)facts->records, "log_id", log_id, "epoch_why",
		facts->has_epoch ? facts->epoch_why : NULL, "clock_ms", (json_int_t)facts->clock_ms,
		"safe", (int)facts->safe, "reset_count", (json_int_t)facts->reset_count,
		"restart_count", (json_int_t)facts->restart_count, "software", (int)facts->software,
		"loads", "verified", (json_int_t)facts->loads[VERDICT_VERIFIED], "unsigned",
		(json_int_t)facts->loads[VERDICT_UNSIGNED], "unknown",
		(json_int_t)facts->loads[VERDICT_UNKNOWN], "baseline",
		(json_int_t)facts->kinds[RECORD_BASELINE], "rejected",
		(json_int_t)facts->kinds[RECORD_REJECT], "lost", (json_int_t)facts->lost,
		"attached", (json_int_t)facts->kinds[RECORD_ATTACH], "agent", facts->agent, "state",
		evidence_state_name(facts->state), "behind", (json_int_t)facts->behind);
}

json_t *verdict_json(const struct verdict *verdict)
{
	const struct verify_result *result = verdict->result;
	[[gnu::cleanup(json_freep)]] json_t *notes = json_array();

	for (size_t i = 0; notes && i < result->note_count; i++)
		if (json_array_append_new(notes, json_string(result->notes[i])))
			return NULL;
	return json_pack("{ss ss ss sb sb sO so*}", "verdict",
		verify_verdict_name(verdict->verdict), "reason", verdict->reason, "explanation",
		verdict->explanation, "freshness_checked", (int)verdict->is_fresh,
		"channel_checked", (int)verdict->is_bound, "notes", notes, "facts",
		result->is_proven ? facts_json(&result->facts) : NULL);
}

enum table_color verdict_color(enum verify_verdict verdict)
{
	static const enum table_color colors[] = {
		[VERIFY_TRUSTED] = TABLE_GREEN,
		[VERIFY_UNTRUSTED] = TABLE_RED,
		[VERIFY_UNKNOWN] = TABLE_YELLOW,
	};

	return colors[verdict];
}

int verdict_code(enum verify_verdict verdict)
{
	static const int codes[] = {
		[VERIFY_TRUSTED] = CLI_GOOD,
		[VERIFY_UNTRUSTED] = CLI_UNTRUSTED,
		[VERIFY_UNKNOWN] = CLI_UNKNOWN,
	};

	return codes[verdict];
}
