// SPDX-License-Identifier: BSD-2-Clause
#include "cli/cross.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/filter.h"
#include "cli/status.h"
#include "db/db.h"

enum {
	LOOKS = 4, /* that have to agree where the log and the kernel do not */
	TRIES_MAX = 12,
	PAUSE_S = 1, /* the end of a program is known when an RCU grace period is over */
};

/* Where a loaded program has to be: keys of the daemon's answer, and of ours. */
static const char *const views[] = { "iterator", "ids", "fd", "history" };
enum { VIEW_HISTORY = 3, VIEW_COUNT };

static void json_freep(json_t **json)
{
	json_decref(*json);
}

/* ---- the history ---- */

/* What was loaded in this boot and did not end: ids as text, each with its seq, name and load time. */
struct history {
	json_t *programs;
	const char *boot_id;
	uint64_t blind_seq; /* up to here an end may have passed unseen */
	bool has_start; /* of a daemon in this boot */
	bool is_other_boot; /* the epoch looked at last is of another one */
};

static int history_add(struct history *history, const struct filter_line *line)
{
	struct record_program_facts facts;
	char id[24], name[FIELD_MAX] = "";

	record_program_facts(line->line, line->len, &facts);
	if (!facts.program_id)
		return 0;
	field_text(line->line, line->len, "program.name", name);
	snprintf(id, sizeof(id), "%" PRIu64, facts.program_id);
	return json_object_set_new(history->programs, id,
		json_pack("{s:I, s:s, s:I}", "seq", (json_int_t)line->head.seq, "name", name,
			"load_time_ns", (json_int_t)facts.load_time_ns));
}

static void history_end(struct history *history, const struct filter_line *line)
{
	uint64_t program_id = 0;
	char id[24];

	field_uint(line->line, line->len, "program.id", &program_id);
	snprintf(id, sizeof(id), "%" PRIu64, program_id);
	json_object_del(history->programs, id);
}

static int history_line(void *arg, const struct filter_line *line)
{
	struct history *history = arg;
	char what[FIELD_MAX] = "";

	if (line->error)
		return 0; /* `bpfmeasure audit` finds that */
	switch (line->head.kind) {
	case RECORD_BASELINE:
	case RECORD_LOAD:
		return history_add(history, line) ? -ENOMEM : 0;
	case RECORD_UNLOAD:
		history_end(history, line);
		break;
	case RECORD_LOST: /* among the events that are lost may be ends */
		if (field_text(line->line, line->len, "what", what) && strcmp(what, "loads") != 0 &&
			strcmp(what, "attachments") != 0)
			history->blind_seq = line->head.seq;
		break;
	case RECORD_START: /* nobody watched while the hooks were not there */
		if (history->has_start && !field_bool(line->line, line->len, "kept_measuring"))
			history->blind_seq = line->head.seq;
		history->has_start = true;
		break;
	default:
		break;
	}
	return 0;
}

static int epoch_line(void *arg, const struct filter_line *line)
{
	struct history *history = arg;
	struct record_epoch_facts facts;

	if (line->error)
		return 0;
	record_epoch_facts(line->line, line->len, &facts);
	history->is_other_boot = strcmp(facts.boot_id, history->boot_id) != 0;
	return 0;
}

/* Where this boot begins: its first epoch, or the beginning of a log that was trimmed since. */
static int boot_begin(struct db *db, struct history *history, uint64_t last, uint64_t *ret_first)
{
	struct filter filter = filter_any();
	uint64_t first = 1, at = last, seq = 0;
	int r = 0;

	filter.kind = "epoch";
	while (r == 0 && at > 0) {
		r = filter_newest(db, &filter, 1, at, &seq);
		if (r < 0 || seq > at)
			break;
		r = filter_each(db, &filter, seq, seq, epoch_line, history);
		if (history->is_other_boot)
			break;
		first = seq;
		at = seq - 1;
	}
	*ret_first = first;
	return r;
}

static int history_read(struct db *db, struct history *history, uint64_t last)
{
	const struct filter filter = filter_any();
	uint64_t first = 0;
	int r = boot_begin(db, history, last, &first);

	return r < 0 ? r : filter_each(db, &filter, first, last, history_line, history);
}

/* ---- one look ---- */

struct look {
	const char *socket_path;
	struct db *db;
	json_t *loaded; /* what the daemon says: docs/format.md, "Programs loaded now" */
	json_t *hidden; /* programs that some of the kernel's views have and some lack, one object each */
	json_t *suspect; /* programs that the log and the kernel do not agree on, likewise */
	json_t *ended; /* programs whose end passed unseen, likewise */
	size_t programs;
	size_t refused; /* answers: that of one who may not ask */
	char why[ASK_ERROR_MAX]; /* there was none */
};

static void look_done(struct look *look)
{
	json_decref(look->loaded);
	json_decref(look->hidden);
	json_decref(look->suspect);
	json_decref(look->ended);
}

static json_t *ask_loaded(struct look *look)
{
	const struct ask_request request = { .what = ASK_LOADED };
	[[gnu::cleanup(ask_closep)]] FILE *answer = NULL;

	if (ask(look->socket_path, &request, STATUS_TIMEOUT_S, &answer, look->why) < 0)
		return NULL;
	json_t *loaded = json_loadf(answer, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_string(json_object_get(loaded, "boot_id")) &&
		json_is_integer(json_object_get(loaded, "last_seq")) &&
		json_is_array(json_object_get(loaded, "programs")))
		return loaded;
	json_decref(loaded);
	snprintf(look->why, sizeof(look->why), "%s: what answers does not tell what is loaded",
		look->socket_path);
	return NULL;
}

static int append(json_t *array, json_t *object)
{
	return json_array_append_new(array, object) ? -ENOMEM : 0;
}

/*
 * A program that the kernel has: all of its own views should show it, and so should the log. Where some of
 * its own do and some do not, the daemon has made sure; a record may be under way.
 */
static int compare_loaded(struct look *look, struct history *history, json_t *program)
{
	json_int_t id = json_integer_value(json_object_get(program, "id"));
	unsigned shown = 0, lacking = 0;
	char key[24];

	snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, id);
	json_t *record = json_object_get(history->programs, key);
	bool is_recorded = record &&
		json_equal(json_object_get(record, "load_time_ns"),
			json_object_get(program, "load_time_ns"));
	json_object_set_new(program, views[VIEW_HISTORY], json_boolean(is_recorded));
	if (is_recorded)
		json_object_set(program, "seq", json_object_get(record, "seq"));
	json_object_del(history->programs, key);
	for (size_t i = 0; i < VIEW_HISTORY; i++) {
		const json_t *is_shown = json_object_get(program, views[i]);

		shown += json_is_true(is_shown);
		lacking += !json_is_true(is_shown) && !json_is_null(is_shown);
		look->refused += json_is_null(is_shown);
	}
	if (shown > 0 && lacking > 0)
		return append(look->hidden, json_incref(program));
	return is_recorded ? 0 : append(look->suspect, json_incref(program));
}

/* Programs that only the log has. */
static int compare_rest(struct look *look, const struct history *history)
{
	const char *id;
	json_t *record;
	int r = 0;

	json_object_foreach(history->programs, id, record)
	{
		uint64_t seq = (uint64_t)json_integer_value(json_object_get(record, "seq"));
		uint64_t number = 0;

		if (!cli_number(id, &number))
			continue;
		json_object_set_new(record, "id", json_integer((json_int_t)number));
		for (size_t i = 0; i < VIEW_COUNT; i++)
			json_object_set_new(record, views[i], json_boolean(i == VIEW_HISTORY));
		r = append(seq < history->blind_seq ? look->ended : look->suspect,
			json_incref(record));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Returns 0, and look has what was seen; 1 where it could not be found out, and why; -ENOMEM; an error
 * of db/db.h. */
static int look_once(struct look *look)
{
	[[gnu::cleanup(json_freep)]] json_t *programs = json_object();
	struct history history = { .programs = programs };
	json_t *program;
	size_t i;
	int r;

	look->loaded = ask_loaded(look);
	if (!look->loaded)
		return 1;
	look->hidden = json_array();
	look->suspect = json_array();
	look->ended = json_array();
	history.boot_id = json_string_value(json_object_get(look->loaded, "boot_id"));
	r = history_read(look->db, &history,
		(uint64_t)json_integer_value(json_object_get(look->loaded, "last_seq")));
	look->programs = json_array_size(json_object_get(look->loaded, "programs"));
	json_array_foreach(json_object_get(look->loaded, "programs"), i, program) if (r == 0)
		r = compare_loaded(look, &history, program);
	return r == 0 ? compare_rest(look, &history) : r;
}

/* ---- several ---- */

static bool has(const json_t *array, const json_t *program)
{
	size_t i;
	json_t *other;

	json_array_foreach(array, i, other) if (json_equal(json_object_get(other, "id"),
							json_object_get(program, "id")) &&
		json_equal(json_object_get(other, "load_time_ns"),
			json_object_get(program, "load_time_ns"))) return true;
	return false;
}

/* Those of programs that were there before as well. */
static void keep_common(json_t *programs, const json_t *before)
{
	for (size_t i = json_array_size(programs); i-- > 0;)
		if (!has(before, json_array_get(programs, i)))
			json_array_remove(programs, i);
}

/* And those that are there no more. Returns 0 or -ENOMEM. */
static int add_missing(json_t *programs, const json_t *before)
{
	size_t i;
	json_t *program;
	int r = 0;

	json_array_foreach(before, i, program) if (r == 0 && !has(programs, program))
		r = append(programs, json_incref(program));
	return r;
}

/* What was hidden at one look is, and stays so; what was suspect at LOOKS of them is hidden too. Returns as
 * look_once(). */
static int look_until_sure(struct look *look)
{
	struct look next;
	unsigned looks = 0;
	int r = 1;

	for (unsigned i = 0; i < TRIES_MAX && looks < LOOKS; i++) {
		next = (struct look){ .socket_path = look->socket_path, .db = look->db };
		if (i > 0)
			sleep(PAUSE_S);
		r = look_once(&next);
		if (r == 0 && looks++ > 0) {
			keep_common(next.suspect, look->suspect);
			r = add_missing(next.hidden, look->hidden);
		}
		if (r != 0) {
			look_done(&next);
			memcpy(look->why, next.why, sizeof(look->why));
			if (r < 0 || looks == 0)
				return r;
			continue;
		}
		look_done(look);
		*look = next;
		if (json_array_size(look->suspect) == 0)
			return 0;
	}
	if (looks == LOOKS)
		return add_missing(look->hidden, look->suspect);
	return json_array_size(look->hidden) > 0 ? 0 : r;
}

/* ---- what was found ---- */

static void print_views(const json_t *program, const char *label, bool shown)
{
	const char *between = "";

	fputs(label, stdout);
	for (size_t i = 0; i < VIEW_COUNT; i++)
		if (json_is_boolean(json_object_get(program, views[i])) &&
			json_is_true(json_object_get(program, views[i])) == shown) {
			printf("%s%s", between, views[i]);
			between = ", ";
		}
}

static void print_hidden(const json_t *program)
{
	const json_t *name = json_object_get(program, "name");
	const json_t *seq = json_object_get(program, "seq");

	printf("%-10s id %" JSON_INTEGER_FORMAT " ", "hidden",
		json_integer_value(json_object_get(program, "id")));
	status_print_text(json_string_value(name), json_string_length(name));
	if (seq)
		printf(", record %" JSON_INTEGER_FORMAT, json_integer_value(seq));
	print_views(program, ": shown by ", true);
	print_views(program, "; not by ", false);
	putchar('\n');
}

static void print_text(const struct look *look)
{
	json_t *program;
	size_t i;

	printf("%-10s %s\n", "verdict", json_array_size(look->hidden) ? "hidden" : "agree");
	printf("%-10s %zu\n", "programs", look->programs);
	json_array_foreach(look->hidden, i, program)
	{
		print_hidden(program);
	}
	if (json_array_size(look->ended) > 0)
		printf("%-10s %zu of the history, unseen: events were lost, or the hooks were not there "
		       "(--json names them)\n",
			"ended", json_array_size(look->ended));
}

static int print_json(const struct look *look)
{
	[[gnu::cleanup(json_freep)]] json_t *object = json_pack("{s:s, s:I, s:O, s:O, s:O}",
		"verdict", json_array_size(look->hidden) ? "hidden" : "agree", "programs",
		(json_int_t)look->programs, "last_seq", json_object_get(look->loaded, "last_seq"),
		"hidden", look->hidden, "ended_unseen", look->ended);

	if (!object ||
		(json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) < 0 &&
			!ferror(stdout)))
		return cli_unknown("%s", strerror(ENOMEM));
	putchar('\n');
	return CLI_GOOD;
}

int cross_run(const char *socket_path, const char *db_path, bool json)
{
	[[gnu::cleanup(db_freep)]] struct db *db = NULL;
	[[gnu::cleanup(look_done)]] struct look look = { .socket_path = socket_path };
	int code = cli_db_open(db_path, &db);

	if (code != CLI_GOOD)
		return code;
	look.db = db;
	int r = look_until_sure(&look);
	if (r > 0)
		return cli_unknown("%s", look.why);
	if (r == 0 && look.refused > 0 && json_array_size(look.hidden) == 0)
		return cli_unknown("the kernel does not let the daemon open %zu of the programs",
			look.refused);
	if (r == -ENOMEM)
		return cli_unknown("%s", strerror(ENOMEM));
	if (r < 0)
		return cli_db_fail(db, r);
	if (!json)
		print_text(&look);
	code = json ? print_json(&look) : CLI_GOOD;
	return code == CLI_GOOD && json_array_size(look.hidden) ? CLI_UNTRUSTED : code;
}
