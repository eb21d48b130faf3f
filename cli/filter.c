// SPDX-License-Identifier: BSD-2-Clause
/*
 * Records are matched here, over db_each(), and not by SQL: a query keeps its snapshot, and with it
 * the whole of PATH-wal, for as long as whoever reads the output takes.
 */
#include "cli/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/field.h"
#include "db/db.h"

struct filter filter_any(void)
{
	return (struct filter){ .until_ns = UINT64_MAX };
}

static bool matches(const char *glob, const char *text)
{
	return fnmatch(glob, text, FNM_NOESCAPE) == 0;
}

static bool text_matches(const struct filter_line *line, const char *path, const char *glob)
{
	char text[FIELD_MAX];

	return !glob || (field_text(line->line, line->len, path, text) && matches(glob, text));
}

/* Who loaded it, or attached it. */
static bool loader_matches(const struct filter_line *line, const char *glob)
{
	char comm[FIELD_MAX], exe[FIELD_MAX];
	struct line_value task;

	if (!glob)
		return true;
	if (!line_get(line->line, line->len, "loader", &task) &&
		!line_get(line->line, line->len, "by", &task))
		return false;
	if (!strchr(glob, '/') && field_text(task.at, task.len, "comm", comm) &&
		matches(glob, comm))
		return true;
	if (!field_text(task.at, task.len, "exe", exe))
		return false;
	const char *slash = strrchr(exe, '/');
	return matches(glob, strchr(glob, '/') || !slash ? exe : slash + 1);
}

static bool is_end(enum record_kind kind)
{
	return kind == RECORD_UNLOAD || kind == RECORD_ATTACH || kind == RECORD_DETACH ||
		kind == RECORD_EPOCH;
}

static bool filter_matches(const struct filter *filter, const struct filter_line *line)
{
	if (line->error || (filter->ends && is_end(line->head.kind)))
		return true;
	return line->head.time_ns >= filter->since_ns && line->head.time_ns <= filter->until_ns &&
		(!filter->kind || strcmp(filter->kind, record_kind_name(line->head.kind)) == 0) &&
		text_matches(line, "program.name", filter->name) &&
		text_matches(line, "program.type", filter->type) &&
		text_matches(line, "signature.verdict", filter->verdict) &&
		loader_matches(line, filter->loader);
}

struct walk {
	const struct filter *filter;
	int (*fn)(void *arg, const struct filter_line *line);
	void *arg;
	uint64_t next; /* seq */
};

static int walk_line(void *arg, uint64_t seq, const void *bytes, size_t len)
{
	struct walk *walk = arg;
	struct filter_line line = { .line = bytes, .len = len };
	struct line_error error;
	char text[sizeof(error.what) + 64];

	if (record_check(bytes, len, &line.head, &error) < 0) {
		snprintf(text, sizeof(text), "%s, byte %zu", error.what, error.at);
		line.error = text;
	} else if (line.head.seq != seq) {
		line.error = "it says that it is another record";
	}
	line.head.seq = seq;
	walk->next = seq + 1;
	return filter_matches(walk->filter, &line) ? walk->fn(walk->arg, &line) : 0;
}

int filter_each(struct db *db, const struct filter *filter, uint64_t first, uint64_t last,
	int (*fn)(void *arg, const struct filter_line *line), void *arg)
{
	struct walk walk = { .filter = filter, .fn = fn, .arg = arg, .next = first };
	uint64_t oldest = 0;

	for (;;) {
		int r = db_first_seq(db, &oldest);
		if (r < 0)
			return r;
		if (walk.next < oldest)
			walk.next = oldest;
		first = walk.next;
		r = first > last ? 0 : db_each(db, first, last, walk_line, &walk);
		if (r != -EUCLEAN || db_first_seq(db, &oldest) < 0 || walk.next >= oldest)
			return r;
	}
}

enum { WINDOW = 4096 };

struct window {
	size_t count;
	uint64_t seqs[WINDOW];
};

static int window_add(void *arg, const struct filter_line *line)
{
	struct window *window = arg;

	window->seqs[window->count++] = line->head.seq;
	return 0;
}

int filter_newest(struct db *db, const struct filter *filter, uint64_t count, uint64_t last,
	uint64_t *ret_first)
{
	uint64_t found = last + 1, oldest = 0;

	int r = db_first_seq(db, &oldest);
	if (r < 0)
		return r;
	for (uint64_t end = last; end > 0 && end >= oldest && count > 0;) {
		uint64_t first = end > WINDOW ? end - WINDOW + 1 : 1;
		struct window window = {};

		r = filter_each(db, filter, first, end, window_add, &window);
		if (r < 0)
			return r;
		size_t taken = window.count < count ? window.count : (size_t)count;
		if (taken > 0)
			found = window.seqs[window.count - taken];
		count -= taken;
		end = first - 1;
	}
	*ret_first = found;
	return 0;
}
