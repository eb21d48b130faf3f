/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is missing: ends of loads, events, program ids. A load that our hooks saw is recorded or counted as
 * lost by its number (agent/collect.h); one that they did not see shows by its id, which the kernel gives one
 * after the other.
 *
 * So that a load that is recorded without its id is not lost a second time by that, its id is explained:
 *
 *  - it passed, so it has one: it is owed to us, and the next hole is it;
 *  - nobody knows whether it came so far: it is excused, for as long as its id can show as a hole, and no
 *    longer, lest it explain the id of a load that somebody hid.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/measurer.h"

/* ---- ids that are explained ---- */

void measurer_excuse(struct measurer *measurer, uint64_t count)
{
	measurer->excused_new += count;
	measurer->excused_from[0] = measurer->ids.end;
}

void measurer_excuses_settle(struct measurer *measurer)
{
	measurer->excused[0] += measurer->excused_new;
	measurer->excused_new = 0;
}

/* Once the holes below limit are given up. An excuse made after the highest id was seen waits for the next:
 * only that shows the hole. */
static void excuses_age(struct measurer *measurer, uint64_t limit)
{
	if (measurer->excused_from[1] < limit)
		measurer->excused[1] = 0;
	if (!measurer->excused[0])
		return;
	measurer->excused[1] += measurer->excused[0];
	measurer->excused_from[1] = measurer->excused_from[0];
	measurer->excused[0] = 0;
}

static uint64_t explain(uint64_t *ids, uint64_t holes)
{
	uint64_t explained = holes < *ids ? holes : *ids;

	*ids -= explained;
	return explained;
}

void measurer_id_seen(struct measurer *measurer, uint32_t id)
{
	if (id >= measurer->ids.end)
		measurer_excuses_settle(measurer);
	seen_add(&measurer->ids, id);
}

/* ---- what is given up ---- */

static bool thread_is_gone(uint32_t tgid, uint32_t pid)
{
	return syscall(SYS_tgkill, (pid_t)tgid, (pid_t)pid, 0) && errno == ESRCH;
}

static void give_up_loads(struct measurer *measurer)
{
	bool read = measurer->read_end >= measurer->idle_written && !measurer->end_count;
	int err;

	measurer->idle_written = ring_written(measurer->ring);
	if (!read)
		return;
	err = collect_give_up(&measurer->collect, thread_is_gone);
	if (err)
		measurer_fail_log(measurer, err);
	/* Where they have ids, higher ones may have been seen. */
	measurer_excuses_settle(measurer);
}

static void give_up_events(struct measurer *measurer)
{
	struct seen *tickets = &measurer->collect.tickets;
	uint64_t first = 0, last = 0;

	tickets->lost += seen_give_up(tickets, measurer->idle_ticket_end, &first, &last);
	if (tickets->lost && !measurer_put_lost(measurer, LOST_EVENTS, tickets->lost, first, last))
		tickets->lost = 0;
	measurer->idle_ticket_end = tickets->end;
}

/* One that nobody saw was a load that nobody saw: our hooks were not there. */
void measurer_give_up_ids(struct measurer *measurer, uint64_t limit)
{
	struct seen *ids = &measurer->ids;
	uint64_t first = 0, last = 0;

	ids->lost += seen_give_up(ids, limit, &first, &last);
	ids->lost -= explain(&measurer->owed, ids->lost);
	ids->lost -= explain(&measurer->excused[1], ids->lost);
	ids->lost -= explain(&measurer->excused[0], ids->lost);
	if (!ids->lost || measurer_put_lost(measurer, LOST_IDS, ids->lost, first, last))
		return;
	/* Those of them that are still loaded can be named; and are the hooks all there? */
	measurer_fault(measurer, FAULT_SLOT_HOOKS, FAULT_HOOKS_SILENT,
		"%" PRIu64 " programs were loaded, and no hook has shown them (ids %" PRIu64
		" to %" PRIu64 ")",
		ids->lost, first, last);
	ids->lost = 0;
	measurer->baseline_due = measurer->canary_due = true;
}

static void give_up_ids(struct measurer *measurer)
{
	if (measurer->ids.low == UINT64_MAX)
		return;
	/* What a load that is not over yet has is not missing. */
	for (const struct collected_load *load = measurer->collect.unfinished; load;
		load = load->next)
		if (load->has_prog)
			measurer_id_seen(measurer, load->prog.id);
	measurer_give_up_ids(measurer, measurer->idle_id_end);
	excuses_age(measurer, measurer->idle_id_end);
	measurer->idle_id_end = measurer->ids.end;
}

void measurer_give_up_holes(struct measurer *measurer)
{
	give_up_loads(measurer);
	give_up_events(measurer);
	give_up_ids(measurer);
}
