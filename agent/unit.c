/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/unit.h"

#include <string.h>

static const char *const types[] = { "service", "scope", "slice", "socket", "target", "device",
	"mount", "automount", "swap", "timer", "path" };

/* A piece of the path; NULL at its end. */
struct name {
	const char *at;
	size_t len;
};

static bool is(struct name name, const char *text)
{
	return name.len == strlen(text) && !memcmp(name.at, text, name.len);
}

static bool begins(struct name name, const char *text)
{
	return name.len >= strlen(text) && !memcmp(name.at, text, strlen(text));
}

static struct name name_next(struct record_text *path)
{
	const char *at = path->bytes, *end = at + path->len;
	struct name name;

	while (at < end && *at == '/')
		at++;
	name.at = at;
	while (at < end && *at != '/')
		at++;
	name.len = (size_t)(at - name.at);
	*path = (struct record_text){ at, (size_t)(end - at) };
	if (begins(name, "_"))
		name = (struct name){ name.at + 1, name.len - 1 };
	return name;
}

static bool is_valid_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		(byte >= '0' && byte <= '9') || (byte && strchr(":-_.\\@", byte));
}

/* What stands behind the last dot of a unit's name, a template's not being one. */
static bool unit_type(struct name name, struct name *ret_type)
{
	const char *at_sign = memchr(name.at, '@', name.len),
		   *dot = memrchr(name.at, '.', name.len);
	struct name type;

	if (name.len > UNIT_NAME_MAX || !dot || dot == name.at || at_sign == name.at ||
		(at_sign && at_sign + 1 == dot))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_valid_byte(name.at[i]))
			return false;
	type = (struct name){ dot + 1, name.len - (size_t)(dot + 1 - name.at) };
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (is(type, types[i])) {
			*ret_type = type;
			return true;
		}
	}
	return false;
}

static bool unit_next(struct record_text *path, struct name *ret_unit)
{
	struct name name, type;

	for (;;) {
		name = name_next(path);
		if (!unit_type(name, &type))
			return false;
		if (!is(type, "slice"))
			break;
		if (memchr(name.at, '@', name.len)) /* a slice has no instances */
			return false;
	}
	*ret_unit = name;
	return true;
}

struct record_text unit_of_cgroup(struct record_text cgroup, char room[static UNIT_TEXT_MAX])
{
	struct record_text path = cgroup;
	struct name unit, users;
	size_t len;

	if (!path.bytes || !unit_next(&path, &unit))
		return (struct record_text){};
	len = unit.len;
	memcpy(room, unit.at, len);
	if (begins(unit, "user@") && unit_next(&path, &users)) {
		room[len++] = '/';
		memcpy(room + len, users.at, users.len);
		len += users.len;
	}
	return (struct record_text){ room, len };
}
