/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log on disk: append, recover, iterate, run a query that it is handed. What a line means is
 * the caller's business; here it is bytes with a number.
 *
 * A log is a SQLite database in WAL mode and the files beside it, which stay in place for good:
 *
 *   PATH        the database: tables and indexes only, no views and no triggers
 *   PATH-wal    what was committed and not yet copied into PATH
 *   PATH-shm    the index of PATH-wal, and the locks between processes
 *   PATH-lock   held (flock) by the one writer for as long as it has the log open; mode 0600
 *
 * Who may read: db_create() makes PATH with mode 0640 (less the umask) and the group that the
 * system gives it: put a setgid directory of the group around the log (root:GROUP, mode 2750), or
 * make PATH an empty file of the right owner, group and mode first. SQLite gives -wal and -shm the
 * mode of PATH, and where the writer is root its owner and group too. A reader needs search
 * permission on the directory and read permission on PATH, PATH-wal and PATH-shm, no more.
 *
 * A reader can see the log at any time: beside a running writer, after it stopped, and after it was
 * killed. What SQLite does for a reader that may not write PATH-shm: beside a writer it trusts the
 * writer's index; with no writer it reads PATH-wal itself and keeps an index of its own in memory
 * (walformat.html "Read-only", since 3.22). So all three files must be there and be readable; that
 * they outlive the writer is SQLITE_FCNTL_PERSIST_WAL. The locks are the reader's part of the
 * bargain: a member of the group that takes SQLite's locks by hand can make the writer wait and
 * fail (-EBUSY).
 *
 * A handle belongs to one thread and one process: after fork() the child must not touch it, and a
 * child that outlives the writer without exec() keeps its lock.
 *
 * Every function that takes a handle and returns int returns 0 (or a count) or one of these, and
 * db_errmsg() then has the text; outputs are written on success only.
 *
 *   -EINVAL       refused as asked: a gap in seq, SQL that does not parse
 *   -ENOENT       no such log, record, program or state
 *   -ENODATA      PATH is there, but not a file beside it, and this reader may not make it
 *   -EACCES       a file may not be opened
 *   -EBUSY        another writer has the log, or a lock was not to be had within DB_BUSY_MS
 *   -EMEDIUMTYPE  a SQLite database, but not a log of this version
 *   -EUCLEAN      not a database, or a damaged one, or records are missing
 *   -ESTALE       PATH or PATH-wal is not the file any more that is open
 *   -EMSGSIZE     a line, program or value larger than DB_VALUE_MAX
 *   -ENOSPC       disk or quota full
 *   -EROFS        the file system is read-only, or the handle is a reader's
 *   -EIO          reading, writing or syncing failed
 *   -ENOMEM
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DB_BUSY_MS = 2000, /* how long to wait for a lock */
	DB_SHA256_LEN = 32,
	DB_VALUE_MAX = 16 << 20, /* bytes of one value, and nearly so of one row */
	DB_COLUMNS_MAX = 256, /* columns of a query's result */
};

struct db;

/* A handle with no log open; NULL when out of memory. */
struct db *db_new(void);

/* Close the log, if one is open, and free the handle. NULL is fine. */
void db_free(struct db *db);

/* db_free() for [[gnu::cleanup]]. */
void db_freep(struct db **db);

/* Why the last call that failed on this handle did: one line, no newline; "" if none has yet. */
const char *db_errmsg(const struct db *db);

/*
 * Put '?' for each C0 and C1 control of a text (UTF-8, NUL-terminated), in place, as it was done to what
 * db_errmsg() returns: what stands in a file, its schema or a name, shall not command a terminal.
 */
void db_make_plain(char *text);

/*
 * Open the log for writing; make it where there is none. What a killed writer had committed is
 * there, what it had not is gone. A log is made in one transaction: there is never half of one.
 *
 * After an error the handle has no log open and may be used again.
 *
 * Returns 0 or an error: -EBUSY at once if another writer lives; -EUCLEAN also where PATH is
 * missing or empty and a PATH-wal that is not is there: that holds records, see db_set_aside().
 */
[[nodiscard]] int db_create(struct db *db, const char *path);

/*
 * Open the log for reading, as anybody who may read its files. Nothing in the file is trusted: its
 * schema must be the one that db_create() makes, to the letter.
 *
 * After an error the handle has no log open and may be used again.
 */
[[nodiscard]] int db_open(struct db *db, const char *path);

/* One record. */
struct db_line {
	uint64_t seq; /* 1, 2, 3 ... over the life of the log */
	uint64_t ref; /* a number of the caller's to find it by, below 2^63; 0 is none */
	const void *line;
	size_t len; /* at least 1 */
};

/* The bytes of a program, kept once however often they are put. */
struct db_program {
	const uint8_t *sha256; /* DB_SHA256_LEN bytes; the caller's word, not checked */
	const void *insns;
	size_t len; /* at least 1 */
};

/* A note of the caller's to itself: replaces the value of key. */
struct db_state {
	const char *key;
	const void *value;
	size_t len;
};

/* What is stored together or not at all. */
struct db_batch {
	const struct db_line *lines;
	size_t line_count;
	const struct db_program *programs;
	size_t program_count;
	uint64_t program_bytes_max; /* of all the programs in the log together; see db_append() */
	const struct db_state *states;
	size_t state_count;
};

/*
 * Store a batch in one transaction, on the disk (fsync) before this returns. The first line's seq
 * must be db_last_seq() + 1 and each next one 1 more, else -EINVAL. A program that would bring the
 * total over program_bytes_max is left out and counted: a full store never stops the log.
 *
 * Returns how many programs were left out, or an error. After any error this handle sees nothing of
 * the batch, stays usable, and the same batch may be tried again. After -EIO or -ENOSPC it is
 * UNKNOWN whether a crash before the next call that succeeds would bring the batch back: a commit
 * whose fsync failed may still be found whole in PATH-wal. So ask db_last_seq() after opening.
 */
[[nodiscard]] int db_append(struct db *db, const struct db_batch *batch);

/* The number of the newest record; 0 in an empty log. */
[[nodiscard]] int db_last_seq(struct db *db, uint64_t *ret_seq);

/* The number of the oldest record, above 1 where the log was trimmed; 0 in an empty log. */
[[nodiscard]] int db_first_seq(struct db *db, uint64_t *ret_seq);

/* One record's line, NUL after it, for the caller to free(). -ENOENT if there is none. */
[[nodiscard]] int db_line_get(struct db *db, uint64_t seq, char **ret_line, size_t *ret_len);

/* free() of such a line, for [[gnu::cleanup]]. */
void db_line_freep(char **line);

/*
 * Hand the records first ... last to fn, in order; last may lie beyond the end of the log, and the
 * end is where it was when this was called. line is valid for the call and has no NUL after it.
 *
 * Scans by seq, trusts no index, and finds gaps: -EUCLEAN with a text that says which record is
 * missing, after fn has had those before it. A record before db_first_seq() is missing too: a
 * caller that wants all there are begins there. Memory does not grow with the log. fn runs outside any
 * transaction: one that blocks for hours keeps nobody waiting, and it may use the handle.
 *
 * Returns 0, an error, or the first value other than 0 that fn returns, which ends it.
 */
[[nodiscard]] int db_each(struct db *db, uint64_t first, uint64_t last,
	int (*fn)(void *arg, uint64_t seq, const void *line, size_t len), void *arg);

/* What records are found by without reading them: values of their lines, by their paths. */
enum db_key {
	DB_TIME, /* time */
	DB_KIND, /* kind; "" of a line that is no JSON or has none; not for finding "load" */
	DB_NAME, /* program.name */
	DB_SHA256, /* program.sha256 */
	DB_REFERS, /* program.seq, else parent.seq, as text: the record that this one refers to */
	DB_KEY_COUNT,
};

/*
 * The records of which the value is low or behind it, and high or before it, in the order of bytes:
 * their numbers, in no order, but no more than max (not 0) of them. low and high are the same to
 * find one value.
 *
 * An index says so, and whoever wrote the file could make it leave records out or name others:
 * db_audit() checks it, db_each() and db_scan() do without.
 *
 * Returns how many there are; max may be as many as there is room for, or not all.
 */
[[nodiscard]] int db_find(struct db *db, enum db_key key, const char *low, const char *high,
	uint64_t *ret_seqs, size_t max);

/* The newest record at or after at_least_seq with this ref (not 0). -ENOENT if there is none. */
[[nodiscard]] int db_ref_last(
	struct db *db, uint64_t ref, uint64_t at_least_seq, uint64_t *ret_seq);

/* Copy a state into buf. Returns its length; -ENOENT; -EMSGSIZE if it is longer than size. */
[[nodiscard]] int db_state_get(struct db *db, const char *key, void *buf, size_t size);

/* A program's bytes, for the caller to free(). -ENOENT if they are not kept. */
[[nodiscard]] int db_program_get(struct db *db, const uint8_t sha256[static DB_SHA256_LEN],
	uint8_t **ret_insns, size_t *ret_len);

/* Bytes of all the programs kept. */
[[nodiscard]] int db_program_bytes(struct db *db, uint64_t *ret_bytes);

/*
 * Keep a quote: a line that says what a PCR was after record seq, proven by whatever is in it. One
 * for each seq: it replaces the one that was kept. On the disk (fsync) before this returns.
 *
 * Errors and what is unknown after one: as db_append(). seq above 2^63 - 1 is -EINVAL.
 */
[[nodiscard]] int db_quote_put(struct db *db, uint64_t seq, const void *line, size_t len);

/*
 * The newest kept quote of a record up to at_most_seq, NUL after it, for the caller to free().
 * -ENOENT if there is none.
 */
[[nodiscard]] int db_quote_last(
	struct db *db, uint64_t at_most_seq, char **ret_line, size_t *ret_len, uint64_t *ret_seq);

/*
 * Hand the kept quotes of records first ... last to fn, in order; line is valid for the call. fn
 * runs outside any transaction, as db_each()'s does: a quote that is put meanwhile may be among
 * them.
 *
 * Returns 0, an error, or the first value other than 0 that fn returns, which ends it.
 */
[[nodiscard]] int db_quotes_each(struct db *db, uint64_t first, uint64_t last,
	int (*fn)(void *arg, uint64_t seq, const void *line, size_t len), void *arg);

/*
 * Remove the oldest records, up to record last; when those are gone, the quotes before last, which
 * itself keeps its quote; and then give the pages that became free back to the file system, but
 * for an eighth of the file. At most rows_max (not 0) rows or pages go, in one transaction, so that
 * a large trim can be spread: call again until it returns 0. The records stay without a gap,
 * whatever happens in between, and what was begun can be gone on with after a crash.
 *
 * Programs and states stay. Free pages are used for what comes next, so that a log which is trimmed
 * as it grows keeps its size; PATH itself becomes shorter when PATH-wal is copied into it. What was
 * in pages that are free is still there to be read until they are used again.
 *
 * Returns how many rows were removed or pages given back, 0: nothing is left to do; -EINVAL if last
 * is the newest record or beyond it; or an error as of db_append().
 */
[[nodiscard]] int db_trim(struct db *db, uint64_t last, unsigned rows_max);

/*
 * Bytes of PATH that are in use: its pages but for those that are free for what comes next. Neither
 * what of it is in PATH-wal still nor PATH-wal itself, up to 16 MiB more, counts.
 */
[[nodiscard]] int db_used_bytes(struct db *db, uint64_t *ret_bytes);

/*
 * Whether PATH and PATH-wal are still the files that are open: 0, or -ESTALE where one was removed,
 * renamed or replaced, and then what is appended goes into a file that nobody will find. Two
 * stat(): cheap enough for once a second.
 *
 * A file that was exchanged and put back in between is not noticed.
 */
[[nodiscard]] int db_check_file(struct db *db);

/*
 * Rename a damaged log out of the way: PATH, PATH-wal and PATH-shm become NAME, NAME-wal and
 * NAME-shm, where NAME is PATH.damaged-YYYYmmddTHHMMSSZ, in UTC. Nothing is overwritten, and
 * PATH-lock stays. The handle must have no log open; -EBUSY if a writer lives. Readers that have
 * the log open keep the files that they have.
 *
 * What is not there is left out: called again after a crash, it moves what was left, under another
 * name. ret_name gets NAME, cut to size. -ENOENT if there is nothing; -EEXIST if there is such a
 * name already, a second later there is not.
 */
[[nodiscard]] int db_set_aside(struct db *db, const char *path, char *ret_name, size_t size);

/*
 * What scans over one handle have shown, for db_audit(): all zero before the first one, and the
 * fields are this folder's own.
 */
struct db_scanned {
	uint64_t first, last; /* records without a gap, each found by its number too */
	uint64_t refs; /* a sum of theirs */
	uint64_t keys; /* and one of what the caller found in their lines */
	uint64_t pages; /* that SQLite had asked for */
	bool is_whole; /* up to the end of the log */
};

/*
 * db_each() for whoever reads it all: with each record's ref, as fast as it can be read, without
 * copying. fn runs inside a transaction: while it blocks, PATH-wal only grows. It must not use the
 * handle.
 *
 * scanned   or NULL; goes on from where the scan before ended, so that a log can be had in parts.
 */
[[nodiscard]] int db_scan(struct db *db, uint64_t first, uint64_t last, struct db_scanned *scanned,
	int (*fn)(void *arg, uint64_t seq, uint64_t ref, const void *line, size_t len), void *arg);

/*
 * To be called by fn of db_scan() for each value of the record's line that is a key, kinds other
 * than "load" only: what the indexes must have. No call of it uses the file.
 */
void db_scanned_key(const struct db *db, struct db_scanned *scanned, enum db_key key, uint64_t seq,
	const void *value, size_t len);

/* Hand every program kept to fn, for it to hash; as db_scan(). */
[[nodiscard]] int db_programs_each(struct db *db,
	int (*fn)(void *arg, const uint8_t *sha256, const void *insns, size_t len), void *arg);

/*
 * Check what an answer could come from besides the lines: that every record, program, quote and
 * state is found where it is looked for, that the indexes have what their tables have, the programs'
 * totals. Each finding is a text for fn, valid for the call. What this leaves to the caller, because
 * it needs to know what a line means and to hash: the lines and their refs (db_scan()), the
 * programs' bytes (db_programs_each()).
 *
 * scanned   of scans over this handle that handed out every record of the log, from db_first_seq()
 *           to UINT64_MAX, or NULL. Where they were whole, the records are not read again, and what
 *           no answer comes from is not looked at: free pages and their list, the bytes between the
 *           rows of a page, and the map by which db_trim() moves pages. Otherwise, and as soon as
 *           anything is not as it should be, it is SQLite's check of the whole file that finds: all
 *           of these too. Sums stand for the refs and the keys: of others they are the same once in 2^64.
 *
 * Returns 0, whatever was found; an error, -EUCLEAN too; or the first value other than 0 that fn
 * returns, which ends it.
 */
[[nodiscard]] int db_audit(struct db *db, const struct db_scanned *scanned,
	int (*fn)(void *arg, const char *finding), void *arg);

struct db_value {
	enum { DB_NULL, DB_INTEGER, DB_REAL, DB_TEXT, DB_BLOB } type;
	int64_t integer; /* of DB_INTEGER */
	double real; /* of DB_REAL */
	const void *data; /* of DB_TEXT, with a NUL after it, and of DB_BLOB; else NULL */
	size_t len;
};

/* One row of a result; everything in it is valid for the call. */
struct db_row {
	size_t statement; /* which of the text's statements gave it, from 0 */
	size_t column_count; /* at most DB_COLUMNS_MAX */
	const char *const *names;
	const struct db_value *values;
};

/* How much a query may use; 0 is no limit. */
struct db_limits {
	uint64_t steps; /* of SQLite's virtual machine, checked every DB_LIMIT_GRAIN */
	uint64_t cpu_ms; /* of this thread's processor time, fn's own included */
};

enum { DB_LIMIT_GRAIN = 1000 };

/*
 * Run every statement of sql, over one snapshot of the log.
 *
 * sql     SELECTs (and EXPLAIN) from anyone, over the views, json_each and json_tree. Whatever
 *         writes, attaches, sets, begins or loads is refused before it runs: -EPERM. A text with
 *         no statement in it is -EINVAL.
 * views   trusted text: CREATE TEMP VIEW statements that sql may use, gone afterwards; or NULL.
 *         The tables under them: record(seq, ref, line), program(sha256, insns), state(key,
 *         value), quote(seq, line); line is a BLOB that JSON functions need as CAST(line AS
 *         TEXT).
 * fn      called for each row; a value other than 0 ends the query and is returned. It runs
 *         inside the snapshot: while it blocks, PATH-wal only grows. It must not use the handle.
 * limits  or NULL for none.
 *
 * Double-quoted words are names, never strings. Returns 0, what fn returned, or an error: -EINVAL
 * with SQLite's own message for SQL that does not compile or run, -ETIME at a limit. Rows before an
 * error have been handed out.
 */
[[nodiscard]] int db_query(struct db *db, const char *sql, const char *views,
	int (*fn)(void *arg, const struct db_row *row), void *arg, const struct db_limits *limits);

#endif
