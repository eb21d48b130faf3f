/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of the log that knows the PCR: folding, finding the place, extending. */
#include "agent/log_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "db/db.h"

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
	int err = log_check(walk->log, seq, line, len, &head);

	if (err || !head.extend)
		return err;
	err = digest_line(walk->log->epoch.banks, line, len, &digests);
	if (!err)
		err = fold(walk->log->epoch.banks, &walk->values, &digests);
	if (err)
		return log_fail(walk->log, err, "OpenSSL cannot hash");
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

	if (db_state_get(log->db, LOG_HINT_KEY, &hint, sizeof(hint)) == sizeof(hint) &&
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
	return err < 0 && !walk->log->error[0] ? log_fail_db(walk->log, err) : err;
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
	log->values = *values; /* a hint's other banks are not compared */
	log->queue_count = 0;
	return 1;
}

/* ---- extending ---- */

void log_queue_batch(struct log *log)
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

static int queue_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct log *log = arg;
	struct log_extend *extend = &log->queue[log->queue_count];
	struct record_head head;
	int err = log_check(log, seq, line, len, &head);

	if (err)
		return err;
	if (head.extend) {
		extend->seq = seq;
		if (digest_line(log->epoch.banks, line, len, &extend->digests))
			return log_fail(log, -EIO, "OpenSSL cannot hash");
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
			return log->error[0] ? err : log_fail_db(log, err);
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
		return log_fail(log, -EIO, "OpenSSL cannot hash");
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
	memset(log->marks, 0, sizeof(log->marks));
}

void log_mark(struct log *log)
{
	log->marks[log->mark_next] = (struct mark){ log->extended_seq, log->values };
	log->mark_next = (log->mark_next + 1) % MARKS_MAX;
}

int log_values_before(struct log *log, uint64_t seq, struct bank_values *ret_values)
{
	struct walk walk = walk_from_epoch(log);
	int err;

	log->error[0] = 0;
	assert(seq >= log->epoch_seq);
	for (size_t i = 0; i < MARKS_MAX; i++) {
		const struct mark *mark = &log->marks[i];

		if (mark->seq > walk.seq && mark->seq < seq) {
			walk.seq = mark->seq;
			walk.values = mark->values;
		}
	}
	err = walk_to(&walk, seq - 1);
	if (!err)
		*ret_values = walk.values;
	return err;
}
