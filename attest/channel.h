/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the attestation server may ask the measurer: the whole of it. The server speaks with anybody on
 * the network and has no privilege; the measurer has every privilege and speaks with nobody else.
 *
 * The channel is a pair of SOCK_SEQPACKET sockets; every request and every answer is one packet, in this
 * machine's byte order. A request has exactly the size of its row; anything else ends the server.
 * Answers come in any order; id says which request they are for.
 *
 *	request           size                              answer's bytes
 *	CHANNEL_FACTS     struct channel_request            one JSON object: the status, or the identity
 *	CHANNEL_QUOTE     struct channel_request            a statement, without a newline (below)
 *	CHANNEL_ACTIVATE  struct channel_activate_request   the proof, SHA256_LEN bytes
 *	CHANNEL_STATE     struct channel_state              none: the server says what became of it
 *
 * A server that asks for nothing for hang_timeout_ms hangs: one that has nothing to ask asks for the status.
 *
 * Where error is not 0, the bytes are one line of text that says why, without a newline.
 *
 * CHANNEL_QUOTE never makes the measurer read the log: the statement begins with a record before which the
 * PCR's values are at hand, at or before the one after `since`. Where `first` <= since, the statement's own
 * since is first - 1: the server takes it from there to since + 1 (since, first, start; and no kept quote
 * of a record before since), and sends the records after it from the database.
 */
#ifndef ATTEST_CHANNEL_H
#define ATTEST_CHANNEL_H

#include <assert.h>
#include <stdint.h>

#include "attest/server.h"
#include "bpf/bank.h"

#define CHANNEL_MAGIC "bpfmchn1"

enum {
	CHANNEL_BYTES_MAX = 64 * 1024, /* of an answer */
	CHANNEL_CREDENTIAL_MAX =
		134, /* TPM2B_ID_OBJECT: two digests of 64 bytes, their sizes, its own */
	CHANNEL_SECRET_MAX = 514, /* TPM2B_ENCRYPTED_SECRET: RSA-4096 */
};

enum channel_what { CHANNEL_FACTS = 1, CHANNEL_QUOTE, CHANNEL_ACTIVATE, CHANNEL_STATE };
enum channel_facts { CHANNEL_STATUS, CHANNEL_IDENTITY };

struct channel_request {
	char magic[8];
	uint32_t what;
	uint32_t id;
	uint32_t facts; /* CHANNEL_FACTS: enum channel_facts; else 0 */
	uint32_t zero;
	uint8_t nonce[SHA256_LEN]; /* CHANNEL_QUOTE; else zeros */
	uint8_t binding[SHA256_LEN]; /* likewise: TLS exporter value, zeros on the local socket */
	uint64_t since; /* likewise */
};
static_assert(sizeof(struct channel_request) == 96);

/* TPM 2.0 Library, Part 3, TPM2_ActivateCredential. */
struct channel_activate_request {
	char magic[8];
	uint32_t what;
	uint32_t id;
	uint32_t ek; /* index of the EK in the identity's list */
	uint16_t credential_len;
	uint16_t secret_len;
	uint8_t binding[SHA256_LEN];
	uint8_t credential[CHANNEL_CREDENTIAL_MAX]; /* TPM2B_ID_OBJECT */
	uint8_t secret[CHANNEL_SECRET_MAX]; /* TPM2B_ENCRYPTED_SECRET */
};
static_assert(sizeof(struct channel_activate_request) == 704);

/* Sent once when the server begins to serve, and once more where it ends by itself. */
struct channel_state {
	char magic[8];
	uint32_t what;
	uint32_t error; /* 0: it serves; a positive errno: it does not, text says why */
	uint32_t landlock; /* the version of Landlock that holds it; 0: none does */
	uint32_t seccomp; /* 1: its system calls are filtered */
	char text[SERVER_ERROR_MAX]; /* printable ASCII, NUL-terminated */
};
static_assert(sizeof(struct channel_state) == 24 + SERVER_ERROR_MAX);

struct channel_answer {
	char magic[8];
	uint32_t id;
	uint32_t error; /* a positive errno, or 0 */
};
static_assert(sizeof(struct channel_answer) == 16);

#endif
