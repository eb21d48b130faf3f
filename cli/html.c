// SPDX-License-Identifier: BSD-2-Clause
#include "cli/html.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void put_byte(FILE *file, unsigned char byte)
{
	switch (byte) {
	case '&':
		fputs("&amp;", file);
		return;
	case '<':
		fputs("&lt;", file);
		return;
	case '>':
		fputs("&gt;", file);
		return;
	case '"':
		fputs("&quot;", file);
		return;
	case '\'':
		fputs("&#39;", file);
		return;
	}
	if (byte >= 0x20 && byte <= 0x7e)
		putc(byte, file);
	else
		fprintf(file, "\\x%02x", byte);
}

void html_text(FILE *file, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_byte(file, (unsigned char)text[i]);
}

void html_short(FILE *file, const char *text, size_t max)
{
	size_t len = text ? strlen(text) : 0, end = max / 3;

	if (len <= max) {
		html_text(file, text, len);
		return;
	}
	html_text(file, text, max - end);
	fputs("…", file);
	html_text(file, text + len - end, end);
}

/* One conversion; fmt is behind its %. Returns how much of fmt it was. */
static size_t convert(FILE *file, const char *fmt, va_list *args)
{
	static const size_t ld = sizeof(PRId64) - 1;
	const char *text;
	size_t max = SIZE_MAX;
	char *end;

	if (strncmp(fmt, PRIu64, ld) == 0) {
		fprintf(file, "%" PRIu64, va_arg(*args, uint64_t));
		return ld;
	}
	if (strncmp(fmt, PRId64, ld) == 0) {
		fprintf(file, "%" PRId64, va_arg(*args, int64_t));
		return ld;
	}
	if (strncmp(fmt, "zu", 2) == 0) {
		fprintf(file, "%zu", va_arg(*args, size_t));
		return 2;
	}
	switch (*fmt) {
	case '%':
		putc('%', file);
		return 1;
	case 'd':
		fprintf(file, "%d", va_arg(*args, int));
		return 1;
	case 'u':
		fprintf(file, "%u", va_arg(*args, unsigned));
		return 1;
	}
	end = (char *)(uintptr_t)fmt;
	if (*fmt == '.')
		max = strtoul(fmt + 1, &end, 10);
	assert(*end == 's');
	text = va_arg(*args, const char *);
	if (text)
		html_text(file, text, strnlen(text, max));
	return (size_t)(end - fmt) + 1;
}

void html(FILE *file, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	while (*fmt) {
		size_t plain = strcspn(fmt, "%");

		fwrite(fmt, 1, plain, file);
		fmt += plain;
		if (*fmt)
			fmt += 1 + convert(file, fmt + 1, &args);
	}
	va_end(args);
}
