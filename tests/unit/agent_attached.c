/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/attached.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t SOCKET = 0xffff888104a3b000, OTHER = 0xffff888104a3b400;

static void what_nobody_attached_is_for_the_database_to_know(void **)
{
	struct attached attached = {};
	uint64_t seq = 7;

	assert_int_equal(attached_find(&attached, 1, &seq), -ENOENT);
	assert_int_equal(seq, 7);
	attached_settle(&attached);
	attached_done(&attached);
	attached_done(&attached);
}

static void an_attachment_is_found_until_it_ends(void **)
{
	struct attached attached = {};
	uint64_t ref = attached_ref(3, 0, 9), seq = 0;

	assert_int_equal(attached_add(&attached, ref, 5), 0);
	assert_int_equal(attached_find(&attached, ref, &seq), 1);
	assert_int_equal(seq, 5);
	assert_int_equal(attached_end(&attached, ref), 0);
	assert_int_equal(attached_find(&attached, ref, &seq), 0);
	attached_done(&attached);
}

static void an_end_is_remembered_until_the_database_has_it(void **)
{
	struct attached attached = {};
	uint64_t seq = 0;

	for (uint64_t ref = 1; ref <= 100; ref++) {
		assert_int_equal(attached_add(&attached, ref, ref), 0);
		if (ref % 2)
			assert_int_equal(attached_end(&attached, ref), 0);
	}
	assert_int_equal(attached.count, 100);
	attached_settle(&attached);
	assert_int_equal(attached.count, 50);
	for (uint64_t ref = 1; ref <= 100; ref++)
		assert_int_equal(attached_find(&attached, ref, &seq), ref % 2 ? -ENOENT : 1);
	attached_done(&attached);
}

static void what_is_attached_once_more_has_not_ended(void **)
{
	struct attached attached = {};
	uint64_t seq = 0;

	assert_int_equal(attached_add(&attached, 1, 5), 0);
	assert_int_equal(attached_end(&attached, 1), 0);
	assert_int_equal(attached_add(&attached, 1, 6), 0);
	attached_settle(&attached);
	assert_int_equal(attached_find(&attached, 1, &seq), 1);
	assert_int_equal(seq, 6);
	attached_done(&attached);
}

static void every_place_has_a_number_of_its_own(void **)
{
	uint64_t refs[] = {
		attached_ref(1, 0, 2),
		attached_ref(2, 0, 1),
		attached_ref(INT32_MAX, 0, INT32_MAX),
		attached_ref(0, SOCKET, 1),
		attached_ref(0, SOCKET, 2),
		attached_ref(0, SOCKET ^ 1, 1),
		attached_ref(
			0, SOCKET ^ 3, 2), /* it differs from the first in the same bits twice */
		attached_ref(0, OTHER, 1),
		attached_ref(0, 0, 1),
	};
	size_t count = sizeof(refs) / sizeof(*refs);

	for (size_t i = 0; i < count; i++) {
		/* db_append() takes 63 bits, and programs have the first 31. */
		assert_true(refs[i] > UINT32_MAX && refs[i] <= INT64_MAX);
		for (size_t j = 0; j < i; j++)
			assert_true(refs[i] != refs[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_attached_is_for_the_database_to_know),
		cmocka_unit_test(an_attachment_is_found_until_it_ends),
		cmocka_unit_test(an_end_is_remembered_until_the_database_has_it),
		cmocka_unit_test(what_is_attached_once_more_has_not_ended),
		cmocka_unit_test(every_place_has_a_number_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
