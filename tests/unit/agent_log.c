/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log over a real database. In the TPM's place is a PCR of ours, and what it must hold is computed
 * from the database's lines with OpenSSL and string functions: no code of the log's.
 */
#include "agent/log.h"

#include <openssl/evp.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/samples.h"
#include "tests/unit/db_fixture.h"

enum {
	BANKS = 1 << BANK_SHA1 | 1 << BANK_SHA256,
	LINES_MAX = 4096,
	WAITING_MAX = 16, /* agent/log.c: that many may wait before lines are left out */
};

struct log_fixture {
	struct fixture *files;
	struct db *db;
	struct log *log;
	struct bank_values pcr; /* "the TPM" */
	uint64_t epoch_seq; /* of the newest epoch */
	struct bank_values base; /* the PCR before it */
	size_t count;
	char *lines[LINES_MAX + 1]; /* by seq; of the database */
};

static int log_fixture_new(void **state)
{
	struct log_fixture *f = calloc(1, sizeof(*f));
	void *files;

	assert_non_null(f);
	fixture_new(&files);
	f->files = files;
	f->db = f->files->db;
	assert_ok(f->db, db_create(f->db, f->files->path));
	f->log = log_new(f->db, 250);
	assert_non_null(f->log);
	assert_int_equal(log_open(f->log), 0);
	*state = f;
	return 0;
}

static void lines_forget(struct log_fixture *f)
{
	for (uint64_t seq = 1; seq <= f->count; seq++)
		free(f->lines[seq]);
	f->count = 0;
}

static int log_fixture_free(void **state)
{
	struct log_fixture *f = *state;
	void *files = f->files;

	lines_forget(f);
	log_free(f->log);
	fixture_free(&files);
	free(f);
	return 0;
}

/* ---- the model: what the lines in the database lead to ---- */

static int line_keep(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct log_fixture *f = arg;

	assert_true(seq == f->count + 1 && seq <= LINES_MAX);
	f->lines[++f->count] = strndup(line, len);
	assert_int_equal(strlen(f->lines[seq]), len);
	return 0;
}

static void lines_read(struct log_fixture *f)
{
	lines_forget(f);
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, line_keep, f));
}

static bool is_extended(const struct log_fixture *f, uint64_t seq)
{
	return !strstr(f->lines[seq], ",\"extend\":false");
}

static const EVP_MD *bank_md(enum bank bank)
{
	return bank == BANK_SHA1 ? EVP_sha1() : EVP_sha256();
}

/* TPM2_PCR_Extend with the digest of a line, or with a digest. */
static void pcr_extend(struct bank_values *pcr, const char *line, const struct bank_values *digests)
{
	for (enum bank bank = 0; bank <= BANK_SHA256; bank++) {
		size_t size = bank == BANK_SHA1 ? 20 : 32;
		uint8_t both[64];

		memcpy(both, pcr->digest[bank], size);
		if (line)
			EVP_Digest(line, strlen(line), both + size, NULL, bank_md(bank), NULL);
		else
			memcpy(both + size, digests->digest[bank], size);
		EVP_Digest(both, 2 * size, pcr->digest[bank], NULL, bank_md(bank), NULL);
	}
}

/* The PCR after the lines up to seq. */
static struct bank_values pcr_after(const struct log_fixture *f, uint64_t seq)
{
	struct bank_values pcr = f->base;

	for (uint64_t at = f->epoch_seq; at <= seq; at++)
		if (is_extended(f, at))
			pcr_extend(&pcr, f->lines[at], NULL);
	return pcr;
}

static void assert_values(const struct bank_values *one, const struct bank_values *other)
{
	assert_memory_equal(one, other, sizeof(*one));
}

/* seq and prev of every line, read with nothing but sscanf(). */
static void assert_chain(struct log_fixture *f)
{
	char prev[65] = "", said[65];
	unsigned long long seq;
	uint8_t digest[32];

	memset(prev, '0', 64);
	lines_read(f);
	for (uint64_t at = 1; at <= f->count; at++) {
		assert_int_equal(
			sscanf(f->lines[at], "{\"v\":1,\"seq\":%llu,\"prev\":\"%64[0-9a-f]\"", &seq,
				said),
			2);
		assert_int_equal(seq, at);
		assert_string_equal(said, prev);
		EVP_Digest(f->lines[at], strlen(f->lines[at]), digest, NULL, EVP_sha256(), NULL);
		for (size_t i = 0; i < 32; i++)
			snprintf(prev + 2 * i, 3, "%02x", digest[i]);
	}
}

/* ---- what the measurer does ---- */

static uint64_t put(struct log_fixture *f, bool keep)
{
	struct log_put put = { .kind = RECORD_UNLOAD, .boottime_ns = 5, .keep = keep };
	struct record_unload unload = { .program_seq = 1, .program_id = 2 };
	uint64_t seq;

	assert_int_equal(log_put(f->log, &put, &unload, &seq), 0);
	return seq;
}

static void put_many(struct log_fixture *f, size_t count, bool keep)
{
	while (count--)
		put(f, keep);
}

static void put_epoch(struct log_fixture *f)
{
	struct log_put put = { .kind = RECORD_EPOCH, .boottime_ns = 1, .keep = true };
	struct record_epoch epoch = {
		.pcr = 13,
		.banks = BANKS,
		.base = f->pcr,
		.manufacturer = { "IBM", 3 },
		.vendor = { "SW", 2 },
		.software = true,
		.ak_name = { "name", 4 },
		.boot_id = { "b", 1 },
		.kernel = { "k", 1 },
		.last_seq = log_next_seq(f->log) - 1,
	};

	f->base = f->pcr;
	log_epoch_begin(f->log, BANKS, &f->pcr);
	assert_int_equal(log_put(f->log, &put, &epoch, &f->epoch_seq), 0);
}

static void commit(struct log_fixture *f)
{
	int err = log_commit(f->log, NULL, NULL, 0);

	if (err)
		fail_msg("log_commit: %d, %s", err, log_errmsg(f->log));
}

/* Returns false when there is nothing left. */
static bool extend_one(struct log_fixture *f)
{
	struct log_extend extend;
	int got = log_next_extend(f->log, &extend);

	assert_in_range(got, 0, 1);
	if (!got)
		return false;
	pcr_extend(&f->pcr, NULL, &extend.digests);
	assert_int_equal(log_extended(f->log, &extend), 0);
	assert_int_equal(log_extended_seq(f->log), extend.seq);
	assert_values(log_values(f->log), &f->pcr);
	return true;
}

static void extend_all(struct log_fixture *f)
{
	struct bank_values expected;

	while (extend_one(f))
		;
	lines_read(f);
	assert_int_equal(f->count, log_last_seq(f->log));
	assert_int_equal(log_extended_seq(f->log), f->count);
	expected = pcr_after(f, f->count);
	assert_values(&f->pcr, &expected);
}

/* A daemon that died; returns what the next one's log_find() says. */
static int restart(struct log_fixture *f)
{
	log_free(f->log);
	f->log = log_new(f->db, 250);
	assert_non_null(f->log);
	assert_int_equal(log_open(f->log), 0);
	return log_find(f->log, &f->pcr);
}

static void any_base(struct log_fixture *f)
{
	memset(&f->pcr, 0, sizeof(f->pcr));
	memset(f->pcr.digest[BANK_SHA1], 0x11, 20);
	memset(f->pcr.digest[BANK_SHA256], 0x22, 32);
}

/* ---- putting and committing ---- */

static void a_new_log_is_empty(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	assert_int_equal(log_epoch_seq(f->log), 0);
	assert_int_equal(log_next_seq(f->log), 1);
	assert_int_equal(log_last_seq(f->log), 0);
	assert_int_equal(log_last_exit(f->log), EXIT_NONE);
	assert_int_equal(log_next_extend(f->log, &extend), 0);
	commit(f);
	assert_string_equal(log_errmsg(f->log), "");
	log_free(NULL);
}

static void records_are_a_chain_over_batches_and_restarts(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	for (size_t batch = 1; batch < 12; batch++) {
		put_many(f, batch * 3, batch % 2);
		assert_int_equal(log_batch_count(f->log), batch * 3 + (batch == 1));
		assert_true(log_batch_bytes(f->log) > batch * 300);
		commit(f);
		assert_int_equal(log_batch_count(f->log), 0);
		assert_int_equal(log_batch_bytes(f->log), 0);
		if (batch % 3 == 0)
			assert_int_equal(restart(f), 1);
	}
	assert_chain(f);
	assert_int_equal(f->count, 1 + 3 * 66);
	extend_all(f);
}

static void what_was_not_committed_is_gone_after_a_crash(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	put(f, true);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_next_seq(f->log), 2);
	put(f, true);
	commit(f);
	assert_chain(f);
	extend_all(f);
}

/* No file of this process can grow. */
static void disk_full(bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_batch_that_could_not_be_committed_may_grow_and_be_tried_again(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	extend_all(f);
	disk_full(true);
	for (size_t i = 1; i < 4; i++) {
		put_many(f, 20, false);
		assert_true(log_commit(f->log, NULL, NULL, 0) < 0);
		assert_string_not_equal(log_errmsg(f->log), "");
		assert_int_equal(log_batch_count(f->log), 20 * i);
		assert_int_equal(log_last_seq(f->log), 1);
	}
	disk_full(false);
	commit(f);
	assert_chain(f);
	assert_int_equal(f->count, 61);
	extend_all(f);
}

static void the_callers_value_is_committed_with_the_batch(void **state)
{
	struct log_fixture *f = *state;
	char value[8];

	put_epoch(f);
	assert_int_equal(log_commit(f->log, "ring", "abc", 3), 0);
	assert_int_equal(db_state_get(f->db, "ring", value, sizeof(value)), 3);
	assert_memory_equal(value, "abc", 3);
	assert_int_equal(log_commit(f->log, "ring", "xyz", 3), 0); /* of no batch */
	assert_int_equal(db_state_get(f->db, "ring", value, sizeof(value)), 3);
	assert_memory_equal(value, "abc", 3);
}

static void programs_are_kept_while_there_is_room(void **state)
{
	struct log_fixture *f = *state;
	uint8_t digests[4][SHA256_LEN] = { { 1 }, { 2 }, { 3 }, { 4 } }, *insns;
	char bytes[100];
	size_t len;

	put_epoch(f);
	for (int i = 0; i < 3; i++) {
		memset(bytes, 'a' + i, sizeof(bytes));
		log_put_program(f->log, digests[i], bytes, sizeof(bytes));
	}
	log_put_program(f->log, digests[3], NULL, 0);
	memset(bytes, 0, sizeof(bytes));
	assert_true(log_batch_bytes(f->log) > 300);
	commit(f);
	for (int i = 0; i < 2; i++) {
		assert_ok(f->db, db_program_get(f->db, digests[i], &insns, &len));
		assert_int_equal(len, 100);
		assert_int_equal(insns[99], 'a' + i);
		free(insns);
	}
	assert_int_equal(db_program_get(f->db, digests[2], &insns, &len), -ENOENT);
	assert_int_equal(db_program_get(f->db, digests[3], &insns, &len), -ENOENT);
}

static void a_record_is_found_by_its_ref(void **state)
{
	struct log_fixture *f = *state;
	struct log_put put = { .kind = RECORD_UNLOAD, .ref = 77 };
	struct record_unload unload = { .program_seq = 1, .program_id = 2 };
	uint64_t seq;

	put_epoch(f);
	assert_int_equal(log_put(f->log, &put, &unload, NULL), 0);
	commit(f);
	assert_ok(f->db, db_ref_last(f->db, 77, 1, &seq));
	assert_int_equal(seq, 2);
}

/* ---- which lines are extended ---- */

static void every_line_is_extended_while_few_wait(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	extend_all(f);
	for (size_t i = 0; i < 20; i++) {
		put_many(f, WAITING_MAX + 1, false); /* the last one has 16 before it */
		commit(f);
		extend_all(f);
	}
	for (uint64_t seq = 1; seq <= f->count; seq++)
		assert_true(is_extended(f, seq));
}

static void lines_are_left_to_the_next_only_while_many_wait(void **state)
{
	struct log_fixture *f = *state;
	uint64_t kept, first, last;

	put_epoch(f);
	commit(f);
	extend_all(f);
	first = log_next_seq(f->log);
	put_many(f, 30, false);
	kept = put(f, true);
	put_many(f, 10, false);
	last = log_next_seq(f->log) - 1;
	commit(f);
	put(f, false); /* alone in its batch */
	commit(f);
	lines_read(f);
	for (uint64_t seq = first; seq <= f->count; seq++)
		assert_int_equal(is_extended(f, seq),
			seq - first <= WAITING_MAX || seq == kept || seq >= last);
	extend_all(f);
}

static void a_line_that_is_left_out_is_covered_by_the_next(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	put_epoch(f);
	put_many(f, 40, false);
	commit(f);
	for (uint64_t seq = 1; seq <= WAITING_MAX + 1; seq++)
		assert_true(extend_one(f));
	assert_int_equal(log_extended_seq(f->log), WAITING_MAX + 1);
	assert_int_equal(log_next_extend(f->log, &extend), 1);
	assert_int_equal(extend.seq, 41);
	assert_true(extend_one(f));
	assert_int_equal(log_extended_seq(f->log), 41);
	assert_false(extend_one(f));
}

/* ---- more than the queue holds ---- */

static void a_thousand_that_wait_are_read_back_in_order(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	for (size_t i = 0; i < 10; i++) {
		put_many(f, 100, true);
		commit(f);
	}
	for (size_t i = 0; i < 300; i++)
		assert_true(extend_one(f));
	put_many(f, 100, true);
	commit(f);
	put_many(f, 100, false);
	commit(f);
	assert_chain(f);
	extend_all(f);
	assert_int_equal(f->count, 1201);
}

static void one_batch_may_be_larger_than_the_queue(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	put_many(f, 700, true);
	commit(f);
	for (size_t i = 0; i < 250; i++)
		assert_true(extend_one(f));
	put_many(f, 3, true);
	commit(f);
	extend_all(f);
}

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

/* ---- how the last one ended ---- */

static void a_stop_at_the_end_is_a_clean_exit(void **state)
{
	struct log_fixture *f = *state;
	struct log_put put_stop = { .kind = RECORD_STOP, .keep = true };
	struct record_stop stop = { .why = { "SIGTERM", 7 } };

	put_epoch(f);
	commit(f);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_last_exit(f->log), EXIT_UNCLEAN);
	assert_int_equal(log_put(f->log, &put_stop, &stop, NULL), 0);
	commit(f);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_last_exit(f->log), EXIT_CLEAN);
}

/* ---- a log that is not ours ---- */

static void append_line(struct log_fixture *f, const char *line)
{
	uint64_t seq;
	struct db_line one = { .line = line, .len = strlen(line) };

	assert_ok(f->db, db_last_seq(f->db, &seq));
	one.seq = seq + 1;
	assert_ok(f->db, db_append(f->db, &(struct db_batch){ .lines = &one, .line_count = 1 }));
}

static void assert_not_opened(struct log_fixture *f, int expected, const char *text)
{
	log_free(f->log);
	f->log = log_new(f->db, 0);
	assert_int_equal(log_open(f->log), expected);
	if (!strstr(log_errmsg(f->log), text))
		fail_msg("\"%s\" does not say \"%s\"", log_errmsg(f->log), text);
}

static void a_log_that_ends_in_something_else_is_not_opened(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	put(f, true);
	commit(f);
	lines_read(f);
	append_line(f, f->lines[2]);
	assert_not_opened(f, -EUCLEAN, "record 3 of the log says that it is record 2");
	append_line(f, "not a record");
	assert_not_opened(f, -EUCLEAN, "record 4 of the log is damaged");
}

static void a_log_without_its_epoch_is_not_opened(void **state)
{
	struct log_fixture *f = *state;
	uint64_t seq = 2;
	struct db_state note = { .key = "epoch", .value = &seq, .len = sizeof(seq) };
	const struct db_batch batch = { .states = &note, .state_count = 1 };

	put_epoch(f);
	put(f, true);
	commit(f);
	assert_ok(f->db, db_append(f->db, &batch));
	assert_not_opened(f, -EUCLEAN, "record 2 is not an epoch");
	seq = 99;
	assert_ok(f->db, db_append(f->db, &batch));
	assert_not_opened(f, -ENOENT, "");
	note.len = 3;
	assert_ok(f->db, db_append(f->db, &batch));
	assert_not_opened(f, -EUCLEAN, "epoch is damaged");
}

static void a_damaged_line_that_waits_is_not_extended(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	put_epoch(f);
	put(f, true);
	commit(f);
	lines_read(f);
	append_line(f, f->lines[2]);
	append_line(f, "{}");
	put_epoch(f); /* for the last line to be fine */
	assert_int_equal(log_commit(f->log, NULL, NULL, 0), -EINVAL); /* its seq is taken */
	assert_int_equal(log_next_extend(f->log, &extend), 0);
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
		TEST(a_new_log_is_empty),
		TEST(records_are_a_chain_over_batches_and_restarts),
		TEST(what_was_not_committed_is_gone_after_a_crash),
		TEST(a_batch_that_could_not_be_committed_may_grow_and_be_tried_again),
		TEST(the_callers_value_is_committed_with_the_batch),
		TEST(programs_are_kept_while_there_is_room),
		TEST(a_record_is_found_by_its_ref),
		TEST(every_line_is_extended_while_few_wait),
		TEST(lines_are_left_to_the_next_only_while_many_wait),
		TEST(a_line_that_is_left_out_is_covered_by_the_next),
		TEST(a_thousand_that_wait_are_read_back_in_order),
		TEST(one_batch_may_be_larger_than_the_queue),
		TEST(the_place_is_found_wherever_the_pcr_is),
		TEST(the_place_is_found_in_the_newest_epoch_only),
		TEST(a_pcr_that_somebody_else_extended_is_no_place),
		TEST(a_hint_that_is_wrong_or_missing_costs_time_only),
		TEST(values_before_a_line_are_those_of_the_lines_before),
		TEST(an_epoch_may_begin_in_the_middle_of_a_batch),
		TEST(an_epoch_that_was_not_committed_was_none),
		TEST(a_stop_at_the_end_is_a_clean_exit),
		TEST(a_log_that_ends_in_something_else_is_not_opened),
		TEST(a_log_without_its_epoch_is_not_opened),
		TEST(a_damaged_line_that_waits_is_not_extended),
		TEST(the_pcr_is_what_the_lines_lead_to_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
