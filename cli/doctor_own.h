/* SPDX-License-Identifier: BSD-2-Clause */
/* What the checks of cli/doctor*.c share about registers and JSON. */
#ifndef CLI_DOCTOR_OWN_H
#define CLI_DOCTOR_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "cli/doctor.h"

struct json_t;

void doctor_json_freep(struct json_t **json);

/* Bit pcr; 0 where there is no such register. */
uint32_t doctor_pcr_bit(int64_t pcr);

/* The registers of an array of numbers, a number, or a text of numbers with commas between. */
uint32_t doctor_pcr_mask(const struct json_t *value);

/* The daemon's registers are those of a TPM 2.0 that the kernel shows, not of a software TPM of its own. */
bool doctor_tpm_is_chip(const struct doctor *doctor);

enum { DOCTOR_DIGITS_MAX = 2 * BANK_DIGEST_MAX + 2 };

/* What the kernel shows of a register, in lower case. Returns whether it does. */
bool doctor_pcr_value(const struct doctor *doctor, enum bank bank, unsigned pcr,
	char ret_digits[static DOCTOR_DIGITS_MAX]);
bool doctor_pcr_is_zero(const char *digits);

/* One that is zero in this boot, not taken, and not the configured one; 0: none is known. */
unsigned doctor_pcr_free(const struct doctor *doctor, uint32_t taken);

/* How to give the daemon another register than it has. */
void doctor_do_other_pcr(struct doctor *doctor, uint32_t taken);

#endif
