/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence that was good and then changed on its way: never trusted, and told where. */
#include "attest_expect.h"

static struct verify_result verify(const struct forge *forge)
{
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	return forge_verify(forge, &options);
}

static void expect_words(const struct forge *forge, enum verify_reason reason, const char *words)
{
	struct verify_result result = verify(forge);

	if (result.reason != reason || !strstr(result.explanation, words))
		print_message("%s: %s\n", verify_reason_name(result.reason), result.explanation);
	assert_int_equal(result.reason, reason);
	assert_non_null(strstr(result.explanation, words));
	assert_false(result.is_proven);
}

#define OTHERS_PROVEN  "so every other record is proven"
#define NOTHING_PROVEN "the quote proves nothing"

/* ---- told where ---- */

static void an_edited_record_is_named(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 5, "four", "FOUR");
	expect_words(forge, VERIFY_REPLAY, "record 5 was changed after it was measured");
	expect_words(forge, VERIFY_REPLAY, "record 6 says");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void an_edited_prev_is_the_fault_of_its_own_record(void **state)
{
	struct forge *forge = *state;

	forge_spoil_prev(forge, 5);
	expect_words(forge, VERIFY_REPLAY, "The log was altered: record 5 was changed");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

/* Record 4 was not extended: only 5 named it, and what stands there now names another. */
static void what_only_an_edited_record_covered_is_not_proven(void **state)
{
	struct forge *forge = *state;
	size_t count = forge->count;

	forge_edit(forge, 4, "three", "THREE");
	forge->count = 5;
	forge_relink(forge, 5);
	forge->count = count;
	expect_words(forge, VERIFY_REPLAY, "record 5 was changed");
	expect_words(forge, VERIFY_REPLAY, ", and nothing else covers record 4; with that put");
}

static void what_only_a_removed_record_covered_is_not_proven(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 4, "three", "THREE");
	forge_remove(forge, 5);
	expect_words(forge, VERIFY_REPLAY, "record 5 is missing");
	expect_words(forge, VERIFY_REPLAY, ", and nothing else covers record 4; with that put");
}

static void what_a_moved_record_does_not_cover_is_not_proven(void **state)
{
	struct forge *forge = *state;
	struct forge_line line = *forge_line(forge, 5);

	forge_remove(forge, 5);
	forge_insert(forge, 6, &line);
	expect_words(forge, VERIFY_REPLAY, "records 5 and 6 have changed places; with that put");
	forge_edit(forge, 4, "three", "THREE");
	expect_words(forge, VERIFY_REPLAY,
		"records 5 and 6 have changed places, and nothing else covers record 4; with");
}

static void what_is_not_extended_before_an_unseen_end_is_not_proven(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 4, "three", "THREE");
	forge_add_load(forge, "more", VERDICT_UNSIGNED, true);
	expect_words(forge, VERIFY_REPLAY,
		"up to there the records are proven but for those that were not extended "
		"themselves, from record 4 on, those from 9 to 9");
}

static void two_edited_records_are_named(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 3, "two", "TWO");
	forge_edit(forge, 6, "\"count\":3", "\"count\":0");
	expect_words(forge, VERIFY_REPLAY, "record 3 was changed");
	expect_words(forge, VERIFY_REPLAY, "; record 6 was changed");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void a_record_made_unreadable_is_named(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 5, "\"kind\"", "\"kinD\"");
	expect_words(forge, VERIFY_REPLAY, "record 5 was changed");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void a_duplicate_key_is_found(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 5, "\"kind\":\"load\"", "\"kind\":\"load\",\"kind\":\"load\"");
	expect_words(forge, VERIFY_REPLAY, "record 5 was changed");
}

static void a_record_that_was_not_extended_is_named(void **state)
{
	struct forge *forge = *state;

	/* Record 5 names it, and is measured. */
	forge_edit(forge, 4, "three", "THREE");
	expect_words(forge, VERIFY_PREV, "record 4 was changed after it was measured");
}

static void a_record_removed_is_named(void **state)
{
	struct forge *forge = *state;

	forge_remove(forge, 5);
	expect_words(forge, VERIFY_REPLAY, "record 5 is missing: record 6 says");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void a_line_added_at_the_end_is_not_proven(void **state)
{
	struct forge *forge = *state;

	forge_insert(forge, 9, forge_line(forge, 2));
	expect_words(forge, VERIFY_REPLAY, "after record 8: up to there the records are proven");
}

static void two_records_removed_prove_nothing(void **state)
{
	struct forge *forge = *state;

	forge_remove(forge, 5);
	forge_remove(forge, 5);
	expect_words(forge, VERIFY_REPLAY, "contradicts itself");
	expect_words(forge, VERIFY_REPLAY, "the place of record 5");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);
}

static void a_record_repeated_is_named(void **state)
{
	struct forge *forge = *state;

	forge_insert(forge, 6, forge_line(forge, 5));
	expect_words(forge, VERIFY_REPLAY, "a line was added in the place of record 5");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void a_record_added_is_named(void **state)
{
	struct forge *forge = *state;

	forge_insert(forge, 6, forge_line(forge, 2));
	forge_edit(forge, 6, "one", "new");
	expect_words(forge, VERIFY_REPLAY, "a line was added in the place of record 6");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void records_that_changed_places_are_named(void **state)
{
	struct forge *forge = *state;
	struct forge_line five = *forge_line(forge, 5);

	*forge_line(forge, 5) = *forge_line(forge, 6);
	*forge_line(forge, 6) = five;
	expect_words(forge, VERIFY_REPLAY, "records 5 and 6 have changed places");
	expect_words(forge, VERIFY_REPLAY, OTHERS_PROVEN);
}

static void a_log_cut_short_is_seen(void **state)
{
	struct forge *forge = *state;

	forge->count -= 2;
	expect_words(
		forge, VERIFY_REPLAY, "ends with record 6, by the statement with 8: it was cut");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);

	forge->statement.last = 6; /* stated so, too */
	expect_words(forge, VERIFY_REPLAY, "records after it were removed");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);
}

static void records_after_the_quote_are_not_proven(void **state)
{
	struct forge *forge = *state;

	forge_add_load(forge, "seven", VERDICT_UNSIGNED, true);
	expect_words(forge, VERIFY_REPLAY, "after record 8: up to there the records are proven");
	expect_words(forge, VERIFY_REPLAY, "from 9 to 9");
}

static void the_last_record_edited_proves_nothing(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 8, "six", "SIX");
	expect_words(forge, VERIFY_REPLAY, "the last one was changed");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);
}

static void a_log_rewritten_proves_nothing(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 3, "two", "TWO");
	forge_relink(forge, 4);
	expect_words(forge, VERIFY_REPLAY, "all of it was rewritten");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);
}

static void an_extend_by_somebody_else_is_seen(void **state)
{
	struct forge *forge = *state;
	struct evidence_statement *statement = &forge->statement;

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		uint8_t digest[BANK_DIGEST_MAX] = { 1 };
		if (statement->banks & 1u << bank)
			assert_int_equal(
				bank_extend(bank, statement->values.digest[bank], digest), 0);
	}
	forge_quote(forge);
	expect_words(forge, VERIFY_REPLAY, "somebody else extended the PCR");
}

static void an_extend_of_one_bank_alone_is_seen(void **state)
{
	struct forge *forge = *state;
	uint8_t digest[BANK_DIGEST_MAX] = { 1 };

	assert_int_equal(
		bank_extend(BANK_SHA384, forge->statement.values.digest[BANK_SHA384], digest), 0);
	forge_quote(forge);
	expect_words(forge, VERIFY_REPLAY, "not to the sha384 value");
}

static void what_was_proven_before_stays_so(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = verify(forge).end;

	forge_add_load(forge, "seven", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	forge_edit(forge, 9, "seven", "SEVEN");
	options.after = &anchor;
	struct verify_result result = forge_verify(forge, &options);
	assert_int_equal(result.reason, VERIFY_REPLAY);
	assert_non_null(strstr(result.explanation, "up to record 8, stays so"));
}

static void the_record_of_an_earlier_epoch_is_named(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	forge_edit(forge, 3, "two", "TWO");
	expect_words(forge, VERIFY_PREV, "record 3 was changed after it was measured");
}

static void many_changes_are_too_many_to_name(void **state)
{
	struct forge *forge = *state;

	for (size_t i = 0; i < 4; i++)
		forge_add_load(forge, "more", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	for (uint64_t seq = 2; seq <= 12; seq += 2)
		if (seq != 6)
			forge_edit(forge, seq, "\"pid\":7", "\"pid\":8");
	expect_words(forge, VERIFY_REPLAY, NOTHING_PROVEN);
}

/* ---- never trusted ---- */

/* The members that nothing signs: whoever hands the evidence over may write what he likes. */
static bool is_unsigned(const char *text, size_t at)
{
	static const struct {
		const char *from, *to;
	} members[] = {
		{ "\"since\":", ",\"first\"" },
		{ "\"behind\":", "}" },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *from = strstr(text, members[i].from);
		const char *to = strstr(from, members[i].to);
		if (text + at >= from && text + at < to)
			return true;
	}
	return false;
}

static void no_byte_can_be_changed(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x90 };
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	size_t len, changed = 0;
	char *text = forge_text(forge, &len);

	for (size_t at = 0; at < len; at++) {
		if (is_unsigned(text, at))
			continue;
		for (size_t i = 0; i < sizeof(masks); i++) {
			text[at] = (char)(text[at] ^ masks[i]);
			struct verify_result result = forge_verify_text(text, len, &options);
			if (result.verdict != VERIFY_UNTRUSTED || result.is_proven)
				fail_msg("byte %zu of %zu", at, len);
			text[at] = (char)(text[at] ^ masks[i]);
			changed++;
		}
	}
	assert_true(changed > 4000);
	assert_int_equal(forge_verify_text(text, len, &options).verdict, VERIFY_TRUSTED);
	free(text);
}

static void no_end_is_trusted(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	size_t len;
	char *text = forge_text(forge, &len);

	for (size_t cut = 1; cut < len; cut++)
		assert_int_not_equal(
			forge_verify_text(text, cut, &options).verdict, VERIFY_TRUSTED);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_edited_record_is_named),
		TEST(an_edited_prev_is_the_fault_of_its_own_record),
		TEST(what_only_an_edited_record_covered_is_not_proven),
		TEST(what_only_a_removed_record_covered_is_not_proven),
		TEST(what_a_moved_record_does_not_cover_is_not_proven),
		TEST(what_is_not_extended_before_an_unseen_end_is_not_proven),
		TEST(two_edited_records_are_named),
		TEST(a_record_made_unreadable_is_named),
		TEST(a_duplicate_key_is_found),
		TEST(a_record_that_was_not_extended_is_named),
		TEST(a_record_removed_is_named),
		TEST(a_line_added_at_the_end_is_not_proven),
		TEST(two_records_removed_prove_nothing),
		TEST(a_record_repeated_is_named),
		TEST(a_record_added_is_named),
		TEST(records_that_changed_places_are_named),
		TEST(a_log_cut_short_is_seen),
		TEST(records_after_the_quote_are_not_proven),
		TEST(the_last_record_edited_proves_nothing),
		TEST(a_log_rewritten_proves_nothing),
		TEST(an_extend_by_somebody_else_is_seen),
		TEST(an_extend_of_one_bank_alone_is_seen),
		TEST(what_was_proven_before_stays_so),
		TEST(the_record_of_an_earlier_epoch_is_named),
		TEST(many_changes_are_too_many_to_name),
		TEST(no_byte_can_be_changed),
		TEST(no_end_is_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
