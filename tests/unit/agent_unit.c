/* SPDX-License-Identifier: BSD-2-Clause */
/* The unit that a cgroup's path names. */
#include "agent/unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char room[UNIT_TEXT_MAX];

static void assert_unit(const char *cgroup, const char *unit)
{
	struct record_text text = { cgroup, strlen(cgroup) };
	struct record_text ret = unit_of_cgroup(text, room);

	if (!unit && !ret.bytes)
		return;
	if (!unit || !ret.bytes || ret.len != strlen(unit) || memcmp(ret.bytes, unit, ret.len))
		fail_msg("%s: %.*s instead of %s", cgroup, (int)ret.len, ret.bytes ? ret.bytes : "",
			unit ? unit : "none");
}

static void a_unit_stands_behind_its_slices(void **)
{
	assert_unit("/init.scope", "init.scope");
	assert_unit("/system.slice/ssh.service", "ssh.service");
	assert_unit("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service");
	assert_unit("/user.slice/user-1000.slice/session-2.scope", "session-2.scope");
	assert_unit("/system.slice/dbus.socket", "dbus.socket");
	assert_unit("/dev-hugepages.mount", "dev-hugepages.mount");
}

static void a_unit_is_that_of_the_cgroups_below_it(void **)
{
	assert_unit("/system.slice/docker.service/payload/a.service", "docker.service");
	assert_unit("/machine.slice/systemd-nspawn@web.service/payload/system.slice/ssh.service",
		"systemd-nspawn@web.service");
	assert_unit("/machine.slice/machine-web.scope/init.scope", "machine-web.scope");
	assert_unit("/kubepods.slice/kubepods-pod1.slice/cri-containerd-0a1b.scope",
		"cri-containerd-0a1b.scope");
}

static void a_user_has_units_of_its_own(void **)
{
	assert_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service",
		"user@1000.service/foo.service");
	assert_unit("/user.slice/user-1000.slice/user@1000.service/init.scope",
		"user@1000.service/init.scope");
	assert_unit("/user.slice/user-1000.slice/user@1000.service/app.slice", "user@1000.service");
	assert_unit("/user.slice/user-1000.slice/user@1000.service", "user@1000.service");
	assert_unit("/user.slice/user-1000.slice/user@1000.service/a b/foo.service",
		"user@1000.service");
	assert_unit("/user.slice/user-0.slice/user@0.service/session.slice/ssh.service/x.service",
		"user@0.service/ssh.service");
	assert_unit("/system.slice/user.service/app.slice/foo.service", "user.service");
}

static void escapes_are_part_of_a_name_and_underscores_are_not(void **)
{
	assert_unit("/system.slice/probe\\x2done.service", "probe\\x2done.service");
	assert_unit("/system.slice/system-a\\x2db.slice/a\\x2db@c:d-e_f.service",
		"a\\x2db@c:d-e_f.service");
	assert_unit("/system.slice/_cgroup.service", "cgroup.service");
	assert_unit("/_cpu.slice/__a.service", "_a.service");
	assert_unit("/_user.slice/_user@7.service/_app.slice/_tasks.scope",
		"user@7.service/tasks.scope");
}

static void what_is_no_unit_has_none(void **)
{
	static const char *const none[] = { "", "/", "//", "/system.slice", "/a.slice/b.slice",
		"/docker/0a1b2c", "/kubepods/burstable/pod1/0a1b", "/docker/a.service",
		"/lxc.payload.web", ".../a.service", "/...", "/.service", "/_.service", "/a.",
		"/a.services", "/service", "/a b.service", "/a/b.service", "/@a.service",
		"/getty@.service", "/a\xff.service", "/a.service\n", "/a\tb.slice/a.service",
		"/a.slice/ .slice/a.service", "/_", "/@.slice", "/a@b.slice/c.service" };

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_unit(none[i], NULL);
	assert_null(unit_of_cgroup((struct record_text){}, room).bytes);
	assert_null(unit_of_cgroup((struct record_text){ "/a\0.service", 11 }, room).bytes);
}

static void the_longest_names_fit_and_longer_ones_are_none(void **)
{
	char path[1024] = "/user@";
	char *user = path + strlen(path), *end;

	memset(user, 'x', UNIT_NAME_MAX - strlen("user@.service"));
	end = user + strlen(user);
	strcpy(end, ".service/");
	end += strlen(end);
	memset(end, 'y', UNIT_NAME_MAX - strlen(".scope"));
	strcat(end, ".scope");
	assert_int_equal(unit_of_cgroup((struct record_text){ path, strlen(path) }, room).len,
		UNIT_TEXT_MAX);
	strcpy(end + UNIT_NAME_MAX - strlen(".scope"), "y.scope");
	assert_int_equal(unit_of_cgroup((struct record_text){ path, strlen(path) }, room).len,
		UNIT_NAME_MAX);
	memmove(user + 1, user, strlen(user) + 1);
	assert_unit(path, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_stands_behind_its_slices),
		cmocka_unit_test(a_unit_is_that_of_the_cgroups_below_it),
		cmocka_unit_test(a_user_has_units_of_its_own),
		cmocka_unit_test(escapes_are_part_of_a_name_and_underscores_are_not),
		cmocka_unit_test(what_is_no_unit_has_none),
		cmocka_unit_test(the_longest_names_fit_and_longer_ones_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
