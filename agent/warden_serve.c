/* SPDX-License-Identifier: BSD-2-Clause */
/* The attestation server's process: what it is told to be, what it gives up, and the server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/sandbox.h"
#include "agent/warden.h"
#include "agent/warden_own.h"
#include "attest/channel.h"

static_assert((int)SANDBOX_ERROR_MAX <= (int)SERVER_ERROR_MAX);

/* Where the measurer is gone there is nobody to tell. */
static void tell(const struct sandbox_held *held, int err, const char *text)
{
	struct channel_state state = {
		.magic = CHANNEL_MAGIC,
		.what = CHANNEL_STATE,
		.error = (uint32_t)-err,
		.landlock = (uint32_t)held->landlock,
		.seccomp = held->seccomp,
	};

	snprintf(state.text, sizeof(state.text), "%s", text);
	(void)!send(WARDEN_CHANNEL_FD, &state, sizeof(state), MSG_NOSIGNAL);
}

static int serve(const struct warden_orders *orders, struct server *server,
	struct sandbox_held *held, char error[static SERVER_ERROR_MAX])
{
	const struct sandbox_options options = {
		.user = orders->user,
		.group = orders->server.group,
		.database = orders->server.database,
		.is_required = orders->sandbox_is_required,
	};
	uint8_t digest[SHA256_LEN];
	int err = sha256("", 0, digest); /* OpenSSL reads its configuration while it can */

	if (err) {
		snprintf(error, SERVER_ERROR_MAX, "OpenSSL cannot hash");
		return err;
	}
	err = sandbox_enter(&options, held, error);
	if (err)
		return err;
	tell(held, 0, "");
	return server_run(server, error);
}

int warden_serve(void)
{
	struct warden_orders orders;
	struct sandbox_held held = {};
	struct server *server = NULL;
	char error[SERVER_ERROR_MAX] = "";
	int err;

	if (recv(WARDEN_CHANNEL_FD, &orders, sizeof(orders), MSG_TRUNC) != sizeof(orders)) {
		fputs("bpfmeasured: " WARDEN_ARGUMENT " is for bpfmeasured itself\n", stderr);
		return 2;
	}
	prctl(PR_SET_NAME, "bpfmeasure-http");
	err = server_new(&orders.server, WARDEN_CHANNEL_FD, &server, error);
	if (!err)
		err = serve(&orders, server, &held, error);
	if (err)
		tell(&held, err, error);
	server_free(server);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
