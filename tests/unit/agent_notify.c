/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager hears, by a socket of ours. */
#include "agent/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAUSE_MS = 100 * 1000 };

static struct {
	char name[64];
	int manager;
	struct notify notify;
	char got[512];
} world;

static int begin(void **)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len = snprintf(world.name, sizeof(world.name), "@bpfmeasure-notify-%d", (int)getpid());

	memcpy(address.sun_path + 1, world.name + 1, (size_t)len - 1);
	world.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(world.manager, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)))
		return -errno;
	return 0;
}

static int end(void **)
{
	notify_done(&world.notify);
	close(world.manager);
	return 0;
}

static const char *got(void)
{
	ssize_t len = recv(world.manager, world.got, sizeof(world.got) - 1, 0);

	world.got[len < 0 ? 0 : len] = 0;
	return world.got;
}

static void without_a_manager_nothing_is_told(void **)
{
	static const char *const none[] = { NULL, "", "@", "relative", "vsock:2:1234" };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		notify_init(&world.notify, none[i], 1000000, PAUSE_MS);
		assert_int_equal(world.notify.fd, -1);
		notify_ready(&world.notify);
		notify_alive(&world.notify, 1);
		notify_stopping(&world.notify, 1);
	}
}

static void a_start_asks_for_time_and_then_is_over(void **)
{
	notify_init(&world.notify, world.name, 0, PAUSE_MS);
	assert_string_equal(got(), "");
	notify_alive(&world.notify, 1);
	assert_string_equal(got(), "EXTEND_TIMEOUT_USEC=100000000");
	notify_ready(&world.notify);
	assert_string_equal(got(), "READY=1");
	notify_ready(&world.notify);
	notify_alive(&world.notify, 1000000); /* nobody watches */
	assert_string_equal(got(), "");
	notify_stopping(&world.notify, 5000);
	assert_string_equal(got(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000");
}

static void the_watchdog_hears_of_it_four_times_in_its_period(void **)
{
	unsigned heard = 0;

	notify_init(&world.notify, world.name, 200 * 1000000, PAUSE_MS);
	notify_ready(&world.notify);
	assert_string_equal(got(), "READY=1");
	for (uint64_t ms = 200000; ms < 400000; ms += 1000) {
		notify_alive(&world.notify, ms);
		heard += !strcmp(got(), "WATCHDOG=1");
	}
	assert_int_equal(heard, 4);
}

static void a_watchdog_without_patience_is_told_to_wait(void **)
{
	notify_init(&world.notify, world.name, 10 * 1000000, PAUSE_MS);
	assert_string_equal(got(), "WATCHDOG_USEC=100000000");
}

static void a_count_is_told_now_and_then_and_a_fault_at_once(void **)
{
	notify_init(&world.notify, world.name, 0, PAUSE_MS);
	notify_status(&world.notify, 1000, "1 record", false);
	assert_string_equal(got(), "STATUS=1 record");
	notify_status(&world.notify, 2000, "2 records", false);
	assert_string_equal(got(), "");
	notify_status(&world.notify, 3000, "a fault", true);
	assert_string_equal(got(), "STATUS=a fault");
	notify_status(&world.notify, 12000, "3 records", false);
	assert_string_equal(got(), "");
	notify_status(&world.notify, 13000, "3 records", false);
	assert_string_equal(got(), "STATUS=3 records");
	notify_status(&world.notify, 99000, "3 records", false);
	assert_string_equal(got(), "");
}

/* What was not taken is told again: the start would never be over. */
static void a_manager_that_reads_nothing_holds_nobody_up(void **)
{
	notify_init(&world.notify, world.name, 0, PAUSE_MS);
	for (unsigned i = 0; i < 100000; i++)
		notify_alive(&world.notify, i);
	notify_ready(&world.notify);
	assert_false(world.notify.ready);
	while (*got())
		;
	notify_ready(&world.notify);
	assert_string_equal(got(), "READY=1");
	assert_true(world.notify.ready);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_manager_nothing_is_told),
		TEST(a_start_asks_for_time_and_then_is_over),
		TEST(the_watchdog_hears_of_it_four_times_in_its_period),
		TEST(a_watchdog_without_patience_is_told_to_wait),
		TEST(a_count_is_told_now_and_then_and_a_fault_at_once),
		TEST(a_manager_that_reads_nothing_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
