/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The measurer: the path of one event, from the ring to the TPM, and the states that it can be in.
 *
 *	ring -> collect -> describe -> log_put -> log_commit -> tpm_pcr_extend -> audit record
 *	                                                    \-> journal
 *
 * measurer_step() is one turn of it: drain the ring, commit, one TPM command. The ring is drained
 * between any two TPM commands, so a slow TPM delays extends and never the collecting.
 */
#ifndef AGENT_MEASURER_H
#define AGENT_MEASURER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/attached.h"
#include "agent/collect.h"
#include "agent/conf.h"
#include "agent/describe.h"
#include "agent/fault.h"
#include "agent/identity.h"
#include "agent/log.h"
#include "agent/programs.h"
#include "agent/say.h"
#include "agent/trail.h"
#include "agent/window.h"
#include "bpf/probe.h"
#include "bpf/ring.h"
#include "db/db.h"
#include "tpm/swtpm.h"
#include "tpm/tpm.h"

enum { MEASURER_TEXT_MAX = FAULT_TEXT_MAX, MEASURER_ENDED_MAX = 64 };

/* What only a start from the beginning mends. Nothing is lost by it: it is what happens after a kill. */
enum measurer_mend {
	MEND_RESTART = 1, /* the log was replaced */
	MEND_SET_ASIDE = 2, /* it is damaged: put it aside and begin a new one */
	MEND_REATTACH = 4, /* the hooks or their maps are not as they were: attach new ones */
};

/* What a measurer is started with; all of it outlives the measurer. */
struct measurer_setup {
	const struct conf *conf;
	const char *conf_path;
	struct say *say;
	const uint64_t *
		faults_began; /* of FAULT_COUNT: how often each kind has, since the daemon started */
	void (*alive)(void *arg); /* called between the steps of a start, which may take long */
	void *alive_arg;
};

/* Since the daemon started: a start from the beginning leaves them as they are. */
struct measurer_counts {
	uint64_t lost; /* loads, events and ids in lost records */
	uint64_t loads[VERDICT_VERIFIED + 1]; /* in load records, by verdict */
	uint64_t malformed, audit_failed; /* by measurers before this one */
	struct window window;
	struct durations quotes;
};

struct measurer {
	struct measurer_setup setup;
	const struct conf *conf; /* the setup's */
	struct measurer_counts counts;
	struct record_digest conf_sha256;

	struct db *db;
	struct log *log; /* NULL while it cannot be opened */
	struct tpm *tpm;
	char tcti[CONF_PATH_SIZE + sizeof("device:") + SWTPM_TCTI_MAX];
	struct probe *probe;
	struct ring *ring;
	struct cms_trust *trust;
	struct trail *trail;

	struct collect collect;
	struct programs programs;
	struct attached attached;
	uint64_t links_epoch; /* whose record of every link that was there before is written */
	struct describe describe;
	struct described described;
	struct record_of_program handed; /* the program of the load that was handed over last, */
	uint64_t handed_load; /* which has this number */

	/* the ring and the log */
	uint64_t read_end; /* ring position up to which events were taken */
	bool more; /* there were more events than a batch takes */
	uint64_t dropped_events; /* the kernel's count when the ends map was last looked at */
	struct event_end *ends; /* copied from it, */
	uint64_t ends_from; /* to be handed over when the ring was read up to here, */
	bool ends_taken; /* and deleted there when what they led to is committed */
	size_t end_count, end_room;
	uint64_t untracked; /* the kernel's count that is recorded already */
	uint64_t idle_written; /* where the ring was written up to when last idle */
	uint64_t idle_ticket_end; /* tickets below that were missing when last idle are lost */

	/* hooks that the kernel passes by */
	struct probe_missed missed; /* how often it had when last idle */
	uint64_t attachments_lost; /* of these, what is recorded as lost */
	uint64_t missed_dropped; /* the kernel's count of dropped events then */
	bool ends_due; /* ends of programs may have been missed since they were looked for, */
	unsigned ends_wait; /* which is being done: so many idle seconds until it is */
	uint32_t *gone; /* programs that were not loaded at the first look */
	size_t gone_count, gone_room;
	uint32_t ended[MEASURER_ENDED_MAX]; /* whose end was recorded so: it may come yet */
	size_t ended_next;

	/* the kernel's ids of programs */
	struct seen ids; /* that were accounted for */
	uint64_t idle_id_end;
	/* holes that are explained: of loads that are recorded, or as lost, without their id */
	uint64_t owed; /* which they have */
	uint64_t excused_new; /* which they may have, after the newest id that was seen; */
	uint64_t excused[2]; /* before it, since the last idle second, and longer; */
	uint64_t excused_from[2]; /* ids.end when the last of them were excused */
	uint64_t unseen_id; /* of a loaded program that had no event when last idle; 0: none */

	/* the TPM */
	uint64_t tpm_retry_ms; /* after a failure no connection is tried before then (monotonic) */
	uint64_t extended_ns; /* wall clock, when it took the last record; 0: not since the start */
	uint64_t confirmed_seq; /* the TPM's counters and PCR were as expected after this record, */
	uint64_t confirmed_ns; /* at this wall-clock time; 0: not since the start */
	uint64_t unkept_ms; /* since when records wait for a kept quote (monotonic); 0: none do */
	bool located; /* the TPM was looked at since the last idle second, */
	uint64_t slept_ns; /* and so long the machine had been suspended by then */
	bool baseline_due; /* of this epoch, and could not be done yet */
	struct identity identity;

	unsigned hooks_shown; /* bits of enum event_hook that a canary has shown */
	uint32_t canary_id;
	uint64_t canary_ms; /* when they were last run (monotonic) */
	bool canary_due;
	bool cross_due; /* programs that are hidden were not looked for since the canaries */
	uint32_t highest_id; /* of a program that was seen */

	size_t step; /* of the start, that is due next */
	enum record_exit last_exit;
	int64_t clock_offset_ns; /* of the wall clock to CLOCK_BOOTTIME when last idle */
	uint64_t trim_ms; /* when retention was last looked at (monotonic) */
	unsigned mend; /* what a start from the beginning is needed for: enum measurer_mend */

	const struct warden_status *attest; /* of the attestation server; NULL: not known here */

	struct fault faults[FAULT_SLOT_COUNT];
	char error[MEASURER_TEXT_MAX]; /* of measurer_start() */
};

/*
 * Attach the hooks, then open the log and the TPM, find the place in the log, measure what was
 * loaded before, and let every hook show itself. Where the log or the TPM is not to be had now, that
 * is a fault: the hooks record into the kernel's ring meanwhile, and measurer_idle() goes on where
 * the start had to stop.
 *
 * measurer  zeroed, or what measurer_done() left.
 * mend      what measurer->mend was before, or 0.
 *
 * Returns 0, and the measurer measures, or waits (measurer->faults); a negative errno and
 * measurer->error where it can do neither. measurer_done() is due either way.
 */
[[nodiscard]] int measurer_start(
	struct measurer *measurer, const struct measurer_setup *setup, unsigned mend);
void measurer_done(struct measurer *measurer);

/* Whether the start is over: until then there is nothing to ask for. */
bool measurer_is_started(const struct measurer *measurer);

/*
 * One turn. Returns true if there is more to do at once. Never fails: what goes wrong becomes a
 * fault, and is tried again by measurer_idle().
 */
bool measurer_step(struct measurer *measurer);

/* To be called about once a second: holes that stayed are lost, faults are tried again, and what
 * others may have done to the PCR, the hooks and the log is looked for. */
void measurer_idle(struct measurer *measurer);

/* Write the stop record, get everything into the TPM, for at most timeout_ms, and keep a quote of
 * it. The hooks stay. */
void measurer_stop(struct measurer *measurer, const char *why, unsigned timeout_ms);

bool measurer_has_fault(const struct measurer *measurer);

/* The faults as "WORD: what", joined by "; ", or an empty string when it measures. */
enum { MEASURER_TROUBLE_MAX = FAULT_SLOT_COUNT * (MEASURER_TEXT_MAX + 32) };
const char *measurer_trouble(
	const struct measurer *measurer, char buf[static MEASURER_TROUBLE_MAX]);

/* ---- between the files of the measurer ---- */

uint64_t measurer_now_ms(void); /* CLOCK_MONOTONIC */
uint64_t measurer_wall_ns(void); /* CLOCK_REALTIME */
uint64_t measurer_boot_ns(void); /* CLOCK_BOOTTIME */
uint64_t measurer_slept_ns(void); /* how long the machine was suspended since boot */

/* /proc/sys/kernel/random/boot_id, or an empty string. */
void measurer_boot_id(char ret_boot_id[static 40]);

/* Note a fault of the log or of the TPM, with the text of the last call that failed; return err. One
 * that only a start from the beginning mends is noted in mend. */
int measurer_fail_log(struct measurer *measurer, int err);
int measurer_fail_tpm(struct measurer *measurer, int err);
[[gnu::format(printf, 4, 5)]] void measurer_fault(struct measurer *measurer, enum fault_slot slot,
	enum fault_kind kind, const char *format, ...);
bool measurer_is_well(const struct measurer *measurer, enum fault_slot slot);
void measurer_mended(struct measurer *measurer, enum fault_slot slot);

/* drain.c: the collector with the measurer as its sink, and what an earlier daemon recorded of
 * the ring. */
void measurer_collect_init(struct measurer *measurer);
[[nodiscard]] int measurer_ring_restore(struct measurer *measurer);

/*
 * Take what is on the ring, a batch of it (measurer->more: there is more), and commit it; or all of
 * it, as far as it does not come faster than it is taken. Both return 0 or a negative errno, a fault
 * by then.
 */
int measurer_drain_some(struct measurer *measurer);
int measurer_drain(struct measurer *measurer);

/* Commit the batch. Returns as measurer_drain(). */
int measurer_commit(struct measurer *measurer);

/* Into the batch with a record of so many that are lost. Returns 0 or a negative errno. */
[[nodiscard]] int measurer_put_lost(struct measurer *measurer, enum record_lost_what what,
	uint64_t count, uint64_t first, uint64_t last);

/* The end of a program into the batch, where it is known. Returns 0 or a negative errno. */
[[nodiscard]] int measurer_put_unload(struct measurer *measurer, const struct event_free *event);

/* How often the kernel has passed by hooks of ours, in all. */
uint64_t measurer_missed(const struct measurer *measurer);

/* missed.c: how often the kernel has passed by hooks is read, and what was missed so is put into the batch:
 * ends of programs, attachments as lost. Once a second. */
void measurer_missed_find(struct measurer *measurer);

/* Whether a program's end was recorded so; not any more, when this was asked. */
bool measurer_is_ended(struct measurer *measurer, uint32_t id);

/* holes.c: loads that are over without an end, events and program ids that were missing when this was last
 * called and still are. Into the batch with what that comes to. */
void measurer_give_up_holes(struct measurer *measurer);

/* The ids below limit that were not seen, at once. */
void measurer_give_up_ids(struct measurer *measurer, uint64_t limit);

/* So many ids, given after the highest that was seen, may be missing: their loads are recorded without. */
void measurer_excuse(struct measurer *measurer, uint64_t count);

/* The ids that are excused lie before those that will be seen from now on. */
void measurer_excuses_settle(struct measurer *measurer);

/*
 * drain.c: a program that was recorded before this daemon started, or before it was unloaded: from its record.
 * One that is loaded now is known without.
 *
 * Returns 0, -ENOENT where no record is of it, or an error: then nobody can tell.
 */
[[nodiscard]] int measurer_program_get(
	struct measurer *measurer, uint32_t id, struct program_known *ret_program);

/* attach.c: the record of an attachment, or of its end. Returns 0 or a negative errno with nothing put. */
[[nodiscard]] int measurer_attachment(
	struct measurer *measurer, const struct collected_load *series);

/* attach.c: a baseline record for every link that has no record in this epoch: once in it, and once after a start.
 * Returns 0 or a negative errno. */
[[nodiscard]] int measurer_links(struct measurer *measurer);

/* That a program has this id is recorded. */
void measurer_id_seen(struct measurer *measurer, uint32_t id);

/* One TPM command towards everything being extended. Returns true if there is more to extend. */
bool measurer_extend(struct measurer *measurer);

/*
 * epoch.c: compare the TPM's counters and PCR with the log; begin a new epoch, or record a resume or
 * a foreign extend, where they say that there was one, and measure the loaded programs into a new
 * epoch.
 *
 * Returns 0 or a negative errno, a fault by then.
 */
int measurer_locate(struct measurer *measurer);

/* The TPM, asked after wall_ns, had the counters and the PCR that the log leads to. */
void measurer_confirm(struct measurer *measurer, uint64_t wall_ns);

/* What the configuration says of the hooks. */
struct probe_options measurer_probe_options(const struct conf *conf);

/* What [tpm] device comes to on this machine now: a path, a TCTI, or "software". Points into conf or to a constant. */
const char *measurer_tpm_device(const struct conf *conf);

/* start.c: the steps of the start that are left, as far as they can be done now. Returns 0 or what
 * the step that failed returned, a fault by then. */
int measurer_go_on(struct measurer *measurer);

/* Connect to the TPM of the configuration, a software TPM started if need be, with the AK
 * open. Returns 0 or a negative errno, a fault by then. Where that took long it is not tried again, and
 * -EAGAIN, until as long has passed: a silent TPM shall not keep all who ask for the status waiting. */
int measurer_tpm_connect(struct measurer *measurer);

/* loaded.c: a baseline record for every loaded program that has no record in this epoch. Returns 0
 * or a negative errno, a fault by then. */
int measurer_baseline(struct measurer *measurer);

/* Every hook in use has to show its own event. Returns 0 or a negative errno, a fault by then. */
int measurer_canaries(struct measurer *measurer);

/* Look for programs that are loaded and were never seen, and for hooks that are not there any more. */
void measurer_hooks_check(struct measurer *measurer);

/*
 * keep.c: take a quote, and see that it is of the PCR that the log leads to.
 *
 * Returns 0; -EAGAIN; -ESTALE where the PCR or the counters are others by now, which measurer_locate()
 * has to look at; or another error of tpm/tpm.h, a fault by then.
 */
[[nodiscard]] int measurer_quote(struct measurer *measurer,
	const uint8_t qualifying[static SHA256_LEN], struct tpm_quote *ret_quote);

/* Take a quote of the PCR as it is and keep it, where there is something new to prove. */
void measurer_keep(struct measurer *measurer);

/* Keep one when enough has come together, or enough time has passed. */
void measurer_keep_due(struct measurer *measurer);

/* trim.c: what retention asks for, a step of it. */
void measurer_trim(struct measurer *measurer);

#endif
