/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree that lets one quote answer many challenges: its leaves are the waiting challenges, its
 * root is the quote's qualifying data, and each challenger is handed the path from its own leaf.
 *
 * RFC 9162, 2.1 "Merkle Trees": SHA-256; a leaf is H(0x00 || data), a node is
 * H(0x01 || left || right).
 */
#ifndef ATTEST_MERKLE_H
#define ATTEST_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"

enum {
	MERKLE_PATH_MAX = 14,
	MERKLE_LEAVES_MAX = 1 << MERKLE_PATH_MAX,
};

/* One hash of the tree: of a leaf or of a node. */
struct merkle_hash {
	uint8_t sha256[SHA256_LEN];
};

/*
 * The leaf of a challenge. Its data are the 12 bytes "bpfmeasure/1", the nonce and the binding: the
 * TLS exporter value of the challenger's channel (RFC 9266), zeros on the local socket.
 *
 * The leaf of a quote that the daemon takes for itself is of another kind, so that neither can pass
 * for the other: the 12 bytes "bpfmeasure/k" and the sha256 of the last line that the quote covers.
 *
 * Both return 0, or -EIO when OpenSSL refuses.
 */
[[nodiscard]] int merkle_leaf_attest(const uint8_t nonce[static SHA256_LEN],
	const uint8_t binding[static SHA256_LEN], struct merkle_hash *ret_leaf);
[[nodiscard]] int merkle_leaf_kept(
	const uint8_t line_sha256[static SHA256_LEN], struct merkle_hash *ret_leaf);

/* H(0x00 || data), data at most MERKLE_DATA_MAX bytes. Returns 0; -EINVAL or -EIO. */
enum { MERKLE_DATA_MAX = 128 };
[[nodiscard]] int merkle_leaf(const void *data, size_t len, struct merkle_hash *ret_leaf);

/* A whole tree, every node of it: paths cost no hashing. */
struct merkle {
	size_t count; /* of leaves */
	struct merkle_hash *nodes; /* the leaves, the level above them, ..., the root */
};

/*
 * Build the tree over 1...MERKLE_LEAVES_MAX leaves, which are copied.
 *
 * Returns 0, and merkle_done() is due; -EINVAL for another count, -ENOMEM, -EIO.
 */
[[nodiscard]] int merkle_init(struct merkle *tree, const struct merkle_hash *leaves, size_t count);

/* Of a tree that merkle_init() has made, or of zeros. */
void merkle_done(struct merkle *tree);

const struct merkle_hash *merkle_root(const struct merkle *tree);

/* The path of leaf index (below count), bottom up. Returns its length. */
size_t merkle_path(const struct merkle *tree, size_t index,
	struct merkle_hash ret_path[static MERKLE_PATH_MAX]);

/*
 * The root that a path leads to from leaf index of count. Nothing is proven until the caller has
 * compared it with a root that it trusts.
 *
 * Returns 0; -EBADMSG if index and count do not ask for a path of exactly this length, or count is
 * above MERKLE_LEAVES_MAX; -EIO.
 *
 * RFC 9162, 2.1.3.2 "Verifying an Inclusion Proof".
 */
[[nodiscard]] int merkle_path_root(const struct merkle_hash *leaf, uint64_t index, uint64_t count,
	const struct merkle_hash *path, size_t path_len, struct merkle_hash *ret_root);

#endif
