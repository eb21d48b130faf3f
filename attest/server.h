/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attestation server: HTTP/1.1 over TLS 1.3 for verifiers, and over a local socket. docs/api.md is
 * what it speaks; attest/channel.h is all that it may ask of the measurer.
 *
 * It is a process of its own. What needs privilege (certificates, keys, listening sockets) is done by
 * server_new(), then the caller gives the privileges up, and server_run() needs none: it reads the
 * database and speaks.
 */
#ifndef ATTEST_SERVER_H
#define ATTEST_SERVER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SERVER_PORT = 7913, /* unless configured otherwise */
	SERVER_PATH_SIZE = 191,
	SERVER_SOCKET_SIZE = 108,
	SERVER_NAME_SIZE = 33,
	SERVER_ERROR_MAX = 512,
};

/* All of it plain bytes: it is handed to the server's process as one packet of the channel. Texts are
 * NUL-terminated; what is not there is empty. */
struct server_conf {
	char listen[SERVER_PATH_SIZE]; /* ADDRESS:PORT, [ADDRESS]:PORT */
	char metrics_listen[SERVER_PATH_SIZE]; /* likewise, plain HTTP, /metrics only */
	char socket[SERVER_SOCKET_SIZE]; /* local, plain HTTP, every route */
	char group[SERVER_NAME_SIZE]; /* who may use the local socket */
	char database[SERVER_PATH_SIZE];
	char dir[SERVER_PATH_SIZE]; /* where the certificate is that is made on first start */
	char certificate[SERVER_PATH_SIZE]; /* PEM, a chain; empty: the one that was made */
	char key[SERVER_PATH_SIZE]; /* PEM */
	char client_ca[SERVER_PATH_SIZE]; /* PEM; empty: no client certificates */
	bool require_client_cert;
	uint64_t header_max; /* bytes */
	uint64_t body_max; /* bytes */
	uint32_t
		request_timeout_ms; /* from accepting, or the end of the last answer, to a whole request */
	uint32_t send_timeout_ms; /* for each chunk of an answer, of some 64 KiB, to leave */
	uint32_t connections_max;
	uint32_t connections_per_peer;
	uint32_t waiting_max; /* challenges that wait for a quote */
	uint32_t activations_per_minute;
	uint32_t
		hang_timeout_ms; /* the measurer hears of us several times in that; 0: only when we ask it something */
};

struct server;

/*
 * Make or load the certificate, and listen; clients that come before server_run() wait. conf and channel
 * (a descriptor) stay the caller's and must outlive the server. The process's limit of descriptors is
 * raised where that is needed for the connections.
 *
 * Returns 0, or a negative errno and ret_error: one clause for people.
 */
[[nodiscard]] int server_new(const struct server_conf *conf, int channel,
	struct server **ret_server, char ret_error[static SERVER_ERROR_MAX]);

/*
 * Serve until the measurer closes the channel. From here on nothing is opened but the database, read-only
 * and again whenever another file takes its place: while there is none to be had, what needs it is
 * answered with 503. SIGPIPE is ignored from here on. What no client is told goes to standard error, a few
 * lines a minute: "bpfmeasured: attestation server: ...".
 *
 * Returns 0, or a negative errno and ret_error: the channel is broken, or its other end is no measurer.
 */
[[nodiscard]] int server_run(struct server *server, char ret_error[static SERVER_ERROR_MAX]);

void server_free(struct server *server);

#endif
