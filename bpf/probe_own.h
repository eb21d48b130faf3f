/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the probe share. */
#ifndef BPF_PROBE_OWN_H
#define BPF_PROBE_OWN_H

#include <sys/types.h>

#include "bpf/probe_kernel.h"

/* The BPF object, as probe_object.S has it. */
extern const char probe_object[], probe_object_end[];

enum {
	PIN_NAME_MAX = 32,
	PIN_MAPS = 3, /* ring, ends, state */
	PIN_COUNT_MAX = PROBE_PROGRAMS_MAX + PIN_MAPS,
};

struct probe {
	struct probe_kernel kernel;
	char build[PIN_NAME_MAX]; /* name of this build's directory of pins */
	bool was_pinned;
	uint64_t attached; /* bits of indices into probe_programs[] */
	int ring_fd;
	size_t ring_size;
	int ends_fd;
	int lock_fd; /* of the directory of pins, for as long as the hooks are ours */
	int baseline_fd; /* link of the iterator of programs */
	int links_fd; /* of that of links; -1 where the kernel has none */
	struct event_state *state;
	uint32_t programs[PROBE_PROGRAMS_MAX]; /* ids, by index into probe_programs[]; 0: none */
	bool replaced;
	struct event_state replaced_state;
	ino_t pins[PIN_COUNT_MAX]; /* of this build's pins when they were made or taken over */
	uint64_t instance;
	uint64_t ticket; /* when last looked at */
	char error[256];
};

/* Keep the text, with errno's words and what libbpf said; returns error. */
[[gnu::format(printf, 3, 4)]] int probe_fail(
	struct probe *probe, int error, const char *format, ...);

/* PROBE_PIN_DIR/BUILD/NAME; an empty name is the build's directory. */
void probe_pin_path(char *ret_path, size_t size, const char *build, const char *name);

/* Name this build after the event layout and the BPF object. */
int probe_build_name(struct probe *probe);

/* Remove the pins of one build; of every build but keep (NULL: of every one). */
int probe_build_unpin(struct probe *probe, const char *build);
int probe_builds_unpin(struct probe *probe, const char *keep);

/* Remove this build's pins where they are not whole. */
int probe_broken_unpin(struct probe *probe);

/* A descriptor of what is pinned under a name, or -1 with errno. */
int probe_pinned_fd(const struct probe *probe, const char *name);

/* Remember what is pinned, for probe_check(). */
int probe_pins_note(struct probe *probe);

#endif
