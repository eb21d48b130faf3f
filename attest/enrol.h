/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enrolment: find out which AK is a machine's, and what vouches for it.
 *
 * The agent says who it is; its AK is looked at; an EK of its TPM is found good (by its certificate, or
 * because the operator gave it), and the TPM shows that it has both keys by opening a credential that was
 * made for the two. The proof of that is bound to the channel (attest/activation.h).
 */
#ifndef ATTEST_ENROL_H
#define ATTEST_ENROL_H

#include <stdbool.h>

#include "attest/ak.h"
#include "attest/ek.h"
#include "attest/machine.h"
#include "attest/round.h"

enum { ENROL_TEXT_MAX = 1024 };

/* Why not. The words are part of the interface and do not change. */
enum enrol_reason {
	ENROL_OK, /* "ok" */

	/* Refused. */
	ENROL_MALFORMED, /* "malformed": an answer is not what it should be */
	ENROL_AK_ATTRIBUTES, /* "ak-attributes": a key that can sign what no TPM has seen, or none */
	ENROL_AK_UNKNOWN, /* "ak-unknown": another AK than the one pinned */
	ENROL_EK_NONE, /* "ek-none": no EK with a certificate, or not the one pinned */
	ENROL_EK_TEMPLATE, /* "ek-template": not made from a template of the TCG's */
	ENROL_EK_CERTIFICATE, /* "ek-certificate": none, or none of an EK */
	ENROL_EK_KEY, /* "ek-key": the certificate is of another key */
	ENROL_EK_CHAIN, /* "ek-chain": the certificate leads to no root, or not today */
	ENROL_PROOF, /* "proof": the TPM with that EK does not have that AK */
	ENROL_PCR, /* "pcr": it measures into another PCR than the one asked for */
	ENROL_NOT_HARDWARE, /* "not-hardware": and that was asked for */
	ENROL_CHANGED, /* "changed": it was enrolled before, with other keys or on better grounds */

	/* Could not find out. */
	ENROL_UNREACHABLE, /* "unreachable" */
	ENROL_CHANNEL, /* "channel": TLS or HTTP fails */
	ENROL_REFUSED, /* "refused": the server does not want to, or cannot now */
	ENROL_FAILED, /* "failed": no memory, or OpenSSL refuses an algorithm */
	ENROL_REASON_COUNT,
};

const char *enrol_reason_name(enum enrol_reason reason);

/* Whether a reason says that the machine is not to be trusted, rather than that nothing was found out. */
bool enrol_is_refusal(enum enrol_reason reason);

/*
 * mode      and what it takes: roots (MACHINE_EK_CERT), ek (MACHINE_EK_PINNED), ak (MACHINE_AK_PINNED).
 * word      the operator's for the TPM of a pinned key; MACHINE_UNPROVEN: none.
 * base      PCR values in base_banks with which its epochs may begin.
 * known     what was enrolled under that name; NULL: nothing. Other keys than its are refused, unless
 *           replace.
 */
struct enrol_options {
	struct round_peer peer;
	const char *name;
	const char *address;
	enum machine_mode mode;
	const struct ek_roots *roots;
	const struct ek_pin *ek;
	const struct ak *ak;
	enum machine_tpm word;
	bool require_hardware;
	unsigned pcr;
	bank_set base_banks;
	const struct bank_values *base;
	const struct machine *known;
	bool replace;
};

/* explanation  a sentence for people, printable ASCII; of ENROL_OK too: what was proven. */
struct enrol_result {
	enum enrol_reason reason;
	char explanation[ENROL_TEXT_MAX];
	struct machine machine; /* under ENROL_OK; enrolled_ns is now */
	const char *template; /* of the EK that was used; NULL: none was */
};

/*
 * Always writes the whole of ret_result.
 *
 * EKs are tried in order of strength, the one that is known first: the first that is good and that the
 * TPM opens a credential for is taken. Where none is, the reason is that of the first. MACHINE_AK_PINNED
 * asks for no EK; MACHINE_FIRST_USE takes any, so that at least the two keys are of one TPM, and none
 * where there is none.
 */
void enrol(const struct enrol_options *options, struct enrol_result *ret_result);

#endif
