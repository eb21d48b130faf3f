/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing HTML and SVG. What is in a format is ours, whatever is put into it is foreign: every text
 * is escaped, so that it is the same in the content of an element and in an attribute in quotes.
 */
#ifndef CLI_HTML_H
#define CLI_HTML_H

#include <stddef.h>
#include <stdio.h>

/*
 * As fprintf(3), but for %s, whose text is escaped. Of the conversions it knows %s, %.Ns, %d, %u,
 * %zu, PRId64, PRIu64 and %%. NULL is no text.
 */
[[gnu::format(printf, 2, 3)]] void html(FILE *file, const char *fmt, ...);

/*
 * len bytes as text: & < > " ' as references, other bytes than printable ASCII as \xHH, as records
 * have them. What comes out is ASCII, and nothing in it ends an element or an attribute.
 */
void html_text(FILE *file, const char *text, size_t len);

/* The same of a text of more than max bytes without its middle; NULL is no text. */
void html_short(FILE *file, const char *text, size_t max);

#endif
