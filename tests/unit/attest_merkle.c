/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/merkle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_hash(const struct merkle_hash *hash, const char *hex)
{
	char text[2 * SHA256_LEN + 1];

	for (size_t i = 0; i < SHA256_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", hash->sha256[i]);
	assert_string_equal(text, hex);
}

/* Leaf i has the data i, four bytes, big-endian. */
static struct merkle_hash *number_leaves(size_t count)
{
	struct merkle_hash *leaves = calloc(count, sizeof(*leaves));

	assert_non_null(leaves);
	for (size_t i = 0; i < count; i++) {
		uint8_t data[4] = { 0, 0, (uint8_t)(i >> 8), (uint8_t)i };
		assert_int_equal(merkle_leaf(data, sizeof(data), &leaves[i]), 0);
	}
	return leaves;
}

/* The inputs and roots of the Certificate Transparency test suite for RFC 6962, whose tree is that
 * of RFC 9162. */
static void roots_are_those_of_certificate_transparency(void **state)
{
	static const struct {
		size_t len;
		const char *data;
		const char *root; /* of the tree up to this leaf */
	} known[] = {
		{ 0, "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
		{ 1, "\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
		{ 1, "\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
		{ 2, "\x20\x21",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ 2, "\x30\x31",
			"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
		{ 4, "\x40\x41\x42\x43",
			"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
		{ 8, "\x50\x51\x52\x53\x54\x55\x56\x57",
			"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
		{ 16, "`abcdefghijklmno",
			"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
	};
	enum { COUNT = sizeof(known) / sizeof(known[0]) };
	struct merkle_hash leaves[COUNT];
	struct merkle tree;

	(void)state;
	for (size_t n = 0; n < COUNT; n++) {
		assert_int_equal(merkle_leaf(known[n].data, known[n].len, &leaves[n]), 0);
		assert_int_equal(merkle_init(&tree, leaves, n + 1), 0);
		assert_hash(merkle_root(&tree), known[n].root);
		merkle_done(&tree);
	}
}

/* Made with a Python of a dozen lines that follows the recursion of RFC 9162, 2.1.1. */
static void large_roots_are_those_of_the_definition(void **state)
{
	struct merkle_hash *leaves = number_leaves(10000);
	struct merkle tree;

	(void)state;
	assert_int_equal(merkle_init(&tree, leaves, 1000), 0);
	assert_hash(merkle_root(&tree),
		"ed58fe22105717ceedf760a43eedfb173a60c44ef40fd61b6cd86bd4ebb59b61");
	merkle_done(&tree);
	assert_int_equal(merkle_init(&tree, leaves, 10000), 0);
	assert_hash(merkle_root(&tree),
		"b876e493732f46556b9c61c2e904aa61a1a59149743673365d545a6a0c5dff17");
	merkle_done(&tree);
	free(leaves);
}

static void leaves_of_challenges_and_of_kept_quotes_differ(void **state)
{
	uint8_t nonce[SHA256_LEN], binding[SHA256_LEN] = { 0 };
	struct merkle_hash leaf;

	(void)state;
	for (size_t i = 0; i < SHA256_LEN; i++)
		nonce[i] = (uint8_t)i;
	assert_int_equal(merkle_leaf_attest(nonce, binding, &leaf), 0);
	assert_hash(&leaf, "a968db3c8a6d07376a56dadb14f2e75e30b863b3e1803756929adf718467995f");
	assert_int_equal(merkle_leaf_kept(nonce, &leaf), 0);
	assert_hash(&leaf, "4827d7ca349f6ae3d5537458ff25023ac1d0bd569a5cdf99ca6efe2121ed3a97");
}

static void check_every_path(size_t count)
{
	struct merkle_hash *leaves = number_leaves(count);
	struct merkle_hash path[MERKLE_PATH_MAX + 1] = { 0 }, root;
	struct merkle tree;

	assert_int_equal(merkle_init(&tree, leaves, count), 0);
	for (size_t i = 0; i < count; i++) {
		size_t len = merkle_path(&tree, i, path);
		assert_int_equal(merkle_path_root(&leaves[i], i, count, path, len, &root), 0);
		assert_memory_equal(&root, merkle_root(&tree), sizeof(root));

		/* A path has one length. */
		assert_int_equal(
			merkle_path_root(&leaves[i], i, count, path, len + 1, &root), -EBADMSG);
		if (len > 0)
			assert_int_equal(
				merkle_path_root(&leaves[i], i, count, path, len - 1, &root),
				-EBADMSG);

		/* And leads to the root from one place only. */
		size_t other = (i + 1) % count;
		if (other != i && !merkle_path_root(&leaves[i], other, count, path, len, &root))
			assert_memory_not_equal(&root, merkle_root(&tree), sizeof(root));
	}
	merkle_done(&tree);
	free(leaves);
}

static void every_path_leads_to_the_root(void **state)
{
	(void)state;
	for (size_t count = 1; count <= 70; count++)
		check_every_path(count);
	check_every_path(1025);
}

static void a_node_is_no_leaf(void **state)
{
	struct merkle_hash *leaves = number_leaves(4);
	struct merkle_hash path[MERKLE_PATH_MAX], node, root;
	struct merkle tree, half;

	(void)state;
	assert_int_equal(merkle_init(&tree, leaves, 4), 0);
	assert_int_equal(merkle_init(&half, leaves, 2), 0);
	/* The node over the first two leaves is on the way, but its data would have to begin with
	 * 0x00. */
	node = *merkle_root(&half);
	assert_int_equal(merkle_path(&tree, 0, path), 2);
	assert_int_equal(merkle_path_root(&node, 0, 4, path + 1, 1, &root), -EBADMSG);
	uint8_t data[2 * SHA256_LEN];
	memcpy(data, leaves, sizeof(data));
	assert_int_equal(merkle_leaf(data, sizeof(data), &node), 0);
	assert_memory_not_equal(&node, merkle_root(&half), sizeof(node));
	merkle_done(&half);
	merkle_done(&tree);
	free(leaves);
}

static void places_outside_the_tree_are_refused(void **state)
{
	struct merkle_hash leaf = { 0 }, path[MERKLE_PATH_MAX] = { 0 }, root;
	struct merkle tree;

	(void)state;
	assert_int_equal(merkle_path_root(&leaf, 0, 0, path, 0, &root), -EBADMSG);
	assert_int_equal(merkle_path_root(&leaf, 1, 1, path, 0, &root), -EBADMSG);
	assert_int_equal(merkle_path_root(&leaf, 0, UINT64_MAX, path, 14, &root), -EBADMSG);
	assert_int_equal(merkle_init(&tree, &leaf, 0), -EINVAL);
	assert_int_equal(merkle_init(&tree, &leaf, MERKLE_LEAVES_MAX + 1), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_are_those_of_certificate_transparency),
		cmocka_unit_test(large_roots_are_those_of_the_definition),
		cmocka_unit_test(leaves_of_challenges_and_of_kept_quotes_differ),
		cmocka_unit_test(every_path_leads_to_the_root),
		cmocka_unit_test(a_node_is_no_leaf),
		cmocka_unit_test(places_outside_the_tree_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
