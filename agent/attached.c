/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/attached.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

struct attachment {
	uint64_t ref;
	uint64_t seq;
};

static const uint64_t REF_OF_LINK = 1ULL << 62, REF_OF_KEY = 1ULL << 61;
static const uint64_t SPREAD = 0x9e3779b97f4a7c15; /* odd: no two numbers become one */

/*
 * A link's and a program's number have 31 bits each. Keys differ in few bits, as programs' numbers do: one is
 * spread before it meets the other, so that their differences do not cancel, and again before bits are left out.
 */
uint64_t attached_ref(uint32_t link_id, uint64_t key, uint32_t prog_id)
{
	if (link_id)
		return REF_OF_LINK | (link_id & INT32_MAX) * (1ULL << 31) | (prog_id & INT32_MAX);
	key = (key * SPREAD ^ prog_id) * SPREAD;
	return REF_OF_KEY | key >> 3;
}

static int compare(const void *one, const void *other)
{
	uint64_t a = ((const struct attachment *)one)->ref;
	uint64_t b = ((const struct attachment *)other)->ref;

	return (a > b) - (a < b);
}

void attached_done(struct attached *attached)
{
	tdestroy(attached->tree, free);
	free(attached->ended);
	*attached = (struct attached){};
}

int attached_add(struct attached *attached, uint64_t ref, uint64_t seq)
{
	struct attachment *copy = malloc(sizeof(*copy));
	struct attachment **node;

	if (!copy)
		return -ENOMEM;
	*copy = (struct attachment){ ref, seq };
	node = tsearch(copy, &attached->tree, compare);
	if (!node) {
		free(copy);
		return -ENOMEM;
	}
	if (*node == copy) {
		attached->count++;
		return 0;
	}
	(*node)->seq = seq;
	free(copy);
	return 0;
}

int attached_find(const struct attached *attached, uint64_t ref, uint64_t *ret_seq)
{
	struct attachment key = { .ref = ref };
	struct attachment **node = tfind(&key, &attached->tree, compare);

	if (!node)
		return -ENOENT;
	if (!(*node)->seq)
		return 0;
	*ret_seq = (*node)->seq;
	return 1;
}

int attached_end(struct attached *attached, uint64_t ref)
{
	if (attached->ended_count == attached->ended_room) {
		size_t room = attached->ended_room * 2 + 16;
		uint64_t *grown = reallocarray(attached->ended, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		attached->ended = grown;
		attached->ended_room = room;
	}
	if (attached_add(attached, ref, 0))
		return -ENOMEM;
	attached->ended[attached->ended_count++] = ref;
	return 0;
}

void attached_end_early(struct attached *attached, uint64_t ref)
{
	attached->early[attached->early_next++ % ATTACHED_EARLY_MAX] = ref;
}

bool attached_was_early(struct attached *attached, uint64_t ref)
{
	for (size_t i = 0; i < ATTACHED_EARLY_MAX; i++) {
		if (attached->early[i] != ref)
			continue;
		attached->early[i] = 0;
		return true;
	}
	return false;
}

static void ended_remove(struct attached *attached, uint64_t ref)
{
	struct attachment key = { .ref = ref };
	struct attachment **node = tfind(&key, &attached->tree, compare);
	struct attachment *attachment;

	if (!node || (*node)->seq) /* attached once more */
		return;
	attachment = *node;
	tdelete(&key, &attached->tree, compare);
	attached->count--;
	free(attachment);
}

void attached_settle(struct attached *attached)
{
	while (attached->ended_count)
		ended_remove(attached, attached->ended[--attached->ended_count]);
}
