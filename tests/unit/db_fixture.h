/* SPDX-License-Identifier: BSD-2-Clause */
/* A log in a directory of its own, for the tests of db/. */
#ifndef TESTS_UNIT_DB_FIXTURE_H
#define TESTS_UNIT_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"

struct fixture {
	char dir[32];
	char path[64];
	struct db *db; /* a writer, where the test wants one */
};

static const char *const fixture_suffixes[] = { "", "-wal", "-shm", "-lock", "-journal" };

static inline int fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	/* In memory: thousands of transactions wait for a disk else. */
	strcpy(f->dir, "/dev/shm/db-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/log.db", f->dir);
	f->db = db_new();
	assert_non_null(f->db);
	*state = f;
	return 0;
}

static inline int fixture_free(void **state)
{
	struct fixture *f = *state;

	db_free(f->db);
	for (size_t i = 0; i < sizeof(fixture_suffixes) / sizeof(fixture_suffixes[0]); i++) {
		char name[80];
		snprintf(name, sizeof(name), "%s%s", f->path, fixture_suffixes[i]);
		unlink(name);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

/* Every int of db/ that must be 0, with its text where it is not. */
#define assert_ok(db, call)                                                                        \
	do {                                                                                       \
		int result_ = (call);                                                              \
		if (result_ != 0)                                                                  \
			fail_msg("%s: %d, %s", #call, result_, db_errmsg(db));                     \
	} while (0)

/* The line that fixture_append() stores as record seq. */
static inline size_t fixture_line(uint64_t seq, char line[static 64])
{
	return (size_t)snprintf(
		line, 64, "{\"seq\":%llu,\"what\":\"a line\"}", (unsigned long long)seq);
}

/* Append count records in one batch; their ref is seq modulo 10. */
static inline int fixture_append(struct db *db, uint64_t first, size_t count)
{
	char text[64][64];
	struct db_line lines[64];

	assert_true(count <= 64);
	for (size_t i = 0; i < count; i++) {
		size_t len = fixture_line(first + i, text[i]);
		lines[i] = (struct db_line){
			.seq = first + i, .ref = (first + i) % 10, .line = text[i], .len = len
		};
	}
	return db_append(db, &(struct db_batch){ .lines = lines, .line_count = count });
}

/* For db_each(): count and compare with what fixture_append() stores. */
static inline int fixture_count(void *arg, uint64_t seq, const void *line, size_t len)
{
	char expected[64];
	uint64_t *count = arg;

	if (len != fixture_line(seq, expected) || memcmp(line, expected, len) != 0)
		return -EBADMSG;
	++*count;
	return 0;
}

/* Run fn in a child; returns its exit status, or 128 + the signal that ended it. */
static inline int fixture_child(int (*fn)(const struct fixture *f), const struct fixture *f)
{
	int status = 0;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
