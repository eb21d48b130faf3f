/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tell.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "bpf/line.h"

/* ---- records ---- */

/* A value of a record as it stands there, without quotes; empty where it has none. */
struct value {
	char text[SAY_VALUE_MAX];
};

static const char *get(const struct log_committed *record, const char *path, struct value *value)
{
	struct line_value found;

	value->text[0] = 0;
	if (!line_get(record->line, record->len, path, &found) || line_value_is_null(found))
		return value->text;
	if (*found.at == '"')
		line_value_text(found, value->text, sizeof(value->text));
	else if (found.len < sizeof(value->text))
		snprintf(value->text, sizeof(value->text), "%.*s", (int)found.len, found.at);
	return value->text;
}

/* What a line has of a record that has it. */
static const struct {
	const char *field, *path;
} fields[] = {
	{ "BPFMEASURE_SEQ", "seq" },
	{ "BPFMEASURE_VERDICT", "signature.verdict" },
	{ "BPFMEASURE_COVERS", "signature.covers" },
	{ "BPFMEASURE_SHA256", "program.sha256" },
	{ "BPFMEASURE_PROGRAM_ID", "program.id" },
	{ "BPFMEASURE_PROGRAM_NAME", "program.name" },
	{ "BPFMEASURE_PROGRAM_TYPE", "program.type" },
	{ "BPFMEASURE_KEYRING", "signature.keyring" },
	{ "BPFMEASURE_PINNED", "signature.pinned" },
	{ "BPFMEASURE_PARENT", "parent.seq" },
	{ "BPFMEASURE_LOADER", "loader.exe" },
	{ "BPFMEASURE_LOADER_COMM", "loader.comm" },
	{ "BPFMEASURE_LOADER_PID", "loader.tgid" },
	{ "BPFMEASURE_LOADER_UID", "loader.uid" },
	{ "BPFMEASURE_LOADER_UNIT", "loader.unit" },
	{ "BPFMEASURE_STAGE", "stage" },
	{ "BPFMEASURE_ERRNO", "errno" },
	{ "BPFMEASURE_WHAT", "what" },
	{ "BPFMEASURE_COUNT", "count" },
	{ "BPFMEASURE_WHY", "why" },
	{ "BPFMEASURE_AFTER", "after_seq" },
};

static void send_record(struct say *say, struct say_line *line, const struct log_committed *record)
{
	struct value value;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (*get(record, fields[i].path, &value))
			say_field(line, fields[i].field, value.text);
	say_send(say, line);
}

static bool is_signed_by_known(const struct log_committed *record)
{
	return record_has_known_signer(record->line, record->len);
}

/* Behind "verified": what the signature is over, and by whom. Never the word alone. */
static void describe_signature(const struct log_committed *record, char *text, size_t size)
{
	enum { DIGEST_SHOWN = 12 };
	struct value verdict, covers, pinned, keyring;

	text[0] = 0;
	if (strcmp(get(record, "signature.verdict", &verdict),
		    record_verdict_name(VERDICT_VERIFIED)) != 0)
		return;
	get(record, "signature.covers", &covers);
	if (*get(record, "signature.pinned", &pinned))
		snprintf(text, size, " (%.16s, by pinned %.*s)", covers.text, DIGEST_SHOWN,
			pinned.text);
	else if (is_signed_by_known(record))
		snprintf(text, size, " (%.16s, by keyring %.16s)", covers.text,
			get(record, "signature.keyring", &keyring));
	else
		snprintf(text, size, " (%.16s, by a key of the loader's own)", covers.text);
}

/* "unsigned socket_filter count, program 19", and who it was. */
static void describe(const struct log_committed *record, char *text, size_t size)
{
	static const char cut[] = "...";
	struct value verdict, type, program, id, exe, pid, uid;
	char signature[128];
	int len;

	describe_signature(record, signature, sizeof(signature));
	get(record, "program.name", &program);
	get(record, "program.id", &id);
	if (!*get(record, "loader.exe", &exe))
		get(record, "loader.comm", &exe);
	len = snprintf(text, size, "%s%s %s%s%s%s%s, by %s[%s], uid %s",
		get(record, "signature.verdict", &verdict), signature,
		get(record, "program.type", &type), *program.text ? " " : "", program.text,
		*id.text ? ", program " : "", id.text, exe.text, get(record, "loader.tgid", &pid),
		get(record, "loader.uid", &uid));
	if (len < 0 || (size_t)len >= size)
		strcpy(text + size - sizeof(cut), cut);
}

static bool is_wanted(enum conf_loads loads, const struct log_committed *record)
{
	return loads == LOADS_ALL || (loads == LOADS_UNVERIFIED && !is_signed_by_known(record));
}

static void tell_load(struct say *say, const struct log_committed *record)
{
	struct say_line line;
	char text[SAY_MESSAGE_MAX];

	if (!say_wants(say, SAY_LOAD, record->seq))
		return;
	describe(record, text, sizeof(text));
	say_begin(&line, SAY_LOAD, is_signed_by_known(record) ? LOG_INFO : LOG_NOTICE,
		"record %llu: load: %s", (unsigned long long)record->seq, text);
	send_record(say, &line, record);
}

static void tell_reject(struct say *say, const struct log_committed *record)
{
	struct say_line line;
	struct value stage, error;
	char text[SAY_MESSAGE_MAX];

	if (!say_wants(say, SAY_REJECT, record->seq))
		return;
	describe(record, text, sizeof(text));
	say_begin(&line, SAY_REJECT, LOG_WARNING, "record %llu: refused by %s (errno %s): %s",
		(unsigned long long)record->seq, get(record, "stage", &stage),
		get(record, "errno", &error), text);
	send_record(say, &line, record);
}

static void tell_lost(struct say *say, const struct log_committed *record)
{
	struct say_line line;
	struct value count, what;

	if (!say_wants(say, SAY_LOST, record->seq))
		return;
	say_begin(&line, SAY_LOST, LOG_WARNING, "record %llu: lost: %s %s",
		(unsigned long long)record->seq, get(record, "count", &count),
		get(record, "what", &what));
	send_record(say, &line, record);
}

static void tell_foreign(struct say *say, const struct log_committed *record)
{
	struct say_line line;
	struct value after;

	if (!say_wants(say, SAY_FOREIGN, record->seq))
		return;
	say_begin(&line, SAY_FOREIGN, LOG_CRIT,
		"record %llu: foreign: after record %s the PCR was extended with what is not in the log",
		(unsigned long long)record->seq, get(record, "after_seq", &after));
	send_record(say, &line, record);
}

static void tell_epoch(struct say *say, const struct log_committed *record)
{
	struct say_line line;
	struct value why;

	if (!say_wants(say, SAY_EPOCH, record->seq))
		return;
	get(record, "why", &why);
	say_begin(&line, SAY_EPOCH, LOG_NOTICE, "record %llu: %s%s%s",
		(unsigned long long)record->seq, record_kind_name(record->kind),
		*why.text ? ": " : "", why.text);
	send_record(say, &line, record);
}

void tell_record(struct say *say, enum conf_loads loads, const struct log_committed *record)
{
	if (record->own)
		return;
	switch (record->kind) {
	case RECORD_LOAD:
		if (is_wanted(loads, record))
			tell_load(say, record);
		break;
	case RECORD_REJECT:
		tell_reject(say, record);
		break;
	case RECORD_LOST:
		tell_lost(say, record);
		break;
	case RECORD_FOREIGN:
		tell_foreign(say, record);
		break;
	case RECORD_EPOCH:
	case RECORD_RESUME:
		tell_epoch(say, record);
		break;
	default:
		break;
	}
}

/* ---- faults ---- */

/* Those that may be somebody's doing. */
static bool is_critical(enum fault_kind kind)
{
	return kind == FAULT_LOG_REPLACED || kind == FAULT_HOOKS_REMOVED ||
		kind == FAULT_RING_OVERWRITTEN || kind == FAULT_PROGRAMS_HIDDEN ||
		kind == FAULT_PCR_FOREIGN;
}

static void tell_fault(struct say *say, const struct fault *fault)
{
	struct say_line line;

	if (!say_wants(say, SAY_FAULT, 0))
		return;
	say_begin(&line, SAY_FAULT, is_critical(fault->kind) ? LOG_CRIT : LOG_ERR,
		"degraded: %s: %s: %s", fault_name(fault->kind), fault->what,
		fault_remedy(fault->kind));
	say_field(&line, "BPFMEASURE_FAULT", fault_name(fault->kind));
	say_send(say, &line);
}

static void tell_mended(struct say *say, enum fault_kind kind)
{
	struct say_line line;

	if (!say_wants(say, SAY_MENDED, 0))
		return;
	say_begin(&line, SAY_MENDED, LOG_NOTICE, "over: %s", fault_name(kind));
	say_field(&line, "BPFMEASURE_FAULT", fault_name(kind));
	say_send(say, &line);
}

bool tell_faults(
	struct tell *tell, struct say *say, const struct fault faults[static FAULT_SLOT_COUNT])
{
	bool is_well = true, changed;

	changed = memcmp(tell->faults, faults, sizeof(tell->faults)) != 0;
	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++) {
		struct fault *told = &tell->faults[i];

		is_well = is_well && !faults[i].kind;
		if (told->kind && told->kind != faults[i].kind)
			tell_mended(say, told->kind);
		if (faults[i].kind && told->kind != faults[i].kind)
			tell->began[faults[i].kind]++;
		if (faults[i].kind &&
			(told->kind != faults[i].kind || strcmp(told->what, faults[i].what) != 0))
			tell_fault(say, &faults[i]);
		*told = faults[i];
	}
	if (is_well && !tell->is_measuring)
		say_text(say, SAY_MENDED, LOG_NOTICE, "measuring");
	changed = changed || is_well != tell->is_measuring;
	tell->is_measuring = is_well;
	return changed;
}
