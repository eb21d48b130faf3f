/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `bpfmeasure doctor` reads of others' formats: bytes that we did not write. Each is bounded and
 * is fuzzed (tests/fuzz/doctor.c). Registers come as a mask, bit N for PCR N.
 *
 * Each returns 0, or -EINVAL for bytes that are not of the format, and -ENOMEM where it says so;
 * outputs are written on success only.
 */
#ifndef CLI_DOCTOR_FOREIGN_H
#define CLI_DOCTOR_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A kernel's BTF (/sys/kernel/btf/vmlinux).
 *
 * functions       up to 64 names, and a NULL
 * ret_found       bit N: it has function N
 * ret_signatures  BPF_PROG_LOAD takes a signature
 */
[[nodiscard]] int btf_look(const uint8_t *bytes, size_t len, const char *const *functions,
	uint64_t *ret_found, bool *ret_signatures);

/* Where in an ordered list of up to 24 registers each is named, and of which kind. */
struct luks_token {
	char id[12]; /* its number in the header */
	char type[32]; /* "systemd-tpm2", "clevis", ... */
	uint32_t pcrs; /* it is bound to their values */
	uint32_t signed_pcrs; /* to values that somebody signed */
};

enum {
	LUKS_TOKENS_MAX = 32, /* LUKS2 On-Disk Format, 3.5: so many it may have */
	LUKS_HEADER_MAX = 4 << 20, /* 3.1: a header with its JSON is at most so large */
};

/*
 * The tokens of a LUKS2 header that hold keys for a TPM: systemd-cryptenroll's and clevis'. A header of
 * LUKS1 has none.
 *
 * bytes  from the beginning of the device, up to LUKS_HEADER_MAX
 *
 * Returns the number of tokens; -EINVAL, -ENOMEM.
 */
[[nodiscard]] int luks_tokens(
	const uint8_t *bytes, size_t len, struct luks_token ret_tokens[static LUKS_TOKENS_MAX]);

/* Who extended a register, by systemd's log of its own measurements. */
struct measured {
	unsigned pcr;
	unsigned count;
	char what[64]; /* of the last of them, "phase: sysinit" */
};

/*
 * /run/log/systemd/tpm2-measure.log: one object for each measurement.
 *
 * pcr  which is asked for
 *
 * ret_measured  of that register; count 0: none
 *
 * systemd, docs/TPM2_PCR_MEASUREMENTS.md; RFC 7464.
 */
[[nodiscard]] int measure_log_look(
	const uint8_t *bytes, size_t len, unsigned pcr, struct measured *ret_measured);

/* A policy of systemd-pcrlock(8) (/var/lib/systemd/pcrlock.json): the registers it locks to. */
[[nodiscard]] int pcrlock_look(const uint8_t *bytes, size_t len, uint32_t *ret_pcrs);

/*
 * An EFI variable of systemd-stub(7) that names a register: attributes, then its number in decimal,
 * UTF-16.
 */
[[nodiscard]] int efi_pcr_look(const uint8_t *bytes, size_t len, unsigned *ret_pcr);

#endif
