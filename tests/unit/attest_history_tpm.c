/* SPDX-License-Identifier: BSD-2-Clause */
/* The auditor on what the TPM has to do with a log: quotes, counters, epochs, where it was cut. */
#include "history_fixture.h"

/* ---- quotes ---- */

static void spoil_quote(struct kept_log *log, size_t which, const char *key)
{
	char *at = strstr(log->quotes[which].text, key);

	assert_non_null(at);
	at += strlen(key) + 20;
	*at = *at == 'A' ? 'B' : 'A';
}

static void a_quote_with_a_spoiled_signature_proves_nothing(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	spoil_quote(log, 0, "\"signature\":\"");
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found signature");
}

static void a_quote_that_is_none_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->quotes[0].text[3] = '!';
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found malformed");
}

static void a_quote_under_another_number_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->quotes[0].seq = 7;
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found seq");
}

static void a_log_that_lost_its_end_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	keep(log);
	log->forge->count = 8;
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven; found rollback");
}

static void a_quote_of_another_ak_is_found(void **state)
{
	struct kept_log *log = new_log(state);
	struct ak *other = &log->ak;

	keep(log);
	other->has_name = false;
	other->public.x[5] ^= 1;
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found ak-unknown");
}

static void an_epoch_of_another_ak_is_unproven(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->ak.public.x[5] ^= 1;
	log->ak.public.name[5] ^= 1;
	expect_said(log, VERIFY_UNKNOWN, "1-8 unproven");
}

static void without_an_ak_quotes_are_consistent_at_best(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->options.ak = NULL;
	expect_said(log, VERIFY_UNKNOWN, "1-8 consistent");
	spoil_quote(log, 0, "\"signature\":\"");
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found signature");
}

static void a_quote_of_another_pcr_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->options.pcr = 14;
	expect_said(log, VERIFY_UNTRUSTED, "1-8 contradicted pcr-selection; found pcr-selection");
}

/* ---- the TPM's counters ---- */

static void a_quote_with_other_counters_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	log->forge->restart_count++;
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found epoch-counts");
}

static void a_quote_from_before_its_epoch_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	log->forge->clock_ms = 999;
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 unproven; found clock");
}

static void a_clock_that_goes_back_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "more");
	log->forge->clock_ms--;
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven, 9 unproven; found clock");
}

static void resets_without_a_record_are_a_gap(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	boot(log, 2);
	keep(log);
	expect_said(log, VERIFY_UNKNOWN, "1-8 proven, 9 proven; gap epoch-counts");
}

static void counters_that_go_back_are_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	boot(log, (uint32_t)-2);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven, 9 proven; found epoch-counts");
}

/* An epoch whose PCR is as the one before left it. */
static void go_on(struct kept_log *log, enum record_why why)
{
	struct record_epoch epoch = forge_epoch_record(log->forge);

	epoch.why = why;
	forge_replay(log->forge);
	epoch.base = log->forge->statement.values;
	forge_add_epoch(log->forge, &epoch);
}

static void a_cleared_tpm_counts_from_zero(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->forge->reset_count = 0;
	log->forge->restart_count = 0;
	go_on(log, WHY_TPM_CLEAR);
	keep(log);
	expect_said(log, VERIFY_TRUSTED, "1-8 proven, 9 proven");
}

static void a_resume_that_counts_back_is_found(void **state)
{
	struct kept_log *log = new_log(state);
	struct line line = forge_buffer(log->forge);
	struct record_resume resume = { .reset_count = 5, .restart_count = 1, .clock_ms = 1500 };

	record_encode_resume(&line, forge_head(log->forge), &resume);
	forge_append(log->forge, &line);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-9 proven; found epoch-counts");
}

/* ---- epochs that are not to be believed ---- */

static void begin_broken(struct kept_log *log)
{
	struct record_epoch epoch = forge_epoch_record(log->forge);
	struct line line = forge_buffer(log->forge);
	struct record_foreign foreign = {
		.after_seq = 8,
		.banks = FORGE_BANKS,
		.reset_count = 5,
		.restart_count = 1,
	};

	epoch.why = WHY_BROKEN_LOG;
	memset(epoch.base.digest[BANK_SHA256], 7, 32);
	memset(epoch.base.digest[BANK_SHA384], 7, 48);
	foreign.found = epoch.base;
	forge_add_epoch(log->forge, &epoch);
	record_encode_foreign(&line, forge_head(log->forge), &foreign);
	forge_append(log->forge, &line);
}

static void a_foreign_extend_ends_trust_until_the_tpm_resets(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	begin_broken(log);
	add_load(log, "nobody believes me");
	keep(log);
	boot(log, 1);
	keep(log);
	enum verify_verdict verdict = audit(log);
	assert_string_equal(verify_verdict_name(verdict), "untrusted");
	assert_memory_equal(log->said, "1-8 proven, 9-11 contradicted ", 30);
	assert_non_null(strstr(log->said, ", 12 proven"));
}

static void an_epoch_that_keeps_a_foreign_pcr_is_not_believed(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	begin_broken(log);
	go_on(log, WHY_KEXEC);
	keep(log);
	audit(log);
	assert_memory_equal(log->said, "1-8 proven, 9-10 contradicted ", 30);
	assert_non_null(strstr(log->said, ", 11 contradicted "));
}

static void an_epoch_that_keeps_a_pcr_that_was_reset_is_found(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->forge->reset_count++;
	go_on(log, WHY_KEXEC);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven, 9 proven; found epoch-counts");
}

static void another_logs_epoch_is_not_believed(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	log->forge->reset_count++;
	struct record_epoch epoch = forge_epoch_record(log->forge);
	epoch.log_id[0] ^= 1;
	forge_add_epoch(log->forge, &epoch);
	keep(log);
	expect_said(log, VERIFY_UNTRUSTED, "1-8 proven, 9 contradicted other-log");
}

/* ---- logs without their beginning ---- */

static void add_trim(struct kept_log *log, uint64_t last)
{
	struct forge *forge = log->forge;
	struct line line = forge_buffer(forge);
	struct record_trim trim = {
		.why = TRIM_MAX_SIZE,
		.first = 1,
		.last = last,
		.log_id = "0123456789abcde",
	};
	const struct forge_line *cut = &forge->lines[last - 1];

	assert_int_equal(sha256(cut->text, cut->len, trim.last_sha256), 0);
	record_encode_trim(&line, forge_head(forge), &trim);
	forge_append(forge, &line);
}

/* A log of which records 1-8 were removed, and after which a quote was kept. */
static struct kept_log *new_trimmed(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "stays");
	add_trim(log, 8);
	keep(log);
	log->first = 9;
	return log;
}

static void a_trimmed_log_is_proven_from_the_cut_on(void **state)
{
	expect_said(new_trimmed(state), VERIFY_TRUSTED, "1-8 trimmed, 9-10 proven");
}

static void a_trimmed_log_without_the_quote_at_the_cut_is_not(void **state)
{
	struct kept_log *log = new_trimmed(state);

	log->quotes[0].seq = 30;
	expect_said(log, VERIFY_UNTRUSTED,
		"1-8 contradicted start, 9-10 contradicted start; found seq");
}

static void a_log_without_its_beginning_and_no_trim_is_not(void **state)
{
	struct kept_log *log = new_log(state);

	keep(log);
	add_load(log, "stays");
	keep(log);
	log->first = 9;
	expect_said(log, VERIFY_UNTRUSTED, "1-8 contradicted start, 9 proven");
}

static void a_trim_of_fewer_records_does_not_explain_more(void **state)
{
	struct kept_log *log = new_log(state);

	add_trim(log, 5);
	keep(log);
	add_load(log, "stays");
	keep(log);
	log->first = 10;
	expect_said(log, VERIFY_UNTRUSTED, "1-9 contradicted start, 10 proven");
}

static void a_log_trimmed_at_an_epoch_needs_no_quote_there(void **state)
{
	struct kept_log *log = new_log(state);

	boot(log, 1);
	add_trim(log, 8);
	keep(log);
	log->first = 9;
	expect_said(log, VERIFY_TRUSTED, "1-8 trimmed, 9-10 proven");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_quote_with_a_spoiled_signature_proves_nothing),
		TEST(a_quote_that_is_none_is_found),
		TEST(a_quote_under_another_number_is_found),
		TEST(a_log_that_lost_its_end_is_found),
		TEST(a_quote_of_another_ak_is_found),
		TEST(an_epoch_of_another_ak_is_unproven),
		TEST(without_an_ak_quotes_are_consistent_at_best),
		TEST(a_quote_of_another_pcr_is_found),
		TEST(a_quote_with_other_counters_is_found),
		TEST(a_quote_from_before_its_epoch_is_found),
		TEST(a_clock_that_goes_back_is_found),
		TEST(resets_without_a_record_are_a_gap),
		TEST(counters_that_go_back_are_found),
		TEST(a_cleared_tpm_counts_from_zero),
		TEST(a_resume_that_counts_back_is_found),
		TEST(a_foreign_extend_ends_trust_until_the_tpm_resets),
		TEST(an_epoch_that_keeps_a_foreign_pcr_is_not_believed),
		TEST(an_epoch_that_keeps_a_pcr_that_was_reset_is_found),
		TEST(another_logs_epoch_is_not_believed),
		TEST(a_trimmed_log_is_proven_from_the_cut_on),
		TEST(a_trimmed_log_without_the_quote_at_the_cut_is_not),
		TEST(a_log_without_its_beginning_and_no_trim_is_not),
		TEST(a_trim_of_fewer_records_does_not_explain_more),
		TEST(a_log_trimmed_at_an_epoch_needs_no_quote_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
