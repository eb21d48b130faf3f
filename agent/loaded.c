/* SPDX-License-Identifier: BSD-2-Clause */
/* What is loaded: the programs that were there before, and whether every hook shows what comes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cross.h"
#include "agent/measurer.h"

enum {
	CANARY_WAIT_MS = 2000, /* for the end of a program, which comes after an RCU grace period */
	CANARY_POLL_MS = 5,
	CANARY_LOOKS_MIN = 5,
	CANARY_TRIES = 3,
};

/* ---- what was loaded before ---- */

/* The newest record of the very same program: 1 and its number, digest and facts; 0; or an error. */
static int earlier_find(struct measurer *measurer, const struct event_prog *prog, uint64_t *ret_seq,
	uint8_t ret_sha256[static SHA256_LEN], struct record_program_facts *ret_facts)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct record_program_facts facts;
	uint64_t seq;
	size_t len;
	int err = db_ref_last(measurer->db, prog->id, 1, &seq);

	if (!err)
		err = db_line_get(measurer->db, seq, &line, &len);
	if (err)
		return err == -ENOENT ? 0 : err;
	record_program_facts(line, len, &facts);
	if (facts.load_time_ns != prog->load_time_ns)
		return 0;
	if (facts.has_tag && memcmp(facts.tag, prog->digest, RECORD_TAG_LEN) != 0)
		return 0;
	if (facts.kernel_digest.known &&
		memcmp(facts.kernel_digest.sha256, prog->digest, SHA256_LEN) != 0)
		return 0;
	err = sha256(line, len, ret_sha256);
	if (err)
		return err;
	*ret_seq = seq;
	*ret_facts = facts;
	return 1;
}

/* What is known of a program whose record was trimmed. */
static void facts_remembered(const struct measurer *measurer, const struct event_prog *prog,
	struct record_program_facts *facts)
{
	const struct program_known *known = programs_find(&measurer->programs, prog->id);

	if (!known || known->load_time_ns != prog->load_time_ns)
		return;
	facts->sha256 = known->sha256;
	facts->chain_digest = known->chain_digest;
	facts->verdict = known->verdict;
}

/* A loaded program that has no record in this epoch, as far as was known when the iterator met it. */
struct stranger {
	struct event_prog prog;
	size_t map_count;
	struct event_map *maps;
};

struct strangers {
	struct measurer *measurer;
	struct stranger *all;
	size_t count, room;
};

static void strangers_done(struct strangers *strangers)
{
	for (size_t i = 0; i < strangers->count; i++)
		free(strangers->all[i].maps);
	free(strangers->all);
}

static bool is_recorded(const struct measurer *measurer, const struct event_prog *prog)
{
	const struct program_known *known = programs_find(&measurer->programs, prog->id);

	return known && known->load_time_ns == prog->load_time_ns &&
		known->seq >= log_epoch_seq(measurer->log);
}

static int stranger_add(
	void *arg, const struct event_prog *prog, const struct event_map *maps, size_t map_count)
{
	struct strangers *strangers = arg;
	struct measurer *measurer = strangers->measurer;
	struct stranger stranger = { .prog = *prog, .map_count = map_count };

	if (prog->id > measurer->highest_id)
		measurer->highest_id = prog->id;
	if (!measurer_is_started(measurer))
		measurer_id_seen(measurer, prog->id);
	if (is_recorded(measurer, prog))
		return 0;
	if (strangers->count == strangers->room) {
		size_t room = strangers->room * 2 + 16;
		struct stranger *grown = reallocarray(
			strangers->all, room, sizeof(*strangers->all));

		if (!grown)
			return -ENOMEM;
		strangers->all = grown;
		strangers->room = room;
	}
	if (map_count) {
		stranger.maps = calloc(map_count, sizeof(*maps));
		if (!stranger.maps)
			return -ENOMEM;
		memcpy(stranger.maps, maps, map_count * sizeof(*maps));
	}
	strangers->all[strangers->count++] = stranger;
	return 0;
}

/* Whether its load is still going on, or was refused at the last moment: its own events tell. */
static bool is_passing(const struct measurer *measurer, uint32_t id)
{
	uint32_t loaded = 0;

	for (const struct collected_load *load = measurer->collect.unfinished; load;
		load = load->next)
		if (load->has_prog && load->prog.id == id)
			return true;
	return probe_next_id(measurer->probe, id - 1, &loaded) || loaded != id;
}

static int baseline_put(struct measurer *measurer, const struct stranger *stranger)
{
	const struct event_prog *prog = &stranger->prog;
	struct log_put put = { .kind = RECORD_BASELINE, .ref = prog->id };
	struct record_program_facts facts = {};
	struct record_baseline baseline;
	uint8_t digest[SHA256_LEN];
	struct program_known known;
	uint64_t seq = 0;
	int err, found = earlier_find(measurer, prog, &seq, digest, &facts);
	bool is_new = !found || seq < log_epoch_seq(measurer->log);

	if (found < 0)
		return measurer_fail_log(measurer, found);
	if (is_new) {
		describe_baseline(&measurer->describe, prog, stranger->maps, stranger->map_count,
			&measurer->described, &baseline);
		baseline.program.self = probe_is_own(measurer->probe, prog->id);
		baseline.has_earlier = found;
		baseline.earlier_seq = seq;
		memcpy(baseline.earlier_sha256, digest, found ? SHA256_LEN : 0);
		if (!found) {
			facts.verdict = baseline.signature.verdict;
			facts_remembered(measurer, prog, &facts);
		}
		seq = log_next_seq(measurer->log);
	}
	facts.load_time_ns = prog->load_time_ns;
	/* Remembered first: its record cannot be taken back. */
	known = program_recorded(prog->id, seq, &facts);
	err = programs_add(&measurer->programs, &known);
	if (!err && is_new) {
		err = log_put(measurer->log, &put, &baseline, NULL);
		if (err)
			programs_remove(&measurer->programs, prog->id);
	}
	return err ? measurer_fail_log(measurer, err) : 0;
}

int measurer_baseline(struct measurer *measurer)
{
	[[gnu::cleanup(strangers_done)]] struct strangers strangers = { .measurer = measurer };
	int err = probe_baseline(measurer->probe, stranger_add, &strangers);

	if (err) {
		measurer_fault(measurer, FAULT_SLOT_HOOKS,
			err == -ENOMEM ? FAULT_MEMORY : FAULT_HOOKS_SILENT, "%s",
			probe_errmsg(measurer->probe));
		measurer->canary_due = true; /* which clears it */
		return err;
	}
	/* The load of a program that came meanwhile is on the ring by now. */
	if (strangers.count)
		err = measurer_drain(measurer);
	for (size_t i = 0; i < strangers.count && !err; i++) {
		const struct event_prog *prog = &strangers.all[i].prog;

		if (!is_recorded(measurer, prog) && !is_passing(measurer, prog->id))
			err = baseline_put(measurer, &strangers.all[i]);
	}
	if (!err)
		err = measurer_links(
			measurer); /* which are of programs that have a record by now */
	if (!err)
		measurer->baseline_due = false;
	return err;
}

/* ---- canaries ---- */

static int canary_loaded(void *arg, uint32_t id)
{
	struct measurer *measurer = arg;
	int err;

	measurer->canary_id = id;
	/* Every program from here on is one that the hooks have to show. */
	if (measurer->ids.low == UINT64_MAX)
		seen_init(&measurer->ids, measurer->excused_from[0] = id);
	err = measurer_drain(measurer);
	if (!err)
		err = measurer_baseline(measurer);
	/* The iterator came by the canary, which is recorded, or it would have a baseline
	 * record now. */
	if (!err && programs_find(&measurer->programs, id))
		measurer->hooks_shown |= 1U << HOOK_BASELINE;
	return err;
}

static void fault_silent(struct measurer *measurer, unsigned missing)
{
	char names[MEASURER_TEXT_MAX / 2] = "";
	size_t len = 0;

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		if (missing & 1U << hook && len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, " %s%s",
				probe_hook_name(measurer->probe, hook),
				hook == HOOK_IDENTITY ? " (boot with bpf in lsm= for this one)"
						      : "");
	measurer_fault(
		measurer, FAULT_SLOT_HOOKS, FAULT_HOOKS_SILENT, "hooks that do not fire:%s", names);
}

/* Load the canaries and wait for what they show. */
static int canaries_load(struct measurer *measurer, unsigned wanted)
{
	int err = probe_canaries(measurer->probe, canary_loaded, measurer);
	uint64_t until_ms = measurer_now_ms() + CANARY_WAIT_MS;

	if (err)
		measurer->canary_due = true;
	if (err && !measurer_is_well(measurer, FAULT_SLOT_LOG))
		return err;
	if (err) {
		measurer_fault(measurer, FAULT_SLOT_HOOKS, FAULT_HOOKS_SILENT,
			"the kernel refuses the plainest program: %s", strerror(-err));
		return err;
	}
	/* By the clock, for in a flood each look takes seconds; and more than once, for then the first was too early. */
	for (unsigned looks = 0; looks < CANARY_LOOKS_MIN || measurer_now_ms() < until_ms;
		looks++) {
		err = measurer_drain(measurer);
		measurer->canary_due |= err != 0;
		if (err)
			return err;
		measurer->hooks_shown |= (unsigned)probe_state(measurer->probe)->shown & wanted;
		if ((measurer->hooks_shown & wanted) == wanted)
			break;
		usleep(CANARY_POLL_MS * 1000);
	}
	return 0;
}

/* Whether the kernel has come by one of these hooks and passed by since it had so often: others load. */
static bool were_passed_by(struct measurer *measurer, unsigned hooks, struct probe_missed *missed)
{
	struct probe_missed before = *missed;

	if (probe_missed(measurer->probe, missed))
		return false;
	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		if (hooks & 1U << hook && missed->hooks[hook] != before.hooks[hook])
			return true;
	return false;
}

int measurer_canaries(struct measurer *measurer)
{
	unsigned wanted = probe_wanted(measurer->probe);
	struct probe_missed missed;
	int err = 0;

	if (probe_missed(measurer->probe, &missed)) /* at worst the canaries are tried once more */
		memset(&missed, 0, sizeof(missed));
	measurer->hooks_shown = probe_attached(measurer->probe) & PROBE_UNTRIED;
	probe_state(measurer->probe)->shown = 0;
	measurer->canary_due = false;
	measurer->canary_ms = measurer_now_ms();
	for (unsigned tries = 0; tries < CANARY_TRIES; tries++) {
		err = canaries_load(measurer, wanted);
		if (err || !were_passed_by(measurer, wanted & ~measurer->hooks_shown, &missed))
			break;
	}
	if (err)
		return err;
	measurer->cross_due = true;
	if (wanted & ~measurer->hooks_shown)
		fault_silent(measurer, wanted & ~measurer->hooks_shown);
	else
		measurer_mended(measurer, FAULT_SLOT_HOOKS);
	return 0;
}

/* ---- are the hooks still there? ---- */

/*
 * A program that is loaded and has no event, a second after it was first met, was loaded past our
 * hooks, or its events found the ring full. The iterator tells what it is; the ids up to its own that
 * nobody saw and that nothing explains are lost.
 */
static void unseen_take(struct measurer *measurer)
{
	if (measurer_baseline(measurer))
		return;
	measurer_excuses_settle(measurer);
	measurer_give_up_ids(measurer, (uint64_t)measurer->highest_id + 1);
}

static void unseen_find(struct measurer *measurer)
{
	uint64_t known = measurer->ids.end ? measurer->ids.end - 1 : 0;
	uint32_t id = 0;

	if (measurer->ids.low == UINT64_MAX || known >= UINT32_MAX)
		return;
	if (probe_next_id(measurer->probe, (uint32_t)known, &id) || seen_has(&measurer->ids, id)) {
		measurer->unseen_id = 0;
		return;
	}
	if (measurer->unseen_id == id && ring_is_read(measurer->ring))
		unseen_take(measurer);
	measurer->unseen_id = id;
}

/* Programs that somebody hides, whenever the canaries have shown that our own view is whole. */
static void cross_find(struct measurer *measurer)
{
	struct cross cross;

	if (!measurer->cross_due || cross_check(measurer, &cross))
		return;
	measurer->cross_due = false;
	cross_done(&cross);
}

void measurer_hooks_check(struct measurer *measurer)
{
	uint64_t interval_ms = measurer->conf->measure_canary_interval_s * 1000ULL;
	int err = probe_check(measurer->probe);

	if (err) {
		measurer_fault(measurer, FAULT_SLOT_HOOKS,
			err == -ESTALE ? FAULT_HOOKS_REMOVED : FAULT_RING_OVERWRITTEN, "%s",
			probe_errmsg(measurer->probe));
		measurer->mend |= MEND_RESTART | MEND_REATTACH;
		return;
	}
	if (measurer->canary_due ||
		(interval_ms && measurer_now_ms() - measurer->canary_ms >= interval_ms))
		measurer_canaries(measurer);
	unseen_find(measurer);
	cross_find(measurer);
}
