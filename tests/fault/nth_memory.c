// SPDX-License-Identifier: BSD-2-Clause
/* The allocator as our objects call it, with a set of the blocks that they have not freed yet. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/nth.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *block);

/* ---- the blocks ---- */

enum { LIVE_MAX = 1 << 20 };

/* Open addressing; what was removed leaves a mark. */
static void *live[LIVE_MAX];
static size_t live_count, used_count;
static char removed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(const void *block)
{
	size_t at = ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15 % LIVE_MAX;

	while (live[at] && live[at] != block)
		at = (at + 1) % LIVE_MAX;
	return at;
}

/* Without the marks, once they are many. */
static void rehash(void)
{
	void **blocks = __real_malloc((live_count + 1) * sizeof(*blocks));
	size_t count = 0;

	if (!blocks)
		abort();
	for (size_t i = 0; i < LIVE_MAX; i++)
		if (live[i] && live[i] != &removed)
			blocks[count++] = live[i];
	memset(live, 0, sizeof(live));
	for (size_t i = 0; i < count; i++)
		live[slot_of(blocks[i])] = blocks[i];
	used_count = count;
	__real_free(blocks);
}

static void *add(void *block)
{
	if (!block)
		return NULL;
	pthread_mutex_lock(&lock);
	if (used_count > LIVE_MAX / 2)
		rehash();
	live[slot_of(block)] = block;
	used_count++;
	live_count++;
	pthread_mutex_unlock(&lock);
	return block;
}

static void drop(const void *block)
{
	pthread_mutex_lock(&lock);
	size_t at = slot_of(block);
	if (block && live[at]) { /* others come from a library, for us to free */
		live[at] = &removed;
		live_count--;
	}
	pthread_mutex_unlock(&lock);
}

size_t nth_live(void)
{
	return live_count;
}

/* ---- the calls ---- */

void *__wrap_malloc(size_t size)
{
	return nth_fails(NTH_MEMORY, "malloc") ? NULL : add(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return nth_fails(NTH_MEMORY, "calloc") ? NULL : add(__real_calloc(count, size));
}

/* Out of the set before it is freed: another thread may get the same address at once. */
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	if (nth_fails(NTH_MEMORY, "reallocarray"))
		return NULL;
	drop(old);
	void *block = __real_reallocarray(old, count, size);
	return add(block ? block : old) == block ? block : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return __wrap_reallocarray(old, 1, size);
}

char *__wrap_strdup(const char *text)
{
	return nth_fails(NTH_MEMORY, "strdup") ? NULL : add(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
	return nth_fails(NTH_MEMORY, "strndup") ? NULL : add(__real_strndup(text, len));
}

void __wrap_free(void *block)
{
	drop(block);
	__real_free(block);
}

/* ---- libraries' own ---- */

static void *jansson_malloc(size_t size)
{
	return nth_fails(NTH_MEMORY, "jansson") ? NULL : __real_malloc(size);
}

static void *openssl_malloc(size_t size, const char *, int)
{
	return nth_fails(NTH_HEAP, "OPENSSL_malloc") ? NULL : __real_malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *, int)
{
	if (size == 0) {
		__real_free(old);
		return NULL;
	}
	return nth_fails(NTH_HEAP, "OPENSSL_realloc") ? NULL : __real_realloc(old, size);
}

static void openssl_free(void *block, const char *, int)
{
	__real_free(block);
}

/* Before nth.c counts anything. */
[[gnu::constructor(101)]] static void hook(void)
{
	json_set_alloc_funcs(jansson_malloc, __real_free);
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		abort();
	/* OpenSSL 3.0 does not survive its own start without memory. */
	EVP_MD_free(EVP_MD_fetch(NULL, "SHA2-256", NULL));
}
