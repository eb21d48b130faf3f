/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the verifier share, with cmocka in it. */
#ifndef TESTS_ATTEST_EXPECT_H
#define TESTS_ATTEST_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "attest_forge.h"

#include <cmocka.h>

/* Verify with everything asked for, and expect a reason. */
static inline struct verify_result expect_with(
	const struct forge *forge, const struct verify_options *options, enum verify_reason reason)
{
	struct verify_result result = forge_verify(forge, options);

	if (result.reason != reason)
		print_message("%s: %s\n", verify_reason_name(result.reason), result.explanation);
	assert_string_equal(verify_reason_name(result.reason), verify_reason_name(reason));
	assert_int_equal(result.is_proven, reason == VERIFY_OK || reason == VERIFY_BEHIND);
	assert_true(strlen(result.explanation) > 0);
	return result;
}

static inline struct verify_result expect(const struct forge *forge, enum verify_reason reason)
{
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	return expect_with(forge, &options, reason);
}

static inline bool has_note(const struct verify_result *result, const char *words)
{
	for (size_t i = 0; i < result->note_count; i++)
		if (strstr(result->notes[i], words))
			return true;
	return false;
}

static inline int make(void **state)
{
	struct forge *forge = malloc(sizeof(*forge));

	if (!forge)
		return -1;
	forge_init(forge);
	forge_tpm(forge);
	*state = forge;
	return 0;
}

static inline int unmake(void **state)
{
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

#endif
