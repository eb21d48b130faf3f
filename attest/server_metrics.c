// SPDX-License-Identifier: BSD-2-Clause
/* GET /metrics: Prometheus' text format, version 0.0.4. */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* Numbers of the status, each a metric of its own; one that the status lacks is left out. */
static const struct {
	const char *key, *name, *type, *help;
} numbers[] = {
	{ "last_seq", "bpfmeasure_records_total", "counter", "Records in the log, over its life." },
	{ "extended_seq", "bpfmeasure_records_extended_total", "counter",
		"Records up to the last one that is in the TPM." },
	{ "confirmed_seq", "bpfmeasure_records_confirmed_total", "counter",
		"Records up to the last one after which the PCR was read and was as expected." },
	{ "kept_seq", "bpfmeasure_records_kept_total", "counter",
		"Records up to the last one that a kept quote covers." },
	{ "first_seq", "bpfmeasure_first_record", "gauge", "The oldest record in the log." },
	{ "epoch_seq", "bpfmeasure_epoch_record", "gauge",
		"The record with which the current epoch begins." },
	{ "reset_count", "bpfmeasure_tpm_resets_total", "counter",
		"Resets of the TPM, in its own count." },
	{ "restart_count", "bpfmeasure_tpm_restarts", "gauge",
		"Restarts and resumes of the TPM since its reset." },
	{ "lost", "bpfmeasure_lost_total", "counter",
		"Loads, events, ids and attachments recorded as lost since the daemon started." },
	{ "dropped_events", "bpfmeasure_dropped_events_total", "counter",
		"Events that found the ring full." },
	{ "missed_hooks", "bpfmeasure_missed_hooks_total", "counter",
		"Times that the kernel passed by a hook." },
	{ "malformed_events", "bpfmeasure_malformed_events_total", "counter",
		"Events that made no sense." },
	{ "audit_failed", "bpfmeasure_audit_failed_total", "counter",
		"Messages that the kernel's audit did not take." },
	{ "journal_dropped", "bpfmeasure_journal_dropped_total", "counter",
		"Lines that nobody took: the journal, or who reads standard error." },
	{ "programs", "bpfmeasure_programs", "gauge", "Programs that are loaded now." },
	{ "log_bytes", "bpfmeasure_log_size_bytes", "gauge",
		"Size of the log, with the programs that it keeps." },
	{ "log_max_bytes", "bpfmeasure_log_max_size_bytes", "gauge",
		"Above which the oldest records are removed; 0: never." },
	{ "disk_bytes", "bpfmeasure_log_filesystem_size_bytes", "gauge",
		"Size of the file system that the log is on." },
	{ "disk_free_bytes", "bpfmeasure_log_filesystem_avail_bytes", "gauge",
		"Space that is left on it." },
};

/* Times and durations of the status, in seconds here. */
static const struct {
	const char *key, *name, *help;
	uint64_t unit; /* so many are a second */
} seconds[] = {
	{ "oldest_waiting_us", "bpfmeasure_extend_lag_seconds",
		"Age of the oldest load that is not in the TPM yet; 0: there is none.", 1000000 },
	{ "unkept_ms", "bpfmeasure_unkept_seconds",
		"How long records have been waiting for a kept quote; 0: none do.", 1000 },
	{ "last_extend_ns", "bpfmeasure_last_extend_timestamp_seconds",
		"When the TPM took the last record; 0: none since the daemon started.",
		1000000000 },
	{ "confirmed_ns", "bpfmeasure_last_confirmation_timestamp_seconds",
		"When the PCR was last read and was as expected; 0: not since the daemon started.",
		1000000000 },
};

static void head(struct evbuffer *into, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(into, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(
	struct evbuffer *into, const char *name, const char *type, const char *help, uint64_t value)
{
	head(into, name, type, help);
	evbuffer_add_printf(into, "%s %" PRIu64 "\n", name, value);
}

/* A label's value, with its quotes. */
static void label(struct evbuffer *into, const char *text)
{
	evbuffer_add(into, "\"", 1);
	for (; text && *text; text++) {
		if (*text == '\\' || *text == '"')
			evbuffer_add(into, "\\", 1);
		if (*text == '\n')
			evbuffer_add(into, "\\n", 2);
		else
			evbuffer_add(into, text, 1);
	}
	evbuffer_add(into, "\"", 1);
}

/* ---- the measurer ---- */

static const char *string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool is_word(const char *text, const char *word)
{
	return text && strcmp(text, word) == 0;
}

static void write_build(const json_t *status, struct evbuffer *into)
{
	head(into, "bpfmeasure_build_info", "gauge", "The daemon's version.");
	evbuffer_add_printf(into, "bpfmeasure_build_info{version=");
	label(into, string_at(status, "version"));
	evbuffer_add_printf(into, "} 1\n");
}

/* Two parts may lack the same, memory for one. */
static bool is_told(const json_t *faults, size_t i)
{
	const char *word = string_at(json_array_get(faults, i), "fault");

	for (size_t before = 0; word && before < i; before++)
		if (is_word(string_at(json_array_get(faults, before), "fault"), word))
			return true;
	return false;
}

/* Every kind of fault that there is now. */
static void write_faults(const json_t *status, struct evbuffer *into)
{
	const json_t *faults = json_object_get(status, "faults");
	json_t *fault;
	size_t i;

	head(into, "bpfmeasure_fault", "gauge",
		"1 for each fault that there is now (docs/operations.md).");
	json_array_foreach(faults, i, fault)
	{
		if (is_told(faults, i))
			continue;
		evbuffer_add_printf(into, "bpfmeasure_fault{fault=");
		label(into, string_at(fault, "fault"));
		evbuffer_add_printf(into, "} 1\n");
	}
	number(into, "bpfmeasure_faults", "gauge", "How many faults there are now.",
		json_array_size(faults));
}

/* A counter for each key of an object, which becomes a label. */
static void write_counts(json_t *counts, const char *name, const char *key_label, const char *help,
	struct evbuffer *into)
{
	const char *key;
	json_t *count;

	if (!json_is_object(counts))
		return;
	head(into, name, "counter", help);
	json_object_foreach(counts, key, count)
	{
		evbuffer_add_printf(into, "%s{%s=", name, key_label);
		label(into, key);
		evbuffer_add_printf(
			into, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(count));
	}
}

static void write_ring(const json_t *ring, struct evbuffer *into)
{
	if (!ring)
		return;
	number(into, "bpfmeasure_ring_size_bytes", "gauge", "Size of the ring.",
		(uint64_t)json_integer_value(json_object_get(ring, "size")));
	number(into, "bpfmeasure_ring_held_bytes", "gauge",
		"Bytes of the ring that are read and not given back.",
		(uint64_t)json_integer_value(json_object_get(ring, "held")));
	number(into, "bpfmeasure_ring_unread_bytes", "gauge",
		"Bytes of the ring that are not read yet.",
		(uint64_t)json_integer_value(json_object_get(ring, "unread")));
}

/* What the measurer says of this process. */
static void write_warden(const json_t *attest, struct evbuffer *into)
{
	const json_t *landlock = json_object_get(attest, "landlock");

	if (!attest)
		return;
	number(into, "bpfmeasure_server_restarts_total", "counter",
		"How often the attestation server was started again.",
		(uint64_t)json_integer_value(json_object_get(attest, "restarts")));
	number(into, "bpfmeasure_server_sandboxed", "gauge",
		"Whether Landlock and seccomp hold the attestation server.",
		json_integer_value(landlock) > 0 &&
			json_is_true(json_object_get(attest, "seccomp")));
}

/* Cumulative, as a histogram is: le is the upper end, in seconds. */
static void write_durations(const json_t *all, const char *key, const char *name, const char *help,
	struct evbuffer *into)
{
	const json_t *bounds = json_object_get(all, "bounds_us"), *bound;
	const json_t *durations = json_object_get(all, key);
	const json_t *counts = json_object_get(durations, "counts");
	uint64_t sum_us, count = 0;
	size_t i;

	if (!json_is_array(counts) || json_array_size(counts) != json_array_size(bounds) + 1)
		return;
	head(into, name, "histogram", help);
	json_array_foreach(bounds, i, bound)
	{
		count += (uint64_t)json_integer_value(json_array_get(counts, i));
		evbuffer_add_printf(into, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			(double)json_integer_value(bound) / 1e6, count);
	}
	count += (uint64_t)json_integer_value(json_array_get(counts, i));
	sum_us = (uint64_t)json_integer_value(json_object_get(durations, "sum_us"));
	evbuffer_add_printf(into,
		"%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 ".%06" PRIu64
		"\n%s_count %" PRIu64 "\n",
		name, count, name, sum_us / 1000000, sum_us % 1000000, name, count);
}

static void write_seconds(const json_t *status, struct evbuffer *into)
{
	const json_t *durations = json_object_get(status, "durations");

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		const json_t *value = json_object_get(status, seconds[i].key);
		uint64_t unit = seconds[i].unit, count = (uint64_t)json_integer_value(value);

		if (!json_is_integer(value))
			continue;
		head(into, seconds[i].name, "gauge", seconds[i].help);
		evbuffer_add_printf(into, "%s %" PRIu64 ".%06" PRIu64 "\n", seconds[i].name,
			count / unit, (uint64_t)((double)(count % unit) * 1e6 / (double)unit));
	}
	write_durations(durations, "durable", "bpfmeasure_load_durable_seconds",
		"From the return of a load until its record was on disk.", into);
	write_durations(durations, "extended", "bpfmeasure_load_extended_seconds",
		"From the return of a load until its record was in the TPM.", into);
	write_durations(durations, "quote", "bpfmeasure_quote_duration_seconds",
		"How long the TPM took for a quote.", into);
}

/* The register has a number, but is no quantity. */
static void write_tpm(const json_t *status, struct evbuffer *into)
{
	const json_t *tpm = json_object_get(status, "tpm");
	const char *kind = string_at(tpm, "kind");

	if (!kind)
		return;
	number(into, "bpfmeasure_tpm_software", "gauge", "Whether the TPM is a software TPM.",
		is_word(kind, "software"));
	head(into, "bpfmeasure_tpm_info", "gauge",
		"The TPM, and the register that records are extended into.");
	evbuffer_add_printf(into, "bpfmeasure_tpm_info{kind=");
	label(into, kind);
	evbuffer_add_printf(into, ",manufacturer=");
	label(into, string_at(tpm, "manufacturer"));
	evbuffer_add_printf(into, ",pcr=\"%" JSON_INTEGER_FORMAT "\"} 1\n",
		json_integer_value(json_object_get(status, "pcr")));
}

static void write_hooks(const json_t *status, struct evbuffer *into)
{
	number(into, "bpfmeasure_hooks", "gauge", "Hooks that have shown that they fire.",
		json_array_size(json_object_get(status, "hooks")));
	number(into, "bpfmeasure_hooks_missing", "gauge",
		"Hooks that this kernel should have, and that have not.",
		json_array_size(json_object_get(status, "missing")));
}

static void write_status(const json_t *status, struct evbuffer *into)
{
	number(into, "bpfmeasure_measuring", "gauge", "Whether the state is measuring.",
		is_word(string_at(status, "state"), "measuring"));
	write_build(status, into);
	write_tpm(status, into);
	write_hooks(status, into);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const json_t *value = json_object_get(status, numbers[i].key);
		if (json_is_integer(value))
			number(into, numbers[i].name, numbers[i].type, numbers[i].help,
				(uint64_t)json_integer_value(value));
	}
	write_seconds(status, into);
	write_ring(json_object_get(status, "ring"), into);
	write_counts(json_object_get(status, "loads"), "bpfmeasure_loads_total", "verdict",
		"Loads since the daemon started, by their signature's verdict.", into);
	write_faults(status, into);
	write_counts(json_object_get(status, "fault_starts"), "bpfmeasure_fault_starts_total",
		"fault", "How often each kind of fault has begun since the daemon started.", into);
	write_warden(json_object_get(status, "attest"), into);
}

/* ---- the server ---- */

static void write_requests(const struct server *server, struct evbuffer *into)
{
	head(into, "bpfmeasure_server_requests_total", "counter",
		"Requests that were answered, by route and code.");
	for (size_t route = 0; route <= ROUTE_COUNT; route++)
		for (size_t code = 0; code < CODE_COUNT; code++)
			if (server->requests[route][code])
				evbuffer_add_printf(into,
					"bpfmeasure_server_requests_total{route=\"%s\",code=\"%d\"}"
					" %" PRIu64 "\n",
					route_name(route), reply_code(code),
					server->requests[route][code]);
}

static void write_connections(struct server *server, struct evbuffer *into)
{
	static const char *const why[REFUSAL_COUNT] = {
		[REFUSED_TOTAL] = "total",
		[REFUSED_PEER] = "peer",
		[REFUSED_SLOW] = "deadline",
		[REFUSED_MEMORY] = "memory",
	};

	head(into, "bpfmeasure_server_connections", "gauge", "Open connections.");
	for (size_t i = 0; i < server->door_count; i++) {
		connections_sweep(&server->doors[i]);
		evbuffer_add_printf(into, "bpfmeasure_server_connections{listener=\"%s\"} %u\n",
			door_name(server->doors[i].kind), server->doors[i].count);
	}
	head(into, "bpfmeasure_server_connections_refused_total", "counter",
		"Connections that were closed at a limit.");
	for (size_t i = 0; i < REFUSAL_COUNT; i++)
		evbuffer_add_printf(into,
			"bpfmeasure_server_connections_refused_total{limit=\"%s\"} %" PRIu64 "\n",
			why[i], server->refused[i]);
}

/* bytes: a status; NULL: there is none. Returns 0 or -ENOMEM. */
static int write_all(struct server *server, const char *bytes, size_t len, struct evbuffer *into)
{
	json_t *status = bytes ? json_loadb(bytes, len, 0, NULL) : NULL;

	number(into, "bpfmeasure_up", "gauge", "Whether the measurer answers.", status != NULL);
	if (status)
		write_status(status, into);
	json_decref(status);
	number(into, "bpfmeasure_server_quotes_waiting", "gauge",
		"Challenges that wait for a quote.", server->quotes_waiting);
	number(into, "bpfmeasure_server_answers_cut_total", "counter",
		"Answers that were broken off.", server->answers_cut);
	number(into, "bpfmeasure_server_malformed_requests_total", "counter",
		"What was no HTTP request, or too large.", server->library_errors);
	write_connections(server, into);
	write_requests(server, into);
	return evbuffer_get_length(into) ? 0 : -ENOMEM;
}

static void on_status(void *arg, int err, const char *bytes, size_t len)
{
	struct exchange *exchange = arg;
	struct evbuffer *body = evbuffer_new();

	if (!body || write_all(exchange->server, err ? NULL : bytes, len, body))
		reply_error(exchange, 503, "out of memory");
	else
		reply_text(exchange, metrics_type, body);
	if (body)
		evbuffer_free(body);
}

void route_metrics(struct exchange *exchange)
{
	facts_get(exchange, CHANNEL_STATUS, on_status);
}
