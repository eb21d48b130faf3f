/* SPDX-License-Identifier: BSD-2-Clause */
/* What the measurer tells the server's process to be: the first packet of the channel. */
#ifndef AGENT_WARDEN_OWN_H
#define AGENT_WARDEN_OWN_H

#include <stdbool.h>

#include "agent/conf.h"
#include "attest/server.h"

enum { WARDEN_CHANNEL_FD = 3 }; /* in the server's process */

struct warden_orders {
	struct server_conf server;
	char user[CONF_NAME_SIZE];
	bool sandbox_is_required;
};

#endif
