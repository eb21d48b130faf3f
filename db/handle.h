/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of db/ share and nobody else sees. */
#ifndef DB_HANDLE_H
#define DB_HANDLE_H

#include <stdbool.h>
#include <sys/types.h>

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
	DB_FIRST_SEQ,
	DB_RECORDS_TRIM,
	DB_QUOTE_PUT,
	DB_QUOTE_LAST,
	DB_QUOTES_FROM,
	DB_QUOTES_TRIM,
	DB_PAGES,
	DB_USED_BYTES,
	DB_SCAN,
	DB_RECORD_HAS,
	DB_REFS,
	DB_PROGRAMS,
	DB_FIND, /* and those after it: one for each enum db_key */
	DB_KEYS = DB_FIND + DB_KEY_COUNT, /* likewise */
	DB_STMT_COUNT = DB_KEYS + DB_KEY_COUNT,
};

/* Which file it is, whatever it is called. */
struct db_inode {
	dev_t dev;
	ino_t ino;
};

struct db {
	struct sqlite3 *sql; /* NULL while no log is open */
	struct sqlite3_stmt *stmts[DB_STMT_COUNT];
	bool writer;
	int lock_fd; /* PATH-lock of a writer, else -1 */
	struct db_inode file, wal; /* that are open, PATH and PATH-wal */
	uint64_t ref_key[2]; /* of struct db_scanned */
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

/* A write in a transaction of its own; fn returns a count or an error, and so does this. */
[[nodiscard]] int db_transact(
	struct db *db, int (*fn)(struct db *db, const void *arg), const void *arg);

/* Undo the transaction that is open, if one is; leaves the text alone. */
void db_rollback(struct db *db);

/* Ends the statement's transaction and lets go of what was bound, which was the caller's. */
void db_stmt_resetp(struct sqlite3_stmt **stmt);

/* Bind a number; what is stored is below 2^63, and above it any is as good as the largest. */
[[nodiscard]] int db_bind_number(
	struct db *db, struct sqlite3_stmt *stmt, int column, uint64_t value);

/* Bind bytes, the caller's until the statement is reset. -EMSGSIZE above DB_VALUE_MAX. */
[[nodiscard]] int db_bind_blob(
	struct db *db, struct sqlite3_stmt *stmt, int column, const void *data, size_t len);

/* Step to a row: 1 if there is one, 0 if not. */
[[nodiscard]] int db_fetch(struct db *db, struct sqlite3_stmt *stmt, const char *what);

/* The bytes of a column, valid until the statement moves on; never NULL. */
[[nodiscard]] int db_column_blob(struct db *db, struct sqlite3_stmt *stmt, int column,
	const void **ret_data, size_t *ret_len);

/* A copy of a column with a NUL after it. */
[[nodiscard]] int db_column_copy(
	struct db *db, struct sqlite3_stmt *stmt, int column, char **ret_copy, size_t *ret_len);

/* The number of a record or a quote, of a column; 0 where it is NULL, -EUCLEAN where it is below 1. */
[[nodiscard]] int db_column_seq(
	struct db *db, struct sqlite3_stmt *stmt, int column, uint64_t *ret_seq);

/* The path is that of a log's file, and short enough for the names beside it. */
[[nodiscard]] int db_path_check(struct db *db, const char *path);

/* Take PATH-lock, which makes this the one writer; db_shut() lets go. */
[[nodiscard]] int db_lock_take(struct db *db, const char *path);

/* Remember which files are open, for db_check_file(). */
[[nodiscard]] int db_file_remember(struct db *db);

#endif
