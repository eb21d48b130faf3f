/* SPDX-License-Identifier: BSD-2-Clause */
/* Each shipped policy on records that are good, and on each way in which they can be bad. */
#include "tests/unit/policy_fixture.h"

#include <errno.h>

/* Judge what add() puts in, against all reference values. */
static void judge(struct judged *judged, const char *policy, void (*add)(struct judged *judged))
{
	char references[64];

	make_references(references);
	judged_init(judged, policy, references);
	unlink(references);
	add(judged);
	judged_run(judged);
	if (judged->found < 0)
		fail_msg("%s", judged->error);
	policy_free(judged->policy);
}

static void passes(const char *policy, void (*add)(struct judged *judged))
{
	static struct judged judged;

	judge(&judged, policy, add);
	if (judged.found)
		fail_msg("record %llu: %s: %s", (unsigned long long)judged.violations[0].seq,
			judged.violations[0].value, judged.violations[0].why);
}

/* One violation, of the last record. */
static void violates(const char *policy, void (*add)(struct judged *judged), const char *value)
{
	static struct judged judged;

	judge(&judged, policy, add);
	assert_int_equal(judged.found, 1);
	assert_int_equal(judged.violations[0].seq, judged.seq - 1);
	assert_string_equal(judged.violations[0].rule, policy);
	assert_string_equal(judged.violations[0].value, value);
	assert_string_not_equal(judged.violations[0].why, "");
}

/* ---- what a machine may have loaded ---- */

/* One record of each kind that policies look at, nothing wrong with any. */
static void all_is_well(struct judged *judged)
{
	struct record_load load = good_load();

	add_epoch(judged, WHY_FIRST_USE);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_NONE });
	add_epoch(judged, WHY_BOOT);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_UNCLEAN });
	add_load(judged, &load);
	load.signature.pinned.known = false;
	load.signature.keyring = KEYRING_BUILTIN;
	add_load(judged, &load);
	add_start(judged,
		&(struct record_start){ .last_exit = EXIT_UNCLEAN, .kept_measuring = true });
	record_encode_stop(&judged->line, judged_head(judged), &(struct record_stop){ 0 });
	judged_add(judged, false);
}

static void nothing(struct judged *judged)
{
	(void)judged;
}

static void unsigned_load(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
	add_load(judged, &load);
}

static void unknown_load(struct judged *judged)
{
	struct record_load load = { 0 };

	add_load(judged, &load);
}

static void load_by_some_key(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature.pinned.known = false;
	add_load(judged, &load);
}

/* The key is pinned, and yet the kernel's verdict is not known. */
static void load_of_unknown_verdict(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature.verdict = VERDICT_UNKNOWN;
	add_load(judged, &load);
}

static void load_of_the_agent(struct judged *judged)
{
	struct record_load load = good_load();

	load.program.self = true;
	load.program.sha256.known = load.chain_digest.known = false;
	load.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
	add_load(judged, &load);
}

/* A loader of that signature, and an unsigned program that it brought. */
static void family(struct judged *judged, struct record_load parent)
{
	struct record_load child = good_load();

	child.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
	child.program.kernel_origin = true;
	child.program.sha256 = known(99);
	child.chain_digest = known(98);
	child.has_parent = true;
	child.parent = (struct record_parent){
		.seq = add_load(judged, &parent),
		.sha256 = parent.program.sha256,
		.chain_digest = parent.chain_digest,
		.verdict = parent.signature.verdict,
	};
	add_load(judged, &child);
}

static void light_skeleton(struct judged *judged)
{
	family(judged, good_load());
}

/* Its instructions are signed, and nothing that they are given. */
static void light_skeleton_of_any_content(struct judged *judged)
{
	struct record_load parent = good_load();

	parent.signature.covers = COVERS_INSNS;
	parent.signature.metadata = METADATA_NONE;
	family(judged, parent);
}

static void light_skeleton_before_7_3(struct judged *judged)
{
	struct record_load parent = good_load();

	parent.signature.covers = COVERS_INSNS;
	parent.signature.metadata = METADATA_BOUND;
	family(judged, parent);
}

/* What says that a program loaded it, and was loaded by a task. */
static void child_by_name_alone(struct judged *judged)
{
	struct record_load parent = good_load(), child = good_load();

	child.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
	child.program.sha256 = known(99);
	child.chain_digest = known(98);
	child.has_parent = true;
	child.parent.seq = add_load(judged, &parent);
	child.parent.chain_digest = known(2);
	child.parent.verdict = VERDICT_VERIFIED;
	add_load(judged, &child);
}

static void light_skeleton_of_an_earlier_round(struct judged *judged)
{
	struct record_load parent = good_load(), child = good_load();

	record_encode_load(&judged->line, judged_head(judged), &parent);
	child.has_parent = true;
	child.parent.seq = judged_add(judged, true);
	child.parent.chain_digest = known(2);
	child.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
	child.program.kernel_origin = true;
	add_load(judged, &child);
}

static void baseline_of_a_key_of_the_kernel(struct judged *judged)
{
	struct record_baseline baseline = good_baseline();

	add_baseline(judged, &baseline);
}

static void baseline_that_is_unknown(struct judged *judged)
{
	struct record_baseline baseline = { .program.name = words("old") };

	add_baseline(judged, &baseline);
}

static void baseline_by_some_key(struct judged *judged)
{
	struct record_baseline baseline = good_baseline();

	baseline.program.name = words("old");
	baseline.signature.keyring = KEYRING_USER;
	add_baseline(judged, &baseline);
}

static void baseline_of_the_agent(struct judged *judged)
{
	struct record_baseline baseline = { .program = { .name = words("old"), .self = true } };

	add_baseline(judged, &baseline);
}

/* The epoch ended and the program went on. */
static void baseline_with_a_good_record_before(struct judged *judged)
{
	struct record_load load = good_load();
	struct record_baseline baseline = {
		.has_earlier = true,
		.earlier_seq = add_load(judged, &load),
	};

	add_epoch(judged, WHY_TPM_RESTART);
	add_baseline(judged, &baseline);
}

static void signed_only_asks_for_a_name(void **state)
{
	static const char policy[] = "signed-only";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, light_skeleton);
	passes(policy, light_skeleton_before_7_3);
	passes(policy, light_skeleton_of_an_earlier_round);
	passes(policy, load_of_the_agent);
	passes(policy, baseline_of_a_key_of_the_kernel);
	passes(policy, baseline_of_the_agent);
	passes(policy, baseline_with_a_good_record_before);
	violates(policy, unsigned_load, "good");
	violates(policy, unknown_load, "unknown");
	violates(policy, load_by_some_key, "good");
	violates(policy, load_of_unknown_verdict, "good");
	violates(policy, light_skeleton_of_any_content, "good");
	violates(policy, child_by_name_alone, "good");
	violates(policy, baseline_that_is_unknown, "old");
	violates(policy, baseline_by_some_key, "old");
}

static void load_of_bound_metadata(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature.metadata = METADATA_BOUND;
	add_load(judged, &load);
}

static void kernel_verified_metadata_asks_for_more_than_bound(void **state)
{
	static const char policy[] = "kernel-verified-metadata";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, light_skeleton);
	passes(policy, load_of_the_agent);
	violates(policy, load_of_bound_metadata, "good");
	violates(policy, load_of_unknown_verdict, "good");
	violates(policy, unknown_load, "unknown");
	violates(policy, child_by_name_alone, "good");
	violates(policy, baseline_that_is_unknown, "old");
}

/* ---- reference values ---- */

static void load_of_a_known_chain(struct judged *judged)
{
	struct record_load load = good_load();

	load.program.sha256 = known(77);
	add_load(judged, &load);
}

static void load_of_another_program(struct judged *judged)
{
	struct record_load load = good_load();

	load.program.sha256 = known(0xab);
	load.chain_digest = known(78);
	add_load(judged, &load);
}

/* Reference values have members that are null, and so have records: these do not match. */
static void load_that_was_not_captured(struct judged *judged)
{
	struct record_load load = good_load();

	load.program.captured = false;
	load.program.sha256.known = load.chain_digest.known = false;
	load.program.kernel_origin = true;
	add_load(judged, &load);
}

static void known_programs_are_those_of_the_reference(void **state)
{
	static const char policy[] = "known-programs";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, unsigned_load);
	passes(policy, load_of_a_known_chain);
	passes(policy, light_skeleton);
	passes(policy, load_of_the_agent);
	passes(policy, baseline_with_a_good_record_before);
	violates(policy, load_of_another_program,
		"abababababababababababababababababababababababababababababababab");
	violates(policy, load_that_was_not_captured, "unknown");
	violates(policy, unknown_load, "unknown");
	violates(policy, baseline_that_is_unknown, "unknown");
}

static void load_by_another_pinned_key(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature.pinned = known(0xcd);
	add_load(judged, &load);
}

static void load_by_another_keyring(struct judged *judged)
{
	struct record_load load = good_load();

	load.signature.pinned.known = false;
	load.signature.keyring = KEYRING_PLATFORM;
	add_load(judged, &load);
}

static void known_signers_are_those_of_the_reference(void **state)
{
	static const char policy[] = "known-signers";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, unsigned_load);
	passes(policy, baseline_of_a_key_of_the_kernel);
	passes(policy, baseline_that_is_unknown);
	violates(policy, load_by_another_pinned_key,
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd");
	violates(policy, load_by_some_key, "unknown");
	violates(policy, load_by_another_keyring, "unknown");
	violates(policy, load_of_unknown_verdict,
		"0505050505050505050505050505050505050505050505050505050505050505");
	violates(policy, unknown_load, "unknown");
	violates(policy, baseline_by_some_key, "unknown");
}

static void load_by_another_executable(struct judged *judged)
{
	struct record_load load = good_load();

	load.loader.exe_sha256 = known(0xef);
	load.program.self = true; /* that makes no difference */
	add_load(judged, &load);
}

static void known_loaders_are_those_of_the_reference(void **state)
{
	static const char policy[] = "known-loaders";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, load_of_the_agent);
	violates(policy, load_by_another_executable,
		"efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef");
	violates(policy, unknown_load, "unknown");
}

/* ---- the log itself ---- */

static void something_was_lost(struct judged *judged)
{
	add_epoch(judged, WHY_FIRST_USE);
	record_encode_lost(&judged->line, judged_head(judged),
		&(struct record_lost){ .what = LOST_EVENTS, .count = 3, .first = 1, .last = 3 });
	judged_add(judged, false);
}

static void a_hook_is_missing(struct judged *judged)
{
	add_epoch(judged, WHY_FIRST_USE);
	add_start(judged,
		&(struct record_start){ .missing_count = 1, .missing = { "lsm/bpf_prog_load" } });
}

static void a_start_in_between(struct judged *judged)
{
	add_epoch(judged, WHY_BOOT);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_CLEAN });
	add_start(judged, &(struct record_start){ .last_exit = EXIT_UNCLEAN });
}

static void a_start_in_a_broken_log(struct judged *judged)
{
	add_epoch(judged, WHY_BOOT);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_CLEAN });
	add_epoch(judged, WHY_BROKEN_LOG);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_CLEAN });
}

/* What came before was proven in an earlier round. */
static void a_start_alone(struct judged *judged)
{
	judged->seq = 100;
	assert_int_equal(policy_machine_set(judged->policy, NULL, 99), 0);
	add_start(judged, &(struct record_start){ .last_exit = EXIT_UNCLEAN });
}

static void records_are_not_shown(struct judged *judged)
{
	judged->seq = 100;
	assert_int_equal(policy_machine_set(judged->policy, NULL, 7), 0);
	add_epoch(judged, WHY_BOOT);
}

static void all_after_those_that_were_proven(struct judged *judged)
{
	judged->seq = 100;
	assert_int_equal(policy_machine_set(judged->policy, NULL, 99), 0);
	add_epoch(judged, WHY_BOOT);
}

static void no_gaps_finds_what_is_missing(void **state)
{
	static const char policy[] = "no-gaps";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	passes(policy, all_after_those_that_were_proven);
	violates(policy, something_was_lost, "3 events");
	violates(policy, a_hook_is_missing, "[\"lsm/bpf_prog_load\"]");
	violates(policy, a_start_in_between, "last exit unclean");
	violates(policy, a_start_in_a_broken_log, "last exit clean");
	violates(policy, a_start_alone, "last exit unclean");
	violates(policy, records_are_not_shown, "8-99");
}

static void somebody_else_extended(struct judged *judged)
{
	add_epoch(judged, WHY_FIRST_USE);
	add_epoch(judged, WHY_BROKEN_LOG);
	record_encode_foreign(&judged->line, judged_head(judged),
		&(struct record_foreign){ .after_seq = 1, .banks = 1 << BANK_SHA256 });
	judged_add(judged, false);
}

static void the_log_broke(struct judged *judged)
{
	add_epoch(judged, WHY_FIRST_USE);
	add_epoch(judged, WHY_BROKEN_LOG);
}

static void no_foreign_finds_extends_of_others(void **state)
{
	static const char policy[] = "no-foreign";

	(void)state;
	passes(policy, nothing);
	passes(policy, all_is_well);
	violates(policy, somebody_else_extended,
		"the PCR was extended by somebody else after record 1");
	violates(policy, the_log_broke, "broken_log");
}

static void without_reference_values_nothing_is_known(void **state)
{
	static const char *const policies[] = { "known-programs", "known-signers",
		"known-loaders" };
	static struct judged judged;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct record_load load = good_load();

		judged_init(&judged, policies[i], NULL);
		add_load(&judged, &load);
		load.chain_digest.known = false;
		load.loader.exe_sha256.known = false;
		load.signature.pinned.known = false;
		add_load(&judged, &load);
		judged_run(&judged);
		assert_int_equal(judged.found, 2);
		policy_free(judged.policy);
	}
}

static void what_is_no_reference_value_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"bpfmeasure\":\"reference/2\",\"kind\":\"program\"}",
		"{\"bpfmeasure\":\"reference/1\",\"kind\":\"loader\",\"exe\":null,\"exe_sha256\":null,"
		"\"source\":\"x\"}",
		"\n",
	};
	struct policy *policy = NULL;
	char error[POLICY_ERROR_MAX], path[64];
	const char *name = "no-gaps", *reference = path;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		make_file(bad[i], path);
		assert_int_equal(policy_open(&name, 1, &reference, 1, &policy, error), -EBADMSG);
		assert_non_null(strstr(error, ":1: "));
		unlink(path);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_only_asks_for_a_name),
		cmocka_unit_test(kernel_verified_metadata_asks_for_more_than_bound),
		cmocka_unit_test(known_programs_are_those_of_the_reference),
		cmocka_unit_test(known_signers_are_those_of_the_reference),
		cmocka_unit_test(known_loaders_are_those_of_the_reference),
		cmocka_unit_test(no_gaps_finds_what_is_missing),
		cmocka_unit_test(no_foreign_finds_extends_of_others),
		cmocka_unit_test(without_reference_values_nothing_is_known),
		cmocka_unit_test(what_is_no_reference_value_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
