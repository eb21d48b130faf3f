/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/reference.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of one string of the header. */
struct array {
	uint8_t *bytes;
	size_t len;
};

static void array_done(struct array *array)
{
	free(array->bytes);
}

static int nibble(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* As bpftool's print_hex() writes: \0, \xHH, and a backslash before each newline. Returns the bytes taken;
 * 0 for anything else. */
static size_t decode_one(const char *at, const char *end, struct array *array)
{
	if (end - at < 2 || at[0] != '\\')
		return 0;
	if (at[1] == '\n')
		return 2;
	if (at[1] == '0') {
		array->bytes[array->len++] = 0;
		return 2;
	}
	if (end - at < 4 || at[1] != 'x' || nibble(at[2]) < 0 || nibble(at[3]) < 0)
		return 0;
	array->bytes[array->len++] = (uint8_t)(nibble(at[2]) << 4 | nibble(at[3]));
	return 4;
}

/* 1, and array_done() is due; 0 where there is none of that name. */
static int find(
	const char *text, size_t len, const char *declaration, struct array *ret, char *ret_error)
{
	const char *end = text + len;
	const char *at = memmem(text, len, declaration, strlen(declaration));

	if (!at)
		return 0;
	at = memchr(at, '"', (size_t)(end - at));
	ret->bytes = at ? malloc((size_t)(end - at)) : NULL;
	if (!ret->bytes) {
		snprintf(ret_error, REFERENCE_ERROR_MAX, "%s has no string", declaration);
		return -EBADMSG;
	}
	at++;
	while (at < end && *at != '"') {
		size_t taken = decode_one(at, end, ret);
		if (!taken) {
			snprintf(ret_error, REFERENCE_ERROR_MAX,
				"the string of %s is not as bpftool writes it", declaration);
			return -EBADMSG;
		}
		at += taken;
	}
	if (at < end)
		return 1;
	snprintf(ret_error, REFERENCE_ERROR_MAX, "the string of %s does not end", declaration);
	return -EBADMSG;
}

/* What the kernel verified, where it verified anything. */
enum signing { UNSIGNED, SIGNED_INSNS, SIGNED_INSNS_AND_MAP, SIGNING_COUNT };

static int digest_signed(const struct array *insns, const struct array *map, enum signing signing,
	struct record_digest *ret)
{
	size_t len = insns->len + (signing == SIGNED_INSNS_AND_MAP ? map->len : 0);
	uint8_t *bytes = malloc(len);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, insns->bytes, insns->len);
	memcpy(bytes + insns->len, map->bytes, len - insns->len);
	int err = sha256(bytes, len, ret->sha256);
	free(bytes);
	ret->known = true;
	return err;
}

/* docs/format.md, "chain_digest": a loader has no parent, and one frozen map. */
static int put(struct reference_sink *sink, const struct array *insns, const struct array *map,
	enum signing signing)
{
	static const char *const names[SIGNING_COUNT] = {
		"light skeleton, unsigned",
		"light skeleton, insns signed",
		"light skeleton, insns+maps signed",
	};
	struct record_map data = { .frozen = true, .sha256_at_load.known = true };
	struct record_load load = {
		.program.sha256.known = true,
		.map_count = 1,
		.maps = &data,
		.signature.verdict = signing == UNSIGNED ? VERDICT_UNSIGNED : VERDICT_VERIFIED,
	};
	struct reference reference = {
		.kind = REFERENCE_PROGRAM,
		.name = { names[signing], strlen(names[signing]) },
	};

	int err = sha256(insns->bytes, insns->len, load.program.sha256.sha256);
	if (!err)
		err = sha256(map->bytes, map->len, data.sha256_at_load.sha256);
	if (!err && signing != UNSIGNED)
		err = digest_signed(insns, map, signing, &load.signature.signed_sha256);
	if (!err)
		err = record_chain_digest(&load, &reference.chain_digest);
	if (!err)
		sink->put(sink, &reference);
	return err;
}

int reference_from_skeleton(const void *bytes, size_t len, struct reference_sink *sink,
	char ret_error[static REFERENCE_ERROR_MAX])
{
	[[gnu::cleanup(array_done)]] struct array insns = { 0 };
	[[gnu::cleanup(array_done)]] struct array map = { 0 };
	[[gnu::cleanup(array_done)]] struct array signature = { 0 };

	int has_insns = find(bytes, len, "opts_insn[]", &insns, ret_error);
	int has_map = has_insns < 0 ? 0 : find(bytes, len, "opts_data[]", &map, ret_error);
	int is_signed = has_map < 0 ? 0 : find(bytes, len, "opts_sig[]", &signature, ret_error);
	if (has_insns < 0 || has_map < 0 || is_signed < 0)
		return -EBADMSG;
	/* Elements of an array are multiples of 8 bytes: bpftool pads them. */
	if (!has_insns || !has_map || !insns.len || insns.len % 8 || !map.len || map.len % 8) {
		snprintf(ret_error, REFERENCE_ERROR_MAX,
			"no light skeleton: its instructions and data are not there, or no multiple of 8 "
			"bytes");
		return -EBADMSG;
	}
	if (!is_signed || !signature.len)
		return put(sink, &insns, &map, UNSIGNED);
	int err = put(sink, &insns, &map, SIGNED_INSNS);
	return err ? err : put(sink, &insns, &map, SIGNED_INSNS_AND_MAP);
}
