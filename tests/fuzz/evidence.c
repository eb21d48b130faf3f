/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier, from both sides of the signature.
 *
 * Input: one byte that chooses, then
 *   0  evidence: bytes from anybody
 *   1  a log: a key that the verifier trusts signs what it leads to, so everything behind the
 *      signature is reached, and the log's own grammar
 *   2  a quote: that key signs these bytes
 *
 * Whatever comes, there is one verdict with one reason; and evidence that anybody could have made
 * is not proven.
 */
#include <assert.h>
#include <ctype.h>

#include "tests/unit/attest_forge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void assert_sound(const struct verify_result *result)
{
	bool is_good = result->reason == VERIFY_OK;

	assert(result->reason < VERIFY_REASON_COUNT);
	assert((result->verdict == VERIFY_TRUSTED) == is_good);
	assert(result->is_proven == (is_good || result->reason == VERIFY_BEHIND));
	assert(result->explanation[0] != '\0');
	for (const char *at = result->explanation; *at; at++)
		assert(isprint((unsigned char)*at));
}

static struct verify_result verify(const struct forge *forge, const void *text, size_t len)
{
	static const struct verify_anchor anchor = { .seq = 3, .banks = FORGE_BANKS };
	struct ak ak = forge_ak(forge);
	struct verify_options options = { .ak = &ak, .pcr = 13 };
	struct verify_result result = forge_verify_text(text, len, &options);

	assert_sound(&result);
	options.after = &anchor;
	struct verify_result after = forge_verify_text(text, len, &options);
	assert_sound(&after);
	return result;
}

static void try_evidence(struct forge *forge, const uint8_t *data, size_t len)
{
	struct verify_result result = verify(forge, data, len);

	/* Nobody has this process' key. */
	assert(!result.is_proven);
}

static void try_log(struct forge *forge, const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len;

	forge->count = 0;
	for (const uint8_t *at = data; at < end && forge->count < FORGE_LINES_MAX;) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((newline ? newline : end) - at);
		if (line > FORGE_LINE_MAX)
			return;
		forge->lines[forge->count].len = line;
		memcpy(forge->lines[forge->count++].text, at, line);
		at += line + 1;
	}
	if (!forge->count)
		return;
	forge->statement.last = forge->count;
	forge_replay(forge);
	if (!(forge->statement.banks & 1u << BANK_SHA256))
		return;
	forge_quote(forge);

	char *text = forge_text(forge, &len);
	verify(forge, text, len);
	free(text);
}

static void try_quote(struct forge *forge, const uint8_t *data, size_t len)
{
	if (len < 1 || len > EVIDENCE_QUOTE_MAX)
		return;
	forge_replay(forge);
	memcpy(forge->statement.quote, data, len);
	forge->statement.quote_len = len;
	forge_sign(forge);

	char *text = forge_text(forge, &len);
	verify(forge, text, len);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const sides[])(struct forge *, const uint8_t *, size_t) = {
		try_evidence,
		try_log,
		try_quote,
	};
	struct forge *forge = malloc(sizeof(*forge));

	if (!forge || !len) {
		free(forge);
		return 0;
	}
	forge_init(forge);
	sides[data[0] % 3](forge, data + 1, len - 1);
	free(forge);
	return 0;
}
