/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/client.h"
#include "attest/round.h"

static int request(void *arg, const char *path, const char *json, FILE *into)
{
	return client_request(arg, path, json, into);
}

static const uint8_t *binding(void *arg)
{
	return client_binding(arg);
}

static const char *errmsg(void *arg)
{
	return client_errmsg(arg);
}

struct round_peer round_peer_client(struct client *client)
{
	return (struct round_peer){
		.arg = client,
		.request = request,
		.binding = binding,
		.errmsg = errmsg,
	};
}
