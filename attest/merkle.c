/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/merkle.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_LEN = 12 };
static const char label_attest[LABEL_LEN + 1] = "bpfmeasure/1";
static const char label_kept[LABEL_LEN + 1] = "bpfmeasure/k";

int merkle_leaf(const void *data, size_t len, struct merkle_hash *ret_leaf)
{
	uint8_t bytes[1 + MERKLE_DATA_MAX] = { 0x00 };

	if (len > MERKLE_DATA_MAX)
		return -EINVAL;
	if (len)
		memcpy(bytes + 1, data, len);
	return sha256(bytes, 1 + len, ret_leaf->sha256);
}

int merkle_leaf_attest(const uint8_t nonce[static SHA256_LEN],
	const uint8_t binding[static SHA256_LEN], struct merkle_hash *ret_leaf)
{
	uint8_t data[LABEL_LEN + 2 * SHA256_LEN];

	memcpy(data, label_attest, LABEL_LEN);
	memcpy(data + LABEL_LEN, nonce, SHA256_LEN);
	memcpy(data + LABEL_LEN + SHA256_LEN, binding, SHA256_LEN);
	return merkle_leaf(data, sizeof(data), ret_leaf);
}

int merkle_leaf_kept(const uint8_t line_sha256[static SHA256_LEN], struct merkle_hash *ret_leaf)
{
	uint8_t data[LABEL_LEN + SHA256_LEN];

	memcpy(data, label_kept, LABEL_LEN);
	memcpy(data + LABEL_LEN, line_sha256, SHA256_LEN);
	return merkle_leaf(data, sizeof(data), ret_leaf);
}

static int hash_node(const struct merkle_hash *left, const struct merkle_hash *right,
	struct merkle_hash *ret_node)
{
	uint8_t bytes[1 + 2 * SHA256_LEN] = { 0x01 };

	memcpy(bytes + 1, left->sha256, SHA256_LEN);
	memcpy(bytes + 1 + SHA256_LEN, right->sha256, SHA256_LEN);
	return sha256(bytes, sizeof(bytes), ret_node->sha256);
}

/* Nodes of a level over one of count nodes: a last one without a partner moves up as it is, which
 * is the split at the largest power of two in RFC 9162, 2.1.1. */
static size_t level_above(size_t count)
{
	return (count + 1) / 2;
}

static size_t node_count(size_t leaves)
{
	size_t total = leaves;

	for (size_t count = leaves; count > 1; total += count)
		count = level_above(count);
	return total;
}

int merkle_init(struct merkle *tree, const struct merkle_hash *leaves, size_t count)
{
	if (!count || count > MERKLE_LEAVES_MAX)
		return -EINVAL;

	struct merkle_hash *nodes = calloc(node_count(count), sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	memcpy(nodes, leaves, count * sizeof(*nodes));

	struct merkle_hash *level = nodes;
	for (size_t n = count; n > 1; n = level_above(n)) {
		struct merkle_hash *above = level + n;
		for (size_t i = 0; i + 1 < n; i += 2) {
			int err = hash_node(&level[i], &level[i + 1], &above[i / 2]);
			if (err) {
				free(nodes);
				return err;
			}
		}
		if (n % 2)
			above[n / 2] = level[n - 1];
		level = above;
	}

	*tree = (struct merkle){ .count = count, .nodes = nodes };
	return 0;
}

void merkle_done(struct merkle *tree)
{
	free(tree->nodes);
	*tree = (struct merkle){ 0 };
}

const struct merkle_hash *merkle_root(const struct merkle *tree)
{
	return &tree->nodes[node_count(tree->count) - 1];
}

size_t merkle_path(const struct merkle *tree, size_t index,
	struct merkle_hash ret_path[static MERKLE_PATH_MAX])
{
	const struct merkle_hash *level = tree->nodes;
	size_t len = 0;

	assert(index < tree->count);
	for (size_t n = tree->count; n > 1; n = level_above(n)) {
		size_t partner = index ^ 1;
		if (partner < n)
			ret_path[len++] = level[partner];
		level += n;
		index /= 2;
	}
	return len;
}

int merkle_path_root(const struct merkle_hash *leaf, uint64_t index, uint64_t count,
	const struct merkle_hash *path, size_t path_len, struct merkle_hash *ret_root)
{
	if (count > MERKLE_LEAVES_MAX || index >= count)
		return -EBADMSG;

	struct merkle_hash node = *leaf;
	size_t used = 0;
	for (uint64_t last = count - 1; last > 0; index /= 2, last /= 2) {
		bool is_right = index % 2;
		if (!is_right && index == last)
			continue; /* no partner on this level */
		if (used == path_len)
			return -EBADMSG;
		const struct merkle_hash *partner = &path[used++];
		int err = is_right ? hash_node(partner, &node, &node)
				   : hash_node(&node, partner, &node);
		if (err)
			return err;
	}
	if (used != path_len)
		return -EBADMSG;

	*ret_root = node;
	return 0;
}
