/* SPDX-License-Identifier: BSD-2-Clause */
/* A record and a program as `show` prints them. Return exit codes; what failed was said. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stdbool.h>

#include "cli/filter.h"

/* Sections of aligned keys, in the order of the line; then what was measured, and what refers to
 * the record. */
[[nodiscard]] int show_record(struct db *db, const struct filter_line *line);

/* Every record of the program with this sha256, and whether its instructions are kept. json: those
 * records' lines and nothing else. */
[[nodiscard]] int show_program(struct db *db, const char *sha256_hex, bool json);

#endif
