/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `bpfmeasure doctor` reads of others' formats. The first byte says which; what is accepted is within
 * its bounds, and what is refused writes nothing.
 */
#include <assert.h>
#include <string.h>

#include "cli/doctor_foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_luks(const uint8_t *bytes, size_t len)
{
	struct luks_token tokens[LUKS_TOKENS_MAX];
	int count = luks_tokens(bytes, len, tokens);

	assert(count <= LUKS_TOKENS_MAX);
	for (int i = 0; i < count; i++) {
		assert(memchr(tokens[i].id, 0, sizeof(tokens[i].id)));
		assert(!strcmp(tokens[i].type, "systemd-tpm2") ||
			!strcmp(tokens[i].type, "clevis"));
		assert(!((tokens[i].pcrs | tokens[i].signed_pcrs) >> 24));
	}
}

static void try_measure_log(const uint8_t *bytes, size_t len)
{
	struct measured measured;

	memset(&measured, 0x5a, sizeof(measured));
	if (measure_log_look(bytes, len, 13, &measured))
		assert(measured.count == 0x5a5a5a5a);
	else
		assert(measured.pcr == 13 && memchr(measured.what, 0, sizeof(measured.what)));
}

static void try_pcrlock(const uint8_t *bytes, size_t len)
{
	uint32_t pcrs = 0x5a5a5a5a;

	if (pcrlock_look(bytes, len, &pcrs))
		assert(pcrs == 0x5a5a5a5a);
	else
		assert(!(pcrs >> 24));
}

static void try_efi(const uint8_t *bytes, size_t len)
{
	unsigned pcr = 99;

	if (efi_pcr_look(bytes, len, &pcr))
		assert(pcr == 99);
	else
		assert(pcr < 24);
}

static void try_btf(const uint8_t *bytes, size_t len)
{
	static const char *const functions[] = { "bpf_prog_load", "security_bpf_prog", NULL };
	uint64_t found = 99;
	bool signatures;

	if (btf_look(bytes, len, functions, &found, &signatures))
		assert(found == 99);
	else
		assert(found < 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const parsers[])(const uint8_t *bytes, size_t len) = { try_luks,
		try_measure_log, try_pcrlock, try_efi, try_btf };

	if (len > 0 && bytes[0] < sizeof(parsers) / sizeof(parsers[0]))
		parsers[bytes[0]](bytes + 1, len - 1);
	return 0;
}
