// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: the TPM, its banks, its register. Sysfs: linux, Documentation/ABI/stable/sysfs-class-tpm. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/bank.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/doctor_own.h"

#define TPM_DIR "/sys/class/tpm/tpm0"

/* What the configuration asks for: a chip, a software TPM, or what there is. */
static bool wants_software(const struct doctor *doctor)
{
	return strcmp(doctor->conf.device, "software") == 0 ||
		strncmp(doctor->conf.device, "swtpm:", 6) == 0;
}

/* What the daemon says that it uses: "software", "hardware", or "" where it was not asked. */
static const char *daemon_kind(const struct doctor *doctor)
{
	const char *kind = json_string_value(
		json_object_get(json_object_get(doctor->status, "tpm"), "kind"));

	return kind ? kind : "";
}

/* One that the daemon reaches by a socket, not one that the kernel shows as a chip. */
static bool daemon_has_swtpm(const struct doctor *doctor)
{
	const char *device = json_string_value(
		json_object_get(json_object_get(doctor->status, "tpm"), "device"));

	return device && strncmp(device, "swtpm:", 6) == 0;
}

static bool is_installed(const struct doctor *doctor, const char *program)
{
	static const char *const folders[] = { "/usr/bin", "/usr/local/bin", "/bin" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], program);
		if (doctor_has(doctor, path))
			return true;
	}
	return false;
}

/* What tpm/swtpm.c starts. */
static void see_swtpm(struct doctor *doctor)
{
	if (is_installed(doctor, "swtpm") && is_installed(doctor, "swtpm_setup") &&
		is_installed(doctor, "swtpm_localca"))
		return;
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the software TPM (swtpm, swtpm_setup and swtpm_localca) is not installed");
	doctor_do(doctor, "\tsudo apt install swtpm swtpm-tools");
}

static void see_software(struct doctor *doctor, const char *why)
{
	bool is_used = strcmp(daemon_kind(doctor), "software") == 0;

	doctor_find(doctor, DOCTOR_NOTE,
		"%s: a software TPM %s. It protects the log against nobody who is root on this "
		"machine, and every verdict says so",
		why, is_used ? "is used" : "will be used");
	if (!is_used)
		see_swtpm(doctor);
}

static void see_none(struct doctor *doctor)
{
	if (!doctor_has(doctor, "/sys/class")) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "whether there is a TPM: /sys is not mounted");
		doctor_do(doctor, "\tsudo mount -t sysfs sysfs /sys");
		return;
	}
	/* TCG ACPI Specification: the firmware tells of a TPM 2.0 by a table of this name. */
	if (!doctor_has(doctor, "/sys/firmware/acpi/tables/TPM2")) {
		see_software(doctor,
			"this machine has no TPM (perhaps the firmware's setup has it off)");
		return;
	}
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the firmware tells of a TPM 2.0, but the kernel has no driver for it loaded: a "
		"software TPM would be used");
	doctor_do(doctor,
		"Load the two usual drivers; the one that fits stays:\n\tsudo modprobe tpm_crb; sudo "
		"modprobe tpm_tis\nand for every boot, the name of that one:\n\techo tpm_crb | sudo tee "
		"/etc/modules-load.d/tpm.conf");
}

/* Whoever may write to it may extend our register, and so break the log's proof. */
static void see_device(struct doctor *doctor, const char *path)
{
	char word[DOCTOR_QUOTED_MAX];
	struct stat info;

	int r = doctor_stat(doctor, path, &info);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_PROBLEM, "there is a TPM, but %s is not there: %s", path,
			strerror(-r));
		if (strcmp(path, "/dev/tpmrm0") != 0)
			doctor_do(doctor,
				"Unless it comes later, in [tpm] of "
				"/etc/bpfmeasure/agent.conf:\n\tdevice = auto");
		else /* the kernel makes it, once, and udev says whose it is */
			doctor_do(doctor,
				"Somebody removed it. The next boot brings it back, or:\n\tsudo mknod -m "
				"0660 /dev/tpmrm0 c $(tr : ' ' </sys/class/tpmrm/tpmrm0/dev)\n\tsudo "
				"udevadm trigger --settle --subsystem-match=tpmrm");
	} else if (info.st_mode & S_IWOTH) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"%s may be written by everybody (mode %04o): each user can extend PCR %u, "
			"after which the log cannot be proven until the next boot",
			path, info.st_mode & 07777, doctor->conf.pcr);
		doctor_do(doctor,
			"Find the rule that does it, and take that out:\n\tgrep -rn tpmrm "
			"/etc/udev/rules.d /usr/lib/udev/rules.d\nUntil the next boot:\n\tsudo chmod "
			"o-rw %s",
			doctor_word(path, word));
	} else {
		doctor_find(doctor, DOCTOR_OK, "a TPM 2.0 is at %s (mode %04o, uid %u, gid %u)",
			path, info.st_mode & 07777, info.st_uid, info.st_gid);
	}
}

/* Linux shows the version since 5.6. */
static bool is_old(const struct doctor *doctor)
{
	char version[8];

	return doctor_line(doctor, TPM_DIR "/tpm_version_major", version, sizeof(version)) == 0 &&
		strcmp(version, "2") != 0;
}

bool doctor_tpm_is_chip(const struct doctor *doctor)
{
	return !wants_software(doctor) && doctor_has(doctor, TPM_DIR) && !is_old(doctor);
}

void doctor_tpm(struct doctor *doctor)
{
	const char *path = *doctor->conf.device == '/' ? doctor->conf.device : "/dev/tpmrm0";

	if (wants_software(doctor)) {
		see_software(doctor, "agent.conf says so");
		return;
	}
	if (!doctor_has(doctor, TPM_DIR)) {
		see_none(doctor);
		return;
	}
	if (is_old(doctor)) {
		see_software(doctor, "the TPM of this machine is not of version 2");
		return;
	}
	see_device(doctor, path);
	if (daemon_has_swtpm(doctor)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"the daemon uses a software TPM although the machine has a TPM: it was not "
			"there yet when the daemon started");
		doctor_do(doctor,
			"In [tpm] of /etc/bpfmeasure/agent.conf:\n\tdevice = /dev/tpmrm0\nand "
			"then:\n\tsudo systemctl restart bpfmeasured");
	} else if (strcmp(daemon_kind(doctor), "software") == 0) {
		doctor_find(doctor, DOCTOR_NOTE,
			"that TPM is made of software, as in a virtual machine: who controls the host "
			"controls it, and every verdict says \"software\"");
	}
}

/* ---- the register ---- */

bool doctor_pcr_value(const struct doctor *doctor, enum bank bank, unsigned pcr,
	char ret_digits[static DOCTOR_DIGITS_MAX])
{
	char path[64], line[DOCTOR_DIGITS_MAX];
	uint8_t digest[BANK_DIGEST_MAX];

	snprintf(path, sizeof(path), TPM_DIR "/pcr-%s/%u", bank_name(bank), pcr);
	if (doctor_line(doctor, path, line, sizeof(line)) < 0 ||
		!cli_unhex(line, digest, bank_size(bank)))
		return false;
	cli_hex(digest, bank_size(bank), ret_digits);
	return true;
}

bool doctor_pcr_is_zero(const char *digits)
{
	return strspn(digits, "0") == strlen(digits);
}

unsigned doctor_pcr_free(const struct doctor *doctor, uint32_t taken)
{
	static const unsigned order[] = { 13, 12, 14, 8, 15, 9 };
	char digits[DOCTOR_DIGITS_MAX];

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i] != doctor->conf.pcr && !(taken & 1U << order[i]) &&
			doctor_pcr_value(doctor, BANK_SHA256, order[i], digits) &&
			doctor_pcr_is_zero(digits))
			return order[i];
	return 0;
}

void doctor_do_other_pcr(struct doctor *doctor, uint32_t taken)
{
	unsigned pcr = doctor_pcr_free(doctor, taken);

	if (pcr == 0) {
		doctor_do(doctor,
			"Give the daemon a PCR that nobody uses, from 8 to 15, as pcr in [tpm] of "
			"/etc/bpfmeasure/agent.conf; look at what each holds:\n\tgrep . "
			"/sys/class/tpm/tpm0/pcr-sha256/*");
		return;
	}
	doctor_do(doctor,
		"Give the daemon another PCR, %u for example, which is zero in this boot. In [tpm] "
		"of /etc/bpfmeasure/agent.conf:\n\tpcr = %u\nthen restart it, where it runs, and look "
		"again:\n\tsudo systemctl restart bpfmeasured\n\tsudo bpfmeasure doctor\n"
		"Verifiers that have enrolled this machine refuse it from then on, until they enroll "
		"it anew with --replace and --pcr %u.",
		pcr, pcr, pcr);
}

void doctor_banks(struct doctor *doctor)
{
	char digits[DOCTOR_DIGITS_MAX], names[64] = "";
	size_t len = 0;

	if (!doctor_tpm_is_chip(doctor))
		return; /* the software TPM has the banks that it is made with */
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (doctor_pcr_value(doctor, bank, doctor->conf.pcr, digits))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
				len ? ", " : "", bank_name(bank));
	if (doctor_pcr_value(doctor, BANK_SHA256, doctor->conf.pcr, digits)) {
		doctor_find(doctor, DOCTOR_OK, "PCR %u has the banks that are needed: %s",
			doctor->conf.pcr, names);
	} else if (doctor_has(doctor, TPM_DIR "/pcr-sha256") || *names) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"the TPM's sha256 bank is not allocated (%s): the daemon does not start",
			*names ? names : "no bank is");
		doctor_do(doctor,
			"Switch the SHA-256 bank on in the firmware's setup (TPM, PCR banks), and leave "
			"on what is on: other programs may need it.");
	} else {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"the kernel does not show the TPM's banks (" TPM_DIR "/pcr-sha256)");
		doctor_do(doctor, "\tsudo tpm2_getcap pcrs");
	}
}
