// SPDX-License-Identifier: BSD-2-Clause
/* What systemd keeps about PCRs. */
#include "cli/doctor_foreign.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor_own.h"

enum { RECORD_SEPARATOR = 0x1e };

/* One measurement, of the register or not. */
static void measure_log_take(const json_t *record, struct measured *measured)
{
	const json_t *pcr = json_object_get(record, "pcr");
	const json_t *content = json_object_get(record, "content");
	const char *type = json_string_value(json_object_get(content, "eventType"));
	const char *text = json_string_value(json_object_get(content, "string"));

	if (!json_is_integer(pcr) || json_integer_value(pcr) != (json_int_t)measured->pcr)
		return;
	measured->count++;
	snprintf(measured->what, sizeof(measured->what), "%s: %s", type ? type : "-",
		text ? text : "-");
}

int measure_log_look(const uint8_t *bytes, size_t len, unsigned pcr, struct measured *ret_measured)
{
	struct measured measured = { .pcr = pcr };
	const uint8_t *end = bytes + len;

	/* RFC 7464, 2.1: each text begins with a separator and ends with a line feed. */
	while (bytes < end) {
		if (*bytes++ != RECORD_SEPARATOR)
			return -EINVAL;
		const uint8_t *next = memchr(bytes, RECORD_SEPARATOR, (size_t)(end - bytes));
		size_t part = (size_t)((next ? next : end) - bytes);
		[[gnu::cleanup(doctor_json_freep)]] json_t *record = json_loadb(
			(const char *)bytes, part, 0, NULL);

		if (!json_is_object(record))
			return -EINVAL;
		measure_log_take(record, &measured);
		bytes += part;
	}
	*ret_measured = measured;
	return 0;
}

int pcrlock_look(const uint8_t *bytes, size_t len, uint32_t *ret_pcrs)
{
	[[gnu::cleanup(doctor_json_freep)]] json_t *policy = json_loadb(
		(const char *)bytes, len, 0, NULL);
	const json_t *values = json_object_get(policy, "pcrValues");
	uint32_t pcrs = 0;
	json_t *value;
	size_t i;

	if (!json_is_array(values))
		return -EINVAL;
	json_array_foreach(values, i, value)
	{
		const json_t *pcr = json_object_get(value, "pcr");

		if (!json_is_integer(pcr))
			return -EINVAL;
		pcrs |= doctor_pcr_bit(json_integer_value(pcr));
	}
	*ret_pcrs = pcrs;
	return 0;
}

int efi_pcr_look(const uint8_t *bytes, size_t len, unsigned *ret_pcr)
{
	enum { ATTRIBUTES_LEN = 4, DIGITS_MAX = 2 };
	unsigned pcr = 0;
	size_t count = 0;

	if (len < ATTRIBUTES_LEN)
		return -EINVAL;
	bytes += ATTRIBUTES_LEN;
	len -= ATTRIBUTES_LEN;
	for (; 2 * count + 1 < len; count++) {
		uint8_t low = bytes[2 * count], high = bytes[2 * count + 1];

		if (low == 0 && high == 0)
			break;
		if (high != 0 || low < '0' || low > '9' || count == DIGITS_MAX)
			return -EINVAL;
		pcr = 10 * pcr + (low - '0');
	}
	if (count == 0 || pcr >= 24)
		return -EINVAL;
	*ret_pcr = pcr;
	return 0;
}
