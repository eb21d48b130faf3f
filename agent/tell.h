/* SPDX-License-Identifier: BSD-2-Clause */
/* What the measurer has to say: of records, in their own values, and of its faults. agent/say.h says it. */
#ifndef AGENT_TELL_H
#define AGENT_TELL_H

#include "agent/conf.h"
#include "agent/fault.h"
#include "agent/log.h"
#include "agent/say.h"

/*
 * A line of a record that is in the log, where its kind has one: load (as loads says) and reject, of others than the
 * agent itself; lost, foreign, epoch, resume.
 */
void tell_record(struct say *say, enum conf_loads loads, const struct log_committed *record);

/* Faults as they were told last. */
struct tell {
	struct fault faults[FAULT_SLOT_COUNT];
	uint64_t began[FAULT_COUNT]; /* how often each kind has begun */
	bool is_measuring;
};

/* Each fault once, with what to do about it; that it is over; and when there is none any more. Returns whether
 * there was any of that to be told. */
bool tell_faults(
	struct tell *tell, struct say *say, const struct fault faults[static FAULT_SLOT_COUNT]);

#endif
