/* SPDX-License-Identifier: BSD-2-Clause */
/* Which records of a log are meant, and walking over those. */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/record.h"

struct db;

/*
 * All that are not NULL must hold. name, type and loader are globs (glob(7), a backslash is itself)
 * over the text as records have it; loader, who loaded or attached it, over the name of the executable
 * or of the thread, or, with a '/', over the executable's path.
 */
struct filter {
	uint64_t since_ns;
	uint64_t until_ns; /* inclusive */
	const char *name;
	const char *type;
	const char *verdict;
	const char *loader;
	const char *kind;
	const char *sha256; /* how the program's begins, in lower case */
	const uint64_t *refers; /* the record of its program, or of its parent, by number */
	/* Records that tell what is loaded and attached now match too, whatever the globs and words:
	 * unload, attach, detach and epoch. */
	bool ends;
};

/* Every record. */
struct filter filter_any(void);

/* One line of the log. error: NULL, or why it is no record, and then head is its seq alone. */
struct filter_line {
	const char *error;
	struct record_head head;
	const char *line;
	size_t len;
};

/*
 * Hand the records first ... last that match to fn, in order. A line that is no record matches
 * every filter: it shall not hide. Records that were trimmed, before or meanwhile, are passed over.
 *
 * Where there are many records, or refers is given, and an index of the log says that few of them can
 * match, these alone are read, and the lines that are no JSON or have no kind. What an index leaves out stays hidden
 * then: `bpfmeasure audit` reads every line, and checks the indexes.
 *
 * Returns 0, an error of db_each(), or the first value other than 0 that fn returns.
 */
[[nodiscard]] int filter_each(struct db *db, const struct filter *filter, uint64_t first,
	uint64_t last, int (*fn)(void *arg, const struct filter_line *line), void *arg);

/* The first of the count newest records up to last that match; last + 1 if none does. */
[[nodiscard]] int filter_newest(struct db *db, const struct filter *filter, uint64_t count,
	uint64_t last, uint64_t *ret_first);

#endif
