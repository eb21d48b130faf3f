/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a file holds: no crash, and what comes out is a reference value that the verifier takes, of a
 * digest that is known. The bytes are an object, a light skeleton, and a line.
 */
#include <assert.h>
#include <string.h>

#include "cli/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void put(struct reference_sink *, const struct reference *reference)
{
	struct reference value = *reference;
	char buf[REFERENCE_LINE_MAX];
	enum reference_kind kind;
	struct line_error error;
	struct line line;

	assert(value.sha256.known || value.chain_digest.known);
	value.source = (struct record_text){ "file", 4 };
	line_init(&line, buf, sizeof(buf));
	reference_encode(&line, &value);
	assert(reference_check(line.buf, line.len, &kind, &error) == 0 && kind == value.kind);
}

static void lack(struct reference_sink *, const char *name, size_t len, const char *why)
{
	assert(strlen(name) == len && why[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reference_sink sink = { .put = put, .lack = lack };
	char error[REFERENCE_ERROR_MAX];
	enum reference_kind kind;
	struct line_error line_error;

	if (reference_from_object(bytes, len, &sink, error))
		assert(memchr(error, 0, sizeof(error)));
	if (reference_from_skeleton(bytes, len, &sink, error))
		assert(memchr(error, 0, sizeof(error)));
	if (reference_check((const char *)bytes, len, &kind, &line_error) == 0)
		assert(kind < REFERENCE_KIND_COUNT);
	return 0;
}
