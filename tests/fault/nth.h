/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The n-th call fails: every call of ours into the allocator, SQLite, ESYS and OpenSSL goes through a
 * wrap (nth_*.c, linked with --wrap) that can be told to fail in its place.
 *
 * Only our own objects are wrapped. What OpenSSL and jansson allocate for themselves is a class of its
 * own, through their allocation hooks.
 */
#ifndef TESTS_FAULT_NTH_H
#define TESTS_FAULT_NTH_H

#include <stdbool.h>
#include <stddef.h>

enum nth_class {
	NTH_MEMORY, /* malloc() and the like in our objects; jansson's */
	NTH_SQLITE,
	NTH_ESYS,
	NTH_OPENSSL, /* a function of it fails */
	NTH_HEAP, /* it finds no memory, wherever that is */
	NTH_CLASS_COUNT,
};

enum { NTH_ALL = (1 << NTH_CLASS_COUNT) - 1 };

/*
 * From now on: let the n-th call (from 1) of these classes (bits) fail, once; 0: count only.
 *
 * variant  which of the ways to fail that a call has: SQLite's and ESYS's return codes. All have 0.
 */
void nth_arm(unsigned classes, unsigned long n, unsigned variant);

/* No more. Returns the name of the call that failed, or NULL. */
const char *nth_disarm(void);

/* Calls since it was armed, the one that failed too. */
unsigned long nth_calls(void);

/* Of the call that failed: in how many ways it can. */
unsigned nth_variants(void);

/* Blocks that our objects have allocated and not freed. */
size_t nth_live(void);

/* ---- for the wraps ---- */

/* Whether this call is to fail. */
bool nth_fails(enum nth_class class, const char *name);

/* The way in which it is to fail, of count. */
unsigned nth_variant(unsigned count);

#define NTH_WRAP(class, type, name, failure, params, ...)                                          \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return nth_fails(class, #name) ? (failure) : __real_##name(__VA_ARGS__);           \
	}

#endif
