// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: the log, the disk that it is on, the clock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/timex.h>

#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/filter.h"
#include "cli/when.h"
#include "db/db.h"

static const uint64_t second_ns = 1000000000ULL;

enum { DAY_S = 86400, BOOT_ID_MAX = 40 };

/* A log that was named; NULL: it is where agent.conf says, on the machine. */
static const char *log_named(const struct doctor *doctor)
{
	const char *from_environment = getenv("BPFMEASURE_DB");

	if (doctor->db_path)
		return doctor->db_path;
	return from_environment && *from_environment && !*doctor->root ? from_environment : NULL;
}

/* Where the log is as this program has to open it, and where it would be. Returns 0 or a negative errno. */
static int log_place(const struct doctor *doctor, char path[static PATH_MAX])
{
	const char *named = log_named(doctor);

	if (named) {
		snprintf(path, PATH_MAX, "%s", named);
		return 0;
	}
	snprintf(path, PATH_MAX, "%s%s", doctor->root, doctor->conf.log_path);
	return doctor_path(doctor, doctor->conf.log_path, path);
}

static int see_time(void *arg, const struct filter_line *line)
{
	uint64_t *time_ns = arg;

	if (!line->error)
		*time_ns = line->head.time_ns;
	return 0;
}

static int see_boot(void *arg, const struct filter_line *line)
{
	struct record_epoch_facts facts;
	char *boot_id = arg;

	if (line->error)
		return 0;
	record_epoch_facts(line->line, line->len, &facts);
	snprintf(boot_id, BOOT_ID_MAX, "%s", facts.boot_id);
	return 0;
}

/* Returns 0 or an error of db/db.h. */
static int read_facts(struct doctor *doctor, struct db *db, char boot_id[static BOOT_ID_MAX])
{
	struct doctor_log_facts *log = &doctor->log;
	struct filter any = filter_any(), epochs = filter_any();
	uint64_t newest = 0;

	epochs.kind = "epoch";
	int r = db_first_seq(db, &log->first_seq);
	if (r == 0)
		r = db_last_seq(db, &log->last_seq);
	if (r < 0 || log->last_seq == 0)
		return r;
	r = filter_each(db, &any, log->first_seq, log->first_seq, see_time, &log->first_ns);
	if (r >= 0)
		r = filter_each(db, &any, log->last_seq, log->last_seq, see_time, &log->last_ns);
	if (r >= 0)
		r = filter_newest(db, &epochs, 1, log->last_seq, &newest);
	if (r >= 0 && newest <= log->last_seq)
		r = filter_each(db, &epochs, newest, newest, see_boot, boot_id);
	return r < 0 ? r : 0;
}

void doctor_log_read(struct doctor *doctor)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	char boot_id[BOOT_ID_MAX] = "", now[BOOT_ID_MAX] = "";
	struct doctor_log_facts *log = &doctor->log;

	int r = log_place(doctor, log->path);
	if (r < 0)
		snprintf(log->why, sizeof(log->why), "%s", strerror(-r));
	else if (!db)
		r = -ENOMEM;
	else if ((r = db_open(db, log->path)) < 0 || (r = read_facts(doctor, db, boot_id)) < 0)
		snprintf(log->why, sizeof(log->why), "%s", db_errmsg(db));
	doctor->log_error = r;
	if (doctor_line(doctor, "/proc/sys/kernel/random/boot_id", now, sizeof(now)) == 0)
		doctor->log_is_of_this_boot = *boot_id && strcmp(boot_id, now) == 0;
}

/* ---- the log ---- */

/* The folder that a path is in. */
static void folder_of(const char *path, char ret[static PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s", path);
	char *slash = strrchr(ret, '/');
	if (slash && slash != ret)
		*slash = '\0';
	else
		strcpy(ret, slash ? "/" : ".");
}

static void see_modes(struct doctor *doctor)
{
	char folder[PATH_MAX], word[DOCTOR_QUOTED_MAX];
	struct stat info;

	folder_of(doctor->log.path, folder);
	if (stat(folder, &info) == 0 && info.st_mode & S_IWOTH) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"everybody may write to %s (mode %04o): anybody can put files of theirs beside "
			"the log, or in its place",
			folder, info.st_mode & 07777);
		if (info.st_mode & S_ISVTX) /* as /tmp is: others have their files there */
			doctor_do(doctor,
				"Put it into a folder of its own, as path in [log] of "
				"/etc/bpfmeasure/agent.conf.");
		else
			doctor_do(doctor, "\tsudo chmod 2750 %s", doctor_word(folder, word));
	}
	if (stat(doctor->log.path, &info) == 0 && info.st_mode & (S_IWOTH | S_IROTH)) {
		doctor_find(doctor, DOCTOR_PROBLEM, "everybody may %s the log %s (mode %04o)",
			info.st_mode & S_IWOTH ? "write to" : "read", doctor->log.path,
			info.st_mode & 07777);
		doctor_do(doctor, "\tsudo chmod 0640 %s", doctor_word(doctor->log.path, word));
	}
}

/* What was committed and not copied yet: it stays small unless somebody reads without an end. */
static void see_wal(struct doctor *doctor)
{
	enum { WAL_LARGE = 64 << 20 };
	char path[PATH_MAX + 8], word[DOCTOR_QUOTED_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s-wal", doctor->log.path);
	if (stat(path, &info) < 0 || info.st_size < WAL_LARGE)
		return;
	doctor_find(doctor, DOCTOR_NOTE,
		"%s has grown to %jd MB: somebody has the log open and reads without an end", path,
		(intmax_t)info.st_size >> 20);
	doctor_do(doctor, "Find who it is, and end it:\n\tsudo fuser -v %s",
		doctor_word(doctor->log.path, word));
}

void doctor_log(struct doctor *doctor)
{
	const struct doctor_log_facts *log = &doctor->log;
	char when[WHEN_MAX], word[DOCTOR_QUOTED_MAX];

	if (doctor->log_error == -ENOENT) {
		doctor_find(doctor, doctor->status ? DOCTOR_PROBLEM : DOCTOR_NOTE,
			"there is no log at %s", log->path);
		if (doctor->status)
			doctor_do(doctor,
				"The daemon runs: its log is elsewhere. Say where:\n\tbpfmeasure doctor "
				"--db PATH");
		return;
	}
	if (doctor->log_error == -EACCES) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "the log %s may not be read", log->path);
		doctor_do_join(doctor);
		return;
	}
	see_modes(doctor);
	if (doctor->log_error < 0) {
		doctor_find(doctor, DOCTOR_PROBLEM, "the log %s: %s", log->path, log->why);
		doctor_do(doctor,
			"docs/operations.md, Faults, has what that means for the proof; to "
			"see what of it is whole:\n\tbpfmeasure audit %s",
			doctor_word(log->path, word));
		return;
	}
	see_wal(doctor);
	if (log->last_seq == 0) {
		doctor_find(doctor, DOCTOR_OK, "the log %s has no records yet", log->path);
		return;
	}
	when_full(log->last_ns, when);
	doctor_find(doctor, DOCTOR_OK,
		"the log has records %" PRIu64 " to %" PRIu64 ", the last of %s", log->first_seq,
		log->last_seq, when);
}

/* ---- the disk ---- */

/* Those on which a log is not durable, or SQLite's locks are not to be relied on: linux/magic.h and
 * https://www.sqlite.org/wal.html, "All processes using a database must be on the same host". */
static const char *bad_file_system(long type)
{
	static const struct {
		long type;
		const char *name;
	} bad[] = {
		{ 0x01021994, "tmpfs: it goes with the next boot" },
		{ 0x858458f6, "ramfs: it goes with the next boot" },
		{ 0x6969,
			"NFS: its locks and its order of writes are not those that the log needs" },
		{ 0xff534d42,
			"CIFS: its locks and its order of writes are not those that the log needs" },
		{ 0xfe534d42,
			"SMB: its locks and its order of writes are not those that the log needs" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bad[i].type == type)
			return bad[i].name;
	return NULL;
}

static void do_limit(struct doctor *doctor)
{
	doctor_do(doctor,
		"Free space, or have the daemon remove the oldest records itself: in [log] of "
		"/etc/bpfmeasure/agent.conf, for example:\n\tmax_size = 1G\nand then:\n\tsudo "
		"systemctl restart bpfmeasured");
}

/* Bytes a day, from what is there; 0: too little to tell. */
static uint64_t growth_of(const struct doctor *doctor)
{
	const struct doctor_log_facts *log = &doctor->log;
	struct stat info;

	if (doctor->log_error < 0 || log->last_ns < log->first_ns ||
		log->last_ns - log->first_ns < DAY_S * second_ns || stat(log->path, &info) < 0)
		return 0;
	return (uint64_t)((double)info.st_size / (double)(log->last_ns - log->first_ns) *
		(double)second_ns * DAY_S);
}

static void see_space(struct doctor *doctor, uint64_t free_bytes)
{
	enum { FEW_MB = 64, DAYS_FEW = 7, DAYS_NOTED = 90 };
	bool limited = strcmp(doctor->conf.max_size, "0") != 0 ||
		strcmp(doctor->conf.max_age, "0") != 0;
	uint64_t growth = growth_of(doctor), days = growth ? free_bytes / growth : UINT64_MAX;
	uint64_t free_mb = free_bytes >> 20;

	if (free_mb < FEW_MB || (days < DAYS_FEW && !limited)) {
		doctor_find(doctor, DOCTOR_PROBLEM,
			"%" PRIu64
			" MB are free for the log%s: when the disk is full, loads wait in the "
			"kernel, and then are lost",
			free_mb, days < DAYS_FEW ? ", enough for less than a week" : "");
		do_limit(doctor);
	} else if (!limited && days < DAYS_NOTED) {
		doctor_find(doctor, DOCTOR_NOTE,
			"the log grows by %" PRIu64
			" MB a day without a limit: the disk is full in about "
			"%" PRIu64 " days",
			growth >> 20, days);
		do_limit(doctor);
	} else {
		doctor_find(doctor, DOCTOR_OK,
			"%" PRIu64 " MB are free for the log, which has %s limit", free_mb,
			limited ? "a" : "no");
	}
}

void doctor_disk(struct doctor *doctor)
{
	const char *named = log_named(doctor);
	char folder[PATH_MAX], above[PATH_MAX];
	struct statfs info;
	int r;

	folder_of(named ? named : doctor->conf.log_path, folder);
	for (;;) { /* not installed yet: where it will be */
		[[gnu::cleanup(doctor_closep)]] int fd = named
			? open(folder, O_PATH | O_CLOEXEC)
			: doctor_open(doctor, folder, O_PATH);

		r = fd >= 0 ? fstatfs(fd, &info) : named ? -errno : fd;
		if (r != -ENOENT || strcmp(folder, "/") == 0 || strcmp(folder, ".") == 0)
			break;
		folder_of(folder, above);
		strcpy(folder, above);
	}
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "%s: %s", folder, strerror(-r));
		doctor_do_as_root(doctor);
		return;
	}
	const char *bad = bad_file_system(info.f_type);
	if (bad) {
		doctor_find(doctor, DOCTOR_PROBLEM, "the log's place, %s, is on %s", folder, bad);
		doctor_do(doctor,
			"Put it on a disk of this machine, as path in [log] of "
			"/etc/bpfmeasure/agent.conf.");
	}
	see_space(doctor, (uint64_t)info.f_bavail * (uint64_t)info.f_bsize);
}

/* ---- the clock ---- */

static void see_newest(struct doctor *doctor, uint64_t now_ns)
{
	char when[WHEN_MAX];

	if (doctor->log_error < 0 || doctor->log.last_ns <= now_ns + 60 * second_ns)
		return;
	when_full(doctor->log.last_ns, when);
	doctor_find(doctor, DOCTOR_NOTE,
		"the newest record is of %s, which is not yet: the clock was set back since. "
		"boottime_ns in the records is not concerned",
		when);
}

/* The daemon's records, and certificates and challenges of verifiers, need the year at least. */
static void see_year(struct doctor *doctor, uint64_t now_ns)
{
	static const uint64_t earliest_ns = 1735689600ULL * second_ns; /* 2025 */
	char when[WHEN_MAX];

	if (now_ns >= earliest_ns)
		return;
	when_full(now_ns, when);
	doctor_find(doctor, DOCTOR_PROBLEM,
		"the clock says %s: records carry a false time, and certificates are not valid yet",
		when);
	doctor_do(doctor, "Have it set from the network:\n\tsudo timedatectl set-ntp true");
}

/* adjtimex(2): STA_UNSYNC is the kernel's own flag, whatever program sets the clock. */
void doctor_clock(struct doctor *doctor)
{
	struct timex clock = {};
	uint64_t now_ns = when_now();

	if (*doctor->root) {
		doctor_find(doctor, DOCTOR_NOTE,
			"the clock of that machine is not to be seen from here");
		return;
	}
	see_year(doctor, now_ns);
	see_newest(doctor, now_ns);
	if (adjtimex(&clock) < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "the clock's state: %s", strerror(errno));
	} else if (clock.status & STA_UNSYNC) {
		doctor_find(doctor, DOCTOR_NOTE,
			"the clock is not synchronised: the time in records is only what this machine "
			"takes it for");
		doctor_do(doctor, "Have it set from the network:\n\tsudo timedatectl set-ntp true");
	} else {
		doctor_find(doctor, DOCTOR_OK, "the clock is synchronised");
	}
}
