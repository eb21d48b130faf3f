/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum mark {
	MARK_NONE,
	MARK_AGENT,
	MARK_AK,
	MARK_PCR,
	MARK_BANKS,
	MARK_LOG_ID,
	MARK_SOFTWARE,
	MARK_MANUFACTURER,
	MARK_VENDOR,
	MARK_EKS,
	MARK_COUNT,
};

static const char *const versions[] = { "identity/1", NULL };
static const char *const bank_names[] = { "sha1", "sha256", "sha384", "sha512", NULL };

static const struct line_field bank_element[] = {
	{ .type = LINE_WORD, .words = bank_names },
};

static const struct line_field ek_fields[] = {
	{ LINE_KEY("template"), .type = LINE_TEXT, .max = IDENTITY_NAME_MAX },
	{ LINE_KEY("public"), .type = LINE_BASE64, .min = 1, .max = MACHINE_EK_MAX },
	/* not there for those who may not see it */
	{ LINE_KEY("certificate"), .type = LINE_BASE64, .flags = LINE_NULLABLE | LINE_OPTIONAL,
		.min = 1, .max = EK_CERTIFICATE_MAX },
	{ 0 },
};

static const struct line_field ek_element[] = {
	{ .type = LINE_OBJECT, .min = 1, .fields = ek_fields },
};

static const struct line_field identity_fields[] = {
	{ LINE_KEY("bpfmeasure"), .type = LINE_WORD, .words = versions },
	{ LINE_KEY("agent"), .type = LINE_TEXT, .mark = MARK_AGENT, .max = EVIDENCE_AGENT_MAX },
	{ LINE_KEY("ak"), .type = LINE_BASE64, .mark = MARK_AK, .min = 1, .max = EVIDENCE_AK_MAX },
	{ LINE_KEY("pcr"), .type = LINE_UINT, .mark = MARK_PCR, .max = EVIDENCE_PCR_MAX },
	{ LINE_KEY("banks"), .type = LINE_ARRAY, .mark = MARK_BANKS, .max = BANK_COUNT,
		.fields = bank_element },
	{ LINE_KEY("log_id"), .type = LINE_HEX, .flags = LINE_NULLABLE, .mark = MARK_LOG_ID,
		.min = 16, .max = 16 },
	{ LINE_KEY("software"), .type = LINE_BOOL, .mark = MARK_SOFTWARE },
	{ LINE_KEY("manufacturer"), .type = LINE_TEXT, .mark = MARK_MANUFACTURER,
		.max = IDENTITY_NAME_MAX },
	{ LINE_KEY("vendor"), .type = LINE_TEXT, .mark = MARK_VENDOR, .max = IDENTITY_NAME_MAX },
	{ LINE_KEY("eks"), .type = LINE_ARRAY, .mark = MARK_EKS, .max = IDENTITY_EK_MAX,
		.fields = ek_element },
	{ 0 },
};

static bank_set decode_banks(struct line_value array)
{
	struct line_each each = line_each(array);
	struct line_value name;
	bank_set banks = 0;

	while (line_next(&each, NULL, &name))
		banks |= 1u << line_value_word(name, bank_names);
	return banks;
}

/* Its keys, which the schema has checked. */
static void decode_ek(struct line_value object, struct identity_ek *ret)
{
	struct line_each each = line_each(object);
	struct line_value value;

	if (line_next(&each, NULL, &value))
		line_value_text(value, ret->template, sizeof(ret->template));
	if (line_next(&each, NULL, &value))
		ret->public_len = line_value_base64(value, ret->public, sizeof(ret->public));
	if (line_next(&each, NULL, &value))
		ret->certificate_len = line_value_base64(
			value, ret->certificate, sizeof(ret->certificate));
}

int identity_claim_decode(
	const char *line, size_t len, struct identity_claim *ret, struct line_error *ret_error)
{
	struct line_value marks[MARK_COUNT], value;

	if (len && line[len - 1] == '\n')
		len--;
	if (len > CHANNEL_BYTES_MAX) {
		*ret_error = (struct line_error){ .at = CHANNEL_BYTES_MAX };
		snprintf(ret_error->what, sizeof(ret_error->what), "too long");
		return -EBADMSG;
	}
	int err = line_check_marked(identity_fields, line, len, marks, ret_error);
	if (err)
		return err;

	*ret = (struct identity_claim){
		.pcr = (unsigned)line_value_uint(marks[MARK_PCR]),
		.banks = decode_banks(marks[MARK_BANKS]),
		.software = line_value_bool(marks[MARK_SOFTWARE]),
	};
	line_value_text(marks[MARK_AGENT], ret->agent, sizeof(ret->agent));
	line_value_text(marks[MARK_MANUFACTURER], ret->manufacturer, sizeof(ret->manufacturer));
	line_value_text(marks[MARK_VENDOR], ret->vendor, sizeof(ret->vendor));
	ret->ak_len = line_value_base64(marks[MARK_AK], ret->ak, sizeof(ret->ak));
	ret->has_log_id = !line_value_is_null(marks[MARK_LOG_ID]);
	line_value_hex(marks[MARK_LOG_ID], ret->log_id, sizeof(ret->log_id));
	struct line_each eks = line_each(marks[MARK_EKS]);
	while (line_next(&eks, NULL, &value))
		decode_ek(value, &ret->eks[ret->ek_count++]);
	return 0;
}
