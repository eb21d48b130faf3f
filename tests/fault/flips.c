// SPDX-License-Identifier: BSD-2-Clause
/*
 * flips [TEST [FIRST [END]]]: a log's file is changed, and then `bpfmeasure audit` finds that, or every
 * line and every answer is what it was: most bytes of a database are slack. The verb's own code runs,
 * in a process that may crash, once per change.
 *
 * Every bit and byte with CHECK_LONG, one in some without; FIRST and END: only the changes of these
 * numbers, and what the verb says is shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/bank.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "db/db.h"
#include "tests/fault/answers.h"

enum {
	PAGE = 8192, /* of a log */
	SMALL_RECORDS = 12,
	SMALL_BITS = 397, /* one bit of so many is changed, without CHECK_LONG */
	LARGE_RECORDS = 4200,
	LARGE_EVERY = 300,
	LARGE_SIZE_MIN = 5 << 20,
	LARGE_CHANGES = 100,
	LARGE_CHANGES_LONG = 10000,
	WAL_BYTES = 1999, /* likewise */
	WAL_EVERY = 3, /* a quote after so many records */
	VIEWS_EACH = 8, /* see is_asked_views() */
	OLDER_MAX = 64,
	CHANGE_S = 120, /* that a change may take */
};

static unsigned long only_first, only_end; /* the second is 0: all */

/* ---- one log, its file changed again and again ---- */

struct counts {
	size_t next;
	size_t untrusted, unknown; /* found: exit codes 1 and 3 */
	size_t harmless; /* trusted, and every answer is what it was */
	size_t older; /* trusted, and every answer is that of the log at an earlier kept quote */
	size_t wrong;
	char change[160]; /* the one under way */
};

struct target {
	char dir[64];
	char db[96], ak[96];
	char file[112]; /* that is changed */
	int fd;
	size_t size;
	uint8_t *bytes; /* as they were */
	uint8_t *mine; /* as they are to be */
	size_t new_size;
	struct answers good;
	size_t older_count;
	struct answers older[OLDER_MAX];
	bool is_bitwise;
	struct counts *counts; /* of all processes */
};

/* A change to target->mine and new_size; says which in counts->change. */
typedef void change_fn(struct target *target, size_t number);

static int audit(const struct target *target)
{
	char name[] = "audit", quiet[] = "-q", option[] = "--ak";
	char *argv[] = { name, quiet, option, (char *)target->ak, (char *)target->db, NULL };

	optind = 0; /* this process has parsed before */
	return audit_main(5, argv);
}

static void write_all(int fd, const uint8_t *bytes, size_t size)
{
	assert_int_equal(pwrite(fd, bytes, size, 0), size);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static uint8_t *read_all(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

/* Bring the file from one state to another; only what differs is written. */
static void move(struct target *target, const uint8_t *from, size_t from_size, const uint8_t *to,
	size_t to_size)
{
	size_t end = from_size < to_size ? from_size : to_size;
	size_t first = 0, last = end;

	while (first < end && from[first] == to[first])
		first++;
	while (last > first && from[last - 1] == to[last - 1])
		last--;
	if (to_size > end)
		last = to_size;
	if (last > first &&
		pwrite(target->fd, to + first, last - first, (off_t)first) !=
			(ssize_t)(last - first))
		abort(); /* not cmocka's: this is not its process */
	if (to_size < from_size && ftruncate(target->fd, (off_t)to_size) < 0)
		abort();
}

static void finding(struct target *target, size_t number, const char *what)
{
	target->counts->wrong++;
	printf("change %zu (%s): %s\n", number, target->counts->change, what);
	fflush(stdout);
}

/*
 * What the views say comes from the lines, and from what the first page says of the whole file, its
 * encoding for example. It costs more than all else: where nothing is changed but a bit of another
 * page, it is asked once in a while.
 */
static bool is_asked_views(const struct target *target, size_t number)
{
	return !target->is_bitwise || number % VIEWS_EACH == 0 ||
		memcmp(target->mine, target->bytes, PAGE) != 0;
}

static void judge(struct target *target, size_t number)
{
	struct counts *counts = target->counts;
	struct answers answers;
	char text[160];
	int code = audit(target);

	if (code == CLI_UNTRUSTED) {
		counts->untrusted++;
		return;
	}
	if (code == CLI_UNKNOWN) {
		counts->unknown++;
		return;
	}
	snprintf(text, sizeof(text), "exit code %d", code);
	if (code != CLI_GOOD) {
		finding(target, number, text);
		return;
	}
	answers_ask(target->db, is_asked_views(target, number), &answers);
	const char *question = answers_compare(&answers, &target->good);
	if (!question) {
		counts->harmless++;
		return;
	}
	for (size_t i = 0; i < target->older_count; i++)
		if (!answers_compare(&answers, &target->older[i])) {
			counts->older++;
			return;
		}
	snprintf(text, sizeof(text), "trusted, but answered otherwise is: %s", question);
	finding(target, number, text);
}

static void change_once(struct target *target, size_t number, change_fn *change)
{
	memcpy(target->mine, target->bytes, target->size);
	target->new_size = target->size;
	change(target, number);
	move(target, target->bytes, target->size, target->mine, target->new_size);
	alarm(CHANGE_S);
	judge(target, number);
	alarm(0);
	move(target, target->mine, target->new_size, target->bytes, target->size);
}

/* Change after change, until one of them crashes. */
static void work(struct target *target, size_t end, change_fn *change)
{
	struct counts *counts = target->counts;

	if (!only_end && !freopen("/dev/null", "w", stderr))
		_exit(2);
	for (; counts->next < end; counts->next++)
		change_once(target, counts->next, change);
	free(target->bytes);
	free(target->mine);
	exit(0);
}

static void change_all(struct target *target, size_t count, change_fn *change)
{
	struct counts *counts = target->counts;
	size_t end = only_end && only_end < count ? only_end : count;
	size_t first = only_first < end ? only_first : end;
	char text[64];
	int status;

	for (counts->next = first; counts->next < end; counts->next++) {
		fflush(stdout);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			work(target, end, change);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		snprintf(text, sizeof(text), "the auditor crashed, status %#x", (unsigned)status);
		finding(target, counts->next, text);
		write_all(target->fd, target->bytes, target->size);
	}
	print_message(
		"%zu changes of %zu bytes: %zu untrusted, %zu unknown, %zu harmless, %zu an older log, "
		"%zu wrong\n",
		end - first, target->size, counts->untrusted, counts->unknown, counts->harmless,
		counts->older, counts->wrong);
	assert_int_equal(counts->wrong, 0);
	assert_true(only_end || counts->untrusted + counts->unknown > 0);
}

/* ---- making it ---- */

static bool is_long(void)
{
	return getenv("CHECK_LONG") != NULL;
}

static void make_history(
	const struct target *target, unsigned records, unsigned epochs, unsigned every)
{
	char self[512] = { 0 }, command[1024];

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	*strrchr(self, '/') = '\0';
	snprintf(command, sizeof(command), "%s/../bench/make-history %s %s %u %u %u", self,
		target->db, target->ak, records, epochs, every);
	assert_int_equal(system(command), 0);
}

static struct target *target_new(void)
{
	struct target *target = calloc(1, sizeof(*target));
	const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	assert_non_null(target);
	snprintf(target->dir, sizeof(target->dir), "%s/flips-XXXXXX", memory);
	assert_non_null(mkdtemp(target->dir));
	snprintf(target->db, sizeof(target->db), "%s/log.db", target->dir);
	snprintf(target->ak, sizeof(target->ak), "%s/ak", target->dir);
	target->counts = mmap(NULL, sizeof(*target->counts), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(target->counts != MAP_FAILED);
	return target;
}

static void target_free(struct target *target)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", target->dir);
	assert_int_equal(system(command), 0);
	munmap(target->counts, sizeof(*target->counts));
	close(target->fd);
	free(target->bytes);
	free(target->mine);
	free(target);
}

/* The log is made: take its answers, and open the file that is to be changed. */
static void target_open(struct target *target, const char *suffix)
{
	snprintf(target->file, sizeof(target->file), "%s%s", target->db, suffix);
	target->bytes = read_all(target->file, &target->size);
	target->mine = malloc(target->size);
	target->fd = open(target->file, O_RDWR | O_CLOEXEC);
	assert_true(target->mine && target->fd >= 0);
	assert_int_equal(audit(target), CLI_GOOD);
	answers_ask(target->db, true, &target->good);
}

/* Two programs of several pages, and a note of the daemon to itself. */
static void add_programs(const struct target *target)
{
	static uint8_t insns[2][9000];
	uint8_t digests[2][SHA256_LEN];
	struct db_program programs[2];
	const struct db_state state = { "note", "of nobody's interest", 20 };
	struct db_batch batch = {
		.programs = programs,
		.program_count = 2,
		.program_bytes_max = UINT64_MAX,
		.states = &state,
		.state_count = 1,
	};
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	for (size_t i = 0; i < 2; i++) {
		size_t len = i ? sizeof(insns[i]) : 160;
		memset(insns[i], 0xb7 + (int)i, len);
		assert_int_equal(sha256(insns[i], len, digests[i]), 0);
		programs[i] = (struct db_program){ digests[i], insns[i], len };
	}
	assert_int_equal(db_create(db, target->db), 0);
	assert_int_equal(db_append(db, &batch), 0);
}

/* ---- every bit of a small log ---- */

static void flip_bit(struct target *target, size_t number)
{
	size_t bit = number * (is_long() ? 1 : SMALL_BITS);

	target->mine[bit / 8] ^= (uint8_t)(1u << bit % 8);
	snprintf(target->counts->change, sizeof(target->counts->change), "bit %zu of byte %zu",
		bit % 8, bit / 8);
}

static void a_changed_bit_of_a_small_log_is_found_or_changes_no_answer(void **)
{
	struct target *target = target_new();

	make_history(target, SMALL_RECORDS, 2, SMALL_RECORDS / 2);
	add_programs(target);
	target_open(target, "");
	target->is_bitwise = true;
	change_all(target, target->size * 8 / (is_long() ? 1 : SMALL_BITS), flip_bit);
	target_free(target);
}

/* ---- random changes of a large one ---- */

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static const char *damage(struct target *target, uint64_t *seed, size_t at, size_t *ret_len)
{
	const size_t pages = target->size / PAGE;
	size_t from = random_next(seed) % pages, to = random_next(seed) % pages;
	uint8_t page[PAGE];

	switch (random_next(seed) % 8) {
	case 1:
		*ret_len = 1 + random_next(seed) % (2 * PAGE);
		if (*ret_len > target->size - at)
			*ret_len = target->size - at;
		memset(target->mine + at, 0, *ret_len);
		return "zeros";
	case 2:
		memcpy(target->mine + to * PAGE, target->bytes + from * PAGE, PAGE);
		return "a page over another";
	case 3:
		target->new_size = at;
		return "cut off";
	case 4:
		memcpy(page, target->mine + to * PAGE, PAGE);
		memcpy(target->mine + to * PAGE, target->mine + from * PAGE, PAGE);
		memcpy(target->mine + from * PAGE, page, PAGE);
		return "two pages swapped";
	default:
		for (size_t i = 0; i < *ret_len && at + i < target->size; i++)
			target->mine[at + i] = (uint8_t)random_next(seed);
		return "overwritten";
	}
}

static void change_at_random(struct target *target, size_t number)
{
	uint64_t seed = number << 20;

	do { /* until it is a change */
		size_t at = random_next(&seed) % target->size;
		size_t len = 1 + random_next(&seed) % 16;
		const char *what = damage(target, &seed, at, &len);
		snprintf(target->counts->change, sizeof(target->counts->change),
			"%s, byte %zu, length %zu", what, at, len);
	} while (target->new_size == target->size &&
		memcmp(target->mine, target->bytes, target->size) == 0);
}

static void a_random_change_of_a_large_log_is_found_or_changes_no_answer(void **)
{
	struct target *target = target_new();

	make_history(target, LARGE_RECORDS, 4, LARGE_EVERY);
	add_programs(target);
	target_open(target, "");
	assert_true(target->size >= LARGE_SIZE_MIN);
	change_all(target, is_long() ? LARGE_CHANGES_LONG : LARGE_CHANGES, change_at_random);
	target_free(target);
}

/* ---- every byte of a WAL ---- */

static void copy(const char *from, const char *to)
{
	size_t size = 0;
	uint8_t *bytes = read_all(from, &size);
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	write_all(fd, bytes, size);
	close(fd);
	free(bytes);
}

/* A log that is all in its WAL: whoever has it open keeps SQLite from copying it into the file. */
static void make_wal(struct target *target)
{
	struct db *db = db_new();
	char from[112], to[112];

	assert_int_equal(db_create(db, target->db), 0);
	db_free(db);
	db = db_new();
	assert_int_equal(db_open(db, target->db), 0);
	make_history(target, SMALL_RECORDS, 2, WAL_EVERY);
	snprintf(from, sizeof(from), "%s-wal", target->db);
	snprintf(to, sizeof(to), "%s/copy.db-wal", target->dir);
	copy(from, to);
	snprintf(to, sizeof(to), "%s/copy.db", target->dir);
	copy(target->db, to);
	db_free(db);
	strcpy(target->db, to);
}

static bool ends_at_a_quote(const char *path)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t last = 0, seq = 0;
	size_t len = 0;

	assert_int_equal(db_open(db, path), 0);
	assert_int_equal(db_last_seq(db, &last), 0);
	assert_int_equal(db_quote_last(db, UINT64_MAX, &line, &len, &seq), 0);
	return last == seq;
}

/*
 * The log as it was at each commit before the last. With its end, it loses what could tell: where it
 * ends at a kept quote it is what an honest log was at that time, and trusted; else it is not.
 */
static void find_older(struct target *target)
{
	size_t frame = 24 + PAGE;
	unsigned commits = 0;

	for (size_t at = 32; at + 2 * frame <= target->size; at += frame) {
		uint32_t
			pages_after; /* walformat.html, "WAL File Format": 0 unless a commit ends here */

		memcpy(&pages_after, target->bytes + at + 4, sizeof(pages_after));
		if (!be32toh(pages_after))
			continue;
		commits++;
		assert_int_equal(ftruncate(target->fd, (off_t)(at + frame)), 0);
		int code = audit(target);
		if (code == CLI_GOOD) {
			assert_true(ends_at_a_quote(target->db));
			assert_true(target->older_count < OLDER_MAX);
			answers_ask(target->db, true, &target->older[target->older_count++]);
		} else {
			assert_int_equal(code, CLI_UNKNOWN);
		}
		write_all(target->fd, target->bytes, target->size);
	}
	print_message(
		"%zu of %u earlier commits end at a kept quote\n", target->older_count, commits);
	assert_true(target->older_count > 1 && commits > target->older_count);
}

static void change_byte(struct target *target, size_t number)
{
	size_t at = number * (is_long() ? 1 : WAL_BYTES);
	uint64_t seed = at;

	target->mine[at] ^= (uint8_t)(1 + random_next(&seed) % 255);
	snprintf(target->counts->change, sizeof(target->counts->change), "byte %zu of the WAL", at);
}

static void a_changed_byte_of_a_wal_is_found_or_leaves_the_log_at_an_earlier_quote(void **)
{
	struct target *target = target_new();

	make_wal(target);
	target_open(target, "-wal");
	find_older(target);
	change_all(target, target->size / (is_long() ? 1 : WAL_BYTES), change_byte);
	target_free(target);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_bit_of_a_small_log_is_found_or_changes_no_answer),
		cmocka_unit_test(a_random_change_of_a_large_log_is_found_or_changes_no_answer),
		cmocka_unit_test(
			a_changed_byte_of_a_wal_is_found_or_leaves_the_log_at_an_earlier_quote),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	only_first = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	only_end = argc > 3 ? strtoul(argv[3], NULL, 10) : argc > 2 ? only_first + 1 : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
