/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/status.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *hex(const uint8_t *bytes, size_t len)
{
	char text[2 * BANK_DIGEST_MAX + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static json_t *hook_names(const struct measurer *measurer, unsigned hooks)
{
	json_t *names = json_array();

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		if (hooks & 1U << hook)
			json_array_append_new(
				names, json_string(probe_hook_name(measurer->probe, hook)));
	return names;
}

static json_t *tpm_json(const struct measurer *measurer)
{
	const struct tpm_identity *identity = tpm_identity(measurer->tpm);

	return json_pack("{s:s, s:s, s:s, s:s}", "kind",
		identity->software ? "software" : "hardware", "device", measurer->tcti,
		"manufacturer", identity->manufacturer, "vendor", identity->vendor);
}

static void put_banks(json_t *status, const struct measurer *measurer)
{
	json_t *banks = json_array(), *values = json_object();

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(log_epoch(measurer->log)->banks & 1U << bank))
			continue;
		json_array_append_new(banks, json_string(bank_name(bank)));
		json_object_set_new(values, bank_name(bank),
			hex(log_values(measurer->log)->digest[bank], bank_size(bank)));
	}
	json_object_set_new(status, "banks", banks);
	json_object_set_new(status, "values", values);
}

static void put_number(json_t *status, const char *key, uint64_t value)
{
	json_object_set_new(status, key, json_integer((json_int_t)value));
}

static json_t *faults_json(const struct measurer *measurer)
{
	json_t *faults = json_array();

	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++) {
		const struct fault *fault = &measurer->faults[i];

		if (fault->kind)
			json_array_append_new(faults,
				json_pack("{s:s, s:s, s:s}", "fault", fault_name(fault->kind),
					"what", fault->what, "remedy", fault_remedy(fault->kind)));
	}
	return faults;
}

static void put_log(json_t *status, const struct measurer *measurer)
{
	const struct log *log = measurer->log;

	if (!log || !log_epoch_seq(log))
		return;
	put_banks(status, measurer);
	put_number(status, "first_seq", log_first_seq(log));
	put_number(status, "last_seq", log_last_seq(log));
	put_number(status, "extended_seq", log_extended_seq(log));
	put_number(status, "confirmed_seq", measurer->confirmed_seq);
	put_number(status, "kept_seq", log_kept_seq(log));
	json_object_set_new(
		status, "log_id", hex(log_epoch(log)->log_id, sizeof(log_epoch(log)->log_id)));
	put_number(status, "epoch_seq", log_epoch_seq(log));
}

char *status_json(const struct measurer *measurer)
{
	const struct event_state *state = probe_state(measurer->probe);
	unsigned wanted = probe_wanted(measurer->probe);
	unsigned in_use = wanted & measurer->hooks_shown;
	char trouble[MEASURER_TROUBLE_MAX];
	json_t *status = json_object();
	char *text;

	measurer_trouble(measurer, trouble);
	json_object_set_new(status, "state", json_string(*trouble ? "degraded" : "measuring"));
	if (*trouble) {
		json_object_set_new(status, "why", json_string(trouble));
		json_object_set_new(status, "faults", faults_json(measurer));
	}
	json_object_set_new(status, "version", json_string(VERSION));
	json_object_set_new(status, "hooks", hook_names(measurer, in_use));
	json_object_set_new(
		status, "missing", hook_names(measurer, ~in_use & ((1U << HOOK_COUNT) - 1)));
	if (tpm_identity(measurer->tpm)->manufacturer[0])
		json_object_set_new(status, "tpm", tpm_json(measurer));
	put_number(status, "pcr", measurer->conf->tpm_pcr);
	put_log(status, measurer);
	put_number(status, "lost", measurer->lost);
	put_number(status, "programs", measurer->programs.count);
	put_number(status, "dropped_events", state->dropped_events);
	put_number(status, "malformed_events", measurer->collect.malformed);
	put_number(status, "audit_failed", trail_failed(measurer->trail));
	json_object_set_new(status, "ring",
		json_pack("{s:I, s:I}", "size", (json_int_t)probe_ring_size(measurer->probe),
			"held", (json_int_t)ring_held(measurer->ring)));
	text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	return text;
}
