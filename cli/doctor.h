/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the checks of `bpfmeasure doctor` share: the machine that is looked at, and how a check says
 * what it found.
 *
 * A check is a function over struct doctor that calls doctor_find() once for each thing that it found,
 * and doctor_do() after it where something is to be done. It passes nothing silently: what it could not
 * read, and would have to know, is DOCTOR_NOT_SEEN.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cli/ask.h"
#include "cli/cli.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_NOTE, /* worth to know; nothing has to be done */
	DOCTOR_PROBLEM,
	DOCTOR_NOT_SEEN, /* it matters, and could not be found out */
};

enum { DOCTOR_WORD_MAX = 192, DOCTOR_RELEASE_MAX = 128 };

/* What agent.conf says, as far as checks want it; where it says nothing, its defaults. */
struct doctor_conf {
	bool is_there;
	int error; /* it is there and may not be read: a negative errno */
	unsigned pcr;
	char log_path[DOCTOR_WORD_MAX];
	char max_size[DOCTOR_WORD_MAX];
	char max_age[DOCTOR_WORD_MAX];
	char group[DOCTOR_WORD_MAX];
	char device[DOCTOR_WORD_MAX];
	char audit[DOCTOR_WORD_MAX];
	char user[DOCTOR_WORD_MAX];
	char listen[DOCTOR_WORD_MAX];
	char certificate[DOCTOR_WORD_MAX];
};

struct doctor_kernel {
	char release[DOCTOR_RELEASE_MAX]; /* "": not known */
	int error; /* of its BTF: 0 or a negative errno, and then the rest says nothing */
	uint64_t functions; /* which of those that cli/doctor_kernel.c asks for */
	bool signatures; /* it takes signatures of programs */
};

struct doctor_log_facts {
	char path[PATH_MAX]; /* as this program opens it, or would */
	char why[CLI_WHY_MAX]; /* it could not be read, one clause */
	uint64_t first_seq, last_seq; /* 0: it has no records */
	uint64_t first_ns, last_ns; /* of these records: since 1970 */
};

struct doctor {
	const char *root; /* "": this machine; else a folder in the place of / ... */
	int root_fd; /* ... and that folder, opened */
	const char *db_path; /* NULL: as configured */
	char daemon_path[PATH_MAX]; /* of the installed daemon, without root; "": none */
	struct doctor_kernel kernel;
	struct doctor_conf conf;
	bool was_asked; /* the daemon */
	struct json_t *status; /* the daemon's answer; NULL: none */
	int status_error; /* why not: a negative errno ... */
	char status_why[ASK_ERROR_MAX]; /* ... and in words */
	struct doctor_log_facts log;
	int log_error; /* of opening the log: 0 or a negative errno */
	bool log_is_of_this_boot; /* its newest epoch began in this boot */
	const char *check; /* whose turn it is */
	struct json_t *findings; /* objects: check, state, what, remedy */
	bool out_of_memory;
};

/* Say one thing. Bytes outside printable ASCII are shown as \xHH: what comes from the machine shall not
 * command a terminal. */
[[gnu::format(printf, 3, 4)]] void doctor_find(
	struct doctor *doctor, enum doctor_state state, const char *fmt, ...);

/*
 * What to do about what was found last, after what was said to do already. Lines end at '\n'; one that
 * begins with a tab is a command, to be run or a line to be written as it is.
 */
[[gnu::format(printf, 2, 3)]] void doctor_do(struct doctor *doctor, const char *fmt, ...);

enum { DOCTOR_QUOTED_MAX = 1024 };

/*
 * What comes from the machine, as one word of a command: a shell reads it back as it is and runs nothing
 * that is in it. What is too long, begins as an option does, or has bytes that are not printable ASCII
 * becomes NAME, for the reader to replace.
 */
const char *doctor_word(const char *text, char ret_word[static DOCTOR_QUOTED_MAX]);

/* "ok", "note", "problem", "not seen". */
const char *doctor_state_word(enum doctor_state state);

/* ---- files of the machine; paths are those of the machine, without root ---- */

enum { DOCTOR_FILE_MAX = 64 << 10 };

void doctor_closep(int *fd);

/*
 * open(2), with O_CLOEXEC. Below a root no symbolic link leads out of it, and .. does not: openat2(2),
 * RESOLVE_IN_ROOT (Linux 5.6). There is nothing else that does so where that is missing: -ENOSYS, and -EPERM
 * in containers that know no such call.
 *
 * Returns the descriptor, or a negative errno.
 */
[[nodiscard]] int doctor_open(const struct doctor *doctor, const char *path, int flags);

/*
 * By what name this program reaches a file that is there: the path itself; below a root the absolute one, without
 * symbolic links. Returns 0 or a negative errno.
 */
[[nodiscard]] int doctor_path(
	const struct doctor *doctor, const char *path, char ret_path[static PATH_MAX]);

/* stat(2). Returns 0 or a negative errno. */
[[nodiscard]] int doctor_stat(const struct doctor *doctor, const char *path, struct stat *ret_stat);
bool doctor_has(const struct doctor *doctor, const char *path);

/*
 * A file's bytes, up to max of them, and a NUL byte after them, for the caller to free().
 * Returns 0 or a negative errno.
 */
[[nodiscard]] int doctor_read(const struct doctor *doctor, const char *path, size_t max,
	char **ret_bytes, size_t *ret_len);

/* The first line, without its end. Returns 0 or a negative errno. */
[[nodiscard]] int doctor_line(
	const struct doctor *doctor, const char *path, char *ret_line, size_t size);

/*
 * Hand the name of each entry of a folder to fn, but "." and "..", in the order of their bytes.
 * Returns 0, a negative errno, or the first value other than 0 that fn returns.
 */
[[nodiscard]] int doctor_each(const struct doctor *doctor, const char *folder,
	int (*fn)(void *arg, const char *name), void *arg);

void doctor_buf_freep(char **buf);

/* Whether the list, words with separators between them, has the word. */
bool doctor_list_has(const char *list, const char *separators, const char *word);

/* agent.conf, into doctor->conf. */
void doctor_conf_read(struct doctor *doctor);

/* Open the log and see whose boot it is of, into doctor->log_*. */
void doctor_log_read(struct doctor *doctor);

/* The kernel's release and BTF, into doctor->kernel. */
void doctor_kernel_read(struct doctor *doctor);

/* Where the daemon is installed, into doctor->daemon_path. */
void doctor_daemon_find(struct doctor *doctor);

/* Whether there is anything of the daemon here: installed, configured, or run by hand. */
bool doctor_daemon_is_here(const struct doctor *doctor);

/* What to do where something may be read by root only, and by members of the daemon's group. */
void doctor_do_as_root(struct doctor *doctor);
void doctor_do_join(struct doctor *doctor);

/* What the kernel's BTF says of lsm/bpf, the one hook that needs `bpf` among the security modules. */
enum doctor_lsm_hook {
	DOCTOR_LSM_UNKNOWN,
	DOCTOR_LSM_NONE, /* a kernel without BPF LSM */
	DOCTOR_LSM_UNUSED, /* it has it, but not what the hook's program needs: before 6.12 */
	DOCTOR_LSM_USED,
};
enum doctor_lsm_hook doctor_lsm_hook(const struct doctor *doctor);
bool doctor_kernel_has_landlock(const struct doctor *doctor);

/* ---- the checks ---- */

void doctor_kernel(struct doctor *doctor);
void doctor_signatures(struct doctor *doctor);
void doctor_lsm(struct doctor *doctor);
void doctor_lockdown(struct doctor *doctor);
void doctor_bpf(struct doctor *doctor);
void doctor_audit(struct doctor *doctor);

void doctor_tpm(struct doctor *doctor);
void doctor_banks(struct doctor *doctor);
void doctor_pcr(struct doctor *doctor);

void doctor_luks(struct doctor *doctor);

void doctor_log(struct doctor *doctor);
void doctor_disk(struct doctor *doctor);
void doctor_clock(struct doctor *doctor);

void doctor_installed(struct doctor *doctor);
void doctor_config(struct doctor *doctor);
void doctor_group(struct doctor *doctor);
void doctor_daemon(struct doctor *doctor);
void doctor_hooks(struct doctor *doctor);
void doctor_server(struct doctor *doctor);
void doctor_initramfs(struct doctor *doctor);

#endif
