/* SPDX-License-Identifier: BSD-2-Clause */
/* A verdict as an object of JSON: what the verbs that judge evidence say in the same words. */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <stdbool.h>

#include "attest/verify.h"
#include "cli/terminal.h"

/* reason and explanation are those of the whole, of which result is a part. */
struct verdict {
	enum verify_verdict verdict;
	const char *reason;
	const char *explanation;
	bool is_fresh; /* freshness was checked; and the channel */
	bool is_bound;
	const struct verify_result *result;
};

/* Facts are there where they are proven, and not otherwise. An object of jansson's, the caller's; NULL
 * without memory. */
struct json_t *verdict_json(const struct verdict *verdict);

enum table_color verdict_color(enum verify_verdict verdict);

/* The exit code of that name. */
int verdict_code(enum verify_verdict verdict);

#endif
