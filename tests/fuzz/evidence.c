/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier, from both sides of the signature.
 *
 * Input: one byte that chooses, then
 *   0  evidence: bytes from anybody
 *   1  a log: a key that the verifier trusts signs what it leads to, so everything behind the
 *      signature is reached, and the log's own grammar
 *   2  a quote: that key signs these bytes
 *   3  the line of a kept quote
 *   4  what follows a kept quote, in a log as in 1
 *
 * Whatever comes, there is one verdict with one reason; and evidence that anybody could have made
 * is not proven.
 */
#include <assert.h>
#include <ctype.h>

#include "tests/unit/attest_forge_kept.h"

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

/* The log is these lines. Returns whether they can be. */
static bool put_lines(struct forge *forge, const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len;

	for (const uint8_t *at = data; at < end && forge->count < FORGE_LINES_MAX;) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((newline ? newline : end) - at);
		if (line > FORGE_LINE_MAX)
			return false;
		forge->lines[forge->count].len = line;
		memcpy(forge->lines[forge->count++].text, at, line);
		at += line + 1;
	}
	forge->statement.last = forge->statement.first + forge->count - 1;
	return forge->count;
}

static void verify_log(struct forge *forge)
{
	size_t len;

	forge_replay(forge);
	if (!(forge->statement.banks & 1u << BANK_SHA256))
		return;
	forge_quote(forge);
	char *text = forge_text(forge, &len);
	verify(forge, text, len);
	free(text);
}

static void try_log(struct forge *forge, const uint8_t *data, size_t len)
{
	forge->count = 0;
	if (put_lines(forge, data, len))
		verify_log(forge);
}

static void try_kept(struct forge *forge, const uint8_t *data, size_t len)
{
	struct ak ak = forge_ak(forge);
	struct evidence_kept kept;
	struct tpms_attest attest;
	struct line_error error;
	char text[VERIFY_TEXT_MAX] = "", buf[EVIDENCE_KEPT_MAX];
	struct line line;

	if (evidence_kept_decode((const char *)data, len, &kept, &error))
		return;
	line_init(&line, buf, sizeof(buf));
	evidence_kept_encode(&line, &kept);
	assert(line.len == len && memcmp(buf, data, len) == 0);
	assert(verify_kept(&kept, &ak, &attest, text) != VERIFY_OK); /* nobody has this key */
	assert(text[0] != '\0');
	if (verify_kept(&kept, NULL, &attest, text) == VERIFY_OK)
		assert(attest.selection_count > 0);
}

/* The quote was kept under whatever line the first of these names. */
static void try_trimmed(struct forge *forge, const uint8_t *data, size_t len)
{
	struct evidence_kept kept = forge_keep(forge, forge->statement.last);
	struct record_head head;
	struct line_error error;

	forge_trim(forge, &kept);
	if (!put_lines(forge, data, len) ||
		record_check(forge->lines[0].text, forge->lines[0].len, &head, &error))
		return;
	memcpy(kept.sha256, head.prev, SHA256_LEN);
	forge_quote_kept(forge, &kept);
	forge_hand_over(forge, &kept);
	verify_log(forge);
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
		try_kept,
		try_trimmed,
	};
	struct forge *forge = malloc(sizeof(*forge));

	if (!forge || !len) {
		free(forge);
		return 0;
	}
	forge_init(forge);
	sides[data[0] % 5](forge, data + 1, len - 1);
	free(forge);
	return 0;
}
