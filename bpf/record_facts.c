/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a line. */
#include "bpf/record.h"

#include <assert.h>

#include "bpf/record_schema.h"

const char *record_kind_name(enum record_kind kind)
{
	assert(kind < RECORD_KIND_COUNT);
	return record_kinds[kind];
}

const char *record_verdict_name(enum record_verdict verdict)
{
	assert(verdict <= VERDICT_VERIFIED);
	return record_verdicts[verdict];
}

const char *record_covers_name(enum record_covers covers)
{
	return covers == COVERS_NONE ? "none" : record_covers[covers - 1];
}

int record_check_brief(
	const char *line, size_t len, struct record_brief *ret_brief, struct line_error *ret_error)
{
	struct line_value marks[MARK_COUNT] = { 0 };

	int r = line_check_marked(record_schema(), line, len, marks, ret_error);
	if (r < 0)
		return r;
	*ret_brief = (struct record_brief){
		.head = {
			.seq = line_value_uint(marks[MARK_SEQ]),
			.time_ns = line_value_time(marks[MARK_TIME]),
			.boottime_ns = line_value_uint(marks[MARK_BOOTTIME]),
			.kind = (enum record_kind)line_value_word(marks[MARK_KIND], record_kinds),
			.extend = !marks[MARK_EXTEND].at,
		},
	};
	line_value_hex(marks[MARK_PREV], ret_brief->head.prev, SHA256_LEN);
	if (marks[MARK_PROGRAM_ID].at)
		ret_brief->program_id = line_value_uint(marks[MARK_PROGRAM_ID]);
	if (marks[MARK_VERDICT].at)
		ret_brief->verdict = (enum record_verdict)line_value_word(
			marks[MARK_VERDICT], record_verdicts);
	return 0;
}

int record_check(
	const char *line, size_t len, struct record_head *ret_head, struct line_error *ret_error)
{
	struct record_brief brief;

	int r = record_check_brief(line, len, &brief, ret_error);
	if (r == 0)
		*ret_head = brief.head;
	return r;
}

static struct line_value get(const char *line, size_t len, const char *path)
{
	struct line_value value = { 0 };

	return line_get(line, len, path, &value) ? value : (struct line_value){ 0 };
}

static struct record_digest get_digest(const char *line, size_t len, const char *path)
{
	struct record_digest digest = { 0 };

	digest.known = line_value_hex(get(line, len, path), digest.sha256, SHA256_LEN) != 0;
	return digest;
}

/* The values of an object by bank; those of other banks become zero. */
static bank_set get_banks(struct line_value object, struct bank_values *ret_values)
{
	struct line_each each = line_each(object);
	struct line_value name, value;
	bank_set banks = 0;

	*ret_values = (struct bank_values){ 0 };
	while (line_next(&each, &name, &value)) {
		enum bank bank = bank_from_name(name.at, name.len);

		assert(bank < BANK_COUNT);
		banks |= 1U << bank;
		line_value_hex(value, ret_values->digest[bank], BANK_DIGEST_MAX);
	}
	return banks;
}

void record_epoch_facts(const char *line, size_t len, struct record_epoch_facts *ret)
{
	struct line_value tpm = get(line, len, "tpm");

	*ret = (struct record_epoch_facts){
		.why = (enum record_why)line_value_word(get(line, len, "why"), record_whys),
		.pcr = (unsigned)line_value_uint(get(tpm.at, tpm.len, "pcr")),
		.reset_count = (uint32_t)line_value_uint(get(tpm.at, tpm.len, "reset_count")),
		.restart_count = (uint32_t)line_value_uint(get(tpm.at, tpm.len, "restart_count")),
		.clock_ms = line_value_uint(get(tpm.at, tpm.len, "clock_ms")),
		.firmware = line_value_uint(get(tpm.at, tpm.len, "firmware")),
		.software = line_value_bool(get(tpm.at, tpm.len, "software")),
	};
	line_value_hex(get(line, len, "log_id"), ret->log_id, sizeof(ret->log_id));
	line_value_text(get(line, len, "boot_id"), ret->boot_id, sizeof(ret->boot_id));
	ret->ak_name_len = line_value_hex(
		get(tpm.at, tpm.len, "ak_name"), ret->ak_name, sizeof(ret->ak_name));
	ret->banks = get_banks(get(tpm.at, tpm.len, "base"), &ret->base);
}

void record_resume_facts(const char *line, size_t len, struct record_resume_facts *ret)
{
	*ret = (struct record_resume_facts){
		.reset_count = (uint32_t)line_value_uint(get(line, len, "tpm.reset_count")),
		.restart_count = (uint32_t)line_value_uint(get(line, len, "tpm.restart_count")),
		.clock_ms = line_value_uint(get(line, len, "tpm.clock_ms")),
	};
}

void record_foreign_facts(const char *line, size_t len, struct record_foreign_facts *ret)
{
	struct line_value last_seen = get(line, len, "last_seen");

	*ret = (struct record_foreign_facts){
		.after_seq = line_value_uint(get(line, len, "after_seq")),
		.last_seen_ns = {
			.known = !line_value_is_null(last_seen),
			.value = line_value_time(last_seen),
		},
	};
	ret->banks = get_banks(get(line, len, "expected"), &ret->expected);
	ret->banks &= get_banks(get(line, len, "found"), &ret->found);
}

void record_trim_facts(const char *line, size_t len, struct record_trim_facts *ret)
{
	struct line_value why = get(line, len, "why");

	*ret = (struct record_trim_facts){
		.why = (enum record_trim_why)line_value_word(why, record_trim_whys),
		.first = line_value_uint(get(line, len, "first")),
		.last = line_value_uint(get(line, len, "last")),
		.first_time_ns = line_value_time(get(line, len, "first_time")),
		.last_time_ns = line_value_time(get(line, len, "last_time")),
		.software = line_value_bool(get(line, len, "software")),
	};
	line_value_hex(get(line, len, "last_sha256"), ret->last_sha256, SHA256_LEN);
	line_value_hex(get(line, len, "log_id"), ret->log_id, sizeof(ret->log_id));
}

void record_program_facts(const char *line, size_t len, struct record_program_facts *ret)
{
	struct line_value verdict = get(line, len, "signature.verdict");

	*ret = (struct record_program_facts){
		.program_id = line_value_uint(get(line, len, "program.id")),
		.load_time_ns = line_value_uint(get(line, len, "program.load_time_ns")),
		.sha256 = get_digest(line, len, "program.sha256"),
		.kernel_digest = get_digest(line, len, "program.kernel_digest"),
		.chain_digest = get_digest(line, len, "chain_digest"),
		.verdict = (enum record_verdict)line_value_word(verdict, record_verdicts),
	};
	ret->has_tag = line_value_hex(get(line, len, "program.tag"), ret->tag, RECORD_TAG_LEN) ==
		RECORD_TAG_LEN;
}

static bool is_known_signer(const struct record_signature *signature)
{
	return signature->verdict == VERDICT_VERIFIED &&
		(signature->pinned.known ||
			(signature->keyring != KEYRING_NONE && signature->keyring != KEYRING_USER));
}

const char *record_signer_name(const struct record_signature *signature)
{
	if (signature->verdict != VERDICT_VERIFIED)
		return "none";
	if (!is_known_signer(signature))
		return "loader";
	return signature->pinned.known ? "pinned" : record_keyrings[signature->keyring - 1];
}

bool record_has_known_signer(const char *line, size_t len)
{
	struct line_value verdict = get(line, len, "signature.verdict");
	struct line_value keyring = get(line, len, "signature.keyring");
	struct record_signature signature = {
		.verdict = (enum record_verdict)line_value_word(verdict, record_verdicts),
		.pinned = get_digest(line, len, "signature.pinned"),
	};

	if (keyring.at && !line_value_is_null(keyring))
		signature.keyring = (enum record_keyring)(
			line_value_word(keyring, record_keyrings) + 1);
	return is_known_signer(&signature);
}
