/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What record_check() accepts is JSON to others as well, and the only way to write it: jansson
 * parses it and writes the same bytes again, and so does our own writer.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "tests/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_with_jansson(const char *line, size_t len)
{
	json_error_t error;
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	assert(json);
	char *dump = json_dumps(json, JSON_COMPACT);
	assert(dump && strlen(dump) == len && memcmp(dump, line, len) == 0);
	free(dump);
	json_decref(json);
}

static void check_facts(const char *line, size_t len, enum record_kind kind)
{
	if (kind == RECORD_EPOCH) {
		struct record_epoch_facts facts;

		record_epoch_facts(line, len, &facts);
		assert(facts.pcr <= RECORD_PCR_MAX && facts.banks != 0);
		assert(facts.why <= WHY_NEW_TPM && facts.ak_name_len <= RECORD_AK_NAME_MAX);
	}
	if (kind == RECORD_RESUME)
		record_resume_facts(line, len, (struct record_resume_facts[1]){});
	if (kind == RECORD_FOREIGN) {
		struct record_foreign_facts facts;

		record_foreign_facts(line, len, &facts);
		assert(facts.last_seen_ns.known || facts.last_seen_ns.value == 0);
	}
	if (kind == RECORD_TRIM) {
		struct record_trim_facts facts;

		record_trim_facts(line, len, &facts);
		assert(facts.why <= TRIM_MAX_AGE);
	}
	if (kind == RECORD_LOAD || kind == RECORD_REJECT || kind == RECORD_BASELINE) {
		struct record_program_facts facts;

		record_program_facts(line, len, &facts);
		assert(facts.verdict <= VERDICT_VERIFIED);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *line = (const char *)bytes;
	struct record_head head;
	struct line_error error;

	if (record_check(line, len, &head, &error) < 0) {
		assert(error.at <= len && strlen(error.what) > 0);
		return 0;
	}
	assert(len <= RECORD_LINE_MAX && head.seq >= 1 && head.kind < RECORD_KIND_COUNT);

	char *again = malloc(len);
	assert(again && rewrite_is_same(record_schema(), line, len, again));
	free(again);
	check_with_jansson(line, len);
	check_facts(line, len, head.kind);
	return 0;
}
