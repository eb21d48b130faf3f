// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure status */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bank.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/cross.h"
#include "cli/status.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

const char status_help[] =
	"usage: bpfmeasure status [OPTION]...\n"
	"\n"
	"Is this machine being measured, and how far did it get? The daemon says so;\n"
	"where none answers, the log and the PCR tell of the last time.\n"
	"\n"
	"  --cross-check  instead: is a loaded program hidden? What the kernel tells in\n"
	"                 three ways is compared with the log\n"
	"  --json         one object\n"
	"  --socket PATH  the daemon's socket\n"
	"  --db PATH      the log\n"
	"\n"
	"Exit codes: 0 measuring, 1 degraded, 3 stopped or unknown; of --cross-check:\n"
	"0 nothing is hidden, 1 a program is, 3 it could not be found out.\n"
	"\n"
	"example: bpfmeasure status || echo 'not measuring'\n"
	"         bpfmeasure status --json | jq .extended_seq\n";

enum { ANSWER_MAX = 1 << 20 };

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static void buf_freep(char **buf)
{
	free(*buf);
}

/* ---- for people ---- */

enum { ESCAPE_LEN = 4 };

static bool is_plain(char byte)
{
	return byte >= 0x20 && byte <= 0x7e;
}

void status_print_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (is_plain(text[i]))
			putchar(text[i]);
		else
			printf("\\x%02x", (unsigned char)text[i]);
}

static void print_value(const json_t *value)
{
	if (json_is_string(value))
		status_print_text(json_string_value(value), json_string_length(value));
	else if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		putchar('-');
}

enum { LABEL_WIDTH = 10, WIDTH_MAX = 80, WIDTH_MIN = 30, DIGITS_MIN = 9 };

static void print_label(const char *label)
{
	printf("%-*s ", LABEL_WIDTH, label);
}

/* Words behind a label, on as many lines as it takes. */
struct wrap {
	const char *label;
	size_t width;
	size_t column; /* 0: nothing is printed yet */
};

/* As wide as the terminal, but no wider than is good to read. */
static struct wrap wrap_begin(const char *label)
{
	size_t terminal = terminal_width();

	return (struct wrap){
		.label = label,
		.width = !terminal || terminal > WIDTH_MAX ? WIDTH_MAX
			: terminal < WIDTH_MIN             ? WIDTH_MIN
							   : terminal,
	};
}

static void wrap_word(struct wrap *wrap, const char *word, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += is_plain(word[i]) ? 1 : ESCAPE_LEN;
	if (wrap->column == 0 || wrap->column + 1 + width > wrap->width) {
		fputs(wrap->column ? "\n" : "", stdout);
		print_label(wrap->column ? "" : wrap->label);
		wrap->column = LABEL_WIDTH + 1;
	} else {
		putchar(' ');
		wrap->column++;
	}
	status_print_text(word, len);
	wrap->column += width;
}

static void wrap_end(const struct wrap *wrap)
{
	if (wrap->column > 0)
		putchar('\n');
}

/* An array of names. Not where it is absent or empty. */
static void print_names(const char *label, const json_t *names)
{
	struct wrap wrap = wrap_begin(label);
	size_t i;
	json_t *name;

	json_array_foreach(names, i, name)
		wrap_word(&wrap, json_string_value(name), json_string_length(name));
	wrap_end(&wrap);
}

/* A text of several words. */
static void print_words(const char *label, const json_t *text)
{
	struct wrap wrap = wrap_begin(label);
	const char *word = json_string_value(text);

	for (size_t len; word && *word; word += len + strspn(word + len, " ")) {
		len = strcspn(word, " ");
		wrap_word(&wrap, word, len);
	}
	wrap_end(&wrap);
}

/* What is wrong, and what to do about it. */
static void print_faults(const json_t *faults)
{
	size_t i;
	json_t *fault;

	json_array_foreach(faults, i, fault)
	{
		const char *word = json_string_value(json_object_get(fault, "fault"));
		const char *what = json_string_value(json_object_get(fault, "what"));
		[[gnu::cleanup(json_freep)]] json_t *text = json_sprintf(
			"%s: %s", word ? word : "-", what ? what : "-");

		print_words("fault", text);
		print_words("remedy", json_object_get(fault, "remedy"));
	}
}

/* One line of the values named, text between them as it is: "last_seq", ", extended ",
 * "extended_seq". A value that is absent is left out with its text; where the first is, all is. */
static void print_line(const json_t *status, const char *label, const char *const *parts)
{
	if (!json_object_get(status, parts[0]))
		return;
	print_label(label);
	print_value(json_object_get(status, parts[0]));
	for (size_t i = 1; parts[i]; i += parts[i + 1] ? 2 : 1) {
		const json_t *value = parts[i + 1] ? json_object_get(status, parts[i + 1]) : NULL;

		if (value || !parts[i + 1])
			fputs(parts[i], stdout);
		if (value)
			print_value(value);
	}
	putchar('\n');
}

#define LINE(object, label, ...)                                                                   \
	print_line((object), (label), (const char *const[]){ __VA_ARGS__, NULL })

/* On a terminal shortened to fit behind what is printed; --json has all of it. */
static void print_digest(const char *hex, size_t used)
{
	char text[2 * BANK_DIGEST_MAX + 1 + TERMINAL_MARK_MAX];
	size_t terminal = terminal_width(), len = strlen(hex);

	if (len > 2 * BANK_DIGEST_MAX || strspn(hex, "0123456789abcdef") != len) {
		status_print_text(hex, len);
		return;
	}
	terminal_shorten(hex,
		terminal > used + DIGITS_MIN ? terminal - used
			: terminal           ? DIGITS_MIN
					     : 0,
		text);
	fputs(text, stdout);
}

static void print_values(const json_t *status)
{
	const char *bank;
	json_t *value;

	json_object_foreach(json_object_get(status, "values"), bank, value)
	{
		const char *hex = json_string_value(value);

		print_label("PCR");
		print_value(json_object_get(status, "pcr"));
		putchar(' ');
		status_print_text(bank, strlen(bank));
		putchar(' ');
		print_digest(hex ? hex : "-", LABEL_WIDTH + strlen(" 13  ") + strlen(bank));
		putchar('\n');
	}
}

static void print_not_covered(const json_t *texts)
{
	size_t i;
	json_t *text;

	json_array_foreach(texts, i, text) print_words("not covered:", text);
}

static void print_state(const json_t *state)
{
	const char *word = json_string_value(state);
	bool is_good = strcmp(word, "measuring") == 0, is_bad = strcmp(word, "degraded") == 0;

	print_label("state");
	if (is_good || is_bad)
		terminal_paint(is_good ? TABLE_GREEN : TABLE_RED, word);
	else
		print_value(state);
	putchar('\n');
}

static void print_attest(const json_t *attest)
{
	const char *state = json_string_value(json_object_get(attest, "state"));

	if (state && strcmp(state, "serving") == 0 && !json_object_get(attest, "listen"))
		LINE(attest, "attest", "state", ", not on the network");
	else
		LINE(attest, "attest", "state", " on ", "listen", ": ", "why");
}

static void print_status(const json_t *status)
{
	const json_t *faults = json_object_get(status, "faults");

	print_state(json_object_get(status, "state"));
	print_faults(faults);
	if (json_array_size(faults) == 0)
		print_words("why", json_object_get(status, "why"));
	LINE(status, "version", "version");
	print_names("hooks", json_object_get(status, "hooks"));
	print_names("missing", json_object_get(status, "missing"));
	print_names("absent", json_object_get(status, "absent"));
	print_not_covered(json_object_get(status, "not_covered"));
	LINE(json_object_get(status, "tpm"), "TPM", "kind", ", ", "device", ", ", "manufacturer",
		" ", "vendor");
	print_values(status);
	LINE(status, "records", "last_seq", ", extended ", "extended_seq", ", confirmed ",
		"confirmed_seq", ", kept ", "kept_seq", ", the last is ", "last_kind");
	if (json_integer_value(json_object_get(status, "first_seq")) > 1)
		LINE(status, "oldest", "first_seq");
	LINE(status, "programs", "programs");
	LINE(status, "lost", "lost", ", events dropped ", "dropped_events", ", hooks missed ",
		"missed_hooks", ", malformed ", "malformed_events", ", audit failed ",
		"audit_failed");
	LINE(json_object_get(status, "ring"), "ring", "held", " of ", "size", " bytes held");
	print_attest(json_object_get(status, "attest"));
	LINE(status, "log", "log_id", ", epoch since record ", "epoch_seq");
}

/* ---- asking ---- */

json_t *status_ask(const char *path, int *ret_error, char why[static ASK_ERROR_MAX])
{
	const struct ask_request request = { .what = ASK_STATUS };
	[[gnu::cleanup(ask_closep)]] FILE *answer = NULL;
	[[gnu::cleanup(buf_freep)]] char *buf = malloc(ANSWER_MAX);

	*ret_error = -ENOMEM;
	if (!buf)
		return NULL;
	*ret_error = ask(path, &request, STATUS_TIMEOUT_S, &answer, why);
	if (*ret_error < 0)
		return NULL;
	size_t len = fread(buf, 1, ANSWER_MAX, answer);
	json_t *status = json_loadb(buf, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_string(json_object_get(status, "state")))
		return status;
	json_decref(status);
	snprintf(why, ASK_ERROR_MAX, "%s: what answers gives no status", path);
	*ret_error = -EPROTO;
	return NULL;
}

static int exit_code(const json_t *status)
{
	const char *state = json_string_value(json_object_get(status, "state"));

	if (strcmp(state, "measuring") == 0)
		return CLI_GOOD;
	return strcmp(state, "degraded") == 0 ? CLI_UNTRUSTED : CLI_UNKNOWN;
}

static int run(const char *socket_path, const char *db_path, bool json)
{
	char why[ASK_ERROR_MAX] = "";
	int r;
	[[gnu::cleanup(json_freep)]] json_t *status = status_ask(socket_path, &r, why);

	if (!status)
		status = status_without_daemon(
			db_path, r == -ENOENT || r == -ECONNREFUSED ? "stopped" : "unknown", why);
	if (!status)
		return cli_unknown("%s", strerror(ENOMEM));
	if (!json) {
		print_status(status);
		return exit_code(status);
	}
	if (json_dumpf(status, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) < 0 && !ferror(stdout))
		return cli_unknown("%s", strerror(ENOMEM));
	putchar('\n');
	return exit_code(status);
}

const struct verb_option status_options[] = {
	{ "json", 'j', TAKES_NOTHING },
	{ "cross-check", 'c', TAKES_NOTHING },
	{ "socket", 's', TAKES_FILE },
	{ "db", 'd', TAKES_FILE },
	{},
};

int status_main(int argc, char **argv)
{
	const char *socket_path = cli_socket_path(), *db_path = cli_db_path();
	bool json = false, cross = false;
	int option;

	while ((option = verb_next_option(argc, argv, status_options)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'c':
			cross = true;
			break;
		case 's':
			socket_path = optarg;
			break;
		case 'd':
			db_path = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind < argc)
		return cli_usage("\"%s\": status takes options only", argv[optind]);
	return cross ? cross_run(socket_path, db_path, json) : run(socket_path, db_path, json);
}
