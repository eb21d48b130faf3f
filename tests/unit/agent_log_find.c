/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: where the PCR is in it, after whatever happened. */
#include "tests/samples.h"
#include "tests/unit/log_fixture.h"

/* ---- finding the place again ---- */

/* A log of 60 lines, some of them left out, and hints from when fewer of them were extended. */
static void long_log(struct log_fixture *f)
{
	any_base(f);
	put_epoch(f);
	commit(f);
	for (size_t i = 0; i < 3; i++) {
		put_many(f, 19, false);
		commit(f);
		extend_one(f);
		extend_one(f);
	}
	extend_all(f);
}

/* Whatever line the PCR got to, that is what is found, and the rest leads to the end. */
static void assert_found_everywhere(struct log_fixture *f)
{
	struct bank_values end = f->pcr;

	for (uint64_t seq = f->epoch_seq - 1; seq <= f->count; seq++) {
		uint64_t extended = seq;

		while (extended >= f->epoch_seq && !is_extended(f, extended))
			extended--;
		f->pcr = pcr_after(f, seq);
		assert_int_equal(restart(f), 1);
		assert_int_equal(log_extended_seq(f->log), extended);
		assert_values(log_values(f->log), &f->pcr);
		while (extend_one(f))
			;
		assert_values(&f->pcr, &end);
	}
}

static void the_place_is_found_wherever_the_pcr_is(void **state)
{
	struct log_fixture *f = *state;

	long_log(f);
	assert_found_everywhere(f);
}

static void the_place_is_found_in_the_newest_epoch_only(void **state)
{
	struct log_fixture *f = *state;
	struct bank_values old;

	long_log(f);
	old = f->pcr;
	memset(&f->pcr, 0, sizeof(f->pcr));
	put_epoch(f);
	put_many(f, 5, true);
	commit(f);
	extend_all(f);
	assert_found_everywhere(f);
	f->pcr = old;
	assert_int_equal(restart(f), 0);
	f->pcr = f->base;
	f->pcr.digest[BANK_SHA256][0] ^= 1;
	assert_int_equal(restart(f), 0);
}

static void a_pcr_that_somebody_else_extended_is_no_place(void **state)
{
	struct log_fixture *f = *state;
	struct bank_values end;

	long_log(f);
	end = f->pcr;
	for (uint64_t seq = 0; seq <= f->count; seq += 7) {
		f->pcr = pcr_after(f, seq);
		pcr_extend(&f->pcr, "foreign", NULL);
		assert_int_equal(restart(f), 0);
	}
	for (enum bank bank = BANK_SHA1; bank <= BANK_SHA256; bank++) { /* in one bank only */
		f->pcr = end;
		f->pcr.digest[bank][19] ^= 0x80;
		assert_int_equal(restart(f), 0);
	}
	f->pcr = end;
	assert_int_equal(restart(f), 1);
}

static void hint_put(struct log_fixture *f, const void *bytes, size_t len)
{
	struct db_state state = { .key = "extended", .value = bytes, .len = len };

	assert_ok(
		f->db, db_append(f->db, &(struct db_batch){ .states = &state, .state_count = 1 }));
}

static void a_hint_that_is_wrong_or_missing_costs_time_only(void **state)
{
	struct log_fixture *f = *state;
	uint8_t hint[1024], spoilt[1024];
	int len;

	long_log(f);
	len = db_state_get(f->db, "extended", hint, sizeof(hint));
	assert_in_range(len, 16 + sizeof(struct bank_values), sizeof(hint));
	for (int at = 0; at < len; at += 5) {
		memcpy(spoilt, hint, (size_t)len);
		spoilt[at] ^= 0xff;
		hint_put(f, spoilt, (size_t)len);
		if (at < 16 || at % 20 == 0)
			assert_found_everywhere(f);
	}
	hint_put(f, "x", 1);
	assert_found_everywhere(f);
	memset(spoilt, 0xff, sizeof(spoilt));
	hint_put(f, spoilt, (size_t)len);
	assert_found_everywhere(f);
	hint_put(f, spoilt, sizeof(spoilt));
	assert_found_everywhere(f);
}

static void values_before_a_line_are_those_of_the_lines_before(void **state)
{
	struct log_fixture *f = *state;

	long_log(f);
	put_epoch(f);
	put_many(f, 30, false);
	commit(f);
	extend_all(f);
	for (uint64_t seq = f->epoch_seq; seq <= f->count; seq++) {
		struct bank_values expected = pcr_after(f, seq - 1), values;

		assert_int_equal(log_values_before(f->log, seq, &values), 0);
		assert_values(&values, &expected);
	}
}

static void assert_place(struct log_fixture *f, uint64_t seq, uint64_t expected)
{
	struct bank_values values, before = pcr_after(f, expected - 1);
	uint64_t place;

	if (expected == f->epoch_seq)
		before = f->base;
	assert_int_equal(log_place_before(f->log, seq, &place, &values), 0);
	assert_int_equal(place, expected);
	assert_values(&values, &before);
}

static void places_are_those_that_were_marked_and_the_anchor(void **state)
{
	struct log_fixture *f = *state;
	uint64_t marked;

	long_log(f);
	put_epoch(f);
	commit(f);
	extend_all(f);
	for (uint64_t seq = f->epoch_seq; seq <= f->count; seq++)
		assert_place(f, seq, f->epoch_seq);
	log_mark(f->log);
	log_mark(f->log);
	marked = log_extended_seq(f->log);
	put_many(f, 9, true);
	commit(f);
	extend_all(f);
	assert_place(f, f->epoch_seq, f->epoch_seq);
	for (uint64_t seq = marked + 1; seq <= f->count + 1; seq++)
		assert_place(f, seq, marked + 1);
	log_mark(f->log);
	assert_place(f, f->count, marked + 1);
	assert_place(f, f->count + 1, f->count + 1);
}

/* However many places there were, one is near, by how long ago it is. */
static void of_many_places_the_old_ones_lie_further_apart(void **state)
{
	struct log_fixture *f = *state;
	struct bank_values values;
	uint64_t place;

	put_epoch(f);
	commit(f);
	while (log_extended_seq(f->log) < 3000) {
		extend_one(f);
		log_mark(f->log);
		put(f, true);
		commit(f);
	}
	for (uint64_t seq = 2; seq <= 3001; seq++) {
		assert_int_equal(log_place_before(f->log, seq, &place, &values), 0);
		assert_true(place <= seq && seq - place <= (3001 - seq) / 50);
	}
}

/* ---- epochs ---- */

static void an_epoch_may_begin_in_the_middle_of_a_batch(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	put_many(f, 30, true);
	commit(f);
	extend_one(f);
	put_many(f, 5, true);
	any_base(f);
	put_epoch(f);
	put_many(f, 3, true);
	assert_int_equal(log_epoch_seq(f->log), 37);
	assert_int_equal(log_extended_seq(f->log), 36);
	commit(f);
	assert_chain(f);
	extend_all(f);
	assert_found_everywhere(f);
	assert_int_equal(log_epoch(f->log)->banks, BANKS);
	assert_values(&log_epoch(f->log)->base, &f->base);
}

static void an_epoch_that_was_not_committed_was_none(void **state)
{
	struct log_fixture *f = *state;
	struct bank_values end, base;

	long_log(f);
	end = f->pcr;
	base = f->base;
	any_base(f);
	put_epoch(f);
	f->pcr = end;
	f->base = base;
	f->epoch_seq = 1;
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_epoch_seq(f->log), 1);
	assert_found_everywhere(f);
}

/* ---- anything, in any order ---- */

static void step(struct sampler *sampler, struct log_fixture *f)
{
	struct log_extend extend;

	switch (sample_below(sampler, 40)) {
	case 0:
		if (sample_bool(sampler))
			any_base(f);
		else
			memset(&f->pcr, 0, sizeof(f->pcr));
		put_epoch(f);
		commit(f);
		break;
	case 1: /* dies */
		assert_int_equal(restart(f), 1);
		assert_values(log_values(f->log), &f->pcr);
		break;
	case 2: /* dies with a command under way that was executed */
		if (log_next_extend(f->log, &extend) == 1)
			pcr_extend(&f->pcr, NULL, &extend.digests);
		assert_int_equal(restart(f), 1);
		break;
	case 3:
		put_many(f, 300, true);
		break;
	case 4 ... 12:
		commit(f);
		break;
	case 13 ... 26:
		put_many(f, sample_below(sampler, 9), sample_below(sampler, 6) == 0);
		break;
	default:
		extend_one(f);
	}
}

static void the_pcr_is_what_the_lines_lead_to_whatever_happens(void **state)
{
	struct log_fixture *f = *state;
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	assert_non_null(sampler);
	sampler->state = 1;
	put_epoch(f);
	commit(f);
	for (unsigned i = 0; i < 4000 && log_next_seq(f->log) < LINES_MAX - 400; i++) {
		step(sampler, f);
		if (i % 250 == 0) {
			struct bank_values expected;

			lines_read(f);
			expected = pcr_after(f, log_extended_seq(f->log));
			assert_values(&f->pcr, &expected);
		}
	}
	commit(f);
	assert_chain(f);
	extend_all(f);
	free(sampler);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, log_fixture_new, log_fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(the_place_is_found_wherever_the_pcr_is),
		TEST(the_place_is_found_in_the_newest_epoch_only),
		TEST(a_pcr_that_somebody_else_extended_is_no_place),
		TEST(a_hint_that_is_wrong_or_missing_costs_time_only),
		TEST(values_before_a_line_are_those_of_the_lines_before),
		TEST(places_are_those_that_were_marked_and_the_anchor),
		TEST(of_many_places_the_old_ones_lie_further_apart),
		TEST(an_epoch_may_begin_in_the_middle_of_a_batch),
		TEST(an_epoch_that_was_not_committed_was_none),
		TEST(the_pcr_is_what_the_lines_lead_to_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
