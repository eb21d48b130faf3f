/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retention: the oldest records go when the log is larger or older than it may be. A `trim` record
 * that says so is extended and quoted first, and the cut is where a kept quote proves the PCR: what
 * remains is provable without what went.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/measurer.h"
#include "attest/evidence.h"
#include "db/db.h"

enum {
	LOOK_MS = 60 * 1000, /* how often it is looked whether the log is too large or too old */
	DAY_S = 24 * 60 * 60,
};

/* A record's time and digest, for the trim record to name. */
struct edge {
	uint64_t time_ns;
	uint8_t sha256[SHA256_LEN];
};

static int edge_read(struct measurer *measurer, uint64_t seq, struct edge *ret)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_head head;
	struct line_error error;
	size_t len;
	int err = db_line_get(measurer->db, seq, &line, &len);

	if (err)
		return err;
	if (record_check(line, len, &head, &error))
		return -EUCLEAN;
	ret->time_ns = head.time_ns;
	return sha256(line, len, ret->sha256);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The newest kept quote that is not above a record: where the log can be cut. 0: nowhere. That
 * somebody extended the PCR is not trimmed away before the TPM resets. */
static uint64_t cut_at_most(struct measurer *measurer, uint64_t at_most)
{
	uint64_t broken = log_broken_seq(measurer->log);
	struct evidence_kept kept;

	if (broken && at_most >= broken)
		at_most = broken - 1;

	return log_kept_get(measurer->log, at_most, &kept) ? 0 : kept.seq;
}

static int quote_is(void *arg, uint64_t seq, const void *, size_t)
{
	*(uint64_t *)arg = seq;
	return 1;
}

/* The oldest kept quote from a record on, where there are few; 0: there is none to cut at. */
static uint64_t first_quote(struct measurer *measurer, uint64_t first)
{
	uint64_t seq = 0;

	if (db_quotes_each(measurer->db, first, log_kept_seq(measurer->log), quote_is, &seq) < 0)
		return 0;
	return seq ? cut_at_most(measurer, seq) : 0;
}

/* Of a log that is too large a tenth of its records goes. */
static uint64_t cut_for_size(struct measurer *measurer)
{
	uint64_t first = log_first_seq(measurer->log), last = log_kept_seq(measurer->log);
	uint64_t used = 0, programs = 0, cut;

	if (!measurer->conf->log_max_size || db_used_bytes(measurer->db, &used) ||
		db_program_bytes(measurer->db, &programs) ||
		used - programs <= measurer->conf->log_max_size || last <= first)
		return 0;
	cut = cut_at_most(measurer, first + (last - first) / 10);
	return cut >= first ? cut : first_quote(measurer, first);
}

/* Of a log that is too old what is older than it may be, once that is a day's worth. */
static uint64_t cut_for_age(struct measurer *measurer)
{
	uint64_t age_ns = measurer->conf->log_max_age_days * (uint64_t)DAY_S * 1000000000;
	uint64_t low = log_first_seq(measurer->log), high = log_kept_seq(measurer->log);
	uint64_t limit = now_ns() - age_ns;
	struct edge edge;

	if (!age_ns || low >= high || edge_read(measurer, low, &edge) ||
		edge.time_ns + (uint64_t)DAY_S * 1000000000 > limit)
		return 0;
	while (low < high) { /* the last record that is too old; times may step, which costs no more
			      * than some records more or less */
		uint64_t middle = low + (high - low + 1) / 2;

		if (edge_read(measurer, middle, &edge))
			return 0;
		if (edge.time_ns <= limit)
			low = middle;
		else
			high = middle - 1;
	}
	return cut_at_most(measurer, low);
}

static void put_trim(struct measurer *measurer, enum record_trim_why why, uint64_t last)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	struct log_put put = { .kind = RECORD_TRIM, .keep = true };
	struct record_trim trim = {
		.why = why,
		.first = log_first_seq(measurer->log),
		.last = last,
		.software = epoch->software,
	};
	struct edge first_edge, last_edge;

	if (edge_read(measurer, trim.first, &first_edge) || edge_read(measurer, last, &last_edge))
		return;
	trim.first_time_ns = first_edge.time_ns;
	trim.last_time_ns = last_edge.time_ns;
	memcpy(trim.last_sha256, last_edge.sha256, SHA256_LEN);
	memcpy(trim.log_id, epoch->log_id, sizeof(trim.log_id));
	if (!log_put(measurer->log, &put, &trim, NULL))
		measurer_commit(measurer);
}

static void look(struct measurer *measurer)
{
	uint64_t last = cut_for_size(measurer);
	enum record_trim_why why = TRIM_MAX_SIZE;

	if (!last) {
		last = cut_for_age(measurer);
		why = TRIM_MAX_AGE;
	}
	if (last && last >= log_first_seq(measurer->log))
		put_trim(measurer, why, last);
}

void measurer_trim(struct measurer *measurer)
{
	uint64_t now_ms = measurer_now_ms(), trim_seq = log_trim_seq(measurer->log);
	int more = 0;

	/* Not before the record that says so is proven. */
	if (trim_seq > log_kept_seq(measurer->log)) {
		if (trim_seq <= log_extended_seq(measurer->log))
			measurer_keep(measurer);
		return;
	}
	if (trim_seq)
		more = log_trim(measurer->log);
	if (more < 0)
		measurer_fail_log(measurer, more);
	if (more) {
		measurer->trim_ms = 0; /* look again when this is done: one cut may not be enough */
		return;
	}
	if (measurer->trim_ms && now_ms - measurer->trim_ms < LOOK_MS)
		return;
	measurer->trim_ms = now_ms;
	look(measurer);
}
