/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attestation server's process: started, watched, and started again when it ends, by the measurer, which
 * goes on measuring whatever becomes of it. What it may ask is in agent/requests.h.
 */
#ifndef AGENT_WARDEN_H
#define AGENT_WARDEN_H

#include <stdint.h>
#include <sys/types.h>

#include "agent/measurer.h"
#include "attest/server.h"

struct event_base;
struct quotes;
struct warden;

/* The only argument of a process that is the server. */
#define WARDEN_ARGUMENT "--attestation-server"

enum {
	WARDEN_DELAY_MIN_MS = 100, /* before it is started again, twice as long each time, */
	WARDEN_DELAY_MAX_MS = 60 * 1000,
	WARDEN_GOOD_MS = 60 * 1000, /* until it has served for so long */
	WARDEN_LOOKS = 4, /* in hang_timeout: whether it lives */
	WARDEN_START_MS = 60 * 1000, /* for its start at least: names may take long to look up */
};

enum warden_state {
	WARDEN_OFF, /* nothing is configured that it would listen on */
	WARDEN_STARTING,
	WARDEN_SERVING,
	WARDEN_RESTARTING, /* it has served, and ended */
	WARDEN_FAILED, /* it could not begin to serve */
};

/* What status says of it. */
struct warden_status {
	enum warden_state state;
	pid_t pid; /* 0: there is none now */
	uint64_t restarts;
	uint32_t landlock; /* as in struct channel_state */
	bool seccomp;
	char why[SERVER_ERROR_MAX]; /* it does not serve; empty: it serves, or starts for the first time */
};

/* "off", "starting", "serving", "restarting", "failed". */
const char *warden_state_name(enum warden_state state);

/*
 * Start the server, where something is configured. measurer->attest is set until warden_free().
 *
 * wake  warden_turn() is due when nothing else can be read.
 *
 * Returns 0 or -ENOMEM. That a server does not start is not an error: it is tried again.
 */
[[nodiscard]] int warden_new(struct event_base *base, struct measurer *measurer,
	struct quotes *quotes, void (*wake)(void *arg), void *arg, struct warden **ret_warden);

/* The server ends with it. */
void warden_free(struct warden *warden);

/* After the quotes: see requests_turn(). */
void warden_turn(struct warden *warden);

/* The server's process, from its start to its exit code. */
int warden_serve(void);

#endif
