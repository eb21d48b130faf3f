// SPDX-License-Identifier: BSD-2-Clause
/* The files of the machine that bpfmeasure doctor looks at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"

void doctor_buf_freep(char **buf)
{
	free(*buf);
}

/* A path that is too long is none that there is. */
void doctor_path(const struct doctor *doctor, const char *path, char ret_path[static PATH_MAX])
{
	int len = snprintf(ret_path, PATH_MAX, "%s%s", doctor->root, path);

	if (len < 0 || len >= PATH_MAX)
		ret_path[0] = '\0';
}

int doctor_stat(const struct doctor *doctor, const char *path, struct stat *ret_stat)
{
	char full[PATH_MAX];

	doctor_path(doctor, path, full);
	return stat(full, ret_stat) == 0 ? 0 : -errno;
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
	char full[PATH_MAX];

	doctor_path(doctor, path, full);
	/* A fifo that somebody put there shall not hold us up. */
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = read_all(fd, max, ret_bytes, ret_len);
	close(fd);
	return r;
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
	struct dirent **entries = NULL;
	char full[PATH_MAX];
	int r = 0;

	doctor_path(doctor, folder, full);
	int count = scandir(full, &entries, NULL, alphasort);
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
