/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence: a quote and the part of the log that leads to it, cut at the same place. The three steps are
 * taken one right after the other, and nothing is extended in between.
 */
#ifndef AGENT_QUOTE_H
#define AGENT_QUOTE_H

#include "agent/measurer.h"
#include "attest/evidence.h"

/*
 * Wait (at most quote_wait) until everything that happened before now is in the TPM.
 *
 * ret_behind  how many records and events are not, where that was not enough
 *
 * Returns 0; -EAGAIN while nothing can be quoted, error why.
 */
[[nodiscard]] int quote_settle(
	struct measurer *measurer, uint64_t *ret_behind, char error[static MEASURER_TEXT_MAX]);

/* As measurer_quote(), with a text; and the place in the log is marked. */
[[nodiscard]] int quote_sign(struct measurer *measurer, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX]);

/*
 * What a statement says of the log: its records after `since`, which are in the database and never change,
 * and the PCR before and after them; and the AK. What only a quote or a challenge can say is left zero.
 *
 * near  begin where the PCR before it is at hand, at or before since: nothing of the log is read. The
 *       statement's since is first - 1 then, if it was not less.
 *
 * Returns 0; -EINVAL for a since beyond the log; an error of the log, error its text.
 */
[[nodiscard]] int quote_cut(struct measurer *measurer, uint64_t since, bool near,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX]);

#endif
