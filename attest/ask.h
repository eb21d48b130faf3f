/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a local process may ask the measurer over its unix socket, and how: the whole protocol.
 *
 * A connection is one request and one answer. The request is a struct ask_request, exactly; the
 * answer is a struct ask_answer and then bytes until the measurer closes. Both ends are the same
 * machine: numbers are in its byte order.
 *
 *	request          answer's bytes
 *	ASK_STATUS       one JSON object, compact, ending with a newline (docs/format.md, "Status")
 *	ASK_EVIDENCE     evidence (docs/format.md, "Evidence"), for this nonce, binding and since
 *	ASK_LOADED       one JSON object as above (docs/format.md, "Programs loaded now")
 *
 * Where error is not 0, the bytes are one line of text that says why. Evidence that was cut off
 * shows: its statement says which record is the last.
 */
#ifndef ATTEST_ASK_H
#define ATTEST_ASK_H

#include <assert.h>
#include <stdint.h>

#include "bpf/bank.h"

#define ASK_MAGIC "bpfmask1"

enum ask_what { ASK_STATUS = 1, ASK_EVIDENCE, ASK_LOADED };

struct ask_request {
	char magic[8];
	uint32_t what;
	uint32_t zero;
	uint8_t nonce[SHA256_LEN]; /* ASK_EVIDENCE; zeros otherwise */
	uint8_t binding[SHA256_LEN]; /* likewise; zeros for oneself */
	uint64_t since; /* likewise: the last record that the asker has, or 0 */
};
static_assert(sizeof(struct ask_request) == 88);

struct ask_answer {
	char magic[8];
	uint32_t error; /* a positive errno, or 0 */
	uint32_t zero;
};
static_assert(sizeof(struct ask_answer) == 16);

#endif
