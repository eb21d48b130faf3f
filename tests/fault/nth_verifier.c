/* SPDX-License-Identifier: BSD-2-Clause */
/* A verifier's memory when SQLite or memory fails in the middle of it: nothing is there by half. */
#include "tests/unit/round_fixture.h"

#include "tests/fault/nth_each.h"

#define NAME "web-07"

static const int errors[] = { -ENOMEM, -EIO, -EBUSY, -ENOSPC, 0 };

static struct memory_fixture f;

static void assert_done(int r)
{
	if (r < 0)
		fail_msg("%d: %s", r, memory_errmsg(f.memory));
}

static void memory_new(void)
{
	memory_fixture_init(&f);
}

static void memory_gone(void)
{
	memory_fixture_done(&f);
}

static void closed_new(void)
{
	memory_new();
	memory_free(f.memory);
	f.memory = NULL;
	assert_int_equal(unlink(f.path), 0);
}

static int open_it(void)
{
	memory_free(f.memory);
	f.memory = NULL;
	return memory_open(f.path, &f.memory);
}

static void opened(int r)
{
	struct machine machine;

	assert_true(strlen(memory_errmsg(f.memory)) > 0 || r == 0);
	if (r == 0)
		assert_int_equal(memory_machine_get(f.memory, NAME, &machine), -ENOENT);
}

static void a_memory_is_made_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "memory_open",
		.errors = errors,
		.before = closed_new,
		.call = open_it,
		.check = opened,
		.done = memory_gone });
}

static int put(void)
{
	struct machine machine = some_machine(NAME);

	return memory_machine_put(f.memory, &machine, true);
}

static void was_put(int r)
{
	struct machine machine, expected = some_machine(NAME);
	int found = memory_machine_get(f.memory, NAME, &machine);

	if (r < 0) {
		assert_int_equal(found, -ENOENT);
		return;
	}
	assert_done(found);
	assert_memory_equal(&machine, &expected, sizeof(machine));
}

static void a_machine_is_put_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "memory_machine_put",
		.errors = errors,
		.before = memory_new,
		.call = put,
		.check = was_put,
		.done = memory_gone });
}

static void enrolled_new(void)
{
	memory_new();
	assert_done(put());
}

static int write_round(void)
{
	const struct memory_violation violation = {
		.source = MEMORY_POLICY, .what = { .seq = 8, .rule = "signed-only" }, .epoch_seq = 1
	};
	const struct memory_verdict verdict = { .verdict = VERIFY_UNTRUSTED, .reason = "policy" };
	const struct memory_proven proven = { .anchor = { .seq = 8, .banks = 1u << BANK_SHA256 },
		.epoch_seq = 1 };
	struct memory_proven before;
	int r = memory_proven_get(f.memory, NAME, &before);

	if (!r)
		r = memory_begin(f.memory, NAME, before.round);
	if (!r)
		r = memory_proven_put(f.memory, NAME, &proven);
	if (!r)
		r = memory_line_put(f.memory, NAME, 8, "a line", 6);
	if (!r)
		r = memory_violation_put(f.memory, NAME, &violation);
	if (r >= 0)
		r = memory_verdict_put(f.memory, NAME, &verdict);
	if (!r)
		r = memory_commit(f.memory);
	if (r)
		memory_rollback(f.memory);
	return r;
}

static int count_line(void *arg, uint64_t seq, const char *line, size_t len)
{
	(void)line;
	assert_true(seq == 8 && len == 6);
	++*(size_t *)arg;
	return 0;
}

static int count_violation(void *arg, const struct memory_violation *violation)
{
	assert_int_equal(violation->what.seq, 8);
	++*(size_t *)arg;
	return 0;
}

static void round_is_there(int r)
{
	struct memory_proven proven;
	struct memory_verdict verdict;
	size_t all = r < 0 ? 0 : 1, lines = 0, violations = 0;

	assert_done(memory_proven_get(f.memory, NAME, &proven));
	assert_done(memory_lines_each(f.memory, NAME, count_line, &lines));
	assert_done(memory_violations_each(f.memory, NAME, count_violation, &violations));
	assert_int_equal(proven.round, all);
	assert_int_equal(proven.is_known, all);
	assert_int_equal(lines, all);
	assert_int_equal(violations, all);
	assert_int_equal(memory_verdict_last(f.memory, NAME, &verdict), all ? 0 : -ENOENT);
}

static void a_round_is_remembered_as_a_whole_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "a round",
		.errors = errors,
		.before = enrolled_new,
		.call = write_round,
		.check = round_is_there,
		.done = memory_gone });
}

static void round_new(void)
{
	enrolled_new();
	assert_done(write_round());
}

static int read_round(void)
{
	struct machine machine;
	struct memory_proven proven;
	struct memory_verdict verdict;
	size_t lines = 0, violations = 0;
	int r = memory_machine_get(f.memory, NAME, &machine);

	if (!r)
		r = memory_proven_get(f.memory, NAME, &proven);
	if (!r)
		r = memory_verdict_last(f.memory, NAME, &verdict);
	if (!r)
		r = memory_lines_each(f.memory, NAME, count_line, &lines);
	if (!r)
		r = memory_violations_each(f.memory, NAME, count_violation, &violations);
	if (!r)
		assert_true(lines == 1 && violations == 1 && proven.anchor.seq == 8);
	return r;
}

static void was_read(int r)
{
	(void)r;
}

static void reading_fails_and_can_be_done_again(void **)
{
	nth_each(&(struct nth_scenario){ .name = "reading",
		.errors = errors,
		.before = round_new,
		.call = read_round,
		.check = was_read,
		.done = memory_gone });
}

/* ---- a round ---- */

/* From when the answer is there: the machine that makes it is the test's own. */
static unsigned armed_classes;
static unsigned long armed_n;

static int armed_request(void *arg, const char *path, const char *json, FILE *into)
{
	int status = fake_request(arg, path, json, into);

	fflush(into);
	nth_arm(armed_classes, armed_n, 0);
	return status;
}

/* Returns whether the n-th call was there to fail; ret_calls is how many there were. */
static bool round_fails(const char *text, enum verify_verdict never, unsigned classes,
	unsigned long n, unsigned long *ret_calls)
{
	struct round_result result;
	struct fake *fake;
	void *state;

	assert_int_equal(fake_make(&state), 0);
	fake = state;
	struct policy *policy = fake_policy(fake, "rule", text);
	struct round_options options = fake_options(fake, policy);
	options.peer.request = armed_request;
	armed_classes = classes;
	armed_n = n;
	assert_int_equal(round_run(&options, &result), 0);
	const char *fired = nth_disarm();
	*ret_calls = nth_calls();
	if (result.verdict == never)
		fail_msg("call %lu (%s): %s: %s", n, fired ? fired : "none",
			verify_verdict_name(result.verdict), result.explanation);
	/* What the memory says of itself is of this round. */
	assert_null(strstr(result.explanation, "not enrolled"));
	round_result_done(&result);
	policy_free(policy);
	fake_unmake(&state);
	return fired;
}

/* Our own calls for memory are few, and all of them fail; of the others a sample does. */
static void round_is_never(const char *text, enum verify_verdict never)
{
	static const struct {
		unsigned classes, samples;
	} parts[] = { { 1 << NTH_MEMORY, 200 }, { NTH_ALL & ~(1 << NTH_MEMORY), 60 } };
	unsigned long calls, tried = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)round_fails(text, never, parts[i].classes, 0, &calls);
		bool all = getenv("CHECK_LONG") || calls < parts[i].samples;
		unsigned long step = all ? 1 : calls / parts[i].samples;
		for (unsigned long n = 1; n <= calls; n += step) {
			unsigned long ignored;
			tried += round_fails(text, never, parts[i].classes, n, &ignored);
		}
	}
	print_message("never %s: %lu faults\n", verify_verdict_name(never), tried);
	assert_true(tried > 0);
}

static void a_violation_is_never_trusted(void **)
{
	round_is_never("SELECT seq, program_name AS value FROM load LIMIT 1", VERIFY_TRUSTED);
}

static void what_is_good_is_never_untrusted(void **)
{
	round_is_never("SELECT seq, 1 AS value FROM foreign_extend", VERIFY_UNTRUSTED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_memory_is_made_or_not),
		cmocka_unit_test(a_machine_is_put_or_not),
		cmocka_unit_test(a_round_is_remembered_as_a_whole_or_not),
		cmocka_unit_test(reading_fails_and_can_be_done_again),
		cmocka_unit_test(a_violation_is_never_trusted),
		cmocka_unit_test(what_is_good_is_never_untrusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
