/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies over proven records, and which of those the next round needs again. */
#include "attest/round_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LIST_MAX = 2 *
		MEMORY_LINES_MAX, /* those in the memory that are gone stay, to be dropped there */
	UNLOADS_MAX = 4096,
};

/* ---- what is loaded and attached ---- */

static int by_program(const void *a, const void *b)
{
	const struct round_unload *x = a, *y = b;

	if (x->program_id != y->program_id)
		return x->program_id < y->program_id ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/*
 * An attachment ends with its program. An unload names the record that its program has in that epoch, and
 * the attachment one of an epoch before, maybe: the kernel's id is what they share.
 */
static void settle(struct round_records *records)
{
	size_t count = 0;

	if (!records->unload_count)
		return;
	qsort(records->unloads, records->unload_count, sizeof(*records->unloads), by_program);
	for (size_t i = 0; i < records->unload_count; i++) { /* the last of each */
		if (count &&
			records->unloads[count - 1].program_id == records->unloads[i].program_id)
			count--;
		records->unloads[count++] = records->unloads[i];
	}
	for (size_t i = 0, low, high; i < records->count; i++) {
		struct round_record *record = &records->list[i];

		if (record->kind != RECORD_ATTACH || record->is_gone)
			continue;
		for (low = 0, high = count; low < high;) {
			size_t middle = (low + high) / 2;
			if (records->unloads[middle].program_id < record->program_id)
				low = middle + 1;
			else
				high = middle;
		}
		record->is_gone = low < count &&
			records->unloads[low].program_id == record->program_id &&
			records->unloads[low].seq > record->seq;
	}
	records->unload_count = 0;
}

/* Close up what is gone, but for what the memory has to forget. Whether that made room. */
static bool compact(struct round_records *records)
{
	size_t kept = 0;

	settle(records);
	for (size_t i = 0; i < records->count; i++)
		if (!records->list[i].is_gone || !records->list[i].file)
			records->list[kept++] = records->list[i];
	records->count = kept;
	return kept <= records->size - records->size / 8;
}

static int add_record(struct round_records *records, const struct round_record *record)
{
	if (records->is_partial)
		return 0;
	if (records->count == records->size && (records->size < LIST_MAX || !compact(records))) {
		size_t size = records->size ? 2 * records->size : 64;
		if (size > LIST_MAX) {
			records->is_partial = true;
			return 0;
		}
		void *list = reallocarray(records->list, size, sizeof(*records->list));
		if (!list)
			return -ENOMEM;
		records->list = list;
		records->size = size;
	}
	records->list[records->count++] = *record;
	return 0;
}

static int add_unload(struct round_records *records, uint64_t program_id, uint64_t seq)
{
	if (!records->unloads)
		records->unloads = calloc(UNLOADS_MAX, sizeof(*records->unloads));
	if (!records->unloads)
		return -ENOMEM;
	if (records->unload_count == UNLOADS_MAX)
		settle(records);
	records->unloads[records->unload_count++] = (struct round_unload){ program_id, seq };
	return 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct round_record *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void end_record(struct round_records *records, uint64_t seq)
{
	struct round_record key = { .seq = seq }, *found = NULL;

	if (records->count)
		found = bsearch(&key, records->list, records->count, sizeof(key), by_seq);
	if (found)
		found->is_gone = true;
}

/* It begins with a baseline of what is loaded; what is attached ends with the boot alone. */
static void begin_epoch(struct round_records *records, struct line_value boot_id)
{
	char before[ROUND_BOOT_ID_MAX];

	memcpy(before, records->boot_id, sizeof(before));
	line_value_text(boot_id, records->boot_id, sizeof(records->boot_id));
	bool is_same_boot = before[0] && strcmp(before, records->boot_id) == 0;
	for (size_t i = 0; i < records->count; i++)
		if (!is_same_boot || records->list[i].kind == RECORD_LOAD ||
			records->list[i].kind == RECORD_BASELINE)
			records->list[i].is_gone = true;
}

static struct line_value value_at(const char *line, size_t len, const char *path)
{
	struct line_value value = { .at = "null", .len = 4 };

	(void)line_get(line, len, path, &value);
	return value;
}

/* Take notice of one record. */
static int follow(
	struct round *round, const char *line, size_t len, const struct round_record *where)
{
	struct round_records *records = &round->records;
	struct round_record record = *where;
	struct record_head head;
	struct line_error error;

	if (record_check(line, len, &head, &error))
		return -EBADMSG;
	record.kind = head.kind;
	switch (head.kind) {
	case RECORD_EPOCH:
		begin_epoch(records, value_at(line, len, "boot_id"));
		return add_record(records, &record);
	case RECORD_UNLOAD:
		end_record(records, line_value_uint(value_at(line, len, "program.seq")));
		return add_unload(
			records, line_value_uint(value_at(line, len, "program.id")), head.seq);
	case RECORD_DETACH:
		end_record(records, line_value_uint(value_at(line, len, "attach_seq")));
		return 0;
	case RECORD_ATTACH:
		record.program_id = line_value_uint(value_at(line, len, "program.id"));
		return add_record(records, &record);
	case RECORD_LOAD:
	case RECORD_BASELINE:
		return add_record(records, &record);
	default:
		return 0;
	}
}

int round_records_put(struct round *round)
{
	struct memory *memory = round->options->memory;
	const char *machine = round->options->machine;
	char *line = malloc(RECORD_LINE_MAX);
	int64_t room = MEMORY_LINES_MAX;
	int r = line ? 0 : -ENOMEM;

	settle(&round->records);
	for (size_t i = 0; i < round->records.count && !r; i++) {
		const struct round_record *record = &round->records.list[i];
		if (!record->file && record->is_gone)
			r = memory_line_drop(memory, machine, record->seq);
		if (record->is_gone)
			continue;
		if (room-- <= 0) {
			round->records.is_partial = true;
			continue;
		}
		if (!record->file)
			continue;
		if (fseek(record->file, record->at, SEEK_SET) ||
			fread(line, 1, record->len, record->file) != record->len)
			r = -ENODATA;
		else
			r = memory_line_put(memory, machine, record->seq, line, record->len);
	}
	free(line);
	return r;
}

/* ---- policies ---- */

static int add(struct round *round, uint64_t seq, const char *line, size_t len, bool remembered)
{
	int r = policy_record_add(round->options->policy, seq, line, len, remembered);

	if (r)
		snprintf(round->found.error, sizeof(round->found.error),
			"record %llu cannot be judged: %s", (unsigned long long)seq, strerror(-r));
	return r;
}

static int add_remembered(void *arg, uint64_t seq, const char *line, size_t len)
{
	struct round *round = arg;
	const struct round_record where = { .seq = seq };

	if (seq >= round->judged_from) /* it comes again */
		return 0;
	int r = add(round, seq, line, len, true);

	return r ? r : follow(round, line, len, &where);
}

static void freep(struct evidence_reader **reader)
{
	free(*reader);
}

/* Records of a file, first to last; what was judged in an earlier round is not judged again. */
static int add_file(
	struct round *round, FILE *file, bool has_statement, uint64_t first, uint64_t last)
{
	[[gnu::cleanup(freep)]] struct evidence_reader *reader = malloc(sizeof(*reader));
	uint64_t known = round->judged_from - 1;
	const char *line;
	long at = 0;
	size_t len;
	int r = reader ? 0 : -ENOMEM;

	if (r)
		return r;
	rewind(file);
	evidence_reader_init(reader, file);
	if (has_statement && evidence_read(reader, &line, &len) == 1)
		at += (long)len + 1;
	for (uint64_t seq = first; seq <= last && !r; seq++) {
		if (evidence_read(reader, &line, &len) != 1)
			return -EIO;
		const struct round_record where = {
			.seq = seq, .file = file, .at = at, .len = len
		};
		at += (long)len + 1;
		r = add(round, seq, line, len, seq <= known);
		if (!r && seq > known)
			r = follow(round, line, len, &where);
	}
	return r;
}

static void keep(void *arg, const struct policy_violation *violation)
{
	struct round_found *found = arg;

	if (violation->is_past) {
		if (found->past++ == 0)
			found->first_past = *violation;
		return;
	}
	if (found->count == found->size) {
		size_t size = found->size ? 2 * found->size : 16;
		void *list = reallocarray(found->list, size, sizeof(*found->list));
		if (!list) {
			found->is_cut = true;
			return;
		}
		found->list = list;
		found->size = size;
	}
	found->list[found->count++] = *violation;
}

int round_judge(struct round *round)
{
	struct policy *policy = round->options->policy;
	const struct verify_facts *facts = &round->result->evidence.facts;
	int r = policy_reset(policy);

	round->is_judged = true;
	if (!r)
		r = policy_machine_set(policy, &round->result->machine, round->proven.anchor.seq);
	if (!r && round->judged_from > 1)
		r = memory_lines_each(
			round->options->memory, round->options->machine, add_remembered, round);
	if (!r && round->gap.file)
		r = add_file(round, round->gap.file, false, round->gap.first, round->gap.last);
	if (!r)
		r = add_file(round, round->evidence, true, facts->first, facts->last);
	if (r) {
		if (!round->found.error[0])
			snprintf(round->found.error, sizeof(round->found.error),
				"the records cannot be judged: %s", strerror(-r));
		return r;
	}
	policy_epoch_set(policy, round_epoch_seq(round));
	round->found.standing = policy_run(policy, keep, &round->found, round->found.error);
	if (round->found.is_cut && round->found.standing >= 0) {
		round->found.standing = -ENOMEM;
		snprintf(round->found.error, sizeof(round->found.error),
			"there is no memory for all that policies find");
	}
	return 0;
}
