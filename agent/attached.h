/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is attached now: which record says so, so that the record of its end can name it.
 *
 * An attachment is a program at a place; the place is a link, or has the key that the BPF programs
 * gave it (struct event_place). Memory grows with what is attached, never with the log. What an
 * earlier daemon recorded is found in the database by attached_ref(), under which both records are
 * put there: the newest says whether the program is still attached.
 */
#ifndef AGENT_ATTACHED_H
#define AGENT_ATTACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATTACHED_EARLY_MAX = 1024 };

struct attached {
	void *tree;
	size_t count;
	uint64_t *ended; /* whose end is not in the database yet */
	size_t ended_count, ended_room;
	uint64_t early
		[ATTACHED_EARLY_MAX]; /* the last so many that ended before they were told to begin */
	size_t early_next;
};

/* Number of an attachment in this boot; never one of a program (struct log_put). */
uint64_t attached_ref(uint32_t link_id, uint64_t key, uint32_t prog_id);

void attached_done(struct attached *attached);

/* Record seq says that it is attached. Returns 0 or -ENOMEM. */
[[nodiscard]] int attached_add(struct attached *attached, uint64_t ref, uint64_t seq);

/*
 * Whether it is attached, as far as this daemon knows: 1, and ret_seq is the record that says so;
 * 0 where it is not any more; -ENOENT where the database has to be asked.
 */
[[nodiscard]] int attached_find(const struct attached *attached, uint64_t ref, uint64_t *ret_seq);

/* It is not attached any more. Returns 0 or -ENOMEM with nothing changed. */
[[nodiscard]] int attached_end(struct attached *attached, uint64_t ref);

/*
 * Another thread may close a link before the one that made it has told so: its end is remembered until then.
 * attached_was_early() says whether there was one, once.
 */
void attached_end_early(struct attached *attached, uint64_t ref);
bool attached_was_early(struct attached *attached, uint64_t ref);

/* The batch is in the database: of what has ended nothing needs to be remembered. */
void attached_settle(struct attached *attached);

#endif
