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
	char boot_id[40];
};

static int fail_tpm(struct measurer *measurer, int err)
{
	snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "%s", tpm_errmsg(measurer->tpm));
	return err;
}

static int fail_log(struct measurer *measurer, int err)
{
	snprintf(measurer->tpm_trouble, MEASURER_TEXT_MAX, "%s", log_errmsg(measurer->log));
	return err;
}

static void boot_id_read(char ret_boot_id[static 40])
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

	boot_id_read(ret->boot_id);
	/* The counters around the PCR: a reset between the two commands would pair old with new. */
	do {
		err = tpm_clock_read(measurer->tpm, &ret->clock);
		if (!err)
			err = tpm_pcr_read(measurer->tpm, measurer->conf->tpm_pcr, &ret->values);
		if (!err)
			err = tpm_clock_read(measurer->tpm, &again);
		if (err)
			return fail_tpm(measurer, err);
	} while (again.reset_count != ret->clock.reset_count ||
		again.restart_count != ret->clock.restart_count);
	return 0;
}

/* Returns 1 if the current epoch goes on, 0 with the reason if there is a new one, or an error. */
static int epoch_goes_on(struct measurer *measurer, const struct now *now, enum record_why *ret_why)
{
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	bool rebooted = strcmp(epoch->boot_id, now->boot_id);
	int found;

	if (!log_epoch_seq(measurer->log) || epoch->pcr != measurer->conf->tpm_pcr) {
		*ret_why = WHY_FIRST_USE;
		return 0;
	}
	if (now->clock.reset_count < epoch->reset_count) {
		*ret_why = WHY_TPM_CLEAR;
		return 0;
	}
	if (now->clock.reset_count > epoch->reset_count) {
		*ret_why = rebooted ? WHY_BOOT : WHY_TPM_RESET;
		return 0;
	}
	if (now->clock.restart_count != epoch->restart_count) {
		*ret_why = WHY_TPM_RESTART;
		return 0;
	}
	if (rebooted) {
		*ret_why = WHY_KEXEC;
		return 0;
	}
	*ret_why = WHY_BROKEN_LOG;
	found = log_find(measurer->log, &now->values);
	return found < 0 ? fail_log(measurer, found) : found;
}

static int put_epoch(struct measurer *measurer, const struct now *now, enum record_why why)
{
	const struct tpm_identity *identity = tpm_identity(measurer->tpm);
	bank_set banks = tpm_banks(measurer->tpm, measurer->conf->tpm_pcr);
	struct log_put put = { .kind = RECORD_EPOCH, .keep = true };
	uint8_t name[TPM_NAME_LEN];
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
		.ak_name = { (const char *)name, sizeof(name) },
		.boot_id = { now->boot_id, strlen(now->boot_id) },
		.kernel = { uts.release, 0 },
		.last_seq = log_next_seq(measurer->log) - 1,
	};
	int err;

	uname(&uts);
	epoch.kernel.len = strlen(uts.release);
	tpm_ak_name(measurer->tpm, name);
	memcpy(epoch.log_id, log_epoch(measurer->log)->log_id, sizeof(epoch.log_id));
	if (!log_epoch_seq(measurer->log) &&
		getrandom(epoch.log_id, sizeof(epoch.log_id), 0) != sizeof(epoch.log_id))
		return -errno;
	log_epoch_begin(measurer->log, banks, &now->values);
	err = log_put(measurer->log, &put, &epoch, NULL);
	return err ? fail_log(measurer, err) : 0;
}

int measurer_locate(struct measurer *measurer)
{
	enum record_why why;
	struct now now;
	int err = now_read(measurer, &now);

	if (!err)
		err = epoch_goes_on(measurer, &now, &why);
	if (err < 0)
		return err;
	measurer->tpm_trouble[0] = 0;
	measurer->located = true;
	if (err > 0) {
		measurer->confirmed_seq = log_extended_seq(measurer->log);
		return 0;
	}
	err = put_epoch(measurer, &now, why);
	if (err)
		return err;
	measurer->baseline_due = true;
	return measurer_baseline(measurer);
}
