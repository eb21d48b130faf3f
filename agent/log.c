/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/db.h"

enum {
	WAITING_MAX =
		16, /* records that wait for the TPM before lines are left to the next extend */
	QUEUE_MAX = 256, /* extends whose digests are at hand; the rest is read back */
};

struct entry {
	uint64_t seq;
	uint64_t ref;
	size_t at; /* in bytes */
	size_t len;
	bool extend;
};

struct program {
	uint8_t sha256[SHA256_LEN];
	void *insns;
	size_t len;
};

/* Where the PCR stood at some commit: where to start folding after a restart. */
struct hint {
	uint64_t epoch_seq;
	uint64_t seq;
	struct bank_values values;
};

struct log {
	struct db *db;
	uint64_t program_store_max;

	/* the batch */
	char *bytes;
	size_t bytes_len, bytes_room;
	struct entry *entries;
	size_t entry_count, entry_room;
	struct program *programs;
	size_t program_count, program_room;

	/* the database */
	uint64_t last_seq;
	uint8_t last_sha256[SHA256_LEN]; /* of line last_seq; zeros in an empty log */
	enum record_exit last_exit;

	/* the PCR */
	uint64_t epoch_seq;
	struct record_epoch_facts epoch;
	uint64_t extended_seq;
	struct bank_values values;
	struct log_extend queue[QUEUE_MAX]; /* the next extends, a ring */
	size_t queue_begin, queue_count;
	uint64_t queue_seq; /* the last line that the queue was filled from, or extended_seq */

	char error[256];
};

static const char hint_key[] = "extended";
static const char epoch_key[] = "epoch";

[[gnu::format(printf, 3, 4)]] static int fail(struct log *log, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(log->error, sizeof(log->error), format, args);
	va_end(args);
	return err;
}

static int fail_db(struct log *log, int err)
{
	return err < 0 ? fail(log, err, "%s", db_errmsg(log->db)) : err;
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
	free(log);
}

void log_freep(struct log **log)
{
	log_free(*log);
}

const char *log_errmsg(const struct log *log)
{
	return log->error;
}

/* ---- folding ---- */

static int digest_line(bank_set banks, const void *line, size_t len, struct bank_values *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank && bank_hash(bank, line, len, ret->digest[bank]))
			return -EIO;
	return 0;
}

static int fold(bank_set banks, struct bank_values *values, const struct bank_values *digests)
{
	struct bank_values next = *values;

	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank &&
			bank_extend(bank, next.digest[bank], digests->digest[bank]))
			return -EIO;
	*values = next;
	return 0;
}

static bool values_equal(
	bank_set banks, const struct bank_values *one, const struct bank_values *other)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank &&
			memcmp(one->digest[bank], other->digest[bank], bank_size(bank)))
			return false;
	return true;
}

static int check(
	struct log *log, uint64_t seq, const void *line, size_t len, struct record_head *ret_head)
{
	struct line_error error;

	if (record_check(line, len, ret_head, &error))
		return fail(log, -EUCLEAN, "record %llu of the log is damaged: %s at byte %zu",
			(unsigned long long)seq, error.what, error.at);
	if (ret_head->seq != seq)
		return fail(log, -EUCLEAN, "record %llu of the log says that it is record %llu",
			(unsigned long long)seq, (unsigned long long)ret_head->seq);
	return 0;
}

/* A walk along the lines of an epoch, folding. */
struct walk {
	struct log *log;
	uint64_t seq; /* of the last extended line */
	struct bank_values values;
	const struct bank_values *wanted; /* stop there; NULL: at the end */
};

static int walk_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct walk *walk = arg;
	struct record_head head;
	struct bank_values digests;
	int err = check(walk->log, seq, line, len, &head);

	if (err || !head.extend)
		return err;
	err = digest_line(walk->log->epoch.banks, line, len, &digests);
	if (!err)
		err = fold(walk->log->epoch.banks, &walk->values, &digests);
	if (err)
		return fail(walk->log, err, "OpenSSL cannot hash");
	walk->seq = seq;
	return walk->wanted && values_equal(walk->log->epoch.banks, &walk->values, walk->wanted);
}

/* Start of the epoch: the PCR before its own record. */
static struct walk walk_from_epoch(struct log *log)
{
	return (struct walk){ .log = log, .seq = log->epoch_seq - 1, .values = log->epoch.base };
}

static struct walk walk_from_hint(struct log *log)
{
	struct walk walk = walk_from_epoch(log);
	struct hint hint;

	if (db_state_get(log->db, hint_key, &hint, sizeof(hint)) == sizeof(hint) &&
		hint.epoch_seq == log->epoch_seq && hint.seq <= log->last_seq) {
		walk.seq = hint.seq;
		walk.values = hint.values;
	}
	return walk;
}

static int walk_to(struct walk *walk, uint64_t last)
{
	int err;

	if (walk->wanted && values_equal(walk->log->epoch.banks, &walk->values, walk->wanted))
		return 1;
	err = db_each(walk->log->db, walk->seq + 1, last, walk_line, walk);
	return err < 0 && !walk->log->error[0] ? fail_db(walk->log, err) : err;
}

/* ---- opening ---- */

static void line_freep(char **line)
{
	free(*line);
}

static int epoch_read(struct log *log)
{
	[[gnu::cleanup(line_freep)]] char *line = NULL;
	struct record_head head;
	size_t len;
	uint64_t seq;
	int err = db_state_get(log->db, epoch_key, &seq, sizeof(seq));

	if (err != sizeof(seq))
		return err < 0 ? fail_db(log, err)
			       : fail(log, -EUCLEAN, "the log's epoch is damaged");
	err = db_line_get(log->db, seq, &line, &len);
	if (err)
		return fail_db(log, err);
	err = check(log, seq, line, len, &head);
	if (err)
		return err;
	if (head.kind != RECORD_EPOCH)
		return fail(log, -EUCLEAN, "record %llu is not an epoch", (unsigned long long)seq);
	record_epoch_facts(line, len, &log->epoch);
	log->epoch_seq = seq;
	return 0;
}

int log_open(struct log *log)
{
	[[gnu::cleanup(line_freep)]] char *line = NULL;
	struct record_head head;
	size_t len;
	int err;

	log->error[0] = 0;
	err = db_last_seq(log->db, &log->last_seq);
	if (err)
		return fail_db(log, err);
	if (!log->last_seq)
		return 0;
	err = db_line_get(log->db, log->last_seq, &line, &len);
	if (err)
		return fail_db(log, err);
	err = check(log, log->last_seq, line, len, &head);
	if (!err && sha256(line, len, log->last_sha256))
		err = fail(log, -EIO, "OpenSSL cannot hash");
	if (err)
		return err;
	log->last_exit = head.kind == RECORD_STOP ? EXIT_CLEAN : EXIT_UNCLEAN;
	return epoch_read(log);
}

enum record_exit log_last_exit(const struct log *log)
{
	return log->last_exit;
}

uint64_t log_epoch_seq(const struct log *log)
{
	return log->epoch_seq;
}

const struct record_epoch_facts *log_epoch(const struct log *log)
{
	return &log->epoch;
}

int log_find(struct log *log, const struct bank_values *values)
{
	struct walk walk = walk_from_hint(log);
	int found;

	log->error[0] = 0;
	walk.wanted = values;
	found = walk_to(&walk, log->last_seq);
	if (!found) {
		/* The hint may be wrong; the base of the epoch is measured. */
		walk = walk_from_epoch(log);
		walk.wanted = values;
		found = walk_to(&walk, log->last_seq);
	}
	if (found <= 0)
		return found;
	log->extended_seq = log->queue_seq = walk.seq;
	log->values = walk.values;
	log->queue_count = 0;
	return 1;
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
	case RECORD_UNLOAD:
		return record_encode_unload(line, *head, record);
	case RECORD_LOST:
		return record_encode_lost(line, *head, record);
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
	struct record_head head = {
		.seq = log_next_seq(log),
		.boottime_ns = put->boottime_ns,
		.time_ns = put->boottime_ns + clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME),
		.extend = put->keep || log_next_seq(log) - 1 - log->extended_seq <= WAITING_MAX,
	};
	struct line line;

	if (batch_reserve(log))
		return fail(log, -ENOMEM, "out of memory for a record");
	if (prev_digest(log, head.prev))
		return fail(log, -EIO, "OpenSSL cannot hash");
	line_init(&line, log->bytes + log->bytes_len, RECORD_LINE_MAX);
	encode(&line, &head, put->kind, record);
	log->entries[log->entry_count++] = (struct entry){
		.seq = head.seq,
		.ref = put->ref,
		.at = log->bytes_len,
		.len = line.len,
		.extend = head.extend,
	};
	log->bytes_len += line.len;
	if (ret_seq)
		*ret_seq = head.seq;
	if (put->kind == RECORD_EPOCH) {
		log->epoch_seq = head.seq;
		record_epoch_facts(line.buf, line.len, &log->epoch);
	}
	return 0;
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

/* The last line of a batch is always extended: the key that says otherwise is taken out again, which
 * leaves exactly the line that would have been written without it. */
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

/* The batch's extends, at hand for the TPM as far as the queue has room and no gap. */
static void queue_batch(struct log *log)
{
	for (size_t i = 0; i < log->entry_count && log->queue_count < QUEUE_MAX; i++) {
		const struct entry *entry = &log->entries[i];
		struct log_extend *extend =
			&log->queue[(log->queue_begin + log->queue_count) % QUEUE_MAX];

		if (log->queue_seq + 1 != entry->seq)
			return;
		if (entry->extend) {
			extend->seq = entry->seq;
			if (digest_line(log->epoch.banks, log->bytes + entry->at, entry->len,
				    &extend->digests))
				return; /* log_next_extend() meets it again, and says so */
			log->queue_count++;
		}
		log->queue_seq = entry->seq;
	}
}

int log_commit(struct log *log, const char *key, const void *value, size_t len)
{
	struct hint hint;
	struct db_state states[3];
	size_t state_count = 0;
	const struct entry *last;
	int err;

	if (!log->entry_count)
		return 0;
	extend_last(log);
	memset(&hint, 0, sizeof(hint));
	hint.epoch_seq = log->epoch_seq;
	hint.seq = log->extended_seq;
	hint.values = log->values;
	states[state_count++] = (struct db_state){ hint_key, &hint, sizeof(hint) };
	states[state_count++] = (struct db_state){ epoch_key, &log->epoch_seq,
		sizeof(log->epoch_seq) };
	if (key)
		states[state_count++] = (struct db_state){ key, value, len };
	err = db_write(log, states, state_count);
	if (err < 0)
		return err == -ENOMEM ? fail(log, err, "out of memory") : fail_db(log, err);

	last = &log->entries[log->entry_count - 1];
	if (sha256(log->bytes + last->at, last->len, log->last_sha256))
		return fail(log, -EIO, "OpenSSL cannot hash");
	log->last_seq = last->seq;
	queue_batch(log);
	batch_clear(log);
	return 0;
}

/* ---- extending ---- */

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

static int queue_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct log *log = arg;
	struct log_extend *extend = &log->queue[log->queue_count];
	struct record_head head;
	int err = check(log, seq, line, len, &head);

	if (err)
		return err;
	if (head.extend) {
		extend->seq = seq;
		if (digest_line(log->epoch.banks, line, len, &extend->digests))
			return fail(log, -EIO, "OpenSSL cannot hash");
		log->queue_count++;
	}
	log->queue_seq = seq;
	return log->queue_count == QUEUE_MAX;
}

int log_next_extend(struct log *log, struct log_extend *ret_extend)
{
	int err;

	log->error[0] = 0;
	if (!log->queue_count && log->queue_seq < log->last_seq) {
		log->queue_begin = 0;
		err = db_each(log->db, log->queue_seq + 1, log->last_seq, queue_line, log);
		if (err < 0)
			return log->error[0] ? err : fail_db(log, err);
	}
	if (!log->queue_count)
		return 0;
	*ret_extend = log->queue[log->queue_begin];
	return 1;
}

int log_extended(struct log *log, const struct log_extend *extend)
{
	assert(log->queue_count && log->queue[log->queue_begin].seq == extend->seq);
	if (fold(log->epoch.banks, &log->values, &extend->digests))
		return fail(log, -EIO, "OpenSSL cannot hash");
	log->extended_seq = extend->seq;
	log->queue_begin = (log->queue_begin + 1) % QUEUE_MAX;
	log->queue_count--;
	return 0;
}

void log_epoch_begin(struct log *log, bank_set banks, const struct bank_values *base)
{
	log->epoch.banks = banks;
	log->epoch.base = *base;
	log->values = *base;
	log->extended_seq = log->queue_seq = log->last_seq + log->entry_count;
	log->queue_count = log->queue_begin = 0;
}

int log_values_before(struct log *log, uint64_t seq, struct bank_values *ret_values)
{
	struct walk walk = walk_from_epoch(log);
	int err;

	log->error[0] = 0;
	assert(seq >= log->epoch_seq);
	err = walk_to(&walk, seq - 1);
	if (!err)
		*ret_values = walk.values;
	return err;
}
