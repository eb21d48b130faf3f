// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: who else uses the daemon's PCR. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bank.h"
#include "cli/doctor.h"
#include "cli/doctor_foreign.h"
#include "cli/doctor_own.h"

/* Has the log extended it in this boot, as far as can be told without replaying it? */
static bool is_ours(const struct doctor *doctor)
{
	return json_object_get(doctor->status, "values") || doctor->log_is_of_this_boot;
}

static void see_value(struct doctor *doctor)
{
	unsigned pcr = doctor->conf.pcr;
	const char *told = json_string_value(
		json_object_get(json_object_get(doctor->status, "values"), "sha256"));
	char digits[DOCTOR_DIGITS_MAX];

	if (!doctor_pcr_value(doctor, BANK_SHA256, pcr, digits))
		return; /* no TPM, or doctor_banks() has said it */
	if (doctor_pcr_is_zero(digits)) {
		doctor_find(doctor, DOCTOR_OK,
			"PCR %u is zero: nobody has extended it in this boot", pcr);
	} else if (told && strcmp(told, digits) == 0) {
		doctor_find(doctor, DOCTOR_OK, "PCR %u holds what the log leads to", pcr);
	} else if (is_ours(doctor)) {
		/* The log goes on while we look; pcr-foreign is the daemon's to find. */
		doctor_find(
			doctor, DOCTOR_OK, "PCR %u is extended by the daemon in this boot", pcr);
	} else if (doctor->log_error == -EACCES) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"PCR %u is not zero; whether it was the daemon is in the log, which may not be "
			"read",
			pcr);
		doctor_do_join(doctor);
	} else {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"PCR %u is not zero, and no log of ours extended it in this boot: somebody "
			"else uses it, and verifiers will say \"untrusted: unexplained base\"",
			pcr);
		doctor_do_other_pcr(doctor, 0);
	}
}

/* ---- systemd-stub(7), "EFI Variables" ---- */

#define LOADER_GUID        "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define EFI_VARIABLE(name) "/sys/firmware/efi/efivars/" name "-" LOADER_GUID

enum { EFI_VARIABLE_MAX = 256 };

/* A variable is set where something was measured in this boot. */
static void see_stub_variable(struct doctor *doctor, const char *path, const char *what)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	unsigned pcr;
	size_t len;

	int r = doctor_read(doctor, path, EFI_VARIABLE_MAX, &bytes, &len);
	if (r == -ENOENT)
		return;
	if (r == 0)
		r = efi_pcr_look((const uint8_t *)bytes, len, &pcr);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "%s: %s", path, strerror(-r));
		doctor_do_as_root(doctor);
	} else if (pcr == doctor->conf.pcr) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"systemd-stub measured %s into PCR %u in this boot: verifiers will say "
			"\"untrusted: unexplained base\" unless that value was pinned",
			what, pcr);
		doctor_do_other_pcr(doctor, 0);
	}
}

static void see_stub(struct doctor *doctor)
{
	unsigned pcr = doctor->conf.pcr;

	see_stub_variable(doctor, EFI_VARIABLE("StubPcrKernelImage"), "the kernel's image");
	see_stub_variable(doctor, EFI_VARIABLE("StubPcrKernelParameters"),
		"the kernel command line or credentials");
	see_stub_variable(doctor, EFI_VARIABLE("StubPcrInitRDSysExts"), "system extensions");
	see_stub_variable(
		doctor, EFI_VARIABLE("StubPcrInitRDConfExts"), "configuration extensions");
	if (!doctor_has(doctor, EFI_VARIABLE("StubInfo")) || pcr < 11 || pcr > 13)
		return;
	doctor_find(doctor, DOCTOR_NOTE,
		"this machine boots by systemd-stub, which measures %s into PCR %u%s",
		pcr == 13           ? "system extensions for the initrd"
			: pcr == 12 ? "the kernel command line and credentials"
				    : "the kernel's image and systemd the phases of the boot",
		pcr, pcr == 13 ? " where there are any; see man systemd-stub" : "");
	if (pcr != 13)
		doctor_do_other_pcr(doctor, 7U << 11);
}

/* ---- systemd's own measurements ---- */

enum { MEASURE_LOG_MAX = 4 << 20 };

static void see_measured(struct doctor *doctor)
{
	static const char path[] = "/run/log/systemd/tpm2-measure.log";
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	struct measured measured;
	size_t len;

	int r = doctor_read(doctor, path, MEASURE_LOG_MAX, &bytes, &len);
	if (r == -ENOENT)
		return;
	if (r == 0)
		r = measure_log_look((const uint8_t *)bytes, len, doctor->conf.pcr, &measured);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"%s, where systemd writes what it measures: %s", path, strerror(-r));
		doctor_do_as_root(doctor);
	} else if (measured.count > 0) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"systemd extended PCR %u %u times in this boot, the last time with \"%s\": the "
			"log cannot be proven",
			measured.pcr, measured.count, measured.what);
		doctor_do_other_pcr(doctor, 0);
	}
}

/* ---- systemd-pcrlock(8) ---- */

static void see_pcrlock(struct doctor *doctor)
{
	static const char path[] = "/var/lib/systemd/pcrlock.json";
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	uint32_t pcrs = 0;
	size_t len;

	int r = doctor_read(doctor, path, DOCTOR_FILE_MAX * 16, &bytes, &len);
	if (r == -ENOENT)
		return;
	if (r == 0)
		r = pcrlock_look((const uint8_t *)bytes, len, &pcrs);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "%s, systemd-pcrlock's policy: %s", path,
			strerror(-r));
		doctor_do_as_root(doctor);
	} else if (pcrs & 1U << doctor->conf.pcr) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"systemd-pcrlock's policy locks to PCR %u: what is sealed by it cannot be "
			"unlocked any more once the daemon has extended that PCR",
			doctor->conf.pcr);
		doctor_do_other_pcr(doctor, pcrs);
	}
}

/* ---- IMA ---- */

/* The value of a line "KEY=VALUE"; otherwise where there is none, or no such file. */
static unsigned config_number(
	const struct doctor *doctor, const char *path, const char *key, unsigned otherwise)
{
	enum { CONFIG_MAX = 2 << 20 };
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	size_t len;

	if (doctor_read(doctor, path, CONFIG_MAX, &text, &len) < 0)
		return otherwise;
	const char *at = strstr(text, key);
	return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : otherwise;
}

/* A policy's rule may name another register than the kernel was built with: linux,
 * Documentation/ABI/testing/ima_policy, "pcr=". */
static bool ima_policy_has(const struct doctor *doctor, const char *path)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	char option[16];
	size_t len;

	if (doctor_read(doctor, path, DOCTOR_FILE_MAX, &text, &len) < 0)
		return false;
	snprintf(option, sizeof(option), "pcr=%u", doctor->conf.pcr);
	return doctor_list_has(text, " \t\n", option);
}

static void see_ima(struct doctor *doctor)
{
	enum { USUAL = 10 };
	char path[PATH_MAX];

	if (!doctor_has(doctor, "/sys/kernel/security/ima") &&
		!doctor_has(doctor, "/etc/ima/ima-policy"))
		return;
	snprintf(path, sizeof(path), "/boot/config-%s", doctor->kernel.release);
	if (config_number(doctor, path, "\nCONFIG_IMA_MEASURE_PCR_IDX=", USUAL) !=
			doctor->conf.pcr &&
		!ima_policy_has(doctor, "/sys/kernel/security/ima/policy") &&
		!ima_policy_has(doctor, "/etc/ima/ima-policy"))
		return;
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the kernel's IMA measures into PCR %u too: neither log can be proven",
		doctor->conf.pcr);
	doctor_do_other_pcr(doctor, 1U << USUAL);
}

void doctor_pcr(struct doctor *doctor)
{
	size_t before = json_array_size(doctor->findings);

	if (!doctor_tpm_is_chip(doctor))
		return; /* a software TPM is the daemon's alone */
	if (doctor->conf.pcr == 16 || doctor->conf.pcr == 23) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"PCR %u can be reset by anybody: it proves nothing", doctor->conf.pcr);
		doctor_do_other_pcr(doctor, 0);
	}
	see_value(doctor);
	see_stub(doctor);
	see_measured(doctor);
	see_pcrlock(doctor);
	see_ima(doctor);
	if (json_array_size(doctor->findings) == before)
		doctor_find(
			doctor, DOCTOR_OK, "nobody else is known to use PCR %u", doctor->conf.pcr);
}
