/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that a log can be asked, and what is answered, for tests that compare answers. */
#ifndef TESTS_FAULT_ANSWERS_H
#define TESTS_FAULT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"

enum { ANSWERS_MAX = 64 };

/* What is answered to each question, by its digest; an error is an answer. */
struct answers {
	size_t count;
	struct {
		const char *question;
		uint8_t sha256[SHA256_LEN];
	} all[ANSWERS_MAX];
};

/* Ask the log at path for every line, quote and program, by every way to them; with_views: and for
 * every row of every view. Out of memory ends the program. */
void answers_ask(const char *path, bool with_views, struct answers *ret_answers);

/* The question that is answered otherwise, of those that were put to both; or NULL. */
const char *answers_compare(const struct answers *one, const struct answers *other);

#endif
