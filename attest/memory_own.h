/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the memory share: the handle, and statements with their values. */
#ifndef ATTEST_MEMORY_OWN_H
#define ATTEST_MEMORY_OWN_H

#include <sqlite3.h>

#include "attest/memory.h"

struct memory {
	sqlite3 *sql; /* NULL while no file is open */
	char errmsg[512];
};

void memory_stmt_freep(sqlite3_stmt **stmt);

/* Keep a text; returns err. */
[[nodiscard, gnu::format(printf, 3, 4)]] int memory_refuse(
	struct memory *memory, int err, const char *fmt, ...);

/* A row that cannot be read: damaged, unless it is memory that lacks. Returns the error. */
[[nodiscard]] int memory_damaged(struct memory *memory, const char *what);

/*
 * Run a statement up to its first row. types has a letter per value: t const char * (may be NULL),
 * n uint64_t, b const void * and size_t. They are the caller's until the statement is freed.
 *
 * Returns 1 with a row, 0 without; then and only then ret_stmt is written.
 */
[[nodiscard]] int memory_ask(
	struct memory *memory, sqlite3_stmt **ret_stmt, const char *sql, const char *types, ...);

/* The next row: 1 or 0. */
[[nodiscard]] int memory_next(struct memory *memory, sqlite3_stmt *stmt);

/* Run a statement that gives no rows. */
[[nodiscard]] int memory_do(struct memory *memory, const char *sql, const char *types, ...);

/* A transaction: rolled back where fn, or the commit, fails. Returns what fn returned. */
[[nodiscard]] int memory_transact(
	struct memory *memory, int (*fn)(struct memory *memory, void *arg), void *arg);

/* ---- columns; where a value is not what was stored, the row is damaged and they say so by false ---- */

uint64_t memory_number(sqlite3_stmt *stmt, int column); /* 0 for one below */
bool memory_is_number(sqlite3_stmt *stmt, int column, uint64_t max);
bool memory_text(sqlite3_stmt *stmt, int column, char *ret_text, size_t size);
bool memory_bytes(sqlite3_stmt *stmt, int column, uint8_t *ret_bytes, size_t size, size_t *ret_len);

/* Exactly len bytes. */
bool memory_exactly(sqlite3_stmt *stmt, int column, void *ret_bytes, size_t len);

/* machine_mode_name() and machine_tpm_name() backwards. */
bool memory_mode(sqlite3_stmt *stmt, int column, enum machine_mode *ret_mode);
bool memory_tpm(sqlite3_stmt *stmt, int column, enum machine_tpm *ret_tpm);

#endif
