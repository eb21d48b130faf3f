/* SPDX-License-Identifier: BSD-2-Clause */
/* The auditor on a log's lines: what kept quotes prove of them, and where trust ends. */
#include "history_fixture.h"

#include <errno.h>

/* ---- honest logs ---- */

static void a_log_that_ends_with_a_quote_is_proven(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	expect_said(log, VERIFY_TRUSTED, "1-8 proven");
}

static void a_log_without_quotes_is_unproven(void **state)
{
	expect_said(new_log(state), VERIFY_UNKNOWN, "1-8 unproven");
}

static void what_comes_after_the_last_quote_is_unproven(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "late");
	expect_said(log, VERIFY_UNKNOWN, "1-8 proven, 9 unproven");
}

static void quotes_go_on_from_each_other(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	keep(log);
	add_load(log, "and more");
	keep(log);
	expect_said(log, VERIFY_TRUSTED, "1-10 proven");
}

static void every_epoch_is_proven_by_its_own_quotes(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	boot(log, 1);
	add_load(log, "second boot");
	keep(log);
	boot(log, 1);
	add_load(log, "third boot");
	keep(log);
	expect_said(log, VERIFY_TRUSTED, "1-8 proven, 9-10 proven, 11-12 proven");
}

static void what_a_power_loss_left_without_a_quote_is_unproven(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "last words");
	boot(log, 1);
	keep(log);
	expect_said(log, VERIFY_UNKNOWN, "1-8 proven, 9 unproven, 10 proven");
}

static void a_suspended_machine_goes_on(void **state)
{
	struct kept_log *log = new_log(state);
	struct line line = forge_buffer(log->forge);
	struct record_resume resume = { .reset_count = 5, .restart_count = 2, .clock_ms = 1500 };

	record_encode_resume(&line, forge_head(log->forge), &resume);
	forge_append(log->forge, &line);
	log->forge->restart_count = 2;
	keep(log);
	expect_said(log, VERIFY_TRUSTED, "1-9 proven");
}

static void a_pinned_base_is_a_beginning(void **state)
{
	struct kept_log *log = new_log(state);
	struct record_epoch epoch = forge_epoch_record(log->forge);
	struct bank_values base = { 0 };

	memset(base.digest[BANK_SHA256], 7, 32);
	memset(base.digest[BANK_SHA384], 8, 48);
	epoch.base = base;
	log->forge->count = 0;
	forge_add_epoch(log->forge, &epoch);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1 contradicted unexplained-base");
	log->options.base = &base;
	log->options.base_banks = FORGE_BANKS;
	expect_said(log, VERIFY_TRUSTED, "1 proven");
}

/* ---- lines ---- */

static void a_changed_record_is_named_and_the_others_are_proven(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	keep(log);
	forge_edit(log->forge, 5, "four", "FOUR");
	/* Record 4 was not extended, and nothing that is there covers it. */
	expect_said(
		log, VERIFY_UNTRUSTED, "1-3 proven, 4 unproven, 5 contradicted replay, 6-9 proven");
}

/* They all follow from each other, but for the last. */
static void rewritten_records_that_were_not_extended_are_not_proven(void **state)
{
	struct kept_log *log = new_log(state);
	size_t count;

	add_unextended(log, "a");
	add_unextended(log, "b");
	add_unextended(log, "c");
	count = log->forge->count;
	add_load(log, "more");
	keep(log);
	forge_edit(log->forge, 9, "\"a\"", "\"A\"");
	log->forge->count = count;
	forge_relink(log->forge, 10);
	log->forge->count = count + 1;
	expect_said(log, VERIFY_UNTRUSTED,
		"1-8 proven, 9-10 unproven, 11 contradicted prev, 12 proven");
}

/* The quote names another last line than is there. */
static void what_a_replaced_end_covered_is_not_proven(void **state)
{
	struct kept_log *log = new_log(state);

	add_unextended(log, "a");
	add_unextended(log, "b");
	keep(log);
	add_load(log, "more");
	keep(log);
	forge_edit(log->forge, 9, "\"a\"", "\"A\"");
	forge_edit(log->forge, 10, "\"b\"", "\"B\"");
	log->forge->count = 10;
	forge_relink(log->forge, 10);
	log->forge->count = 11;
	assert_int_equal(audit(log), VERIFY_UNTRUSTED);
	assert_null(strstr(log->said, "9 proven"));
	assert_null(strstr(log->said, "1-10 proven"));
}

/* More than are diagnosed, each on its own. */
static void many_changed_records_that_were_not_extended_are_not_proven(void **state)
{
	struct kept_log *log = new_log(state);

	log->forge->count = 1;
	log->forge->statement.last = 1;
	for (unsigned i = 0; i < 7; i++) {
		add_unextended(log, "waits");
		add_load(log, "covers");
	}
	keep(log);
	for (uint64_t seq = 2; seq < 16; seq += 2)
		forge_edit(log->forge, seq, "waits", "WAITS");
	assert_int_equal(audit(log), VERIFY_UNTRUSTED);
	assert_string_equal(log->said,
		"1 proven, 2 contradicted prev, 3 proven, 4 contradicted prev, 5 proven, "
		"6 contradicted prev, 7 proven, 8 contradicted prev, 9 proven, 10 unproven, "
		"11 proven, 12 unproven, 13 proven, 14 unproven, 15 proven");
}

static void a_changed_last_record_is_named_by_the_quote(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	keep(log);
	forge_edit(log->forge, 8, "\"six\"", "\"SIX\"");
	expect_said(log, VERIFY_UNTRUSTED, "1-7 proven, 8 contradicted replay, 9 proven");
}

static void a_changed_record_that_no_quote_covers_is_named(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "a");
	add_load(log, "b");
	add_load(log, "c");
	forge_edit(log->forge, 10, "\"b\"", "\"B\"");
	expect_said(
		log, VERIFY_UNTRUSTED, "1-8 proven, 9 unproven, 10 contradicted prev, 11 unproven");
}

static void a_record_that_was_not_extended_is_covered_by_the_next(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	forge_edit(log->forge, 4, "three", "THREE");
	expect_said(log, VERIFY_UNTRUSTED, "1-3 proven, 4 contradicted prev, 5-8 proven");
}

static void a_rewritten_log_does_not_lead_to_the_quote(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	forge_edit(log->forge, 5, "four", "FOUR");
	forge_relink(log->forge, 6);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 contradicted replay, 9 contradicted prev");
}

static void a_missing_record_is_named(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->missing = 5;
	expect_said(
		log, VERIFY_UNTRUSTED, "1-3 proven, 4 unproven, 5 contradicted seq, 6-8 proven");
}

static void what_is_no_record_is_named(void **state)
{
	struct kept_log *log = new_log(state);

	forge_edit(log->forge, 5, "\"pid\":7", "\"pid\":+");
	forge_relink(log->forge, 6);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED,
		"1-3 proven, 4 unproven, 5 contradicted grammar, 6-8 proven");
}

static void a_wrong_number_is_named(void **state)
{
	struct kept_log *log = new_log(state);

	forge_edit(log->forge, 8, "\"seq\":8", "\"seq\":9");
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-7 proven, 8 contradicted seq");
}

static void a_verified_load_that_was_not_extended_is_named(void **state)
{
	struct kept_log *log = new_log(state);

	forge_add_load(log->forge, "bad", VERDICT_VERIFIED, false);
	add_load(log, "next");
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven, 9 contradicted unextended, 10 proven");
}

static void a_quote_does_not_cover_an_end_that_was_not_extended(void **state)
{
	struct kept_log *log = new_log(state);

	forge_add_load(log->forge, "covered by the next", VERDICT_UNSIGNED, false);
	keep(log);
	expect_said(log, VERIFY_UNKNOWN, "1-8 proven, 9 unproven");
}

static void an_epoch_after_a_contradiction_is_judged_on_its_own(void **state)
{
	struct kept_log *log = new_log(state);

	forge_edit(log->forge, 5, "four", "FOUR");
	boot(log, 1);
	add_load(log, "good");
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED,
		"1-4 unproven, 5 contradicted prev, 6-8 unproven, 9-10 proven");
}

static void a_quote_after_a_contradiction_is_where_it_goes_on(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	keep(log);
	/* As if the first quote were of a log with other records 5 and 6. */
	forge_edit(log->forge, 5, "four", "FOUR");
	forge_edit(log->forge, 6, "\"count\":3", "\"count\":4");
	forge_relink(log->forge, 6);
	enum verify_verdict verdict = audit(log);
	assert_int_equal(verdict, VERIFY_UNTRUSTED);
	assert_null(strstr(log->said, "1-9 proven"));
}

/* ---- the rest ---- */

static void a_ref_that_finds_another_record_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	log->forge->count = 1;
	keep(log);
	log->ref_more = 1;
	expect_said(log, VERIFY_UNTRUSTED, "1 proven; found database");
}

static void records_out_of_order_are_refused(void **state)
{
	struct kept_log *log = new_log(state);
	const struct forge_line *line = &log->forge->lines[0];
	[[gnu::cleanup(history_freep)]] struct history *history = history_new(&log->options);

	assert_int_equal(history_record(history, 1, 0, line->text, line->len), 0);
	assert_int_equal(history_record(history, 1, 0, line->text, line->len), -EINVAL);
}

static void an_empty_log_is_not_trusted(void **state)
{
	struct kept_log *log = new_log(state);

	log->forge->count = 0;
	expect_said(log, VERIFY_UNKNOWN, "");
}

/* Whatever bit of whatever line is changed, the log is not trusted any more. */
/* An epoch each, without a quote; the last line stays in the forge. */
static void feed_epochs(
	struct forge *forge, struct history *history, uint64_t count, uint32_t resets)
{
	for (uint64_t i = 0; i < count; i++) {
		struct forge_line *last = &forge->lines[0];
		struct record_epoch epoch;
		int err = sha256(last->text, last->len, forge->before);

		assert_int_equal(err, 0);
		forge->count = 0;
		forge->statement.first++;
		forge->reset_count += resets;
		epoch = forge_epoch_record(forge);
		forge_add_epoch(forge, &epoch);
		assert_int_equal(
			history_record(history, forge->statement.first, 0, last->text, last->len),
			0);
	}
}

static void more_spans_than_are_told_apart_are_contradicted(void **state)
{
	struct kept_log *log = new_log(state);
	[[gnu::cleanup(history_freep)]] struct history *history = history_new(&log->options);
	const struct history_result *result;
	const struct history_span *last;

	/* The first of them is missing, and has a span as well. */
	feed_epochs(log->forge, history, HISTORY_SPANS_MAX - 1, 1);
	log->forge->statement.start = (struct bank_values){ 0 };
	struct evidence_kept kept = forge_keep(log->forge, log->forge->statement.first);
	put_quote(log, &kept);
	feed_quotes(log, history, kept.seq);
	feed_epochs(log->forge, history, 2, 1);
	assert_int_equal(history_end(history, &result), 0);
	assert_int_equal(result->span_count, HISTORY_SPANS_MAX);
	last = &result->spans[HISTORY_SPANS_MAX - 1];
	assert_int_equal(result->spans[0].first, 1);
	assert_int_equal(last->last, HISTORY_SPANS_MAX + 2);
	assert_int_equal(last->trust, HISTORY_CONTRADICTED);
	assert_string_equal(last->reason, "malformed");
	assert_int_equal(result->counts[HISTORY_PROVEN], 0);
	assert_int_equal(result->counts[HISTORY_UNPROVEN], HISTORY_SPANS_MAX - 2);
}

/* Boots without a record are gaps; one that counts backwards is a lie. */
static void many_gaps_do_not_hide_a_contradiction(void **state)
{
	struct kept_log *log = new_log(state);
	[[gnu::cleanup(history_freep)]] struct history *history = history_new(&log->options);
	const struct history_result *result;

	assert_int_equal(
		history_record(history, 1, 0, log->forge->lines[0].text, log->forge->lines[0].len),
		0);
	feed_epochs(log->forge, history, HISTORY_FINDINGS_MAX + 1, 2);
	feed_epochs(log->forge, history, 1, UINT32_MAX);
	feed_epochs(log->forge, history, 1, 2);
	assert_int_equal(history_end(history, &result), 0);
	assert_string_equal(verify_verdict_name(result->verdict), "untrusted");
	assert_string_equal(result->reason, "epoch-counts");
	assert_int_equal(result->finding_count, HISTORY_FINDINGS_MAX);
	assert_int_equal(result->findings_left_out, 3);
}

static void no_changed_bit_goes_unnoticed(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	boot(log, 1);
	add_load(log, "more");
	keep(log);
	for (size_t i = 0; i < log->forge->count; i++) {
		struct forge_line *line = &log->forge->lines[i];
		for (size_t bit = i % 8; bit < 8 * line->len; bit += 8) {
			line->text[bit / 8] ^= (char)(1 << bit % 8);
			[[gnu::cleanup(history_freep)]] struct history *history = history_new(
				&log->options);
			const struct history_result *result;
			feed(log, history);
			assert_int_equal(history_end(history, &result), 0);
			assert_int_equal(result->verdict, VERIFY_UNTRUSTED);
			/* ... and only the line is distrusted, and perhaps its neighbour: unless it
			 * begins an epoch, or said that it was not extended. */
			if (i != 0 && i != 3 && i != 8)
				assert_true(result->counts[HISTORY_CONTRADICTED] <= 2);
			line->text[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_log_that_ends_with_a_quote_is_proven),
		TEST(a_log_without_quotes_is_unproven),
		TEST(what_comes_after_the_last_quote_is_unproven),
		TEST(quotes_go_on_from_each_other),
		TEST(every_epoch_is_proven_by_its_own_quotes),
		TEST(what_a_power_loss_left_without_a_quote_is_unproven),
		TEST(a_suspended_machine_goes_on),
		TEST(a_pinned_base_is_a_beginning),
		TEST(a_changed_record_is_named_and_the_others_are_proven),
		TEST(rewritten_records_that_were_not_extended_are_not_proven),
		TEST(what_a_replaced_end_covered_is_not_proven),
		TEST(many_changed_records_that_were_not_extended_are_not_proven),
		TEST(a_changed_last_record_is_named_by_the_quote),
		TEST(a_changed_record_that_no_quote_covers_is_named),
		TEST(a_record_that_was_not_extended_is_covered_by_the_next),
		TEST(a_rewritten_log_does_not_lead_to_the_quote),
		TEST(a_missing_record_is_named),
		TEST(what_is_no_record_is_named),
		TEST(a_wrong_number_is_named),
		TEST(a_verified_load_that_was_not_extended_is_named),
		TEST(a_quote_does_not_cover_an_end_that_was_not_extended),
		TEST(an_epoch_after_a_contradiction_is_judged_on_its_own),
		TEST(a_quote_after_a_contradiction_is_where_it_goes_on),
		TEST(a_ref_that_finds_another_record_is_found),
		TEST(records_out_of_order_are_refused),
		TEST(an_empty_log_is_not_trusted),
		TEST(more_spans_than_are_told_apart_are_contradicted),
		TEST(many_gaps_do_not_hide_a_contradiction),
		TEST(no_changed_bit_goes_unnoticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
