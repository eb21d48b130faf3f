/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The measurer's end of the channel to the attestation server (attest/channel.h): its requests, one table
 * of them, and their answers. Whatever is not exactly a request of the table is the end of the server.
 *
 * Quotes wait with all others (agent/quotes.h). What else needs the TPM comes after them, one at a time:
 * the identity, and credentials.
 */
#ifndef AGENT_REQUESTS_H
#define AGENT_REQUESTS_H

#include "agent/measurer.h"
#include "attest/channel.h"

struct event_base;
struct quotes;
struct requests;

enum {
	REQUESTS_BESIDE = 64, /* that may be open besides the challenges that wait */
	REQUESTS_LATE_MAX = 16, /* of these, that need the TPM for something else than a quote */
};

/* What activations may use up of the TPM's time; it outlives the server's process, so that one that ends
 * gains nothing by that. */
struct requests_credit {
	int64_t left_ms; /* less than 0: they took too long */
	uint64_t as_of_ms; /* monotonic */
};

/* A minute's worth, for those that come first. */
struct requests_credit requests_credit_new(void);

struct requests_setup {
	struct event_base *base;
	struct measurer *measurer;
	struct quotes *quotes; /* with room for waiting_max + REQUESTS_BESIDE challenges of ours */
	uint32_t waiting_max;
	uint32_t activations_per_minute;
	struct requests_credit *credit; /* the caller's */

	/* The server says that it serves, or why it does not. */
	void (*on_state)(void *arg, const struct channel_state *state);

	/* The server is gone (why is empty), or has sent what is no request: requests_free() is due, from
	 * here or later. */
	void (*on_end)(void *arg, const char *why);

	void *arg;

	/* requests_turn() is due when nothing else can be read. */
	void (*wake)(void *arg);
	void *wake_arg;
};

/* channel is closed with it. Returns NULL without memory, and channel is still the caller's. */
struct requests *requests_new(const struct requests_setup *setup, int channel);
void requests_free(struct requests *requests);

/* Whether something was asked since the last call. */
bool requests_heard(struct requests *requests);

/* After the quotes: one thing of what else needs the TPM. */
void requests_turn(struct requests *requests);

#endif
