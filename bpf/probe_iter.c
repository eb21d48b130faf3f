/* SPDX-License-Identifier: BSD-2-Clause */
/* What was loaded before, and attached: the kernel's iterators. */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "bpf/probe_own.h"

static int iterator_read(int fd, void *ret_bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, (char *)ret_bytes + at, len - at);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n == 0)
			return at ? -EIO : 0;
		if (n > 0)
			at += (size_t)n;
	}
	return 1;
}

int probe_baseline(struct probe *probe, probe_baseline_fn *fn, void *arg)
{
	struct event_map maps[EVENT_MAPS_MAX];
	struct event_prog prog;
	int fd, err;

	probe->error[0] = 0;
	fd = bpf_iter_create(probe->baseline_fd);
	if (fd < 0)
		return probe_fail(probe, -errno, "starting the program iterator");
	while ((err = iterator_read(fd, &prog, sizeof(prog))) > 0) {
		size_t count = prog.map_count < EVENT_MAPS_MAX ? prog.map_count : EVENT_MAPS_MAX;

		err = count ? iterator_read(fd, maps, count * sizeof(*maps)) : 1;
		if (err == 0)
			err = -EIO;
		if (err < 0)
			break;
		err = fn(arg, &prog, maps, count);
		if (err < 0)
			break;
	}
	close(fd);
	return err < 0 ? probe_fail(probe, err, "reading the program iterator") : 0;
}

int probe_links(struct probe *probe, probe_links_fn *fn, void *arg)
{
	uint8_t path[EVENT_PATH_MAX];
	struct event_attach event;
	int fd, err;

	probe->error[0] = 0;
	if (probe->links_fd < 0)
		return 0;
	fd = bpf_iter_create(probe->links_fd);
	if (fd < 0)
		return probe_fail(probe, -errno, "starting the link iterator");
	while ((err = iterator_read(fd, &event, sizeof(event))) > 0) {
		size_t len = event.event.size - sizeof(event);

		err = len > sizeof(path) ? -EUCLEAN : len ? iterator_read(fd, path, len) : 1;
		if (err == 0)
			err = -EIO;
		if (err < 0)
			break;
		err = fn(arg, &event, path, len);
		if (err < 0)
			break;
	}
	close(fd);
	return err < 0 ? probe_fail(probe, err, "reading the link iterator") : 0;
}
