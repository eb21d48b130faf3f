/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine as its enrolment left it: what a verifier knows of it before any evidence came. */
#ifndef ATTEST_MACHINE_H
#define ATTEST_MACHINE_H

#include <stdint.h>

#include "attest/ak.h"
#include "attest/evidence.h"

enum {
	MACHINE_NAME_MAX = 255,
	MACHINE_EK_MAX = 640, /* TPM2B_PUBLIC of an EK: RSA-4096 */
};

/* How it came to be known that the AK is that machine's. In every verdict. */
enum machine_mode {
	MACHINE_EK_CERT, /* "ek-cert": the EK's certificate leads to a root of the operator's */
	MACHINE_EK_PINNED, /* "ek-pinned": the operator gave the EK */
	MACHINE_AK_PINNED, /* "ak-pinned": the operator gave the AK */
	MACHINE_FIRST_USE, /* "first-use": whoever answered first */
};

/*
 * What kind of TPM. Never from what the agent says, but that it is a software TPM, which is believed.
 */
enum machine_tpm {
	MACHINE_UNPROVEN, /* "unproven": nobody vouches for it */
	MACHINE_HARDWARE, /* "hardware": by the root, or the operator's word for a pinned key */
	MACHINE_SOFTWARE, /* "software" */
};

struct machine {
	char name[MACHINE_NAME_MAX + 1]; /* the operator's name for it */
	char address[MACHINE_NAME_MAX + 1]; /* HOST or HOST:PORT or [ADDRESS]:PORT */
	enum machine_mode mode;
	enum machine_tpm tpm;
	size_t ak_len; /* TPM2B_PUBLIC */
	uint8_t ak[EVIDENCE_AK_MAX];
	size_t ek_len; /* TPM2B_PUBLIC; 0: none was asked for */
	uint8_t ek[MACHINE_EK_MAX];
	unsigned pcr;
	bank_set base_banks; /* PCR values that begin its epochs; 0: zeros */
	struct bank_values base;
	uint64_t enrolled_ns; /* since 1970, UTC */
};

const char *machine_mode_name(enum machine_mode mode);
const char *machine_tpm_name(enum machine_tpm tpm);

#endif
