/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the service manager is told: ready, alive, one line of status, stopping. Without one nothing is.
 *
 * Nothing here waits: what the manager does not take at once is dropped, and said again where it still
 * holds. libsystemd's sd_notify() would wait for a manager that reads nothing, and measuring with it.
 *
 * sd_notify(3), "Description" and "Standalone Implementations": the protocol, which is stable.
 */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_STATUS_MAX = 256 };

struct notify {
	int fd; /* -1: there is no manager */
	struct sockaddr_un address;
	socklen_t address_len;
	uint64_t watchdog_ms; /* 0: nobody watches */
	uint64_t pause_ms; /* the longest that the caller may be silent and well */
	uint64_t alive_ms; /* when that was said last (monotonic) */
	uint64_t status_ms; /* likewise */
	bool ready;
	char status[NOTIFY_STATUS_MAX];
};

/*
 * name      of the manager's socket: $NOTIFY_SOCKET, a path or @ and an abstract name; NULL: there is none.
 *           One of another kind is none.
 * watchdog  $WATCHDOG_USEC, microseconds; 0: nobody watches.
 * pause_ms  how long the caller may be silent and well. A watchdog that is less patient is told to wait so
 *           long; and so long each time is asked for a start that takes longer than the manager expects.
 */
void notify_init(struct notify *notify, const char *name, uint64_t watchdog_us, uint64_t pause_ms);
void notify_done(struct notify *notify);

/* The caller makes progress, at now_ms (monotonic). To be called by what would stand still with it. */
void notify_alive(struct notify *notify, uint64_t now_ms);

/* The start is over. */
void notify_ready(struct notify *notify);

/*
 * One line for people. Each change of it wakes whoever looks at the manager's units: one that says no more
 * than a new count (is_urgent false) is told at most every ten seconds.
 */
void notify_status(struct notify *notify, uint64_t now_ms, const char *text, bool is_urgent);

/* The end has begun, and may take so long. */
void notify_stopping(struct notify *notify, uint64_t at_most_ms);

#endif
