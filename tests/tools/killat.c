/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LD_PRELOAD: die of SIGKILL at the n-th call that changes the world outside the process.
 *
 *	KILLAT        n; 0 or unset: never, only count
 *	KILLAT_WHEN   before, after, or half: of a write, its first half is made
 *	KILLAT_ONLY   count only calls of this name; every call is counted otherwise
 *	KILLAT_COUNT  a file that holds the number of calls counted so far, as 8 bytes
 *
 * Counted are writes to files, sockets and the TPM, what makes them durable, cuts, renames or
 * removes them, and bpf(2). Stores to shared memory (the ring's position, SQLite's -shm) are not
 * seen: they lie between two counted calls.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum when { WHEN_BEFORE, WHEN_AFTER, WHEN_HALF };

static enum when when;
static const char *only;
static uint64_t target, unshared_count;
static uint64_t *count = &unshared_count;

[[gnu::constructor]] static void init(void)
{
	const char *n = getenv("KILLAT"), *word = getenv("KILLAT_WHEN"),
		   *path = getenv("KILLAT_COUNT");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	void *page;

	only = getenv("KILLAT_ONLY");
	target = n ? strtoull(n, NULL, 10) : 0;
	when = word && !strcmp(word, "after")   ? WHEN_AFTER
		: word && !strcmp(word, "half") ? WHEN_HALF
						: WHEN_BEFORE;
	if (fd < 0)
		return;
	/* By the system call: ftruncate() below is counted. */
	if (syscall(SYS_ftruncate, fd, sizeof(*count)))
		abort();
	page = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		abort();
	count = page;
	close(fd);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* To be called before the call is made; true if this is the one. */
static bool begin(const char *name)
{
	bool is_it = (!only || !strcmp(only, name)) &&
		__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST) == target;

	if (is_it && when == WHEN_BEFORE)
		die();
	return is_it;
}

static long end(bool is_it, long result)
{
	if (is_it)
		die();
	return result;
}

#define NEXT(NAME) __typeof__(&NAME) next = (__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME)

/* Of a write, what is made of it: half where it is to be torn. */
static size_t part(bool is_it, size_t len)
{
	return is_it && when == WHEN_HALF ? len / 2 : len;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	NEXT(write);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, buf, part(is_it, len)));
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	NEXT(pwrite);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, buf, part(is_it, len), offset));
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	NEXT(pwrite64);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, buf, part(is_it, len), offset));
}

ssize_t writev(int fd, const struct iovec *vec, int vec_len)
{
	NEXT(writev);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, vec, vec_len));
}

ssize_t sendto(
	int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	NEXT(sendto);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, buf, len, flags, to, to_len));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	NEXT(sendmsg);
	bool is_it = begin(__func__);

	return end(is_it, next(fd, message, flags));
}

int fsync(int fd)
{
	NEXT(fsync);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(fd));
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(fd));
}

int ftruncate(int fd, off_t len)
{
	NEXT(ftruncate);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(fd, len));
}

int ftruncate64(int fd, off64_t len)
{
	NEXT(ftruncate64);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(fd, len));
}

int msync(void *address, size_t len, int flags)
{
	NEXT(msync);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(address, len, flags));
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(from, to));
}

int unlink(const char *path)
{
	NEXT(unlink);
	bool is_it = begin(__func__);

	return (int)end(is_it, next(path));
}

long syscall(long number, ...)
{
	NEXT(syscall);
	va_list args;
	long arg[6];
	bool is_it;

	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	is_it = number == SYS_bpf && begin(__func__);
	return end(is_it, next(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]));
}
