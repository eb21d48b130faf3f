/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Epochs: is the PCR where the log thinks it is, and if not, why?
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/measurer.h"

/* What the TPM and the kernel say now. */
struct now {
	struct tpm_clock clock;
	struct bank_values values;
	uint64_t read_ns; /* wall clock, before they were asked */
	uint8_t ak_name[TPM_NAME_LEN];
	char boot_id[40];
};

/* What that means for the log. */
enum place {
	PLACE_SAME, /* the epoch goes on */
	PLACE_RESUMED, /* so it does, the TPM's counters moved */
	PLACE_CONTINUED, /* a new epoch on the PCR as the old one left it */
	PLACE_NEW, /* a new epoch on a PCR that began anew */
	PLACE_BROKEN, /* a new epoch on a PCR that holds what is not ours */
};

void measurer_boot_id(char ret_boot_id[static 40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, ret_boot_id, 39);

	if (fd >= 0)
		close(fd);
	ret_boot_id[len > 0 ? len : 0] = 0;
	ret_boot_id[strcspn(ret_boot_id, "\n")] = 0;
}

static int now_read(struct measurer *measurer, struct now *ret)
{
	struct tpm_clock again;
	int err;

	measurer_boot_id(ret->boot_id);
	tpm_ak_name(measurer->tpm, ret->ak_name);
	ret->read_ns = measurer_wall_ns();
	/* The counters around the PCR: a reset between the two commands would pair old with new. */
	do {
		err = tpm_clock_read(measurer->tpm, &ret->clock);
		if (!err)
			err = tpm_pcr_read(measurer->tpm, measurer->conf->tpm_pcr, &ret->values);
		if (!err)
			err = tpm_clock_read(measurer->tpm, &again);
		if (err)
			return measurer_fail_tpm(measurer, err);
	} while (again.reset_count != ret->clock.reset_count ||
		again.restart_count != ret->clock.restart_count);
	return 0;
}

static bool is_zero(const struct bank_values *values)
{
	static const struct bank_values zero;

	return !memcmp(values, &zero, sizeof(zero));
}

static bool is_other_tpm(const struct record_epoch_facts *epoch, const struct now *now)
{
	return epoch->ak_name_len &&
		(epoch->ak_name_len != sizeof(now->ak_name) ||
			memcmp(epoch->ak_name, now->ak_name, sizeof(now->ak_name)) != 0);
}

/* The PCR is where the epoch began, and was further, though the TPM was not reset: it is one that anybody
 * can reset (allow_resettable_pcr), and somebody did. */
static bool was_reset(const struct measurer *measurer, const struct now *now)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	uint64_t epoch_seq = log_epoch_seq(measurer->log);

	return now->clock.reset_count == epoch->reset_count &&
		now->clock.restart_count == epoch->restart_count &&
		!memcmp(&now->values, &epoch->base, sizeof(now->values)) &&
		(log_extended_seq(measurer->log) >= epoch_seq ||
			log_kept_seq(measurer->log) >= epoch_seq);
}

/*
 * The PCR decides whether it is the one that the log leads to; the counters and the boot id say why
 * it may not be. Returns an enum place or a negative errno.
 */
static int place_find(struct measurer *measurer, const struct now *now, enum record_why *ret_why)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	bool rebooted = strcmp(epoch->boot_id, now->boot_id) != 0, kept;
	int found;

	if (!log_epoch_seq(measurer->log) || epoch->pcr != measurer->conf->tpm_pcr) {
		*ret_why = WHY_FIRST_USE;
		return PLACE_NEW;
	}
	if (is_other_tpm(epoch, now)) {
		*ret_why = WHY_NEW_TPM;
		return PLACE_NEW;
	}
	if (now->clock.reset_count > epoch->reset_count) {
		*ret_why = rebooted ? WHY_BOOT : WHY_TPM_RESET;
		return PLACE_NEW;
	}
	if (!rebooted && was_reset(measurer, now)) {
		*ret_why = WHY_BROKEN_LOG;
		return PLACE_BROKEN;
	}
	found = log_find(measurer->log, &now->values);
	if (found < 0)
		return measurer_fail_log(measurer, found);
	/* At the epoch's very base the PCR shows nothing of the log: it was zeroed. */
	kept = found && log_extended_seq(measurer->log) >= log_epoch_seq(measurer->log);
	/* What is neither zero nor the log's was extended by others, whatever moved the counters. */
	if (!found && !rebooted && !is_zero(&now->values)) {
		*ret_why = WHY_BROKEN_LOG;
		return PLACE_BROKEN;
	}
	if (now->clock.reset_count < epoch->reset_count) {
		*ret_why = WHY_TPM_CLEAR;
		return kept ? PLACE_CONTINUED : PLACE_NEW;
	}
	if (found && rebooted) {
		*ret_why = WHY_KEXEC;
		return PLACE_CONTINUED;
	}
	if (now->clock.restart_count != epoch->restart_count) {
		*ret_why = WHY_TPM_RESTART;
		return kept ? PLACE_RESUMED : PLACE_NEW;
	}
	if (found)
		return PLACE_SAME;
	*ret_why = WHY_BROKEN_LOG;
	return PLACE_BROKEN;
}

static int put_epoch(struct measurer *measurer, const struct now *now, enum record_why why,
	enum log_epoch_kind kind)
{
	const struct tpm_identity *identity = tpm_identity(measurer->tpm);
	bank_set banks = tpm_banks(measurer->tpm, measurer->conf->tpm_pcr);
	struct log_put put = { .kind = RECORD_EPOCH, .keep = true };
	struct utsname uts;
	struct record_epoch epoch = {
		.why = why,
		.pcr = measurer->conf->tpm_pcr,
		.banks = banks,
		.base = now->values,
		.reset_count = now->clock.reset_count,
		.restart_count = now->clock.restart_count,
		.clock_ms = now->clock.clock_ms,
		.safe = now->clock.safe,
		.firmware = now->clock.firmware,
		.manufacturer = { identity->manufacturer, strlen(identity->manufacturer) },
		.vendor = { identity->vendor, strlen(identity->vendor) },
		.software = identity->software,
		.ak_name = { (const char *)now->ak_name, sizeof(now->ak_name) },
		.boot_id = { now->boot_id, strlen(now->boot_id) },
		.kernel = { uts.release, 0 },
		.last_seq = log_next_seq(measurer->log) - 1,
	};
	int err;

	uname(&uts);
	epoch.kernel.len = strlen(uts.release);
	memcpy(epoch.log_id, log_epoch(measurer->log)->log_id, sizeof(epoch.log_id));
	if (!log_epoch_seq(measurer->log) &&
		getrandom(epoch.log_id, sizeof(epoch.log_id), 0) != sizeof(epoch.log_id))
		return -errno;
	log_epoch_begin(measurer->log, kind, banks, &now->values);
	err = log_put(measurer->log, &put, &epoch, NULL);
	return err ? measurer_fail_log(measurer, err) : 0;
}

static int put_resume(struct measurer *measurer, const struct now *now)
{
	struct log_put put = { .kind = RECORD_RESUME, .keep = true };
	struct record_resume resume = {
		.reset_count = now->clock.reset_count,
		.restart_count = now->clock.restart_count,
		.clock_ms = now->clock.clock_ms,
		.safe = now->clock.safe,
	};
	int err = log_put(measurer->log, &put, &resume, NULL);

	return err ? measurer_fail_log(measurer, err) : 0;
}

/*
 * The old epoch ended there: everything that it still has to extend goes first. Its counters are not
 * the TPM's any more, but nothing was extended in between.
 */
static int extend_rest(struct measurer *measurer)
{
	struct log_extend extend;
	int err = measurer_commit(measurer), got;

	while (!err && (got = log_next_extend(measurer->log, &extend)) != 0) {
		if (got < 0)
			return measurer_fail_log(measurer, got);
		err = tpm_pcr_extend(measurer->tpm, measurer->conf->tpm_pcr, &extend.digests);
		if (err)
			return measurer_fail_tpm(measurer, err);
		err = log_extended(measurer->log, &extend);
		if (err)
			return measurer_fail_log(measurer, err);
	}
	return err;
}

/* Where the log says that the PCR should be. */
static void expect(struct measurer *measurer, struct record_foreign *foreign)
{
	struct log *log = measurer->log;

	foreign->banks = log_epoch(log)->banks;
	foreign->after_seq = log_extended_seq(log);
	foreign->expected = *log_values(log);
	if (measurer->confirmed_ns)
		return;
	/* How far it was when the daemon before this one ended is not known; at its end at most. */
	if (!log_values_at_end(log, &foreign->expected)) {
		foreign->after_seq = log_last_seq(log);
	} else {
		foreign->after_seq = log_epoch_seq(log) - 1;
		foreign->expected = log_epoch(log)->base;
	}
}

static int put_broken(struct measurer *measurer, const struct now *now)
{
	struct log_put put = { .kind = RECORD_FOREIGN, .keep = true };
	struct record_foreign foreign = {
		.found = now->values,
		.last_seen_ns = { measurer->confirmed_ns != 0, measurer->confirmed_ns },
		.reset_count = now->clock.reset_count,
		.restart_count = now->clock.restart_count,
	};
	int err;

	expect(measurer, &foreign);
	err = put_epoch(measurer, now, WHY_BROKEN_LOG, LOG_EPOCH_BROKEN);
	if (err)
		return err;
	err = log_put(measurer->log, &put, &foreign, NULL);
	return err ? measurer_fail_log(measurer, err) : 0;
}

/* A PCR that was extended before the machine came up may be the firmware's doing; one that was before
 * this log began was somebody's. */
static enum log_epoch_kind new_kind(enum record_why why, const struct bank_values *base)
{
	return why == WHY_FIRST_USE && !is_zero(base) ? LOG_EPOCH_UNEXPLAINED : LOG_EPOCH_NEW;
}

void measurer_confirm(struct measurer *measurer, uint64_t wall_ns)
{
	measurer->confirmed_seq = log_extended_seq(measurer->log);
	measurer->confirmed_ns = wall_ns;
}

static int place_take(
	struct measurer *measurer, enum place place, enum record_why why, struct now *now)
{
	int err = 0;

	switch (place) {
	case PLACE_SAME:
		measurer_confirm(measurer, now->read_ns);
		return 0;
	case PLACE_RESUMED:
		return put_resume(measurer, now);
	case PLACE_CONTINUED:
		err = extend_rest(measurer);
		if (!err) {
			now->values = *log_values(measurer->log);
			err = put_epoch(measurer, now, why, LOG_EPOCH_CONTINUED);
		}
		break;
	case PLACE_NEW:
		err = put_epoch(measurer, now, why, new_kind(why, &now->values));
		break;
	case PLACE_BROKEN:
		err = put_broken(measurer, now);
		break;
	}
	if (err)
		return err;
	measurer->baseline_due = true;
	return measurer_baseline(measurer);
}

static bool has_moved(const struct measurer *measurer, const struct now *now)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);

	return now->clock.reset_count != epoch->reset_count ||
		now->clock.restart_count != epoch->restart_count;
}

/* Of a PCR that somebody else extended every status says so, until the TPM resets. */
static void note_broken(struct measurer *measurer)
{
	uint64_t seq = log_broken_seq(measurer->log);

	if (seq)
		measurer_fault(measurer, FAULT_SLOT_PCR, FAULT_PCR_FOREIGN,
			"PCR %u held something that is not in the log when record %llu was written",
			measurer->conf->tpm_pcr, (unsigned long long)seq);
	else
		measurer_mended(measurer, FAULT_SLOT_PCR);
}

int measurer_locate(struct measurer *measurer)
{
	enum record_why why = WHY_FIRST_USE;
	struct now now;
	int place, err = now_read(measurer, &now);

	/* After a reset it may have other banks, after a clear no AK, or be another TPM. */
	if (!err && measurer_is_started(measurer) && has_moved(measurer, &now)) {
		err = measurer_tpm_connect(measurer);
		if (!err)
			err = now_read(measurer, &now);
	}
	if (err)
		return err;
	place = place_find(measurer, &now, &why);
	if (place < 0)
		return place;
	measurer_mended(measurer, FAULT_SLOT_TPM);
	measurer->located = true;
	measurer->slept_ns = measurer_slept_ns();
	err = place_take(measurer, (enum place)place, why, &now);
	note_broken(measurer);
	return err;
}
