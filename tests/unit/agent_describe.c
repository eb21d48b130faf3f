/* SPDX-License-Identifier: BSD-2-Clause */
/* From what the kernel saw to what the record's line says. */
#include "agent/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/samples.h"
#include "tests/teller.h"

static struct teller *teller;
static struct story story; /* a plain unsigned load, until a test changes it */

static int story_new(void **)
{
	static uint64_t number;

	teller = teller_new();
	number++;
	story_init(&story, number);
	return 0;
}

static int story_free(void **)
{
	teller_free(teller);
	return 0;
}

/* The load's line has this in it. */
static void assert_says(const char *text)
{
	tell(teller, &story);
	if (!strstr(teller->line, text))
		fail_msg("%s\ndoes not say\n%s", teller->line, text);
	story.number += 1000; /* another load, should the test tell it again */
}

static void assert_digest(const struct record_digest *digest, const void *bytes, size_t len)
{
	uint8_t expected[SHA256_LEN];

	assert_true(digest->known);
	assert_int_equal(sha256(bytes, len, expected), 0);
	assert_memory_equal(digest->sha256, expected, SHA256_LEN);
}

/* ---- the program ---- */

static void a_plain_load_says_what_and_who(void **)
{
	const struct record_load *load = &teller->described.load;

	assert_says("\"name\":\"prog\",\"type\":\"6\",\"attach_type\":null,\"attach_to\":null,"
		    "\"insn_cnt\":4,\"captured\":true,");
	assert_digest(&load->program.sha256, story.insns, sizeof(story.insns));
	assert_true(load->program.kernel_digest.known);
	assert_true(load->chain_digest.known);
	assert_int_equal(load->signature.verdict, VERDICT_UNSIGNED);
	assert_says("\"comm\":\"loader\",\"exe\":\"/usr/bin/loader\"");
	assert_says(
		"\"cgroup\":\"/system.slice/a.service\",\"unit\":\"a.service\",\"user_ns\":56,");
}

static void names_are_any_bytes_and_need_no_nul(void **)
{
	memcpy(story.load.name, "0123456789abcdef", EVENT_NAME_LEN);
	memset(story.load.task.comm, 0xff, EVENT_NAME_LEN);
	assert_says("\"name\":\"0123456789abcdef\",\"type\"");
	assert_says("\"comm\":\"\\\\xff\\\\xff\\\\xff\\\\xff");
	memset(story.load.name, 0, EVENT_NAME_LEN);
	assert_says("\"name\":null");
}

static void a_target_is_named(void **)
{
	memcpy(story.prog.attach_to, "bpf_prog_load", 14);
	assert_says("\"attach_to\":\"bpf_prog_load\"");
	memset(story.prog.attach_to, 'x', EVENT_TARGET_LEN);
	assert_says("xxxxxxxx");
}

static void attach_type_zero_is_one_only_where_programs_attach_by_it(void **)
{
	assert_says("\"attach_type\":null");
	story.load.attach_type = 5;
	assert_says("\"attach_type\":\"5\"");
	story.load.prog_type = 8; /* cgroup_skb: ingress is 0 */
	story.load.attach_type = 0;
	assert_says("\"type\":\"8\",\"attach_type\":\"0\"");
	story.load.prog_type = 27; /* struct_ops: a member's number */
	story.load.attach_type = 2;
	assert_says("\"type\":\"27\",\"attach_type\":null");
	story.load.prog_type = story.load.attach_type = UINT32_MAX;
	assert_says("\"type\":\"4294967295\",\"attach_type\":\"4294967295\"");
}

static void a_tag_is_no_kernel_digest(void **)
{
	story.prog.digest_len = 8;
	assert_says("\"kernel_digest\":null,\"tag\":\"");
	story.prog.digest_len = 255;
	assert_says("\"kernel_digest\":null,\"tag\":null");
}

static void instructions_that_did_not_all_arrive_are_not_captured(void **)
{
	story.load.insns_len += 8;
	assert_says("\"captured\":false,\"sha256\":null");
	story.load.insns_len = 8; /* more than there should be */
	assert_says("\"captured\":false,\"sha256\":null");
	story.load.insns_len = 0;
	story.streams[STREAM_INSNS].len = 0;
	assert_says("\"captured\":false,\"sha256\":null");
	assert_false(teller->described.load.chain_digest.known);
}

static void a_load_of_which_only_the_end_arrived_says_so(void **)
{
	story.has_load = story.has_prog = false;
	story.end.tgid = 4242;
	assert_says("\"captured\":false");
	assert_says("\"tgid\":4242");
	assert_false(teller->described.load.chain_digest.known);
}

/* ---- maps ---- */

static void maps_are_in_order_and_frozen_ones_have_digests(void **)
{
	const struct record_map *maps = teller->described.maps;

	story_map(&story, "abc", 3);
	story_map(&story, "", 0);
	assert_says("\"maps\":[{\"id\":900,\"name\":\"map\",\"type\":\"2\"");
	assert_int_equal(teller->described.load.map_count, 2);
	assert_digest(&maps[0].sha256_at_load, "abc", 3);
	assert_false(maps[1].sha256_at_load.known);
	assert_int_equal(maps[1].id, 901);
}

static void contents_that_did_not_all_arrive_have_no_digest(void **)
{
	story_map(&story, "abc", 3)->content_len = 4;
	assert_says("\"sha256_at_load\":null");
}

/* The event of the second map and the contents of the first are lost: what is left would be the
 * first map with the contents of the second. */
static void a_map_never_has_the_contents_of_another(void **)
{
	static struct tape tape;
	uint32_t drop[2] = { 0 };
	size_t dropped = 0;

	story_map(&story, "abc", 3);
	story_map(&story, "xyz", 3);
	tape_story(&tape, &story);
	drop[0] = (uint32_t)tape.count - 4;
	drop[1] = (uint32_t)tape.count - 3;
	((struct event_end *)tape.events[tape.count - 1].event)->dropped = 2;
	((struct event_end *)tape.events[tape.count - 1].event)->events -= 2;
	for (size_t i = 0; i < tape.count; i++) {
		if (dropped < 2 && i == drop[dropped])
			dropped++;
		else
			assert_int_equal(tape_play_one(&tape, &teller->collect, i), 0);
	}
	tape_done(&tape);
	assert_int_equal(teller->loads, 1);
	assert_int_equal(teller->described.load.map_count, 1);
	assert_false(teller->described.maps[0].sha256_at_load.known);
	assert_false(teller->described.load.chain_digest.known);
}

/* ---- who ---- */

static void assert_exe(const char *names, size_t len, const char *text)
{
	story.streams[STREAM_EXE] = (struct story_bytes){ names, len };
	assert_says(text);
}

static void a_path_is_put_together_from_its_names(void **)
{
	assert_exe("c\0b\0a", 6, "\"exe\":\"/a/b/c\"");
	assert_exe("a", 2, "\"exe\":\"/a\"");
	assert_exe("", 1, "\"exe\":\"/\"");
	assert_exe("a\0", 3, "\"exe\":\"/a\"");
	assert_exe("b\0a\0...", 8, "\"exe\":\"/.../a/b\"");
	assert_exe("a b\0\xff\n", 7, "\"exe\":\"/\\\\xff\\\\x0a/a b\"");
}

static void names_that_make_no_path_are_unknown(void **)
{
	assert_exe("", 0, "\"exe\":null");
	assert_exe("ab", 2, "\"exe\":null"); /* no NUL at the end */
	story.streams[STREAM_CGROUP].len = 0;
	assert_exe("a", 2, "\"cgroup\":null");
}

static void the_longest_path_fits(void **)
{
	static char names[COLLECT_TEXT_MAX + 1];

	memset(names, 'n', sizeof(names));
	names[COLLECT_TEXT_MAX - 1] = 0;
	assert_exe(names, COLLECT_TEXT_MAX, "\"exe\":\"/nnnn");
	assert_int_equal(teller->described.load.loader.exe.len, COLLECT_TEXT_MAX);
	for (size_t i = 1; i < COLLECT_TEXT_MAX; i += 2)
		names[i] = 0;
	assert_exe(names, COLLECT_TEXT_MAX, "\"exe\":\"/n/n/n/n");
	assert_int_equal(teller->described.load.loader.exe.len, COLLECT_TEXT_MAX);
	memset(names, 0, sizeof(names));
	assert_exe(names, COLLECT_TEXT_MAX, "\"exe\":\"/\"");
	assert_exe(names, COLLECT_TEXT_MAX + 1, "\"exe\":null");
}

static void each_namespace_is_its_own(void **)
{
	story.load.task.mnt_ns = 57;
	story.load.task.pid_ns = 58;
	story.load.task.net_ns = UINT32_MAX;
	assert_says("\"user_ns\":56,\"mnt_ns\":57,\"pid_ns\":58,\"net_ns\":4294967295");
	assert_says("\"unit\":\"a.service\"");
}

static void what_the_kernel_did_not_know_is_null(void **)
{
	story.load.task.exe_inode = 0;
	story.load.task.user_ns = 0;
	assert_says("\"exe_dev\":null,\"exe_inode\":null,\"exe_sha256\":null");
	assert_says("\"user_ns\":null,\"mnt_ns\":null,\"pid_ns\":null,\"net_ns\":null");
	assert_says("\"exe_fsverity\":null");
	story.load.task.exe_sha256_known = 1;
	assert_says("\"exe_sha256\":\"0000");
	story.load.task.exe_fsverity_known = 1;
	assert_says("\"exe_fsverity\":\"0000");
}

/* ---- refused ---- */

static void refused(int error, enum record_stage stage)
{
	story.end.error = error;
	tell(teller, &story);
	assert_int_equal(teller->described.load.error, -error);
	assert_int_equal(teller->described.load.stage, stage);
	assert_false(teller->described.load.chain_digest.known);
	story.number += 1000;
}

static void a_refused_load_says_at_which_stage(void **)
{
	story.load.security = -EPERM;
	refused(-EPERM, STAGE_LSM);
	story.load.security = 0;
	refused(-EMFILE, STAGE_OTHER);
	story.has_prog = false;
	refused(-EACCES, STAGE_VERIFIER);
	story.load.in_check = 0;
	refused(-EKEYREJECTED, STAGE_SIGNATURE);
	story.has_load = false;
	refused(-EBADMSG, STAGE_SIGNATURE);
}

static void a_load_refused_for_its_signature_is_captured_from_what_was_tried(void **)
{
	uint64_t tried[6] = { 1, 2, 3, 4, 5, 6 }; /* four instructions, then a map */

	story_sign(&story);
	story.streams[STREAM_SIGNED] = (struct story_bytes){ tried, sizeof(tried) };
	story.verify.data_len = sizeof(tried);
	story.verify.error = -EKEYREJECTED;
	story.load.in_check = 0;
	story.has_prog = false;
	refused(-EKEYREJECTED, STAGE_SIGNATURE);
	assert_digest(&teller->described.load.program.sha256, tried, sizeof(story.insns));
	assert_int_equal(teller->described.load.signature.verdict, VERDICT_UNKNOWN);
	assert_int_equal(teller->described.load.signature.covers, COVERS_NONE);

	story.streams[STREAM_SIGNED].len = sizeof(story.insns) - 1;
	refused(-EKEYREJECTED, STAGE_SIGNATURE);
	assert_false(teller->described.load.program.captured);
	story.streams[STREAM_SIGNED].len = sizeof(tried);
	story.verify_count = 2;
	refused(-EKEYREJECTED, STAGE_SIGNATURE);
	assert_false(teller->described.load.program.captured);
	story.verify_count = 0;
	refused(-EINVAL, STAGE_SIGNATURE);
	assert_false(teller->described.load.program.captured);
}

static void any_error_number_can_be_written(void **)
{
	const int errors[] = { -1, -4095, -524, INT32_MIN, 1, INT32_MAX };

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		story.end.error = errors[i];
		tell(teller, &story); /* aborts where the line is not accepted */
		story.number += 1000;
	}
}

/* ---- parents ---- */

static void a_known_parent_is_a_link_of_the_chain(void **)
{
	struct program_known parent = { .id = 7, .seq = 70, .verdict = VERDICT_UNSIGNED };
	struct record_digest alone;

	parent.sha256.known = parent.chain_digest.known = true;
	parent.chain_digest.sha256[0] = 1; /* zeros are no parent */
	assert_int_equal(programs_add(&teller->programs, &parent), 0);
	assert_says("\"parent\":null");
	alone = teller->described.load.chain_digest;
	story.load.kernel_origin = 1;
	story.end.parent_id = 7;
	assert_says("\"parent\":{\"seq\":70,");
	assert_true(teller->described.load.chain_digest.known);
	assert_memory_not_equal(
		teller->described.load.chain_digest.sha256, alone.sha256, SHA256_LEN);
}

static void a_load_from_user_space_has_no_parent(void **)
{
	struct program_known parent = { .id = 7, .seq = 70 };

	assert_int_equal(programs_add(&teller->programs, &parent), 0);
	story.end.parent_id = 7; /* left behind by a program that ran before */
	assert_says("\"parent\":null");
	assert_true(teller->described.load.chain_digest.known);
}

static void a_load_from_a_program_that_was_not_seen_has_no_chain(void **)
{
	story.load.kernel_origin = 1;
	assert_says("\"parent\":null");
	assert_false(teller->described.load.chain_digest.known);
}

static void a_parent_that_is_not_known_breaks_the_chain(void **)
{
	struct program_known parent = { .id = 7, .seq = 70 }; /* a baseline's: no chain digest */

	story.load.kernel_origin = 1;
	story.end.parent_id = 8;
	assert_says("\"parent\":null");
	assert_false(teller->described.load.chain_digest.known);
	assert_int_equal(programs_add(&teller->programs, &parent), 0);
	story.end.parent_id = 7;
	assert_says("\"parent\":{\"seq\":70,");
	assert_false(teller->described.load.chain_digest.known);
}

static void a_missing_event_breaks_the_chain(void **)
{
	assert_says("\"captured\":true");
	assert_true(teller->described.load.chain_digest.known);
	story.end.dropped = 1;
	assert_says("\"captured\":true");
	assert_false(teller->described.load.chain_digest.known);
}

/* ---- what was there before ---- */

static struct record_baseline baseline_of(void)
{
	struct record_head head = { .seq = 1, .extend = true }, checked;
	struct record_baseline baseline;
	struct line_error error;
	struct line line;

	describe_baseline(&teller->describe, &story.prog, story.maps, story.map_count,
		&teller->described, &baseline);
	line_init(&line, teller->line, RECORD_LINE_MAX);
	record_encode_baseline(&line, head, &baseline);
	assert_int_equal(record_check(line.buf, line.len, &checked, &error), 0);
	return baseline;
}

static void a_baseline_says_what_the_kernel_remembers(void **)
{
	struct record_baseline baseline;

	story_map(&story, "abc", 3);
	baseline = baseline_of();
	assert_int_equal(baseline.program.id.value, story.prog.id);
	assert_false(baseline.program.captured);
	assert_int_equal(baseline.map_count, 1);
	assert_false(baseline.maps[0].sha256_at_load.known);
	assert_int_equal(baseline.signature.verdict, VERDICT_UNKNOWN);
	assert_false(baseline.has_earlier);
}

static void a_baselines_verdict_is_the_kernels(void **)
{
	struct record_baseline baseline;

	story.prog.sig_known = 1;
	story.prog.sig_keyring_kind = 4;
	story.prog.sig_keyring_serial = -3;
	for (unsigned verdict = 0; verdict < 4; verdict++) {
		static const enum record_verdict expected[] = { VERDICT_UNSIGNED, VERDICT_VERIFIED,
			VERDICT_UNKNOWN, VERDICT_UNKNOWN };

		story.prog.sig_verdict = (uint8_t)verdict;
		baseline = baseline_of();
		assert_int_equal(baseline.signature.verdict, expected[verdict]);
		assert_int_equal(
			baseline.signature.keyring, verdict < 2 ? KEYRING_USER : KEYRING_NONE);
	}
	story.prog.sig_verdict = 1;
	story.prog.sig_keyring_kind = 5;
	assert_int_equal(baseline_of().signature.keyring, KEYRING_NONE);
}

/* ---- any values ---- */

static void whatever_an_event_says_its_line_is_accepted(void **)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	assert_non_null(sampler);
	for (unsigned i = 0; i < 3000; i++) {
		story_init(&story, i + 1);
		if (sample_bool(sampler))
			story_sign(&story);
		story_map(&story, "abc", 3);
		sample_fill(sampler, &story.load, sizeof(story.load));
		sample_fill(sampler, &story.prog, sizeof(story.prog));
		sample_fill(sampler, &story.end, sizeof(story.end));
		story.end.series = SERIES_LOAD;
		sample_fill(sampler, &story.verify, sizeof(story.verify));
		sample_fill(sampler, story.maps, sizeof(story.maps));
		if (sample_bool(sampler))
			story.load.insns_len = sizeof(story.insns);
		if (sample_bool(sampler))
			story.maps[0].content_len = 3;
		if (sample_bool(sampler))
			story.end.error = 0;
		tell(teller, &story); /* aborts where it is not */
		baseline_of();
	}
	free(sampler);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, story_new, story_free)
	const struct CMUnitTest tests[] = {
		TEST(a_plain_load_says_what_and_who),
		TEST(names_are_any_bytes_and_need_no_nul),
		TEST(a_target_is_named),
		TEST(attach_type_zero_is_one_only_where_programs_attach_by_it),
		TEST(a_tag_is_no_kernel_digest),
		TEST(instructions_that_did_not_all_arrive_are_not_captured),
		TEST(a_load_of_which_only_the_end_arrived_says_so),
		TEST(maps_are_in_order_and_frozen_ones_have_digests),
		TEST(contents_that_did_not_all_arrive_have_no_digest),
		TEST(a_map_never_has_the_contents_of_another),
		TEST(a_path_is_put_together_from_its_names),
		TEST(names_that_make_no_path_are_unknown),
		TEST(the_longest_path_fits),
		TEST(each_namespace_is_its_own),
		TEST(what_the_kernel_did_not_know_is_null),
		TEST(a_refused_load_says_at_which_stage),
		TEST(a_load_refused_for_its_signature_is_captured_from_what_was_tried),
		TEST(any_error_number_can_be_written),
		TEST(a_known_parent_is_a_link_of_the_chain),
		TEST(a_load_from_user_space_has_no_parent),
		TEST(a_load_from_a_program_that_was_not_seen_has_no_chain),
		TEST(a_parent_that_is_not_known_breaks_the_chain),
		TEST(a_missing_event_breaks_the_chain),
		TEST(a_baseline_says_what_the_kernel_remembers),
		TEST(a_baselines_verdict_is_the_kernels),
		TEST(whatever_an_event_says_its_line_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
