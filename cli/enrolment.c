/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/enrolment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/evidence.h"
#include "cli/cli.h"

static void fclosep(FILE **file)
{
	if (*file && *file != stdin)
		fclose(*file);
}

/* At most size bytes of a file. */
static int load(const char *path, uint8_t *ret_bytes, size_t size, size_t *ret_len)
{
	[[gnu::cleanup(fclosep)]] FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");

	if (!file)
		return cli_unknown("%s: %s", path, strerror(errno));
	*ret_len = fread(ret_bytes, 1, size, file);
	return ferror(file) ? cli_unknown("%s: cannot be read", path) : CLI_GOOD;
}

int enrolment_ak_load(const char *path, struct ak *ret)
{
	uint8_t bytes[AK_FILE_MAX + 1];
	char error[AK_ERROR_MAX];
	size_t len;

	int code = load(path, bytes, sizeof(bytes), &len);
	if (code)
		return code;
	if (ak_decode(bytes, len, ret, error))
		return cli_unknown("%s: %s", path, error);
	return CLI_GOOD;
}

int enrolment_ek_load(const char *path, struct ek_pin *ret)
{
	uint8_t bytes[EK_FILE_MAX + 1];
	char error[EK_ERROR_MAX];
	size_t len;

	int code = load(path, bytes, sizeof(bytes), &len);
	if (code)
		return code;
	if (ek_pin_decode(bytes, len, ret, error))
		return cli_unknown("%s: %s", path, error);
	return CLI_GOOD;
}

bool enrolment_is_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > MACHINE_NAME_MAX || name[0] == '-')
		return false;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return true;
}

bool enrolment_pcr_parse(const char *text, unsigned *ret_pcr)
{
	size_t len = strlen(text);

	if (len < 1 || len > 2 || strspn(text, "0123456789") != len)
		return false;
	*ret_pcr = (unsigned)strtoul(text, NULL, 10);
	return *ret_pcr <= EVIDENCE_PCR_MAX;
}

bool enrolment_base_parse(const char *text, bank_set *banks, struct bank_values *values)
{
	const char *colon = strchr(text, ':');
	enum bank bank = colon ? bank_from_name(text, (size_t)(colon - text)) : BANK_COUNT;

	if (bank == BANK_COUNT || *banks & 1u << bank ||
		!cli_unhex(colon + 1, values->digest[bank], bank_size(bank)))
		return false;
	*banks |= 1u << bank;
	return true;
}
