/* SPDX-License-Identifier: BSD-2-Clause */
/* bpfmeasure status --cross-check: what the kernel says is loaded, held against the log. */
#ifndef CLI_CROSS_H
#define CLI_CROSS_H

#include <stdbool.h>

/*
 * Ask the daemon at socket_path what is loaded, read from the log at db_path what was and did not
 * end, and print which programs are hidden; a few seconds later where there seem to be any, for what
 * is being loaded or freed just then is not.
 *
 * Returns the exit code; what kept it from finding out was said.
 */
[[nodiscard]] int cross_run(const char *socket_path, const char *db_path, bool json);

#endif
