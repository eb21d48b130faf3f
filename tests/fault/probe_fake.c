/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf/probe.h on a kernel made of files (tests/fault/kernel.h): linked in place of bpf/probe.c, it
 * makes a daemon that runs where no hook attaches. The kernel's directory is $BPFMEASURE_FAKE_KERNEL.
 */
#include "bpf/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/probe_kernel.h"
#include "bpf/ring.h"
#include "tests/fault/kernel.h"

struct probe {
	struct kernel *kernel;
	int lock_fd;
	int bell_fd;
	bool was_pinned;
	bool replaced;
	struct event_state replaced_state;
	ino_t pin;
	uint64_t instance;
	uint32_t *answer; /* shared with the processes that load canaries */
	char error[256];
};

static int fail(struct probe *probe, int err, const char *what)
{
	snprintf(probe->error, sizeof(probe->error), "%s: %s", what, strerror(-err));
	return err;
}

static const char *kernel_dir(void)
{
	const char *dir = getenv("BPFMEASURE_FAKE_KERNEL");

	return dir ? dir : ".";
}

struct probe *probe_new(void)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (probe)
		probe->lock_fd = probe->bell_fd = -1;
	return probe;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	kernel_close(probe->kernel);
	if (probe->answer)
		munmap(probe->answer, sizeof(*probe->answer));
	if (probe->lock_fd >= 0)
		close(probe->lock_fd);
	if (probe->bell_fd >= 0)
		close(probe->bell_fd);
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

/* ---- attaching ---- */

static int pins_lock(struct probe *probe)
{
	probe->lock_fd = open(kernel_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (probe->lock_fd < 0)
		return fail(probe, -errno, kernel_dir());
	if (flock(probe->lock_fd, LOCK_EX | LOCK_NB))
		return fail(probe, errno == EWOULDBLOCK ? -EBUSY : -errno,
			"another daemon has the hooks");
	return 0;
}

int probe_attach(struct probe *probe, const struct probe_options *options)
{
	char path[PATH_MAX];
	struct stat st;
	int got = pins_lock(probe);

	if (got)
		return got;
	got = kernel_open(kernel_dir(), &probe->kernel);
	if (!got)
		got = kernel_attach(probe->kernel, options->ring_size);
	if (got < 0)
		return fail(probe, got, "attaching");
	probe->was_pinned = got;
	probe->instance = kernel_state(probe->kernel)->instance;
	snprintf(path, sizeof(path), "%s/state", kernel_dir());
	if (!stat(path, &st))
		probe->pin = st.st_ino;
	kernel_state(probe->kernel)->map_content_max = options->map_content_max;
	kernel_state(probe->kernel)->exe_hash_max = options->exe_hash_max;
	probe->bell_fd = kernel_bell_open(kernel_dir());
	if (probe->bell_fd < 0)
		return fail(probe, probe->bell_fd, "bell");
	probe->answer = mmap(NULL, sizeof(*probe->answer), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (probe->answer == MAP_FAILED) {
		probe->answer = NULL;
		return fail(probe, -errno, "mmap");
	}
	return 0;
}

bool probe_was_pinned(const struct probe *probe)
{
	return probe->was_pinned;
}

bool probe_is_pinned(void)
{
	return false;
}

bool probe_replaced(const struct probe *probe, struct event_state *ret_state)
{
	if (probe->replaced)
		*ret_state = probe->replaced_state;
	return probe->replaced;
}

bool probe_own_ids(const struct probe *, uint32_t *, uint32_t *)
{
	return false;
}

bool probe_is_own(const struct probe *, uint32_t)
{
	return false;
}

int probe_detach(struct probe *probe)
{
	[[gnu::cleanup(kernel_closep)]] struct kernel *kernel = NULL;
	int err = kernel_open(kernel_dir(), &kernel);

	if (err)
		return fail(probe, err, "detaching");
	if (kernel_state(kernel)) {
		probe->replaced = true;
		probe->replaced_state = *kernel_state(kernel);
	}
	err = kernel_detach(kernel);
	return err ? fail(probe, err, "detaching") : 0;
}

/* ---- what there is ---- */

/* Whether the file "hide" says so. */
static bool is_hidden(uint32_t id, const char *from)
{
	char path[PATH_MAX], line[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/hide", kernel_dir());
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return strtoul(line, NULL, 10) == id && strstr(line, from);
}

unsigned probe_attached(const struct probe *probe)
{
	return kernel_state(probe->kernel) ? probe_wanted(probe) : 0;
}

unsigned probe_wanted(const struct probe *)
{
	return (1U << HOOK_COUNT) - 1;
}

unsigned probe_expected(const struct probe *probe)
{
	return probe_wanted(probe);
}

const char *probe_hook_name(const struct probe *, enum event_hook hook)
{
	for (unsigned i = 0; probe_programs[i].name; i++)
		if (probe_programs[i].hook == hook)
			return probe_programs[i].hook_name;
	return NULL;
}

/* The event loop waits on this one and the ring is mapped from it. No file can do both: mapping is
 * turned to the file of the ring below. */
int probe_ring_fd(const struct probe *probe)
{
	return probe->bell_fd;
}

int __real_ring_open(int map_fd, size_t size, struct ring **ret_ring);
int __wrap_ring_open(int map_fd, size_t size, struct ring **ret_ring);
int __wrap_ring_open(int map_fd, size_t size, struct ring **ret_ring)
{
	int err;

	map_fd = kernel_ring_open(kernel_dir());
	if (map_fd < 0)
		return map_fd;
	err = __real_ring_open(map_fd, size, ret_ring);
	close(map_fd);
	return err;
}

size_t probe_ring_size(const struct probe *probe)
{
	return kernel_ring_size(probe->kernel);
}

struct event_state *probe_state(const struct probe *probe)
{
	return kernel_state(probe->kernel);
}

int probe_end_next(struct probe *probe, uint64_t after_load, struct event_end *ret_end)
{
	return kernel_end_next(probe->kernel, after_load, ret_end);
}

int probe_end_drop(struct probe *probe, uint64_t load)
{
	kernel_end_drop(probe->kernel, load);
	return 0;
}

int probe_next_id(struct probe *probe, uint32_t after_id, uint32_t *ret_id)
{
	uint32_t id = kernel_next_id(probe->kernel, after_id);

	if (is_hidden(0, "made-up"))
		id = after_id + 1;
	while (id && is_hidden(id, "ids"))
		id = kernel_next_id(probe->kernel, id);
	if (!id)
		return -ENOENT;
	*ret_id = id;
	return 0;
}

int probe_program_get(struct probe *probe, uint32_t id, uint64_t *ret_load_time_ns,
	uint8_t ret_name[static EVENT_NAME_LEN])
{
	struct event_prog prog;

	if (!kernel_program_get(probe->kernel, id, &prog) || is_hidden(id, "fd"))
		return -ENOENT;
	if (is_hidden(id, "refused"))
		return -EPERM;
	*ret_load_time_ns = prog.load_time_ns;
	memcpy(ret_name, prog.name, sizeof(prog.name));
	return 0;
}

int probe_missed(struct probe *probe, struct probe_missed *ret_missed)
{
	*ret_missed = (struct probe_missed){
		.hooks[HOOK_FREE] = kernel_frees_missed(probe->kernel),
		.attachments = kernel_attachments_missed(probe->kernel),
	};
	return 0;
}

int probe_check(struct probe *probe)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/state", kernel_dir());
	if (stat(path, &st) || st.st_ino != probe->pin) {
		snprintf(probe->error, sizeof(probe->error), "the pin %.200s was removed", path);
		return -ESTALE;
	}
	if (kernel_state(probe->kernel)->instance == probe->instance)
		return 0;
	snprintf(probe->error, sizeof(probe->error), "the pinned state was written to");
	return -EUCLEAN;
}

const char *probe_enum_name(const struct probe *, enum probe_enum which, uint32_t value,
	char buf[static PROBE_NAME_MAX])
{
	static const char *const names[PROBE_ENUM_COUNT][BPF_PROG_TYPE_SYSCALL + 1] = {
		[PROBE_PROG_TYPE] = {
			[BPF_PROG_TYPE_SOCKET_FILTER] = "socket_filter",
			[BPF_PROG_TYPE_XDP] = "xdp",
			[BPF_PROG_TYPE_SYSCALL] = "syscall",
		},
		[PROBE_MAP_TYPE] = { [BPF_MAP_TYPE_ARRAY] = "array" },
		[PROBE_INTEGRITY_VERDICT] = {
			[KERNEL_OK] = "LSM_INT_VERDICT_OK",
			[KERNEL_BADSIG] = "LSM_INT_VERDICT_BADSIG",
		},
	};

	if (value <= BPF_PROG_TYPE_SYSCALL && names[which][value])
		return names[which][value];
	snprintf(buf, PROBE_NAME_MAX, "%u", value);
	return buf;
}

struct baseline {
	probe_baseline_fn *fn;
	void *arg;
};

static int baseline_program(void *arg, const struct event_prog *prog)
{
	struct baseline *baseline = arg;

	if (is_hidden(prog->id, "iterator"))
		return 0;
	return baseline->fn(baseline->arg, prog, NULL, 0);
}

int probe_baseline(struct probe *probe, probe_baseline_fn *fn, void *arg)
{
	int err = kernel_programs_each(
		probe->kernel, baseline_program, &(struct baseline){ fn, arg });

	return err < 0 ? fail(probe, err, "reading the program iterator") : 0;
}

int probe_links(struct probe *, probe_links_fn *, void *)
{
	return 0;
}

/* ---- canaries ---- */

static uint32_t canary(struct kernel *kernel, enum kernel_how how, uint32_t type, uint32_t parent)
{
	return kernel_load(kernel,
		&(struct kernel_load){
			.how = how,
			.tgid = kernel_state(kernel)->agent_tgid,
			.parent_id = parent,
			.prog_type = type,
			.name = "canary",
		});
}

static uint32_t plain_load(struct kernel *kernel, uint32_t)
{
	return canary(kernel, LOAD_PLAIN, BPF_PROG_TYPE_SOCKET_FILTER, 0);
}

static uint32_t plain_close(struct kernel *kernel, uint32_t id)
{
	uint32_t loader, loaded;

	kernel_free(kernel, id);
	canary(kernel, LOAD_UNPARSABLE, BPF_PROG_TYPE_SOCKET_FILTER, 0);
	loader = canary(kernel, LOAD_PLAIN, BPF_PROG_TYPE_SYSCALL, 0);
	loaded = canary(kernel, LOAD_PLAIN, BPF_PROG_TYPE_SOCKET_FILTER, loader);
	kernel_free(kernel, loader);
	kernel_free(kernel, loaded);
	return 0;
}

/* A system call goes on to its end even where the process that made it is killed. So must what
 * stands for one here: it is made by a process of its own, with nothing else of the daemon's. */
static int system_call(
	struct probe *probe, uint32_t (*call)(struct kernel *kernel, uint32_t id), uint32_t id)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		struct kernel *kernel;

		close_range(3, ~0U, 0);
		if (kernel_open(kernel_dir(), &kernel))
			_exit(1);
		*probe->answer = call(kernel, id);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EIO : 0;
}

int probe_canaries(struct probe *probe, int (*during)(void *arg, uint32_t id), void *arg)
{
	uint32_t id;
	int err = system_call(probe, plain_load, 0);

	if (err)
		return err;
	kernel_state(probe->kernel)->shown = ~0ULL;
	id = *probe->answer;
	err = during(arg, id);
	if (err) {
		if (system_call(probe, plain_close, id))
			return -EIO;
		return err;
	}
	return system_call(probe, plain_close, id);
}
