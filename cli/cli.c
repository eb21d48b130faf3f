// SPDX-License-Identifier: BSD-2-Clause
#include "cli/cli.h"

#include <err.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/when.h"
#include "db/db.h"

#define GROUP        "bpfmeasure"
#define DB_USUAL     "/var/lib/bpfmeasure/log.db"
#define SOCKET_USUAL "/run/bpfmeasure/measurer.sock"

/* Names of files, and what others wrote, shall not command a terminal. */
[[gnu::format(printf, 1, 0)]] static void say(const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	if (text)
		db_make_plain(text);
	warnx("%s", text ? text : strerror(ENOMEM));
	free(text);
}

int cli_untrusted(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	return CLI_UNTRUSTED;
}

int cli_usage(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	return CLI_USAGE;
}

int cli_unknown(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	return CLI_UNKNOWN;
}

/* Whether the group has this user, whatever this process was given when its session began. */
static bool is_in_group(const struct group *group)
{
	const struct passwd *user = getpwuid(getuid());

	for (char **name = group->gr_mem; user && *name; name++)
		if (strcmp(*name, user->pw_name) == 0)
			return true;
	return user && user->pw_gid == group->gr_gid;
}

const char *cli_group_hint(void)
{
	const struct group *group = getgrnam(GROUP);

	if (geteuid() == 0 || (group && group_member(group->gr_gid)))
		return "";
	if (!group)
		return " - only root may: there is no group " GROUP " on this machine";
	if (is_in_group(group))
		return " - you are in the group " GROUP
		       ", but not in this session: log in again, or run newgrp " GROUP;
	return " - you are not in the group " GROUP ": sudo adduser $USER " GROUP
	       ", then log in again";
}

static const char *start_hint(void)
{
	static const char *const places[] = { "/usr/sbin/bpfmeasured",
		"/usr/local/sbin/bpfmeasured" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], F_OK) < 0)
			continue;
		/* As sd_booted(3) finds out. */
		return access("/run/systemd/system", F_OK) == 0
			? " - start the daemon: sudo systemctl enable --now bpfmeasured"
			: " - start the daemon: run bpfmeasured as root";
	}
	return " - bpfmeasured is not installed: nothing measures this machine";
}

const char *cli_db_hint(const char *path)
{
	return strcmp(path, DB_USUAL) == 0 ? start_hint() : "";
}

const char *cli_socket_hint(const char *path)
{
	return strcmp(path, SOCKET_USUAL) == 0 ? start_hint() : "";
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

const char *cli_db_path(void)
{
	return from_environment("BPFMEASURE_DB", DB_USUAL);
}

const char *cli_socket_path(void)
{
	return from_environment("BPFMEASURE_SOCKET", SOCKET_USUAL);
}

void cli_db_why(const struct db *db, const char *path, int err, char ret_why[static CLI_WHY_MAX])
{
	if (err == -ENOENT)
		snprintf(ret_why, CLI_WHY_MAX, "there is no log at %s%s", path, cli_db_hint(path));
	else if (err == -EACCES)
		snprintf(ret_why, CLI_WHY_MAX, "the log %s may not be read%s", path,
			cli_group_hint());
	else
		snprintf(ret_why, CLI_WHY_MAX, "the log %s: %s", path, db_errmsg(db));
}

int cli_db_open(const char *path, struct db **ret_db)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	char why[CLI_WHY_MAX];

	if (!db)
		return cli_unknown("%s", strerror(ENOMEM));
	int err = db_open(db, path);
	if (err < 0) {
		cli_db_why(db, path, err, why);
		return cli_unknown("%s", why);
	}
	*ret_db = db;
	db = NULL;
	return CLI_GOOD;
}

int cli_db_fail(const struct db *db, int err)
{
	return (err == -EUCLEAN ? cli_untrusted : cli_unknown)("%s", db_errmsg(db));
}

static int parse_time(const char *option, const char *text, enum when_end end, uint64_t *ret_ns)
{
	if (!text || when_parse(text, when_now(), end, ret_ns))
		return CLI_GOOD;
	return cli_usage(
		"--%s: \"%s\" is no time: 2026-01-02T03:04:05Z, \"2026-01-02 03:04\" and -1h are",
		option, text);
}

/* Nothing is left out of an hour that there is twice. */
int cli_times(
	bool utc, const char *since, const char *until, uint64_t *since_ns, uint64_t *until_ns)
{
	if (utc)
		when_utc();
	int code = parse_time("since", since, WHEN_FIRST, since_ns);
	return code == CLI_GOOD ? parse_time("until", until, WHEN_LAST, until_ns) : code;
}

bool cli_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	*ret_number = number;
	return true;
}

bool cli_unhex(const char *text, uint8_t *ret_bytes, size_t len)
{
	if (strlen(text) != 2 * len || strspn(text, "0123456789abcdefABCDEF") != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1] };

		ret_bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

void cli_hex(const void *bytes, size_t len, char *ret_text)
{
	const uint8_t *in = bytes;

	for (size_t i = 0; i < len; i++)
		sprintf(ret_text + 2 * i, "%02x", in[i]);
	ret_text[2 * len] = '\0';
}
