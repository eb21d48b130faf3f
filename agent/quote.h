/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence: a quote and the part of the log that leads to it, cut at the same place. */
#ifndef AGENT_QUOTE_H
#define AGENT_QUOTE_H

#include "agent/measurer.h"
#include "attest/ask.h"
#include "attest/evidence.h"

/*
 * Quote for one challenge: waits (at most quote_wait) until everything that happened before it is
 * in the TPM; where that is not enough, the statement says by how many records it is behind.
 *
 * The records first ... last of the statement are in the database then and never change.
 *
 * Returns 0; -EINVAL for a since beyond the log; an error of the TPM or the log, error its text.
 */
[[nodiscard]] int quote_take(struct measurer *measurer, const struct ask_request *request,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX]);

#endif
