/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/programs.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

static int compare(const void *one, const void *other)
{
	uint32_t a = ((const struct program_known *)one)->id;
	uint32_t b = ((const struct program_known *)other)->id;

	return (a > b) - (a < b);
}

void programs_done(struct programs *programs)
{
	tdestroy(programs->tree, free);
	programs->tree = NULL;
	programs->count = 0;
}

int programs_add(struct programs *programs, const struct program_known *program)
{
	struct program_known *copy = malloc(sizeof(*copy));
	struct program_known **node;

	if (!copy)
		return -ENOMEM;
	*copy = *program;
	node = tsearch(copy, &programs->tree, compare);
	if (!node) {
		free(copy);
		return -ENOMEM;
	}
	if (*node == copy) {
		programs->count++;
		return 0;
	}
	**node = *program;
	free(copy);
	return 0;
}

struct program_known program_recorded(
	uint32_t id, uint64_t seq, const struct record_program_facts *facts)
{
	return (struct program_known){
		.id = id,
		.load_time_ns = facts->load_time_ns,
		.seq = seq,
		.sha256 = facts->sha256,
		.chain_digest = facts->chain_digest,
		.verdict = facts->verdict,
	};
}

const struct program_known *programs_find(const struct programs *programs, uint32_t id)
{
	struct program_known key = { .id = id };
	struct program_known **node = tfind(&key, &programs->tree, compare);

	return node ? *node : NULL;
}

struct walk {
	int (*fn)(void *arg, const struct program_known *program);
	void *arg;
	int result;
};

static void walk_node(const void *node, VISIT which, void *arg)
{
	struct walk *walk = arg;

	if ((which == postorder || which == leaf) && !walk->result)
		walk->result = walk->fn(walk->arg, *(struct program_known *const *)node);
}

int programs_each(const struct programs *programs,
	int (*fn)(void *arg, const struct program_known *program), void *arg)
{
	struct walk walk = { fn, arg, 0 };

	twalk_r(programs->tree, walk_node, &walk);
	return walk.result;
}

void programs_remove(struct programs *programs, uint32_t id)
{
	struct program_known key = { .id = id };
	struct program_known **node = tfind(&key, &programs->tree, compare);
	struct program_known *program;

	if (!node)
		return;
	program = *node;
	tdelete(&key, &programs->tree, compare);
	programs->count--;
	free(program);
}
