/* SPDX-License-Identifier: BSD-2-Clause */
/* From what the kernel saw of an attachment to its records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/measurer.h"

/* A pin of a link is a place of its own. */
static uint64_t ref_of(const struct event_place *place, uint32_t prog_id)
{
	return attached_ref(place->key ? 0 : place->link_id, place->key, prog_id);
}

/* The program as its own record knows it. */
static int program_of(struct measurer *measurer, uint32_t id, struct record_of_program *ret)
{
	struct program_known known;
	int err = measurer_program_get(measurer, id, &known);

	*ret = (struct record_of_program){ .id = { id != 0, id } };
	if (err)
		return err == -ENOENT ? 0 : err;
	ret->seq = known.seq;
	ret->sha256 = known.sha256;
	return 0;
}

/*
 * The record that says that a program is attached there: 1 and its number; 0 where the newest says that
 * it is not any more; -ENOENT where none is of it; or an error.
 */
static int attach_find(struct measurer *measurer, uint64_t ref, uint64_t *ret_seq)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_head head;
	struct line_error error;
	uint64_t seq;
	size_t len;
	int err = attached_find(&measurer->attached, ref, ret_seq);

	if (err != -ENOENT)
		return err;
	err = db_ref_last(measurer->db, ref, log_epoch_seq(measurer->log), &seq);
	if (!err)
		err = db_line_get(measurer->db, seq, &line, &len);
	if (err)
		return err;
	if (record_check(line, len, &head, &error) || head.kind != RECORD_ATTACH)
		return 0;
	*ret_seq = seq;
	return 1;
}

static int put_attach(struct measurer *measurer, const struct event_place *place,
	struct record_attach *record, const struct log_put *put)
{
	uint64_t ref = ref_of(place, place->prog_id);
	int err = program_of(measurer, place->prog_id, &record->program);

	if (!err && record->has_replaced)
		err = program_of(measurer, place->replaced_id, &record->replaced);
	if (err)
		return err;
	/* It is remembered first: its record cannot be taken back. */
	err = attached_add(&measurer->attached, ref, log_next_seq(measurer->log));
	if (err)
		return err;
	err = log_put(measurer->log, put, record, NULL);
	/* Without memory there is none for this either, and what follows is wrong about one place. */
	if (err && attached_end(&measurer->attached, ref))
		return -ENOMEM;
	return err;
}

static int put_detach(struct measurer *measurer, const struct event_place *place, uint32_t prog_id,
	struct record_detach *record, struct log_put *put)
{
	uint64_t ref = ref_of(place, prog_id);
	int err = attach_find(measurer, ref, &record->attach_seq);

	if (err == -ENOENT && place->link_id)
		attached_end_early(&measurer->attached, ref);
	/* A link that somebody detached is there until it is closed: that is no news. */
	if (err <= 0)
		return err == -ENOENT ? 0 : err;
	err = program_of(measurer, prog_id, &record->program);
	if (err)
		return err;
	put->kind = RECORD_DETACH;
	put->ref = ref;
	err = attached_end(&measurer->attached, ref);
	if (err)
		return err;
	err = log_put(measurer->log, put, record, NULL);
	if (err && attached_add(&measurer->attached, ref, record->attach_seq))
		return -ENOMEM;
	return err;
}

int measurer_attachment(struct measurer *measurer, const struct collected_load *series)
{
	const struct event_attach *event = &series->attach;
	const struct event_place *place = &event->place;
	struct log_put put = { .kind = RECORD_ATTACH, .boottime_ns = event->boottime_ns };
	struct record_attach attach = { .has_by = event->has_task };
	struct record_detach detach = { .has_by = event->has_task };
	int err = 0;

	if (!series->has_attach || event->action > ACTION_CLOSE)
		return measurer_put_lost(
			measurer, LOST_ATTACHMENTS, 1, series->number, series->number);
	measurer->described.enum_count = 0;
	describe_place(&measurer->describe, place, &series->streams[STREAM_TARGET],
		&measurer->described, &attach.place);
	if (event->has_task)
		describe_task(&event->task, series, &measurer->described, &attach.by);
	detach.place = attach.place;
	detach.by = attach.by;
	if (event->action >= ACTION_DETACH) {
		detach.why = event->action == ACTION_DETACH ? ENDED_ASKED : ENDED_CLOSED;
		return put_detach(measurer, place, place->prog_id, &detach, &put);
	}
	if (event->action == ACTION_UPDATE && place->replaced_id) {
		detach.why = ENDED_REPLACED;
		err = put_detach(measurer, place, place->replaced_id, &detach, &put);
	}
	attach.how = event->action == ACTION_UPDATE ? HOW_UPDATE : HOW_NEW;
	attach.has_replaced = event->action == ACTION_UPDATE && place->replaced_id;
	put.kind = RECORD_ATTACH;
	put.ref = ref_of(place, place->prog_id);
	if (!err)
		err = put_attach(measurer, place, &attach, &put);
	if (err || !attached_was_early(&measurer->attached, put.ref))
		return err;
	detach.why = ENDED_CLOSED;
	detach.has_by = false; /* whose event it was is not remembered */
	return put_detach(measurer, place, place->prog_id, &detach, &put);
}

/* ---- what was attached before ---- */

/* A link that has no record in this epoch, as far as was known when the iterator met it. */
struct found {
	struct event_attach link;
	struct collected_bytes path;
	struct found *next;
};

struct finds {
	struct measurer *measurer;
	struct found *first;
};

static void finds_done(struct finds *finds)
{
	while (finds->first) {
		struct found *found = finds->first;

		finds->first = found->next;
		free(found->path.bytes);
		free(found);
	}
}

static int link_found(void *arg, const struct event_attach *link, const uint8_t *path, size_t len)
{
	struct finds *finds = arg;
	struct found *found;
	uint64_t seq;
	int got = attach_find(finds->measurer, ref_of(&link->place, link->place.prog_id), &seq);

	if (got != -ENOENT)
		return got < 0 ? got : 0;
	found = calloc(1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	found->link = *link;
	found->next = finds->first;
	finds->first = found;
	if (!len)
		return 0;
	found->path.bytes = malloc(len);
	if (!found->path.bytes)
		return -ENOMEM;
	memcpy(found->path.bytes, path, len);
	found->path.len = found->path.room = len;
	return 0;
}

static int put_found(struct measurer *measurer, const struct found *found)
{
	const struct event_place *place = &found->link.place;
	struct log_put put = { .kind = RECORD_ATTACH, .ref = ref_of(place, place->prog_id) };
	struct record_attach record = { .how = HOW_BASELINE };
	uint64_t seq;
	int got = attach_find(measurer, put.ref, &seq);

	if (got != -ENOENT)
		return got < 0 ? got : 0;
	measurer->described.enum_count = 0;
	describe_place(
		&measurer->describe, place, &found->path, &measurer->described, &record.place);
	return put_attach(measurer, place, &record, &put);
}

int measurer_links(struct measurer *measurer)
{
	[[gnu::cleanup(finds_done)]] struct finds finds = { .measurer = measurer };
	uint64_t epoch = log_epoch_seq(measurer->log);
	int err;

	if (measurer->links_epoch == epoch)
		return 0;
	err = probe_links(measurer->probe, link_found, &finds);
	if (err)
		measurer_fault(measurer, FAULT_SLOT_HOOKS,
			err == -ENOMEM ? FAULT_MEMORY : FAULT_HOOKS_SILENT, "%s",
			probe_errmsg(measurer->probe));
	/* What was attached meanwhile is on the ring by now. */
	if (!err && finds.first)
		err = measurer_drain(measurer);
	for (const struct found *found = finds.first; found && !err; found = found->next)
		err = put_found(measurer, found);
	if (!err)
		measurer->links_epoch = epoch;
	return err;
}
