// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: the kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/doctor_foreign.h"

enum { BTF_MAX = 64 << 20 };

/*
 * What a kernel must have: the functions of the programs that are `required` in bpf/probe_kernel.c
 * (tests/doctor compares), and what attaches to functions at all. Of the two places of one hook it needs one.
 */
enum {
	NEEDS_LOAD,
	NEEDS_PROG,
	NEEDS_ITERATOR,
	NEEDS_DIRECT,
	NEEDS_COUNT,
	EITHER_HOOK = NEEDS_COUNT,
	EITHER_CHECK,
	HAS_PKCS7,
	HAS_LSM,
	HAS_EXE_FILE,
	HAS_LANDLOCK,
};

static const char *const functions[] = {
	[NEEDS_LOAD] = "bpf_prog_load",
	[NEEDS_PROG] = "security_bpf_prog",
	[NEEDS_ITERATOR] = "bpf_iter_bpf_prog",
	[NEEDS_DIRECT] = "register_ftrace_direct", /* CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS */
	[EITHER_HOOK] = "security_bpf_prog_load",
	[EITHER_CHECK] = "bpf_check",
	[HAS_PKCS7] = "bpf_verify_pkcs7_signature",
	[HAS_LSM] = "bpf_lsm_bpf",
	[HAS_EXE_FILE] = "bpf_get_task_exe_file",
	[HAS_LANDLOCK] = "landlock_append_fs_rule",
	NULL,
};

static const char btf_path[] = "/sys/kernel/btf/vmlinux";

void doctor_kernel_read(struct doctor *doctor)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	struct doctor_kernel *kernel = &doctor->kernel;
	size_t len;

	if (doctor_line(doctor, "/proc/sys/kernel/osrelease", kernel->release,
		    sizeof(kernel->release)) < 0)
		kernel->release[0] = '\0';
	kernel->error = doctor_read(doctor, btf_path, BTF_MAX, &bytes, &len);
	if (kernel->error == 0)
		kernel->error = btf_look((const uint8_t *)bytes, len, functions, &kernel->functions,
			&kernel->signatures);
}

static bool has(const struct doctor *doctor, unsigned function)
{
	return doctor->kernel.functions & 1ULL << function;
}

static void name_missing(const struct doctor *doctor, size_t size, char *ret_names)
{
	size_t len = 0;

	ret_names[0] = '\0';
	for (unsigned i = 0; i < NEEDS_COUNT; i++)
		if (!has(doctor, i) && len < size)
			len += (size_t)snprintf(
				ret_names + len, size - len, "%s%s", len ? ", " : "", functions[i]);
	if (!has(doctor, EITHER_HOOK) && !has(doctor, EITHER_CHECK) && len < size)
		snprintf(ret_names + len, size - len, "%s%s", len ? ", " : "",
			functions[EITHER_HOOK]);
}

void doctor_kernel(struct doctor *doctor)
{
	const char *release = doctor->kernel.release;
	int r = doctor->kernel.error;
	char missing[256];

	if (r == -ENOENT && !*release) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"neither /proc nor /sys is there to be looked at: in a container, or mounted "
			"nowhere");
		doctor_do(doctor, "Run it where the kernel is seen: on the machine itself.");
	} else if (r == -ENOENT) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"Linux %s has no BTF (%s): the daemon cannot measure here", release,
			btf_path);
		doctor_do(doctor,
			"Boot a kernel that was built with CONFIG_DEBUG_INFO_BTF=y, as those of "
			"Debian 12 and later are.");
	} else if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "%s cannot be read: %s", btf_path,
			r == -EINVAL ? "it is no BTF of this machine" : strerror(-r));
		doctor_do_as_root(doctor);
	} else {
		name_missing(doctor, sizeof(missing), missing);
		if (*missing) {
			doctor_find(doctor, DOCTOR_PROBLEM,
				"Linux %s lacks functions that hooks need: %s", release, missing);
			doctor_do(doctor,
				"Boot a kernel from 6.1 on that was built with CONFIG_BPF_SYSCALL=y and "
				"CONFIG_FUNCTION_TRACER=y, as those of Debian 12 and later are.");
		} else {
			doctor_find(doctor, DOCTOR_OK,
				"Linux %s has BTF, and all functions that loads are followed by",
				release);
		}
	}
}

void doctor_signatures(struct doctor *doctor)
{
	if (doctor->kernel.error < 0)
		return; /* doctor_kernel() has said so */
	if (!doctor->kernel.signatures) {
		doctor_find(doctor, DOCTOR_NOTE,
			"this kernel verifies no signatures of programs: each load is recorded as "
			"unsigned. Linux 6.18 and later do");
	} else if (!has(doctor, HAS_PKCS7)) {
		doctor_find(doctor, DOCTOR_NOTE,
			"this kernel takes signatures of programs, but was built without what "
			"verifies them: each load is recorded as unsigned");
		doctor_do(doctor,
			"To have them verified, boot a kernel with "
			"CONFIG_SYSTEM_DATA_VERIFICATION=y, as Debian's have.");
	} else {
		doctor_find(doctor, DOCTOR_OK, "this kernel verifies signatures of programs");
	}
}

enum doctor_lsm_hook doctor_lsm_hook(const struct doctor *doctor)
{
	if (doctor->kernel.error < 0)
		return DOCTOR_LSM_UNKNOWN;
	if (!has(doctor, HAS_LSM))
		return DOCTOR_LSM_NONE;
	return has(doctor, HAS_EXE_FILE) ? DOCTOR_LSM_USED : DOCTOR_LSM_UNUSED;
}

bool doctor_kernel_has_landlock(const struct doctor *doctor)
{
	return doctor->kernel.error == 0 && has(doctor, HAS_LANDLOCK);
}

/* ---- lockdown ---- */

/* linux, security/lockdown/lockdown.c: "none [integrity] confidentiality". */
void doctor_lockdown(struct doctor *doctor)
{
	char line[DOCTOR_WORD_MAX];

	int r = doctor_line(doctor, "/sys/kernel/security/lockdown", line, sizeof(line));
	if (r < 0 && r != -ENOENT) {
		doctor_find(
			doctor, DOCTOR_NOT_SEEN, "/sys/kernel/security/lockdown: %s", strerror(-r));
		doctor_do_as_root(doctor);
	} else if (r == -ENOENT && doctor_has(doctor, "/sys/kernel/security/lsm")) {
		doctor_find(doctor, DOCTOR_OK, "this kernel has no lockdown");
	} else if (r == 0 && strstr(line, "[confidentiality]")) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"lockdown is at \"confidentiality\": the kernel refuses programs that read "
			"its memory, and so the daemon's");
		doctor_do(doctor,
			"It can only be lowered by a boot: where lockdown=confidentiality is on the "
			"kernel command line, change it to this, which still keeps what is not signed "
			"out of the kernel:\n\tlockdown=integrity");
	} else if (r == 0) {
		doctor_find(doctor, DOCTOR_OK, "lockdown is %s: it keeps nothing from the daemon",
			strstr(line, "[integrity]") ? "at \"integrity\"" : "off");
	} /* else doctor_lsm() has said that securityfs is not there */
}

/* ---- bpf(2) ---- */

/* Whether a BPF file system is mounted where the daemon pins its hooks; -errno. */
static int bpffs_mounted(const struct doctor *doctor)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *mounts = NULL;
	size_t len;

	int r = doctor_read(doctor, "/proc/mounts", DOCTOR_FILE_MAX * 16, &mounts, &len);
	if (r < 0)
		return r;
	return strstr(mounts, " /sys/fs/bpf bpf ") != NULL;
}

/* Linux, Documentation/admin-guide/sysctl/kernel.rst, unprivileged_bpf_disabled. */
void doctor_bpf(struct doctor *doctor)
{
	char line[DOCTOR_WORD_MAX] = "";
	int mounted = bpffs_mounted(doctor);

	if (mounted == 0) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"no BPF file system is mounted at /sys/fs/bpf, where the daemon pins its hooks: it "
			"does not start");
		doctor_do(doctor,
			"systemd mounts it. Without systemd:\n\tsudo mount -t bpf bpf /sys/fs/bpf\n"
			"and for every boot a line in /etc/fstab:\n\tbpf /sys/fs/bpf bpf "
			"mode=0700 0 0");
	} else if (mounted > 0) {
		doctor_find(doctor, DOCTOR_OK, "/sys/fs/bpf is there for the hooks' pins");
	}
	if (doctor_line(doctor, "/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)) <
			0 ||
		strcmp(line, "0") != 0)
		return;
	doctor_find(doctor, DOCTOR_NOTE,
		"any user may load BPF programs here (kernel.unprivileged_bpf_disabled is 0): they "
		"are measured as all are, and may flood the log");
	doctor_do(doctor,
		"Unless somebody needs it:\n\techo 'kernel.unprivileged_bpf_disabled = 2' | sudo tee "
		"/etc/sysctl.d/60-unprivileged-bpf.conf\n\tsudo sysctl --system");
}
