/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/swtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OPTION_MAX = 256,
	LOG_TAIL = 300,
	RUN_MAX_S = 120, /* swtpm_setup takes a second; on a machine without randomness longer */
	ACCEPT_MAX_S = 2,
};

/* One call: the directory, and where the text of an error goes. */
struct place {
	const char *dir;
	int fd;
	char *error;
};

[[gnu::format(printf, 3, 4)]] static int fail(
	struct place *place, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(place->error, SWTPM_ERROR_MAX, format, args);
	va_end(args);
	return error;
}

/* The same with the words for errno, which it returns. */
static int fail_errno(struct place *place, const char *doing, const char *what)
{
	int error = errno;

	return fail(place, -error, "%s %s/%s: %s", doing, place->dir, what, strerror(error));
}

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* ---- programs ------------------------------------------------------------------------------- */

/* Not the caller's PATH: who sets that must not choose what runs as root. */
static int find_program(struct place *place, const char *name, char ret_path[static PATH_MAX])
{
	static const char *const folders[] = { "/usr/local/bin", "/usr/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(ret_path, PATH_MAX, "%s/%s", folders[i], name);
		if (access(ret_path, X_OK) == 0)
			return 0;
	}
	return fail(place, -ENOENT, "there is no %s in /usr/local/bin, /usr/bin, /bin", name);
}

/* With nothing of ours but the log: no descriptors, no environment, no signals blocked or ignored;
 * in a process group of its own. */
static int spawn(const char *path, const char *const argv[], int log, pid_t *ret_pid)
{
	static const char *const environment[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL=C",
		NULL
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes)) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}

	int error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, log, 1);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, log, 2);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes,
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (!error)
		error = posix_spawn(ret_pid, path, &actions, &attributes, (char *const *)argv,
			(char *const *)environment);

	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* The end of a log as one line. */
static void log_tail(int log, char ret_text[static LOG_TAIL + 1])
{
	off_t end = lseek(log, 0, SEEK_END);
	ssize_t n = pread(log, ret_text, LOG_TAIL, end > LOG_TAIL ? end - LOG_TAIL : 0);

	while (n > 0 && ret_text[n - 1] == '\n')
		n--;
	ret_text[n > 0 ? n : 0] = '\0';
	for (char *p = ret_text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = ' ';
}

/* The end of a process, which is made to come, for its whole group, when it takes too long. */
static int reap(pid_t pid, int *ret_status)
{
	[[gnu::cleanup(closep)]] int fd = pidfd_open(pid, 0);
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	if (fd < 0 || TEMP_FAILURE_RETRY(poll(&pollfd, 1, RUN_MAX_S * 1000)) <= 0)
		kill(-pid, SIGKILL);
	return TEMP_FAILURE_RETRY(waitpid(pid, ret_status, 0)) < 0 ? -errno : 0;
}

/* Run a program to its end, its output in a log of ours; 0 if it ends well. */
static int run(
	struct place *place, const char *name, const char *const argv[], const char *log_name)
{
	char path[PATH_MAX], tail[LOG_TAIL + 1];
	pid_t pid;
	int status, r = find_program(place, name, path);
	if (r < 0)
		return r;

	[[gnu::cleanup(closep)]] int log = openat(place->fd, log_name,
		O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0)
		return fail_errno(place, "cannot write", log_name);

	r = spawn(path, argv, log, &pid);
	if (r < 0)
		return fail(place, r, "cannot run %s: %s", path, strerror(-r));
	r = reap(pid, &status);
	if (r < 0)
		return fail(place, r, "cannot wait for %s: %s", path, strerror(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;

	log_tail(log, tail);
	return fail(place, -EIO, "%s failed (%s %d), %s/%s ends: %s", name,
		WIFSIGNALED(status) ? "signal" : "exit",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), place->dir, log_name,
		tail);
}

/* ---- the directory -------------------------------------------------------------------------- */

/* The longest name in it is that of the control socket, and that has to fit a sockaddr. */
static int check_name(struct place *place)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._+-";
	const size_t max = sizeof((struct sockaddr_un){ 0 }.sun_path) - sizeof("/tpm.sock.ctrl");

	if (place->dir[0] != '/' || place->dir[strspn(place->dir, plain)])
		return fail(place, -EINVAL,
			"the directory of a software TPM must be an absolute path "
			"of letters, digits and /._+-");
	if (strlen(place->dir) > max)
		return fail(place, -ENAMETOOLONG,
			"the directory of a software TPM may have %zu characters at most", max);
	return 0;
}

static int open_dir(struct place *place)
{
	struct stat st;

	if (mkdir(place->dir, 0700) < 0 && errno != EEXIST)
		return fail_errno(place, "cannot make", "");
	place->fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place->fd < 0 || fstat(place->fd, &st) < 0)
		return fail_errno(place, "cannot open", "");
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(
			place, -EPERM, "%s must be ours, and writable by nobody else", place->dir);
	return 0;
}

/* Callers take turns, until the descriptor is closed. */
static int take_turn(struct place *place, int *ret_fd)
{
	[[gnu::cleanup(closep)]] int fd = openat(
		place->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return fail_errno(place, "cannot lock", "lock");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* ---- making a TPM --------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *, int, struct FTW *)
{
	return remove(path);
}

static int remove_half_made(struct place *place)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/state.new", place->dir);
	if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return fail_errno(place, "cannot remove", "state.new");
	return 0;
}

[[gnu::format(printf, 3, 4)]] static int write_file(
	struct place *place, const char *name, const char *format, ...)
{
	int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(place, "cannot write", name);

	va_list args;
	va_start(args, format);
	bool ok = vdprintf(fd, format, args) >= 0;
	va_end(args);
	if (close(fd) < 0 || !ok)
		return fail_errno(place, "cannot write", name);
	return 0;
}

/* A CA of its own, not the one of the machine in /var/lib/swtpm-localca. */
static int write_configuration(struct place *place)
{
	char tool[PATH_MAX];
	int r = find_program(place, "swtpm_localca", tool);

	if (r == 0)
		r = write_file(place, "state.new/setup.conf",
			"create_certs_tool = %s\n"
			"create_certs_tool_config = %s/state.new/localca.conf\n"
			"create_certs_tool_options = %s/state.new/localca.options\n"
			"active_pcr_banks = sha256,sha384\n",
			tool, place->dir, place->dir);
	if (r == 0)
		r = write_file(place, "state.new/localca.conf",
			"statedir = %1$s/state.new/ca\n"
			"signingkey = %1$s/state.new/ca/signkey.pem\n"
			"issuercert = %1$s/state.new/ca/issuercert.pem\n"
			"certserial = %1$s/state.new/ca/certserial\n",
			place->dir);
	if (r == 0)
		r = write_file(place, "state.new/localca.options",
			"--platform-manufacturer bpfmeasure\n"
			"--platform-version 1\n"
			"--platform-model swtpm\n");
	return r;
}

static int make_half(struct place *place)
{
	static const char *const folders[] = { "state.new", "state.new/tpm", "state.new/ek" };
	char state[OPTION_MAX], config[OPTION_MAX], ek[OPTION_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdirat(place->fd, folders[i], 0700) < 0)
			return fail_errno(place, "cannot make", folders[i]);

	int r = write_configuration(place);
	if (r < 0)
		return r;

	snprintf(state, sizeof(state), "dir://%s/state.new/tpm", place->dir);
	snprintf(config, sizeof(config), "%s/state.new/setup.conf", place->dir);
	snprintf(ek, sizeof(ek), "%s/state.new/ek", place->dir);
	const char *const argv[] = { "swtpm_setup", "--tpm2", "--tpmstate", state, "--config",
		config, "--create-ek-cert", "--create-platform-cert", "--write-ek-cert-files", ek,
		NULL };
	return run(place, argv[0], argv, "state.new/log");
}

/* A state is one that has its name: it gets that when all of it is on the disk. */
static int make_state(struct place *place)
{
	int r = remove_half_made(place);
	if (r == 0)
		r = make_half(place);
	if (r < 0)
		return r;

	/* Made for where the state was; nothing reads them again. */
	unlinkat(place->fd, "state.new/setup.conf", 0);
	unlinkat(place->fd, "state.new/localca.conf", 0);
	unlinkat(place->fd, "state.new/localca.options", 0);

	if (syncfs(place->fd) < 0 || renameat(place->fd, "state.new", place->fd, "state") < 0 ||
		fsync(place->fd) < 0)
		return fail_errno(place, "cannot keep", "state.new");
	return 0;
}

static int ensure_state(struct place *place)
{
	struct stat st;

	if (fstatat(place->fd, "state", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return fail_errno(place, "cannot look at", "state");
	return make_state(place);
}

/* ---- running it ----------------------------------------------------------------------------- */

/*
 * The process that runs on the state, or 0. swtpm keeps a lock on it for as long as it lives; the
 * pid file proves nothing. Never try and see instead: a second swtpm that fails to get the lock
 * removes the sockets of the first on its way out (0.7.1).
 */
static int find_running(struct place *place, pid_t *ret_pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	[[gnu::cleanup(closep)]] int fd = openat(
		place->fd, "state/tpm/.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*ret_pid = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(place, "cannot open", "state/tpm/.lock");
	if (fcntl(fd, F_GETLK, &lock) < 0)
		return fail_errno(place, "cannot ask for the lock on", "state/tpm/.lock");
	if (lock.l_type != F_UNLCK)
		*ret_pid = lock.l_pid;
	return 0;
}

/* One that is stuck takes connections until a few wait; then connect(2) would wait too. */
static bool socket_accepts(struct place *place, const char *name)
{
	const struct timeval limit = { .tv_sec = ACCEPT_MAX_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	[[gnu::cleanup(closep)]] int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", place->dir, name);
	return fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) &&
		connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* --daemon: it returns when the TPM is ready, in a session of its own. */
static int start(struct place *place)
{
	char state[OPTION_MAX], server[OPTION_MAX], control[OPTION_MAX], pid[OPTION_MAX];

	snprintf(state, sizeof(state), "dir=%s/state/tpm,mode=0600", place->dir);
	snprintf(server, sizeof(server), "type=unixio,path=%s/tpm.sock,mode=0600", place->dir);
	snprintf(control, sizeof(control), "type=unixio,path=%s/tpm.sock.ctrl,mode=0600",
		place->dir);
	snprintf(pid, sizeof(pid), "file=%s/pid", place->dir);
	/* No --log: it would get a line for every command. stderr is for what fails before. */
	const char *const argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server",
		server, "--ctrl", control, "--flags", "not-need-init,startup-clear", "--pid", pid,
		"--daemon", NULL };
	return run(place, argv[0], argv, "log");
}

static int ensure_running(struct place *place)
{
	pid_t pid;
	int r = find_running(place, &pid);

	if (r == 0 && !pid)
		r = start(place);
	if (r < 0)
		return r;
	if (!socket_accepts(place, "tpm.sock") || !socket_accepts(place, "tpm.sock.ctrl"))
		return fail(place, pid ? -EBUSY : -EIO,
			"swtpm (process %d) runs on %s/state but does not listen at its sockets",
			pid, place->dir);
	return 0;
}

static int ensure(struct place *place)
{
	[[gnu::cleanup(closep)]] int turn = -1;
	int r = check_name(place);

	if (r == 0)
		r = open_dir(place);
	if (r == 0)
		r = take_turn(place, &turn);
	if (r == 0)
		r = ensure_state(place);
	if (r == 0)
		r = ensure_running(place);
	return r;
}

int swtpm_ensure(const char *dir, char ret_tcti[static SWTPM_TCTI_MAX],
	char ret_error[static SWTPM_ERROR_MAX])
{
	struct place place = { .dir = dir, .fd = -1, .error = ret_error };
	int r = ensure(&place);

	closep(&place.fd);
	if (r == 0)
		snprintf(ret_tcti, SWTPM_TCTI_MAX, "swtpm:path=%s/tpm.sock", dir);
	return r;
}
