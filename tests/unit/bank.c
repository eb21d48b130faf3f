/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/bank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

/* H("abc") are the examples of FIPS 180-4; twice_extended and empty were made with Python's
 * hashlib. */
static const struct {
	const char *name, *abc, *twice_extended, *empty;
	uint16_t alg;
} known[BANK_COUNT] = {
	[BANK_SHA1] = {
		.name = "sha1",
		.alg = 0x0004,
		.abc = "a9993e364706816aba3e25717850c26c9cd0d89d",
		.twice_extended = "e47a246032f51d2829d1e29380f6281d0a050423",
		.empty = "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	},
	[BANK_SHA256] = {
		.name = "sha256",
		.alg = 0x000b,
		.abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		.twice_extended =
			"bdeb6c6dc63852834c89f67066194207ce7d3806ea40ca58dc079246ef58a926",
		.empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	},
	[BANK_SHA384] = {
		.name = "sha384",
		.alg = 0x000c,
		.abc = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
		       "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		.twice_extended = "0b815adb5c2824360b25f9c2ca667eee481dc15676327e8c"
				  "56be97a3275d8f114d89b198e39f5f49e89657ea2a8adb6a",
		.empty = "38b060a751ac96384cd9327eb1b1e36a21fdb71114be0743"
			 "4c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
	},
	[BANK_SHA512] = {
		.name = "sha512",
		.alg = 0x000d,
		.abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		.twice_extended =
			"4310feee46df551d226aac6f2fe1c79fd6b33ed7036cf0ef1e403466fcf82ac6"
			"c7e1578ab233c91da29a5aab3d1a4ba4ee5e1b10a822a5874dfd4c39a6287f3c",
		.empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
			 "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
	},
};

static void assert_hex(
	enum bank bank, const uint8_t digest[static BANK_DIGEST_MAX], const char *hex)
{
	char text[2 * BANK_DIGEST_MAX + 1];

	for (size_t i = 0; i < BANK_DIGEST_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_int_equal(strlen(hex), 2 * bank_size(bank));
	assert_memory_equal(text, hex, strlen(hex));
	for (size_t i = bank_size(bank); i < BANK_DIGEST_MAX; i++)
		assert_int_equal(digest[i], 0);
}

static void every_bank_has_its_registered_name_size_and_id(void **)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		assert_string_equal(bank_name(bank), known[bank].name);
		assert_int_equal(bank_size(bank), strlen(known[bank].abc) / 2);
		assert_int_equal(bank_alg(bank), known[bank].alg);
		assert_int_equal(bank_from_alg(known[bank].alg), bank);
		assert_int_equal(bank_from_name(known[bank].name, strlen(known[bank].name)), bank);
	}
}

static void what_is_not_ours_is_no_bank(void **)
{
	assert_int_equal(bank_from_alg(0x0012), BANK_COUNT); /* SM3_256 */
	assert_int_equal(bank_from_alg(0x0010), BANK_COUNT); /* NULL */
	assert_int_equal(bank_from_alg(0), BANK_COUNT);
	assert_int_equal(bank_from_name("sha25", 5), BANK_COUNT);
	assert_int_equal(bank_from_name("sha2560", 7), BANK_COUNT);
	assert_int_equal(bank_from_name("SHA256", 6), BANK_COUNT);
	assert_int_equal(bank_from_name("", 0), BANK_COUNT);
	assert_int_equal(bank_from_name("sha256,sha384", 6), BANK_SHA256);
}

static void hash_gives_the_known_answers(void **)
{
	uint8_t digest[BANK_DIGEST_MAX];

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		memset(digest, 0xff, sizeof(digest));
		assert_int_equal(bank_hash(bank, "abc", 3, digest), 0);
		assert_hex(bank, digest, known[bank].abc);
		assert_int_equal(bank_hash(bank, NULL, 0, digest), 0);
		assert_hex(bank, digest, known[bank].empty);
	}
}

static void sha256_fills_its_array_and_no_more(void **)
{
	uint8_t digest[BANK_DIGEST_MAX] = { 0 };

	assert_int_equal(sha256("abc", 3, digest), 0);
	assert_hex(BANK_SHA256, digest, known[BANK_SHA256].abc);
}

static void extend_chains_from_zero(void **)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		uint8_t value[BANK_DIGEST_MAX] = { 0 };
		uint8_t digest[BANK_DIGEST_MAX];

		assert_int_equal(bank_hash(bank, "abc", 3, digest), 0);
		assert_int_equal(bank_extend(bank, value, digest), 0);
		assert_int_equal(bank_extend(bank, value, digest), 0);
		assert_hex(bank, value, known[bank].twice_extended);
	}
}

static int hash_in_a_thread(void *ret)
{
	uint8_t digest[BANK_DIGEST_MAX];

	for (int i = 0; i < 1000; i++)
		for (enum bank bank = 0; bank < BANK_COUNT; bank++)
			if (bank_hash(bank, "abc", 3, digest) < 0)
				return -1;
	memcpy(ret, digest, sizeof(digest));
	return 0;
}

static void threads_do_not_disturb_each_other(void **)
{
	uint8_t digests[4][BANK_DIGEST_MAX];
	thrd_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(thrd_create(&threads[i], hash_in_a_thread, digests[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		int r;

		assert_int_equal(thrd_join(threads[i], &r), thrd_success);
		assert_int_equal(r, 0);
		assert_hex(BANK_COUNT - 1, digests[i], known[BANK_COUNT - 1].abc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bank_has_its_registered_name_size_and_id),
		cmocka_unit_test(what_is_not_ours_is_no_bank),
		cmocka_unit_test(hash_gives_the_known_answers),
		cmocka_unit_test(sha256_fills_its_array_and_no_more),
		cmocka_unit_test(extend_chains_from_zero),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
