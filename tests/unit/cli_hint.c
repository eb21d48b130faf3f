// SPDX-License-Identifier: BSD-2-Clause
/* What the command line says who may not read, or finds nothing: on a machine of this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static struct {
	uid_t euid;
	bool has_group;
	bool is_member; /* this process */
	const char *member; /* by the list of the group */
	const char *installed;
	bool has_systemd;
} machine;

/* These stand before the C library's. */

uid_t geteuid(void)
{
	return machine.euid;
}

struct group *getgrnam(const char *)
{
	static char name[] = "bpfmeasure", *members[2];
	static struct group group = { .gr_name = name, .gr_gid = 990, .gr_mem = members };

	members[0] = (char *)machine.member;
	return machine.has_group ? &group : NULL;
}

int group_member(gid_t)
{
	return machine.is_member;
}

struct passwd *getpwuid(uid_t)
{
	static char name[] = "alice";
	static struct passwd user = { .pw_name = name, .pw_gid = 1000 };

	return &user;
}

int access(const char *path, int)
{
	bool is_there = strcmp(path, "/run/systemd/system") == 0
		? machine.has_systemd
		: machine.installed && strcmp(path, machine.installed) == 0;

	return is_there ? 0 : -1;
}

static int begin(void **)
{
	memset(&machine, 0, sizeof(machine));
	machine.euid = 1000;
	machine.has_group = true;
	return 0;
}

static void who_is_not_in_the_group_is_told_how_to_join(void **)
{
	assert_string_equal(cli_group_hint(),
		" - you are not in the group bpfmeasure: sudo adduser $USER bpfmeasure, then log in"
		" again");
	machine.member = "bob";
	assert_non_null(strstr(cli_group_hint(), "sudo adduser"));
}

static void who_joined_after_logging_in_is_told_to_log_in(void **)
{
	machine.member = "alice";
	assert_string_equal(cli_group_hint(),
		" - you are in the group bpfmeasure, but not in this session: log in again, or run"
		" newgrp bpfmeasure");
}

static void without_the_group_nobody_can_join(void **)
{
	machine.has_group = false;
	assert_string_equal(
		cli_group_hint(), " - only root may: there is no group bpfmeasure on this machine");
}

static void who_may_already_is_told_nothing(void **)
{
	machine.is_member = true;
	assert_string_equal(cli_group_hint(), "");
	machine.is_member = false;
	machine.euid = 0;
	assert_string_equal(cli_group_hint(), "");
}

static void what_is_missing_is_started_or_not_installed(void **)
{
	static const char log[] = "/var/lib/bpfmeasure/log.db";

	assert_string_equal(
		cli_db_hint(log), " - bpfmeasured is not installed: nothing measures this machine");
	machine.installed = "/usr/local/sbin/bpfmeasured";
	assert_string_equal(cli_db_hint(log), " - start the daemon: run bpfmeasured as root");
	machine.installed = "/usr/sbin/bpfmeasured";
	machine.has_systemd = true;
	assert_string_equal(cli_socket_hint("/run/bpfmeasure/measurer.sock"),
		" - start the daemon: sudo systemctl enable --now bpfmeasured");
}

static void another_place_is_the_users_to_explain(void **)
{
	assert_string_equal(cli_db_hint("log.db"), "");
	assert_string_equal(cli_socket_hint("/tmp/socket"), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(who_is_not_in_the_group_is_told_how_to_join, begin),
		cmocka_unit_test_setup(who_joined_after_logging_in_is_told_to_log_in, begin),
		cmocka_unit_test_setup(without_the_group_nobody_can_join, begin),
		cmocka_unit_test_setup(who_may_already_is_told_nothing, begin),
		cmocka_unit_test_setup(what_is_missing_is_started_or_not_installed, begin),
		cmocka_unit_test_setup(another_place_is_the_users_to_explain, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
