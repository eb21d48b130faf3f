/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the policy share: the handle, the tables that policies see, and errors. */
#ifndef ATTEST_POLICY_OWN_H
#define ATTEST_POLICY_OWN_H

#include <sqlite3.h>

#include "attest/policy.h"
#include "attest/reference.h"
#include "bpf/record.h"

/*
 * The tables. Their columns follow from the tables of keys of record.h and reference.h: a column is named
 * after the path of its value, and is never NULL.
 *
 * The functions return SQLite's own codes: policy_code() says what they mean.
 */
struct policy_tables {
	sqlite3 *sql;
	sqlite3_stmt *records[RECORD_KIND_COUNT]; /* how one is put into its table */
	sqlite3_stmt *references[REFERENCE_KIND_COUNT];
	sqlite3_stmt *machine;
	char text[RECORD_LINE_MAX]; /* of one line, without the escapes of JSON */
};

/* A database of its own with every table, empty, and one transaction that is never committed. What is
 * more than its cache holds goes into a file that nobody else can open. tables_close() is due. */
[[nodiscard]] int tables_open(struct policy_tables *tables);
void tables_close(struct policy_tables *tables);

/* A line that record_check() has accepted. One of the same number makes way for it. */
[[nodiscard]] int tables_record_put(struct policy_tables *tables, enum record_kind kind,
	const char *line, size_t len, bool remembered);

/* A line that reference_check() has accepted. */
[[nodiscard]] int tables_reference_put(
	struct policy_tables *tables, enum reference_kind kind, const char *line, size_t len);

/* The one row of the table machine. machine is NULL where it is not known. */
[[nodiscard]] int tables_machine_set(
	struct policy_tables *tables, const struct machine *machine, uint64_t proven_seq);

/* Records go, reference values stay. */
[[nodiscard]] int tables_clear(struct policy_tables *tables);

struct policy_rule {
	char name[POLICY_NAME_MAX + 1];
	char *sql;
};

struct policy {
	struct policy_tables tables;
	struct policy_rule rules[POLICY_COUNT_MAX];
	size_t rule_count;
	uint8_t digest[SHA256_LEN];
	uint64_t records; /* in the tables */
	uint64_t epoch_seq;
};

/* Returns err, and ret_error (POLICY_ERROR_MAX bytes) is why. */
[[nodiscard, gnu::format(printf, 3, 4)]] int policy_fail(
	char *ret_error, int err, const char *fmt, ...);

/* One of SQLite's codes as one of ours: 0 or a negative errno. */
[[nodiscard]] int policy_code(int rc);

#endif
