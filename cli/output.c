// SPDX-License-Identifier: BSD-2-Clause
#include "cli/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a new file must not take the place of: devices, and links such as /dev/stdout. */
static bool is_special(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

/* With the mode of a file that open(2) makes. */
static int open_temporary(struct output *output)
{
	mode_t mask = umask(0);

	umask(mask);
	if (asprintf(&output->temporary, "%s.XXXXXX", output->path) < 0) {
		output->temporary = NULL;
		return -ENOMEM;
	}
	int fd = mkstemp(output->temporary);
	if (fd < 0) {
		int err = -errno;
		free(output->temporary);
		output->temporary = NULL;
		return err;
	}
	output->file = fdopen(fd, "w");
	if (output->file && fchmod(fd, 0666 & ~mask) == 0)
		return 0;
	int err = -errno;
	if (!output->file)
		close(fd);
	output_done(output);
	return err;
}

int output_open(struct output *output, const char *path)
{
	*output = (struct output){ .path = path };
	if (strcmp(path, "-") == 0) {
		output->file = stdout;
		return 0;
	}
	if (!is_special(path))
		return open_temporary(output);
	output->file = fopen(path, "we");
	return output->file ? 0 : -errno;
}

int output_commit(struct output *output)
{
	if (ferror(output->file) || fflush(output->file) != 0)
		return errno ? -errno : -EIO;
	if (!output->temporary)
		return 0;
	if (fsync(fileno(output->file)) < 0 || rename(output->temporary, output->path) < 0)
		return -errno;
	free(output->temporary);
	output->temporary = NULL;
	return 0;
}

void output_done(struct output *output)
{
	if (output->file && output->file != stdout)
		fclose(output->file);
	output->file = NULL;
	if (output->temporary)
		unlink(output->temporary);
	free(output->temporary);
	output->temporary = NULL;
}

int output_write(const char *path, const void *bytes, size_t len)
{
	[[gnu::cleanup(output_done)]] struct output output = {};

	int r = output_open(&output, path);
	if (r < 0)
		return r;
	fwrite(bytes, 1, len, output.file);
	return output_commit(&output);
}
