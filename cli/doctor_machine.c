// SPDX-License-Identifier: BSD-2-Clause
/* The files of the machine that bpfmeasure doctor looks at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"

void doctor_buf_freep(char **buf)
{
	free(*buf);
}

void doctor_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

int doctor_open(const struct doctor *doctor, const char *path, int flags)
{
	enum { TRIES = 100 };
	const struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT,
	};
	long fd;

	if (!*doctor->root) {
		fd = open(path, flags | O_CLOEXEC);
		return fd < 0 ? -errno : (int)fd;
	}
	int tries = 0;
	do /* EAGAIN: somebody renames or mounts meanwhile */
		fd = syscall(SYS_openat2, doctor->root_fd, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < TRIES);
	return fd < 0 ? -errno : (int)fd;
}

int doctor_path(const struct doctor *doctor, const char *path, char ret_path[static PATH_MAX])
{
	char link[32], full[PATH_MAX];

	if (!*doctor->root) {
		snprintf(ret_path, PATH_MAX, "%s", path);
		return 0;
	}
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(doctor, path, O_PATH);
	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, full, sizeof(full));
	if (len < 0)
		return -errno;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	full[len] = '\0';
	strcpy(ret_path, full);
	return 0;
}

int doctor_stat(const struct doctor *doctor, const char *path, struct stat *ret_stat)
{
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(doctor, path, O_PATH);

	if (fd < 0)
		return fd;
	return fstat(fd, ret_stat) == 0 ? 0 : -errno;
}

bool doctor_has(const struct doctor *doctor, const char *path)
{
	struct stat info;

	return doctor_stat(doctor, path, &info) == 0;
}

/* Of proc and sysfs the size is not known before. */
static int read_all(int fd, size_t max, char **ret_bytes, size_t *ret_len)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	size_t len = 0, size = 0;
	ssize_t got = 1;

	while (got > 0 && len < max) {
		if (len + 1 >= size) {
			size = size ? 2 * size : 4096;
			char *more = realloc(bytes, size);

			if (!more)
				return -ENOMEM;
			bytes = more;
		}
		size_t room = size - 1 - len;

		got = read(fd, bytes + len, room < max - len ? room : max - len);
		if (got < 0)
			return -errno;
		len += (size_t)got;
	}
	if (!bytes)
		return -EINVAL;
	bytes[len] = '\0';
	*ret_bytes = bytes;
	*ret_len = len;
	bytes = NULL;
	return 0;
}

int doctor_read(const struct doctor *doctor, const char *path, size_t max, char **ret_bytes,
	size_t *ret_len)
{
	/* A fifo that somebody put there shall not hold us up. */
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(
		doctor, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? fd : read_all(fd, max, ret_bytes, ret_len);
}

int doctor_line(const struct doctor *doctor, const char *path, char *ret_line, size_t size)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	size_t len;

	int r = doctor_read(doctor, path, size - 1, &text, &len);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	strcpy(ret_line, text);
	return 0;
}

int doctor_each(const struct doctor *doctor, const char *folder,
	int (*fn)(void *arg, const char *name), void *arg)
{
	[[gnu::cleanup(doctor_closep)]] int fd = doctor_open(doctor, folder, O_PATH | O_DIRECTORY);
	struct dirent **entries = NULL;
	int r = 0;

	if (fd < 0)
		return fd;
	int count = scandirat(fd, ".", &entries, NULL, alphasort);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = fn(arg, name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

bool doctor_list_has(const char *list, const char *separators, const char *word)
{
	size_t word_len = strlen(word);

	for (size_t len; *list; list += len) {
		list += strspn(list, separators);
		len = strcspn(list, separators);
		if (len == word_len && strncmp(list, word, len) == 0)
			return true;
	}
	return false;
}

/* ---- agent.conf ---- */

/* Without the white space around it; text is changed. */
static char *trimmed(char *text)
{
	text += strspn(text, " \t\r");
	for (size_t len = strlen(text); len > 0 && strchr(" \t\r", text[len - 1]); len--)
		text[len - 1] = '\0';
	return text;
}

static void conf_take(
	struct doctor_conf *conf, const char *section, const char *key, const char *value)
{
	const struct {
		const char *section, *key;
		char *ret;
	} keys[] = {
		{ "log", "path", conf->log_path },
		{ "log", "max_size", conf->max_size },
		{ "log", "max_age", conf->max_age },
		{ "log", "group", conf->group },
		{ "tpm", "device", conf->device },
		{ "audit", "enable", conf->audit },
		{ "attest", "user", conf->user },
		{ "attest", "listen", conf->listen },
		{ "attest", "certificate", conf->certificate },
	};
	uint64_t pcr;

	if (strlen(value) >= DOCTOR_WORD_MAX)
		return; /* nor does the daemon take it */
	if (strcmp(section, "tpm") == 0 && strcmp(key, "pcr") == 0 && cli_number(value, &pcr) &&
		pcr < 24)
		conf->pcr = (unsigned)pcr;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(section, keys[i].section) == 0 && strcmp(key, keys[i].key) == 0)
			strcpy(keys[i].ret, value);
}

/* What the daemon would refuse is for the daemon to say: doctor_config(). */
static void conf_read(struct doctor_conf *conf, char *text)
{
	char section[DOCTOR_WORD_MAX] = "", *rest = text;

	for (char *line; (line = strsep(&rest, "\n"));) {
		line = trimmed(line);
		char *end = strchr(line, ']'), *equals = strchr(line, '=');

		if (*line == '#' || *line == ';')
			continue;
		if (*line == '[' && end && end - line < DOCTOR_WORD_MAX) {
			*end = '\0';
			strcpy(section, line + 1);
		} else if (equals) {
			*equals = '\0';
			conf_take(conf, section, trimmed(line), trimmed(equals + 1));
		}
	}
}

void doctor_conf_read(struct doctor *doctor)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	size_t len;

	doctor->conf = (struct doctor_conf){
		.pcr = 13,
		.log_path = "/var/lib/bpfmeasure/log.db",
		.max_size = "0",
		.max_age = "0",
		.group = "bpfmeasure",
		.device = "auto",
		.audit = "yes",
		.user = "bpfmeasure",
		.listen = "none",
		.certificate = "none",
	};
	int r = doctor_read(doctor, "/etc/bpfmeasure/agent.conf", DOCTOR_FILE_MAX, &text, &len);
	doctor->conf.is_there = r != -ENOENT;
	doctor->conf.error = r == -ENOENT ? 0 : r;
	if (r == 0)
		conf_read(&doctor->conf, text);
}
