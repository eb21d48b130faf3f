/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/probe_own.h"

/* The probe that is inside libbpf on this thread: libbpf's print callback has no argument
 * for us. */
static _Thread_local struct probe *printing;

static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && printing && !printing->error[0]) {
		vsnprintf(printing->error, sizeof(printing->error), format, args);
		printing->error[strcspn(printing->error, "\n")] = 0;
	}
	return 0;
}

int probe_fail(struct probe *probe, int error, const char *format, ...)
{
	char libbpf_says[sizeof(probe->error)];
	size_t len;
	va_list args;

	memcpy(libbpf_says, probe->error, sizeof(libbpf_says));
	va_start(args, format);
	vsnprintf(probe->error, sizeof(probe->error), format, args);
	va_end(args);
	len = strlen(probe->error);
	snprintf(probe->error + len, sizeof(probe->error) - len, ": %s%s%s", strerror(-error),
		libbpf_says[0] ? "; " : "", libbpf_says);
	return error;
}

struct probe *probe_new(void)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return NULL;
	probe->ring_fd = probe->ends_fd = probe->lock_fd = -1;
	probe->baseline_fd = probe->links_fd = -1;
	return probe;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	if (probe->state)
		munmap(probe->state, sizeof(*probe->state));
	if (probe->ring_fd >= 0)
		close(probe->ring_fd);
	if (probe->ends_fd >= 0)
		close(probe->ends_fd);
	if (probe->lock_fd >= 0)
		close(probe->lock_fd);
	if (probe->baseline_fd >= 0)
		close(probe->baseline_fd);
	if (probe->links_fd >= 0)
		close(probe->links_fd);
	free(probe);
}

void probe_freep(struct probe **probe)
{
	probe_free(*probe);
}

const char *probe_errmsg(const struct probe *probe)
{
	return probe->error;
}

/* ---- taking over ---- */

static int state_map(struct probe *probe, int fd)
{
	void *state = mmap(NULL, sizeof(*probe->state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (state == MAP_FAILED)
		return probe_fail(probe, -errno, "mapping the state");
	probe->state = state;
	return 0;
}

/* Where the link of an iterator is kept; NULL for the hooks that wait to be come by. */
static int *iterator_fd(struct probe *probe, enum event_hook hook)
{
	if (hook == HOOK_BASELINE)
		return &probe->baseline_fd;
	return hook == HOOK_LINKS ? &probe->links_fd : NULL;
}

/* Returns 1 when the hooks of this build were pinned and are ours now, 0 when there are none. */
static int take_over(struct probe *probe, const struct probe_options *options)
{
	struct bpf_map_info info = {};
	__u32 info_len = sizeof(info);
	int state_fd = probe_pinned_fd(probe, "state");
	int err;

	if (state_fd < 0)
		return errno == ENOENT ? 0 : probe_fail(probe, -errno, "opening the pinned state");
	err = state_map(probe, state_fd);
	close(state_fd);
	if (err)
		return err;
	probe->ring_fd = probe_pinned_fd(probe, "ring");
	if (probe->ring_fd < 0)
		return probe_fail(probe, -errno, "opening the pinned ring");
	probe->ends_fd = probe_pinned_fd(probe, "ends");
	if (probe->ends_fd < 0)
		return probe_fail(probe, -errno, "opening the pinned ends");
	if (bpf_obj_get_info_by_fd(probe->ring_fd, &info, &info_len))
		return probe_fail(probe, -errno, "asking for the pinned ring's size");
	probe->ring_size = info.max_entries;
	probe->state->map_content_max = options->map_content_max;
	probe->state->exe_hash_max = options->exe_hash_max;

	for (unsigned i = 0; probe_programs[i].name; i++) {
		int link_fd = probe_pinned_fd(probe, probe_programs[i].name);

		if (link_fd < 0)
			continue;
		probe->attached |= 1ULL << i;
		if (iterator_fd(probe, probe_programs[i].hook))
			*iterator_fd(probe, probe_programs[i].hook) = link_fd;
		else
			close(link_fd);
	}
	return 1;
}

/* ---- attaching ---- */

static void object_closep(struct bpf_object **object)
{
	bpf_object__close(*object);
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* The id that the kernel gives next, found by taking it; 0 where that fails. Not by libbpf, which tries
 * programs of its own before the first. */
static uint32_t next_id(void)
{
	static const struct bpf_insn plain[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.prog_name = "next_id",
		.license = (uintptr_t) "GPL",
		.insns = (uintptr_t)plain,
		.insn_cnt = sizeof(plain) / sizeof(plain[0]),
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	uint32_t id = program_id(fd);

	if (fd >= 0)
		close(fd);
	return id;
}

static uint32_t highest_id(struct bpf_object *object)
{
	struct bpf_program *program;
	uint32_t highest = 0;

	bpf_object__for_each_program(program, object)
	{
		uint32_t id = program_id(bpf_program__fd(program));

		if (id > highest)
			highest = id;
	}
	return highest;
}

static int object_load(
	struct probe *probe, const struct probe_options *options, struct bpf_object **ret_object)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "measure");
	[[gnu::cleanup(object_closep)]] struct bpf_object *object = bpf_object__open_mem(
		probe_object, (size_t)(probe_object_end - probe_object), &opts);
	struct bpf_map *ring;
	int err;

	if (!object)
		return probe_fail(probe, -errno, "opening the BPF object");
	for (unsigned i = 0; probe_programs[i].name; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(
			object, probe_programs[i].name);

		bpf_program__set_autoload(program, probe->kernel.chosen & 1ULL << i);
	}
	ring = bpf_object__find_map_by_name(object, "ring");
	err = bpf_map__set_max_entries(ring, (__u32)options->ring_size);
	if (err)
		return probe_fail(probe, err, "a ring of %zu bytes", options->ring_size);
	err = bpf_object__load(object);
	if (err)
		return probe_fail(probe, err, "loading the BPF programs");
	*ret_object = object;
	object = NULL;
	return 0;
}

static int map_pin(struct probe *probe, struct bpf_object *object, const char *map_name,
	const char *build, const char *name, int *ret_fd)
{
	char path[256];
	struct bpf_map *map = bpf_object__find_map_by_name(object, map_name);

	probe_pin_path(path, sizeof(path), build, name);
	if (bpf_obj_pin(bpf_map__fd(map), path))
		return probe_fail(probe, -errno, "pinning %s", path);
	*ret_fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? probe_fail(probe, -errno, "duplicating a descriptor") : 0;
}

static int program_attach(
	struct probe *probe, struct bpf_object *object, const char *build, unsigned i)
{
	const struct probe_program *program = &probe_programs[i];
	struct bpf_program *bpf = bpf_object__find_program_by_name(object, program->name);
	struct bpf_link *link = bpf_program__attach(bpf);
	int *iterator = iterator_fd(probe, program->hook);
	char path[256];
	int err = 0;

	if (!link)
		return probe_fail(probe, -errno, "attaching %s", program->hook_name);
	probe_pin_path(path, sizeof(path), build, program->name);
	if (bpf_obj_pin(bpf_link__fd(link), path))
		err = probe_fail(probe, -errno, "pinning %s", path);
	if (!err && iterator) {
		*iterator = fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 0);
		if (*iterator < 0)
			err = probe_fail(probe, -errno, "duplicating a descriptor");
	}
	if (!err)
		probe->attached |= 1ULL << i;
	bpf_link__destroy(link); /* the pin keeps it */
	return err;
}

static uint64_t boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Everything is pinned in a directory beside its place and then renamed, so that pins are whole. */
static int attach_new(struct probe *probe, const struct probe_options *options)
{
	[[gnu::cleanup(object_closep)]] struct bpf_object *object = NULL;
	char build[PIN_NAME_MAX + 4], path_new[256], path[256];
	uint32_t own_first = next_id();
	int state_fd, err;

	snprintf(build, sizeof(build), "new-%s", probe->build);
	probe_pin_path(path_new, sizeof(path_new), build, "");
	probe_pin_path(path, sizeof(path), probe->build, "");
	if (!access(path_new, F_OK)) {
		err = probe_build_unpin(probe, build);
		if (err)
			return err;
	}
	if (mkdir(path_new, 0700))
		return probe_fail(probe, -errno, "%s", path_new);

	err = object_load(probe, options, &object);
	if (!err)
		err = map_pin(probe, object, "ring", build, "ring", &probe->ring_fd);
	if (!err)
		err = map_pin(probe, object, "ends", build, "ends", &probe->ends_fd);
	if (!err)
		err = map_pin(probe, object, ".bss", build, "state", &state_fd);
	if (err)
		return err;
	probe->ring_size = options->ring_size;
	err = state_map(probe, state_fd);
	close(state_fd);
	if (err)
		return err;
	probe->state->map_content_max = options->map_content_max;
	probe->state->exe_hash_max = options->exe_hash_max;
	probe->state->agent_tgid = (uint32_t)getpid(); /* whose the links are */
	probe->state->kprobe_flag = probe->kernel.kprobe_flag;
	probe->state->uprobe_flag = probe->kernel.uprobe_flag;
	probe->state->tracepoint_flag = probe->kernel.tracepoint_flag;
	if (getrandom(&probe->state->instance, sizeof(probe->state->instance), 0) < 0)
		return probe_fail(probe, -errno, "getrandom");

	for (unsigned i = 0; !err && probe_programs[i].name; i++)
		if (probe->kernel.chosen & 1ULL << i)
			err = program_attach(probe, object, build, i);
	probe->state->own_first = own_first;
	probe->state->own_last = highest_id(object);
	probe->state->attached_ns = boottime_ns();
	/* While only one of the two hooks of bpf() was there, it missed the other. */
	probe->state->untracked_attachments = 0;
	if (!err && rename(path_new, path))
		err = probe_fail(probe, -errno, "%s", path);
	return err;
}

static int required_check(struct probe *probe)
{
	unsigned hooks = probe_wanted(probe);

	for (unsigned i = 0; probe_programs[i].name; i++)
		if (probe_programs[i].required && !(hooks & 1U << probe_programs[i].hook))
			return probe_fail(probe, -EOPNOTSUPP, "this kernel has no %s",
				probe_programs[i].needs[0]);
	return 0;
}

/* Two daemons would share one ring, and each record half of it. */
static int pins_lock(struct probe *probe)
{
	if (mkdir(PROBE_PIN_DIR, 0700) && errno != EEXIST)
		return probe_fail(
			probe, -errno, "%s (is the BPF file system mounted?)", PROBE_PIN_DIR);
	probe->lock_fd = open(PROBE_PIN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (probe->lock_fd < 0)
		return probe_fail(probe, -errno, "%s", PROBE_PIN_DIR);
	if (flock(probe->lock_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK
			? probe_fail(probe, -EBUSY, "another daemon has the hooks")
			: probe_fail(probe, -errno, "%s", PROBE_PIN_DIR);
	return 0;
}

static int attach(struct probe *probe, const struct probe_options *options)
{
	int err = probe_kernel_read(&probe->kernel);

	if (err)
		return probe_fail(probe, err, "reading /sys/kernel/btf/vmlinux");
	err = required_check(probe);
	if (!err)
		err = probe_build_name(probe);
	if (!err)
		err = pins_lock(probe);
	if (!err)
		err = probe_broken_unpin(probe);
	if (!err)
		err = take_over(probe, options);
	if (err < 0)
		return err;
	probe->was_pinned = err > 0;
	err = probe->was_pinned ? 0 : attach_new(probe, options);
	if (!err)
		err = probe_builds_unpin(probe, probe->build);
	return err ? err : probe_pins_note(probe);
}

int probe_attach(struct probe *probe, const struct probe_options *options)
{
	int err;

	probe->error[0] = 0;
	printing = probe;
	libbpf_set_print(libbpf_print);
	err = attach(probe, options);
	printing = NULL;
	return err;
}

bool probe_was_pinned(const struct probe *probe)
{
	return probe->was_pinned;
}

bool probe_replaced(const struct probe *probe, struct event_state *ret_state)
{
	if (probe->replaced)
		*ret_state = probe->replaced_state;
	return probe->replaced;
}

bool probe_own_ids(const struct probe *probe, uint32_t *ret_first, uint32_t *ret_last)
{
	*ret_first = probe->state->own_first;
	*ret_last = probe->state->own_last;
	return *ret_first && *ret_first <= *ret_last;
}

int probe_detach(struct probe *probe)
{
	probe->error[0] = 0;
	return probe_builds_unpin(probe, NULL);
}

/* ---- what there is ---- */

static unsigned hooks_of(uint64_t programs)
{
	unsigned hooks = 0;

	for (unsigned i = 0; probe_programs[i].name; i++)
		if (programs & 1ULL << i)
			hooks |= 1U << probe_programs[i].hook;
	return hooks;
}

unsigned probe_attached(const struct probe *probe)
{
	return hooks_of(probe->attached);
}

unsigned probe_wanted(const struct probe *probe)
{
	return hooks_of(probe->kernel.chosen);
}

unsigned probe_expected(const struct probe *probe)
{
	unsigned hooks = probe_wanted(probe);

	for (unsigned i = 0; probe_programs[i].name; i++)
		if (!probe_programs[i].optional)
			hooks |= 1U << probe_programs[i].hook;
	return hooks;
}

const char *probe_hook_name(const struct probe *probe, enum event_hook hook)
{
	const char *name = NULL;

	for (unsigned i = 0; probe_programs[i].name; i++)
		if (probe_programs[i].hook == hook && (!name || probe->kernel.chosen & 1ULL << i))
			name = probe_programs[i].hook_name;
	return name;
}

int probe_ring_fd(const struct probe *probe)
{
	return probe->ring_fd;
}

size_t probe_ring_size(const struct probe *probe)
{
	return probe->ring_size;
}

struct event_state *probe_state(const struct probe *probe)
{
	return probe->state;
}

int probe_end_next(struct probe *probe, uint64_t after_load, struct event_end *ret_end)
{
	__u64 load;

	probe->error[0] = 0;
	if (bpf_map_get_next_key(probe->ends_fd, after_load ? &after_load : NULL, &load))
		return errno == ENOENT ? 0 : probe_fail(probe, -errno, "reading the ends of loads");
	if (bpf_map_lookup_elem(probe->ends_fd, &load, ret_end))
		return probe_fail(probe, -errno, "reading the ends of loads");
	/* The map's word for it: root can write to the map, and what stands in it may lead back. */
	ret_end->event.load = load;
	return 1;
}

int probe_end_drop(struct probe *probe, uint64_t load)
{
	probe->error[0] = 0;
	if (bpf_map_delete_elem(probe->ends_fd, &load) && errno != ENOENT)
		return probe_fail(probe, -errno, "dropping the end of a load");
	return 0;
}

int probe_next_id(struct probe *probe, uint32_t after_id, uint32_t *ret_id)
{
	probe->error[0] = 0;
	if (!bpf_prog_get_next_id(after_id, ret_id))
		return 0;
	return errno == ENOENT ? -ENOENT : probe_fail(probe, -errno, "asking for program ids");
}

int probe_program_get(struct probe *probe, uint32_t id, uint64_t *ret_load_time_ns,
	uint8_t ret_name[static EVENT_NAME_LEN])
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd, err = 0;

	probe->error[0] = 0;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : probe_fail(probe, -errno, "opening a program");
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		err = probe_fail(probe, -errno, "asking for a program");
	close(fd);
	if (err)
		return err;
	*ret_load_time_ns = info.load_time;
	memcpy(ret_name, info.name, EVENT_NAME_LEN);
	return 0;
}

const char *probe_enum_name(const struct probe *probe, enum probe_enum which, uint32_t value,
	char buf[static PROBE_NAME_MAX])
{
	if (value < PROBE_ENUM_MAX && probe->kernel.names[which][value][0])
		return probe->kernel.names[which][value];
	snprintf(buf, PROBE_NAME_MAX, "%u", value);
	return buf;
}
