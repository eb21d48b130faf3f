/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout, where it is a terminal: how wide, whether it has colours, and texts that fit it. What is no
 * terminal gets everything: nothing shortened, nothing broken into lines, and no escape sequence.
 *
 * Texts are printable ASCII, a byte for each column; bytes of foreign texts are \xHH by then.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum table_color { TABLE_PLAIN, TABLE_GREEN, TABLE_YELLOW, TABLE_RED, TABLE_COLOR_COUNT };

/* Columns; 0 where stdout is no terminal. */
unsigned terminal_width(void);

/* Not with NO_COLOR (https://no-color.org/), nor with TERM unset or "dumb". */
bool terminal_has_colors(void);

/* Print a text in this colour, where there are colours. */
void terminal_paint(enum table_color color, const char *text);

/* What stands for text that was left out, in one column: "…" where the locale has it, else "~". */
enum { TERMINAL_MARK_MAX = 3 }; /* bytes */
const char *terminal_mark(void);

/*
 * Text in at most width columns: of what is longer the middle is left out, with a mark in its place;
 * \xHH is left out as a whole. width 0: all of it. Returns how many columns it takes.
 */
size_t terminal_shorten(const char *text, size_t width, char *ret_text /* strlen(text) + 4 */);

/*
 * Print a text that begins in this column, on as many lines as it takes, each from that column on:
 * broken at blanks, and a word that is too long anywhere. width 0 is one line. No newline at the end.
 */
void terminal_wrap(const char *text, size_t column, size_t width);

/* Print a line of words, on a terminal on as many as it takes. */
[[gnu::format(printf, 1, 2)]] void terminal_print(const char *fmt, ...);

#endif
