// SPDX-License-Identifier: BSD-2-Clause
#include "cli/terminal.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

unsigned terminal_width(void)
{
	enum { USUAL = 80 };
	struct winsize size = {};

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : USUAL;
}

bool terminal_has_colors(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && *term &&
		strcmp(term, "dumb") != 0;
}

void terminal_paint(enum table_color color, const char *text)
{
	static const char *const codes[] = {
		[TABLE_GREEN] = "\033[32m",
		[TABLE_YELLOW] = "\033[33m",
		[TABLE_RED] = "\033[31m",
	};
	const char *code = codes[color];

	if (code && *text && terminal_has_colors())
		printf("%s%s\033[0m", code, text);
	else
		fputs(text, stdout);
}

/* Where the escape begins that this place is inside of; NULL: of none. A backslash begins an escape
 * wherever it stands: one of the text itself is \x5c. */
static const char *escape_around(const char *text, const char *place)
{
	enum { LEN = 4 };

	for (const char *at = place; at > text && place - at < LEN - 1;)
		if (*--at == '\\')
			return at;
	return NULL;
}

const char *terminal_mark(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "…" : "~";
}

size_t terminal_shorten(const char *text, size_t width, char *ret_text)
{
	enum { ESCAPE_LEN = 4 };
	size_t len = strlen(text);

	if (width == 0 || len <= width) {
		memcpy(ret_text, text, len + 1);
		return len;
	}
	size_t head = width / 2;
	const char *tail = text + len - (width - 1 - head), *escape = escape_around(text, tail);

	if (escape)
		tail = escape + ESCAPE_LEN;
	escape = escape_around(text, text + head);
	if (escape)
		head = (size_t)(escape - text);
	memcpy(ret_text, text, head);
	strcpy(stpcpy(ret_text + head, terminal_mark()), tail);
	return head + 1 + strlen(tail);
}

/* How much of a text goes on a line: to the last blank that lets it fit. */
static size_t fitting(const char *text, size_t room)
{
	size_t len = strlen(text), end = room;

	if (len <= room)
		return len;
	while (end > 0 && text[end] != ' ')
		end--;
	return end > 0 ? end : room;
}

void terminal_wrap(const char *text, size_t column, size_t width)
{
	enum { ROOM_MIN = 16 };
	size_t room = width >= column + ROOM_MIN ? width - column : width ? ROOM_MIN : strlen(text);

	for (size_t len; *text; text += len + strspn(text + len, " ")) {
		len = fitting(text, room);
		fwrite(text, 1, len, stdout);
		if (text[len + strspn(text + len, " ")])
			printf("\n%*s", (int)column, "");
	}
}

void terminal_print(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	terminal_wrap(text ? text : "not enough memory", 0, terminal_width());
	putchar('\n');
	free(text);
}
