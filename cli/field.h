/* SPDX-License-Identifier: BSD-2-Clause */
/* Single values of a line that record_check() has accepted, by path. */
#ifndef CLI_FIELD_H
#define CLI_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIELD_MAX = 4096 }; /* holds any text of a record */

/* A text, word or digest: printable ASCII, ends with a NUL byte. false and "" where it is absent or
 * null. */
bool field_text(const char *line, size_t len, const char *path, char ret_text[static FIELD_MAX]);

/* A number; false and 0 where it is absent or null. */
bool field_uint(const char *line, size_t len, const char *path, uint64_t *ret_number);

/* false where it is absent. */
bool field_bool(const char *line, size_t len, const char *path);

/* Elements of an array. */
size_t field_count(const char *line, size_t len, const char *path);

#endif
