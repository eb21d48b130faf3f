// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: the security modules, and how one is added to them on this machine. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"

/* Always first or always last, whatever lsm= says: linux, include/linux/lsm_hooks.h, enum lsm_order. */
static bool is_fixed(const char *name, size_t len)
{
	static const char *const fixed[] = { "capability", "ima", "evm" };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strlen(fixed[i]) == len && strncmp(fixed[i], name, len) == 0)
			return true;
	return false;
}

/*
 * The active modules in their order, and those that are missing: what lsm= has to say. Kernels before 6.4 panic where
 * IMA has a policy and lsm= leaves "integrity" out, which is not in the list of active ones (linux,
 * security/integrity/iint.c, integrity_inode_get()); later ones do not mind.
 */
static void compose(
	const struct doctor *doctor, const char *active, char ret[static 2 * DOCTOR_WORD_MAX])
{
	bool landlock = doctor_kernel_has_landlock(doctor);
	char *to = ret;

	if (landlock && !doctor_list_has(active, ",", "landlock"))
		to += sprintf(to, "landlock,");
	for (size_t len; *active; active += len) {
		active += strspn(active, ",");
		len = strcspn(active, ",");
		if (len > 0 && !is_fixed(active, len) &&
			!(len == 3 && strncmp(active, "bpf", len) == 0))
			to += sprintf(to, "%.*s,", (int)len, active);
	}
	if (doctor_lsm_hook(doctor) != DOCTOR_LSM_USED &&
		doctor_has(doctor, "/sys/kernel/security/integrity"))
		to += sprintf(to, "integrity,");
	strcpy(to, "bpf"); /* last, as in the defaults of CONFIG_LSM (linux, security/Kconfig) */
}

/* Where the image of the running kernel is, for kernel-install(8). */
static void do_kernel_install(struct doctor *doctor, const char *list)
{
	const char *release = doctor->kernel.release;
	char image[PATH_MAX];

	snprintf(image, sizeof(image), "/boot/vmlinuz-%s", release);
	if (!doctor_has(doctor, image))
		snprintf(image, sizeof(image), "/usr/lib/modules/%s/vmlinuz", release);
	doctor_do(doctor,
		"\tsudo sed -i '1s/$/ lsm=%s/' /etc/kernel/cmdline\n"
		"\tsudo kernel-install add %s %s",
		list, release, image);
}

static void do_grub(struct doctor *doctor, const char *list)
{
	if (doctor_has(doctor, "/usr/sbin/update-grub") &&
		doctor_has(doctor, "/etc/default/grub.d")) {
		doctor_do(doctor,
			"\techo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX lsm=%s\"' | sudo tee "
			"/etc/default/grub.d/bpfmeasure.cfg\n"
			"\tsudo update-grub",
			list);
		return;
	}
	doctor_do(doctor,
		"In /etc/default/grub, inside the quotes of GRUB_CMDLINE_LINUX:\n\tlsm=%s\n"
		"and then:\n\tsudo %s",
		list,
		doctor_has(doctor, "/usr/sbin/update-grub") ? "update-grub"
			: doctor_has(doctor, "/boot/grub2/grub.cfg")
			? "grub2-mkconfig -o /boot/grub2/grub.cfg"
			: "grub-mkconfig -o /boot/grub/grub.cfg");
}

/* Of several boot loaders the tool that writes for all of them comes first. */
static void do_command_line(struct doctor *doctor, const char *list)
{
	if (doctor_has(doctor, "/etc/kernelstub/configuration"))
		doctor_do(doctor, "\tsudo kernelstub --add-options \"lsm=%s\"", list);
	else if (doctor_has(doctor, "/usr/sbin/grubby") || doctor_has(doctor, "/usr/bin/grubby"))
		doctor_do(doctor, "\tsudo grubby --update-kernel=ALL --args=\"lsm=%s\"", list);
	else if (doctor_has(doctor, "/etc/default/grub"))
		do_grub(doctor, list);
	else if (doctor_has(doctor, "/etc/kernel/cmdline"))
		do_kernel_install(doctor, list);
	else if (doctor_has(doctor, "/boot/firmware/cmdline.txt"))
		doctor_do(doctor, "\tsudo sed -i '1s/$/ lsm=%s/' /boot/firmware/cmdline.txt", list);
	else
		doctor_do(doctor,
			"In the boot loader's configuration, on the kernel command line:\n\tlsm=%s",
			list);
	doctor_do(doctor, "Then reboot.");
}

/* linux, security/security.c: of several lsm= the last one counts, so the one that is there has to be
 * changed wherever it is. */
static void do_add(struct doctor *doctor, const char *active)
{
	char list[2 * DOCTOR_WORD_MAX], line[4096];

	compose(doctor, active, list);
	if (doctor_line(doctor, "/proc/cmdline", line, sizeof(line)) == 0 &&
		(strncmp(line, "lsm=", 4) == 0 || strstr(line, " lsm="))) {
		doctor_do(doctor,
			"There is an lsm= on the kernel command line already. Change it, where the "
			"boot loader has it, to this, and reboot:\n\tlsm=%s",
			list);
		return;
	}
	doctor_do(doctor, "Add it to those that are active, on the kernel command line:");
	do_command_line(doctor, list);
}

/* What the attestation server cannot do without, unless [attest] sandbox = preferred. */
static void see_landlock(struct doctor *doctor, const char *active)
{
	bool attests = strcmp(doctor->conf.listen, "none") != 0;

	if (doctor_list_has(active, ",", "landlock"))
		return;
	doctor_find(doctor, attests ? DOCTOR_PROBLEM : DOCTOR_NOTE,
		"landlock is not active: the attestation server does not start without its "
		"sandbox%s",
		doctor_kernel_has_landlock(doctor) ? "" : ", and this kernel was built without it");
	if (doctor_kernel_has_landlock(doctor))
		do_add(doctor, active);
	else
		doctor_do(doctor,
			"To have it serve with what sandbox there is, in [attest] of "
			"/etc/bpfmeasure/agent.conf:\n\tsandbox = preferred");
}

static void see_bpf(struct doctor *doctor, const char *active)
{
	enum doctor_lsm_hook hook = doctor_lsm_hook(doctor);

	if (doctor_list_has(active, ",", "bpf")) {
		doctor_find(doctor, DOCTOR_OK, "bpf is among the security modules: %s", active);
	} else if (hook == DOCTOR_LSM_USED || hook == DOCTOR_LSM_UNKNOWN) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"bpf is not among the security modules (%s): the digest of the executable "
			"that loads is not known, and the state is degraded",
			active);
		do_add(doctor, active);
	} else if (hook == DOCTOR_LSM_UNUSED) {
		doctor_find(doctor, DOCTOR_NOTE,
			"bpf is not among the security modules (%s), nor would it help: digests of "
			"executables that load are known from Linux 6.12 on",
			active);
	} else {
		doctor_find(doctor, DOCTOR_NOTE,
			"this kernel was built without BPF LSM: the digest of the executable that "
			"loads is not known");
	}
}

void doctor_lsm(struct doctor *doctor)
{
	char active[DOCTOR_WORD_MAX];

	int r = doctor_line(doctor, "/sys/kernel/security/lsm", active, sizeof(active));
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "/sys/kernel/security/lsm: %s%s", strerror(-r),
			r == -ENOENT ? " (securityfs is not mounted)" : "");
		if (r == -ENOENT)
			doctor_do(doctor,
				"\tsudo mount -t securityfs securityfs /sys/kernel/security");
		else
			doctor_do_as_root(doctor);
		return;
	}
	see_bpf(doctor, active);
	see_landlock(doctor, active);
}
