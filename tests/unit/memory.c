/* SPDX-License-Identifier: BSD-2-Clause */
/* What a verifier remembers: the file, and the machines in it. */
#include "memory_fixture.h"

static int make(void **state)
{
	struct memory_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	memory_fixture_init(f);
	*state = f;
	return 0;
}

static int unmake(void **state)
{
	memory_fixture_done(*state);
	free(*state);
	return 0;
}

/* Change the file while nobody has it open. */
static void overwrite(struct memory_fixture *f, long at, const char *bytes, size_t len)
{
	memory_free(f->memory);
	f->memory = NULL;
	FILE *file = fopen(f->path, "r+b");

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void assert_refused(struct memory_fixture *f, int err, const char *words)
{
	assert_int_equal(memory_open(f->path, &f->memory), err);
	if (!strstr(memory_errmsg(f->memory), words))
		fail_msg("%s", memory_errmsg(f->memory));
}

/* ---- the file ---- */

static void only_its_user_may_read_it(void **state)
{
	struct memory_fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void another_kind_of_file_is_refused(void **state)
{
	struct memory_fixture *f = *state;

	overwrite(f, 0, "This is a text, and no database", 31);
	assert_refused(f, -EUCLEAN, "not a database");
}

static void another_database_is_refused(void **state)
{
	struct memory_fixture *f = *state;

	overwrite(f, 68, "bpfm", 4); /* SQLite, "Database File Format", 1.3: application id */
	assert_refused(f, -EMEDIUMTYPE, "not a verifier's memory");
}

static void another_version_is_refused(void **state)
{
	struct memory_fixture *f = *state;

	overwrite(f, 60, "\0\0\0\2", 4);
	assert_refused(f, -EMEDIUMTYPE, "version 2");
}

static void a_damaged_file_is_refused(void **state)
{
	struct memory_fixture *f = *state;

	overwrite(f, 100, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_refused(f, -EUCLEAN, "malformed");
}

static void a_name_that_is_no_path_is_refused(void **state)
{
	static const char *const names[] = { "", ":memory:", "file:x?mode=memory" };
	struct memory *memory;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(memory_open(names[i], &memory), -EINVAL);
		memory_free(memory);
	}
}

static void a_missing_folder_is_said(void **state)
{
	struct memory *memory;

	(void)state;
	assert_int_equal(memory_open("/nowhere/verifier.db", &memory), -ENOENT);
	assert_string_equal(memory_errmsg(memory), "No such file or directory");
	memory_free(memory);
}

/* ---- machines ---- */

static void a_machine_is_found_as_it_was_put(void **state)
{
	struct memory_fixture *f = *state;
	struct machine put = some_machine("web-07"), got;

	put.base_banks = 1u << BANK_SHA256;
	put.base.digest[BANK_SHA256][3] = 7;
	assert_int_equal(memory_machine_put(f->memory, &put, false), 0);
	memory_reopen(f);
	assert_int_equal(memory_machine_get(f->memory, "web-07", &got), 0);
	assert_memory_equal(&got, &put, sizeof(got));
}

static void a_machine_that_is_not_enrolled_is_not_found(void **state)
{
	struct memory_fixture *f = *state;
	struct machine got;

	assert_int_equal(memory_machine_get(f->memory, "web-08", &got), -ENOENT);
	assert_string_equal(memory_errmsg(f->memory), "web-08 is not enrolled");
	assert_int_equal(memory_machine_remove(f->memory, "web-08"), -ENOENT);
}

static void a_machine_with_other_keys_is_refused_until_replaced(void **state)
{
	struct memory_fixture *f = *state;
	struct machine first = some_machine("web-07"), other = first, got;

	other.ak[80] = 1;
	assert_int_equal(memory_machine_put(f->memory, &first, false), 0);
	assert_int_equal(memory_machine_put(f->memory, &other, false), -EEXIST);
	assert_int_equal(memory_machine_get(f->memory, "web-07", &got), 0);
	assert_memory_equal(&got, &first, sizeof(got));
	assert_int_equal(memory_machine_put(f->memory, &other, true), 0);
	assert_int_equal(memory_machine_get(f->memory, "web-07", &got), 0);
	assert_memory_equal(&got, &other, sizeof(got));
}

static void a_machine_with_the_same_keys_may_move(void **state)
{
	struct memory_fixture *f = *state;
	struct machine machine = some_machine("web-07"), got;

	assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	strcpy(machine.address, "10.0.0.7");
	assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	assert_int_equal(memory_machine_get(f->memory, "web-07", &got), 0);
	assert_string_equal(got.address, "10.0.0.7");
}

static int list(void *arg, const struct machine *machine)
{
	strcat(arg, machine->name);
	strcat(arg, " ");
	return strcmp(machine->name, "stop") == 0 ? 5 : 0;
}

static void machines_come_in_the_order_of_their_names(void **state)
{
	static const char *const names[] = { "web-2", "db", "web-10", "stop" };
	struct memory_fixture *f = *state;
	char text[64] = "";

	for (size_t i = 0; i < 3; i++) {
		struct machine machine = some_machine(names[i]);
		assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	}
	assert_int_equal(memory_machines_each(f->memory, list, text), 0);
	assert_string_equal(text, "db web-10 web-2 ");

	struct machine machine = some_machine(names[3]);
	assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	text[0] = '\0';
	assert_int_equal(memory_machines_each(f->memory, list, text), 5);
	assert_string_equal(text, "db stop ");
}

/* ---- several processes ---- */

static void enrol_many(const char *path, int process)
{
	struct memory *memory;
	char name[32];

	if (memory_open(path, &memory))
		_exit(1);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "machine-%d-%d", process, i);
		struct machine machine = some_machine(name);
		if (memory_machine_put(memory, &machine, false))
			_exit(2);
	}
	memory_free(memory);
	_exit(0);
}

static int count(void *arg, const struct machine *machine)
{
	(void)machine;
	++*(int *)arg;
	return 0;
}

static void processes_that_make_it_at_once_all_write(void **state)
{
	struct memory_fixture *f = *state;
	int status, found = 0;

	memory_free(f->memory);
	f->memory = NULL;
	assert_int_equal(unlink(f->path), 0);
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			enrol_many(f->path, i);
	}
	for (int i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	memory_reopen(f);
	assert_int_equal(memory_machines_each(f->memory, count, &found), 0);
	assert_int_equal(found, 80);
}

#define test(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(only_its_user_may_read_it),
		test(another_kind_of_file_is_refused),
		test(another_database_is_refused),
		test(another_version_is_refused),
		test(a_damaged_file_is_refused),
		test(a_name_that_is_no_path_is_refused),
		test(a_missing_folder_is_said),
		test(a_machine_is_found_as_it_was_put),
		test(a_machine_that_is_not_enrolled_is_not_found),
		test(a_machine_with_other_keys_is_refused_until_replaced),
		test(a_machine_with_the_same_keys_may_move),
		test(machines_come_in_the_order_of_their_names),
		test(processes_that_make_it_at_once_all_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
