/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/measurer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	BATCH_RECORDS_MAX = 1024,
	BATCH_BYTES_MAX = 8 << 20,
};

/* Key of the ring's state in the database: which events are recorded. A struct ring_note, then the
 * tickets and the loads as seen_save() writes them. */
static const char ring_key[] = "ring";

struct ring_note {
	uint64_t instance; /* of the hooks whose events these are */
	uint64_t untracked; /* of the kernel's count, what is recorded as lost */
};

enum { RING_STATE_MAX = sizeof(struct ring_note) + 2 * SEEN_SAVED_MAX };

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- events become records ---- */

/* A program that was recorded before this daemon started, or before it was unloaded: from
 * its record. */
static const struct program_known *program_get(struct measurer *measurer, uint32_t id)
{
	const struct program_known *known = programs_find(&measurer->programs, id);
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_program_facts facts;
	uint64_t seq;
	size_t len;

	if (known || !id)
		return known;
	if (db_ref_last(measurer->db, id, log_epoch_seq(measurer->log), &seq) ||
		db_line_get(measurer->db, seq, &line, &len))
		return NULL;
	record_program_facts(line, len, &facts);
	if (programs_add_recorded(&measurer->programs, id, seq, &facts))
		return NULL;
	return programs_find(&measurer->programs, id);
}

static int put_lost(struct measurer *measurer, enum record_lost_what what, uint64_t count,
	uint64_t first, uint64_t last)
{
	struct log_put put = { .kind = RECORD_LOST, .keep = true };
	struct record_lost lost = { .what = what, .count = count, .first = first, .last = last };
	int err = log_put(measurer->log, &put, &lost, NULL);

	if (!err)
		measurer->lost += count;
	return err;
}

static void put_trail(struct measurer *measurer, uint64_t seq, const struct record_load *load)
{
	struct trail_load entry = {
		.seq = seq,
		.program_id = (uint32_t)load->program.id.value,
		.error = load->error,
		.verdict = load->signature.verdict,
		.sha256 = load->program.sha256,
	};

	trail_put(measurer->trail, &entry);
}

/* The record of a load that describe_load() has described. */
static int put_load(struct measurer *measurer, const struct collected_load *load)
{
	const struct record_load *record = &measurer->described.load;
	struct log_put put = { .kind = load->end.error ? RECORD_REJECT : RECORD_LOAD };
	uint64_t seq;
	int err;

	put.boottime_ns = load->has_load ? load->load.boottime_ns : load->end.boottime_ns;
	if (record->program.id.value > measurer->highest_id)
		measurer->highest_id = (uint32_t)record->program.id.value;
	if (put.kind == RECORD_LOAD)
		put.ref = record->program.id.value;
	put.keep = record->signature.verdict == VERDICT_VERIFIED;
	err = log_put(measurer->log, &put, record, &seq);
	if (err)
		return err;
	put_trail(measurer, seq, record);
	/* Of a load that was refused for its signature they are somewhere else, and of no use. */
	if (record->program.captured && load->load.in_check)
		log_put_program(measurer->log, record->program.sha256.sha256,
			load->streams[STREAM_INSNS].bytes, load->streams[STREAM_INSNS].len);
	if (put.kind == RECORD_REJECT || !record->program.id.known)
		return 0;
	/* The record stands: where memory lacks for this, program_get() finds it in the log. */
	err = programs_add(&measurer->programs,
		&(struct program_known){
			.id = (uint32_t)record->program.id.value,
			.load_time_ns = record->program.load_time_ns.value,
			.seq = seq,
			.sha256 = record->program.sha256,
			.chain_digest = record->chain_digest,
			.verdict = record->signature.verdict,
		});
	return err == -ENOMEM ? 0 : err;
}

static int on_load(void *arg, const struct collected_load *load)
{
	struct measurer *measurer = arg;
	int err;

	if (load->end.self)
		measurer->hooks_shown |= load->end.hooks;
	/* Who and what it was did not arrive: a record would have to claim things. */
	if (!load->has_load)
		return put_lost(measurer, LOST_LOADS, 1, load->number, load->number);
	program_get(measurer, load->end.parent_id);
	err = describe_load(&measurer->describe, load, &measurer->described);
	if (!err)
		err = put_load(measurer, load);
	described_done(&measurer->described);
	return err;
}

static int on_free(void *arg, const struct event_free *event)
{
	struct measurer *measurer = arg;
	const struct program_known *program = program_get(measurer, event->id);
	struct log_put put = { .kind = RECORD_UNLOAD, .boottime_ns = event->boottime_ns };
	struct record_unload unload = { .program_id = event->id };
	int err;

	if (event->id == measurer->canary_id)
		measurer->hooks_shown |= 1U << HOOK_FREE;
	/* A load that failed after it had its id, or one that was lost and is recorded as such. */
	if (!program)
		return 0;
	unload.program_seq = program->seq;
	err = log_put(measurer->log, &put, &unload, NULL);
	if (!err)
		programs_remove(&measurer->programs, event->id);
	return err;
}

void measurer_collect_init(struct measurer *measurer)
{
	struct collect_sink sink = { .arg = measurer, .load = on_load, .free = on_free };

	collect_init(&measurer->collect, &sink);
}

/* ---- the ring's state ---- */

static int trouble(char text[static MEASURER_TEXT_MAX], int err, const char *message)
{
	snprintf(text, MEASURER_TEXT_MAX, "%s", message);
	return err;
}

static int commit(struct measurer *measurer)
{
	struct ring_note note = { probe_state(measurer->probe)->instance, measurer->untracked };
	uint8_t state[RING_STATE_MAX];
	size_t len = sizeof(note);
	uint64_t needed;
	int err;

	if (!log_batch_count(measurer->log)) { /* nothing was recorded: nothing is given back */
		measurer->log_trouble[0] = 0;
		return 0;
	}
	memcpy(state, &note, sizeof(note));
	len += seen_save(&measurer->collect.tickets, state + len);
	len += seen_save(&measurer->collect.loads, state + len);
	err = log_commit(measurer->log, ring_key, state, len);
	if (err)
		return trouble(measurer->log_trouble, err, log_errmsg(measurer->log));
	measurer->log_trouble[0] = 0;
	needed = collect_needs_from(&measurer->collect, measurer->read_end);
	/* Of loads that are not over yet the pieces stay on the ring, so that even a kill -9
	 * loses none, unless they fill it: then they are in memory only, and a kill costs such
	 * a load its digest. */
	if (measurer->read_end - needed > probe_ring_size(measurer->probe) / 4 * 3)
		needed = measurer->read_end;
	ring_release(measurer->ring, needed);
	return 0;
}

/*
 * What an earlier daemon recorded of these hooks' events. Of hooks of another build, replaced just
 * now, the loads that it had not read are lost.
 */
int measurer_ring_restore(struct measurer *measurer)
{
	uint8_t state[RING_STATE_MAX];
	struct event_state replaced;
	struct seen tickets, loads;
	struct ring_note note;
	size_t at = sizeof(note), step;
	int len = db_state_get(measurer->db, ring_key, state, sizeof(state));

	if (len == -ENOENT)
		return 0;
	if (len < (int)sizeof(note))
		return len < 0 ? len : -EUCLEAN;
	memcpy(&note, state, sizeof(note));
	step = seen_restore(&tickets, state + at, (size_t)len - at);
	if (!step || !seen_restore(&loads, state + at + step, (size_t)len - at - step))
		return -EUCLEAN;
	if (note.instance == probe_state(measurer->probe)->instance) {
		measurer->untracked = note.untracked;
		measurer->collect.tickets = tickets;
		measurer->collect.loads = loads;
	} else if (probe_replaced(measurer->probe, &replaced) &&
		replaced.instance == note.instance && replaced.load >= loads.end) {
		return put_lost(measurer, LOST_LOADS, replaced.load - loads.end + 1, loads.end,
			replaced.load);
	}
	return 0;
}

/* Ends that found the ring full. Their loads' other events, if any, came before them. */
static int take_ends(struct measurer *measurer)
{
	struct event_state *state = probe_state(measurer->probe);
	uint64_t dropped = state->dropped_events, untracked = state->untracked;
	struct event_end end;
	int got = 0, err = 0;

	if (dropped != measurer->dropped_events)
		while (!err && (got = probe_end_take(measurer->probe, &end)) > 0)
			err = collect_end(&measurer->collect, &end);
	if (got < 0 || err)
		return got < 0 ? got : err;
	measurer->dropped_events = dropped;
	if (untracked != measurer->untracked) {
		err = put_lost(measurer, LOST_LOADS, untracked - measurer->untracked, 0, 0);
		if (!err)
			measurer->untracked = untracked;
	}
	return err;
}

int measurer_drain(struct measurer *measurer)
{
	const void *data;
	uint64_t end;
	size_t len;
	int got, err = 0;

	/* A batch that could not be committed goes first, and nothing is read before it went. */
	if (measurer->log_trouble[0])
		return commit(measurer);
	for (;;) {
		got = ring_next(measurer->ring, &data, &len, &end);
		if (got <= 0)
			break;
		err = collect_event(&measurer->collect, data, len, measurer->read_end);
		if (err) {
			ring_rewind(measurer->ring, measurer->read_end);
			break;
		}
		measurer->read_end = end;
		if (log_batch_count(measurer->log) < BATCH_RECORDS_MAX &&
			log_batch_bytes(measurer->log) < BATCH_BYTES_MAX)
			continue;
		err = commit(measurer);
		if (err)
			return err;
	}
	if (got < 0)
		snprintf(measurer->hook_trouble, MEASURER_TEXT_MAX,
			"the ring's positions make no sense: somebody else wrote to it; "
			"remove the hooks with bpfmeasured --detach and start again");
	/* Behind an event that is still being written there may be others, of loads that
	 * have ended. */
	if (!got && ring_is_read(measurer->ring))
		err = take_ends(measurer);
	if (err)
		return trouble(measurer->log_trouble, err, "events could not be recorded");
	if (log_batch_count(measurer->log))
		return commit(measurer);
	return 0;
}

/* ---- into the TPM ---- */

static int tpm_trouble(struct measurer *measurer, int err)
{
	return trouble(measurer->tpm_trouble, err, tpm_errmsg(measurer->tpm));
}

bool measurer_extend(struct measurer *measurer)
{
	struct log_extend extend;
	int got, err;

	if (measurer->tpm_trouble[0])
		return false;
	got = log_next_extend(measurer->log, &extend);
	if (got < 0) {
		trouble(measurer->tpm_trouble, got, log_errmsg(measurer->log));
		return false;
	}
	if (!got)
		return false;
	/* After a rest the TPM may have been reset, or hibernated: then this is another epoch. */
	if (!measurer->located) {
		measurer_locate(measurer);
		return !measurer->tpm_trouble[0];
	}
	err = tpm_pcr_extend(measurer->tpm, measurer->conf->tpm_pcr, &extend.digests);
	if (err == -EAGAIN)
		return false; /* the next turn is at most a second away */
	/* Whether a command that got no answer was executed is UNKNOWN: the PCR tells. */
	if (err) {
		tpm_trouble(measurer, err);
		return false;
	}
	err = log_extended(measurer->log, &extend);
	if (err) { /* it is in the PCR all the same: the fold has to find that out */
		trouble(measurer->tpm_trouble, err, log_errmsg(measurer->log));
		return false;
	}
	trail_send(measurer->trail, log_extended_seq(measurer->log));
	return true;
}

bool measurer_step(struct measurer *measurer)
{
	if (measurer_drain(measurer))
		return false;
	return measurer_extend(measurer);
}

/* ---- once a second ---- */

void measurer_give_up_holes(struct measurer *measurer)
{
	struct seen *tickets = &measurer->collect.tickets;
	uint64_t first = 0, last = 0;

	tickets->lost += seen_give_up(tickets, measurer->idle_ticket_end, &first, &last);
	if (tickets->lost && !put_lost(measurer, LOST_EVENTS, tickets->lost, first, last))
		tickets->lost = 0;
	measurer->idle_ticket_end = tickets->end;
}

void measurer_idle(struct measurer *measurer)
{
	if (measurer_drain(measurer))
		return;
	measurer_give_up_holes(measurer);
	measurer->located = false;
	if (measurer->tpm_trouble[0]) {
		if (!measurer_tpm_connect(measurer))
			measurer_locate(measurer);
	} else if (measurer->confirmed_seq != log_extended_seq(measurer->log)) {
		measurer_locate(measurer);
	}
	if (measurer->baseline_due)
		measurer_baseline(measurer);
	if (log_batch_count(measurer->log))
		commit(measurer);
}

void measurer_stop(struct measurer *measurer, const char *why, unsigned timeout_ms)
{
	struct log_put put = { .kind = RECORD_STOP, .keep = true };
	struct record_stop stop = { .why = { why, strlen(why) } };
	uint64_t deadline = monotonic_ns() + timeout_ms * 1000000ULL;

	if (measurer_drain(measurer) || log_put(measurer->log, &put, &stop, NULL) ||
		commit(measurer))
		return;
	while (monotonic_ns() < deadline && measurer_extend(measurer))
		;
}

const char *measurer_trouble(
	const struct measurer *measurer, char buf[static 3 * MEASURER_TEXT_MAX + 8])
{
	const char *const texts[] = { measurer->log_trouble, measurer->tpm_trouble,
		measurer->hook_trouble };
	size_t len = 0;

	buf[0] = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i][0])
			len += (size_t)sprintf(buf + len, "%s%s", len ? "; " : "", texts[i]);
	return buf;
}
