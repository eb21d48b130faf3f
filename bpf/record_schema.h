/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of format 1, shared by its table (record_schema.c), its encoders (record.c) and
 * record_facts.c. Each
 * list ends with NULL and is in the order of its enum in record.h; of record_covers and
 * record_keyrings the first value of the enum is null in a line, and word n stands for value n + 1.
 */
#ifndef BPF_RECORD_SCHEMA_H
#define BPF_RECORD_SCHEMA_H

#include "bpf/record.h"

/* The values of which a struct record_brief is made. */
enum record_mark {
	MARK_NONE,
	MARK_SEQ,
	MARK_PREV,
	MARK_TIME,
	MARK_BOOTTIME,
	MARK_KIND,
	MARK_EXTEND,
	MARK_PROGRAM_ID,
	MARK_VERDICT,
	MARK_COUNT,
};

extern const char *const record_kinds[];
extern const char *const record_whys[];
extern const char *const record_exits[];
extern const char *const record_verdicts[];
extern const char *const record_algs[];
extern const char *const record_covers[];
extern const char *const record_keyrings[];
extern const char *const record_metadata[];
extern const char *const record_stages[];
extern const char *const record_losses[];
extern const char *const record_vias[];
extern const char *const record_target_types[];
extern const char *const record_hows[];
extern const char *const record_endings[];
extern const char *const record_trim_whys[];

#endif
