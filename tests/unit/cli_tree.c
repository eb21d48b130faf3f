/* SPDX-License-Identifier: BSD-2-Clause */
/* What `bpfmeasure log --tree` says is attached now. */
#include "cli/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/record.h"

/* A log and the tree of it, a record at a time. */
struct planted {
	struct tree *tree;
	uint64_t seq;
	char buf[RECORD_LINE_MAX];
	struct line line;
	char printed[8192];
};

static struct record_text text_of(const char *string)
{
	return (struct record_text){ string, string ? strlen(string) : 0 };
}

static struct record_number number(uint64_t value)
{
	return (struct record_number){ value != 0, value };
}

static int plant(void **state)
{
	struct planted *planted = calloc(1, sizeof(*planted));

	assert_non_null(planted);
	line_init(&planted->line, planted->buf, sizeof(planted->buf));
	planted->tree = tree_new();
	assert_non_null(planted->tree);
	*state = planted;
	return 0;
}

static int fell(void **state)
{
	struct planted *planted = *state;

	tree_free(planted->tree);
	free(planted);
	return 0;
}

static struct record_head head(struct planted *planted)
{
	return (struct record_head){ .seq = ++planted->seq, .extend = true };
}

static uint64_t add(struct planted *planted)
{
	struct filter_line line = { .line = planted->buf, .len = planted->line.len };
	struct line_error error;

	assert_int_equal(record_check(line.line, line.len, &line.head, &error), 0);
	assert_int_equal(tree_add(planted->tree, &line), 0);
	return planted->seq;
}

static void add_epoch(struct planted *planted, const char *boot_id)
{
	struct record_epoch epoch = { .banks = 1U << BANK_SHA256, .boot_id = text_of(boot_id) };

	record_encode_epoch(&planted->line, head(planted), &epoch);
	add(planted);
}

static uint64_t add_load(struct planted *planted, uint64_t id)
{
	struct record_load load = { .program = { .id = number(id), .name = text_of("loaded") } };

	record_encode_load(&planted->line, head(planted), &load);
	return add(planted);
}

static uint64_t add_baseline(struct planted *planted, uint64_t id, uint64_t earlier)
{
	struct record_baseline baseline = {
		.program = { .id = number(id), .name = text_of("found") },
		.has_earlier = true,
		.earlier_seq = earlier,
	};

	record_encode_baseline(&planted->line, head(planted), &baseline);
	return add(planted);
}

static void add_unload(struct planted *planted, uint64_t seq)
{
	struct record_unload unload = { .program_seq = seq };

	record_encode_unload(&planted->line, head(planted), &unload);
	add(planted);
}

static uint64_t add_attach(struct planted *planted, uint64_t program, enum record_how how,
	uint64_t link, const char *where)
{
	struct record_attach attach = {
		.program = { .seq = program, .id = number(77) },
		.how = how,
		.place = {
			.link_id = number(link),
			.target = { .type = TARGET_INTERFACE, .name = text_of(where) },
		},
	};

	record_encode_attach(&planted->line, head(planted), &attach);
	return add(planted);
}

static void add_detach(struct planted *planted, uint64_t attach_seq)
{
	struct record_detach detach = { .attach_seq = attach_seq };

	record_encode_detach(&planted->line, head(planted), &detach);
	add(planted);
}

/* What the tree prints, the rows of attachments alone, without blanks at their ends. */
static void assert_attached(struct planted *planted, const char *expected)
{
	char found[8192] = "", line[1024];
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);

	assert_true(file && saved >= 0);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	int r = tree_print(planted->tree);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(r, 0);
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		size_t len = strlen(line);
		char *at = strstr(line, "at interface");

		while (len > 0 && strchr(" \n", line[len - 1]))
			line[--len] = '\0';
		if (at)
			strcat(strcat(found, at), "\n");
	}
	fclose(file);
	for (char *blanks; (blanks = strstr(found, "  ")) != NULL;)
		memmove(blanks, blanks + 1, strlen(blanks));
	assert_string_equal(found, expected);
}

static void a_program_is_shown_where_it_is_attached(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	uint64_t program = add_load(planted, 5);
	add_attach(planted, program, HOW_NEW, 9, "eth0");
	add_attach(planted, program, HOW_BASELINE, 0, "eth1");
	add_detach(planted, add_attach(planted, program, HOW_NEW, 10, "eth2"));
	assert_attached(
		planted, "at interface eth0, link 9 3\nat interface eth1, link, baseline 4\n");
}

static void an_attachment_ends_with_its_program(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	uint64_t program = add_load(planted, 5);
	add_attach(planted, program, HOW_NEW, 9, "eth0");
	add_unload(planted, program);
	assert_attached(planted, "");
}

static void an_attachment_outlives_an_epoch_and_ends_with_its_boot(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	uint64_t program = add_load(planted, 5);
	add_attach(planted, program, HOW_NEW, 9, "eth0");
	add_epoch(planted, "two");
	program = add_load(planted, 6);
	add_attach(planted, program, HOW_NEW, 9, "eth1");
	add_epoch(planted, "two");
	uint64_t again = add_baseline(planted, 6, program);
	add_attach(planted, again, HOW_NEW, 10, "eth2");
	assert_attached(planted, "at interface eth1, link 9 6\nat interface eth2, link 10 9\n");
}

static void an_attachment_ends_with_its_program_in_a_later_epoch(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	uint64_t program = add_load(planted, 5);
	add_attach(planted, program, HOW_NEW, 9, "eth0");
	add_epoch(planted, "one");
	add_unload(planted, add_baseline(planted, 5, program));
	assert_attached(planted, "");
}

static void a_link_is_where_it_was_last(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	uint64_t program = add_load(planted, 5);
	add_attach(planted, program, HOW_NEW, 9, "eth0");
	add_attach(planted, program, HOW_UPDATE, 9, "eth1");
	add_attach(planted, program, HOW_NEW, 0, "eth2");
	add_attach(planted, program, HOW_BASELINE, 0, "eth2");
	assert_attached(
		planted, "at interface eth1, link 9 4\nat interface eth2, link, baseline 6\n");
}

static void a_program_without_a_record_is_shown_where_it_is_attached(void **state)
{
	struct planted *planted = *state;

	add_epoch(planted, "one");
	add_attach(planted, 0, HOW_NEW, 9, "eth0");
	assert_attached(planted, "at interface eth0, link 9 2\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, plant, fell)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_program_is_shown_where_it_is_attached),
		TEST(an_attachment_ends_with_its_program),
		TEST(an_attachment_outlives_an_epoch_and_ends_with_its_boot),
		TEST(an_attachment_ends_with_its_program_in_a_later_epoch),
		TEST(a_link_is_where_it_was_last),
		TEST(a_program_without_a_record_is_shown_where_it_is_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
