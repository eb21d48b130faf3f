/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs come and go, and the hooks put it on the ring. */
#include <linux/bpf.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/kernel_own.h"

static uint64_t boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the ring ---- */

/* Nobody but us reads what is written: that it comes anew wakes an edge-triggered listener. */
static void bell_ring(struct kernel *kernel)
{
	char heard[64];

	if (kernel->bell_fd < 0)
		return;
	while (read(kernel->bell_fd, heard, sizeof(heard)) > 0)
		;
	if (write(kernel->bell_fd, "!", 1) != 1)
		return; /* as full as after another's: it rings */
}

/* bpf_ringbuf_reserve(): the record's place, with its header busy, or NULL where it is full. A record that
 * begins near the end goes on behind it, where the reader looks: each is written only once. */
static char *ring_reserve(struct kernel *kernel, size_t len)
{
	_Atomic uint64_t *consumer = (void *)kernel->ring;
	_Atomic uint64_t *producer = (void *)(kernel->ring + PAGE);
	uint64_t step = (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8, at;
	char *record = NULL;

	kernel_lock(kernel);
	at = atomic_load(producer);
	if (at + step - atomic_load(consumer) < kernel->ring_size) {
		record = kernel->ring + 2 * PAGE + (at & (kernel->ring_size - 1));
		atomic_store((_Atomic uint32_t *)record, (uint32_t)len | BPF_RINGBUF_BUSY_BIT);
		atomic_store(producer, at + step);
	}
	kernel_unlock(kernel);
	return record;
}

size_t kernel_ring_unread(const struct kernel *kernel)
{
	/* In this order: what is read of the producer later is never before it. */
	uint64_t consumer, producer;

	if (!kernel->ring)
		return 0;
	consumer = atomic_load((_Atomic uint64_t *)(void *)kernel->ring);
	producer = atomic_load((_Atomic uint64_t *)(void *)(kernel->ring + PAGE));
	return producer - consumer;
}

/* bpf_ringbuf_output(). */
static bool ring_output(struct kernel *kernel, const void *event, size_t len)
{
	char *record = ring_reserve(kernel, len);

	if (!record)
		return false;
	memcpy(record + BPF_RINGBUF_HDR_SZ, event, len);
	atomic_store((_Atomic uint32_t *)record, (uint32_t)len);
	return true;
}

static uint64_t next(__u64 *counter)
{
	return __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

/* event_reserve() and bpf_ringbuf_submit(). */
static bool event_send(struct kernel *kernel, struct event *event)
{
	event->ticket = next(&kernel->state->ticket);
	if (ring_output(kernel, event, event->size))
		return true;
	next(&kernel->state->dropped_events);
	return false;
}

/* The end of load_exit(). */
static void end_send(struct kernel *kernel, struct event_end *end)
{
	bool kept;

	end->event.ticket = next(&kernel->state->ticket);
	if (ring_output(kernel, end, sizeof(*end)))
		return;
	kernel_lock(kernel);
	kept = kernel->world->end_count < ENDS_MAX;
	if (kept) {
		kernel->world->ends[kernel->world->end_count] = *end;
		kernel->world->end_count++; /* a reader that dies has it, or it has not */
	}
	kernel_unlock(kernel);
	if (!kept && !end->events)
		next(&kernel->state->untracked);
	next(&kernel->state->dropped_events);
}

static void tape_send(struct kernel *kernel, bool with_end)
{
	struct event_end *end = (void *)kernel->tape.events[kernel->tape.count - 1].event;

	end->events = end->dropped = 0;
	for (size_t i = 0; i + 1 < kernel->tape.count; i++) {
		if (event_send(kernel, kernel->tape.events[i].event))
			end->events++;
		else
			end->dropped++;
	}
	if (with_end)
		end_send(kernel, end);
	bell_ring(kernel);
}

/* ---- programs ---- */

void kernel_insns(uint64_t serial, uint64_t ret_insns[static KERNEL_INSNS])
{
	struct story story;

	story_init(&story, serial);
	memcpy(ret_insns, story.insns, sizeof(story.insns));
}

static bool has_id(enum kernel_how how)
{
	return how != LOAD_UNPARSABLE && how != LOAD_REFUSED;
}

static int error_of(enum kernel_how how)
{
	switch (how) {
	case LOAD_UNPARSABLE:
		return -EBADMSG;
	case LOAD_REFUSED:
		return -EINVAL;
	case LOAD_DENIED:
		return -EPERM;
	default:
		return 0;
	}
}

static void story_refuse(struct story *story, enum kernel_how how)
{
	story->end.error = error_of(how);
	if (how != LOAD_DENIED)
		story->has_prog = false;
	if (how == LOAD_REFUSED)
		story->end.hooks &= ~(1U << HOOK_PROG);
	if (how != LOAD_UNPARSABLE)
		return;
	story_sign(story);
	story->verify.error = story->end.error;
	story->load.in_check = 0;
	story->end.hooks = 1U << HOOK_LOAD_ENTER | 1U << HOOK_VERIFY | 1U << HOOK_LOAD_EXIT;
}

/* In place: a story points into itself. */
static void story_tell(
	const struct kernel_load *load, const struct kernel_entry *entry, struct story *ret_story)
{
	uint64_t now = boottime_ns();

	story_init(ret_story, entry->serial);
	ret_story->load.boottime_ns = now;
	ret_story->load.prog_type = ret_story->prog.prog_type = load->prog_type;
	ret_story->load.task.pid = ret_story->load.task.tgid = ret_story->end.tgid = load->tgid;
	ret_story->load.task.self = ret_story->end.self = entry->self;
	ret_story->load.kernel_origin = load->parent_id != 0;
	ret_story->prog.load_time_ns = now;
	ret_story->prog.id = entry->id;
	memcpy(ret_story->prog.digest, &entry->serial, sizeof(entry->serial));
	strncpy((char *)ret_story->load.name, load->name, EVENT_NAME_LEN - 1);
	memcpy(ret_story->prog.name, ret_story->load.name, EVENT_NAME_LEN);
	ret_story->end.boottime_ns = now;
	ret_story->end.parent_id = load->parent_id;
	ret_story->end.hooks = 1U << HOOK_LOAD_ENTER | 1U << HOOK_IDENTITY | 1U << HOOK_LOAD |
		1U << HOOK_PROG | 1U << HOOK_LOAD_EXIT;
	if (load->parent_id)
		ret_story->end.hooks |= 1U << HOOK_RUN;
	if (load->how == LOAD_SIGNED) {
		story_sign(ret_story);
		ret_story->end.hooks |= 1U << HOOK_VERIFY;
	}
	if (error_of(load->how))
		story_refuse(ret_story, load->how);
	/* An LSM of this kernel has something to say where there is a signature. */
	if (load->how == LOAD_SIGNED || load->how == LOAD_UNPARSABLE) {
		story_verdict(ret_story, load->how == LOAD_SIGNED ? KERNEL_OK : KERNEL_BADSIG);
		ret_story->end.hooks |= 1U << HOOK_INTEGRITY;
	}
	if (entry->load)
		ret_story->number = entry->load;
}

/* A loader program is judged once more when it runs, outside of any load. */
static void loader_judge(struct kernel *kernel, uint32_t id)
{
	struct event_integrity event = { .event = { .type = EVENT_INTEGRITY,
						 .size = sizeof(event) },
		.boottime_ns = boottime_ns(),
		.id = id };

	event_send(kernel, &event.event);
}

/* Its id is in the kernel's table from before its descriptor exists. Returns the place in the ledger. */
static uint64_t program_add(struct kernel *kernel, const struct kernel_load *load,
	struct story *story, struct kernel_entry *entry)
{
	struct world *world = kernel->world;
	uint64_t place;

	kernel_lock(kernel);
	entry->serial = ++world->serial;
	entry->boot = world->boot;
	entry->how = (uint8_t)load->how;
	entry->error = error_of(load->how);
	if (has_id(load->how))
		entry->id = ++world->last_id;
	if (kernel->state && load->how != LOAD_SILENT && load->how != LOAD_HIDDEN) {
		entry->load = next(&kernel->state->load) + 1;
		entry->self = load->tgid == kernel->state->agent_tgid;
	}
	story_tell(load, entry, story);
	place = world->entry_count++;
	world->ledger[place] = *entry;
	assert(world->entry_count < LEDGER_MAX && world->program_count < PROGRAMS_MAX);
	if (entry->id)
		world->programs[world->program_count++] = (struct program){
			.prog = story->prog,
			.entry = place,
			.listed = load->how != LOAD_HIDDEN,
			.followed = entry->load,
			.own = entry->self,
		};
	kernel_unlock(kernel);
	return place;
}

uint32_t kernel_load(struct kernel *kernel, const struct kernel_load *load)
{
	struct kernel_entry entry = {};
	struct story story;

	program_add(kernel, load, &story, &entry);
	if (entry.load) {
		if (load->parent_id)
			loader_judge(kernel, load->parent_id);
		tape_done(&kernel->tape);
		tape_story(&kernel->tape, &story);
		tape_send(kernel, load->how != LOAD_ENDLESS);
	}
	if (entry.error && entry.id)
		kernel_free(kernel, entry.id);
	return entry.error ? 0 : entry.id;
}

/* bpf_prog_free(): out of the kernel's table. Returns whether it was there, and whether our hook sees it. */
static bool program_remove(struct kernel *kernel, uint32_t id, bool *ret_followed)
{
	struct world *world = kernel->world;
	bool found = false, followed = false;

	kernel_lock(kernel);
	for (size_t i = 0; !found && i < world->program_count; i++) {
		struct program *program = &world->programs[i];

		found = program->prog.id == id;
		if (!found)
			continue;
		followed = program->followed && kernel->state;
		world->ledger[program->entry].freed = true;
		world->ledger[program->entry].free_seen = followed;
		world->program_count--;
		memmove(program, program + 1, (world->program_count - i) * sizeof(*program));
	}
	kernel_unlock(kernel);
	*ret_followed = followed;
	return found;
}

bool kernel_free(struct kernel *kernel, uint32_t id)
{
	struct event_free event = { .event = { .type = EVENT_FREE, .size = sizeof(event) },
		.boottime_ns = boottime_ns(),
		.id = id };
	bool followed, found = program_remove(kernel, id, &followed);

	if (followed) {
		event_send(kernel, &event.event);
		bell_ring(kernel);
	}
	return found;
}

void kernel_free_unseen(struct kernel *kernel, uint32_t id)
{
	bool followed;

	if (program_remove(kernel, id, &followed) && followed)
		next(&kernel->world->frees_missed);
}

void kernel_attach_unseen(struct kernel *kernel)
{
	next(&kernel->world->attachments_missed);
}

uint64_t kernel_attachments_missed(const struct kernel *kernel)
{
	return kernel->world->attachments_missed;
}

uint64_t kernel_frees_missed(const struct kernel *kernel)
{
	return kernel->world->frees_missed;
}

size_t kernel_programs(const struct kernel *kernel, size_t max, uint32_t *ret_ids)
{
	size_t count = 0;

	kernel_lock(kernel);
	for (size_t i = 0; count < max && i < kernel->world->program_count; i++)
		if (!kernel->world->programs[i].own)
			ret_ids[count++] = kernel->world->programs[i].prog.id;
	kernel_unlock(kernel);
	return count;
}

int kernel_programs_each(struct kernel *kernel, kernel_program_fn *fn, void *arg)
{
	int err = 0;

	/* fn may be long, and may die: it gets a copy. */
	for (uint32_t after = 0; !err;) {
		struct event_prog prog = {};
		struct world *world = kernel->world;

		kernel_lock(kernel);
		for (size_t i = 0; !prog.id && i < world->program_count; i++) {
			struct program *program = &world->programs[i];

			if (program->prog.id <= after || !program->listed)
				continue;
			prog = program->prog;
			program->followed = true;
		}
		kernel_unlock(kernel);
		if (!prog.id)
			break;
		after = prog.id;
		err = fn(arg, &prog);
	}
	return err;
}

/* The index of a load's end, or end_count; lock held. */
static size_t end_find(const struct world *world, uint64_t load)
{
	size_t i = 0;

	while (i < world->end_count && world->ends[i].event.load != load)
		i++;
	return i;
}

int kernel_end_next(struct kernel *kernel, uint64_t after_load, struct event_end *ret_end)
{
	const struct world *world = kernel->world;
	size_t i;
	int got;

	kernel_lock(kernel);
	i = after_load ? end_find(world, after_load) + 1 : 0;
	got = i < world->end_count;
	if (got)
		*ret_end = world->ends[i];
	kernel_unlock(kernel);
	return got;
}

void kernel_end_drop(struct kernel *kernel, uint64_t load)
{
	struct world *world = kernel->world;
	size_t i;

	kernel_lock(kernel);
	i = end_find(world, load);
	if (i < world->end_count) {
		memmove(&world->ends[i], &world->ends[i + 1],
			(world->end_count - i - 1) * sizeof(world->ends[0]));
		world->end_count--;
	}
	kernel_unlock(kernel);
}

bool kernel_program_get(struct kernel *kernel, uint32_t id, struct event_prog *ret_prog)
{
	const struct world *world = kernel->world;
	bool found = false;

	kernel_lock(kernel);
	for (size_t i = 0; !found && i < world->program_count; i++) {
		const struct program *program = &world->programs[i];

		found = program->listed && program->prog.id == id;
		if (found)
			*ret_prog = program->prog;
	}
	kernel_unlock(kernel);
	return found;
}

uint32_t kernel_next_id(struct kernel *kernel, uint32_t after_id)
{
	const struct world *world = kernel->world;
	uint32_t next = 0;

	kernel_lock(kernel);
	for (size_t i = 0; i < world->program_count; i++) {
		const struct program *program = &world->programs[i];

		if (program->listed && program->prog.id > after_id &&
			(!next || program->prog.id < next))
			next = program->prog.id;
	}
	kernel_unlock(kernel);
	return next;
}

const struct kernel_entry *kernel_ledger(const struct kernel *kernel, size_t n)
{
	return n < kernel->world->entry_count ? &kernel->world->ledger[n] : NULL;
}
