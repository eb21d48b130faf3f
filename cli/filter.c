// SPDX-License-Identifier: BSD-2-Clause
/*
 * Records are matched here, over db_each(), and not by SQL: a query keeps its snapshot, and with it
 * the whole of PATH-wal, for as long as whoever reads the output takes.
 */
#include "cli/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool sha256_matches(const struct filter_line *line, const char *prefix)
{
	char text[FIELD_MAX];

	return !prefix ||
		(field_text(line->line, line->len, "program.sha256", text) &&
			strncmp(text, prefix, strlen(prefix)) == 0);
}

static bool refers_to(const struct filter_line *line, const uint64_t *seq)
{
	uint64_t number;

	return !seq ||
		((field_uint(line->line, line->len, "program.seq", &number) ||
			 field_uint(line->line, line->len, "parent.seq", &number)) &&
			number == *seq);
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
		sha256_matches(line, filter->sha256) && refers_to(line, filter->refers) &&
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

static int each(struct db *db, struct walk *walk, uint64_t first, uint64_t last)
{
	uint64_t oldest = 0;

	walk->next = first;
	for (;;) {
		int r = db_first_seq(db, &oldest);
		if (r < 0)
			return r;
		if (walk->next < oldest)
			walk->next = oldest;
		first = walk->next;
		r = first > last ? 0 : db_each(db, first, last, walk_line, walk);
		if (r != -EUCLEAN || db_first_seq(db, &oldest) < 0 || walk->next >= oldest)
			return r;
	}
}

/* ---- which records to look at ---- */

enum {
	WINDOW = 4096, /* records that are as well read as looked for */
	FOUND_MAX = 32768, /* more are not looked for: that many are near wherever one looks */
};

struct span {
	uint64_t first, last;
};

/* In order. */
struct spans {
	size_t count;
	struct span *at;
};

static void spans_done(struct spans *spans)
{
	free(spans->at);
}

static void numbers_freep(uint64_t **numbers)
{
	free(*numbers);
}

/* What an index is asked for: values from low to high. */
struct key {
	enum db_key key;
	char low[FIELD_MAX];
	char high[FIELD_MAX];
};

/* Values that begin with len bytes of text; those that are nothing else where it is all of them. */
static bool key_of_text(
	struct key *key, enum db_key which, const char *text, size_t len, bool is_all)
{
	if (len == 0 || len >= sizeof(key->low))
		return false;
	key->key = which;
	snprintf(key->low, sizeof(key->low), "%.*s", (int)len, text);
	snprintf(key->high, sizeof(key->high), "%.*s%s", (int)len, text, is_all ? "" : "\x7f");
	return true;
}

static void time_text(uint64_t ns, char ret_text[static FIELD_MAX])
{
	char buf[FIELD_MAX];
	struct line line;

	line_init(&line, buf, sizeof(buf));
	line_time(&line, NULL, ns);
	snprintf(ret_text, FIELD_MAX, "%.*s", (int)line.len - 2, buf + 1); /* without quotes */
}

/* What to ask an index for; false where it cannot say which records match. */
static bool key_of(const struct filter *filter, enum db_key which, struct key *key)
{
	size_t plain = filter->name ? strcspn(filter->name, "*?[") : 0;
	char number[24];

	switch (which) {
	case DB_REFERS:
		if (!filter->refers)
			return false;
		snprintf(number, sizeof(number), "%" PRIu64, *filter->refers);
		return key_of_text(key, which, number, strlen(number), true);
	case DB_SHA256:
		return filter->sha256 &&
			key_of_text(key, which, filter->sha256, strlen(filter->sha256), false);
	case DB_NAME:
		return filter->name &&
			key_of_text(key, which, filter->name, plain, !filter->name[plain]);
	case DB_KIND:
		return filter->kind && strcmp(filter->kind, record_kind_name(RECORD_LOAD)) != 0 &&
			key_of_text(key, which, filter->kind, strlen(filter->kind), true);
	case DB_TIME:
		if (filter->since_ns == 0 && filter->until_ns == UINT64_MAX)
			return false;
		key->key = which;
		time_text(filter->since_ns, key->low);
		time_text(filter->until_ns, key->high);
		return true;
	case DB_KEY_COUNT:
		break;
	}
	return false;
}

/* The numbers of all that can match, in no order. Returns how many, or SIZE_MAX where no index helps. */
static size_t find(struct db *db, const struct filter *filter, uint64_t *seqs)
{
	static const enum db_key order[] = { DB_REFERS, DB_SHA256, DB_NAME, DB_TIME, DB_KIND };
	struct key key;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!key_of(filter, order[i], &key))
			continue;
		int count = db_find(db, key.key, key.low, key.high, seqs, FOUND_MAX);
		if (count < 0 || count == FOUND_MAX)
			continue;
		int others = db_find(db, DB_KIND, "", "", seqs + count, FOUND_MAX);
		return others < 0 || others == FOUND_MAX ? SIZE_MAX : (size_t)(count + others);
	}
	return SIZE_MAX;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* What of first ... last is to be looked at: all of it, where no index helps. */
static int spans_find(struct db *db, const struct filter *filter, uint64_t first, uint64_t last,
	struct spans *spans)
{
	[[gnu::cleanup(numbers_freep)]] uint64_t *seqs = calloc(2 * FOUND_MAX, sizeof(*seqs));
	uint64_t oldest = 0, newest = 0;
	size_t count = SIZE_MAX;

	int r = db_first_seq(db, &oldest);
	if (r == 0)
		r = db_last_seq(db, &newest);
	if (r < 0)
		return r;
	first = first < oldest ? oldest : first;
	last = last > newest ? newest : last;
	if (seqs && !filter->ends && first <= last && (filter->refers || last - first >= WINDOW))
		count = find(db, filter, seqs);
	spans->at = calloc(count == SIZE_MAX ? 1 : count + 1, sizeof(*spans->at));
	if (!spans->at)
		return -ENOMEM;
	if (count == SIZE_MAX) {
		spans->at[0] = (struct span){ first, last };
		spans->count = first <= last;
		return 0;
	}
	qsort(seqs, count, sizeof(*seqs), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		struct span *before = spans->count ? &spans->at[spans->count - 1] : NULL;
		if (seqs[i] < first || seqs[i] > last)
			continue;
		if (before && seqs[i] <= before->last + 1)
			before->last = seqs[i];
		else
			spans->at[spans->count++] = (struct span){ seqs[i], seqs[i] };
	}
	return 0;
}

int filter_each(struct db *db, const struct filter *filter, uint64_t first, uint64_t last,
	int (*fn)(void *arg, const struct filter_line *line), void *arg)
{
	[[gnu::cleanup(spans_done)]] struct spans spans = {};
	struct walk walk = { .filter = filter, .fn = fn, .arg = arg };

	int r = spans_find(db, filter, first, last, &spans);
	for (size_t i = 0; i < spans.count && r == 0; i++)
		r = each(db, &walk, spans.at[i].first, spans.at[i].last);
	return r;
}

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

/*
 * The newest of a span that match, but no more than *count of them, which are taken from it. At first
 * no more is read than if all did match.
 */
static int span_newest(struct db *db, const struct filter *filter, struct span span,
	uint64_t *count, uint64_t *found)
{
	uint64_t size = *count < WINDOW ? *count : WINDOW;

	for (uint64_t end = span.last; end >= span.first && *count > 0;) {
		uint64_t first = end - span.first < size ? span.first : end - size + 1;
		struct window window;
		struct walk walk = { .filter = filter, .fn = window_add, .arg = &window };

		window.count = 0;
		int r = each(db, &walk, first, end);
		if (r < 0)
			return r;
		size_t taken = window.count < *count ? window.count : (size_t)*count;
		if (taken > 0)
			*found = window.seqs[window.count - taken];
		*count -= taken;
		end = first - 1;
		size = 2 * size < WINDOW ? 2 * size : WINDOW;
	}
	return 0;
}

int filter_newest(struct db *db, const struct filter *filter, uint64_t count, uint64_t last,
	uint64_t *ret_first)
{
	[[gnu::cleanup(spans_done)]] struct spans spans = {};
	uint64_t found = last + 1;

	int r = spans_find(db, filter, 1, last, &spans);
	for (size_t i = spans.count; i > 0 && count > 0 && r == 0; i--)
		r = span_newest(db, filter, spans.at[i - 1], &count, &found);
	if (r < 0)
		return r;
	*ret_first = found;
	return 0;
}
