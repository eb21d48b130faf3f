// SPDX-License-Identifier: BSD-2-Clause
/* The handle, what its failures are called, and the steps that every file of db/ takes with it. */
#include "db/handle.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct db *db_new(void)
{
	struct db *db = calloc(1, sizeof(*db));
	if (db)
		db->lock_fd = -1;
	return db;
}

/* The lock goes last: until then nobody else may write. */
void db_shut(struct db *db)
{
	for (size_t i = 0; i < DB_STMT_COUNT; i++) {
		sqlite3_finalize(db->stmts[i]);
		db->stmts[i] = NULL;
	}
	sqlite3_close(db->sql);
	db->sql = NULL;
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	db->lock_fd = -1;
	db->writer = false;
}

void db_free(struct db *db)
{
	if (!db)
		return;
	db_shut(db);
	free(db);
}

void db_freep(struct db **db)
{
	db_free(*db);
}

/* errno of what failed; SQLite forgets it on the way where PATH-wal could not be written. */
static int system_errno(struct db *db, int rc)
{
	int last = sqlite3_system_errno(db->sql);
	sqlite3_file *wal = NULL;

	if (rc != SQLITE_IOERR_WRITE ||
		sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) !=
			SQLITE_OK)
		return last;
	if (wal && wal->pMethods)
		wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &last);
	return last;
}

/* An I/O error by what the system said, where that says more than "I/O error". */
static int io_code(int rc, int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	case EROFS:
		return -EROFS;
	case ENOENT:
	case EACCES:
	case EPERM:
		return (rc & 0xff) == SQLITE_CANTOPEN ? -sys : -EIO;
	}
	return rc == SQLITE_IOERR_SHMSIZE ? -ENOSPC : -EIO;
}

bool db_is_unsettled(int rc)
{
	return rc == SQLITE_READONLY_RECOVERY || rc == SQLITE_READONLY_CANTINIT;
}

static int code(int rc, int sys)
{
	if (rc == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	if (db_is_unsettled(rc))
		return -EBUSY;
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return -EUCLEAN;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	case SQLITE_AUTH:
		return -EPERM;
	case SQLITE_INTERRUPT:
		return -ETIME;
	case SQLITE_ERROR:
		return -EINVAL;
	}
	return io_code(rc, sys);
}

int db_fail(struct db *db, const char *what)
{
	int rc = sqlite3_extended_errcode(db->sql);
	int sys = system_errno(db, rc);
	int err = code(rc, sys);
	const char *text = sqlite3_errmsg(db->sql);

	/* SQLite's words for these say nothing of the cause. */
	if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN)
		return db_refuse(db, err, "%s: %s (%d: %s)", what, text, rc,
			strerror(sys != 0 ? sys : -err));
	return db_refuse(db, err, "%s: %s", what, text);
}

void db_make_plain(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f; /* in UTF-8 */

		if (is_c1)
			*at++ = '?';
		if (is_c1 || *at < 0x20 || *at == 0x7f)
			*at = '?';
	}
}

int db_refuse(struct db *db, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(db->errmsg, sizeof(db->errmsg), fmt, args);
	va_end(args);
	db_make_plain(db->errmsg);
	return err;
}

const char *db_errmsg(const struct db *db)
{
	return db->errmsg;
}
