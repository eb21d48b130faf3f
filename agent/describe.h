/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what the kernel saw of a load to what its record says. Claims no more than was shown: see
 * signature.h for the part that matters most.
 */
#ifndef AGENT_DESCRIBE_H
#define AGENT_DESCRIBE_H

#include "agent/cms.h"
#include "agent/collect.h"
#include "agent/programs.h"
#include "agent/unit.h"
#include "bpf/probe.h"
#include "bpf/record.h"

/* What describing needs to know of the world; everything is the caller's. */
struct describe {
	const struct probe *probe; /* the kernel's names */
	const struct cms_trust *trust; /* configured certificates; NULL for none */
};

/* A record and the memory that its texts and maps are in. */
struct described {
	struct record_load load;
	struct record_map maps[EVENT_MAPS_MAX];
	char enum_names[EVENT_MAPS_MAX + 2][PROBE_NAME_MAX];
	size_t enum_count;
	char exe[COLLECT_TEXT_MAX];
	char cgroup[COLLECT_TEXT_MAX];
	char unit[UNIT_TEXT_MAX];
	char target[COLLECT_TEXT_MAX];
	struct cms_claims claims;
};

/*
 * Describe a load that has ended, refused ones too: then stage and error are set.
 * parent: the program end.parent_id, NULL where nobody knows it.
 *
 * ret's texts point into it and into load. Returns 0; -EIO when OpenSSL cannot hash; -ENOMEM.
 * described_done() is due either way.
 */
[[nodiscard]] int describe_load(const struct describe *describe, const struct collected_load *load,
	const struct program_known *parent, struct described *ret);
void described_done(struct described *described);

/* Describe a verdict, but for the program. ret's texts point into event and the probe. */
void describe_integrity(const struct describe *describe, const struct event_integrity *event,
	struct record_integrity *ret);

/*
 * Describe where a program runs, or ran. The texts point into memory, which is the caller's, and into
 * event and target (the pieces of its path; NULL for none).
 */
void describe_place(const struct describe *describe, const struct event_place *event,
	const struct collected_bytes *target, struct described *memory, struct record_place *ret);

/* Describe the task of a series that has no load. */
void describe_task(const struct event_task *task, const struct collected_load *series,
	struct described *memory, struct record_loader *ret);

/* Describe a program that was there before. earlier is left to the caller. */
void describe_baseline(const struct describe *describe, const struct event_prog *prog,
	const struct event_map *maps, size_t map_count, struct described *memory,
	struct record_baseline *ret);

#endif
