/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The measurer's unix socket: attest/ask.h is all that can be asked.
 *
 * Answers are streamed from the database as the asker reads them, so a slow asker costs a
 * descriptor and SERVE_CHUNK bytes, never the measuring.
 */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include "agent/measurer.h"

struct event_base;
struct quotes;
struct serve;

enum {
	SERVE_CONNECTIONS_MAX = 64,
	SERVE_TIMEOUT_S = 30, /* for a request to arrive, and for each part of an answer to leave */
	SERVE_CHUNK = 256 * 1024,
};

/*
 * Listen on the path of conf, which is made anew, with mode 0660 and the log's group. quotes is the
 * caller's and outlives it; at most SERVE_CONNECTIONS_MAX challenges are put there.
 *
 * Returns 0 or a negative errno of the socket calls.
 */
[[nodiscard]] int serve_new(struct event_base *base, struct measurer *measurer,
	struct quotes *quotes, struct serve **ret_serve);
void serve_free(struct serve *serve);

#endif
