/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/measurer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
	CLOCK_STEP_NS = 1000000000,
	STOP_POLL_US = 10000,
	SLEPT_NS = 50000000, /* more than lies between reading one clock and the other */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t measurer_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t measurer_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t measurer_now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t measurer_slept_ns(void)
{
	uint64_t monotonic = clock_ns(CLOCK_MONOTONIC);

	return clock_ns(CLOCK_BOOTTIME) - monotonic;
}

/* ---- faults ---- */

void measurer_fault(struct measurer *measurer, enum fault_slot slot, enum fault_kind kind,
	const char *format, ...)
{
	struct fault *fault = &measurer->faults[slot];
	va_list args;

	fault->kind = kind;
	va_start(args, format);
	vsnprintf(fault->what, sizeof(fault->what), format, args);
	va_end(args);
}

bool measurer_is_well(const struct measurer *measurer, enum fault_slot slot)
{
	return measurer->faults[slot].kind == FAULT_NONE;
}

void measurer_mended(struct measurer *measurer, enum fault_slot slot)
{
	measurer->faults[slot].kind = FAULT_NONE;
}

/* text: why, of what failed; of what lacks memory nobody kept one. */
static int fail_log(struct measurer *measurer, int err, const char *text)
{
	enum fault_kind kind = fault_of_log(err);

	measurer_fault(measurer, FAULT_SLOT_LOG, kind, "%s: %s", measurer->conf->log_path,
		*text && err != -ENOMEM ? text : strerror(-err));
	if (kind == FAULT_LOG_DAMAGED)
		measurer->mend |= MEND_RESTART | MEND_SET_ASIDE;
	if (kind == FAULT_LOG_REPLACED)
		measurer->mend |= MEND_RESTART;
	return err;
}

int measurer_fail_log(struct measurer *measurer, int err)
{
	const char *text = measurer->log ? log_errmsg(measurer->log) : "";

	return fail_log(measurer, err, *text ? text : db_errmsg(measurer->db));
}

int measurer_fail_tpm(struct measurer *measurer, int err)
{
	measurer_fault(measurer, FAULT_SLOT_TPM, fault_of_tpm(err), "%s: %s", measurer->tcti,
		tpm_errmsg(measurer->tpm));
	return err;
}

bool measurer_has_fault(const struct measurer *measurer)
{
	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++)
		if (measurer->faults[i].kind)
			return true;
	return false;
}

const char *measurer_trouble(const struct measurer *measurer, char buf[static MEASURER_TROUBLE_MAX])
{
	size_t len = 0;

	buf[0] = 0;
	for (size_t i = 0; i < FAULT_SLOT_COUNT; i++) {
		const struct fault *fault = &measurer->faults[i];

		if (fault->kind)
			len += (size_t)snprintf(buf + len, MEASURER_TROUBLE_MAX - len, "%s%s: %s",
				len ? "; " : "", fault_name(fault->kind), fault->what);
	}
	return buf;
}

/* ---- into the TPM ---- */

bool measurer_extend(struct measurer *measurer)
{
	struct log_extend extend;
	int got, err;

	if (!measurer_is_well(measurer, FAULT_SLOT_TPM) || measurer->mend)
		return false;
	got = log_next_extend(measurer->log, &extend);
	if (got < 0)
		measurer_fail_log(measurer, got);
	if (got <= 0)
		return false;
	/* After a rest the TPM may have been reset, after a sleep hibernated: then this is another
	 * epoch. */
	if ((int64_t)(measurer_slept_ns() - measurer->slept_ns) > SLEPT_NS)
		measurer->located = false;
	if (!measurer->located)
		return !measurer_locate(measurer);
	err = tpm_pcr_extend(measurer->tpm, measurer->conf->tpm_pcr, &extend.digests);
	if (err == -EAGAIN)
		return false; /* the next turn is at most a second away */
	/* Whether a command that got no answer was executed is UNKNOWN: the PCR tells. */
	if (err) {
		measurer_fail_tpm(measurer, err);
		return false;
	}
	err = log_extended(measurer->log, &extend);
	if (err) { /* it is in the PCR all the same: the fold has to find that out */
		measurer_fault(
			measurer, FAULT_SLOT_TPM, FAULT_MEMORY, "%s", log_errmsg(measurer->log));
		return false;
	}
	window_extended(
		&measurer->counts.window, log_extended_seq(measurer->log), measurer_boot_ns());
	measurer->extended_ns = measurer_wall_ns();
	trail_send(measurer->trail, log_extended_seq(measurer->log));
	measurer_keep_due(measurer);
	return true;
}

bool measurer_step(struct measurer *measurer)
{
	bool more;

	if (!measurer_is_started(measurer) || measurer->mend || measurer_drain_some(measurer))
		return false;
	more = measurer->more;
	return measurer_extend(measurer) || more;
}

/* ---- once a second ---- */

/* Records carry both clocks, so a step breaks nothing; but who reads them should know. */
static void clock_check(struct measurer *measurer)
{
	int64_t offset = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME));
	int64_t step = offset - measurer->clock_offset_ns;

	if (measurer->clock_offset_ns && llabs(step) > CLOCK_STEP_NS)
		say_text(measurer->setup.say, SAY_NOTE, LOG_NOTICE,
			"the clock was stepped by %+" PRId64 " s after record %" PRIu64
			"; boottime_ns of the records is not affected",
			step / 1000000000, log_last_seq(measurer->log));
	measurer->clock_offset_ns = offset;
}

/* The PCR and the counters, each second: others may have extended the one, a resume moved the other. */
static void tpm_check(struct measurer *measurer)
{
	measurer->located = false;
	if (!measurer_is_well(measurer, FAULT_SLOT_TPM) && measurer_tpm_connect(measurer))
		return;
	measurer_locate(measurer);
}

void measurer_idle(struct measurer *measurer)
{
	int err;

	if (!measurer_is_started(measurer)) {
		measurer_go_on(measurer);
		return;
	}
	clock_check(measurer);
	err = db_check_file(measurer->db);
	if (err)
		fail_log(measurer, err, db_errmsg(measurer->db));
	if (measurer->mend || measurer_drain_some(measurer))
		return;
	measurer_hooks_check(measurer);
	measurer_missed_find(measurer);
	measurer_give_up_holes(measurer);
	tpm_check(measurer);
	if (measurer->baseline_due && !measurer->mend)
		measurer_baseline(measurer);
	if (measurer->mend || measurer_commit(measurer))
		return;
	measurer_keep_due(measurer);
	measurer_trim(measurer);
}

void measurer_stop(struct measurer *measurer, const char *why, unsigned timeout_ms)
{
	struct log_put put = { .kind = RECORD_STOP, .keep = true };
	struct record_stop stop = { .why = { why, strlen(why) } };
	uint64_t deadline = measurer_now_ms() + timeout_ms;

	if (!measurer_is_started(measurer) || measurer->mend || measurer_drain(measurer) ||
		log_put(measurer->log, &put, &stop, NULL) || measurer_commit(measurer))
		return;
	while (measurer_now_ms() < deadline && measurer_is_well(measurer, FAULT_SLOT_TPM) &&
		log_extended_seq(measurer->log) < log_last_seq(measurer->log))
		if (!measurer_extend(measurer))
			usleep(STOP_POLL_US);
	if (log_extended_seq(measurer->log) == log_last_seq(measurer->log))
		measurer_keep(measurer);
}
