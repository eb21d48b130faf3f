// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an auditor gets to see: all of the log, and what is wrong with it. Each single bit of a
 * log's file is changed, every one with CHECK_LONG and one in some without: either that is found,
 * or every answer is what it was.
 */
#include "tests/unit/db_fixture.h"

#include <fcntl.h>

enum { RECORDS = 60, PROGRAMS = 3, QUOTES = 4, ANSWER_MAX = 64 << 10, SAMPLE = 211 };
enum { LONG_REF = 5, PROGRAM_LEN = 100 };
enum { KEYED = 12 }; /* records with keys, behind all the others */

/*
 * All the answers to all the questions, one after the other. Lines, refs, quotes and programs are
 * checked by whoever knows what they mean, by hash or signature; here, by knowing what they were.
 */
struct answer {
	struct db *db;
	struct db_scanned scanned;
	size_t len;
	unsigned findings;
	char bytes[ANSWER_MAX];
};

static char long_text[9000]; /* a record of several pages, and programs */

static int add_finding(void *arg, const char *finding)
{
	struct answer *answer = arg;

	assert_true(finding[0] != '\0');
	answer->findings++;
	return 0;
}

static void add(struct answer *answer, const void *bytes, size_t len)
{
	assert_true(len <= ANSWER_MAX - answer->len);
	memcpy(answer->bytes + answer->len, bytes, len);
	answer->len += len;
}

static void expect(struct answer *answer, const void *bytes, size_t len, const void *expected,
	size_t expected_len)
{
	if (len != expected_len || memcmp(bytes, expected, len) != 0)
		answer->findings++;
}

/* Values of the line of a record that has them. */
static size_t keyed_line(uint64_t seq, char values[DB_KEY_COUNT][16], char line[static 256])
{
	snprintf(values[DB_TIME], 16, "2026-01-%02u", (unsigned)(seq % 31));
	snprintf(values[DB_KIND], 16, "%s", seq % 3 ? "load" : "attach");
	snprintf(values[DB_NAME], 16, "name%u", (unsigned)(seq % 4));
	snprintf(values[DB_SHA256], 16, "%04x", (unsigned)(seq * 40503 % 65536));
	snprintf(values[DB_REFERS], 16, "%u", (unsigned)(seq % 5));
	return (size_t)snprintf(line, 256,
		"{\"time\":\"%s\",\"kind\":\"%s\",\"program\":{\"name\":\"%s\",\"sha256\":\"%s\"},"
		"\"parent\":{\"seq\":%s}}",
		values[DB_TIME], values[DB_KIND], values[DB_NAME], values[DB_SHA256],
		values[DB_REFERS]);
}

static void tell_keys(struct answer *answer, uint64_t seq)
{
	char values[DB_KEY_COUNT][16], line[256];

	if (seq <= RECORDS + 1) { /* no JSON */
		db_scanned_key(answer->db, &answer->scanned, DB_KIND, seq, "", 0);
		return;
	}
	keyed_line(seq, values, line);
	for (enum db_key key = 0; key < DB_KEY_COUNT; key++)
		if (strcmp(values[key], "load") != 0)
			db_scanned_key(answer->db, &answer->scanned, key, seq, values[key],
				strlen(values[key]));
}

static int keys_find(struct db *db, struct answer *answer)
{
	for (uint64_t seq = RECORDS + 2; seq < RECORDS + 2 + KEYED; seq++) {
		char values[DB_KEY_COUNT][16], line[256];

		keyed_line(seq, values, line);
		for (enum db_key key = 0; key < DB_KEY_COUNT; key++) {
			uint64_t seqs[RECORDS + KEYED + 1] = {};
			int count = db_find(db, key, values[key], values[key], seqs,
				sizeof(seqs) / sizeof(seqs[0]));
			if (count < 0)
				return count;
			add(answer, seqs, (size_t)count * sizeof(seqs[0]));
		}
	}
	return 0;
}

static int add_record(void *arg, uint64_t seq, uint64_t ref, const void *line, size_t len)
{
	char text[256], values[DB_KEY_COUNT][16];

	tell_keys(arg, seq);

	add(arg, &seq, sizeof(seq));
	expect(arg, &ref, sizeof(ref),
		&(uint64_t){ seq > RECORDS + 1  ? 0
				: seq > RECORDS ? LONG_REF
						: seq % 10 },
		sizeof(ref));
	if (seq > RECORDS + 1)
		expect(arg, line, len, text, keyed_line(seq, values, text));
	else if (seq > RECORDS)
		expect(arg, line, len, long_text, sizeof(long_text));
	else
		expect(arg, line, len, text, fixture_line(seq, text));
	return 0;
}

static int add_quote(void *arg, uint64_t seq, const void *line, size_t len)
{
	char text[64];

	add(arg, &seq, sizeof(seq));
	expect(arg, line, len, text, fixture_line(seq, text));
	return 0;
}

static void sha256_of(unsigned which, uint8_t sha256[static DB_SHA256_LEN])
{
	memset(sha256, 0x40 + (int)which, DB_SHA256_LEN);
}

static int add_program(void *arg, const uint8_t *sha256, const void *insns, size_t len)
{
	uint8_t expected[DB_SHA256_LEN];

	for (unsigned i = 0; i < PROGRAMS; i++) {
		sha256_of(i, expected);
		if (memcmp(sha256, expected, DB_SHA256_LEN) != 0)
			continue;
		add(arg, sha256, DB_SHA256_LEN);
		expect(arg, insns, len, long_text, PROGRAM_LEN * (i + 1));
		return 0;
	}
	return add_finding(arg, "these are the bytes of no program");
}

static int programs_get(struct db *db, struct answer *answer)
{
	for (unsigned i = 0; i < PROGRAMS; i++) {
		uint8_t sha256[DB_SHA256_LEN], *insns = NULL;
		size_t len = 0;
		sha256_of(i, sha256);
		int r = db_program_get(db, sha256, &insns, &len);
		if (r < 0)
			return r;
		add(answer, insns, len);
		free(insns);
	}
	return 0;
}

static int lines_get(struct db *db, struct answer *answer)
{
	for (uint64_t seq = 1; seq <= RECORDS + 1; seq++) {
		[[gnu::cleanup(db_line_freep)]] char *line = NULL;
		size_t len = 0;
		int r = db_line_get(db, seq, &line, &len);
		if (r < 0)
			return r;
		add(answer, line, len);
	}
	return 0;
}

static int refs_get(struct db *db, struct answer *answer)
{
	for (uint64_t ref = 1; ref < 10; ref++) {
		uint64_t seq = 0;
		int r = db_ref_last(db, ref, 1, &seq);
		if (r < 0)
			return r;
		add(answer, &seq, sizeof(seq));
	}
	return 0;
}

/* Ask everything. Returns 0 or the first error, which must have a text. */
static int ask(const char *path, struct answer *answer)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	answer->db = db;
	answer->scanned = (struct db_scanned){};
	answer->len = answer->findings = 0;
	int r = db_open(db, path);
	if (r == 0)
		r = db_scan(db, 1, UINT64_MAX, &answer->scanned, add_record, answer);
	if (r == 0)
		r = db_audit(db, &answer->scanned, add_finding, answer);
	if (r == 0)
		r = lines_get(db, answer);
	if (r == 0)
		r = db_quotes_each(db, 0, UINT64_MAX, add_quote, answer);
	if (r == 0)
		r = db_programs_each(db, add_program, answer);
	if (r == 0)
		r = programs_get(db, answer);
	if (r == 0)
		r = refs_get(db, answer);
	if (r == 0)
		r = keys_find(db, answer);
	if (r < 0 && db_errmsg(db)[0] == '\0')
		fail_msg("error %d without a text", r);
	return r;
}

/* A log in PATH alone, of pages in use, pages that are free, a long line and a short one. */
static void log_make(struct fixture *f)
{
	uint8_t sha256[PROGRAMS][DB_SHA256_LEN];
	struct db_program programs[PROGRAMS];
	struct db_line line = {
		.seq = RECORDS + 1, .ref = LONG_REF, .line = long_text, .len = sizeof(long_text)
	};

	char text[64];

	memset(long_text, 'x', sizeof(long_text));
	for (unsigned i = 0; i < PROGRAMS; i++) {
		sha256_of(i, sha256[i]);
		programs[i] = (struct db_program){ sha256[i], long_text, PROGRAM_LEN * (i + 1) };
	}
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 1, RECORDS));
	assert_ok(f->db,
		db_append(f->db,
			&(struct db_batch){
				.lines = &line,
				.line_count = 1,
				.programs = programs,
				.program_count = PROGRAMS,
				.program_bytes_max = UINT64_MAX,
			}));
	for (uint64_t seq = RECORDS + 2; seq < RECORDS + 2 + KEYED; seq++) {
		char values[DB_KEY_COUNT][16], keyed[256];
		line = (struct db_line){ seq, 0, keyed, keyed_line(seq, values, keyed) };
		assert_ok(f->db,
			db_append(f->db, &(struct db_batch){ .lines = &line, .line_count = 1 }));
	}
	for (unsigned i = 1; i <= QUOTES; i++)
		assert_ok(f->db, db_quote_put(f->db, i * 10, text, fixture_line(i * 10, text)));
	db_free(f->db);
	f->db = NULL;
}

static void assert_flip(const char *path, const struct answer *good, struct answer *answer,
	size_t bit, int *changed)
{
	int r = ask(path, answer);

	if (r < 0 || answer->findings > 0) {
		++*changed;
		return;
	}
	if (answer->len != good->len || memcmp(answer->bytes, good->bytes, good->len) != 0)
		fail_msg("bit %zu: another answer, and nothing found", bit);
}

static void every_changed_bit_is_found_or_changes_no_answer(void **state)
{
	static struct answer good, answer;
	struct fixture *f = *state;
	size_t stride = getenv("CHECK_LONG") ? 1 : SAMPLE;
	int found = 0;

	log_make(f);
	assert_int_equal(ask(f->path, &good), 0);
	assert_int_equal(good.findings, 0);
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	size_t size = (size_t)lseek(fd, 0, SEEK_END);
	char *file = malloc(size);
	assert_int_equal(pread(fd, file, size, 0), size);
	for (size_t bit = 0; bit < 8 * size; bit += stride) {
		char flipped = (char)(file[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
		assert_flip(f->path, &good, &answer, bit, &found);
		assert_int_equal(pwrite(fd, &file[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	assert_in_range(found, 50, 8 * size);
	free(file);
	close(fd);
}

static int no_record(void *arg, uint64_t seq, uint64_t, const void *, size_t)
{
	tell_keys(arg, seq);
	return 0;
}

static unsigned findings_after_scan(const char *path, uint64_t first)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	struct answer answer = { .db = db };

	assert_ok(db, db_open(db, path));
	assert_ok(db, db_scan(db, 1, 20, &answer.scanned, no_record, &answer));
	assert_ok(db, db_scan(db, first, UINT64_MAX, &answer.scanned, no_record, &answer));
	assert_ok(db, db_audit(db, &answer.scanned, add_finding, &answer));
	return answer.findings;
}

/* It is how the quick check can be told from the thorough one. */
static void the_list_of_free_pages_matters_only_where_the_scan_was_not_of_all(void **state)
{
	const off_t free_pages = 36; /* fileformat2.html, "The Database Header": big-endian */
	struct fixture *f = *state;

	log_make(f);
	assert_int_equal(findings_after_scan(f->path, 21), 0);
	assert_int_equal(findings_after_scan(f->path, 22), 0);
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\0\7", 4, free_pages), 4);
	close(fd);
	assert_int_equal(findings_after_scan(f->path, 21), 0);
	assert_in_range(findings_after_scan(f->path, 22), 1, 100);
}

/* Change what an index has, the lines being what they were: the quick check must see it, or SQLite's. */
static void index_change(const char *path, const char *from, const char *to)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t size = (size_t)lseek(fd, 0, SEEK_END), len = strlen(from);
	char *file = malloc(size);

	assert_int_equal(pread(fd, file, size, 0), size);
	char *at = memmem(file, size, from, len);
	for (; at && at[-1] == '"'; at = memmem(at + 1, size - (size_t)(at + 1 - file), from, len))
		;
	assert_non_null(at);
	assert_int_equal(pwrite(fd, to, len, at - file), len);
	free(file);
	close(fd);
}

static void an_index_that_lies_is_found(void **state)
{
	static const char *const lies[][2] = {
		{ "2026-01-02", "2026-01-32" },
		{ "attach", "detach" },
		{ "name1", "name7" },
	};
	struct fixture *f = *state;

	log_make(f);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		index_change(f->path, lies[i][0], lies[i][1]);
		assert_in_range(findings_after_scan(f->path, 21), 1, 100);
		index_change(f->path, lies[i][1], lies[i][0]);
		assert_int_equal(findings_after_scan(f->path, 21), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_list_of_free_pages_matters_only_where_the_scan_was_not_of_all,
			fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			an_index_that_lies_is_found, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			every_changed_bit_is_found_or_changes_no_answer, fixture_new, fixture_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
