/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LD_PRELOAD: a slow TPM, where it is a device. Each write(2) to it waits first.
 *
 *	SLOWTPM_US    how long, in microseconds; unset: not at all
 *	SLOWTPM_PATH  the device; /dev/tpmrm0 otherwise
 *	SLOWTPM_FILE  a file; its number goes before SLOWTPM_US, so that the delay can be changed while
 *	              the program runs
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool is_tpm(int fd)
{
	const char *path = getenv("SLOWTPM_PATH");
	char name[64], target[256];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(name, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	return !strcmp(target, path ? path : "/dev/tpmrm0");
}

static long long delay_us(void)
{
	const char *us = getenv("SLOWTPM_US"), *path = getenv("SLOWTPM_FILE");
	FILE *file = path ? fopen(path, "re") : NULL;
	long long from_file;
	int found = file ? fscanf(file, "%lld", &from_file) : 0;

	if (file)
		fclose(file);
	return found == 1 ? from_file : us ? atoll(us) : 0;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	__typeof__(&write) next = (__typeof__(&write))dlsym(RTLD_NEXT, "write");

	if (is_tpm(fd)) {
		long long us = delay_us();
		struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

		while (nanosleep(&left, &left) < 0)
			continue;
	}
	return next(fd, buf, len);
}
