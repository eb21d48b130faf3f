// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which keys of a LUKS2 device hang on PCRs.
 *
 * LUKS2 On-Disk Format Specification, 2.1 (the binary header), 3 (the JSON area) and 3.5 (tokens);
 * systemd-cryptenroll(1) and what it writes as "systemd-tpm2"; clevis-luks-bind(1), clevis-encrypt-tpm2(1) and
 * clevis-encrypt-sss(1): a token "clevis" is a JWE (RFC 7516) whose protected header says how it was made.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor_foreign.h"
#include "cli/doctor_own.h"

enum {
	BINARY_LEN = 4096, /* in front of the JSON area */
	AT_VERSION = 6,
	AT_SIZE = 8,
	NESTED_MAX = 4, /* sss in sss */
};

static const uint8_t magic[] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };

static uint64_t big_endian(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

void doctor_json_freep(json_t **json)
{
	json_decref(*json);
}

uint32_t doctor_pcr_bit(int64_t pcr)
{
	return pcr >= 0 && pcr < 24 ? 1U << pcr : 0;
}

/* [7, 11], or 7, or clevis' "7,11". */
uint32_t doctor_pcr_mask(const json_t *value)
{
	uint32_t mask = json_is_integer(value) ? doctor_pcr_bit(json_integer_value(value)) : 0;
	const char *text = json_string_value(value);
	json_t *element;
	size_t i;

	json_array_foreach(value, i, element)
		mask |= json_is_array(element) ? 0 : doctor_pcr_mask(element);
	while (text && *text) {
		char *end;

		text += strspn(text, ", ");
		long pcr = strtol(text, &end, 10);
		if (end == text)
			break;
		mask |= doctor_pcr_bit(pcr);
		text = end;
	}
	return mask;
}

/* RFC 4648, 5: without padding. The object that is encoded; NULL: none. */
static json_t *decode(const char *text, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *bytes = malloc(len / 4 * 3 + 3);
	size_t count = 0;
	uint32_t bits = 0;

	for (size_t i = 0; bytes && i < len; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit) {
			count = 0;
			break;
		}
		bits = bits << 6 | (uint32_t)(digit - digits);
		if (i % 4 != 0)
			bytes[count++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	json_t *object = count > 0 ? json_loadb(bytes, count, 0, NULL) : NULL;
	free(bytes);
	return object;
}

/* The registers of a protected header, and of those that it shares its secret with. */
static uint32_t clevis_pcrs(const char *protected, unsigned depth)
{
	size_t i, len = strcspn(protected, "."); /* RFC 7516, 3.1: a dot between the parts */
	[[gnu::cleanup(doctor_json_freep)]] json_t *header = decode(protected, len);
	const json_t *clevis = json_object_get(header, "clevis");
	const json_t *tpm2 = json_object_get(clevis, "tpm2");
	uint32_t mask = doctor_pcr_mask(json_object_get(tpm2, "pcr_ids"));
	json_t *part;

	json_array_foreach(json_object_get(json_object_get(clevis, "sss"), "jwe"), i, part)
	{
		if (json_is_string(part) && depth < NESTED_MAX)
			mask |= clevis_pcrs(json_string_value(part), depth + 1);
	}
	return mask;
}

static bool token_read(const char *id, const json_t *token, struct luks_token *ret)
{
	const char *type = json_string_value(json_object_get(token, "type"));
	const char *protected = json_string_value(
		json_object_get(json_object_get(token, "jwe"), "protected"));

	if (!type || strlen(type) >= sizeof(ret->type) || strlen(id) >= sizeof(ret->id))
		return false;
	memset(ret, 0, sizeof(*ret));
	strcpy(ret->id, id);
	strcpy(ret->type, type);
	if (strcmp(type, "systemd-tpm2") == 0) {
		ret->pcrs = doctor_pcr_mask(json_object_get(token, "tpm2-pcrs"));
		ret->signed_pcrs = doctor_pcr_mask(json_object_get(token, "tpm2_pubkey_pcrs"));
		return true;
	}
	if (strcmp(type, "clevis") != 0 || !protected)
		return false;
	ret->pcrs = clevis_pcrs(protected, 0);
	return true;
}

int luks_tokens(
	const uint8_t *bytes, size_t len, struct luks_token ret_tokens[static LUKS_TOKENS_MAX])
{
	const char *id, *area = (const char *)bytes + BINARY_LEN;
	json_t *token;
	int count = 0;

	if (len < AT_SIZE || memcmp(bytes, magic, sizeof(magic)) != 0)
		return -EINVAL;
	if (big_endian(bytes + AT_VERSION, 2) == 1)
		return 0;
	if (len <= BINARY_LEN || big_endian(bytes + AT_VERSION, 2) != 2)
		return -EINVAL;
	uint64_t size = big_endian(bytes + AT_SIZE, 8);
	if (size <= BINARY_LEN || size > LUKS_HEADER_MAX || size > len)
		return -EINVAL;
	/* 3: "JSON data are stored as a C string, the rest of the area is zeros". */
	[[gnu::cleanup(doctor_json_freep)]] json_t *json = json_loadb(
		area, strnlen(area, size - BINARY_LEN), 0, NULL);
	const json_t *tokens = json_object_get(json, "tokens");
	if (!json_is_object(tokens) || json_object_size(tokens) > LUKS_TOKENS_MAX)
		return -EINVAL;
	json_object_foreach((json_t *)tokens, id, token)
		count += token_read(id, token, &ret_tokens[count]);
	return count;
}
