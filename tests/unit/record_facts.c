/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/samples.h"

static char buf[RECORD_LINE_MAX];
static struct sampler sampler;

static struct line new_line(void)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	return line;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"

static struct record_head head(void)
{
	return (struct record_head){ .seq = 8, .extend = true };
}

/* As a line has it. */
static uint64_t capped(uint64_t number)
{
	return number < LINE_UINT_MAX ? number : LINE_UINT_MAX;
}

static void epoch_facts_are_those_of_the_line(void **)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct record_epoch_facts facts;
		struct line line = new_line();

		sampler.bytes_used = 0;
		struct record_epoch epoch = sample_epoch(&sampler);
		record_encode_epoch(&line, sample_head(&sampler), &epoch);
		record_epoch_facts(line.buf, line.len, &facts);
		assert_int_equal(facts.why, epoch.why);
		assert_int_equal(facts.pcr, epoch.pcr);
		assert_int_equal(facts.banks, epoch.banks);
		assert_memory_equal(&facts.base, &epoch.base, sizeof(facts.base));
		assert_int_equal(facts.reset_count, epoch.reset_count);
		assert_int_equal(facts.restart_count, epoch.restart_count);
		assert_true(facts.clock_ms == capped(epoch.clock_ms));
		assert_true(facts.firmware == epoch.firmware);
		assert_int_equal(facts.ak_name_len, epoch.ak_name.len);
		assert_memory_equal(facts.ak_name, epoch.ak_name.bytes, facts.ak_name_len);
		assert_memory_equal(facts.log_id, epoch.log_id, sizeof(facts.log_id));
		assert_int_equal(facts.software, epoch.software);
		assert_true(strlen(facts.boot_id) < sizeof(facts.boot_id));
	}
}

static void an_epoch_without_an_ak_has_no_name_of_it(void **)
{
	struct record_epoch epoch = { .banks = 1U << BANK_SHA256 };
	struct record_epoch_facts facts;
	struct line line = new_line();

	record_encode_epoch(&line, head(), &epoch);
	record_epoch_facts(line.buf, line.len, &facts);
	assert_int_equal(facts.ak_name_len, 0);
}

static void resume_facts_are_those_of_the_line(void **)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct record_resume resume = sample_resume(&sampler);
		struct record_resume_facts facts;
		struct line line = new_line();

		record_encode_resume(&line, sample_head(&sampler), &resume);
		record_resume_facts(line.buf, line.len, &facts);
		assert_int_equal(facts.reset_count, resume.reset_count);
		assert_int_equal(facts.restart_count, resume.restart_count);
		assert_true(facts.clock_ms == capped(resume.clock_ms));
	}
}

static void foreign_facts_are_those_of_the_line(void **)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct record_foreign foreign = sample_foreign(&sampler);
		struct record_foreign_facts facts;
		struct line line = new_line();

		record_encode_foreign(&line, sample_head(&sampler), &foreign);
		record_foreign_facts(line.buf, line.len, &facts);
		assert_true(facts.after_seq == capped(foreign.after_seq));
		assert_int_equal(facts.banks, foreign.banks);
		assert_memory_equal(&facts.expected, &foreign.expected, sizeof(facts.expected));
		assert_memory_equal(&facts.found, &foreign.found, sizeof(facts.found));
		assert_int_equal(facts.last_seen_ns.known, foreign.last_seen_ns.known);
		assert_true(facts.last_seen_ns.value == foreign.last_seen_ns.value);
	}
}

/* The banks are those of both: what stands in one of them alone cannot be compared. */
static void a_foreign_line_may_name_other_banks_as_found(void **)
{
	static const char text[] =
		"{\"v\":1,\"seq\":8,\"prev\":\"" ONES
		"\",\"time\":\"2026-01-02T03:04:05.000000006Z\",\"boottime_ns\":99,"
		"\"kind\":\"foreign\",\"after_seq\":6,\"expected\":{\"sha256\":\"" ZEROS
		"\"},\"found\":{\"sha1\":"
		"\"0000000000000000000000000000000000000000\"},"
		"\"last_seen\":null,\"reset_count\":3,"
		"\"restart_count\":4}";
	struct record_head ignored;
	struct line_error error;
	struct record_foreign_facts facts;

	assert_int_equal(record_check(text, strlen(text), &ignored, &error), 0);
	record_foreign_facts(text, strlen(text), &facts);
	assert_int_equal(facts.banks, 0);
}

static void trim_facts_are_those_of_the_line(void **)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct record_trim trim = sample_trim(&sampler);
		struct record_trim_facts facts;
		struct line line = new_line();

		record_encode_trim(&line, sample_head(&sampler), &trim);
		record_trim_facts(line.buf, line.len, &facts);
		assert_int_equal(facts.why, trim.why);
		assert_true(facts.first == capped(trim.first));
		assert_true(facts.last == capped(trim.last));
		assert_memory_equal(facts.last_sha256, trim.last_sha256, SHA256_LEN);
		assert_true(facts.first_time_ns == trim.first_time_ns);
		assert_true(facts.last_time_ns == trim.last_time_ns);
		assert_memory_equal(facts.log_id, trim.log_id, sizeof(facts.log_id));
		assert_int_equal(facts.software, trim.software);
	}
}

static void program_facts_are_those_of_the_line(void **)
{
	struct record_load load = {
		.program = {
			.id = { true, 17 },
			.sha256 = { .known = true, .sha256 = { 1, 2 } },
			.has_tag = true,
			.tag = { 1, 2, 3, 4, 5, 6, 7, 8 },
			.load_time_ns = { true, 77 },
		},
		.signature.verdict = VERDICT_VERIFIED,
		.chain_digest.known = true,
	};
	struct record_program_facts facts;
	struct line line = new_line();

	record_encode_load(&line, head(), &load);
	record_program_facts(line.buf, line.len, &facts);
	assert_int_equal(facts.program_id, 17);
	assert_int_equal(facts.load_time_ns, 77);
	assert_true(facts.sha256.known);
	assert_memory_equal(facts.sha256.sha256, load.program.sha256.sha256, SHA256_LEN);
	assert_false(facts.kernel_digest.known);
	assert_true(facts.has_tag);
	assert_memory_equal(facts.tag, load.program.tag, RECORD_TAG_LEN);
	assert_true(facts.chain_digest.known);
	assert_int_equal(facts.verdict, VERDICT_VERIFIED);

	record_encode_baseline(&line, head(), &(struct record_baseline){ 0 });
	record_program_facts(line.buf, line.len, &facts);
	assert_int_equal(facts.program_id, 0);
	assert_false(facts.sha256.known);
	assert_false(facts.chain_digest.known);
	assert_int_equal(facts.verdict, VERDICT_UNKNOWN);
}

/* `verified` by a key that the loader brought along is by nobody that is known. */
static void a_signer_is_known_by_a_pin_or_by_a_keyring_of_the_kernels_own(void **)
{
	static const struct {
		enum record_verdict verdict;
		enum record_keyring keyring;
		bool pinned, known;
		const char *name;
	} cases[] = {
		{ VERDICT_UNKNOWN, KEYRING_NONE, false, false, "none" },
		{ VERDICT_UNSIGNED, KEYRING_NONE, false, false, "none" },
		{ VERDICT_UNKNOWN, KEYRING_BUILTIN, true, false, "none" },
		{ VERDICT_VERIFIED, KEYRING_NONE, false, false, "loader" },
		{ VERDICT_VERIFIED, KEYRING_USER, false, false, "loader" },
		{ VERDICT_VERIFIED, KEYRING_USER, true, true, "pinned" },
		{ VERDICT_VERIFIED, KEYRING_BUILTIN, true, true, "pinned" },
		{ VERDICT_VERIFIED, KEYRING_BUILTIN, false, true, "builtin" },
		{ VERDICT_VERIFIED, KEYRING_SECONDARY, false, true, "secondary" },
		{ VERDICT_VERIFIED, KEYRING_PLATFORM, false, true, "platform" },
	};
	struct line line = new_line();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record_load load = {
			.signature = {
				.verdict = cases[i].verdict,
				.keyring = cases[i].keyring,
				.pinned.known = cases[i].pinned,
			},
		};

		record_encode_load(&line, head(), &load);
		assert_int_equal(record_has_known_signer(line.buf, line.len), cases[i].known);
		assert_string_equal(record_signer_name(&load.signature), cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(epoch_facts_are_those_of_the_line),
		cmocka_unit_test(an_epoch_without_an_ak_has_no_name_of_it),
		cmocka_unit_test(resume_facts_are_those_of_the_line),
		cmocka_unit_test(foreign_facts_are_those_of_the_line),
		cmocka_unit_test(a_foreign_line_may_name_other_banks_as_found),
		cmocka_unit_test(trim_facts_are_those_of_the_line),
		cmocka_unit_test(program_facts_are_those_of_the_line),
		cmocka_unit_test(a_signer_is_known_by_a_pin_or_by_a_keyring_of_the_kernels_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
