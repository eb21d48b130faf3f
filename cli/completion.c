// SPDX-License-Identifier: BSD-2-Clause
#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "attest/memory.h"
#include "attest/policy.h"
#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/verbs.h"

/* What does not follow from the table is in files of the shells' own. */
#define SCRIPT(shell)                                                                              \
	[[gnu::visibility("hidden")]] extern const char shell##_script[];                          \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #shell "_script\n" #shell "_script: .incbin \"cli/completion." #shell   \
		"\"\n.byte 0\n"                                                                    \
		".popsection\n")

SCRIPT(bash);
SCRIPT(zsh);

static void print_kinds(void)
{
	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++)
		printf("%s%s", kind ? " " : "", record_kind_name(kind));
}

static void print_policies(void)
{
	const char *name, *text;
	size_t len;

	for (size_t i = 0; (name = policy_shipped(i, &text, &len)); i++)
		printf("%s%s", i ? " " : "", name);
}

/* ---- bash ---- */

/* A word for what can be offered; cli/completion.bash knows what to do about it. */
static const char *bash_takes(enum verb_takes takes)
{
	static const char *const words[] = {
		[TAKES_NOTHING] = "",
		[TAKES_TEXT] = "",
		[TAKES_FILE] = "file",
		[TAKES_FOLDER] = "folder",
		[TAKES_WORD] = "word",
		[TAKES_TIME] = "word",
		[TAKES_KIND] = "word",
		[TAKES_BANK] = "bank",
		[TAKES_POLICY] = "policy",
		[TAKES_MACHINE] = "machine",
		[TAKES_HOST] = "host",
		[TAKES_COMMAND] = "command",
	};
	return words[takes];
}

static void bash_offer(enum verb_takes takes, const char *words)
{
	printf("takes='%s' words='", bash_takes(takes));
	if (takes == TAKES_TIME)
		printf("-1h -1d -1w");
	else if (takes == TAKES_KIND)
		print_kinds();
	else if (takes == TAKES_POLICY)
		print_policies();
	else if (words)
		fputs(words, stdout);
	putchar('\'');
}

static void bash_option_name(const struct verb_option *option, const char *between)
{
	if (option->has_letter)
		printf("-%c%s", option->value, between);
	printf("--%s", option->name);
}

static void bash_verb(const struct verb *verb)
{
	printf("\t%s)\n\t\t", verb->name);
	bash_offer(verb->argument, NULL);
	printf("\n\t\toptions='");
	for (const struct verb_option *option = verb->options; option->name; option++) {
		bash_option_name(option, " ");
		putchar(' ');
	}
	printf("--help'\n\t\tcase $2 in\n");
	for (const struct verb_option *option = verb->options; option->name; option++) {
		if (option->takes == TAKES_NOTHING)
			continue;
		printf("\t\t");
		bash_option_name(option, " | ");
		printf(") options='' ");
		bash_offer(option->takes, option->words);
		printf(" ;;\n");
	}
	printf("\t\tesac\n\t\t;;\n");
}

static void bash(void)
{
	printf("# bash completion of bpfmeasure(1), by bpfmeasure --completion bash\n"
	       "# shellcheck shell=bash disable=SC2034\n"
	       "\n"
	       "_bpfmeasure_table()\n"
	       "{\n"
	       "\tcase $1 in\n"
	       "\t'')\n"
	       "\t\ttakes='word' words='");
	for (const struct verb *verb = verbs; verb->name; verb++)
		printf("%s%s", verb == verbs ? "" : " ", verb->name);
	printf("'\n"
	       "\t\toptions='--help --version --completion'\n"
	       "\t\t;;\n"
	       "\t--completion)\n"
	       "\t\ttakes='word' words='bash zsh machines'\n"
	       "\t\t;;\n");
	for (const struct verb *verb = verbs; verb->name; verb++)
		bash_verb(verb);
	printf("\tesac\n"
	       "}\n"
	       "\n");
	fputs(bash_script, stdout);
}

/* ---- zsh ---- */

/* In a specification of _arguments, within single quotes. */
static void zsh_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'')
			fputs("'\\'", stdout);
		else if (strchr("[]:\\", text[i]))
			putchar('\\');
		putchar(text[i]);
	}
}

/* What --help says of an option: on the line that has it, behind two blanks. */
static void zsh_description(const struct verb *verb, const struct verb_option *option)
{
	char dashed[64];
	size_t len = (size_t)snprintf(dashed, sizeof(dashed), "--%s", option->name);

	for (const char *line = verb->help, *end; *line; line = end + 1) {
		end = strchrnul(line, '\n');
		const char *at = strstr(line, dashed);
		const char *text = at ? memmem(at, (size_t)(end - line), "  ", 2) : NULL;

		if (strncmp(line, "  -", 3) == 0 && at && at < end && strchr(" ,\n", at[len]) &&
			text && text < end) {
			text += strspn(text, " ");
			putchar('[');
			zsh_text(text, (size_t)(end - text));
			putchar(']');
			return;
		}
		if (!*end)
			return;
	}
}

/* The end of a specification: a message, and what is offered. */
static void zsh_offer(enum verb_takes takes, const char *words)
{
	static const char *const actions[] = {
		[TAKES_TEXT] = ":value: ",
		[TAKES_FILE] = ":file:_files",
		[TAKES_FOLDER] = ":folder:_files -/",
		[TAKES_TIME] = ":time:(-1h -1d -1w)",
		[TAKES_BANK] = ":BANK\\:HEX:compadd -S \\: sha1 sha256 sha384 sha512",
		[TAKES_MACHINE] = ":machine:_bpfmeasure_machines",
		[TAKES_HOST] = ":host:_hosts",
		[TAKES_COMMAND] = ":command:_cmdstring",
	};

	if (takes == TAKES_WORD) {
		printf(":word:(%s)", words);
	} else if (takes == TAKES_KIND) {
		printf(":kind:(");
		print_kinds();
		putchar(')');
	} else if (takes == TAKES_POLICY) {
		printf(":policy:_bpfmeasure_policies");
	} else if (takes != TAKES_NOTHING) {
		fputs(actions[takes], stdout);
	}
}

static void zsh_verb(const struct verb *verb)
{
	printf("\t%s)\n\t\t_arguments -S \\\n", verb->name);
	for (const struct verb_option *option = verb->options; option->name; option++) {
		for (int is_letter = 0; is_letter <= option->has_letter; is_letter++) {
			if (is_letter)
				printf("\t\t\t'*-%c", option->value);
			else
				printf("\t\t\t'*--%s%s", option->name,
					option->takes == TAKES_NOTHING ? "" : "=");
			zsh_description(verb, option);
			zsh_offer(option->takes, option->words);
			printf("' \\\n");
		}
	}
	printf("\t\t\t'(- *)--help[options and an example]'");
	if (verb->argument != TAKES_NOTHING) {
		printf(" \\\n\t\t\t'*");
		zsh_offer(verb->argument, NULL);
		putchar('\'');
	}
	printf("\n\t\t;;\n");
}

static void zsh(void)
{
	printf("#compdef bpfmeasure\n"
	       "# zsh completion of bpfmeasure(1), by bpfmeasure --completion zsh\n"
	       "\n"
	       "_bpfmeasure_policy_names='");
	print_policies();
	printf("'\n"
	       "\n"
	       "_bpfmeasure_verbs()\n"
	       "{\n"
	       "\tverbs=(\n");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t\t'%s:", verb->name);
		zsh_text(verb->summary, strlen(verb->summary));
		printf("'\n");
	}
	printf("\t)\n"
	       "}\n"
	       "\n"
	       "_bpfmeasure_verb()\n"
	       "{\n"
	       "\tcase $1 in\n");
	for (const struct verb *verb = verbs; verb->name; verb++)
		zsh_verb(verb);
	printf("\tesac\n"
	       "}\n"
	       "\n");
	fputs(zsh_script, stdout);
}

/* ---- what is asked for meanwhile ---- */

static int print_machine(void *, const struct machine *machine)
{
	puts(machine->name);
	return 0;
}

static int machines(void)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;

	if (cli_memory_open_if_there(&memory))
		return CLI_GOOD;
	int err = memory_machines_each(memory, print_machine, NULL);
	return err ? cli_memory_fail(memory, err) : CLI_GOOD;
}

int completion_print(const char *word)
{
	if (strcmp(word, "machines") == 0)
		return machines();
	if (strcmp(word, "bash") == 0)
		bash();
	else if (strcmp(word, "zsh") == 0)
		zsh();
	else
		return cli_usage("--completion takes bash, zsh or machines");
	return CLI_GOOD;
}
