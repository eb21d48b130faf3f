/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as people write and read them; nanoseconds since 1970, UTC, in between. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEN_MAX = 64 };

/*
 * Read a time:
 *
 *	2026-01-02T03:04:05Z, 2026-01-02T03:04:05.678+01:00     RFC 3339
 *	2026-01-02, 2026-01-02 03:04, 2026-01-02 03:04:05       local time
 *	-90s, -30m, -1h, -2d, -1w                               before now_ns
 *
 * From 1970 until 2554. ret_ns is written on success only.
 */
[[nodiscard]] bool when_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns);

uint64_t when_now(void);

/* Local time: "Nov 21 08:35:01"; and with everything, "2026-11-21 08:35:01 +0100". */
void when_short(uint64_t ns, char ret_text[static WHEN_MAX]);
void when_full(uint64_t ns, char ret_text[static WHEN_MAX]);

#endif
