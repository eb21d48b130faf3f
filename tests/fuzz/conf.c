/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * agent.conf of any bytes: what is accepted is within the table's bounds and reads the same when it
 * is written out again; what is refused says why in one line, and changes nothing.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "agent/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int read_conf(
	const void *bytes, size_t len, struct conf *ret, char err[static CONF_ERR_SIZE])
{
	FILE *file = len ? fmemopen((void *)bytes, len, "r") : fopen("/dev/null", "r");
	int result;

	assert(file);
	err[0] = 0;
	result = conf_read(file, "fuzz", ret, err, CONF_ERR_SIZE);
	fclose(file);
	return result;
}

static bool is_text(const struct conf_key *key)
{
	return key->type <= CONF_NAME || key->type == CONF_ADDRESS_OR_NONE;
}

static void write_value(FILE *out, const struct conf *conf, const struct conf_key *key)
{
	const void *at = (const char *)conf + key->offset;

	switch (key->type) {
	case CONF_PATH:
	case CONF_DEVICE:
	case CONF_NAME:
		assert(strlen(at) >= 1);
		[[fallthrough]];
	case CONF_PATH_OR_NONE:
	case CONF_ADDRESS_OR_NONE:
		assert(strlen(at) <= key->max);
		fprintf(out, "%s", *(const char *)at ? (const char *)at : "none");
		break;
	case CONF_CHOICE:
		assert(*(const uint32_t *)at <= LOADS_NONE);
		fprintf(out, "%s", key->words[*(const uint32_t *)at]);
		break;
	case CONF_REQUIRED:
		fprintf(out, "%s", *(const bool *)at ? "required" : "preferred");
		break;
	case CONF_NUMBER:
		assert(*(const uint32_t *)at >= key->min && *(const uint32_t *)at <= key->max);
		fprintf(out, "%u", *(const uint32_t *)at);
		break;
	case CONF_SIZE:
	case CONF_POWER_OF_TWO:
		assert(*(const uint64_t *)at >= key->min && *(const uint64_t *)at <= key->max);
		fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
		break;
	default:
		fprintf(out, "%s", *(const bool *)at ? "yes" : "no");
	}
}

static void check_again(const struct conf *conf)
{
	char text[16384], err[CONF_ERR_SIZE];
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t count;
	const struct conf_key *keys = conf_keys(&count);
	struct conf again;

	assert(out);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "[%s]\n%s=", keys[i].section, keys[i].name);
		write_value(out, conf, &keys[i]);
		fprintf(out, "\n");
	}
	fclose(out);
	memset(&again, 0, sizeof(again));
	assert(!read_conf(text, strlen(text), &again, err));
	for (size_t i = 0; i < count; i++) {
		const char *one = (const char *)conf + keys[i].offset;
		const char *other = (const char *)&again + keys[i].offset;

		if (is_text(&keys[i]))
			assert(!strcmp(one, other));
		else if (keys[i].type == CONF_NUMBER)
			assert(!memcmp(one, other, sizeof(uint32_t)));
		else
			assert(*one == *other);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct conf conf, untouched;
	char err[CONF_ERR_SIZE];

	memset(&conf, 0x5a, sizeof(conf));
	untouched = conf;
	if (read_conf(bytes, len, &conf, err)) {
		assert(!strncmp(err, "fuzz", 4) && !strchr(err, '\n'));
		assert(!memcmp(&conf, &untouched, sizeof(conf)));
		return 0;
	}
	check_again(&conf);
	return 0;
}
