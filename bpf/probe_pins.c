/* SPDX-License-Identifier: BSD-2-Clause */
/* The pins, by which the hooks outlive the daemon: making room for them, finding them again, and
 * seeing that they stay. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/bank.h"
#include "bpf/probe_own.h"

void probe_pin_path(char *ret_path, size_t size, const char *build, const char *name)
{
	snprintf(ret_path, size, "%s/%s%s%s", PROBE_PIN_DIR, build, *name ? "/" : "", name);
}

int probe_build_name(struct probe *probe)
{
	uint8_t digest[SHA256_LEN];
	int err = sha256(probe_object, (size_t)(probe_object_end - probe_object), digest);

	if (err)
		return err;
	snprintf(probe->build, sizeof(probe->build), "v%d-%02x%02x%02x%02x%02x%02x%02x%02x",
		EVENT_LAYOUT, digest[0], digest[1], digest[2], digest[3], digest[4], digest[5],
		digest[6], digest[7]);
	return 0;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int probe_build_unpin(struct probe *probe, const char *build)
{
	char path[256];

	probe_pin_path(path, sizeof(path), build, "");
	[[gnu::cleanup(dir_closep)]] DIR *dir = opendir(path);
	if (!dir)
		return probe_fail(probe, -errno, "%s", path);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0))
			return probe_fail(probe, -errno, "%s/%s", path, entry->d_name);
	return rmdir(path) ? probe_fail(probe, -errno, "%s", path) : 0;
}

/* What another build's programs counted until now, so that its unread loads are known. */
static void build_state_read(struct probe *probe, const char *build)
{
	char path[256];
	int fd;

	probe_pin_path(path, sizeof(path), build, "state");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	probe->replaced = !bpf_map_lookup_elem(fd, &(int){ 0 }, &probe->replaced_state);
	close(fd);
}

/* Remove the pins of every build but keep (NULL: of every one). */
int probe_builds_unpin(struct probe *probe, const char *keep)
{
	[[gnu::cleanup(dir_closep)]] DIR *dir = opendir(PROBE_PIN_DIR);
	int err;

	if (!dir)
		return errno == ENOENT ? 0 : probe_fail(probe, -errno, "%s", PROBE_PIN_DIR);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.' || (keep && !strcmp(entry->d_name, keep)))
			continue;
		if (!strncmp(entry->d_name, probe->build, strcspn(probe->build, "-") + 1))
			build_state_read(probe, entry->d_name);
		err = probe_build_unpin(probe, entry->d_name);
		if (err)
			return err;
	}
	return 0;
}

bool probe_is_pinned(void)
{
	[[gnu::cleanup(dir_closep)]] DIR *dir = opendir(PROBE_PIN_DIR);

	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

int probe_pinned_fd(const struct probe *probe, const char *name)
{
	char path[256];

	probe_pin_path(path, sizeof(path), probe->build, name);
	return bpf_obj_get(path);
}

static bool is_pinned(const struct probe *probe, const char *name)
{
	char path[256];

	probe_pin_path(path, sizeof(path), probe->build, name);
	return !access(path, F_OK);
}

/* Pins of this build that are not whole are of no use: somebody removed a hook. What they counted is
 * kept, and they go. */
int probe_broken_unpin(struct probe *probe)
{
	bool whole = is_pinned(probe, "state");

	if (!is_pinned(probe, ""))
		return 0;
	for (unsigned i = 0; probe_programs[i].name; i++)
		if (probe->kernel.chosen & 1ULL << i && !is_pinned(probe, probe_programs[i].name))
			whole = false;
	if (whole)
		return 0;
	build_state_read(probe, probe->build);
	return probe_build_unpin(probe, probe->build);
}

/* ---- are they still there? ---- */

static const char *pin_name(const struct probe *probe, unsigned i)
{
	static const char *const maps[PIN_MAPS] = { "ring", "ends", "state" };

	if (i < PIN_MAPS)
		return maps[i];
	return probe->kernel.chosen & 1ULL << (i - PIN_MAPS) ? probe_programs[i - PIN_MAPS].name
							     : NULL;
}

/* The inode of a pin is its own for as long as it is there; 0: it is not. */
static ino_t pin_inode(const struct probe *probe, const char *name)
{
	char path[256];
	struct stat st;

	probe_pin_path(path, sizeof(path), probe->build, name);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* The program that a pinned link holds; 0 where that cannot be found out. */
static uint32_t program_id(const struct probe *probe, const char *name)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = probe_pinned_fd(probe, name);

	if (fd < 0)
		return 0;
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return err ? 0 : info.prog_id;
}

bool probe_is_own(const struct probe *probe, uint32_t id)
{
	for (unsigned i = 0; probe_programs[i].name; i++)
		if (id && probe->programs[i] == id)
			return true;
	return false;
}

int probe_pins_note(struct probe *probe)
{
	for (unsigned i = 0; i < PIN_COUNT_MAX; i++) {
		const char *name = pin_name(probe, i);

		if (name)
			probe->pins[i] = pin_inode(probe, name);
		if (name && i >= PIN_MAPS)
			probe->programs[i - PIN_MAPS] = program_id(probe, name);
	}
	probe->instance = probe->state->instance;
	probe->ticket = probe->state->ticket;
	return 0;
}

/* bpf_prog_info.recursion_misses */
static int program_missed(struct probe *probe, uint32_t id, uint64_t *ret_missed)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id), err;

	if (fd < 0)
		return probe_fail(probe, -errno, "opening a hook's program");
	err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : 0;
	close(fd);
	if (err)
		return probe_fail(probe, err, "asking for a hook's program");
	*ret_missed = info.recursion_misses;
	return 0;
}

/* Of those that are there twice in one place, one after the other in the table, what both may have missed. */
static uint64_t missed_by_all(const uint64_t missed[static PROBE_PROGRAMS_MAX], unsigned *i)
{
	const char *place = probe_programs[*i].hook_name;
	uint64_t least = missed[*i];

	for (; probe_programs[*i + 1].name && !strcmp(probe_programs[*i + 1].hook_name, place);
		(*i)++)
		if (missed[*i + 1] < least)
			least = missed[*i + 1];
	return least;
}

int probe_missed(struct probe *probe, struct probe_missed *ret_missed)
{
	uint64_t missed[PROBE_PROGRAMS_MAX] = {};
	struct probe_missed sum = {};
	int err = 0;

	probe->error[0] = 0;
	for (unsigned i = 0; probe_programs[i].name && !err; i++)
		if (probe->programs[i])
			err = program_missed(probe, probe->programs[i], &missed[i]);
	if (err)
		return err;
	for (unsigned i = 0; probe_programs[i].name; i++)
		sum.hooks[probe_programs[i].hook] += missed[i];
	for (unsigned i = 0; probe_programs[i].name; i++)
		if (probe_programs[i].attaches)
			sum.attachments += missed_by_all(missed, &i);
	sum.attachments += probe->state->untracked_attachments;
	*ret_missed = sum;
	return 0;
}

int probe_check(struct probe *probe)
{
	uint64_t ticket = probe->state->ticket;

	probe->error[0] = 0;
	for (unsigned i = 0; i < PIN_COUNT_MAX; i++) {
		const char *name = pin_name(probe, i);

		if (!name || pin_inode(probe, name) == probe->pins[i])
			continue;
		snprintf(probe->error, sizeof(probe->error), "the pin %s/%s/%s was removed",
			PROBE_PIN_DIR, probe->build, name);
		return -ESTALE;
	}
	if (probe->state->instance != probe->instance || ticket < probe->ticket) {
		snprintf(probe->error, sizeof(probe->error), "the pinned state was written to");
		return -EUCLEAN;
	}
	probe->ticket = ticket;
	return 0;
}
