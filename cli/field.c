// SPDX-License-Identifier: BSD-2-Clause
#include "cli/field.h"

#include "bpf/line.h"

static bool present(const char *line, size_t len, const char *path, struct line_value *ret_value)
{
	return line_get(line, len, path, ret_value) && !line_value_is_null(*ret_value);
}

bool field_text(const char *line, size_t len, const char *path, char ret_text[static FIELD_MAX])
{
	struct line_value value;

	ret_text[0] = '\0';
	if (!present(line, len, path, &value))
		return false;
	line_value_text(value, ret_text, FIELD_MAX);
	return true;
}

bool field_uint(const char *line, size_t len, const char *path, uint64_t *ret_number)
{
	struct line_value value;

	*ret_number = 0;
	if (!present(line, len, path, &value))
		return false;
	*ret_number = line_value_uint(value);
	return true;
}

bool field_bool(const char *line, size_t len, const char *path)
{
	struct line_value value;

	return present(line, len, path, &value) && line_value_bool(value);
}

size_t field_count(const char *line, size_t len, const char *path)
{
	struct line_value value;
	size_t count = 0;

	if (!present(line, len, path, &value))
		return 0;
	for (struct line_each each = line_each(value); line_next(&each, NULL, &value);)
		count++;
	return count;
}
