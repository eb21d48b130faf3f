/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log_state.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/db.h"

int log_fail(struct log *log, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(log->error, sizeof(log->error), format, args);
	va_end(args);
	return err;
}

int log_fail_db(struct log *log, int err)
{
	return err < 0 ? log_fail(log, err, "%s", db_errmsg(log->db)) : err;
}

struct log *log_new(struct db *db, uint64_t program_store_max)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->db = db;
	log->program_store_max = program_store_max;
	return log;
}

static void batch_clear(struct log *log)
{
	for (size_t i = 0; i < log->program_count; i++)
		free(log->programs[i].insns);
	log->program_count = log->entry_count = log->bytes_len = 0;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	batch_clear(log);
	free(log->bytes);
	free(log->entries);
	free(log->programs);
	free(log->epoch_line);
	free(log);
}

const char *log_errmsg(const struct log *log)
{
	return log->error;
}

int log_check(
	struct log *log, uint64_t seq, const void *line, size_t len, struct record_head *ret_head)
{
	struct line_error error;

	if (record_check(line, len, ret_head, &error))
		return log_fail(log, -EUCLEAN, "record %llu of the log is damaged: %s at byte %zu",
			(unsigned long long)seq, error.what, error.at);
	if (ret_head->seq != seq)
		return log_fail(log, -EUCLEAN, "record %llu of the log says that it is record %llu",
			(unsigned long long)seq, (unsigned long long)ret_head->seq);
	return 0;
}

/* ---- opening ---- */

/* The record that the newest kept quote covers. */
static int kept_read(struct log *log)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	size_t len;
	int err = db_quote_last(log->db, log->last_seq, &line, &len, &log->kept_seq);

	return err == -ENOENT ? 0 : log_fail_db(log, err);
}

int log_open(struct log *log)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_head head;
	size_t len;
	int err;

	log->error[0] = 0;
	err = db_last_seq(log->db, &log->last_seq);
	if (!err)
		err = db_first_seq(log->db, &log->first_seq);
	if (err)
		return log_fail_db(log, err);
	if (!log->last_seq)
		return 0;
	err = db_line_get(log->db, log->last_seq, &line, &len);
	if (err)
		return log_fail_db(log, err);
	err = log_check(log, log->last_seq, line, len, &head);
	if (!err && sha256(line, len, log->last_sha256))
		err = log_fail(log, -EIO, "OpenSSL cannot hash");
	if (err)
		return err;
	log->last_exit = head.kind == RECORD_STOP ? EXIT_CLEAN : EXIT_UNCLEAN;
	err = kept_read(log);
	if (!err)
		err = log_note_read(log);
	/* Trimming that was cut off goes on; the log begins where it will end. */
	if (!err && log->first_seq > 1 && log->first_seq <= log->note.trim_last)
		log->first_seq = log->note.trim_last + 1;
	return err;
}

enum record_exit log_last_exit(const struct log *log)
{
	return log->last_exit;
}

uint64_t log_epoch_seq(const struct log *log)
{
	return log->note.epoch_seq;
}

const struct record_epoch_facts *log_epoch(const struct log *log)
{
	return &log->epoch;
}

uint64_t log_anchor_seq(const struct log *log)
{
	return log->note.anchor_seq;
}

uint64_t log_broken_seq(const struct log *log)
{
	return log->note.broken_seq;
}

uint64_t log_first_seq(const struct log *log)
{
	return log->first_seq;
}

/* ---- putting records ---- */

static void encode(struct line *line, const struct record_head *head, enum record_kind kind,
	const void *record)
{
	switch (kind) {
	case RECORD_EPOCH:
		return record_encode_epoch(line, *head, record);
	case RECORD_START:
		return record_encode_start(line, *head, record);
	case RECORD_STOP:
		return record_encode_stop(line, *head, record);
	case RECORD_BASELINE:
		return record_encode_baseline(line, *head, record);
	case RECORD_LOAD:
		return record_encode_load(line, *head, record);
	case RECORD_REJECT:
		return record_encode_reject(line, *head, record);
	case RECORD_INTEGRITY:
		return record_encode_integrity(line, *head, record);
	case RECORD_ATTACH:
		return record_encode_attach(line, *head, record);
	case RECORD_DETACH:
		return record_encode_detach(line, *head, record);
	case RECORD_UNLOAD:
		return record_encode_unload(line, *head, record);
	case RECORD_LOST:
		return record_encode_lost(line, *head, record);
	case RECORD_RESUME:
		return record_encode_resume(line, *head, record);
	case RECORD_FOREIGN:
		return record_encode_foreign(line, *head, record);
	case RECORD_TRIM:
		return record_encode_trim(line, *head, record);
	default:
		assert(!"a kind that is written");
	}
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int batch_reserve(struct log *log)
{
	if (log->bytes_room - log->bytes_len < RECORD_LINE_MAX) {
		size_t room = log->bytes_room * 2 + RECORD_LINE_MAX;
		char *grown = realloc(log->bytes, room);

		if (!grown)
			return -ENOMEM;
		log->bytes = grown;
		log->bytes_room = room;
	}
	if (log->entry_count == log->entry_room) {
		size_t room = log->entry_room * 2 + 16;
		struct entry *grown = reallocarray(log->entries, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		log->entries = grown;
		log->entry_room = room;
	}
	return 0;
}

/* sha256 of the line before the next one. */
static int prev_digest(const struct log *log, uint8_t ret_prev[static SHA256_LEN])
{
	const struct entry *last;

	if (!log->entry_count) {
		memcpy(ret_prev, log->last_sha256, SHA256_LEN);
		return 0;
	}
	last = &log->entries[log->entry_count - 1];
	return sha256(log->bytes + last->at, last->len, ret_prev);
}

int log_put(struct log *log, const struct log_put *put, const void *record, uint64_t *ret_seq)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	uint64_t boottime_ns = put->boottime_ns ? put->boottime_ns : now;
	struct record_head head = {
		.seq = log_next_seq(log),
		.boottime_ns = boottime_ns,
		.time_ns = boottime_ns + clock_ns(CLOCK_REALTIME) - now,
		.extend = put->keep || log_next_seq(log) - 1 - log->extended_seq <= WAITING_MAX,
	};
	struct line line;

	if (batch_reserve(log))
		return log_fail(log, -ENOMEM, "out of memory for a record");
	if (prev_digest(log, head.prev))
		return log_fail(log, -EIO, "OpenSSL cannot hash");
	line_init(&line, log->bytes + log->bytes_len, RECORD_LINE_MAX);
	encode(&line, &head, put->kind, record);
	if (put->kind == RECORD_EPOCH && log_note_epoch(log, head.seq, line.buf, line.len))
		return -ENOMEM;
	if (put->kind == RECORD_RESUME)
		log_note_resume(log, line.buf, line.len);
	if (put->kind == RECORD_TRIM)
		log_note_trim(log, head.seq, line.buf, line.len);
	log->entries[log->entry_count++] = (struct entry){
		.seq = head.seq,
		.ref = put->ref,
		.returned_ns = put->returned_ns,
		.at = log->bytes_len,
		.len = line.len,
		.kind = put->kind,
		.own = put->own,
		.extend = head.extend,
	};
	log->bytes_len += line.len;
	if (ret_seq)
		*ret_seq = head.seq;
	return 0;
}

void log_listen(struct log *log, void (*committed)(void *arg, const struct log_committed *record),
	void *arg)
{
	log->committed = committed;
	log->committed_arg = arg;
}

void log_put_program(
	struct log *log, const uint8_t digest[static SHA256_LEN], const void *insns, size_t len)
{
	struct program *program;

	if (!len)
		return;
	if (log->program_count == log->program_room) {
		size_t room = log->program_room * 2 + 16;

		program = reallocarray(log->programs, room, sizeof(*program));
		if (!program)
			return;
		log->programs = program;
		log->program_room = room;
	}
	program = &log->programs[log->program_count];
	program->insns = malloc(len);
	if (!program->insns)
		return;
	memcpy(program->insns, insns, len);
	memcpy(program->sha256, digest, SHA256_LEN);
	program->len = len;
	log->program_count++;
}

size_t log_batch_bytes(const struct log *log)
{
	size_t bytes = log->bytes_len;

	for (size_t i = 0; i < log->program_count; i++)
		bytes += log->programs[i].len;
	return bytes;
}

size_t log_batch_count(const struct log *log)
{
	return log->entry_count;
}

/* ---- committing ---- */

/* The last line of a batch is always extended: the key that says otherwise is taken out again,
 * which leaves exactly the line that would have been written without it. */
static void extend_last(struct log *log)
{
	static const char key[] = ",\"extend\":false";
	struct entry *last = &log->entries[log->entry_count - 1];
	char *line = log->bytes + last->at, *at;

	if (last->extend)
		return;
	at = memmem(line, last->len, key, strlen(key));
	assert(at);
	last->len -= strlen(key);
	memmove(at, at + strlen(key), last->len - (size_t)(at - line));
	log->bytes_len -= strlen(key);
	last->extend = true;
}

static int db_write(struct log *log, const struct db_state *states, size_t state_count)
{
	struct db_line *lines = calloc(log->entry_count, sizeof(*lines));
	struct db_program *programs = calloc(log->program_count + 1, sizeof(*programs));
	struct db_batch batch = {
		.lines = lines,
		.line_count = log->entry_count,
		.programs = programs,
		.program_count = log->program_count,
		.program_bytes_max = log->program_store_max,
		.states = states,
		.state_count = state_count,
	};
	int err = -ENOMEM;

	if (lines && programs) {
		for (size_t i = 0; i < log->entry_count; i++)
			lines[i] = (struct db_line){
				.seq = log->entries[i].seq,
				.ref = log->entries[i].ref,
				.line = log->bytes + log->entries[i].at,
				.len = log->entries[i].len,
			};
		for (size_t i = 0; i < log->program_count; i++)
			programs[i] = (struct db_program){
				.sha256 = log->programs[i].sha256,
				.insns = log->programs[i].insns,
				.len = log->programs[i].len,
			};
		err = db_append(log->db, &batch);
	}
	free(lines);
	free(programs);
	return err;
}

/* The hint and, where it changed, the note: sealed, in memory of the caller's. */
static int states_seal(struct log *log, uint8_t *hint_sealed, uint8_t *note_sealed,
	struct db_state *ret_states, size_t *ret_count)
{
	struct hint hint;
	size_t note_len = sizeof(log->note) + log->epoch_line_len;

	memset(&hint, 0, sizeof(hint));
	hint.epoch_seq = log->note.epoch_seq;
	hint.seq = log->extended_seq;
	hint.values = log->values;
	if (log_seal(&hint, sizeof(hint), hint_sealed))
		return log_fail(log, -EIO, "OpenSSL cannot hash");
	ret_states[0] = (struct db_state){ LOG_HINT_KEY, hint_sealed, LOG_SEAL_LEN + sizeof(hint) };
	*ret_count = 1;
	if (!log->note_changed)
		return 0;
	memcpy(note_sealed + LOG_SEAL_LEN, &log->note, sizeof(log->note));
	memcpy(note_sealed + LOG_SEAL_LEN + sizeof(log->note), log->epoch_line,
		log->epoch_line_len);
	if (sha256(note_sealed + LOG_SEAL_LEN, note_len, note_sealed))
		return log_fail(log, -EIO, "OpenSSL cannot hash");
	ret_states[1] = (struct db_state){ LOG_NOTE_KEY, note_sealed, LOG_SEAL_LEN + note_len };
	*ret_count = 2;
	return 0;
}

static void freep(void *pointer)
{
	free(*(void **)pointer);
}

static void tell_committed(const struct log *log)
{
	for (size_t i = 0; log->committed && i < log->entry_count; i++)
		log->committed(log->committed_arg,
			&(struct log_committed){
				.kind = log->entries[i].kind,
				.seq = log->entries[i].seq,
				.returned_ns = log->entries[i].returned_ns,
				.own = log->entries[i].own,
				.line = log->bytes + log->entries[i].at,
				.len = log->entries[i].len,
			});
}

int log_commit(struct log *log, const char *key, const void *value, size_t len)
{
	[[gnu::cleanup(freep)]] uint8_t *note_sealed = NULL;
	uint8_t hint_sealed[LOG_SEAL_LEN + sizeof(struct hint)];
	struct db_state states[3];
	size_t state_count = 0;
	const struct entry *last;
	uint8_t last_sha256[SHA256_LEN];
	int err;

	if (!log->entry_count)
		return 0;
	extend_last(log);
	note_sealed = malloc(LOG_SEAL_LEN + sizeof(log->note) + log->epoch_line_len);
	if (!note_sealed)
		return log_fail(log, -ENOMEM, "out of memory");
	err = states_seal(log, hint_sealed, note_sealed, states, &state_count);
	if (err)
		return err;
	if (key)
		states[state_count++] = (struct db_state){ key, value, len };
	last = &log->entries[log->entry_count - 1];
	if (sha256(log->bytes + last->at, last->len, last_sha256))
		return log_fail(log, -EIO, "OpenSSL cannot hash");
	err = db_write(log, states, state_count);
	if (err < 0)
		return err == -ENOMEM ? log_fail(log, err, "out of memory") : log_fail_db(log, err);

	memcpy(log->last_sha256, last_sha256, SHA256_LEN);
	log->last_seq = last->seq;
	if (!log->first_seq)
		log->first_seq = 1;
	log->note_changed = false;
	log_queue_batch(log);
	tell_committed(log);
	batch_clear(log);
	return 0;
}

uint64_t log_next_seq(const struct log *log)
{
	return log->last_seq + log->entry_count + 1;
}

uint64_t log_last_seq(const struct log *log)
{
	return log->last_seq;
}

uint64_t log_extended_seq(const struct log *log)
{
	return log->extended_seq;
}

const struct bank_values *log_values(const struct log *log)
{
	return &log->values;
}
