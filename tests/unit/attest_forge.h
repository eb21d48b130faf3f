/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TPM, an agent and a liar in one: makes evidence in steps, each of which a test may spoil before
 * the next one builds on it.
 *
 *	forge_init()    a key, and a log of FORGE_RECORDS records in one epoch
 *	forge_replay()  the PCR after the log: what an honest TPM holds
 *	forge_quote()   the TPM's word for it, signed
 *	forge_text()    statement and log as they are handed over
 */
#ifndef TESTS_ATTEST_FORGE_H
#define TESTS_ATTEST_FORGE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "attest/ak.h"
#include "attest/evidence.h"
#include "attest/replay.h"
#include "attest/verify.h"
#include "bpf/record.h"

enum {
	FORGE_RECORDS = 8,
	FORGE_LINES_MAX = 16,
	FORGE_LINE_MAX = 4096,
	FORGE_BANKS = 1 << BANK_SHA256 | 1 << BANK_SHA384,
	FORGE_ATTRIBUTES = TPMS_FIXED_TPM | TPMS_FIXED_PARENT | TPMS_SENSITIVE_DATA_ORIGIN |
		TPMS_NO_DA | TPMS_RESTRICTED | TPMS_SIGN | 1 << 6,
};

struct forge_line {
	size_t len;
	char text[FORGE_LINE_MAX];
};

struct forge {
	EVP_PKEY *key;
	struct tpms_public public;
	/* What the next quote says; forge_init() sets an honest one. */
	uint32_t magic;
	uint16_t type;
	uint32_t hierarchy;
	uint8_t extra[SHA256_LEN];
	uint64_t clock_ms;
	uint32_t reset_count, restart_count;
	uint8_t safe;
	struct tpms_selection selections[20];
	size_t selection_count;
	/* The log. */
	uint8_t before[SHA256_LEN]; /* the digest of the line before the first; zeros: none */
	size_t count;
	struct forge_line lines[FORGE_LINES_MAX];
	struct evidence_statement statement;
};

/* ---- bytes ---- */

struct forge_bytes {
	size_t len;
	uint8_t data[1024];
};

static inline void put_uint(struct forge_bytes *out, uint64_t value, size_t len)
{
	assert(out->len + len <= sizeof(out->data));
	for (size_t i = 0; i < len; i++)
		out->data[out->len++] = (uint8_t)(value >> 8 * (len - 1 - i));
}

static inline void put_sized(struct forge_bytes *out, const void *data, size_t len)
{
	put_uint(out, len, 2);
	assert(out->len + len <= sizeof(out->data));
	if (len)
		memcpy(out->data + out->len, data, len);
	out->len += len;
}

/* ---- the key ---- */

static inline struct forge_bytes forge_public(EVP_PKEY *key, uint32_t attributes)
{
	BIGNUM *x = NULL, *y = NULL;
	uint8_t point[2][32];
	struct forge_bytes area = { 0 }, out = { 0 };

	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x);
	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y);
	BN_bn2binpad(x, point[0], 32);
	BN_bn2binpad(y, point[1], 32);
	BN_free(x);
	BN_free(y);

	put_uint(&area, 0x0023000b, 4); /* ECC, sha256 */
	put_uint(&area, attributes, 4);
	put_sized(&area, NULL, 0);
	put_uint(&area, 0x00100018, 4); /* no symmetric, ECDSA */
	put_uint(&area, 0x000b0003, 4); /* sha256, P-256 */
	put_uint(&area, 0x0010, 2); /* no KDF */
	put_sized(&area, point[0], 32);
	put_sized(&area, point[1], 32);
	put_sized(&out, area.data, area.len);
	return out;
}

static inline void forge_attributes(struct forge *forge, uint32_t attributes)
{
	struct forge_bytes public = forge_public(forge->key, attributes);
	struct tpms_error error;
	int err = tpms_public_decode(public.data, public.len, &forge->public, &error);

	assert(!err);
	memcpy(forge->statement.ak, public.data, public.len);
	forge->statement.ak_len = public.len;
}

static inline struct ak forge_ak(const struct forge *forge)
{
	return (struct ak){ .has_name = true, .public = forge->public };
}

/* ---- the log ---- */

static inline struct record_head forge_head(const struct forge *forge)
{
	struct record_head head = {
		.seq = forge->statement.first + forge->count,
		.time_ns = 1780000000000000000 + forge->count,
		.boottime_ns = 1000 + forge->count,
		.extend = true,
	};
	if (forge->count) {
		const struct forge_line *last = &forge->lines[forge->count - 1];
		int err = sha256(last->text, last->len, head.prev);
		assert(!err);
	} else {
		memcpy(head.prev, forge->before, SHA256_LEN);
	}
	return head;
}

static inline struct line forge_buffer(struct forge *forge)
{
	static char buf[RECORD_LINE_MAX];
	struct line line;

	(void)forge;
	line_init(&line, buf, sizeof(buf));
	return line;
}

static inline void forge_append(struct forge *forge, const struct line *line)
{
	struct forge_line *next = &forge->lines[forge->count++];

	assert(forge->count <= FORGE_LINES_MAX && line->len <= FORGE_LINE_MAX);
	memcpy(next->text, line->buf, line->len);
	next->len = line->len;
	forge->statement.last = forge->statement.first + forge->count - 1;
}

static inline struct record_epoch forge_epoch_record(const struct forge *forge)
{
	return (struct record_epoch){
		.why = WHY_FIRST_USE,
		.log_id = "0123456789abcde",
		.pcr = 13,
		.banks = FORGE_BANKS,
		.reset_count = forge->reset_count,
		.restart_count = forge->restart_count,
		.clock_ms = 1000,
		.safe = true,
		.manufacturer = { "XYZ", 3 },
		.ak_name = { (const char *)forge->public.name, forge->public.name_len },
		.last_seq = forge->statement.first + forge->count - 1,
	};
}

static inline void forge_add_epoch(struct forge *forge, const struct record_epoch *epoch)
{
	struct line line = forge_buffer(forge);

	record_encode_epoch(&line, forge_head(forge), epoch);
	forge_append(forge, &line);
}

static inline void forge_add_load(
	struct forge *forge, const char *name, enum record_verdict verdict, bool extend)
{
	struct line line = forge_buffer(forge);
	struct record_head head = forge_head(forge);
	struct record_load load = {
		.program = { .name = { name, strlen(name) }, .id = { true, forge->count } },
		.signature = { .verdict = verdict },
		.loader = { .pid = 7, .comm = { "loader", 6 } },
	};

	head.extend = extend;
	record_encode_load(&line, head, &load);
	forge_append(forge, &line);
}

static inline void forge_add_lost(struct forge *forge, uint64_t count)
{
	struct line line = forge_buffer(forge);
	struct record_lost lost = {
		.what = LOST_EVENTS, .count = count, .first = 1, .last = count
	};

	record_encode_lost(&line, forge_head(forge), &lost);
	forge_append(forge, &line);
}

static inline void forge_log(struct forge *forge)
{
	struct record_epoch epoch = forge_epoch_record(forge);

	forge->count = 0;
	forge_add_epoch(forge, &epoch);
	forge_add_load(forge, "one", VERDICT_VERIFIED, true);
	forge_add_load(forge, "two", VERDICT_UNSIGNED, true);
	forge_add_load(forge, "three", VERDICT_UNSIGNED, false);
	forge_add_load(forge, "four", VERDICT_UNSIGNED, true);
	forge_add_lost(forge, 3);
	forge_add_load(forge, "five", VERDICT_UNKNOWN, true);
	forge_add_load(forge, "six", VERDICT_VERIFIED, true);
	assert(forge->count == FORGE_RECORDS);
}

static inline struct forge_line *forge_line(struct forge *forge, uint64_t seq)
{
	return &forge->lines[seq - forge->statement.first];
}

/* Put `with` in the place of the first `what` of a record: of the same length, or not. */
static inline void forge_edit(struct forge *forge, uint64_t seq, const char *what, const char *with)
{
	struct forge_line *line = forge_line(forge, seq);
	char *at = memmem(line->text, line->len, what, strlen(what));
	assert(at);
	size_t tail = line->len - (size_t)(at - line->text) - strlen(what);

	memmove(at + strlen(with), at + strlen(what), tail);
	memcpy(at, with, strlen(with));
	line->len = line->len - strlen(what) + strlen(with);
}

static inline void forge_remove(struct forge *forge, uint64_t seq)
{
	size_t at = seq - forge->statement.first;

	memmove(&forge->lines[at], &forge->lines[at + 1],
		(forge->count - at - 1) * sizeof(forge->lines[0]));
	forge->count--;
}

/* Put a copy of a line before record seq. */
static inline void forge_insert(struct forge *forge, uint64_t seq, const struct forge_line *line)
{
	size_t at = seq - forge->statement.first;
	struct forge_line copy = *line;

	assert(forge->count < FORGE_LINES_MAX);
	memmove(&forge->lines[at + 1], &forge->lines[at],
		(forge->count - at) * sizeof(forge->lines[0]));
	forge->lines[at] = copy;
	forge->count++;
}

/* Make every prev true again from record seq on, as one does who rewrites a log. */
static inline void forge_relink(struct forge *forge, uint64_t seq)
{
	static const char key[] = "\"prev\":\"";

	for (size_t i = seq - forge->statement.first; i < forge->count; i++) {
		const struct forge_line *before = &forge->lines[i - 1];
		char *at = memmem(forge->lines[i].text, forge->lines[i].len, key, strlen(key));
		uint8_t digest[SHA256_LEN];
		int err = sha256(before->text, before->len, digest);
		assert(!err && at);
		for (size_t n = 0; n < SHA256_LEN; n++) {
			char hex[3];
			snprintf(hex, sizeof(hex), "%02x", digest[n]);
			memcpy(at + strlen(key) + 2 * n, hex, 2);
		}
	}
}

/* Change one digit of a record's prev. */
static inline void forge_spoil_prev(struct forge *forge, uint64_t seq)
{
	static const char key[] = "\"prev\":\"";
	struct forge_line *line = forge_line(forge, seq);
	char *digit = memmem(line->text, line->len, key, strlen(key));

	assert(digit);
	digit += strlen(key);
	*digit = *digit == '0' ? '1' : '0';
}

/* ---- the TPM ---- */

static inline void forge_replay(struct forge *forge)
{
	struct evidence_statement *statement = &forge->statement;
	struct replay replay;
	struct replay_line line;

	replay_init(&replay, statement->first, statement->start_banks, &statement->start, NULL);
	for (size_t i = 0; i < forge->count; i++) {
		int err = replay_next(&replay, forge->lines[i].text, forge->lines[i].len, &line);
		assert(!err);
	}
	statement->banks = replay.banks;
	statement->values = replay.values;
	forge->selection_count = 0;
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (replay.banks & 1u << bank)
			forge->selections[forge->selection_count++] =
				(struct tpms_selection){ bank_alg(bank), 1u << statement->pcr };
}

/* Sign what stands in statement.quote. */
static inline void forge_sign(struct forge *forge)
{
	struct evidence_statement *statement = &forge->statement;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128], r[32], s[32];
	const uint8_t *at = der;
	size_t der_len = sizeof(der);
	struct forge_bytes out = { 0 };

	int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, forge->key) == 1 &&
		EVP_DigestSign(ctx, der, &der_len, statement->quote, statement->quote_len) == 1;
	EVP_MD_CTX_free(ctx);
	assert(ok);
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), r, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), s, 32);
	ECDSA_SIG_free(sig);

	put_uint(&out, 0x0018000b, 4);
	put_sized(&out, r, 32);
	put_sized(&out, s, 32);
	memcpy(statement->signature, out.data, out.len);
	statement->signature_len = out.len;
}

/* The qualifying data of a lone challenge. */
static inline void forge_challenge(struct forge *forge)
{
	struct merkle_hash leaf;
	int err = merkle_leaf_attest(forge->statement.nonce, forge->statement.binding, &leaf);

	assert(!err);
	memcpy(forge->extra, leaf.sha256, SHA256_LEN);
}

static inline void forge_quote(struct forge *forge)
{
	struct evidence_statement *statement = &forge->statement;
	struct forge_bytes out = { 0 }, values = { 0 }, qualified = { 0 };
	uint8_t digest[SHA256_LEN];

	put_uint(&qualified, forge->hierarchy, 4);
	memcpy(qualified.data + 4, forge->public.name, forge->public.name_len);
	int err = sha256(qualified.data, 4 + forge->public.name_len, digest);
	assert(!err);

	put_uint(&out, forge->magic, 4);
	put_uint(&out, forge->type, 2);
	put_uint(&out, 2 + SHA256_LEN, 2);
	put_uint(&out, 0x000b, 2);
	memcpy(out.data + out.len, digest, SHA256_LEN);
	out.len += SHA256_LEN;
	put_sized(&out, forge->extra, SHA256_LEN);
	put_uint(&out, forge->clock_ms, 8);
	put_uint(&out, forge->reset_count, 4);
	put_uint(&out, forge->restart_count, 4);
	put_uint(&out, forge->safe, 1);
	put_uint(&out, 0x2020031200123456, 8);
	put_uint(&out, forge->selection_count, 4);
	for (size_t i = 0; i < forge->selection_count; i++) {
		struct tpms_selection selection = forge->selections[i];
		enum bank bank = bank_from_alg(selection.alg);
		put_uint(&out, selection.alg, 2);
		put_uint(&out, 3, 1);
		for (unsigned n = 0; n < 3; n++)
			put_uint(&out, selection.pcrs >> 8 * n & 0xff, 1);
		if (bank == BANK_COUNT)
			continue;
		memcpy(values.data + values.len, statement->values.digest[bank], bank_size(bank));
		values.len += bank_size(bank);
	}
	err = sha256(values.data, values.len, digest);
	assert(!err);
	put_sized(&out, digest, SHA256_LEN);

	memcpy(statement->quote, out.data, out.len);
	statement->quote_len = out.len;
	forge_sign(forge);
}

/* ---- the whole ---- */

static inline void forge_init(struct forge *forge)
{
	static EVP_PKEY *key; /* one for the process: made by the first */

	if (!key)
		key = EVP_EC_gen("P-256");
	*forge = (struct forge){
		.key = key,
		.magic = 0xff544347,
		.type = 0x8018,
		.hierarchy = 0x4000000b,
		.clock_ms = 2000,
		.reset_count = 5,
		.restart_count = 1,
		.safe = 1,
		.statement = {
			.nonce = "the challenge of a verifier, 32",
			.first = 1,
			.start_banks = FORGE_BANKS,
			.pcr = 13,
			.count = 1,
			.agent = "0.1.0",
		},
	};
	forge_attributes(forge, FORGE_ATTRIBUTES);
	forge_challenge(forge);
	forge_log(forge);
}

static inline void forge_tpm(struct forge *forge)
{
	forge_replay(forge);
	forge_quote(forge);
}

/* The evidence as it is handed over; the caller frees it. */
static inline char *forge_text(const struct forge *forge, size_t *ret_len)
{
	char *text = malloc(EVIDENCE_STATEMENT_MAX + 1 + forge->count * (FORGE_LINE_MAX + 1));
	struct line line;

	assert(text);
	line_init(&line, text, EVIDENCE_STATEMENT_MAX);
	evidence_statement_encode(&line, &forge->statement);
	size_t len = line.len;
	text[len++] = '\n';
	for (size_t i = 0; i < forge->count; i++) {
		memcpy(text + len, forge->lines[i].text, forge->lines[i].len);
		len += forge->lines[i].len;
		text[len++] = '\n';
	}
	*ret_len = len;
	return text;
}

static inline struct verify_options forge_options(const struct forge *forge, const struct ak *ak)
{
	return (struct verify_options){
		.ak = ak,
		.pcr = 13,
		.nonce = forge->statement.nonce,
		.binding = forge->statement.binding,
	};
}

static inline struct verify_result forge_verify_text(
	const char *text, size_t len, const struct verify_options *options)
{
	struct verify_result result;
	FILE *stream = fmemopen((void *)(uintptr_t)text, len, "r");

	assert(stream);
	verify_evidence(stream, options, &result);
	fclose(stream);
	return result;
}

static inline struct verify_result forge_verify(
	const struct forge *forge, const struct verify_options *options)
{
	size_t len;
	char *text = forge_text(forge, &len);
	struct verify_result result = forge_verify_text(text, len, options);

	free(text);
	return result;
}

#endif
