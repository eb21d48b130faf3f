/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who an agent says its machine is (GET /v1/identity). All of it is a claim: enrolment finds out what of
 * it is true.
 */
#ifndef ATTEST_IDENTITY_H
#define ATTEST_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/channel.h"
#include "attest/ek.h"
#include "attest/evidence.h"
#include "bpf/line.h"

enum {
	IDENTITY_EK_MAX = 8,
	IDENTITY_NAME_MAX = 64, /* of a template, a manufacturer, a vendor */
};

struct identity_ek {
	char template[IDENTITY_NAME_MAX + 1];
	size_t public_len; /* TPM2B_PUBLIC; any bytes */
	uint8_t public[MACHINE_EK_MAX];
	size_t certificate_len; /* DER, any bytes; 0: none */
	uint8_t certificate[EK_CERTIFICATE_MAX];
};

struct identity_claim {
	char agent[EVIDENCE_AGENT_MAX + 1]; /* version */
	size_t ak_len; /* TPM2B_PUBLIC; any bytes */
	uint8_t ak[EVIDENCE_AK_MAX];
	unsigned pcr;
	bank_set banks;
	bool has_log_id;
	uint8_t log_id[16];
	bool software;
	char manufacturer[IDENTITY_NAME_MAX + 1];
	char vendor[IDENTITY_NAME_MAX + 1];
	size_t ek_count;
	struct identity_ek eks[IDENTITY_EK_MAX]; /* as they are numbered for /v1/activate */
};

/*
 * Decode len bytes (any bytes): one line of the grammar of docs/format.md, at most CHANNEL_BYTES_MAX
 * bytes, which a newline may end. Texts become printable ASCII.
 *
 * Returns 0; -EBADMSG with ret_error written. ret is written on success only.
 */
[[nodiscard]] int identity_claim_decode(
	const char *line, size_t len, struct identity_claim *ret, struct line_error *ret_error);

#endif
