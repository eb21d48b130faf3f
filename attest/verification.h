/* SPDX-License-Identifier: BSD-2-Clause */
/* One verification under way: what verify.c and verify_log.c share. */
#ifndef ATTEST_VERIFICATION_H
#define ATTEST_VERIFICATION_H

#include "attest/diagnose.h"
#include "attest/replay.h"
#include "attest/tpms.h"
#include "attest/verify.h"

/* What an epoch record, or the anchor, says of the TPM. */
struct verification_epoch {
	bool is_known;
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	size_t ak_name_len; /* 0: it does not say */
	uint8_t ak_name[TPMS_NAME_MAX];
};

struct verification {
	const struct verify_options *options;
	struct verify_result *result;
	struct evidence_reader reader;
	struct evidence_statement statement;
	struct tpms_public ak; /* the statement's; once check_ak() is past, the enrolled one */
	struct tpms_attest quote;

	const char *line; /* the record read last; NULL: there are no more */
	size_t line_len;
	struct replay replay;
	struct diagnosis diagnosis;
	struct verification_epoch epoch; /* in force */
	uint64_t matched; /* the last record after which the PCR had the values signed; 0: none */
	uint64_t forked; /* the record that is not the one proven before; 0: none */
	uint64_t other_log; /* the epoch that begins another log; 0: none */
};

/*
 * The checks return whether to go on. Where not, one of the first two has written the result: they
 * return false.
 */
[[gnu::format(printf, 3, 4)]] bool verification_conclude(
	struct verification *v, enum verify_reason reason, const char *format, ...);
bool verification_fail(struct verification *v, int err);
[[gnu::format(printf, 2, 3)]] void verification_note(
	struct verification *v, const char *format, ...);

/* Read the next record's line into v->line. */
bool verification_read(struct verification *v);

/* The checks of verify_log.c, in their order. */
bool check_start(struct verification *v);
bool follow_log(struct verification *v);
bool check_replay(struct verification *v);
bool check_records(struct verification *v);
bool check_epoch(struct verification *v);
bool check_memory(struct verification *v);

#endif
