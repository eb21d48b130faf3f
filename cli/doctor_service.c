// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: what is installed, and how it is set up. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/doctor.h"

extern char **environ;

void doctor_daemon_find(struct doctor *doctor)
{
	static const char *const paths[] = { "/usr/sbin/bpfmeasured", "/usr/local/sbin/bpfmeasured",
		"/usr/bin/bpfmeasured" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!*doctor->daemon_path && doctor_has(doctor, paths[i]))
			snprintf(doctor->daemon_path, sizeof(doctor->daemon_path), "%s", paths[i]);
}

bool doctor_daemon_is_here(const struct doctor *doctor)
{
	return *doctor->daemon_path || doctor->status || doctor->conf.is_there;
}

void doctor_do_join(struct doctor *doctor)
{
	char word[DOCTOR_QUOTED_MAX];

	doctor_do(doctor,
		"Join the group, and log in again; or run it as root:\n\tsudo adduser $USER %s\n\tsudo "
		"bpfmeasure doctor",
		doctor_word(doctor->conf.group, word));
}

/* ---- the unit ---- */

struct wants {
	const struct doctor *doctor;
	bool found;
};

/* systemd.unit(5), "[Install]": what enabling makes is a link in NAME.wants or NAME.requires. */
static int see_wants(void *arg, const char *name)
{
	struct wants *wants = arg;
	const char *dot = strrchr(name, '.');
	char path[PATH_MAX];

	if (!dot || (strcmp(dot, ".wants") != 0 && strcmp(dot, ".requires") != 0))
		return 0;
	snprintf(path, sizeof(path), "/etc/systemd/system/%s/bpfmeasured.service", name);
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(
		wants->doctor, path, O_PATH | O_NOFOLLOW); /* its name counts, not where it leads */
	wants->found = wants->found || fd >= 0;
	return 0;
}

/* systemctl(1), "mask". */
static bool is_masked(const struct doctor *doctor)
{
	static const char nowhere[] = "/dev/null";
	char target[sizeof(nowhere)];
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(
		doctor, "/etc/systemd/system/bpfmeasured.service", O_PATH | O_NOFOLLOW);

	return fd >= 0 && readlinkat(fd, "", target, sizeof(target)) == sizeof(nowhere) - 1 &&
		memcmp(target, nowhere, sizeof(nowhere) - 1) == 0;
}

static bool has_unit(const struct doctor *doctor)
{
	static const char *const units[] = { "/etc/systemd/system/bpfmeasured.service",
		"/usr/local/lib/systemd/system/bpfmeasured.service",
		"/usr/lib/systemd/system/bpfmeasured.service",
		"/lib/systemd/system/bpfmeasured.service" };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (doctor_has(doctor, units[i]))
			return true;
	return false;
}

static void see_unit(struct doctor *doctor)
{
	struct wants wants = { doctor, false };

	if (doctor_each(doctor, "/etc/systemd/system", see_wants, &wants) < 0)
		wants.found = false;
	if (!doctor_has(doctor, "/etc/systemd/system")) {
		doctor_find(doctor, DOCTOR_NOTE,
			"%s is installed; without systemd, something else has to start it at every "
			"boot",
			doctor->daemon_path);
	} else if (is_masked(doctor)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"%s is installed, but bpfmeasured.service is masked: it cannot be started",
			doctor->daemon_path);
		doctor_do(doctor,
			"\tsudo systemctl unmask bpfmeasured\n\tsudo systemctl enable --now bpfmeasured");
	} else if (!has_unit(doctor)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"%s is installed, but systemd has no unit bpfmeasured.service",
			doctor->daemon_path);
		doctor_do(
			doctor, "Install it again, from the source's folder:\n\tsudo make install");
	} else if (!wants.found) {
		doctor_find(doctor, DOCTOR_PROBLEM, "%s is installed, but does not start at boot",
			doctor->daemon_path);
		doctor_do(doctor, "\tsudo systemctl enable --now bpfmeasured");
	} else {
		doctor_find(doctor, DOCTOR_OK, "%s is installed, and starts at boot",
			doctor->daemon_path);
	}
}

void doctor_installed(struct doctor *doctor)
{
	if (*doctor->daemon_path) {
		see_unit(doctor);
		return;
	}
	doctor_find(doctor, DOCTOR_NOTE, "the daemon is not installed here%s",
		doctor->status ? ", but one runs"
			       : ": what is said is whether this machine is able");
	if (!doctor->status)
		doctor_do(doctor, "README.md, \"On your own machine\", has how to install it.");
}

/* ---- its configuration ---- */

/* What bpfmeasured --check prints. Returns its exit code; a negative errno. */
static int check_config(const char *daemon_path, char *ret_text, size_t size)
{
	char name[] = "bpfmeasured", check[] = "--check";
	char *argv[] = { name, check, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], status;
	size_t len = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	int err = posix_spawn_file_actions_init(&actions);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	if (!err)
		err = posix_spawn(&pid, daemon_path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	for (ssize_t got = 1; !err && got > 0 && len<size - 1; len += got> 0 ? (size_t)got : 0)
		got = read(fds[0], ret_text + len, size - 1 - len);
	close(fds[0]);
	ret_text[len] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
	if (err)
		return -err;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
}

void doctor_config(struct doctor *doctor)
{
	char text[1024] = "";

	if (!*doctor->daemon_path && !doctor->status)
		return;
	if (doctor->conf.error < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "/etc/bpfmeasure/agent.conf: %s",
			strerror(-doctor->conf.error));
		doctor_do_as_root(doctor);
	} else if (!doctor->conf.is_there) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"there is no /etc/bpfmeasure/agent.conf: the daemon "
			"does not start without");
		doctor_do(doctor,
			"From the source's folder:\n\tsudo install -D -m 644 agent.conf "
			"/etc/bpfmeasure/agent.conf");
	} else if (*doctor->root || !*doctor->daemon_path) {
		doctor_find(doctor, DOCTOR_NOTE,
			"/etc/bpfmeasure/agent.conf is there; only the daemon's own --check says whether "
			"it is good");
	} else {
		int code = check_config(doctor->daemon_path, text, sizeof(text));

		if (code < 0) {
			doctor_find(doctor, DOCTOR_NOT_SEEN, "%s --check: %s", doctor->daemon_path,
				strerror(-code));
		} else if (code > 0) {
			doctor_find(doctor, DOCTOR_PROBLEM, "%s",
				*text ? text : "agent.conf is not good");
			doctor_do(doctor,
				"Change that line; agent.conf explains each key. Then:\n\tsudo systemctl "
				"restart bpfmeasured");
		} else {
			doctor_find(doctor, DOCTOR_OK, "/etc/bpfmeasure/agent.conf is good");
		}
	}
}

/* ---- user and group ---- */

/* NULL: it may not be read, or is not there. */
static FILE *file_of(const struct doctor *doctor, const char *path)
{
	int fd = doctor_open(doctor, path, O_RDONLY);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (fd >= 0 && !file)
		close(fd);
	return file;
}

/* Its number in the machine's own file; groups of a directory service are not for daemons. */
static bool group_find(const struct doctor *doctor, const char *name, gid_t *ret_gid)
{
	FILE *file = file_of(doctor, "/etc/group");
	bool found = false;

	if (!file)
		return false;
	for (struct group *group; !found && (group = fgetgrent(file));) {
		found = strcmp(group->gr_name, name) == 0;
		if (found)
			*ret_gid = group->gr_gid;
	}
	fclose(file);
	return found;
}

static bool user_is_there(const struct doctor *doctor)
{
	FILE *file = file_of(doctor, "/etc/passwd");
	bool found = false;

	if (!file)
		return false;
	for (struct passwd *user; !found && (user = fgetpwent(file));)
		found = strcmp(user->pw_name, doctor->conf.user) == 0;
	fclose(file);
	return found;
}

/* systemd-sysusers(8) makes those that are the default; others are the administrator's own. */
static void do_make(struct doctor *doctor, const char *tool, const char *name)
{
	char word[DOCTOR_QUOTED_MAX];

	if (strcmp(name, "bpfmeasure") == 0)
		doctor_do(doctor,
			"With systemd; and without:\n\tsudo systemd-sysusers\n\tsudo adduser "
			"--system --group --no-create-home bpfmeasure");
	else
		doctor_do(doctor, "\tsudo %s --system %s", tool, doctor_word(name, word));
}

/* SupplementaryGroups= of the unit, unless a drop-in changes it. */
static void see_tss(struct doctor *doctor)
{
	gid_t gid;

	if (!has_unit(doctor) || group_find(doctor, "tss", &gid) ||
		doctor_has(doctor, "/etc/systemd/system/bpfmeasured.service.d"))
		return;
	doctor_find(doctor, DOCTOR_PROBLEM,
		"there is no group tss, which is to have the TPM: systemd does not start "
		"bpfmeasured.service (216/GROUP)");
	doctor_do(doctor,
		"The TPM library's package makes it, on Debian tpm-udev. Or:\n\tsudo groupadd --system tss");
}

void doctor_group(struct doctor *doctor)
{
	char word[DOCTOR_QUOTED_MAX];
	gid_t gid;

	if (!*doctor->daemon_path && !doctor->status)
		return;
	see_tss(doctor);
	if (!group_find(doctor, doctor->conf.group, &gid)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"there is no group %s: only root can read the log and ask the daemon",
			doctor->conf.group);
		do_make(doctor, "groupadd", doctor->conf.group);
		return;
	}
	if (!user_is_there(doctor)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"there is no user %s: the attestation server does not start",
			doctor->conf.user);
		do_make(doctor, "useradd", doctor->conf.user);
	} else if (geteuid() == 0 || *doctor->root || getegid() == gid || group_member(gid)) {
		doctor_find(doctor, DOCTOR_OK, "the user %s and the group %s are there",
			doctor->conf.user, doctor->conf.group);
	} else {
		doctor_find(doctor, DOCTOR_NOTE, "you are not in the group %s, which reads the log",
			doctor->conf.group);
		doctor_do(doctor, "And log in again, after:\n\tsudo adduser $USER %s",
			doctor_word(doctor->conf.group, word));
	}
}

/* ---- the initramfs ---- */

static void see_initrd(struct doctor *doctor)
{
	struct stat initrd, daemon, conf;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/boot/initrd.img-%s", doctor->kernel.release);
	if (doctor_stat(doctor, path, &initrd) < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"the hook for the initramfs is installed, but whether %s has it: it is not there",
			path);
		doctor_do(doctor, "\tsudo update-initramfs -c -k %s", doctor->kernel.release);
	} else if (doctor_stat(doctor, doctor->daemon_path, &daemon) < 0 ||
		doctor_stat(doctor, "/etc/bpfmeasure/agent.conf", &conf) < 0) {
		return; /* doctor_installed() and doctor_config() have said so */
	} else if (initrd.st_mtime < daemon.st_ctime || initrd.st_mtime < conf.st_ctime) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"%s is older than the daemon or agent.conf: hooks of an older build are "
			"replaced when the daemon starts, and what they saw is counted as lost",
			path);
		doctor_do(doctor, "\tsudo update-initramfs -u -k all");
	} else {
		doctor_find(doctor, DOCTOR_OK, "the hooks are attached from the initramfs on");
	}
}

/* docs/operations.md, "Early start": the TPM's driver may come later than the daemon. */
static void see_early_tpm(struct doctor *doctor)
{
	if (strcmp(doctor->conf.device, "auto") != 0 ||
		!doctor_has(doctor, "/sys/class/tpm/tpm0/device/driver/module"))
		return;
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the TPM's driver is a module, which may be loaded only after the daemon has looked for "
		"a TPM: it would take a software TPM");
	doctor_do(doctor, "In [tpm] of /etc/bpfmeasure/agent.conf:\n\tdevice = /dev/tpmrm0");
}

void doctor_initramfs(struct doctor *doctor)
{
	if (!*doctor->daemon_path)
		return;
	see_early_tpm(doctor);
	if (doctor_has(doctor, "/etc/initramfs-tools/hooks/bpfmeasure") ||
		doctor_has(doctor, "/usr/share/initramfs-tools/hooks/bpfmeasure")) {
		see_initrd(doctor);
		return;
	}
	doctor_find(doctor, DOCTOR_NOTE,
		"what the initramfs and systemd itself load is listed, but not measured: hooks are "
		"attached when the daemon starts");
	doctor_do(doctor,
		"docs/operations.md, \"Early start\", has how to attach them in the initramfs.");
}
