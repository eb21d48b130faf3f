// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same functions, registered by a link. */
#define STRUCT_OPS ".struct_ops.link"
#define NAME       "calm_link"
#include "tests/e2e/struct_ops.bpf.c"
