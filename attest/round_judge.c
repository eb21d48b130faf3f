/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies over proven records, and which of those the next round needs again. */
#include "attest/round_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Those in the memory that are gone stay in the list, to be dropped there. */
enum { LIST_MAX = 2 * MEMORY_LINES_MAX };

/* ---- programs that are loaded ---- */

/* Close up what is gone, but for what the memory has to forget. Whether that made room. */
static bool compact(struct round_programs *programs)
{
	size_t kept = 0;

	for (size_t i = 0; i < programs->count; i++)
		if (!programs->list[i].is_gone || !programs->list[i].file)
			programs->list[kept++] = programs->list[i];
	programs->count = kept;
	return kept <= programs->size - programs->size / 8;
}

static int add_program(struct round_programs *programs, const struct round_program *program)
{
	if (programs->is_partial)
		return 0;
	if (programs->count == programs->size &&
		(programs->size < LIST_MAX || !compact(programs))) {
		size_t size = programs->size ? 2 * programs->size : 64;
		if (size > LIST_MAX) {
			programs->is_partial = true;
			return 0;
		}
		void *list = reallocarray(programs->list, size, sizeof(*programs->list));
		if (!list)
			return -ENOMEM;
		programs->list = list;
		programs->size = size;
	}
	programs->list[programs->count++] = *program;
	return 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct round_program *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void unload(struct round_programs *programs, uint64_t seq)
{
	struct round_program key = { .seq = seq };
	struct round_program *found = bsearch(
		&key, programs->list, programs->count, sizeof(key), by_seq);

	if (found)
		found->is_gone = true;
}

/* Take notice of one record. */
static int follow(
	struct round *round, const char *line, size_t len, const struct round_program *where)
{
	struct round_programs *programs = &round->programs;
	struct record_head head;
	struct line_error error;
	struct line_value value;

	if (record_check(line, len, &head, &error))
		return -EBADMSG;
	switch (head.kind) {
	case RECORD_EPOCH: /* begins with a baseline of what is loaded */
		for (size_t i = 0; i < programs->count; i++)
			programs->list[i].is_gone = true;
		return 0;
	case RECORD_UNLOAD:
		if (line_get(line, len, "program.seq", &value))
			unload(programs, line_value_uint(value));
		return 0;
	case RECORD_LOAD:
	case RECORD_BASELINE:
		return add_program(programs, where);
	default:
		return 0;
	}
}

int round_programs_put(struct round *round)
{
	struct memory *memory = round->options->memory;
	const char *machine = round->options->machine;
	char *line = malloc(RECORD_LINE_MAX);
	int64_t room = MEMORY_LINES_MAX;
	int r = line ? 0 : -ENOMEM;

	for (size_t i = 0; i < round->programs.count && !r; i++) {
		const struct round_program *program = &round->programs.list[i];
		if (!program->file && program->is_gone)
			r = memory_line_drop(memory, machine, program->seq);
		if (program->is_gone)
			continue;
		if (room-- <= 0) {
			round->programs.is_partial = true;
			continue;
		}
		if (!program->file)
			continue;
		if (fseek(program->file, program->at, SEEK_SET) ||
			fread(line, 1, program->len, program->file) != program->len)
			r = -EIO;
		else
			r = memory_line_put(memory, machine, program->seq, line, program->len);
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
	const struct round_program program = { .seq = seq };

	if (seq >= round->judged_from) /* it comes again */
		return 0;
	int r = add(round, seq, line, len, true);

	return r ? r : add_program(&round->programs, &program);
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
		const struct round_program where = {
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
			found->is_short = true;
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
	return 0;
}
