/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records to test with: sample_record() makes one of any kind from a seed, with every shape that a
 * value can take (absent, empty, plain, to be escaped, to be cut, as large as can be).
 */
#ifndef TESTS_SAMPLES_H
#define TESTS_SAMPLES_H

#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"

static const enum record_kind sample_kinds[] = {
	RECORD_EPOCH,
	RECORD_START,
	RECORD_STOP,
	RECORD_BASELINE,
	RECORD_LOAD,
	RECORD_INTEGRITY,
	RECORD_REJECT,
	RECORD_ATTACH,
	RECORD_DETACH,
	RECORD_UNLOAD,
	RECORD_LOST,
	RECORD_RESUME,
	RECORD_FOREIGN,
	RECORD_TRIM,
};
enum { SAMPLE_KINDS = sizeof(sample_kinds) / sizeof(sample_kinds[0]) };

/* A table for the views to be over, in the words of docs/format.md. */
#define SAMPLES_TABLE                                                                              \
	"CREATE TABLE record(seq INTEGER PRIMARY KEY, line BLOB NOT NULL,"                         \
	" time AS (CAST(line AS TEXT) ->> '$.time'), kind AS (CAST(line AS TEXT) ->> '$.kind'),"   \
	" name AS (CAST(line AS TEXT) ->> '$.program.name'),"                                      \
	" sha256 AS (CAST(line AS TEXT) ->> '$.program.sha256'));"

struct sampler {
	uint64_t state;
	char bytes[32 * 1024]; /* of the texts */
	size_t bytes_used;
	struct record_map maps[RECORD_MAPS_MAX];
};

/* splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators". */
static inline uint64_t sample_bits(struct sampler *sampler)
{
	uint64_t z = sampler->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t sample_below(struct sampler *sampler, uint64_t limit)
{
	return sample_bits(sampler) % limit;
}

static inline bool sample_bool(struct sampler *sampler)
{
	return sample_bits(sampler) & 1;
}

/* Small, middling or any. */
static inline uint64_t sample_uint(struct sampler *sampler)
{
	uint64_t bits = sample_bits(sampler);

	return bits >> sample_below(sampler, 64);
}

static inline void sample_fill(struct sampler *sampler, void *ret_bytes, size_t len)
{
	uint8_t *to = ret_bytes;

	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)sample_bits(sampler);
}

static inline struct record_number sample_number(struct sampler *sampler)
{
	if (sample_below(sampler, 8) == 0)
		return (struct record_number){ 0 };
	return (struct record_number){ .known = true, .value = sample_uint(sampler) };
}

static inline struct record_digest sample_digest(struct sampler *sampler)
{
	struct record_digest digest = { .known = sample_below(sampler, 4) != 0 };

	if (digest.known)
		sample_fill(sampler, digest.sha256, sizeof(digest.sha256));
	return digest;
}

/* Never NULL. */
static inline struct record_text sample_bytes(struct sampler *sampler, size_t max)
{
	char *bytes = sampler->bytes + sampler->bytes_used;
	size_t len = sample_below(sampler, max + 1);
	uint64_t shape = sample_below(sampler, 4);

	if (len > sizeof(sampler->bytes) - sampler->bytes_used)
		len = 0;
	sampler->bytes_used += len;
	sample_fill(sampler, bytes, len);
	for (size_t i = 0; i < len; i++)
		if (shape == 0)
			bytes[i] = (char)('a' + (bytes[i] & 15));
		else if (shape == 1)
			bytes[i] = "\\\"x/ ~\x7f\n"[bytes[i] & 7];
		else if (shape == 2 && (bytes[i] & 3))
			bytes[i] = '_';
	return (struct record_text){ .bytes = bytes, .len = len };
}

/* Sometimes NULL, sometimes longer than its cap. */
static inline struct record_text sample_text(struct sampler *sampler, size_t cap)
{
	uint64_t shape = sample_below(sampler, 16);

	if (shape == 0)
		return (struct record_text){ 0 };
	return sample_bytes(sampler, shape == 1 ? cap + 8 : shape == 2 ? cap / 4 : 12);
}

static inline struct record_head sample_head(struct sampler *sampler)
{
	struct record_head head = {
		.seq = sample_uint(sampler) / 4 + 1,
		.time_ns = sample_uint(sampler),
		.boottime_ns = sample_uint(sampler) / 2,
		.extend = sample_bool(sampler),
	};

	sample_fill(sampler, head.prev, sizeof(head.prev));
	return head;
}

static inline struct record_program sample_program(struct sampler *sampler)
{
	return (struct record_program){
		.id = sample_number(sampler),
		.name = sample_text(sampler, RECORD_NAME_MAX),
		.type = sample_text(sampler, RECORD_NAME_MAX),
		.attach_type = sample_text(sampler, RECORD_NAME_MAX),
		.attach_to = sample_text(sampler, RECORD_WORD_MAX),
		.insn_cnt = sample_number(sampler),
		.captured = sample_bool(sampler),
		.sha256 = sample_digest(sampler),
		.kernel_digest = sample_digest(sampler),
		.has_tag = sample_bool(sampler),
		.tag = { (uint8_t)sample_uint(sampler), [7] = (uint8_t)sample_uint(sampler) },
		.load_time_ns = sample_number(sampler),
		.kernel_origin = sample_bool(sampler),
		.self = sample_bool(sampler),
	};
}

static inline size_t sample_maps(struct sampler *sampler)
{
	size_t count = sample_below(sampler, 4);

	if (sample_below(sampler, 64) == 0)
		count = RECORD_MAPS_MAX;
	for (size_t i = 0; i < count; i++)
		sampler->maps[i] = (struct record_map){
			.id = (uint32_t)sample_uint(sampler),
			.name = sample_text(sampler, RECORD_NAME_MAX),
			.type = sample_text(sampler, RECORD_NAME_MAX),
			.flags = (uint32_t)sample_uint(sampler),
			.key_size = (uint32_t)sample_uint(sampler),
			.value_size = (uint32_t)sample_uint(sampler),
			.max_entries = (uint32_t)sample_uint(sampler),
			.frozen = sample_bool(sampler),
			.exclusive = sample_bool(sampler),
			.sha256_at_load = sample_digest(sampler),
		};
	return count;
}

static inline struct record_signature sample_signature(struct sampler *sampler)
{
	struct record_signature signature = {
		.verdict = (enum record_verdict)sample_below(sampler, VERDICT_VERIFIED + 1),
		.covers = (enum record_covers)sample_below(sampler, COVERS_OTHER + 1),
		.metadata = (enum record_metadata)sample_below(sampler, METADATA_BOUND + 1),
		.signed_sha256 = sample_digest(sampler),
		.keyring = (enum record_keyring)sample_below(sampler, KEYRING_USER + 1),
		.keyring_serial = sample_number(sampler),
		.signers = sample_number(sampler),
		.claimed_count = sample_below(sampler, 3),
		.pinned = sample_digest(sampler),
		.pinned_subject = sample_text(sampler, RECORD_WORD_MAX),
		.size = sample_number(sampler),
		.sha256 = sample_digest(sampler),
	};

	if (sample_below(sampler, 64) == 0)
		signature.claimed_count = RECORD_SIGNERS_MAX;
	for (size_t i = 0; i < signature.claimed_count; i++)
		signature.claimed_key_ids[i] = sample_bytes(sampler, RECORD_CLAIM_MAX + 8);
	for (size_t i = 0; i < signature.claimed_count; i++)
		signature.digest_algs[i] = (enum record_alg)sample_below(sampler, ALG_SHA3_512 + 1);
	return signature;
}

static inline struct record_loader sample_loader(struct sampler *sampler)
{
	return (struct record_loader){
		.pid = (uint32_t)sample_uint(sampler),
		.tgid = (uint32_t)sample_uint(sampler),
		.uid = (uint32_t)sample_uint(sampler),
		.gid = (uint32_t)sample_uint(sampler),
		.comm = sample_text(sampler, RECORD_NAME_MAX),
		.exe = sample_text(sampler, RECORD_PATH_MAX),
		.exe_dev = sample_number(sampler),
		.exe_inode = sample_number(sampler),
		.exe_sha256 = sample_digest(sampler),
		.exe_fsverity = sample_digest(sampler),
		.cgroup = sample_text(sampler, RECORD_CGROUP_MAX),
		.unit = sample_text(sampler, RECORD_WORD_MAX),
		.user_ns = sample_number(sampler),
		.mnt_ns = sample_number(sampler),
		.pid_ns = sample_number(sampler),
		.net_ns = sample_number(sampler),
		.token = sample_bool(sampler),
	};
}

static inline struct record_load sample_load(struct sampler *sampler)
{
	return (struct record_load){
		.program = sample_program(sampler),
		.map_count = sample_maps(sampler),
		.maps = sampler->maps,
		.signature = sample_signature(sampler),
		.chain_digest = sample_digest(sampler),
		.has_parent = sample_bool(sampler),
		.parent = {
			.seq = sample_uint(sampler),
			.sha256 = sample_digest(sampler),
			.chain_digest = sample_digest(sampler),
			.verdict = (enum record_verdict)sample_below(sampler, VERDICT_VERIFIED + 1),
		},
		.loader = sample_loader(sampler),
		.stage = (enum record_stage)sample_below(sampler, STAGE_OTHER + 1),
		.error = (unsigned)sample_uint(sampler),
	};
}

static inline struct record_baseline sample_baseline(struct sampler *sampler)
{
	struct record_baseline baseline = {
		.program = sample_program(sampler),
		.map_count = sample_maps(sampler),
		.maps = sampler->maps,
		.signature = sample_signature(sampler),
		.uid = sample_number(sampler),
		.has_earlier = sample_bool(sampler),
		.earlier_seq = sample_uint(sampler),
	};

	sample_fill(sampler, baseline.earlier_sha256, sizeof(baseline.earlier_sha256));
	return baseline;
}

static inline struct record_of_program sample_of_program(struct sampler *sampler)
{
	return (struct record_of_program){
		.seq = sample_uint(sampler),
		.id = sample_number(sampler),
		.sha256 = sample_digest(sampler),
	};
}

static inline struct record_place sample_place(struct sampler *sampler)
{
	struct record_place place = {
		.via = (enum record_via)sample_below(sampler, VIA_OTHER + 1),
		.attach_type = sample_text(sampler, RECORD_NAME_MAX),
		.target = {
			.type = (enum record_target_type)sample_below(sampler, TARGET_FILE + 1),
			.name = sample_text(sampler, RECORD_PATH_MAX),
			.id = sample_number(sampler),
			.index = sample_number(sampler),
			.count = sample_number(sampler),
		},
	};

	if (sample_bool(sampler)) {
		place.link_id = sample_number(sampler);
		place.link_type = sample_text(sampler, RECORD_NAME_MAX);
	}
	return place;
}

static inline struct record_integrity sample_integrity(struct sampler *sampler)
{
	return (struct record_integrity){
		.program = sample_of_program(sampler),
		.hook = sample_text(sampler, RECORD_WORD_MAX),
		.verdict = sample_text(sampler, RECORD_WORD_MAX),
		.value = sample_number(sampler),
		.source = sample_text(sampler, RECORD_NAME_MAX),
	};
}

static inline struct record_attach sample_attach(struct sampler *sampler)
{
	return (struct record_attach){
		.program = sample_of_program(sampler),
		.how = (enum record_how)sample_below(sampler, HOW_BASELINE + 1),
		.place = sample_place(sampler),
		.has_replaced = sample_bool(sampler),
		.replaced = sample_of_program(sampler),
		.has_by = sample_bool(sampler),
		.by = sample_loader(sampler),
	};
}

static inline struct record_detach sample_detach(struct sampler *sampler)
{
	return (struct record_detach){
		.program = sample_of_program(sampler),
		.why = (enum record_ended)sample_below(sampler, ENDED_REPLACED + 1),
		.attach_seq = sample_uint(sampler),
		.place = sample_place(sampler),
		.has_by = sample_bool(sampler),
		.by = sample_loader(sampler),
	};
}

static inline bank_set sample_banks(struct sampler *sampler)
{
	return (bank_set)sample_below(sampler, (1U << BANK_COUNT) - 1) + 1;
}

static inline void sample_values(
	struct sampler *sampler, bank_set banks, struct bank_values *ret_values)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank)
			sample_fill(sampler, ret_values->digest[bank], bank_size(bank));
}

static inline struct record_epoch sample_epoch(struct sampler *sampler)
{
	struct record_epoch epoch = {
		.why = (enum record_why)sample_below(sampler, WHY_NEW_TPM + 1),
		.pcr = (unsigned)sample_below(sampler, RECORD_PCR_MAX + 1),
		.banks = sample_banks(sampler),
		.reset_count = (uint32_t)sample_uint(sampler),
		.restart_count = (uint32_t)sample_uint(sampler),
		.clock_ms = sample_uint(sampler),
		.safe = sample_bool(sampler),
		.firmware = sample_uint(sampler),
		.manufacturer = sample_text(sampler, RECORD_WORD_MAX),
		.vendor = sample_text(sampler, RECORD_WORD_MAX),
		.software = sample_bool(sampler),
		.ak_name = sample_bytes(sampler, RECORD_AK_NAME_MAX),
		.boot_id = sample_text(sampler, RECORD_WORD_MAX),
		.kernel = sample_text(sampler, RECORD_WORD_MAX),
		.last_seq = sample_uint(sampler),
	};

	sample_fill(sampler, epoch.log_id, sizeof(epoch.log_id));
	sample_values(sampler, epoch.banks, &epoch.base);
	return epoch;
}

static inline struct record_resume sample_resume(struct sampler *sampler)
{
	return (struct record_resume){
		.reset_count = (uint32_t)sample_uint(sampler),
		.restart_count = (uint32_t)sample_uint(sampler),
		.clock_ms = sample_uint(sampler),
		.safe = sample_bool(sampler),
	};
}

static inline struct record_foreign sample_foreign(struct sampler *sampler)
{
	struct record_foreign foreign = {
		.after_seq = sample_uint(sampler),
		.banks = sample_banks(sampler),
		.last_seen_ns = sample_number(sampler),
		.reset_count = (uint32_t)sample_uint(sampler),
		.restart_count = (uint32_t)sample_uint(sampler),
	};

	sample_values(sampler, foreign.banks, &foreign.expected);
	sample_values(sampler, foreign.banks, &foreign.found);
	return foreign;
}

static inline struct record_trim sample_trim(struct sampler *sampler)
{
	struct record_trim trim = {
		.why = (enum record_trim_why)sample_below(sampler, TRIM_MAX_AGE + 1),
		.first = sample_uint(sampler),
		.last = sample_uint(sampler),
		.first_time_ns = sample_uint(sampler),
		.last_time_ns = sample_uint(sampler),
		.software = sample_bool(sampler),
	};

	sample_fill(sampler, trim.last_sha256, sizeof(trim.last_sha256));
	sample_fill(sampler, trim.log_id, sizeof(trim.log_id));
	return trim;
}

static inline struct record_start sample_start(struct sampler *sampler)
{
	struct record_start start = {
		.version = sample_text(sampler, RECORD_WORD_MAX),
		.exe_sha256 = sample_digest(sampler),
		.conf_sha256 = sample_digest(sampler),
		.hook_count = sample_below(sampler, 6),
		.missing_count = sample_below(sampler, RECORD_HOOKS_MAX + 1),
		.next_program_id = sample_uint(sampler),
		.last_exit = (enum record_exit)sample_below(sampler, EXIT_UNCLEAN + 1),
		.kept_measuring = sample_bool(sampler),
		.attached_ns = sample_uint(sampler),
	};

	for (size_t i = 0; i < start.hook_count; i++)
		start.hooks[i] = "fexit/bpf_verify_pkcs7_signature";
	for (size_t i = 0; i < start.missing_count; i++)
		start.missing[i] = "lsm/bpf_prog_load_post_integrity";
	return start;
}

/* Encode one record of a kind; the same state of the sampler makes the same line. */
static inline void sample_record(
	struct sampler *sampler, enum record_kind kind, struct record_head head, struct line *line)
{
	struct record_load load;

	sampler->bytes_used = 0;
	switch (kind) {
	case RECORD_EPOCH:
		return record_encode_epoch(
			line, head, (struct record_epoch[]){ sample_epoch(sampler) });
	case RECORD_START:
		return record_encode_start(
			line, head, (struct record_start[]){ sample_start(sampler) });
	case RECORD_STOP:
		return record_encode_stop(
			line, head, &(struct record_stop){ sample_text(sampler, RECORD_WORD_MAX) });
	case RECORD_BASELINE:
		return record_encode_baseline(
			line, head, (struct record_baseline[]){ sample_baseline(sampler) });
	case RECORD_LOAD:
		load = sample_load(sampler);
		return record_encode_load(line, head, &load);
	case RECORD_REJECT:
		load = sample_load(sampler);
		return record_encode_reject(line, head, &load);
	case RECORD_INTEGRITY:
		return record_encode_integrity(
			line, head, (struct record_integrity[]){ sample_integrity(sampler) });
	case RECORD_ATTACH:
		return record_encode_attach(
			line, head, (struct record_attach[]){ sample_attach(sampler) });
	case RECORD_DETACH:
		return record_encode_detach(
			line, head, (struct record_detach[]){ sample_detach(sampler) });
	case RECORD_UNLOAD:
		return record_encode_unload(line, head,
			&(struct record_unload){
				.program_seq = sample_uint(sampler),
				.program_id = (uint32_t)sample_uint(sampler),
			});
	case RECORD_LOST:
		return record_encode_lost(line, head,
			&(struct record_lost){
				.what = (enum record_lost_what)sample_below(
					sampler, LOST_ATTACHMENTS + 1),
				.count = sample_uint(sampler),
				.first = sample_uint(sampler),
				.last = sample_uint(sampler),
			});
	case RECORD_RESUME:
		return record_encode_resume(
			line, head, (struct record_resume[]){ sample_resume(sampler) });
	case RECORD_FOREIGN:
		return record_encode_foreign(
			line, head, (struct record_foreign[]){ sample_foreign(sampler) });
	case RECORD_TRIM:
		return record_encode_trim(
			line, head, (struct record_trim[]){ sample_trim(sampler) });
	default:
		abort();
	}
}

#endif
