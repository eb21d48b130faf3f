/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who this machine says it is, and the proof of it: the attester's half of an enrolment.
 */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "attest/channel.h"
#include "tpm/ek.h"

struct measurer;

enum {
	IDENTITY_ERROR_MAX = 512,
	IDENTITY_SHUN_MS = 10 * 60 * 1000,
};

/* The TPM's EKs as they were found. Zeros: they were not looked for since the TPM was connected to. */
struct identity {
	bool is_known;
	size_t ek_count;
	struct tpm_ek eks[TPM_EK_COUNT];
	/* When (monotonic) the TPM gave no answer over making a key: others wait for it too, so that
	 * is not tried again for IDENTITY_SHUN_MS. 0: never. */
	uint64_t shunned_ms[TPM_EK_COUNT];
};

/* The TPM was connected to anew: it may be another one. */
void identity_forget(struct measurer *measurer);

/*
 * The identity: one JSON object, compact, at most CHANNEL_BYTES_MAX bytes (docs/api.md). The first
 * call on a connection to the TPM reads the EKs, which takes as long as the TPM does: milliseconds
 * where they are stored, seconds where a chip has to make them.
 *
 * An EK whose public area is not to be had is left out. Where the TPM has neither a certificate nor a
 * stored EK, there is that of the template ecc256-l2, if it can be made.
 *
 * Returns 0 and ret_json, to be freed; -EAGAIN where the TPM is not to be had now; -ENOMEM; or another
 * error of tpm/tpm.h. ret_error is then one clause; what is wrong with the TPM is a fault by then.
 */
[[nodiscard]] int identity_json(
	struct measurer *measurer, char **ret_json, char ret_error[static IDENTITY_ERROR_MAX]);

/*
 * Answer a credential with its proof (attest/activation.h). It takes the TPM tens of milliseconds, and
 * seconds where a chip has to make the EK: the caller limits how often, and has extends and quotes go
 * first.
 *
 * Returns 0; -EINVAL for an EK that is none of the identity's; -EBADMSG for a credential that is for
 * another AK or EK, damaged or malformed; -EAGAIN where the TPM is not to be had now; or another error
 * as above.
 */
[[nodiscard]] int identity_activate(struct measurer *measurer,
	const struct channel_activate_request *request, uint8_t ret_proof[static SHA256_LEN],
	char ret_error[static IDENTITY_ERROR_MAX]);

#endif
