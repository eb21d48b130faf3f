/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A verifier's end of the channel: HTTPS to one attestation server, and what binds evidence to it
 * (RFC 9266, tls-exporter).
 *
 * The server's certificate proves nothing by default: the evidence does, which names the channel that it
 * was made for. With a CA it is checked as browsers do.
 */
#ifndef ATTEST_CLIENT_H
#define ATTEST_CLIENT_H

#include <stdint.h>
#include <stdio.h>

#include "bpf/bank.h"

struct client_options {
	const char *address; /* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT; else SERVER_PORT */
	const char *ca; /* PEM; NULL: the certificate is not checked */
	const char *certificate; /* of ourselves, PEM; NULL: none */
	const char *key;
	unsigned connect_timeout_ms;
	unsigned stall_timeout_ms; /* without a byte coming, checked about once a second */
	unsigned total_timeout_ms; /* of a request, whatever comes; 0: no limit */
	uint64_t body_max; /* bytes of an answer */
};

struct client;

/* Nothing is sent yet. Returns 0; -EINVAL for an address that is none; -ELIBACC without
 * libcurl, which is loaded here; or -ENOMEM. */
[[nodiscard]] int client_new(const struct client_options *options, struct client **ret_client);
void client_free(struct client *client);
void client_freep(struct client **client);

/*
 * One request; its answer's body goes into a stream as it comes. The connection is kept for the next.
 * Several clients may be used by as many threads at once.
 *
 * path   begins with "/", less than 100 bytes.
 * json   the body of a POST; NULL: a GET.
 *
 * Returns the HTTP status, and client_binding() is of the channel that the answer came through; or a
 * negative errno: -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -EPROTO (TLS, HTTP), -EMSGSIZE (body_max, or
 * more headers than anybody sends), -EIO (the stream), -EINVAL (a file of the options cannot be used),
 * -ENOTSUP (a libcurl without OpenSSL), -ENOMEM. client_errmsg() says it for people, printable ASCII.
 * What came into the stream is then worth nothing. No redirect is followed.
 */
[[nodiscard]] int client_request(
	struct client *client, const char *path, const char *json, FILE *into);

/* The clause in {"error":"…"}, as servers answer that refuse, without what is around it: a part of body, which is
 * changed. All of body where it is anything else. */
const char *client_error_text(char *body);

const uint8_t *client_binding(const struct client *client); /* SHA256_LEN bytes */
const char *client_errmsg(const struct client *client);

#endif
