/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaying a log is two short hashes per line and bank, so what OpenSSL would look up, allocate
 * and free for each one is kept: one context per bank and thread. What could not be had is asked for
 * again the next time.
 */
#include "bpf/bank.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

static const struct {
	const char *name;
	const char *evp_name;
	size_t size;
	uint16_t alg;
} banks[BANK_COUNT] = {
	[BANK_SHA1] = { "sha1", "SHA1", 20, 0x0004 },
	[BANK_SHA256] = { "sha256", "SHA2-256", SHA256_LEN, 0x000b },
	[BANK_SHA384] = { "sha384", "SHA2-384", 48, 0x000c },
	[BANK_SHA512] = { "sha512", "SHA2-512", BANK_DIGEST_MAX, 0x000d },
};

struct hashers {
	EVP_MD_CTX *ctx[BANK_COUNT];
};

static once_flag once = ONCE_FLAG_INIT;
static tss_t thread_hashers;
static bool usable;

static void hashers_free(void *arg)
{
	struct hashers *hashers = arg;

	for (int i = 0; i < BANK_COUNT; i++)
		EVP_MD_CTX_free(hashers->ctx[i]);
	free(hashers);
}

static void setup(void)
{
	usable = tss_create(&thread_hashers, hashers_free) == thrd_success;
}

static struct hashers *hashers_of_this_thread(void)
{
	call_once(&once, setup);
	if (!usable)
		return NULL;

	struct hashers *hashers = tss_get(thread_hashers);
	if (hashers)
		return hashers;

	hashers = calloc(1, sizeof(*hashers));
	if (!hashers || tss_set(thread_hashers, hashers) == thrd_success)
		return hashers;
	free(hashers);
	return NULL;
}

/* A context that knows its algorithm; NULL where OpenSSL refuses. */
static EVP_MD_CTX *hasher_new(enum bank bank)
{
	EVP_MD *algorithm = EVP_MD_fetch(NULL, banks[bank].evp_name, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!algorithm || !ctx || EVP_DigestInit_ex2(ctx, algorithm, NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_MD_free(algorithm); /* the context has it */
	return ctx;
}

/* The thread's context for a bank, ready for the first update; NULL where OpenSSL refuses. */
static EVP_MD_CTX *hasher(enum bank bank)
{
	struct hashers *hashers = hashers_of_this_thread();

	if (!hashers)
		return NULL;
	if (!hashers->ctx[bank]) {
		hashers->ctx[bank] = hasher_new(bank);
		return hashers->ctx[bank];
	}
	return EVP_DigestInit_ex2(hashers->ctx[bank], NULL, NULL) == 1 ? hashers->ctx[bank] : NULL;
}

const char *bank_name(enum bank bank)
{
	assert(bank < BANK_COUNT);
	return banks[bank].name;
}

size_t bank_size(enum bank bank)
{
	assert(bank < BANK_COUNT);
	return banks[bank].size;
}

uint16_t bank_alg(enum bank bank)
{
	assert(bank < BANK_COUNT);
	return banks[bank].alg;
}

enum bank bank_from_alg(uint16_t alg)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks[bank].alg == alg)
			return bank;
	return BANK_COUNT;
}

enum bank bank_from_name(const char *name, size_t name_len)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (strlen(banks[bank].name) == name_len &&
			memcmp(banks[bank].name, name, name_len) == 0)
			return bank;
	return BANK_COUNT;
}

int bank_hash(
	enum bank bank, const void *data, size_t len, uint8_t ret_digest[static BANK_DIGEST_MAX])
{
	assert(bank < BANK_COUNT);

	uint8_t digest[BANK_DIGEST_MAX] = { 0 };
	EVP_MD_CTX *ctx = hasher(bank);
	if (!ctx || EVP_DigestUpdate(ctx, data, len) != 1 ||
		EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		return -EIO;
	memcpy(ret_digest, digest, sizeof(digest));
	return 0;
}

int bank_extend(enum bank bank, uint8_t value[static BANK_DIGEST_MAX],
	const uint8_t digest[static BANK_DIGEST_MAX])
{
	assert(bank < BANK_COUNT);

	uint8_t extended[BANK_DIGEST_MAX];
	size_t size = banks[bank].size;
	EVP_MD_CTX *ctx = hasher(bank);
	if (!ctx || EVP_DigestUpdate(ctx, value, size) != 1 ||
		EVP_DigestUpdate(ctx, digest, size) != 1 ||
		EVP_DigestFinal_ex(ctx, extended, NULL) != 1)
		return -EIO;
	memcpy(value, extended, size);
	return 0;
}

int sha256(const void *data, size_t len, uint8_t ret_digest[static SHA256_LEN])
{
	uint8_t digest[BANK_DIGEST_MAX];
	int r = bank_hash(BANK_SHA256, data, len, digest);

	if (r < 0)
		return r;
	memcpy(ret_digest, digest, SHA256_LEN);
	return 0;
}
