/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

[[gnu::format(printf, 3, 4)]] static int fail(
	char error[static SANDBOX_ERROR_MAX], int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SANDBOX_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

static void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* ---- another user, and no capability ---- */

/* Where memory is short, rather this process than the measurer: proc(5). Who may not say so has no say. */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "500", 3) < 0)
		errno = 0;
	if (fd >= 0)
		close(fd);
}

static int become(const struct sandbox_options *options, char error[static SANDBOX_ERROR_MAX])
{
	const struct passwd *user = getpwnam(options->user);
	const struct group *group = getgrnam(options->group);

	if (!user)
		return fail(error, -ENOENT, "there is no user %s ([attest] user)", options->user);
	if (!user->pw_uid)
		return fail(error, -EINVAL, "the user %s is root ([attest] user)", options->user);
	/* The bounding set needs a capability to be emptied; no_new_privs makes up for it without. */
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS))
		errno = 0;
	if (setgroups(group ? 1 : 0, group ? &group->gr_gid : NULL) ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
		setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return fail(
			error, -errno, "becoming the user %s: %s", options->user, strerror(errno));
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) || capng_get_caps_process() ||
		capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return fail(error, -EPERM, "giving up capabilities: there are some left");
	return 0;
}

static int set_limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	return setrlimit(resource, &limit);
}

/* No process besides this one, no core, no files but those that the server has asked for room for. */
static int limit(char error[static SANDBOX_ERROR_MAX])
{
	struct rlimit files;
	struct stat st;

	if (getrlimit(RLIMIT_NOFILE, &files) || set_limit(RLIMIT_NOFILE, files.rlim_cur) ||
		set_limit(RLIMIT_NPROC, 0) || set_limit(RLIMIT_CORE, 0))
		return fail(error, -errno, "limits: %s", strerror(errno));
	/* Where standard error is a file, that one may grow. */
	if ((fstat(STDERR_FILENO, &st) || !S_ISREG(st.st_mode)) && set_limit(RLIMIT_FSIZE, 0))
		return fail(error, -errno, "limits: %s", strerror(errno));
	/* Each was reset by becoming another user. */
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(error, -errno, "prctl: %s", strerror(errno));
	return 0;
}

/* ---- Landlock ---- */

/* What <linux/landlock.h> of older systems lacks; the comments say since which version. */
enum {
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13, /* 2 */
	FS_TRUNCATE = 1 << 14, /* 3 */
	FS_IOCTL_DEV = 1 << 15, /* 5 */
	NET_ALL = 3, /* 4: bind and connect of TCP */
	SCOPE_ALL = 3, /* 6: abstract unix sockets, signals */
};

/* struct landlock_ruleset_attr as of version 6; an older kernel takes it where what it lacks is zero. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static int may_read(int ruleset, const char *path, char error[static SANDBOX_ERROR_MAX])
{
	[[gnu::cleanup(fd_closep)]] int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = fd,
	};

	if (fd < 0)
		return fail(error, -errno, "%s: %s", path, strerror(errno));
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0))
		return fail(error, -errno, "Landlock: %s: %s", path, strerror(errno));
	return 0;
}

/*
 * Files beside the database may be read. The directory and not its files: a log that was set aside is
 * followed by another one.
 */
static int fence(const struct sandbox_options *options, int *ret_version,
	char error[static SANDBOX_ERROR_MAX])
{
	int version = (int)syscall(
		SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	const struct ruleset wanted = {
		.fs = (uint64_t)(FS_ALL_1 | (version >= 2 ? FS_REFER : 0) |
			(version >= 3 ? FS_TRUNCATE : 0) | (version >= 5 ? FS_IOCTL_DEV : 0)),
		.net = version >= 4 ? NET_ALL : 0,
		.scoped = version >= 6 ? SCOPE_ALL : 0,
	};
	[[gnu::cleanup(fd_closep)]] int ruleset = -1;
	char dir[PATH_MAX];
	int err;

	*ret_version = 0;
	if (version <= 0)
		return options->is_required
			? fail(error, -ENOSYS, "the kernel has no Landlock ([attest] sandbox)")
			: 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof(wanted), 0);
	if (ruleset < 0)
		return fail(error, -errno, "Landlock: %s", strerror(errno));
	snprintf(dir, sizeof(dir), "%.*s/",
		(int)(strrchr(options->database, '/') - options->database), options->database);
	err = may_read(ruleset, dir, error);
	if (!err)
		err = may_read(ruleset, "/dev/urandom", error);
	if (!err && syscall(SYS_landlock_restrict_self, ruleset, 0))
		err = fail(error, -errno, "Landlock: %s", strerror(errno));
	if (!err)
		*ret_version = version;
	return err;
}

/* ---- seccomp ---- */

/* Speaking, reading the log, memory, time. */
static const int allowed[] = {
	/* clang-format off */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg), SCMP_SYS(recv), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(send),
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(sendfile),
	SCMP_SYS(sendfile64), SCMP_SYS(close),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),

	SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(fcntl), SCMP_SYS(fcntl64),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat),
	SCMP_SYS(stat64), SCMP_SYS(lstat), SCMP_SYS(lstat64), SCMP_SYS(fstat), SCMP_SYS(fstat64),
	SCMP_SYS(fstatat64), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),

	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(futex_time64),
	SCMP_SYS(getrandom), SCMP_SYS(sched_yield),

	SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep), SCMP_SYS(time), SCMP_SYS(times),

	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(sigaltstack) /* what a build with sanitizers calls */,
	/* clang-format on */
};

/* What no library does by the way: who calls these is not the server any more. */
static const int deadly[] = {
	/* clang-format off */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(mount),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(setuid), SCMP_SYS(setresuid), SCMP_SYS(setgid),
	SCMP_SYS(setresgid), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(userfaultfd),
	/* clang-format on */
};

enum { OPEN_FOR_MORE = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY) };

static int add_rules(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = { FIONREAD, FIONBIO };
	int err = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_FOR_MORE, O_RDONLY));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, OPEN_FOR_MORE, O_RDONLY));
	return err;
}

/*
 * What is not on the list does not exist (ENOSYS): libraries that are written for older kernels too do
 * without. To end the process instead would let a client end it, who finds a rare path of a library to a
 * call that was not thought of. Where the kernel keeps an audit trail, the call is in it.
 */
static int filter_calls(bool is_required, bool *ret_held, char error[static SANDBOX_ERROR_MAX])
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int err = filter ? 0 : -ENOMEM;

	*ret_held = false;
	if (!err)
		err = add_rules(filter);
	if (!err) {
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
		err = seccomp_load(filter);
	}
	seccomp_release(filter);
	*ret_held = !err;
	return err && is_required
		? fail(error, err, "seccomp: %s ([attest] sandbox)", strerror(-err))
		: 0;
}

/* ---- the whole ---- */

int sandbox_enter(const struct sandbox_options *options, struct sandbox_held *ret_held,
	char ret_error[static SANDBOX_ERROR_MAX])
{
	struct sandbox_held held;
	int err;

	offer_to_oom_killer();
	err = become(options, ret_error);
	if (!err)
		err = limit(ret_error);
	if (!err)
		err = fence(options, &held.landlock, ret_error);
	if (!err)
		err = filter_calls(options->is_required, &held.seccomp, ret_error);
	if (!err)
		*ret_held = held;
	return err;
}
