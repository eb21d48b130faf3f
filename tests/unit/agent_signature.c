/* SPDX-License-Identifier: BSD-2-Clause */
/* Every rule of agent/signature.h: a load that is as it should be, and what happens
 * without each. */
#include "agent/signature.h"

#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/teller.h"

static struct teller *teller;
static struct story story; /* signed, and everything about it right, until a test spoils it */

static int story_new(void **)
{
	static uint64_t number;

	teller = teller_new();
	number++;
	story_init(&story, number);
	story_sign(&story);
	return 0;
}

static int story_free(void **)
{
	teller_free(teller);
	return 0;
}

static const struct record_signature *told(void)
{
	tell(teller, &story);
	return &teller->described.load.signature;
}

static void assert_told(enum record_verdict verdict, enum record_covers covers)
{
	const struct record_signature *signature = told();

	assert_int_equal(signature->verdict, verdict);
	assert_int_equal(signature->covers, covers);
	if (verdict != VERDICT_VERIFIED)
		assert_int_equal(signature->metadata, METADATA_NONE);
	story.number += 1000; /* another load, should the test tell it again */
}

/* ---- verified, and each condition of it ---- */

static void a_load_that_is_all_right_is_verified(void **)
{
	assert_told(VERDICT_VERIFIED, COVERS_INSNS);
	assert_int_equal(teller->described.load.signature.metadata, METADATA_NONE);
	assert_int_equal(teller->described.load.signature.keyring, KEYRING_SECONDARY);
	assert_false(teller->described.load.signature.keyring_serial.known);
	assert_true(teller->described.load.signature.sha256.known);
	assert_memory_equal(teller->described.load.signature.signed_sha256.sha256,
		teller->described.load.program.sha256.sha256, SHA256_LEN);
}

static void a_kernel_without_a_note_of_its_own_needs_none(void **)
{
	story.prog.sig_known = story.prog.sig_verdict = story.prog.sig_keyring_kind = 0;
	assert_told(VERDICT_VERIFIED, COVERS_INSNS);
}

static void a_load_that_asked_for_nothing_is_unsigned_whatever_was_verified_in_its_name(void **)
{
	story.end.signature_len = 0;
	story.prog.sig_verdict = 0;
	assert_told(VERDICT_UNSIGNED, COVERS_NONE);
	assert_int_equal(teller->described.load.signature.keyring, KEYRING_NONE);
	assert_false(teller->described.load.signature.signed_sha256.known);
	assert_false(teller->described.load.signature.size.known);
}

static void a_load_that_asked_for_nothing_and_is_noted_as_signed_is_unknown(void **)
{
	story.end.signature_len = 0;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
}

static void a_load_that_failed_is_unknown(void **)
{
	story.end.error = -EACCES;
	assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
}

static void a_load_whose_end_was_not_seen_is_unknown(void **)
{
	for (int i = 0; i < 2; i++) {
		tell_without_end(teller, &story);
		assert_int_equal(teller->described.load.signature.verdict, VERDICT_UNKNOWN);
		assert_false(teller->described.load.signature.size.known);
		assert_false(teller->described.load.chain_digest.known);
		story_init(&story, story.number + 1); /* as well where there was no signature */
	}
}

static void a_load_whose_program_was_not_seen_is_unknown(void **)
{
	story.has_prog = false;
	assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
}

static void a_load_whose_verification_was_not_seen_is_unknown(void **)
{
	story.verify_count = 0;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
	assert_int_equal(teller->described.load.signature.keyring, KEYRING_NONE);
}

static void two_verifications_are_one_too_many(void **)
{
	story.verify_count = 2;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
	assert_int_equal(teller->described.load.signature.keyring, KEYRING_NONE);
	assert_false(teller->described.load.signature.signed_sha256.known);
}

static void a_verification_that_failed_is_unknown(void **)
{
	story.verify.error = -EKEYREJECTED;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
}

static void other_bytes_than_ours_are_unknown(void **)
{
	uint64_t other[5];

	for (size_t i = 0; i < sizeof(story.insns); i++) {
		memcpy(other, story.insns, sizeof(story.insns));
		((uint8_t *)other)[i] ^= 0x80;
		story.streams[STREAM_SIGNED] = (struct story_bytes){ other, sizeof(story.insns) };
		assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
	}
}

static void fewer_or_more_bytes_than_ours_are_unknown(void **)
{
	uint64_t other[5] = { 0 };

	memcpy(other, story.insns, sizeof(story.insns));
	for (size_t len = 0; len <= sizeof(other); len++) {
		if (len == sizeof(story.insns))
			continue;
		story.streams[STREAM_SIGNED] = (struct story_bytes){ other, len };
		story.verify.data_len = len;
		assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
	}
}

static void verified_bytes_that_did_not_all_arrive_are_unknown(void **)
{
	story.verify.data_len++;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
	assert_false(teller->described.load.signature.signed_sha256.known);
}

static void instructions_that_did_not_all_arrive_are_unknown(void **)
{
	story.streams[STREAM_INSNS].len -= 8;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
	story.streams[STREAM_INSNS].len = 0;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
}

static void instructions_of_an_unknown_number_are_unknown(void **)
{
	story.has_load = false;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
}

static void a_note_of_the_kernel_that_disagrees_is_unknown(void **)
{
	for (unsigned verdict = 0; verdict < 256; verdict++) {
		story.prog.sig_verdict = (uint8_t)verdict;
		if (verdict != 1)
			assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
	}
}

static void a_note_of_another_keyring_is_unknown(void **)
{
	for (unsigned kind = 0; kind < 256; kind++) {
		story.prog.sig_keyring_kind = (uint8_t)kind;
		if (kind != story.verify.keyring_kind)
			assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
	}
}

/* An event that is missing may be a second verification. */
static void a_load_with_an_event_missing_is_unknown(void **)
{
	story.end.dropped = 1;
	assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
}

static void a_load_with_an_event_too_many_is_unknown(void **)
{
	static struct tape tape;
	struct event_map map = {};

	tape_put(&tape, story.number, EVENT_MAP, &map, sizeof(map));
	assert_int_equal(tape_play(&tape, &teller->collect, 0, 1), 0);
	tape_done(&tape);
	assert_told(VERDICT_UNKNOWN, COVERS_INSNS);
}

static void bytes_before_the_instructions_were_checked_are_no_cover(void **)
{
	story.load.in_check = 0;
	assert_told(VERDICT_UNKNOWN, COVERS_NONE);
}

/* ---- keyrings ---- */

static void keyrings_are_named_and_a_users_has_its_number(void **)
{
	story.verify.keyring_serial = -3;
	for (unsigned kind = 0; kind < 7; kind++) {
		const struct record_signature *signature;

		story.number += 1000;
		story.verify.keyring_kind = kind;
		signature = told();
		assert_int_equal(signature->keyring, kind <= KEYRING_USER ? kind : KEYRING_NONE);
		assert_int_equal(signature->keyring_serial.known, kind == KEYRING_USER);
		if (kind == KEYRING_USER)
			assert_int_equal(signature->keyring_serial.value, 0xfffffffd);
	}
}

static void a_signature_that_did_not_all_arrive_has_no_digest(void **)
{
	story.verify.signature_len++;
	assert_told(VERDICT_VERIFIED, COVERS_INSNS);
	assert_false(teller->described.load.signature.sha256.known);
}

/* ---- how far it reaches: maps behind the instructions ---- */

static uint8_t joined[64];

/* Two maps of three and four bytes, signed after the instructions in this order. */
static void sign_maps(const char *order)
{
	story_map(&story, "abc", 3);
	story_map(&story, "defg", 4);
	memcpy(joined, story.insns, sizeof(story.insns));
	memcpy(joined + sizeof(story.insns), order, strlen(order));
	story.verify.data_len = sizeof(story.insns) + strlen(order);
	story.streams[STREAM_SIGNED] = (struct story_bytes){ joined, story.verify.data_len };
}

static void maps_behind_the_instructions_are_covered(void **)
{
	sign_maps("abcdefg");
	assert_told(VERDICT_VERIFIED, COVERS_INSNS_MAPS);
	assert_int_equal(teller->described.load.signature.metadata, METADATA_KERNEL);
}

static void maps_in_another_order_are_not(void **)
{
	sign_maps("defgabc");
	assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
}

static void maps_with_other_contents_or_lengths_are_not(void **)
{
	const char *const orders[] = { "abcdefh", "abc", "abcd", "abcdef", "abcdefgh", "a" };

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		story.map_count = 0;
		sign_maps(orders[i]);
		assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
	}
}

static void a_map_without_contents_is_not(void **)
{
	sign_maps("abcdefg");
	story.maps[1].content_len = 0;
	assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
}

static void a_map_whose_contents_did_not_all_arrive_is_not(void **)
{
	sign_maps("abcdefg");
	story.contents[1].len = 3;
	assert_told(VERDICT_UNKNOWN, COVERS_OTHER);
}

/* ---- how far it reaches: loaders that check their map themselves ---- */

static struct bpf_insn loader[16];

static void put_imm64(size_t at, const uint8_t word[static 8])
{
	loader[at].code = BPF_LD | BPF_IMM | BPF_DW;
	memcpy(&loader[at].imm, word, 4);
	memcpy(&loader[at + 1].imm, word + 4, 4);
}

/* A signed program that has the four words of a map's digest, each behind another instruction. */
static void bind_map(void)
{
	struct story_bytes insns = { loader, sizeof(loader) };
	uint8_t digest[SHA256_LEN];

	story_map(&story, "metadata", 8);
	assert_int_equal(sha256("metadata", 8, digest), 0);
	memset(loader, 0, sizeof(loader));
	for (size_t i = 0; i < 4; i++) {
		loader[3 * i].code = BPF_ALU64 | BPF_MOV | BPF_K;
		put_imm64(3 * i + 1, digest + 8 * i);
	}
	story.streams[STREAM_INSNS] = story.streams[STREAM_SIGNED] = insns;
	story.load.insns_len = story.verify.data_len = sizeof(loader);
}

static void assert_metadata(enum record_metadata metadata)
{
	const struct record_signature *signature = told();

	assert_int_equal(signature->verdict, VERDICT_VERIFIED);
	assert_int_equal(signature->covers, COVERS_INSNS);
	assert_int_equal(signature->metadata, metadata);
	story.number += 1000;
}

static void a_map_whose_digest_the_loader_has_is_bound(void **)
{
	bind_map();
	assert_metadata(METADATA_BOUND);
}

static void another_map_that_is_not_bound_leaves_nothing_bound(void **)
{
	story_map(&story, "other", 5);
	bind_map();
	assert_metadata(METADATA_NONE);
}

static void a_map_that_can_change_is_not_bound(void **)
{
	bind_map();
	story.maps[0].frozen = 0;
	assert_metadata(METADATA_NONE);
	story.maps[0].frozen = 1;
	story.maps[0].exclusive = 0;
	assert_metadata(METADATA_NONE);
}

static void a_map_with_contents_unknown_is_not_bound(void **)
{
	bind_map();
	story.maps[0].content_len = 0;
	assert_metadata(METADATA_NONE);
	story.maps[0].content_len = 9;
	assert_metadata(METADATA_NONE);
}

static void a_map_with_one_bit_changed_is_not_bound(void **)
{
	bind_map();
	story.contents[0] = (struct story_bytes){ "metadatb", 8 };
	assert_metadata(METADATA_NONE);
}

static void three_words_of_four_are_not_enough(void **)
{
	for (size_t i = 0; i < 4; i++) {
		story.map_count = 0;
		bind_map();
		loader[3 * i + 2].imm ^= 1;
		assert_metadata(METADATA_NONE);
	}
}

static void words_in_another_order_are_no_digest(void **)
{
	struct bpf_insn word[2];

	bind_map();
	memcpy(word, &loader[1], sizeof(word));
	memcpy(&loader[1], &loader[4], sizeof(word));
	memcpy(&loader[4], word, sizeof(word));
	assert_metadata(METADATA_NONE);
}

static void a_map_descriptor_is_no_word(void **)
{
	bind_map();
	loader[4].src_reg = BPF_PSEUDO_MAP_FD;
	assert_metadata(METADATA_NONE);
}

/* The second half of one immediate and what follows it look like another. */
static void words_that_do_not_begin_at_an_instruction_are_none(void **)
{
	bind_map();
	loader[0].code = BPF_LD | BPF_IMM | BPF_DW;
	assert_metadata(METADATA_NONE);
}

static void a_word_cut_off_at_the_end_is_none(void **)
{
	bind_map();
	story.load.insns_len = story.verify.data_len = 11 * sizeof(*loader);
	story.streams[STREAM_INSNS].len = story.streams[STREAM_SIGNED].len = 11 * sizeof(*loader);
	assert_metadata(METADATA_NONE);
}

static void an_unsigned_loader_binds_nothing(void **)
{
	bind_map();
	story.end.signature_len = 0;
	story.prog.sig_verdict = 0;
	assert_told(VERDICT_UNSIGNED, COVERS_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, story_new, story_free)
	const struct CMUnitTest tests[] = {
		TEST(a_load_that_is_all_right_is_verified),
		TEST(a_kernel_without_a_note_of_its_own_needs_none),
		TEST(a_load_that_asked_for_nothing_is_unsigned_whatever_was_verified_in_its_name),
		TEST(a_load_that_asked_for_nothing_and_is_noted_as_signed_is_unknown),
		TEST(a_load_that_failed_is_unknown),
		TEST(a_load_whose_end_was_not_seen_is_unknown),
		TEST(a_load_whose_program_was_not_seen_is_unknown),
		TEST(a_load_whose_verification_was_not_seen_is_unknown),
		TEST(two_verifications_are_one_too_many),
		TEST(a_verification_that_failed_is_unknown),
		TEST(other_bytes_than_ours_are_unknown),
		TEST(fewer_or_more_bytes_than_ours_are_unknown),
		TEST(verified_bytes_that_did_not_all_arrive_are_unknown),
		TEST(instructions_that_did_not_all_arrive_are_unknown),
		TEST(instructions_of_an_unknown_number_are_unknown),
		TEST(a_note_of_the_kernel_that_disagrees_is_unknown),
		TEST(a_note_of_another_keyring_is_unknown),
		TEST(a_load_with_an_event_missing_is_unknown),
		TEST(a_load_with_an_event_too_many_is_unknown),
		TEST(bytes_before_the_instructions_were_checked_are_no_cover),
		TEST(keyrings_are_named_and_a_users_has_its_number),
		TEST(a_signature_that_did_not_all_arrive_has_no_digest),
		TEST(maps_behind_the_instructions_are_covered),
		TEST(maps_in_another_order_are_not),
		TEST(maps_with_other_contents_or_lengths_are_not),
		TEST(a_map_without_contents_is_not),
		TEST(a_map_whose_contents_did_not_all_arrive_is_not),
		TEST(a_map_whose_digest_the_loader_has_is_bound),
		TEST(another_map_that_is_not_bound_leaves_nothing_bound),
		TEST(a_map_that_can_change_is_not_bound),
		TEST(a_map_with_contents_unknown_is_not_bound),
		TEST(a_map_with_one_bit_changed_is_not_bound),
		TEST(three_words_of_four_are_not_enough),
		TEST(words_in_another_order_are_no_digest),
		TEST(a_map_descriptor_is_no_word),
		TEST(words_that_do_not_begin_at_an_instruction_are_none),
		TEST(a_word_cut_off_at_the_end_is_none),
		TEST(an_unsigned_loader_binds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
