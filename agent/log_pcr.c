/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of the log that knows the PCR: folding, finding the place, extending. */
#include "agent/log_state.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "attest/evidence.h"
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

/* A walk along the lines, folding; an epoch's own record sets the values to its base. */
struct walk {
	struct log *log;
	uint64_t seq; /* of the last extended line */
	bank_set banks;
	struct bank_values values;
	const struct bank_values *wanted; /* stop there; NULL: at the end */
};

static int walk_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct walk *walk = arg;
	struct record_epoch_facts epoch;
	struct record_head head;
	struct bank_values digests;
	int err = log_check(walk->log, seq, line, len, &head);

	if (err)
		return -EBADMSG; /* the database is whole, and this is no line of ours */
	if (head.kind == RECORD_EPOCH) {
		record_epoch_facts(line, len, &epoch);
		walk->banks = epoch.banks;
		walk->values = epoch.base;
	}
	if (!head.extend)
		return 0;
	err = digest_line(walk->banks, line, len, &digests);
	if (!err)
		err = fold(walk->banks, &walk->values, &digests);
	if (err)
		return log_fail(walk->log, err, "OpenSSL cannot hash");
	walk->seq = seq;
	return walk->wanted && values_equal(walk->banks, &walk->values, walk->wanted);
}

static int walk_to(struct walk *walk, uint64_t last)
{
	int err;

	if (walk->wanted && values_equal(walk->banks, &walk->values, walk->wanted))
		return 1;
	err = db_each(walk->log->db, walk->seq + 1, last, walk_line, walk);
	return err < 0 && !walk->log->error[0] ? log_fail_db(walk->log, err) : err;
}

/*
 * A walk from before the record `begin` of the current epoch or an earlier one: from there, or from
 * where the log was trimmed. Of an epoch's own record the values before it do not matter.
 */
static int walk_init(struct walk *walk, struct log *log, uint64_t begin)
{
	struct evidence_kept kept;
	int err;

	*walk = (struct walk){
		.log = log,
		.seq = begin - 1,
		.banks = log->epoch.banks,
		.values = log->epoch.base,
	};
	if (begin >= log->first_seq)
		return 0;
	err = log_kept_get(log, log->first_seq - 1, &kept);
	if (err)
		return err;
	if (kept.seq != log->first_seq - 1) {
		log_fail(log, -EBADMSG, "there is no kept quote where the log begins");
		return -EBADMSG;
	}
	walk->seq = kept.seq;
	walk->banks = kept.banks;
	walk->values = kept.values;
	return 0;
}

static bool walk_is_hinted(struct walk *walk, struct log *log)
{
	struct hint hint;

	*walk = (struct walk){ .log = log, .banks = log->epoch.banks };
	if (log_unseal(log, LOG_HINT_KEY, &hint, sizeof(hint)) != sizeof(hint) ||
		hint.epoch_seq != log->note.epoch_seq || hint.seq > log->last_seq ||
		hint.seq + 1 < log->first_seq || hint.seq + 1 < hint.epoch_seq)
		return false;
	walk->seq = hint.seq;
	walk->values = hint.values;
	return true;
}

int log_find(struct log *log, const struct bank_values *values)
{
	struct walk walk;
	int found = 0;

	log->error[0] = 0;
	if (log->extended_seq && values_equal(log->epoch.banks, &log->values, values))
		return 1;
	if (walk_is_hinted(&walk, log)) {
		walk.wanted = values;
		found = walk_to(&walk, log->last_seq);
	}
	if (!found || found == -EBADMSG) {
		/* The hint may be of another log; the base of the epoch is measured. */
		log->error[0] = 0;
		found = walk_init(&walk, log, log->note.epoch_seq);
		walk.wanted = values;
		if (!found)
			found = walk_to(&walk, log->last_seq);
	}
	if (found <= 0)
		return found == -EBADMSG ? 0 : found;
	log->extended_seq = log->queue_seq = walk.seq;
	log->values = *values; /* a hint's other banks are not compared */
	log->queue_count = 0;
	return 1;
}

int log_values_at_end(struct log *log, struct bank_values *ret_values)
{
	struct walk walk;
	int err;

	log->error[0] = 0;
	err = walk_init(&walk, log, log->note.epoch_seq);
	if (!err)
		err = walk_to(&walk, log->last_seq);
	if (!err)
		*ret_values = walk.values;
	return err;
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

/* The last mark before a record, or NULL. */
static const struct mark *mark_before(const struct log *log, uint64_t seq)
{
	size_t begin = 0, end = log->mark_count;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (log->marks[middle].seq < seq)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin ? &log->marks[begin - 1] : NULL;
}

void log_epoch_begin(
	struct log *log, enum log_epoch_kind kind, bank_set banks, const struct bank_values *base)
{
	uint64_t seq = log_next_seq(log);

	if (kind == LOG_EPOCH_NEW || kind == LOG_EPOCH_UNEXPLAINED) {
		log->note.anchor_seq = seq;
		log->note.broken_seq = kind == LOG_EPOCH_UNEXPLAINED ? seq : 0;
	} else if (kind == LOG_EPOCH_BROKEN && !log->note.broken_seq) {
		log->note.broken_seq = seq;
	}
	log->epoch.banks = banks;
	log->epoch.base = *base;
	log->values = *base;
	log->extended_seq = log->queue_seq = seq - 1;
	log->queue_count = log->queue_begin = 0;
	log->mark_count = 0;
}

/* Of three marks the one in the middle is missed the least where they lie close together for their age. */
static size_t mark_least_missed(const struct log *log)
{
	const struct mark *marks = log->marks;
	double least = INFINITY;
	size_t found = 0;

	for (size_t i = 1; i < MARKS_MAX - 1; i++) {
		double gap = (double)(marks[i + 1].seq - marks[i - 1].seq);
		double missed = gap / (double)(log->extended_seq - marks[i].seq);

		if (missed < least) {
			least = missed;
			found = i;
		}
	}
	return found;
}

void log_mark(struct log *log)
{
	const struct mark *last = mark_before(log, UINT64_MAX);

	if (last && last->seq >= log->extended_seq)
		return;
	if (log->mark_count == MARKS_MAX) {
		size_t at = mark_least_missed(log);

		log->mark_count--;
		memmove(&log->marks[at], &log->marks[at + 1],
			(log->mark_count - at) * sizeof(log->marks[0]));
	}
	log->marks[log->mark_count++] = (struct mark){ log->extended_seq, log->values };
}

/* An epoch begins with its base, whatever was before it. */
static int base_of(struct log *log, uint64_t seq, struct bank_values *values)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_epoch_facts epoch;
	struct record_head head;
	size_t len;
	int err;

	if (seq > log->last_seq || seq < log->first_seq)
		return 0;
	err = db_line_get(log->db, seq, &line, &len);
	if (err)
		return log_fail_db(log, err);
	err = log_check(log, seq, line, len, &head);
	if (err || head.kind != RECORD_EPOCH)
		return err;
	record_epoch_facts(line, len, &epoch);
	*values = epoch.base;
	return 0;
}

/* From the anchor, or from the last mark before a record. */
static int walk_near(struct walk *walk, struct log *log, uint64_t seq)
{
	const struct mark *mark = mark_before(log, seq);
	int err = walk_init(walk, log, log->note.anchor_seq);

	if (!err && mark && mark->seq > walk->seq) {
		walk->seq = mark->seq;
		walk->banks = log->epoch.banks;
		walk->values = mark->values;
	}
	return err;
}

int log_values_before(struct log *log, uint64_t seq, struct bank_values *ret_values)
{
	struct walk walk;
	int err;

	log->error[0] = 0;
	assert(seq >= log->note.anchor_seq);
	err = walk_near(&walk, log, seq);
	if (!err)
		err = walk_to(&walk, seq - 1);
	if (!err)
		err = base_of(log, seq, &walk.values);
	if (!err)
		*ret_values = walk.values;
	return err;
}

int log_place_before(
	struct log *log, uint64_t seq, uint64_t *ret_place, struct bank_values *ret_values)
{
	struct evidence_kept kept;
	struct walk walk;
	int err;

	log->error[0] = 0;
	assert(seq >= log->note.anchor_seq);
	err = walk_near(&walk, log, seq);
	if (err)
		return err;
	/* After a restart there are no marks; a kept quote that cannot be had is only another way lost. */
	if (walk.seq + 1 < seq && !log_kept_get(log, seq - 1, &kept) && kept.seq > walk.seq &&
		kept.seq >= log->note.epoch_seq) {
		walk.seq = kept.seq;
		walk.values = kept.values;
	}
	log->error[0] = 0;
	err = base_of(log, walk.seq + 1, &walk.values);
	if (err)
		return err;
	*ret_place = walk.seq + 1;
	*ret_values = walk.values;
	return 0;
}

/* ---- kept quotes ---- */

uint64_t log_kept_seq(const struct log *log)
{
	return log->kept_seq;
}

int log_extended_sha256(struct log *log, uint8_t ret_sha256[static SHA256_LEN])
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	size_t len;
	int err;

	if (log->extended_seq == log->last_seq) {
		memcpy(ret_sha256, log->last_sha256, SHA256_LEN);
		return 0;
	}
	err = db_line_get(log->db, log->extended_seq, &line, &len);
	if (err)
		return log_fail_db(log, err);
	return sha256(line, len, ret_sha256) ? log_fail(log, -EIO, "OpenSSL cannot hash") : 0;
}

int log_keep(struct log *log, const struct evidence_kept *kept)
{
	char bytes[EVIDENCE_KEPT_MAX];
	struct line line;
	int err;

	line_init(&line, bytes, sizeof(bytes));
	evidence_kept_encode(&line, kept);
	err = db_quote_put(log->db, kept->seq, line.buf, line.len);
	if (err)
		return log_fail_db(log, err);
	log->kept_seq = kept->seq;
	return 0;
}

int log_kept_get(struct log *log, uint64_t at_most_seq, struct evidence_kept *ret_kept)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct line_error error;
	uint64_t seq;
	size_t len;
	int err = db_quote_last(log->db, at_most_seq, &line, &len, &seq);

	if (err)
		return log_fail_db(log, err);
	if (evidence_kept_decode(line, len, ret_kept, &error) || ret_kept->seq != seq)
		return log_fail(log, -EUCLEAN, "the quote kept after record %llu is damaged",
			(unsigned long long)seq);
	return 0;
}

/* ---- retention ---- */

uint64_t log_trim_seq(const struct log *log)
{
	return log->note.trim_seq;
}

int log_trim(struct log *log)
{
	int more;

	if (!log->note.trim_seq || log->trimmed_seq == log->note.trim_seq)
		return 0;
	/* The log begins at the cut from now on, where there is a kept quote, and not at whatever is
	 * still to be removed. */
	if (log->first_seq <= log->note.trim_last)
		log->first_seq = log->note.trim_last + 1;
	more = db_trim(log->db, log->note.trim_last, TRIM_STEP);
	if (more < 0)
		return log_fail_db(log, more);
	if (!more)
		log->trimmed_seq = log->note.trim_seq;
	return more > 0;
}
