// SPDX-License-Identifier: BSD-2-Clause
/* The measurer's parts when memory, SQLite or OpenSSL fails in the middle of them: an event that was not taken
 * can be taken again, a batch that was not stored can be stored again, and nothing is recorded twice. */
#include "tests/signers.h"

#include <sys/types.h>

#include "tests/fault/nth_each.h"
#include "tests/teller.h"

static const int errors[] = { -ENOMEM, -EIO, -EBUSY, -ENOSPC, 0 };

static void each(const char *name, void (*before)(void), int (*call)(void), void (*check)(int r),
	void (*done)(void))
{
	nth_each(&(struct nth_scenario){ .name = name,
		.errors = errors,
		.before = before,
		.call = call,
		.check = check,
		.done = done });
}

/* ---- signatures ---- */

static struct signature signature;
static struct cms_claims claimed;
static struct cms_trust *trust;
static uint8_t spki[SHA256_LEN];
static bool is_pinned;

static void signature_new(void)
{
	if (!signature.len)
		signature = sign(&alice, NOATTR);
	memset(spki, 0x5a, sizeof(spki));
}

static int claim(void)
{
	cms_claims_done(&claimed);
	return cms_claims(signature.bytes, signature.len, &claimed);
}

/* What could not be parsed claims nothing; what is claimed is true. */
static void claims_no_more(int r)
{
	if (r == 0 && claimed.signers.known) {
		assert_int_equal(claimed.signers.value, 1);
		assert_int_equal(claimed.count, 1);
	} else {
		assert_int_equal(claimed.count, 0);
	}
}

static void claims_end(void)
{
	cms_claims_done(&claimed);
}

static void a_signature_claims_what_it_says_or_nothing(void **)
{
	each("cms_claims", signature_new, claim, claims_no_more, claims_end);
}

static int pin(void)
{
	is_pinned = cms_pinned(
		trust_alice, data, sizeof(data), signature.bytes, signature.len, spki);
	return 0;
}

static void spki_is_untouched(int)
{
	uint8_t untouched[SHA256_LEN];

	memset(untouched, 0x5a, sizeof(untouched));
	assert_int_equal(memcmp(spki, untouched, sizeof(spki)) != 0, is_pinned);
	assert_int_equal(ERR_peek_error(), 0);
}

static int pin_of_nobody(void)
{
	is_pinned = cms_pinned(
		trust_nobody, data, sizeof(data), signature.bytes, signature.len, spki);
	return is_pinned ? -EPERM : 0;
}

static int pin_of_other_data(void)
{
	is_pinned = cms_pinned(
		trust_alice, data, sizeof(data) - 1, signature.bytes, signature.len, spki);
	return is_pinned ? -EPERM : 0;
}

static void nobody_is_pinned_by_a_failure(void **)
{
	each("cms_pinned", signature_new, pin, spki_is_untouched, NULL);
	each("cms_pinned by nobody", signature_new, pin_of_nobody, spki_is_untouched, NULL);
	each("cms_pinned of other data", signature_new, pin_of_other_data, spki_is_untouched, NULL);
}

static void trust_new(void)
{
	trust = cms_trust_new();
	assert_non_null(trust);
}

static int trust_load(void)
{
	return cms_trust_load(trust, in_dir("alice.pem"));
}

static void certificate_is_there(int r)
{
	/* What was read before the fault stays, and is read again by the next call. */
	assert_in_range(cms_trust_count(trust), r < 0 ? 0 : 1, r < 0 ? 1 : 2);
	assert_true(r == 0 || strlen(cms_trust_errmsg(trust)) > 0);
}

static void trust_end(void)
{
	cms_trust_free(trust);
}

static void a_certificate_is_added_or_not(void **)
{
	each("cms_trust_load", trust_new, trust_load, certificate_is_there, trust_end);
}

/* ---- events ---- */

enum { STORIES = 3 };

static struct tape tape;
static struct collect collect;
static struct describe describe;
static struct described described;
static size_t next, loads, integrities, frees;
static uint64_t numbers[STORIES + 1];

static int load_describe(void *, const struct collected_load *load)
{
	int err = describe_load(&describe, load, NULL, &described);

	if (!err) {
		assert_true(described.load.program.captured);
		assert_int_equal(described.load.signature.verdict,
			load->number == 2 ? VERDICT_VERIFIED : VERDICT_UNSIGNED);
	}
	described_done(&described);
	if (!err && loads < STORIES)
		numbers[loads++] = load->number;
	return err;
}

static int count_integrity(
	void *, const struct collected_load *load, const struct event_integrity *event)
{
	assert_int_equal(load ? load->number : 0, event->id ? 0 : 2);
	integrities++;
	return 0;
}

static int count_free(void *, const struct event_free *)
{
	frees++;
	return 0;
}

static void stories_new(void)
{
	static const uint32_t content[4] = { 1, 2, 3, 4 };

	collect_init(&collect,
		&(struct collect_sink){ NULL, load_describe, count_integrity, count_free });
	describe.probe = probe_new();
	describe.trust = trust_alice;
	for (uint64_t number = 1; number <= STORIES; number++) {
		struct story story;

		story_init(&story, number);
		if (number == 2) {
			story_sign(&story);
			story_verdict(&story, 1);
		}
		if (number == 3)
			story_map(&story, content, sizeof(content));
		tape_story(&tape, &story);
		tape_integrity(&tape, &(struct event_integrity){ .id = (uint32_t)(500 + number) });
		tape_free(&tape, (uint32_t)(500 + number), 1);
	}
	next = loads = integrities = frees = 0;
}

/* From the event that was not taken on, as the ring tells it again. */
static int stories_tell(void)
{
	int err = 0;

	while (next < tape.count && !err) {
		err = tape_play_one(&tape, &collect, next);
		next += !err;
	}
	return err;
}

static void each_is_told_once(int r)
{
	if (r < 0)
		return;
	assert_int_equal(loads, STORIES);
	assert_int_equal(integrities, STORIES + 1);
	assert_int_equal(frees, STORIES);
	for (uint64_t i = 0; i < STORIES; i++)
		assert_int_equal(numbers[i], i + 1);
	assert_int_equal(seen_holes(&collect.tickets), 0);
}

static void stories_end(void)
{
	collect_done(&collect);
	tape_done(&tape);
	tape = (struct tape){};
	probe_free((struct probe *)(uintptr_t)describe.probe);
}

static void an_event_that_was_not_taken_is_taken_again(void **)
{
	each("collect_event, describe_load", stories_new, stories_tell, each_is_told_once,
		stories_end);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_claims_what_it_says_or_nothing),
		cmocka_unit_test(nobody_is_pinned_by_a_failure),
		cmocka_unit_test(a_certificate_is_added_or_not),
		cmocka_unit_test(an_event_that_was_not_taken_is_taken_again),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
