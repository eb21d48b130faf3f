/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the verbs of `bpfmeasure` share: exit codes, how an error is said, the log and the socket
 * that are meant where none is named.
 *
 * A verb is called with "bpfmeasure VERB" as argv[0] and as the name under which warnx(3) and
 * getopt(3) speak. Whatever is wrong is one line on stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of every verb. */
enum {
	CLI_GOOD,
	CLI_UNTRUSTED, /* not trustworthy; of status: degraded */
	CLI_USAGE,
	CLI_UNKNOWN, /* could not find out */
};

/* Say what is wrong. Returns the exit code of that name. */
[[gnu::format(printf, 1, 2)]] int cli_untrusted(const char *fmt, ...);
[[gnu::format(printf, 1, 2)]] int cli_usage(const char *fmt, ...);
[[gnu::format(printf, 1, 2)]] int cli_unknown(const char *fmt, ...);

/* What to do where permission is missing, for the end of a line; "" where being in the group would
 * not help. */
const char *cli_group_hint(void);

/* The same where there is no log, or nothing answers; "" where this is not the usual place. */
const char *cli_db_hint(const char *path);
const char *cli_socket_hint(const char *path);

/* Where --db and --socket are not given: the environment's BPFMEASURE_DB and BPFMEASURE_SOCKET,
 * else where the daemon has them unless it is told otherwise. */
const char *cli_db_path(void);
const char *cli_socket_path(void);

/* Open the log for reading. Returns CLI_GOOD, and db_free() is due; otherwise it was said
 * why not. */
struct db;
[[nodiscard]] int cli_db_open(const char *path, struct db **ret_db);

/* Why db_open() failed, as one clause. */
enum { CLI_WHY_MAX = 1024 };
void cli_db_why(const struct db *db, const char *path, int err, char ret_why[static CLI_WHY_MAX]);

/* Say why any other function of db/db.h failed. Returns CLI_UNKNOWN; CLI_UNTRUSTED for a log that
 * is damaged or lacks records. */
[[nodiscard]] int cli_db_fail(const struct db *db, int err);

/*
 * The verifier's memory: the path given, or where it is NULL $BPFMEASURE_MEMORY, else verifier.db in
 * bpfmeasure/ of the user's state folder ($XDG_STATE_HOME, else ~/.local/state), which is made.
 * Returns CLI_GOOD, and memory_free() is due; otherwise it was said why not.
 */
struct memory;
[[nodiscard]] int cli_memory_open(const char *path, struct memory **ret_memory);

/* Say why any other function of attest/memory.h failed, and what to do. Returns CLI_UNKNOWN. */
[[nodiscard]] int cli_memory_fail(const struct memory *memory, int err);

/* Say that no machine is enrolled in it, and where it is. Returns CLI_UNKNOWN. */
[[nodiscard]] int cli_memory_empty(const char *path);

/* cli_memory_open() where it is there: CLI_UNKNOWN where it is not, and nothing is made or said. */
[[nodiscard]] int cli_memory_open_if_there(struct memory **ret_memory);

/*
 * Read --utc, --since and --until when all options are there, for --utc is of those before it too.
 * NULL leaves a time as it is. Returns CLI_GOOD, or CLI_USAGE, and it was said why.
 */
[[nodiscard]] int cli_times(
	bool utc, const char *since, const char *until, uint64_t *since_ns, uint64_t *until_ns);

/* A decimal number, nothing before or after it. */
[[nodiscard]] bool cli_number(const char *text, uint64_t *ret_number);

/* Exactly 2 * len hexadecimal digits of either case. */
[[nodiscard]] bool cli_unhex(const char *text, uint8_t *ret_bytes, size_t len);

/* 2 * len lower-case digits and a NUL byte. */
void cli_hex(const void *bytes, size_t len, char *ret_text);

#endif
