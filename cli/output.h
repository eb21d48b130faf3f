/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that is there when it is complete: it is written beside its place and moved there. "-" is
 * stdout; what is no regular file (a pipe, /dev/null) is written as it is.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

struct output {
	FILE *file;
	const char *path; /* the caller's */
	char *temporary; /* NULL: file is the place itself */
};

/* Returns 0, and output_done() is due; a negative errno. */
[[nodiscard]] int output_open(struct output *output, const char *path);

/* Put it in its place, its bytes on the disk. Returns 0; a negative errno, and the place is as it was. */
[[nodiscard]] int output_commit(struct output *output);

/* Remove what was not committed. */
void output_done(struct output *output);

/* All of it: open, write, commit. Returns 0 or a negative errno. */
[[nodiscard]] int output_write(const char *path, const void *bytes, size_t len);

#endif
