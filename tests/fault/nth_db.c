// SPDX-License-Identifier: BSD-2-Clause
/* The log on disk when SQLite or memory fails in the middle of it: the error is one of db.h, and nothing
 * is there by half. */
#include "tests/unit/db_fixture.h"

#include "tests/fault/nth_each.h"

static const int errors[] = { -ENOMEM, -EIO, -EBUSY, -ENOSPC, 0 };

enum { RECORDS = 12, PATTERN = 0x5a };

static struct fixture *f;
static struct db *reader;

static void files_new(void)
{
	void *state;

	fixture_new(&state);
	f = state;
}

static void files_free(void)
{
	fixture_free((void *[]){ f });
}

/* A log of twelve records, three quotes and a program. */
static void log_new_open(void)
{
	static const char insns[] = "instructions", sha[] = "0123456789abcdef0123456789abcdef";
	struct db_program program = { (const uint8_t *)sha, insns, sizeof(insns) };
	struct db_state note = { "key", "value", 5 };
	struct db_batch batch = { .programs = &program,
		.program_count = 1,
		.program_bytes_max = 1000,
		.states = &note,
		.state_count = 1 };

	files_new();
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 1, RECORDS));
	assert_ok(f->db, db_append(f->db, &batch));
	for (uint64_t seq = 4; seq <= RECORDS; seq += 4)
		assert_ok(f->db, db_quote_put(f->db, seq, "quote", 5));
}

static void assert_whole(struct db *db, uint64_t first, uint64_t last)
{
	uint64_t count = 0, seq;

	assert_ok(db, db_last_seq(db, &seq));
	assert_int_equal(seq, last);
	assert_ok(db, db_first_seq(db, &seq));
	assert_int_equal(seq, first);
	assert_ok(db, db_each(db, first, UINT64_MAX, fixture_count, &count));
	assert_int_equal(count, last - first + 1);
}

/* ---- opening ---- */

static int create(void)
{
	return db_create(f->db, f->path);
}

/* An error leaves no log open: the next call, on the same handle, makes it. */
static void created(int r)
{
	uint64_t seq = PATTERN;

	if (r < 0)
		assert_true(strlen(db_errmsg(f->db)) > 0);
	else
		assert_ok(f->db, db_last_seq(f->db, &seq));
	if (r == 0)
		assert_int_equal(seq, 0);
}

static void a_log_is_made_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_create",
		.errors = errors,
		.before = files_new,
		.call = create,
		.check = created,
		.done = files_free });
}

static void log_new_closed(void)
{
	log_new_open();
	db_free(f->db);
	f->db = db_new();
	assert_non_null(f->db);
}

static void opened(int r)
{
	if (r == 0)
		assert_whole(f->db, 1, RECORDS);
}

static void a_log_that_is_there_is_opened_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_create again",
		.errors = errors,
		.before = log_new_closed,
		.call = create,
		.check = opened,
		.done = files_free });
}

static void reader_new(void)
{
	log_new_open();
	reader = db_new();
	assert_non_null(reader);
}

static int reader_open(void)
{
	return db_open(reader, f->path);
}

static void reader_opened(int r)
{
	if (r == 0)
		assert_whole(reader, 1, RECORDS);
}

static void reader_free(void)
{
	db_free(reader);
	files_free();
}

static void a_reader_opens_it_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_open",
		.errors = errors,
		.before = reader_new,
		.call = reader_open,
		.check = reader_opened,
		.done = reader_free });
}

/* ---- writing ---- */

static int append(void)
{
	static const char insns[] = "others", sha[] = "fedcba9876543210fedcba9876543210";
	struct db_program program = { (const uint8_t *)sha, insns, sizeof(insns) };
	struct db_state state = { "key", "other", 5 };
	char text[2][64];
	struct db_line lines[2];
	struct db_batch batch = { .lines = lines,
		.line_count = 2,
		.programs = &program,
		.program_count = 1,
		.program_bytes_max = 1000,
		.states = &state,
		.state_count = 1 };

	for (uint64_t i = 0; i < 2; i++)
		lines[i] = (struct db_line){ .seq = RECORDS + 1 + i,
			.ref = 77,
			.line = text[i],
			.len = fixture_line(RECORDS + 1 + i, text[i]) };
	return db_append(f->db, &batch);
}

static void appended(int r)
{
	static const uint8_t sha[] = "fedcba9876543210fedcba9876543210";
	uint8_t *insns = NULL;
	size_t len;
	char state[5];

	assert_whole(f->db, 1, r < 0 ? RECORDS : RECORDS + 2);
	assert_int_equal(db_program_get(f->db, sha, &insns, &len), r < 0 ? -ENOENT : 0);
	free(insns);
	assert_int_equal(db_state_get(f->db, "key", state, sizeof(state)), 5);
	assert_memory_equal(state, r < 0 ? "value" : "other", 5);
}

static void a_batch_is_stored_as_a_whole_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_append",
		.errors = errors,
		.before = log_new_open,
		.call = append,
		.check = appended,
		.done = files_free });
}

static int quote_put(void)
{
	return db_quote_put(f->db, RECORDS, "another", 7);
}

static void quote_is_put(int r)
{
	char *line = NULL;
	size_t len;
	uint64_t seq;

	assert_ok(f->db, db_quote_last(f->db, UINT64_MAX, &line, &len, &seq));
	assert_int_equal(seq, RECORDS);
	assert_string_equal(line, r < 0 ? "quote" : "another");
	free(line);
}

static void a_quote_is_replaced_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_quote_put",
		.errors = errors,
		.before = log_new_open,
		.call = quote_put,
		.check = quote_is_put,
		.done = files_free });
}

static int trim(void)
{
	int r = db_trim(f->db, 4, 100);

	return r > 0 ? 0 : r;
}

static void trimmed(int r)
{
	assert_whole(f->db, r < 0 ? 1 : 5, RECORDS);
}

static void a_trim_removes_what_it_should_or_nothing(void **)
{
	nth_each(&(struct nth_scenario){ .name = "db_trim",
		.errors = errors,
		.before = log_new_open,
		.call = trim,
		.check = trimmed,
		.done = files_free });
}

/* ---- reading ---- */

static uint64_t out_seq, out_count;
static char *out_line;
static size_t out_len;

static void log_new_and_patterns(void)
{
	log_new_open();
	out_seq = out_count = PATTERN;
	out_len = PATTERN;
	out_line = NULL;
}

static void assert_patterns(void)
{
	assert_int_equal(out_seq, PATTERN);
	assert_int_equal(out_len, PATTERN);
	assert_null(out_line);
}

static int each(void)
{
	out_count = 0;
	return db_each(f->db, 1, UINT64_MAX, fixture_count, &out_count);
}

static void each_was_told(int r)
{
	assert_true(r < 0 ? out_count <= RECORDS : out_count == RECORDS);
}

static int line_get(void)
{
	return db_line_get(f->db, 5, &out_line, &out_len);
}

static void line_was_got(int r)
{
	char expected[64];

	if (r < 0)
		return assert_patterns();
	assert_int_equal(out_len, fixture_line(5, expected));
	assert_string_equal(out_line, expected);
	free(out_line);
}

static int quote_last(void)
{
	return db_quote_last(f->db, 9, &out_line, &out_len, &out_seq);
}

static void quote_was_got(int r)
{
	if (r < 0)
		return assert_patterns();
	assert_int_equal(out_seq, 8);
	assert_string_equal(out_line, "quote");
	free(out_line);
}

static int quote_count(void *arg, uint64_t seq, const void *, size_t)
{
	uint64_t *count = arg;

	return ++*count * 4 == seq ? 0 : -EBADMSG;
}

static int quotes_each(void)
{
	out_count = 0;
	return db_quotes_each(f->db, 1, UINT64_MAX, quote_count, &out_count);
}

static void quotes_were_told(int r)
{
	assert_true(r < 0 ? out_count <= 3 : out_count == 3);
}

static int ref_last(void)
{
	return db_ref_last(f->db, 3, 1, &out_seq);
}

static int numbers(void)
{
	uint64_t bytes = 0;
	int r = db_program_bytes(f->db, &bytes);

	if (r == 0)
		r = db_used_bytes(f->db, &bytes);
	return r ? r : ref_last();
}

static void ref_was_found(int r)
{
	assert_int_equal(out_seq, r < 0 ? PATTERN : 3);
}

static int count_finding(void *arg, const char *)
{
	++*(uint64_t *)arg;
	return 0;
}

static int audit_whole(void)
{
	out_count = 0;
	return db_audit(f->db, NULL, count_finding, &out_count);
}

static int no_record(void *, uint64_t, uint64_t, const void *, size_t)
{
	return 0;
}

static int audit_scanned(void)
{
	struct db_scanned scanned = { 0 };

	out_count = 0;
	int r = db_scan(f->db, 1, UINT64_MAX, &scanned, no_record, NULL);
	return r == 0 ? db_audit(f->db, &scanned, count_finding, &out_count) : r;
}

/* What failed is no damage. */
static void audit_found_nothing(int)
{
	assert_int_equal(out_count, 0);
}

static int count_row(void *arg, const struct db_row *row)
{
	++*(uint64_t *)arg;
	return row->column_count == 2 && row->values[1].type == DB_TEXT ? 0 : -EBADMSG;
}

static int query(void)
{
	out_count = 0;
	return db_query(f->db, "SELECT a, b FROM v; SELECT 1, 'x' FROM json_each('[1,2]')",
		"CREATE TEMP VIEW v AS SELECT seq AS a, CAST(line AS TEXT) AS b FROM record",
		count_row, &out_count, &(struct db_limits){ .steps = 1000000 });
}

static void rows_were_told(int r)
{
	assert_true(r < 0 ? out_count <= RECORDS + 2 : out_count == RECORDS + 2);
}

static int count_program(void *arg, const uint8_t *, const void *, size_t)
{
	++*(uint64_t *)arg;
	return 0;
}

static int programs(void)
{
	out_count = 0;
	return db_programs_each(f->db, count_program, &out_count);
}

static void program_was_told(int r)
{
	assert_true(r < 0 ? out_count <= 1 : out_count == 1);
}

static void reading_fails_and_can_be_done_again(void **)
{
	static const struct {
		const char *name;
		int (*call)(void);
		void (*check)(int r);
	} reads[] = {
		{ "db_each", each, each_was_told },
		{ "db_line_get", line_get, line_was_got },
		{ "db_quote_last", quote_last, quote_was_got },
		{ "db_quotes_each", quotes_each, quotes_were_told },
		{ "db_ref_last and sums", numbers, ref_was_found },
		{ "db_audit", audit_whole, audit_found_nothing },
		{ "db_scan, db_audit", audit_scanned, audit_found_nothing },
		{ "db_query", query, rows_were_told },
		{ "db_programs_each", programs, program_was_told },
	};

	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		nth_each(&(struct nth_scenario){ .name = reads[i].name,
			.errors = errors,
			.before = log_new_and_patterns,
			.call = reads[i].call,
			.check = reads[i].check,
			.done = files_free });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_is_made_or_not),
		cmocka_unit_test(a_log_that_is_there_is_opened_or_not),
		cmocka_unit_test(a_reader_opens_it_or_not),
		cmocka_unit_test(a_batch_is_stored_as_a_whole_or_not),
		cmocka_unit_test(a_quote_is_replaced_or_not),
		cmocka_unit_test(a_trim_removes_what_it_should_or_nothing),
		cmocka_unit_test(reading_fails_and_can_be_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
