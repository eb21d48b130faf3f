/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/machine.h"

const char *machine_mode_name(enum machine_mode mode)
{
	static const char *const names[] = {
		[MACHINE_EK_CERT] = "ek-cert",
		[MACHINE_EK_PINNED] = "ek-pinned",
		[MACHINE_AK_PINNED] = "ak-pinned",
		[MACHINE_FIRST_USE] = "first-use",
	};

	return names[mode];
}

const char *machine_tpm_name(enum machine_tpm tpm)
{
	static const char *const names[] = {
		[MACHINE_UNPROVEN] = "unproven",
		[MACHINE_HARDWARE] = "hardware",
		[MACHINE_SOFTWARE] = "software",
	};

	return names[tpm];
}
