/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit trail: one AUDIT_TRUSTED_APP record per load in the kernel's audit log.
 *
 * Best effort by design: where auditing is off, absent or refuses, measuring goes on, and the
 * failures are counted. It never switches auditing on. Once a full
 * backlog has made a message wait for a second, no more are sent.
 */
#ifndef AGENT_TRAIL_H
#define AGENT_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/record.h"

struct trail;

/* NULL without memory. Where the audit socket cannot be opened every message counts as failed. */
struct trail *trail_new(bool enable);
void trail_free(struct trail *trail);

struct trail_load {
	uint64_t seq;
	uint32_t program_id; /* 0 for a load that was refused */
	unsigned error; /* its errno, or 0 */
	enum record_verdict verdict;
	enum record_covers covers;
	const char *signer; /* record_signer_name() */
	struct record_digest sha256;
};

/* Keep a load's message until its record is in the TPM. Without memory it counts as failed. */
void trail_put(struct trail *trail, const struct trail_load *load);

/* Send the messages of the records up to seq. */
void trail_send(struct trail *trail, uint64_t extended_seq);

/* Messages that the kernel did not take. */
uint64_t trail_failed(const struct trail *trail);

#endif
