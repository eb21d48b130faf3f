/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/status.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/cross.h"
#include "agent/warden.h"

/* On every kernel: docs/threat-model.md, "What it does not promise". */
static const char filters[] = "classic BPF filters (SO_ATTACH_FILTER, seccomp)";

/* Where a load cannot be signed, or the kernel was built without what verifies it. */
static const char no_signatures[] =
	"signatures of programs: this kernel verifies none (Linux 6.18 and later do)";

/* A status that lacks something would claim what it does not say: without memory for all, there is none. */
struct writer {
	const struct measurer *measurer;
	bool complete;
};

static void put(struct writer *writer, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		writer->complete = false;
}

static void add(struct writer *writer, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		writer->complete = false;
}

static json_t *hex(const uint8_t *bytes, size_t len)
{
	char text[2 * BANK_DIGEST_MAX + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static json_t *hook_names(struct writer *writer, unsigned hooks)
{
	json_t *names = json_array();

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		if (hooks & 1U << hook)
			add(writer, names,
				json_string(probe_hook_name(writer->measurer->probe, hook)));
	return names;
}

static json_t *not_covered(struct writer *writer, unsigned wanted)
{
	json_t *texts = json_pack("[s]", filters);

	if (!(wanted & 1U << HOOK_VERIFY))
		add(writer, texts, json_string(no_signatures));
	return texts;
}

static json_t *tpm_json(struct writer *writer)
{
	const struct tpm_identity *identity = tpm_identity(writer->measurer->tpm);

	return json_pack("{s:s, s:s, s:s, s:s}", "kind",
		identity->software ? "software" : "hardware", "device", writer->measurer->tcti,
		"manufacturer", identity->manufacturer, "vendor", identity->vendor);
}

static void put_banks(struct writer *writer, json_t *status)
{
	json_t *banks = json_array(), *values = json_object();

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(log_epoch(writer->measurer->log)->banks & 1U << bank))
			continue;
		add(writer, banks, json_string(bank_name(bank)));
		put(writer, values, bank_name(bank),
			hex(log_values(writer->measurer->log)->digest[bank], bank_size(bank)));
	}
	put(writer, status, "banks", banks);
	put(writer, status, "values", values);
}

static void put_number(struct writer *writer, json_t *status, const char *key, uint64_t value)
{
	put(writer, status, key, json_integer((json_int_t)value));
}

static json_t *faults_json(struct writer *writer)
{
	json_t *faults = json_array();

	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++) {
		const struct fault *fault = &writer->measurer->faults[i];

		if (fault->kind)
			add(writer, faults,
				json_pack("{s:s, s:s, s:s}", "fault", fault_name(fault->kind),
					"what", fault->what, "remedy", fault_remedy(fault->kind)));
	}
	return faults;
}

/* Of those, too, that are over before anybody can ask. */
static json_t *fault_starts_json(struct writer *writer)
{
	json_t *starts = json_object();

	for (enum fault_kind kind = FAULT_NONE + 1; kind < FAULT_COUNT; kind++)
		put_number(writer, starts, fault_name(kind),
			writer->measurer->setup.faults_began[kind]);
	return starts;
}

/* Of the log on its disk; a file system that does not say is left out. */
static void put_space(struct writer *writer, json_t *status)
{
	const struct conf *conf = writer->measurer->conf;
	uint64_t used = 0;
	struct statvfs space;

	if (!db_used_bytes(writer->measurer->db, &used))
		put_number(writer, status, "log_bytes", used);
	put_number(writer, status, "log_max_bytes", conf->log_max_size);
	if (statvfs(conf->log_path, &space))
		return;
	put_number(writer, status, "disk_bytes", (uint64_t)space.f_blocks * space.f_frsize);
	put_number(writer, status, "disk_free_bytes", (uint64_t)space.f_bavail * space.f_frsize);
}

static void put_log(struct writer *writer, json_t *status)
{
	const struct log *log = writer->measurer->log;

	if (!log || !log_epoch_seq(log))
		return;
	put_banks(writer, status);
	put_number(writer, status, "first_seq", log_first_seq(log));
	put_number(writer, status, "last_seq", log_last_seq(log));
	put_number(writer, status, "extended_seq", log_extended_seq(log));
	put_number(writer, status, "confirmed_seq", writer->measurer->confirmed_seq);
	put_number(writer, status, "kept_seq", log_kept_seq(log));
	put(writer, status, "log_id", hex(log_epoch(log)->log_id, sizeof(log_epoch(log)->log_id)));
	put_number(writer, status, "epoch_seq", log_epoch_seq(log));
	put_number(writer, status, "reset_count", log_epoch(log)->reset_count);
	put_number(writer, status, "restart_count", log_epoch(log)->restart_count);
	put_space(writer, status);
}

static json_t *durations_json(struct writer *writer, const struct durations *durations)
{
	json_t *counts = json_array();

	for (size_t i = 0; i <= DURATION_BOUNDS; i++)
		add(writer, counts, json_integer((json_int_t)durations->counts[i]));
	return json_pack("{s:o, s:I}", "counts", counts, "sum_us", (json_int_t)durations->sum_us);
}

/* How long things took, counted by how long: bounds_us are the upper ends, and there is one count more. */
static json_t *durations_all_json(struct writer *writer)
{
	const struct measurer *measurer = writer->measurer;
	json_t *all = json_object(), *bounds = json_array();

	for (size_t i = 0; i < DURATION_BOUNDS; i++)
		add(writer, bounds, json_integer((json_int_t)duration_bound_us(i)));
	put(writer, all, "bounds_us", bounds);
	put(writer, all, "durable", durations_json(writer, &measurer->counts.window.durable));
	put(writer, all, "extended", durations_json(writer, &measurer->counts.window.extended));
	put(writer, all, "quote", durations_json(writer, &measurer->counts.quotes));
	return all;
}

/* What nobody is told of as long as all is well. */
static void put_operation(struct writer *writer, json_t *status)
{
	const struct measurer *measurer = writer->measurer;
	uint64_t unkept_ms = measurer->unkept_ms ? measurer_now_ms() - measurer->unkept_ms : 0;

	put_number(writer, status, "oldest_waiting_us",
		window_oldest_ns(&measurer->counts.window, measurer_boot_ns()) / 1000);
	put_number(writer, status, "last_extend_ns", measurer->extended_ns);
	put_number(writer, status, "confirmed_ns", measurer->confirmed_ns);
	put_number(writer, status, "unkept_ms", unkept_ms);
	put(writer, status, "fault_starts", fault_starts_json(writer));
	put_number(writer, status, "journal_dropped", say_dropped(measurer->setup.say));
	put(writer, status, "durations", durations_all_json(writer));
}

static json_t *attest_json(struct writer *writer)
{
	const struct warden_status *attest = writer->measurer->attest;
	const struct server_conf *conf = &writer->measurer->conf->attest;
	json_t *object = json_object();

	put(writer, object, "state", json_string(warden_state_name(attest->state)));
	if (attest->why[0])
		put(writer, object, "why", json_string(attest->why));
	if (attest->state == WARDEN_OFF)
		return object;
	if (*conf->listen)
		put(writer, object, "listen", json_string(conf->listen));
	put_number(writer, object, "restarts", attest->restarts);
	if (attest->state != WARDEN_SERVING)
		return object;
	put_number(writer, object, "pid", (uint64_t)attest->pid);
	put_number(writer, object, "landlock", attest->landlock);
	put(writer, object, "seccomp", json_boolean(attest->seccomp));
	return object;
}

static json_t *loads_json(struct writer *writer)
{
	json_t *loads = json_object();

	for (enum record_verdict verdict = 0; verdict <= VERDICT_VERIFIED; verdict++)
		put_number(writer, loads, record_verdict_name(verdict),
			writer->measurer->counts.loads[verdict]);
	return loads;
}

static json_t *loaded_json(struct writer *writer, const struct cross_program *program)
{
	json_t *object = json_object();

	put_number(writer, object, "id", program->id);
	put_number(writer, object, "load_time_ns", program->load_time_ns);
	put(writer, object, "name", json_string(program->name));
	for (enum cross_view view = 0; view < CROSS_VIEW_COUNT; view++)
		put(writer, object, cross_view_name(view),
			program->refused & 1U << view
				? json_null()
				: json_boolean(!(program->hidden & 1U << view)));
	return object;
}

char *status_json(const struct measurer *measurer)
{
	const struct event_state *state = probe_state(measurer->probe);
	unsigned wanted = probe_wanted(measurer->probe);
	unsigned in_use = wanted & measurer->hooks_shown;
	struct writer writer = { measurer, true };
	char trouble[MEASURER_TROUBLE_MAX];
	json_t *status = json_object();
	char *text = NULL;

	measurer_trouble(measurer, trouble);
	put(&writer, status, "state", json_string(*trouble ? "degraded" : "measuring"));
	if (*trouble) {
		put(&writer, status, "why", json_string(trouble));
		put(&writer, status, "faults", faults_json(&writer));
	}
	put(&writer, status, "version", json_string(VERSION));
	put(&writer, status, "hooks", hook_names(&writer, in_use));
	put(&writer, status, "missing",
		hook_names(&writer, probe_expected(measurer->probe) & ~in_use));
	put(&writer, status, "absent", hook_names(&writer, ~probe_expected(measurer->probe)));
	put(&writer, status, "not_covered", not_covered(&writer, wanted));
	if (tpm_identity(measurer->tpm)->manufacturer[0])
		put(&writer, status, "tpm", tpm_json(&writer));
	put_number(&writer, status, "pcr", measurer->conf->tpm_pcr);
	put_log(&writer, status);
	put(&writer, status, "loads", loads_json(&writer));
	put_number(&writer, status, "lost", measurer->counts.lost);
	put_number(&writer, status, "programs", measurer->programs.count);
	put_number(&writer, status, "dropped_events", state->dropped_events);
	put_number(&writer, status, "missed_hooks", measurer_missed(measurer));
	put_number(&writer, status, "malformed_events",
		measurer->counts.malformed + measurer->collect.malformed);
	put_number(&writer, status, "audit_failed",
		measurer->counts.audit_failed + trail_failed(measurer->trail));
	put(&writer, status, "ring",
		json_pack("{s:I, s:I, s:I}", "size", (json_int_t)probe_ring_size(measurer->probe),
			"held", (json_int_t)ring_held(measurer->ring), "unread",
			(json_int_t)(ring_written(measurer->ring) - measurer->read_end)));
	put_operation(&writer, status);
	if (measurer->attest)
		put(&writer, status, "attest", attest_json(&writer));
	if (writer.complete)
		text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	return text;
}

char *status_loaded_json(const struct measurer *measurer, const struct cross *cross)
{
	struct writer writer = { measurer, true };
	json_t *loaded = json_object(), *programs = json_array();
	char *text = NULL;

	for (size_t i = 0; i < cross->count; i++)
		add(&writer, programs, loaded_json(&writer, &cross->all[i]));
	put(&writer, loaded, "boot_id", json_string(log_epoch(measurer->log)->boot_id));
	put_number(&writer, loaded, "last_seq", log_last_seq(measurer->log));
	put(&writer, loaded, "programs", programs);
	if (writer.complete)
		text = json_dumps(loaded, JSON_COMPACT);
	json_decref(loaded);
	return text;
}
