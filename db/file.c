// SPDX-License-Identifier: BSD-2-Clause
/* The files of a log as others may meet them: taken away from a handle, or set aside by us. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/handle.h"

static const char *const suffixes[] = { "", "-wal", "-shm" };
enum { SUFFIX_COUNT = sizeof(suffixes) / sizeof(suffixes[0]) };

/* What there is under a name now; a stat() and no open(), which would cost us SQLite's locks. */
static int inode_of(struct db *db, const char *name, struct db_inode *ret_inode)
{
	struct stat st;

	if (stat(name, &st) < 0)
		return db_refuse(
			db, errno == ENOENT ? -ESTALE : -errno, "%s: %s", name, strerror(errno));
	*ret_inode = (struct db_inode){ st.st_dev, st.st_ino };
	return 0;
}

/* SQLite made the names absolute, so that they outlive a chdir(). */
static int files_look(struct db *db, struct db_inode *ret_file, struct db_inode *ret_wal)
{
	const char *path = sqlite3_db_filename(db->sql, "main");

	int r = inode_of(db, path, ret_file);
	return r == 0 ? inode_of(db, sqlite3_filename_wal(path), ret_wal) : r;
}

int db_file_remember(struct db *db)
{
	int has_moved = 0;

	int r = files_look(db, &db->file, &db->wal);
	if (r < 0)
		return r;
	if (sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) != SQLITE_OK)
		return db_fail(db, "opening the log");
	return has_moved ? db_refuse(db, -ESTALE, "the log was replaced while it was opened") : 0;
}

static bool is_same(const struct db_inode *one, const struct db_inode *other)
{
	return one->dev == other->dev && one->ino == other->ino;
}

int db_check_file(struct db *db)
{
	struct db_inode file, wal;

	assert(db->sql);
	int r = files_look(db, &file, &wal);
	if (r < 0)
		return r;
	if (is_same(&file, &db->file) && is_same(&wal, &db->wal))
		return 0;
	return db_refuse(db, -ESTALE, "%s%s is not the file any more that is open",
		sqlite3_db_filename(db->sql, "main"), is_same(&file, &db->file) ? "-wal" : "");
}

/* PATH.damaged-20260102T030405Z */
static int aside_name(struct db *db, const char *path, char name[static PATH_MAX])
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	int len = snprintf(name, PATH_MAX, "%s.damaged-%s", path, stamp);
	return len < PATH_MAX - (int)sizeof("-wal")
		? 0
		: db_refuse(db, -EINVAL, "the path of the log is too long");
}

/* Returns 1, or 0 if there is no such file. */
static int set_aside(struct db *db, const char *path, const char *name, const char *suffix)
{
	char from[PATH_MAX], to[PATH_MAX];

	snprintf(from, sizeof(from), "%s%s", path, suffix);
	snprintf(to, sizeof(to), "%s%s", name, suffix);
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return db_refuse(db, -errno, "%s to %s: %s", from, to, strerror(errno));
}

/* The directory that a path is in, onto the disk. */
static int directory_sync(struct db *db, const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r < 0 ? db_refuse(db, r, "%s: %s", dir, strerror(-r)) : 0;
}

/*
 * PATH goes first: without it, what is left is no log to anybody, while a PATH without its PATH-wal
 * would be an older state of this one.
 */
static int all_set_aside(struct db *db, const char *path, const char *name)
{
	int found = 0;

	for (size_t i = 0; i < SUFFIX_COUNT; i++) {
		int r = set_aside(db, path, name, suffixes[i]);
		if (r < 0)
			return r;
		found += r;
	}
	if (found == 0)
		return db_refuse(db, -ENOENT, "%s: there is no log", path);
	return directory_sync(db, path);
}

int db_set_aside(struct db *db, const char *path, char *ret_name, size_t size)
{
	char name[PATH_MAX];

	assert(!db->sql);
	int r = db_path_check(db, path);
	if (r == 0)
		r = aside_name(db, path, name);
	if (r == 0)
		r = db_lock_take(db, path);
	if (r == 0)
		r = all_set_aside(db, path, name);
	db_shut(db);
	if (r == 0)
		snprintf(ret_name, size, "%s", name);
	return r;
}
