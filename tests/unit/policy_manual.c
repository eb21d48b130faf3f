/* SPDX-License-Identifier: BSD-2-Clause */
/* The policies that docs/policy.md shows find what the page says, and nothing else. */
#include "tests/unit/policy_fixture.h"

#include <errno.h>

/* The example of the page that begins with these words, as a file. */
static void make_example(const char *comment, char *ret_path)
{
	char line[1024], sql[4096] = "";
	FILE *page = fopen("docs/policy.md", "r");
	bool is_inside = false;

	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		is_inside = strncmp(line, "    ", 4) == 0 &&
			(is_inside ||
				(strncmp(line, "    -- ", 7) == 0 &&
					strncmp(line + 7, comment, strlen(comment)) == 0));
		if (is_inside)
			strcat(sql, line);
	}
	fclose(page);
	if (!sql[0])
		fail_msg("the page has no example \"%s\"", comment);
	make_file(sql, ret_path);
}

static void example_init(struct judged *judged, const char *comment)
{
	char path[64], references[64];

	make_example(comment, path);
	make_references(references);
	judged_init(judged, path, references);
	unlink(path);
	unlink(references);
}

static void assert_finds(struct judged *judged, int64_t found, uint64_t seq)
{
	judged_run(judged);
	if (judged->found != found)
		fail_msg("%lld: %s", (long long)judged->found, judged->error);
	if (found)
		assert_int_equal(judged->violations[0].seq, seq);
	policy_free(judged->policy);
}

static void add_attach(struct judged *judged, struct record_of_program program,
	enum record_target_type type, bool remembered)
{
	struct record_attach attach = {
		.program = program,
		.place.target = { .type = type, .name = words("file_open") },
	};

	record_encode_attach(&judged->line, judged_head(judged), &attach);
	judged_add(judged, remembered);
}

static void programs_on_lsm_hooks_are_expected_or_the_agents_own(void **)
{
	static struct judged judged;
	struct record_load load = good_load();

	example_init(&judged, "Nothing hangs on an LSM hook");
	load.program.self = true;
	add_load(&judged, &load);
	add_attach(&judged, (struct record_of_program){ .seq = 1 }, TARGET_LSM_HOOK, false);
	add_attach(
		&judged, (struct record_of_program){ 9, { 0 }, known(1) }, TARGET_LSM_HOOK, false);
	add_attach(
		&judged, (struct record_of_program){ 9, { 0 }, known(7) }, TARGET_INTERFACE, false);
	add_attach(
		&judged, (struct record_of_program){ 9, { 0 }, known(7) }, TARGET_LSM_HOOK, true);
	assert_finds(&judged, 1, 5);
}

static void a_place_that_is_not_known_may_be_an_lsm_hook(void **)
{
	static struct judged judged;

	example_init(&judged, "Nothing hangs on an LSM hook");
	add_attach(&judged, (struct record_of_program){ 0 }, TARGET_UNKNOWN, false);
	assert_finds(&judged, 1, 1);
}

static void an_integrity_verdict_that_is_not_good_is_a_violation(void **)
{
	static struct judged judged;
	struct record_integrity integrity = { .verdict = words("LSM_INT_VERDICT_OK") };

	example_init(&judged, "The kernel's own integrity check");
	record_encode_integrity(&judged.line, judged_head(&judged), &integrity);
	judged_add(&judged, false);
	integrity.verdict = words("LSM_INT_VERDICT_PARTIALSIG");
	record_encode_integrity(&judged.line, judged_head(&judged), &integrity);
	judged_add(&judged, false);
	assert_finds(&judged, 1, 2);
}

static void an_integrity_verdict_without_a_word_is_not_good(void **)
{
	static struct judged judged;

	example_init(&judged, "The kernel's own integrity check");
	record_encode_integrity(
		&judged.line, judged_head(&judged), &(struct record_integrity){ 0 });
	judged_add(&judged, false);
	assert_finds(&judged, 1, 1);
}

static void loads_from_a_home_directory_are_found(void **)
{
	static struct judged judged;
	struct record_load load = good_load();

	example_init(&judged, "Nobody loads programs from a home");
	add_load(&judged, &load);
	load.loader.exe = words("/home/user/tool");
	add_load(&judged, &load);
	assert_finds(&judged, 1, 2);
}

static void tracing_is_found_on_a_machine_of_its_own_word_alone(void **)
{
	static struct judged judged;
	struct record_load load = good_load();
	struct machine machine = { .name = "web-07", .mode = MACHINE_FIRST_USE };

	load.program.type = words("kprobe");
	for (int i = 0; i < 2; i++) {
		example_init(&judged, "A machine enrolled on its own word");
		assert_int_equal(policy_machine_set(judged.policy, &machine, 0), 0);
		add_load(&judged, &load);
		assert_finds(&judged, i == 0, 1);
		machine.mode = MACHINE_EK_PINNED;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_on_lsm_hooks_are_expected_or_the_agents_own),
		cmocka_unit_test(a_place_that_is_not_known_may_be_an_lsm_hook),
		cmocka_unit_test(an_integrity_verdict_that_is_not_good_is_a_violation),
		cmocka_unit_test(an_integrity_verdict_without_a_word_is_not_good),
		cmocka_unit_test(loads_from_a_home_directory_are_found),
		cmocka_unit_test(tracing_is_found_on_a_machine_of_its_own_word_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
