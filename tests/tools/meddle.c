/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LD_PRELOAD: a disk that fails and a clock that is stepped, while the process runs.
 *
 *	MEDDLE   a file. While it holds "errno N", what changes files fails with that errno; while it
 *	         holds "clock S", the wall clock is S seconds off; while it is not there, all is well
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NEXT(NAME) __typeof__(&NAME) next = (__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME)

/* The number behind this word in the file, or 0. */
static long meddling(const char *word)
{
	const char *path = getenv("MEDDLE");
	FILE *file = path ? fopen(path, "re") : NULL;
	char text[16];
	long number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%15s %ld", text, &number) != 2 || strcmp(text, word) != 0)
		number = 0;
	fclose(file);
	return number;
}

/* Whether a call on a regular file is to fail; errno says how. */
static int fails(int fd)
{
	int saved = errno;
	struct stat st;
	int error = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (int)meddling("errno") : 0;

	errno = error ? error : saved;
	return error;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	NEXT(pwrite64);

	return fails(fd) ? -1 : next(fd, buf, len, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	NEXT(pwrite);

	return fails(fd) ? -1 : next(fd, buf, len, offset);
}

int fdatasync(int fd)
{
	NEXT(fdatasync);

	return fails(fd) ? -1 : next(fd);
}

int fsync(int fd)
{
	NEXT(fsync);

	return fails(fd) ? -1 : next(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	NEXT(clock_gettime);
	int err = next(clock, ret_time);

	if (!err && clock == CLOCK_REALTIME)
		ret_time->tv_sec += meddling("clock");
	return err;
}
