/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs below the programs that loaded them, and below each where it is attached now. All of them
 * are in memory until they are printed. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "cli/filter.h"

struct tree;

/* NULL without memory. */
struct tree *tree_new(void);
void tree_free(struct tree *tree);

/* Take a record, in the order of the log: a load or baseline is a branch, an unload marks one, an
 * attach is a leaf until a detach or another boot ends it, others are passed over. Returns 0 or
 * -ENOMEM. */
[[nodiscard]] int tree_add(struct tree *tree, const struct filter_line *line);

/* Returns 0 or -ENOMEM. */
[[nodiscard]] int tree_print(struct tree *tree);

#endif
