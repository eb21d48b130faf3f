/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a verifier's memory is. */
#include "attest/memory.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

/* "" where the user has no home. */
static const char *home(void)
{
	const char *home = getenv("HOME");
	const struct passwd *user = home && home[0] == '/' ? NULL : getpwuid(getuid());

	if (home && home[0] == '/')
		return home;
	return user && user->pw_dir ? user->pw_dir : "";
}

/* Returns CLI_GOOD, or it was said that there is none. */
static int path_of(const char *path, char *ret_path, size_t size)
{
	const char *given = path ? path : getenv("BPFMEASURE_MEMORY");
	const char *state = getenv("XDG_STATE_HOME");
	int len;

	if (given && given[0])
		len = snprintf(ret_path, size, "%s", given);
	else if (state && state[0] == '/') /* a relative one is to be ignored */
		len = snprintf(ret_path, size, "%s/bpfmeasure/verifier.db", state);
	else if (home()[0])
		len = snprintf(ret_path, size, "%s/.local/state/bpfmeasure/verifier.db", home());
	else
		return cli_unknown("no home, so no verifier's memory: name a file with --db");
	if (len < 0 || (size_t)len >= size)
		return cli_unknown("the path of the verifier's memory is too long");
	return CLI_GOOD;
}

/* The folders above the file; what cannot be made shows when the file is opened. */
static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

static const char *hint(int err)
{
	return err == -EUCLEAN || err == -EMEDIUMTYPE
		? " - put a copy of it back, or move it away and enroll the machines anew"
		: "";
}

int cli_memory_open(const char *path, struct memory **ret_memory)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	const char *given = path ? path : getenv("BPFMEASURE_MEMORY");
	char name[PATH_MAX];

	int code = path_of(path, name, sizeof(name));
	if (code)
		return code;
	if (!given || !given[0])
		make_folders(name);
	int err = memory_open(name, &memory);
	if (err)
		return cli_unknown(
			"the verifier's memory %s: %s%s", name, memory_errmsg(memory), hint(err));
	*ret_memory = memory;
	memory = NULL;
	return CLI_GOOD;
}

int cli_memory_fail(const struct memory *memory, int err)
{
	return cli_unknown("the verifier's memory: %s%s",
		err == -ENOMEM ? strerror(ENOMEM) : memory_errmsg(memory), hint(err));
}

int cli_memory_empty(const char *path)
{
	char name[PATH_MAX];
	int code = path_of(path, name, sizeof(name));

	return code
		? code
		: cli_unknown("no machine is enrolled in %s: bpfmeasure enroll HOST, by the user "
			      "who attests",
			  name);
}

int cli_memory_open_if_there(struct memory **ret_memory)
{
	char name[PATH_MAX];

	if (path_of(NULL, name, sizeof(name)) || access(name, R_OK | W_OK))
		return CLI_UNKNOWN;
	return cli_memory_open(NULL, ret_memory);
}
