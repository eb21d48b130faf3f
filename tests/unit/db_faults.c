// SPDX-License-Identifier: BSD-2-Clause
/*
 * Everything that db/ asks of the disk and of memory fails once, at the first call, at the second,
 * and so on to the last; and then from each on for a while. Nothing that was acknowledged may be
 * lost, no batch be there by half, no failing disk be taken for a damaged log, and the handle must
 * go on.
 */
#include "tests/unit/db_fixture.h"

#include <sqlite3.h>

/* Let `after` calls pass and fail the next `count`. */
static struct {
	bool armed;
	bool in_memory; /* else on the disk */
	unsigned after;
	unsigned count;
	unsigned hits;
} fault;

static bool fails(bool is_memory)
{
	if (!fault.armed || is_memory != fault.in_memory)
		return false;
	if (fault.after > 0) {
		fault.after--;
		return false;
	}
	if (fault.hits >= fault.count)
		return false;
	fault.hits++;
	return true;
}

/* A file of the real VFS with a coin to toss before each call. */
struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct file *)file)->real;
}

#define FORWARD(name, error, args, ...)                                                            \
	static int file_##name args                                                                \
	{                                                                                          \
		sqlite3_file *real = real_of(file);                                                \
		return fails(false) ? (error) : real->pMethods->name(__VA_ARGS__);                 \
	}

FORWARD(xRead, SQLITE_IOERR_READ, (sqlite3_file * file, void *data, int len, sqlite3_int64 at),
	real, data, len, at)
FORWARD(xTruncate, SQLITE_IOERR_TRUNCATE, (sqlite3_file * file, sqlite3_int64 size), real, size)
FORWARD(xFileSize, SQLITE_IOERR_FSTAT, (sqlite3_file * file, sqlite3_int64 *size), real, size)
FORWARD(xLock, SQLITE_IOERR_LOCK, (sqlite3_file * file, int lock), real, lock)
FORWARD(xShmMap, SQLITE_IOERR_SHMMAP,
	(sqlite3_file * file, int page, int size, int extend, void volatile **ret), real, page,
	size, extend, ret)

/* Writes since the last sync, and syncs. */
static unsigned unsynced, syncs;

static int file_xWrite(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	unsynced++;
	if (fails(false))
		return at % 8192 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int file_xSync(sqlite3_file *file, int flags)
{
	if (fails(false))
		return SQLITE_IOERR_FSYNC;
	unsynced = 0;
	syncs++;
	return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_xShmLock(sqlite3_file *file, int offset, int n, int flags)
{
	sqlite3_file *real = real_of(file);

	if ((flags & SQLITE_SHM_LOCK) && fails(false)) /* letting go always works */
		return SQLITE_IOERR_SHMLOCK;
	return real->pMethods->xShmLock(real, offset, n, flags);
}

static int file_xClose(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);
	int rc = real->pMethods->xClose(real);

	sqlite3_free(real);
	return rc;
}

static int file_xUnlock(sqlite3_file *file, int lock)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int file_xCheckReservedLock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_xFileControl(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_xSectorSize(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_xDeviceCharacteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static void file_xShmBarrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_xShmUnmap(sqlite3_file *file, int delete)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 2,
	.xClose = file_xClose,
	.xRead = file_xRead,
	.xWrite = file_xWrite,
	.xTruncate = file_xTruncate,
	.xSync = file_xSync,
	.xFileSize = file_xFileSize,
	.xLock = file_xLock,
	.xUnlock = file_xUnlock,
	.xCheckReservedLock = file_xCheckReservedLock,
	.xFileControl = file_xFileControl,
	.xSectorSize = file_xSectorSize,
	.xDeviceCharacteristics = file_xDeviceCharacteristics,
	.xShmMap = file_xShmMap,
	.xShmLock = file_xShmLock,
	.xShmBarrier = file_xShmBarrier,
	.xShmUnmap = file_xShmUnmap,
};

static int vfs_open(sqlite3_vfs *, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	file->pMethods = NULL;
	if (fails(false))
		return SQLITE_CANTOPEN;
	sqlite3_file *real = sqlite3_malloc(real_vfs->szOsFile);
	if (!real)
		return SQLITE_NOMEM;
	real->pMethods = NULL;
	int rc = real_vfs->xOpen(real_vfs, name, real, flags, ret_flags);
	if (rc != SQLITE_OK) {
		sqlite3_free(real);
		return rc;
	}
	((struct file *)file)->real = real;
	file->pMethods = &file_methods;
	return SQLITE_OK;
}

static sqlite3_mem_methods real_memory;

static void *memory_alloc(int size)
{
	return fails(true) ? NULL : real_memory.xMalloc(size);
}

static void *memory_realloc(void *memory, int size)
{
	return fails(true) ? NULL : real_memory.xRealloc(memory, size);
}

static int install(void **)
{
	static sqlite3_vfs vfs;
	sqlite3_mem_methods memory;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
		return -1;
	memory = real_memory;
	memory.xMalloc = memory_alloc;
	memory.xRealloc = memory_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK ||
		sqlite3_initialize() != SQLITE_OK)
		return -1;
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "faults";
	vfs.szOsFile = sizeof(struct file);
	vfs.xOpen = vfs_open;
	return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK ? 0 : -1;
}

enum { BATCHES = 4, BATCH = 6, TRIMMED = 7, TRIM_ROWS = 3 };

/* A failure may be called anything but a damaged log, somebody else's, or a mistake of
 * the caller's. */
static void assert_failure(struct db *db, int r, unsigned at)
{
	if (fault.hits == 0 ||
		(r != -EIO && r != -ENOSPC && r != -ENOMEM && r != -EROFS && r != -EBUSY &&
			r != -EACCES && r != -ENOENT))
		fail_msg("call %u: %d, %s", at, r, db_errmsg(db));
	if (db_errmsg(db)[0] == '\0')
		fail_msg("call %u: %d without a text", at, r);
}

static int no_finding(void *, const char *finding)
{
	fail_msg("%s", finding);
	return -1;
}

static void assert_whole(struct db *db, uint64_t acknowledged, unsigned at)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t last = 0, count = 0, seq = 0;
	size_t len = 0;

	assert_ok(db, db_last_seq(db, &last));
	if (last < acknowledged || last > BATCHES * BATCH || last % BATCH != 0)
		fail_msg("call %u: %d records, %d were acknowledged", at, (int)last,
			(int)acknowledged);
	assert_ok(db, db_each(db, TRIMMED + 1, UINT64_MAX, fixture_count, &count));
	assert_int_equal(count, last - TRIMMED);
	assert_ok(db, db_quote_last(db, last, &line, &len, &seq));
	assert_int_equal(seq, TRIMMED);
	assert_ok(db, db_audit(db, NULL, no_finding, NULL));
}

/* Append under fault; what fails is tried again when the fault is over. */
static uint64_t append_all(struct db *db, unsigned at)
{
	uint64_t last = 0;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t now = 0;
		int r = fixture_append(db, last + 1, BATCH);
		if (r < 0) {
			assert_failure(db, r, at);
			fault.armed = false;
			assert_ok(db, db_last_seq(db, &now));
			assert_int_equal(now, last);
			assert_ok(db, fixture_append(db, last + 1, BATCH));
		}
		last += BATCH;
	}
	return last;
}

/* Keep a quote and trim up to it under fault; what fails is tried again when the fault is over. */
static void trim_all(struct db *db, unsigned at)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t first = 1, seq = 0;
	size_t len = 0;

	int r = db_quote_put(db, TRIMMED, "quote", 5);
	if (r < 0) {
		assert_failure(db, r, at);
		fault.armed = false;
		assert_int_equal(db_quote_last(db, TRIMMED, &line, &len, &seq), -ENOENT);
		assert_ok(db, db_quote_put(db, TRIMMED, "quote", 5));
	}
	while ((r = db_trim(db, TRIMMED, TRIM_ROWS)) != 0) {
		if (r < 0) {
			assert_failure(db, r, at);
			fault.armed = false;
			assert_ok(db, db_first_seq(db, &seq));
			assert_int_equal(seq, first);
		} else if (first <= TRIMMED) {
			first += (uint64_t)r;
		}
	}
}

static int take_row(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = row->values[0].integer;
	return 0;
}

static int count_quote(void *arg, uint64_t, const void *, size_t)
{
	++*(uint64_t *)arg;
	return 0;
}

static int scan_count(void *arg, uint64_t seq, uint64_t, const void *line, size_t len)
{
	return fixture_count(arg, seq, line, len);
}

/* What an auditor asks. */
static void audit_all(struct db *db, uint64_t last, unsigned at)
{
	struct db_scanned scanned = { 0 };
	uint64_t count = 0, used = 0;

	int r = db_scan(db, TRIMMED + 1, UINT64_MAX, &scanned, scan_count, &count);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_int_equal(count, last - TRIMMED);
	count = 0;
	r = db_quotes_each(db, 0, UINT64_MAX, count_quote, &count);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_int_equal(count, 1);
	r = db_audit(db, &scanned, no_finding, NULL);
	if (r < 0)
		assert_failure(db, r, at);
	r = db_used_bytes(db, &used);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_true(used > 0);
}

/* Read under fault: a result that is no error is right. */
static void read_all(struct db *db, uint64_t last, unsigned at)
{
	uint64_t count = 0, seq = 0;
	int64_t max = 0;

	int r = db_each(db, TRIMMED + 1, UINT64_MAX, fixture_count, &count);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_int_equal(count, last - TRIMMED);
	r = db_ref_last(db, 3, 1, &seq);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_int_equal(seq, last - (last + 7) % 10);
	r = db_query(db, "SELECT max(s) FROM v",
		"CREATE TEMP VIEW v AS SELECT seq AS s FROM record", take_row, &max, NULL);
	if (r < 0)
		assert_failure(db, r, at);
	else
		assert_int_equal(max, last);
	audit_all(db, last, at);
}

static void arm(unsigned after, unsigned count)
{
	fault.armed = true;
	fault.after = after;
	fault.count = count;
	fault.hits = 0;
}

/* One run with the fault at one call; returns false when the run ends before the fault comes. */
static bool run(const struct fixture *f, unsigned at, unsigned count)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	[[gnu::cleanup(db_freep)]] struct db *reader = db_new();

	arm(at, count);
	int r = db_create(db, f->path);
	if (r < 0) {
		assert_failure(db, r, at);
		fault.armed = false;
		assert_ok(db, db_create(db, f->path));
	}
	uint64_t last = append_all(db, at);
	trim_all(db, at);
	read_all(db, last, at);
	r = db_open(reader, f->path);
	if (r < 0) {
		assert_failure(reader, r, at);
		fault.armed = false;
		assert_ok(reader, db_open(reader, f->path));
	}
	read_all(reader, last, at);
	db_free(db); /* under fault still */
	db = db_new();
	fault.armed = false;
	assert_ok(db, db_create(db, f->path));
	assert_whole(db, last, at);
	assert_whole(reader, last, at);
	return fault.hits > 0;
}

/* At every call, or every stride-th unless CHECK_LONG is set. */
static void fail_at_calls(bool in_memory, unsigned count, unsigned stride)
{
	unsigned at = 0;
	bool hit = true;

	fault.in_memory = in_memory;
	if (getenv("CHECK_LONG"))
		stride = 1;
	for (; hit; at += stride) {
		void *state = NULL;
		fixture_new(&state);
		hit = run(state, at, count);
		fixture_free(&state);
	}
	assert_in_range(at, 100, 100000);
}

static void the_log_survives_any_one_failure_of_the_disk(void **)
{
	fail_at_calls(false, 1, 1);
}

static void the_log_survives_a_disk_that_fails_for_a_while(void **)
{
	fail_at_calls(false, 20, 3);
}

static void the_log_survives_any_one_lack_of_memory(void **)
{
	fail_at_calls(true, 1, 7);
}

static void the_log_survives_a_lack_of_memory_for_a_while(void **)
{
	fail_at_calls(true, 20, 11);
}

/* The disk has a batch when db_append() returns: a sync of PATH-wal, after the last write to it. */
static void append_returns_after_the_sync(void **)
{
	void *state = NULL;

	fault.armed = false;
	fixture_new(&state);
	struct fixture *f = state;
	assert_ok(f->db, db_create(f->db, f->path));
	for (uint64_t seq = 1; seq < 20; seq++) {
		unsynced = 0;
		syncs = 0;
		assert_ok(f->db, fixture_append(f->db, seq, 1));
		assert_in_range(syncs, 1, 2);
		assert_int_equal(unsynced, 0);
	}
	fixture_free(&state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_returns_after_the_sync),
		cmocka_unit_test(the_log_survives_any_one_failure_of_the_disk),
		cmocka_unit_test(the_log_survives_a_disk_that_fails_for_a_while),
		cmocka_unit_test(the_log_survives_any_one_lack_of_memory),
		cmocka_unit_test(the_log_survives_a_lack_of_memory_for_a_while),
	};

	return cmocka_run_group_tests(tests, install, NULL);
}
