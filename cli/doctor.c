// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/status.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/when.h"

const char doctor_help[] =
	"usage: bpfmeasure doctor [OPTION]...\n"
	"\n"
	"Is this machine able to be measured, and is all well? Look at the kernel, the\n"
	"hooks, the security modules, the TPM and who else uses its PCR, the log, the\n"
	"clock and the service, and say of each what to do. Nothing is changed. Some of\n"
	"it only root can see: sudo bpfmeasure doctor.\n"
	"\n"
	"  --json         an array of objects: check, state, what, remedy\n"
	"  --root DIR     of the machine whose / is mounted at DIR; the daemon and this\n"
	"                 machine's clock are not asked\n"
	"  --socket PATH  the daemon's socket\n"
	"  --db PATH      the log\n"
	"  --utc          times in UTC; else they are local\n"
	"\n"
	"Each line says ok, note (nothing has to be done), problem, or not seen (it\n"
	"matters, and could not be found out), and below it what to do.\n"
	"Exit codes: 0 no problem, 1 a problem, 3 none seen, but something was not.\n"
	"\n"
	"example: bpfmeasure doctor\n"
	"         bpfmeasure doctor --json | jq -r '.[] | select(.state != \"ok\") | .what'\n";

static const struct {
	const char *name;
	void (*look)(struct doctor *doctor);
} checks[] = {
	{ "kernel", doctor_kernel },
	{ "signatures", doctor_signatures },
	{ "lsm", doctor_lsm },
	{ "lockdown", doctor_lockdown },
	{ "bpf", doctor_bpf },
	{ "audit", doctor_audit },
	{ "tpm", doctor_tpm },
	{ "banks", doctor_banks },
	{ "pcr", doctor_pcr },
	{ "luks", doctor_luks },
	{ "installed", doctor_installed },
	{ "config", doctor_config },
	{ "group", doctor_group },
	{ "daemon", doctor_daemon },
	{ "hooks", doctor_hooks },
	{ "server", doctor_server },
	{ "initramfs", doctor_initramfs },
	{ "log", doctor_log },
	{ "disk", doctor_disk },
	{ "clock", doctor_clock },
};

static const char *const state_words[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_NOTE] = "note",
	[DOCTOR_PROBLEM] = "problem",
	[DOCTOR_NOT_SEEN] = "not seen",
};

const char *doctor_state_word(enum doctor_state state)
{
	return state_words[state];
}

/* ---- what was found ---- */

enum { TEXT_MAX = 2048, ESCAPE_LEN = 4 };

/* Lines and tabs are ours where keep_layout: nothing of the machine's goes into a remedy raw. */
static json_t *plain(const char *text, bool keep_layout)
{
	char out[ESCAPE_LEN * TEXT_MAX + 1], *to = out;

	for (; *text; text++)
		if ((*text >= 0x20 && *text <= 0x7e) ||
			(keep_layout && (*text == '\n' || *text == '\t')))
			*to++ = *text;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
	*to = '\0';
	return json_string(out);
}

void doctor_find(struct doctor *doctor, enum doctor_state state, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_t *finding = json_pack("{s:s, s:s, s:o, s:n}", "check", doctor->check, "state",
		doctor_state_word(state), "what", plain(text, false), "remedy");
	if (!finding || json_array_append_new(doctor->findings, finding) < 0)
		doctor->out_of_memory = true;
}

void doctor_do(struct doctor *doctor, const char *fmt, ...)
{
	json_t *finding = json_array_get(doctor->findings, json_array_size(doctor->findings) - 1);
	const char *before = json_string_value(json_object_get(finding, "remedy"));
	char text[TEXT_MAX];
	va_list args;

	int len = snprintf(text, sizeof(text), "%s%s", before ? before : "", before ? "\n" : "");
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
	va_end(args);
	if (json_object_set_new(finding, "remedy", plain(text, true)) < 0)
		doctor->out_of_memory = true;
}

const char *doctor_word(const char *text, char ret_word[static DOCTOR_QUOTED_MAX])
{
	static const char plain_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789_./:@%+,-";
	char *to = ret_word;

	if (*text == '-') /* an option, in quotes as well */
		return strcpy(ret_word, "NAME");
	if (*text && strspn(text, plain_bytes) == strlen(text) && strlen(text) < DOCTOR_QUOTED_MAX)
		return strcpy(ret_word, text);
	*to++ = '\'';
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e || to - ret_word >= DOCTOR_QUOTED_MAX - 8)
			return strcpy(ret_word, "NAME");
		to = *text == '\'' ? stpcpy(to, "'\\''") : (*to = *text, to + 1);
	}
	strcpy(to, "'");
	return ret_word;
}

void doctor_do_as_root(struct doctor *doctor)
{
	if (geteuid() == 0)
		doctor_do(doctor, "Find out why root may not read it.");
	else
		doctor_do(doctor, "Run it as root:\n\tsudo bpfmeasure doctor");
}

/* ---- for people ---- */

enum { STATE_WIDTH = 8, CHECK_WIDTH = 10, INDENT = STATE_WIDTH + CHECK_WIDTH + 2 };

/* A command is one line, however long: it is there to be copied. */
static void print_remedy(const char *remedy, size_t width)
{
	char line[ESCAPE_LEN * TEXT_MAX + 1];

	for (size_t len; *remedy; remedy += len + (remedy[len] == '\n')) {
		len = strcspn(remedy, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, remedy);
		printf("%*s", INDENT, "");
		if (*line == '\t')
			printf("    %s", line + 1);
		else
			terminal_wrap(line, INDENT, width);
		putchar('\n');
	}
}

static void print_state(const char *state)
{
	static const struct {
		const char *state;
		enum table_color color;
	} known[] = {
		{ "ok", TABLE_GREEN },
		{ "problem", TABLE_RED },
		{ "not seen", TABLE_YELLOW },
	};
	enum table_color color = TABLE_PLAIN;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(state, known[i].state) == 0)
			color = known[i].color;
	terminal_paint(color, state);
	printf("%*s", STATE_WIDTH + 1 - (int)strlen(state), "");
}

static size_t count_of(const struct doctor *doctor, enum doctor_state state)
{
	size_t i, count = 0;
	json_t *finding;

	json_array_foreach(doctor->findings, i, finding)
	{
		const char *word = json_string_value(json_object_get(finding, "state"));

		count += strcmp(word, doctor_state_word(state)) == 0;
	}
	return count;
}

static void print_findings(const struct doctor *doctor)
{
	size_t i, width = terminal_width();
	json_t *finding;

	json_array_foreach(doctor->findings, i, finding)
	{
		const char *what = json_string_value(json_object_get(finding, "what"));
		const char *remedy = json_string_value(json_object_get(finding, "remedy"));

		print_state(json_string_value(json_object_get(finding, "state")));
		printf("%-*s ", CHECK_WIDTH, json_string_value(json_object_get(finding, "check")));
		terminal_wrap(what, INDENT, width);
		putchar('\n');
		if (remedy)
			print_remedy(remedy, width);
	}
	printf("%zu ok", count_of(doctor, DOCTOR_OK));
	for (enum doctor_state state = DOCTOR_NOTE; state <= DOCTOR_NOT_SEEN; state++)
		printf(", %zu %s%s", count_of(doctor, state), doctor_state_word(state),
			state != DOCTOR_NOT_SEEN && count_of(doctor, state) != 1 ? "s" : "");
	putchar('\n');
}

/* ---- looking ---- */

static void look(struct doctor *doctor)
{
	doctor_conf_read(doctor);
	doctor_kernel_read(doctor);
	doctor_log_read(doctor);
	doctor_daemon_find(doctor);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		doctor->check = checks[i].name;
		checks[i].look(doctor);
	}
}

static int say(const struct doctor *doctor, bool json)
{
	if (doctor->out_of_memory)
		return cli_unknown("%s", strerror(ENOMEM));
	if (!json) {
		print_findings(doctor);
	} else {
		if (json_dumpf(doctor->findings, stdout, JSON_COMPACT) < 0 && !ferror(stdout))
			return cli_unknown("%s", strerror(ENOMEM));
		putchar('\n');
	}
	if (count_of(doctor, DOCTOR_PROBLEM) > 0)
		return CLI_UNTRUSTED;
	return count_of(doctor, DOCTOR_NOT_SEEN) > 0 ? CLI_UNKNOWN : CLI_GOOD;
}

static int run(struct doctor *doctor, const char *socket_path, bool json)
{
	doctor->findings = json_array();
	if (!doctor->findings)
		return cli_unknown("%s", strerror(ENOMEM));
	doctor->was_asked = socket_path;
	if (socket_path)
		doctor->status = status_ask(socket_path, &doctor->status_error, doctor->status_why);
	look(doctor);
	int code = say(doctor, json);
	json_decref(doctor->findings);
	json_decref(doctor->status);
	return code;
}

static int run_below(struct doctor *doctor, const char *root, const char *socket_path, bool json)
{
	[[gnu::cleanup(doctor_closep)]] int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat info;

	if (fd < 0)
		return cli_usage("--root \"%s\": %s", root, strerror(errno));
	doctor->root = root;
	doctor->root_fd = fd;
	int r = doctor_stat(doctor, "/", &info);
	if (r < 0)
		return cli_unknown(
			"--root takes openat2(2), which Linux has from 5.6 on: %s", strerror(-r));
	return run(doctor, socket_path, json);
}

const struct verb_option doctor_options[] = {
	{ "json", 'j', TAKES_NOTHING },
	{ "root", 'r', TAKES_FOLDER },
	{ "socket", 's', TAKES_FILE },
	{ "db", 'd', TAKES_FILE },
	{ "utc", 'u', TAKES_NOTHING },
	{},
};

int doctor_main(int argc, char **argv)
{
	struct doctor doctor = { .root = "" };
	const char *root = NULL, *socket_path = NULL;
	bool json = false;
	int option;

	while ((option = verb_next_option(argc, argv, doctor_options)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'r':
			root = optarg;
			break;
		case 's':
			socket_path = optarg;
			break;
		case 'd':
			doctor.db_path = optarg;
			break;
		case 'u':
			when_utc();
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind < argc)
		return cli_usage("\"%s\": doctor takes options only", argv[optind]);
	if (root)
		return run_below(&doctor, root, socket_path, json);
	return run(&doctor, socket_path ? socket_path : cli_socket_path(), json);
}
