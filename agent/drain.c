/* SPDX-License-Identifier: BSD-2-Clause */
/* From the ring into the log: events become records, records are committed, and only then leave the
 * kernel. What does not arrive is recorded as lost. */
#include "agent/measurer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	BATCH_RECORDS_MAX = 1024,
	BATCH_BYTES_MAX = 8 << 20,
	DRAIN_BATCHES_MAX = 64,
};

/* Key of the ring's state in the database: which events are recorded. A struct ring_note, then the
 * tickets, the loads and the program ids as seen_save() writes them, a struct ring_note_more. */
static const char ring_key[] = "ring";

struct ring_note {
	uint64_t instance; /* of the hooks whose events these are */
	uint64_t untracked; /* of the kernel's count, what is recorded as lost */
	uint64_t excused; /* struct measurer's */
	char boot_id[40]; /* in which the ids were given */
};

struct ring_note_more {
	struct collect_late late; /* of the collector */
	uint64_t owed, attachments_lost; /* struct measurer's */
};

enum {
	RING_STATE_MAX = sizeof(struct ring_note) + 3 * SEEN_SAVED_MAX +
		sizeof(struct ring_note_more)
};

/* ---- events become records ---- */

int measurer_program_get(struct measurer *measurer, uint32_t id, struct program_known *ret_program)
{
	const struct program_known *known = id ? programs_find(&measurer->programs, id) : NULL;
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_program_facts facts;
	uint64_t seq;
	size_t len;
	int err = id ? 0 : -ENOENT;

	if (!known && !err)
		err = db_ref_last(measurer->db, id, log_epoch_seq(measurer->log), &seq);
	if (!known && !err)
		err = db_line_get(measurer->db, seq, &line, &len);
	if (err)
		return err;
	if (known) {
		*ret_program = *known;
	} else { /* it is not remembered: it may have ended, and that be recorded */
		record_program_facts(line, len, &facts);
		*ret_program = program_recorded(id, seq, &facts);
	}
	return 0;
}

int measurer_put_lost(struct measurer *measurer, enum record_lost_what what, uint64_t count,
	uint64_t first, uint64_t last)
{
	struct log_put put = { .kind = RECORD_LOST, .keep = true };
	struct record_lost lost = { .what = what, .count = count, .first = first, .last = last };
	int err = log_put(measurer->log, &put, &lost, NULL);

	if (!err)
		measurer->counts.lost += count;
	return err;
}

static void put_trail(struct measurer *measurer, uint64_t seq, const struct record_load *load)
{
	struct trail_load entry = {
		.seq = seq,
		.program_id = (uint32_t)load->program.id.value,
		.error = load->error,
		.verdict = load->signature.verdict,
		.covers = load->signature.covers,
		.signer = record_signer_name(&load->signature),
		.sha256 = load->program.sha256,
	};

	trail_put(measurer->trail, &entry);
}

/* What a child or the unload of this program will ask for. It is remembered first, for its record cannot be
 * taken back; and while that is in the batch only, nobody would find it there. */
static int remember(struct measurer *measurer, const struct record_load *record)
{
	return programs_add(&measurer->programs,
		&(struct program_known){
			.id = (uint32_t)record->program.id.value,
			.load_time_ns = record->program.load_time_ns.value,
			.seq = log_next_seq(measurer->log),
			.sha256 = record->program.sha256,
			.chain_digest = record->chain_digest,
			.verdict = record->signature.verdict,
		});
}

/* The record of a load that describe_load() has described. */
static int put_load(struct measurer *measurer, const struct collected_load *load)
{
	const struct record_load *record = &measurer->described.load;
	struct log_put put = { .kind = load->end.error ? RECORD_REJECT : RECORD_LOAD };
	bool remembered = !load->end.error && record->program.id.known;
	uint64_t seq;
	int err = remembered ? remember(measurer, record) : 0;

	put.boottime_ns = load->has_load ? load->load.boottime_ns : load->end.boottime_ns;
	put.returned_ns = load->has_end ? load->end.boottime_ns : 0;
	put.own = record->program.self;
	if (record->program.id.value > measurer->highest_id)
		measurer->highest_id = (uint32_t)record->program.id.value;
	if (put.kind == RECORD_LOAD)
		put.ref = record->program.id.value;
	put.keep = record->signature.verdict == VERDICT_VERIFIED;
	if (err)
		return err;
	err = log_put(measurer->log, &put, record, &seq);
	if (err) {
		if (remembered)
			programs_remove(&measurer->programs, (uint32_t)record->program.id.value);
		return err;
	}
	if (put.kind == RECORD_LOAD)
		measurer->counts.loads[record->signature.verdict]++;
	measurer->handed = (struct record_of_program){ seq, record->program.id,
		record->program.sha256 };
	put_trail(measurer, seq, record);
	/* Of a load that was refused for its signature they are somewhere else, and of no use. */
	if (record->program.captured && load->load.in_check)
		log_put_program(measurer->log, record->program.sha256.sha256,
			load->streams[STREAM_INSNS].bytes, load->streams[STREAM_INSNS].len);
	return 0;
}

/* Of a load that is recorded, or as lost: its id, or that it has one that nobody knows. One that failed
 * before it had an id has none to miss. */
static void account(struct measurer *measurer, const struct collected_load *load)
{
	if (load->end.self)
		measurer->hooks_shown |= load->end.hooks;
	if (load->has_prog)
		measurer_id_seen(measurer, load->prog.id);
	else if (!load->end.error && load->end.hooks & 1U << HOOK_LOAD_EXIT)
		measurer->owed++;
	else if (!load->end.error || !collected_is_complete(load))
		measurer_excuse(measurer, 1);
}

static int put_described(struct measurer *measurer, const struct collected_load *load)
{
	struct program_known parent;
	int err = measurer_program_get(measurer, load->end.parent_id, &parent);

	if (err && err != -ENOENT)
		return err;
	err = describe_load(&measurer->describe, load, err ? NULL : &parent, &measurer->described);
	if (!err)
		err = put_load(measurer, load);
	described_done(&measurer->described);
	return err;
}

static int on_load(void *arg, const struct collected_load *load)
{
	struct measurer *measurer = arg;
	int err;

	if (load->has_attach || (load->has_end && load->end.series == SERIES_ATTACH))
		return measurer_attachment(measurer, load);
	measurer->handed = (struct record_of_program){ .id = { load->has_prog, load->prog.id } };
	measurer->handed_load = load->number;

	/* Who and what it was did not arrive, or whether it passed: a record would have to claim
	 * things. */
	if (!load->has_load || (!load->has_prog && !(load->end.hooks & 1U << HOOK_LOAD_EXIT)))
		err = measurer_put_lost(measurer, LOST_LOADS, 1, load->number, load->number);
	else
		err = put_described(measurer, load);
	if (!err)
		account(measurer, load);
	return err;
}

static int on_integrity(
	void *arg, const struct collected_load *load, const struct event_integrity *event)
{
	struct measurer *measurer = arg;
	struct log_put put = { .kind = RECORD_INTEGRITY, .boottime_ns = event->boottime_ns };
	struct record_integrity integrity;
	struct program_known program;
	uint32_t id;
	int err = 0;

	if (event->self)
		measurer->hooks_shown |= 1U << HOOK_INTEGRITY;
	describe_integrity(&measurer->describe, event, &integrity);
	if (load && load->number == measurer->handed_load) {
		integrity.program = measurer->handed;
	} else { /* apart from it, or another was handed over since the log refused this */
		id = load ? (load->has_prog ? load->prog.id : 0) : event->id;
		integrity.program = (struct record_of_program){ .id = { id != 0, id } };
		err = measurer_program_get(measurer, id, &program);
		if (!err) {
			integrity.program.seq = program.seq;
			integrity.program.sha256 = program.sha256;
		}
	}
	if (err && err != -ENOENT)
		return err;
	return log_put(measurer->log, &put, &integrity, NULL);
}

int measurer_put_unload(struct measurer *measurer, const struct event_free *event)
{
	struct log_put put = { .kind = RECORD_UNLOAD, .boottime_ns = event->boottime_ns };
	struct record_unload unload = { .program_id = event->id };
	struct program_known program;
	int err = measurer_program_get(measurer, event->id, &program);

	/* A load that failed after it had its id, or one that was lost and is recorded as such. */
	if (err)
		return err == -ENOENT ? 0 : err;
	unload.program_seq = program.seq;
	err = log_put(measurer->log, &put, &unload, NULL);
	if (!err)
		programs_remove(&measurer->programs, event->id);
	return err;
}

static int on_free(void *arg, const struct event_free *event)
{
	struct measurer *measurer = arg;

	if (event->id == measurer->canary_id)
		measurer->hooks_shown |= 1U << HOOK_FREE;
	return measurer_is_ended(measurer, event->id) ? 0 : measurer_put_unload(measurer, event);
}

void measurer_collect_init(struct measurer *measurer)
{
	struct collect_sink sink = {
		.arg = measurer, .load = on_load, .integrity = on_integrity, .free = on_free
	};

	collect_init(&measurer->collect, &sink);
	/* Until the canaries tell where measuring begins, no id is missing. */
	seen_init(&measurer->ids, UINT64_MAX);
}

/* ---- committing ---- */

/* What was taken from the map of ends is committed. */
static void ends_drop(struct measurer *measurer)
{
	if (!measurer->ends_taken)
		return;
	for (size_t i = 0; i < measurer->end_count; i++)
		if (probe_end_drop(measurer->probe, measurer->ends[i].event.load))
			break; /* told again, and passed by: it is recorded */
	measurer->end_count = 0;
	measurer->ends_taken = false;
}

static size_t ring_state(const struct measurer *measurer, uint8_t ret_bytes[static RING_STATE_MAX])
{
	struct ring_note note = {
		.instance = probe_state(measurer->probe)->instance,
		.untracked = measurer->untracked,
		.excused = measurer->excused[0] + measurer->excused[1] + measurer->excused_new,
	};
	struct ring_note_more more = { .late = measurer->collect.late,
		.owed = measurer->owed,
		.attachments_lost = measurer->attachments_lost };
	size_t len = sizeof(note);

	memcpy(note.boot_id, log_epoch(measurer->log)->boot_id, sizeof(note.boot_id));
	memcpy(ret_bytes, &note, sizeof(note));
	len += seen_save(&measurer->collect.tickets, ret_bytes + len);
	len += seen_save(&measurer->collect.loads, ret_bytes + len);
	len += seen_save(&measurer->ids, ret_bytes + len);
	memcpy(ret_bytes + len, &more, sizeof(more));
	return len + sizeof(more);
}

int measurer_commit(struct measurer *measurer)
{
	uint8_t state[RING_STATE_MAX];
	uint64_t needed;
	int err;

	if (!log_batch_count(measurer->log)) { /* nothing was recorded: nothing is given back */
		measurer_mended(measurer, FAULT_SLOT_LOG);
		ends_drop(measurer);
		return 0;
	}
	err = log_commit(measurer->log, ring_key, state, ring_state(measurer, state));
	if (err)
		return measurer_fail_log(measurer, err);
	measurer_mended(measurer, FAULT_SLOT_LOG);
	attached_settle(&measurer->attached);
	ends_drop(measurer);
	needed = collect_needs_from(&measurer->collect, measurer->read_end);
	/* Of loads that are not over yet the pieces stay on the ring, so that even a kill -9
	 * loses none, unless they fill it: then they are in memory only, and a kill costs such
	 * a load its digest. */
	if (measurer->read_end - needed > probe_ring_size(measurer->probe) / 4 * 3)
		needed = measurer->read_end;
	/* Where that was done before, what remains of such a load is not there to go back to. */
	if (needed > measurer->read_end - ring_held(measurer->ring))
		ring_release(measurer->ring, needed);
	return 0;
}

/* ---- what an earlier daemon recorded ---- */

/* Of hooks of another build, replaced just now, the loads that nobody had read are lost. */
static int put_replaced(
	struct measurer *measurer, const struct ring_note *note, const struct seen *loads)
{
	struct event_state replaced;
	uint64_t count;

	if (!probe_replaced(measurer->probe, &replaced) || replaced.instance != note->instance ||
		replaced.load < loads->end)
		return 0;
	count = replaced.load - loads->end + 1;
	measurer_excuse(measurer, count);
	return measurer_put_lost(measurer, LOST_LOADS, count, loads->end, replaced.load);
}

/* Pinned hooks that this log knows nothing of: what is still on the ring is where it begins. Of a ring that
 * nobody has read that is everything, what found no room included. */
static void begin_within(struct measurer *measurer)
{
	uint64_t first = probe_state(measurer->probe)->ticket, end;
	const void *data;
	size_t len;

	if (!measurer->read_end)
		return;
	while (ring_next(measurer->ring, &data, &len, &end) > 0) {
		const struct event *event = data;

		if (len >= sizeof(*event) && event->ticket < first)
			first = event->ticket;
	}
	ring_rewind(measurer->ring, measurer->read_end);
	seen_init(&measurer->collect.tickets, first);
	measurer->idle_ticket_end = first;
	measurer->untracked = probe_state(measurer->probe)->untracked;
	if (!probe_missed(measurer->probe, &measurer->missed))
		measurer->attachments_lost = measurer->missed.attachments;
}

/* What ring_state() wrote. */
struct ring_restored {
	struct ring_note note;
	struct seen tickets, loads, ids;
	struct ring_note_more more;
};

/* Returns 0 or -EUCLEAN. */
static int restored_parse(const uint8_t *state, size_t len, struct ring_restored *ret)
{
	struct seen *const sets[] = { &ret->tickets, &ret->loads, &ret->ids };
	size_t at = sizeof(ret->note), step;

	if (len < at)
		return -EUCLEAN;
	memcpy(&ret->note, state, at);
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++, at += step) {
		step = seen_restore(sets[i], state + at, len - at);
		if (!step)
			return -EUCLEAN;
	}
	memset(&ret->more, 0, sizeof(ret->more));
	if (len - at >= sizeof(ret->more)) /* earlier daemons knew nothing of it */
		memcpy(&ret->more, state + at, sizeof(ret->more));
	return 0;
}

int measurer_ring_restore(struct measurer *measurer)
{
	uint8_t state[RING_STATE_MAX];
	struct ring_restored was;
	char boot_id[sizeof(was.note.boot_id)];
	int len = db_state_get(measurer->db, ring_key, state, sizeof(state));
	int err;

	if (len == -ENOENT) {
		begin_within(measurer);
		return 0;
	}
	err = len < 0 && len != -EMSGSIZE ? len
					  : restored_parse(state, len < 0 ? 0 : (size_t)len, &was);
	if (err)
		return measurer_fail_log(measurer, err);
	measurer_boot_id(boot_id);
	if (!memcmp(boot_id, was.note.boot_id, strlen(boot_id) + 1)) {
		measurer->ids = was.ids;
		measurer->owed = was.more.owed;
		measurer_excuse(measurer, was.note.excused);
		measurer_excuses_settle(measurer);
	}
	if (was.note.instance != probe_state(measurer->probe)->instance) {
		begin_within(measurer);
		return put_replaced(measurer, &was.note, &was.loads);
	}
	measurer->untracked = was.note.untracked;
	measurer->collect.tickets = was.tickets;
	measurer->collect.loads = was.loads;
	measurer->collect.late = was.more.late;
	measurer->attachments_lost = was.more.attachments_lost;
	return 0;
}

/* ---- draining ---- */

static int end_keep(struct measurer *measurer, const struct event_end *end)
{
	if (measurer->end_count == measurer->end_room) {
		size_t room = measurer->end_room * 2 + 16;
		struct event_end *grown = reallocarray(measurer->ends, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		measurer->ends = grown;
		measurer->end_room = room;
	}
	measurer->ends[measurer->end_count++] = *end;
	return 0;
}

/* Copy the ends that found the ring full, before what is on the ring is read: their loads' other
 * events, if any, are there by then. */
static int ends_copy(struct measurer *measurer)
{
	uint64_t dropped = probe_state(measurer->probe)->dropped_events, load = 0;
	struct event_end end;
	int got = 0, err = 0;

	if (measurer->end_count || dropped == measurer->dropped_events)
		return 0;
	while (!err && (got = probe_end_next(measurer->probe, load, &end)) > 0) {
		load = end.event.load;
		err = end_keep(measurer, &end);
	}
	if (got < 0 || err) {
		measurer->end_count = 0;
		return got < 0 ? got : err;
	}
	measurer->dropped_events = dropped;
	measurer->ends_from = ring_written(measurer->ring);
	return 0;
}

/* Loads of which nothing could be kept. */
static int take_untracked(struct measurer *measurer)
{
	uint64_t untracked = probe_state(measurer->probe)->untracked;
	int err;

	if (untracked <= measurer->untracked)
		return 0;
	err = measurer_put_lost(measurer, LOST_LOADS, untracked - measurer->untracked, 0, 0);
	if (err)
		return err;
	measurer->owed += untracked - measurer->untracked;
	measurer->untracked = untracked;
	return 0;
}

/* Hand over the ends once everything was read that came before them. */
static int ends_take(struct measurer *measurer)
{
	int err = 0;

	if (measurer->end_count && !measurer->ends_taken &&
		measurer->read_end >= measurer->ends_from) {
		for (size_t i = 0; i < measurer->end_count && !err; i++)
			err = collect_end(&measurer->collect, &measurer->ends[i]);
		if (err)
			return err;
		measurer->ends_taken = true;
		measurer_excuses_settle(measurer);
	}
	return take_untracked(measurer);
}

/* Returns 1 where the ring's positions make no sense, 0, or a negative errno. */
static int take_events(struct measurer *measurer)
{
	const void *data;
	uint64_t end;
	size_t len;
	int got, err = 0;

	if (!ring_is_ours(measurer->ring))
		return 1;
	while ((got = ring_next(measurer->ring, &data, &len, &end)) > 0) {
		err = collect_event(&measurer->collect, data, len, measurer->read_end);
		if (err) {
			ring_rewind(measurer->ring, measurer->read_end);
			return err;
		}
		measurer->read_end = end;
		if (log_batch_count(measurer->log) < BATCH_RECORDS_MAX &&
			log_batch_bytes(measurer->log) < BATCH_BYTES_MAX)
			continue;
		measurer->more = true; /* others have their turn between two batches */
		return 0;
	}
	return got < 0;
}

int measurer_drain_some(struct measurer *measurer)
{
	int err = 0, odd;

	measurer->more = false;
	/* A batch that could not be committed goes first, and nothing is read before it went. */
	if (!measurer_is_well(measurer, FAULT_SLOT_LOG)) {
		err = measurer_commit(measurer);
		if (err)
			return err;
	}
	err = ends_copy(measurer);
	odd = err ? 0 : take_events(measurer);
	if (odd < 0)
		err = odd;
	if (!err && !odd)
		err = ends_take(measurer);
	if (err)
		return measurer_fail_log(measurer, err);
	err = measurer_commit(measurer);
	if (odd) {
		measurer_fault(measurer, FAULT_SLOT_HOOKS, FAULT_RING_OVERWRITTEN,
			"the ring's positions make no sense");
		measurer->mend |= MEND_RESTART | MEND_REATTACH;
	}
	return err;
}

int measurer_drain(struct measurer *measurer)
{
	int err = measurer_drain_some(measurer);

	/* A flood may never end; this does. */
	for (unsigned i = 1; !err && measurer->more && i < DRAIN_BATCHES_MAX; i++)
		err = measurer_drain_some(measurer);
	return err;
}
