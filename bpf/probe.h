/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our BPF programs in this kernel: which hooks it has, attaching and pinning them, what was loaded
 * before, and the canaries that show that a hook fires.
 *
 * Links, ring and state are pinned below PROBE_PIN_DIR in a directory named after the event layout
 * and the sha256 of the BPF object, so they go on recording while no daemon runs, and the next
 * daemon of the same build takes them over as they are. Everything here needs root (CAP_BPF,
 * CAP_PERFMON, CAP_SYS_ADMIN for the pins).
 */
#ifndef BPF_PROBE_H
#define BPF_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"

#define PROBE_PIN_DIR "/sys/fs/bpf/bpfmeasure"

struct probe;

/* NULL without memory. */
struct probe *probe_new(void);
void probe_free(struct probe *probe); /* the hooks stay attached: they are pinned */
void probe_freep(struct probe **probe);

/* Why the last call failed, for people; never NULL. */
const char *probe_errmsg(const struct probe *probe);

struct probe_options {
	size_t ring_size; /* power of two */
	uint64_t map_content_max;
	uint64_t exe_hash_max;
};

/*
 * Take over the pinned hooks of this build, or attach and pin new ones; then pins of other builds
 * are removed. probe_was_pinned() tells which it was. Of the options ring_size is for new hooks only. Pins
 * from which somebody removed a hook are not taken over.
 *
 * Returns 0; -EBUSY where another process has the hooks; -EPERM where the kernel or its policy refuses tracing or LSM programs; -EOPNOTSUPP
 * where it lacks BTF or a hook that a load cannot be followed without; another negative errno.
 */
[[nodiscard]] int probe_attach(struct probe *probe, const struct probe_options *options);
bool probe_was_pinned(const struct probe *probe);

/* Whether there are pins, of whichever build: then hooks may be attached. */
bool probe_is_pinned(void);

/* Whether hooks of another build were replaced, and what they had counted when they were: loads
 * that they saw and nobody read are lost. */
bool probe_replaced(const struct probe *probe, struct event_state *ret_state);

/*
 * The program ids that were given while the hooks were being attached, by whichever process, to ours and to
 * libbpf's trials: none of them is a load that somebody hid. Returns whether they are known.
 */
bool probe_own_ids(const struct probe *probe, uint32_t *ret_first, uint32_t *ret_last);

/* Whether that id is of one of the hooks themselves: a program that a pinned link of ours holds. */
bool probe_is_own(const struct probe *probe, uint32_t id);

/* Detach every hook of every build: the kernel is as if we had never been there. */
[[nodiscard]] int probe_detach(struct probe *probe);

/* Hooks that cannot be tried without doing something to the machine: that they are attached is all that
 * is known of them. */
enum {
	PROBE_UNTRIED = 1U << HOOK_CGROUP | 1U << HOOK_MPROG | 1U << HOOK_PROG_ATTACH |
		1U << HOOK_TC | 1U << HOOK_STRUCT_OPS,
};

/* Bits of enum event_hook: what is attached, and what this kernel can have. */
unsigned probe_attached(const struct probe *probe);
unsigned probe_wanted(const struct probe *probe);

/* Bits of enum event_hook: what every kernel should have, and what this one has besides. A hook of these that
 * is not in use is missing. */
unsigned probe_expected(const struct probe *probe);

/* The hook's program type and kernel function, "fexit/bpf_prog_load". */
const char *probe_hook_name(const struct probe *probe, enum event_hook hook);

/* The ring's map and its size; the state that the programs share with us, mapped writable. */
int probe_ring_fd(const struct probe *probe);
size_t probe_ring_size(const struct probe *probe);
struct event_state *probe_state(const struct probe *probe);

/*
 * The EVENT_ENDs that the ring had no room for: the one after the load after_load (0: the first), in
 * no order. It stays in the kernel until probe_end_drop(), which is due once it is kept elsewhere:
 * a caller that dies in between meets it again.
 *
 * Both return a negative errno; else probe_end_next() 1, or 0 when there is no other,
 * probe_end_drop() 0.
 */
[[nodiscard]] int probe_end_next(
	struct probe *probe, uint64_t after_load, struct event_end *ret_end);
[[nodiscard]] int probe_end_drop(struct probe *probe, uint64_t load);

/*
 * Whether the pins are those that were made or taken over, and what is shared through them makes
 * sense. Cheap: for once a second.
 *
 * Returns 0; -ESTALE where a pin is gone or another: the hook may be detached; -EUCLEAN where
 * somebody else wrote to the state.
 */
[[nodiscard]] int probe_check(struct probe *probe);

/*
 * How often the kernel has passed by each of our hooks since they were attached: it does where a CPU has
 * preempted another task in the middle of the same program. A hook that is there twice is counted for each:
 * what one passes by, the other sees.
 *
 * attachments  what was attached or detached, or perhaps something else, and was not seen: so many at most.
 *
 * Returns 0 or a negative errno.
 */
struct probe_missed {
	uint64_t hooks[HOOK_COUNT];
	uint64_t attachments;
};
[[nodiscard]] int probe_missed(struct probe *probe, struct probe_missed *ret_missed);

/* The lowest id above after_id of a program that is loaded. Returns 0, -ENOENT or another error. */
[[nodiscard]] int probe_next_id(struct probe *probe, uint32_t after_id, uint32_t *ret_id);

/*
 * What bpf(2) says of the program with this id: opened by it, and asked. Name with NULs behind it.
 *
 * Returns 0; -ENOENT where no program that is not being freed has it; another negative errno, -EPERM
 * where an LSM refuses.
 */
[[nodiscard]] int probe_program_get(struct probe *probe, uint32_t id, uint64_t *ret_load_time_ns,
	uint8_t ret_name[static EVENT_NAME_LEN]);

/*
 * Every program loaded now, with its maps (contents not included).
 *
 * fn returns 0, or a negative errno that ends the walk and is returned.
 */
typedef int probe_baseline_fn(
	void *arg, const struct event_prog *prog, const struct event_map *maps, size_t map_count);
[[nodiscard]] int probe_baseline(struct probe *probe, probe_baseline_fn *fn, void *arg);

/*
 * Every link of the kernel, as an attachment with ACTION_FOUND, and the names of its path (as
 * STREAM_TARGET has them; len 0: it has none). A link of several programs is told as often. None where
 * the kernel has no iterator of links.
 *
 * fn returns 0, or a negative errno that ends the walk and is returned.
 */
typedef int probe_links_fn(
	void *arg, const struct event_attach *link, const uint8_t *path, size_t len);
[[nodiscard]] int probe_links(struct probe *probe, probe_links_fn *fn, void *arg);

/*
 * The kernel's name of an enum's value without its prefix, in lower case: "xdp", "array"; that of a
 * verdict verbatim: "LSM_INT_VERDICT_OK". Numbers that this kernel does not name are written in decimal
 * into buf, which is then what is returned.
 */
enum probe_enum {
	PROBE_PROG_TYPE,
	PROBE_ATTACH_TYPE,
	PROBE_MAP_TYPE,
	PROBE_INTEGRITY_VERDICT,
	PROBE_LINK_TYPE,
	PROBE_ENUM_COUNT,
};
enum { PROBE_NAME_MAX = 48 };
const char *probe_enum_name(const struct probe *probe, enum probe_enum which, uint32_t value,
	char buf[static PROBE_NAME_MAX]);

/*
 * Load tiny programs, in the name of the process in state.agent_tgid, such that every hook in use
 * has an event to show: a plain one, one with a signature that cannot be parsed (refused), a loader
 * program that loads another, and, for the hook after the integrity check, one with a good signature
 * that runs. *ret_id is the plain program's id; its descriptor is closed,
 * so that its end shows too, after during() was called with it still loaded.
 *
 * Returns 0, or a negative errno where the kernel refused even a plain program.
 */
[[nodiscard]] int probe_canaries(
	struct probe *probe, int (*during)(void *arg, uint32_t id), void *arg);

#endif
