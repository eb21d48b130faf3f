/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was removed from the beginning of a log, and whether its trim records explain that. This
 * compares what stands in the log; nothing is proven by it.
 */
#ifndef CLI_BEFORE_H
#define CLI_BEFORE_H

#include <stdbool.h>
#include <stdint.h>

struct db;

/*
 * Print a row for each trim record, then where the log begins; json: those records' lines alone.
 * Returns CLI_GOOD; CLI_UNTRUSTED where what is missing is not explained, and it was said why; or
 * CLI_UNKNOWN.
 */
[[nodiscard]] int before_print(struct db *db, bool json);

/* Say why record seq, which is older than the first that is there, is not. Returns CLI_UNKNOWN;
 * CLI_UNTRUSTED where nothing explains it. */
[[nodiscard]] int before_explain(struct db *db, uint64_t seq);

#endif
