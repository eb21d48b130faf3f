/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of db/ share and nobody else sees. */
#ifndef DB_HANDLE_H
#define DB_HANDLE_H

#include <stdbool.h>

#include "db/db.h"

/* The statements that every handle keeps ready; their text is in db/open.c. */
enum db_stmt {
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_LAST_SEQ,
	DB_LINE_PUT,
	DB_LINE_GET,
	DB_LINES_FROM,
	DB_REF_LAST,
	DB_PROGRAM_PUT,
	DB_PROGRAM_GET,
	DB_PROGRAM_HAS,
	DB_PROGRAM_BYTES,
	DB_STATE_PUT,
	DB_STATE_GET,
	DB_STMT_COUNT,
};

struct db {
	struct sqlite3 *sql; /* NULL while no log is open */
	struct sqlite3_stmt *stmts[DB_STMT_COUNT];
	bool writer;
	int lock_fd; /* PATH-lock of a writer, else -1 */
	char errmsg[512];
};

enum { DB_UNSETTLED_MS = 10 };

/* Close what is open; the handle may be used again. */
void db_shut(struct db *db);

/* Keep SQLite's last error as the text, "what: message", and return it as one of ours. */
[[nodiscard]] int db_fail(struct db *db, const char *what);

/* Keep a text of our own; returns err. */
[[nodiscard, gnu::format(printf, 3, 4)]] int db_refuse(
	struct db *db, int err, const char *fmt, ...);

/* Whether an extended SQLite result code says that no writer has PATH-shm in order right now. */
bool db_is_unsettled(int rc);

/*
 * sqlite3_step(), again while a reader finds PATH-shm half made: for a moment that is so when a
 * writer starts, and SQLite does not count it as being busy.
 *
 * Returns an extended SQLite result code.
 */
[[nodiscard]] int db_step(struct sqlite3_stmt *stmt);

/* Run a statement that gives no rows and reset it. */
[[nodiscard]] int db_run(struct db *db, enum db_stmt which, const char *what);

/* Undo the transaction that is open, if one is; leaves the text alone. */
void db_rollback(struct db *db);

#endif
