/* SPDX-License-Identifier: BSD-2-Clause */
/* What a verifier was given when a machine was enrolled, from the command line. */
#ifndef CLI_ENROLMENT_H
#define CLI_ENROLMENT_H

#include <stdbool.h>

#include "attest/ak.h"
#include "attest/ek.h"
#include "bpf/bank.h"

/* The AK in a file; "-" is stdin. Returns CLI_GOOD, or it was said what is wrong. */
[[nodiscard]] int enrolment_ak_load(const char *path, struct ak *ret);

/* The EK in a file, likewise. */
[[nodiscard]] int enrolment_ek_load(const char *path, struct ek_pin *ret);

/* What a machine may be called: 1 to MACHINE_NAME_MAX printable bytes of ASCII without a blank, the first no
 * dash. */
bool enrolment_is_name(const char *name);

/* The number of a PCR. */
[[nodiscard]] bool enrolment_pcr_parse(const char *text, unsigned *ret_pcr);

/* "BANK:HEX", added to the values of a PCR; false too where the bank has one already. */
[[nodiscard]] bool enrolment_base_parse(
	const char *text, bank_set *banks, struct bank_values *values);

#endif
