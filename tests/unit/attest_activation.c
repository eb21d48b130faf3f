/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/activation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KEY_LEN = 6 };

static void prove(uint8_t secret, uint8_t binding, const char *ak, const char *ek,
	uint8_t ret_proof[static SHA256_LEN])
{
	uint8_t secrets[ACTIVATION_SECRET_LEN], bindings[SHA256_LEN];

	for (uint8_t i = 0; i < 32; i++) {
		secrets[i] = secret + i;
		bindings[i] = binding + i;
	}
	assert_int_equal(activation_proof(secrets, bindings, (const uint8_t *)ak, KEY_LEN,
				 (const uint8_t *)ek, KEY_LEN, ret_proof),
		0);
}

/* Computed with Python's hmac from the words of the header. */
static void a_proof_is_the_documented_hmac(void **)
{
	static const char expected[] =
		"ce453b02bd2f4fe97a69bc828f09e407a7464eba2bc28a1a44aa7a063f49ae9f";
	uint8_t proof[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	prove(0, 32, "the AK", "the EK", proof);
	for (size_t i = 0; i < SHA256_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", proof[i]);
	assert_string_equal(hex, expected);
}

static void a_proof_is_of_all_that_it_is_made_of(void **)
{
	uint8_t proofs[5][SHA256_LEN];

	prove(0, 32, "the AK", "the EK", proofs[0]);
	prove(1, 32, "the AK", "the EK", proofs[1]);
	prove(0, 33, "the AK", "the EK", proofs[2]);
	prove(0, 32, "an AK.", "the EK", proofs[3]);
	prove(0, 32, "the EK", "the AK", proofs[4]);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(proofs[i], proofs[j], SHA256_LEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proof_is_the_documented_hmac),
		cmocka_unit_test(a_proof_is_of_all_that_it_is_made_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
