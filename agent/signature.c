/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/signature.h"

#include <linux/bpf.h>
#include <string.h>

#include "agent/cms.h"
#include "agent/describe.h"

static bool is_whole(const struct collected_bytes *bytes, uint64_t len)
{
	return !bytes->broken && bytes->len == len;
}

/* Which of the bytes that the kernel verified are bytes that we captured. */
static enum record_covers covers_of(const struct collected_load *load)
{
	const struct collected_bytes *data = &load->streams[STREAM_SIGNED];
	const struct collected_bytes *insns = &load->streams[STREAM_INSNS];
	size_t at = insns->len;

	if (data->len < insns->len || memcmp(data->bytes, insns->bytes, insns->len))
		return COVERS_OTHER;
	if (data->len == insns->len)
		return COVERS_INSNS;
	for (size_t i = 0; i < load->map_count; i++) {
		const struct collected_bytes *content = &load->maps[i].content;

		if (!load->maps[i].map.content_len ||
			!is_whole(content, load->maps[i].map.content_len) ||
			content->len > data->len - at ||
			memcmp(data->bytes + at, content->bytes, content->len))
			return COVERS_OTHER;
		at += content->len;
	}
	return at == data->len ? COVERS_INSNS_MAPS : COVERS_OTHER;
}

static enum record_verdict verdict_of(
	const struct collected_load *load, const struct record_load *record)
{
	if (!load->has_end) /* which alone tells whether there was a signature */
		return VERDICT_UNKNOWN;
	if (!load->end.signature_len) {
		bool contradicted = load->has_prog && load->prog.sig_known &&
			load->prog.sig_verdict;

		return contradicted ? VERDICT_UNKNOWN : VERDICT_UNSIGNED;
	}
	if (load->end.error || !load->has_prog || load->verify_count != 1 || load->verify.error)
		return VERDICT_UNKNOWN;
	if (record->signature.covers == COVERS_NONE || record->signature.covers == COVERS_OTHER)
		return VERDICT_UNKNOWN;
	if (load->prog.sig_known &&
		(load->prog.sig_verdict != 1 ||
			load->prog.sig_keyring_kind != load->verify.keyring_kind))
		return VERDICT_UNKNOWN;
	return collected_is_complete(load) ? VERDICT_VERIFIED : VERDICT_UNKNOWN;
}

/*
 * Whether the loader checks the map itself: light skeletons of 6.18 to 7.2 compare their metadata
 * map's sha256 with four 64-bit immediates of their own, in order. Then a signature over the
 * instructions alone binds a frozen, exclusive map with that digest.
 */
static bool is_bound(const struct collected_bytes *insns, const struct record_map *map)
{
	uint64_t words[SHA256_LEN / 8];
	size_t found = 0;

	if (!map->frozen || !map->exclusive || !map->sha256_at_load.known)
		return false;
	memcpy(words, map->sha256_at_load.sha256, sizeof(words));
	for (size_t at = 0; at + 2 * sizeof(struct bpf_insn) <= insns->len && found < 4;
		at += sizeof(struct bpf_insn)) {
		struct bpf_insn insn[2];
		uint64_t value;

		memcpy(insn, insns->bytes + at, sizeof(insn));
		if (insn[0].code != (BPF_LD | BPF_IMM | BPF_DW) || insn[0].src_reg)
			continue;
		value = (uint32_t)insn[0].imm | (uint64_t)(uint32_t)insn[1].imm << 32;
		if (value == words[found])
			found++;
		at += sizeof(struct bpf_insn);
	}
	return found == 4;
}

static enum record_metadata metadata_of(
	const struct collected_load *load, const struct record_load *record)
{
	if (record->signature.verdict != VERDICT_VERIFIED)
		return METADATA_NONE;
	if (record->signature.covers == COVERS_INSNS_MAPS)
		return METADATA_KERNEL;
	/* One that is not bound may be where the rest of the program comes from. */
	for (size_t i = 0; i < record->map_count; i++)
		if (!is_bound(&load->streams[STREAM_INSNS], &record->maps[i]))
			return METADATA_NONE;
	return record->map_count ? METADATA_BOUND : METADATA_NONE;
}

/* What can be said of the signature's own bytes, which only the verification hook has. */
static int describe_bytes(
	const struct collected_load *load, const struct cms_trust *trust, struct described *memory)
{
	const struct collected_bytes *data = &load->streams[STREAM_SIGNED];
	const struct collected_bytes *message = &load->streams[STREAM_SIGNATURE];
	struct record_signature *ret = &memory->load.signature;
	bool data_whole = is_whole(data, load->verify.data_len);
	int err = 0;

	if (data_whole) {
		err = sha256(data->bytes, data->len, ret->signed_sha256.sha256);
		ret->signed_sha256.known = !err;
	}
	if (err || !is_whole(message, load->verify.signature_len))
		return err;
	err = sha256(message->bytes, message->len, ret->sha256.sha256);
	ret->sha256.known = !err;
	if (err)
		return err;
	err = cms_claims(message->bytes, message->len, &memory->claims);
	if (err)
		return err;
	ret->signers = memory->claims.signers;
	ret->claimed_count = memory->claims.count;
	memcpy(ret->claimed_key_ids, memory->claims.key_ids, sizeof(ret->claimed_key_ids));
	memcpy(ret->digest_algs, memory->claims.digest_algs, sizeof(ret->digest_algs));
	if (data_whole && trust)
		ret->pinned.known = cms_pinned(trust, data->bytes, data->len, message->bytes,
			message->len, ret->pinned.sha256);
	if (ret->pinned.known) {
		const char *subject = cms_trust_subject(trust, ret->pinned.sha256);

		ret->pinned_subject = (struct record_text){ subject,
			subject ? strlen(subject) : 0 };
	}
	return 0;
}

int signature_describe(
	const struct collected_load *load, const struct cms_trust *trust, struct described *memory)
{
	struct record_load *record = &memory->load;
	struct record_signature *ret = &record->signature;
	int err = 0;

	if (load->end.signature_len)
		ret->size = (struct record_number){ true, load->end.signature_len };
	/* Of several verifications none can be told to be the kernel's own. */
	if (load->end.signature_len && load->verify_count == 1) {
		if (load->verify.keyring_kind <= KEYRING_USER)
			ret->keyring = (enum record_keyring)load->verify.keyring_kind;
		if (ret->keyring == KEYRING_USER)
			ret->keyring_serial = (struct record_number){ true,
				(uint32_t)load->verify.keyring_serial };
		if (!load->verify.error && record->program.captured && load->load.in_check &&
			is_whole(&load->streams[STREAM_SIGNED], load->verify.data_len))
			ret->covers = covers_of(load);
		err = describe_bytes(load, trust, memory);
	}
	ret->verdict = verdict_of(load, record);
	ret->metadata = metadata_of(load, record);
	return err;
}
