/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shipped policies are part of the program: a name means the same wherever it runs, and nobody's
 * file can be found in their place.
 */
#include "attest/policy.h"

#define SHIPPED(id, name)                                                                          \
	[[gnu::visibility("hidden")]] extern const char id##_sql[], id##_sql_end[];                \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #id "_sql, " #id "_sql_end\n" #id "_sql: .incbin \"policies/" name      \
		".sql\"\n" #id "_sql_end: .byte 0\n"                                               \
		".popsection\n")

SHIPPED(signed_only, "signed-only");
SHIPPED(kernel_verified_metadata, "kernel-verified-metadata");
SHIPPED(known_programs, "known-programs");
SHIPPED(known_signers, "known-signers");
SHIPPED(known_loaders, "known-loaders");
SHIPPED(no_gaps, "no-gaps");
SHIPPED(no_foreign, "no-foreign");

static const struct {
	const char *name;
	const char *text;
	const char *end;
} shipped[] = {
	{ "signed-only", signed_only_sql, signed_only_sql_end },
	{ "kernel-verified-metadata", kernel_verified_metadata_sql,
		kernel_verified_metadata_sql_end },
	{ "known-programs", known_programs_sql, known_programs_sql_end },
	{ "known-signers", known_signers_sql, known_signers_sql_end },
	{ "known-loaders", known_loaders_sql, known_loaders_sql_end },
	{ "no-gaps", no_gaps_sql, no_gaps_sql_end },
	{ "no-foreign", no_foreign_sql, no_foreign_sql_end },
};

const char *policy_shipped(size_t index, const char **ret_text, size_t *ret_len)
{
	if (index >= sizeof(shipped) / sizeof(*shipped))
		return NULL;
	*ret_text = shipped[index].text;
	*ret_len = (size_t)(shipped[index].end - shipped[index].text);
	return shipped[index].name;
}
