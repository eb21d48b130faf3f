/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest_expect.h"

/* Made with Python's hashlib: three lines from zero. */
static void values_are_those_of_the_definition(void **state)
{
	static const char *const expected[BANK_COUNT] = {
		[BANK_SHA1] = "d71eff0d6dca4fae6caa3178cf7c2d169e4252e6",
		[BANK_SHA256] = "5c553ba6e7825a823b33b19085e452ff"
				"77d378ea7a98edfbd4c9ab77a47f60ff",
		[BANK_SHA384] = "9e77938f3f5c6e4fce08c76fb47b9c03fa7e768251affc22"
				"5cfd53b0a6b8aa510fe8dea2b5ffbdf290cd10ab2ab7d1de",
		[BANK_SHA512] = "cdf26cfe2e07648310dc6b180ec335ff01addecd9dd68670dc95c52c33d7e44c"
				"2b52a8db655d6721a510a95e5657daf0ed4cabb4f6ff2e70b347f34c434e75e3",
	};
	static const struct bank_values zero;
	struct replay replay;
	struct replay_line line;

	(void)state;
	replay_init(&replay, 1, (1u << BANK_COUNT) - 1, &zero, NULL);
	assert_int_equal(replay_next(&replay, "a", 1, &line), 0);
	assert_int_equal(replay_next(&replay, "not a record", 12, &line), 0);
	assert_int_equal(replay_next(&replay, "", 0, &line), 0);
	assert_int_equal(line.place, 3);
	assert_false(line.is_record);
	assert_true(replay.faults[REPLAY_GRAMMAR].found);
	assert_int_equal(replay.faults[REPLAY_GRAMMAR].place, 1);
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		char text[2 * BANK_DIGEST_MAX + 1];
		for (size_t i = 0; i < bank_size(bank); i++)
			snprintf(text + 2 * i, 3, "%02x", replay.values.digest[bank][i]);
		assert_string_equal(text, expected[bank]);
	}
}

static void run(const struct forge *forge, struct replay *replay)
{
	struct replay_line line;

	replay_init(replay, 1, FORGE_BANKS, &forge->statement.start, NULL);
	for (size_t i = 0; i < forge->count; i++)
		assert_int_equal(
			replay_next(replay, forge->lines[i].text, forge->lines[i].len, &line), 0);
}

static void a_whole_log_has_no_faults(void **state)
{
	const struct forge *forge = *state;
	struct replay replay;

	run(forge, &replay);
	for (enum replay_check check = 0; check < REPLAY_CHECK_COUNT; check++)
		assert_false(replay.faults[check].found);
	assert_int_equal(replay.place, FORGE_RECORDS + 1);
	assert_int_equal(replay.extended, FORGE_RECORDS);
}

static void a_line_that_was_not_extended_changes_no_value(void **state)
{
	struct forge *forge = *state;
	struct replay before, after;

	run(forge, &before);
	forge_add_load(forge, "seven", VERDICT_UNSIGNED, false);
	run(forge, &after);
	assert_true(replay_is_at(&after, before.banks, &before.values));
	assert_int_equal(after.extended, FORGE_RECORDS);
	assert_int_equal(after.place, FORGE_RECORDS + 2);
}

static void the_first_fault_of_each_kind_is_kept(void **state)
{
	struct forge *forge = *state;
	struct replay replay;

	forge_edit(forge, 3, "\"seq\":3", "\"seq\":4");
	forge_edit(forge, 6, "\"kind\"", "\"Kind\"");
	forge_edit(forge, 8, "\"kind\"", "\"Kind\"");
	run(forge, &replay);
	assert_int_equal(replay.faults[REPLAY_SEQ].place, 3);
	assert_int_equal(replay.faults[REPLAY_PREV].place, 4);
	assert_int_equal(replay.faults[REPLAY_GRAMMAR].place, 6);
}

static void banks_are_part_of_where_it_is(void **state)
{
	const struct forge *forge = *state;
	struct replay replay;

	run(forge, &replay);
	assert_true(replay_is_at(&replay, FORGE_BANKS, &forge->statement.values));
	assert_false(replay_is_at(&replay, 1u << BANK_SHA256, &forge->statement.values));
	assert_false(replay_is_at(&replay, 0, &forge->statement.values));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_the_definition),
		TEST(a_whole_log_has_no_faults),
		TEST(a_line_that_was_not_extended_changes_no_value),
		TEST(the_first_fault_of_each_kind_is_kept),
		TEST(banks_are_part_of_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
