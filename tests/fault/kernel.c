/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's files, and the hooks that are attached to it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fault/kernel_own.h"

static void path_of(const char *dir, const char *name, char ret_path[static PATH_SIZE + 16])
{
	snprintf(ret_path, PATH_SIZE + 16, "%s/%s", dir, name);
}

static int file_open(const char *dir, const char *name, int flags)
{
	char path[PATH_SIZE + 16];
	int fd;

	path_of(dir, name, path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Map a file that is there (make false) or made as zeros of this size. */
static int file_map(const char *dir, const char *name, bool make, size_t size, void **ret_bytes)
{
	int fd = file_open(dir, name, make ? O_RDWR | O_CREAT : O_RDWR), err = 0;
	struct stat st;
	void *bytes;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || (make && (size_t)st.st_size != size && ftruncate(fd, (off_t)size)))
		err = -errno;
	bytes = err ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!err && bytes == MAP_FAILED)
		err = -errno;
	close(fd);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

/* ---- opening ---- */

static size_t ring_file_size(size_t ring_size)
{
	return 2 * PAGE + 2 * ring_size;
}

static int attached_map(struct kernel *kernel)
{
	char path[PATH_SIZE + 16];
	struct stat st;
	void *state, *ring;
	int err = file_map(kernel->dir, "state", false, sizeof(*kernel->state), &state);

	if (err)
		return err;
	kernel->state = state;
	path_of(kernel->dir, "ring", path);
	if (stat(path, &st))
		return -errno;
	kernel->ring_size = ((size_t)st.st_size - 2 * PAGE) / 2;
	err = file_map(kernel->dir, "ring", false, (size_t)st.st_size, &ring);
	if (!err)
		kernel->ring = ring;
	return err;
}

int kernel_open(const char *dir, struct kernel **ret_kernel)
{
	[[gnu::cleanup(kernel_closep)]] struct kernel *kernel = calloc(1, sizeof(*kernel));
	void *world;
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->bell_fd = -1;
	snprintf(kernel->dir, sizeof(kernel->dir), "%s", dir);
	kernel->lock_fd = file_open(dir, "lock", O_RDWR | O_CREAT);
	if (kernel->lock_fd < 0)
		return kernel->lock_fd;
	err = file_map(dir, "world", true, sizeof(*kernel->world), &world);
	if (err)
		return err;
	kernel->world = world;
	err = attached_map(kernel);
	if (err && err != -ENOENT)
		return err;
	*ret_kernel = kernel;
	kernel = NULL;
	return 0;
}

static void attached_unmap(struct kernel *kernel)
{
	if (kernel->state)
		munmap(kernel->state, sizeof(*kernel->state));
	if (kernel->ring)
		munmap(kernel->ring, ring_file_size(kernel->ring_size));
	kernel->state = NULL;
	kernel->ring = NULL;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	attached_unmap(kernel);
	if (kernel->world)
		munmap(kernel->world, sizeof(*kernel->world));
	if (kernel->lock_fd >= 0)
		close(kernel->lock_fd);
	tape_done(&kernel->tape);
	free(kernel);
}

void kernel_closep(struct kernel **kernel)
{
	kernel_close(*kernel);
}

int kernel_bell_open(const char *dir)
{
	char path[PATH_SIZE + 16];

	path_of(dir, "bell", path);
	if (mkfifo(path, 0600) && errno != EEXIST)
		return -errno;
	return file_open(dir, "bell", O_RDWR | O_NONBLOCK);
}

void kernel_bell_ring_with(struct kernel *kernel, int bell_fd)
{
	kernel->bell_fd = bell_fd;
}

/* ---- hooks ---- */

/* The state comes last, and by another name: what has its own name is whole. */
static int attach(struct kernel *kernel, size_t ring_size)
{
	char path_new[PATH_SIZE + 16], path[PATH_SIZE + 16];
	struct event_state *state;
	void *bytes;
	int err;

	path_of(kernel->dir, "ring", path);
	if (unlink(path) && errno != ENOENT)
		return -errno;
	err = file_map(kernel->dir, "ring", true, ring_file_size(ring_size), &bytes);
	if (err)
		return err;
	munmap(bytes, ring_file_size(ring_size));
	err = file_map(kernel->dir, "state.new", true, sizeof(*state), &bytes);
	if (err)
		return err;
	state = bytes;
	memset(state, 0, sizeof(*state));
	if (getrandom(&state->instance, sizeof(state->instance), 0) < 0)
		err = -errno;
	munmap(state, sizeof(*state));
	kernel->world->end_count = 0;
	path_of(kernel->dir, "state.new", path_new);
	path_of(kernel->dir, "state", path);
	if (!err && rename(path_new, path))
		err = -errno;
	return err ? err : attached_map(kernel);
}

int kernel_attach(struct kernel *kernel, size_t ring_size)
{
	int err;

	if (kernel->state)
		return 1;
	kernel_lock(kernel);
	err = attach(kernel, ring_size);
	kernel_unlock(kernel);
	return err;
}

int kernel_detach(struct kernel *kernel)
{
	char path[PATH_SIZE + 16];
	int err = 0;

	path_of(kernel->dir, "state", path);
	if (unlink(path) && errno != ENOENT)
		err = -errno;
	attached_unmap(kernel);
	return err;
}

struct event_state *kernel_state(const struct kernel *kernel)
{
	return kernel->state;
}

size_t kernel_ring_size(const struct kernel *kernel)
{
	return kernel->ring_size;
}

int kernel_ring_open(const char *dir)
{
	return file_open(dir, "ring", O_RDWR);
}

int kernel_reboot(struct kernel *kernel)
{
	int err = kernel_detach(kernel);

	kernel_lock(kernel);
	kernel->world->program_count = kernel->world->end_count = 0;
	kernel->world->last_id = 0;
	kernel->world->boot++;
	kernel_unlock(kernel);
	return err;
}
