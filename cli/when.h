/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as people write and read them; nanoseconds since 1970, UTC, in between. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEN_MAX = 64 };

/* Which one, of a local time that there is twice: in autumn, when clocks go back. */
enum when_end { WHEN_FIRST, WHEN_LAST };

/*
 * Read a time:
 *
 *	2026-01-02T03:04:05Z, 2026-01-02T03:04:05.678+01:00     RFC 3339
 *	2026-01-02, 2026-01-02 03:04, 2026-01-02 03:04:05       local time
 *	-90s, -30m, -1h, -2d, -1w                               before now_ns
 *
 * From 1970 until 2554. A local time that clocks pass over in spring is none, but where the day
 * begins in such an hour the day alone is its first moment. ret_ns is written on success only.
 */
[[nodiscard]] bool when_parse(
	const char *text, uint64_t now_ns, enum when_end end, uint64_t *ret_ns);

uint64_t when_now(void);

/* From here on the local zone is UTC, of times that are read and of those that are shown. */
void when_utc(void);

/* Local time: "Nov 21 08:35:01"; of that "Nov 21" and "08:35:01"; the day with the offset of the zone,
 * "2026-11-21 +0100"; and everything, "2026-11-21 08:35:01 +0100". */
void when_short(uint64_t ns, char ret_text[static WHEN_MAX]);
void when_date(uint64_t ns, char ret_text[static WHEN_MAX]);
void when_clock(uint64_t ns, char ret_text[static WHEN_MAX]);
void when_day(uint64_t ns, char ret_text[static WHEN_MAX]);
void when_full(uint64_t ns, char ret_text[static WHEN_MAX]);

/* The names that the local zone has in the year of now_ns: "UTC", "CET/CEST". */
void when_zone(uint64_t now_ns, char ret_text[static WHEN_MAX]);

#endif
