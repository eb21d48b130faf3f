/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnosis: where a log stopped being what was measured.
 *
 * Each record names the sha256 of the line before it. So where one line was changed, removed, added
 * or moved, the lines around it still tell what digest was measured in its place. The diagnosis
 * folds the sha256 bank as if that digest stood there. If the result is the value that the TPM
 * signed, the finding is proven and so is every other record, but for those that a line covered which is
 * not there any more; if not, it is a suspicion, no more.
 */
#ifndef ATTEST_DIAGNOSE_H
#define ATTEST_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/replay.h"

enum { DIAGNOSIS_FINDINGS_MAX = 4 };

struct finding {
	enum finding_kind {
		FINDING_CHANGED, /* the line is another than was measured */
		FINDING_ADDED, /* the line was not measured, those around it were */
		FINDING_MISSING, /* one line that was measured is not there */
		FINDING_MOVED, /* the line stands behind its successor */
		FINDING_BROKEN, /* the lines do not follow, for none of these reasons */
	} kind;
	uint64_t place; /* the record's number by what surrounds it */
	uint64_t first; /* of the records before it that only it covered, as they were not extended
			   themselves; place: there are none */
	uint8_t here[SHA256_LEN]; /* of the line: FINDING_CHANGED and _ADDED */
	uint8_t measured[SHA256_LEN]; /* what the next record says: FINDING_CHANGED, _MISSING */
};

/* Callers read the first four after diagnosis_end(); the rest is how. */
struct diagnosis {
	size_t finding_count;
	struct finding findings[DIAGNOSIS_FINDINGS_MAX];
	bool is_mended; /* false: something was FINDING_BROKEN, or there is too much wrong */
	uint8_t value[BANK_DIGEST_MAX]; /* of the sha256 bank, every finding mended */

	struct diagnosis_line {
		uint64_t place;
		uint8_t sha256[SHA256_LEN];
		bool is_known; /* there is such a line */
		bool is_record;
		bool is_extended;
		uint64_t run; /* as in struct replay_line */
	} last, before; /* last is not folded into value yet */
	bool is_doubtful; /* the latest finding is that before was changed: or was it last? */
	uint8_t doubt[BANK_DIGEST_MAX]; /* value, if it was last */
	bool is_stray; /* a line that fits nowhere came after last: */
	uint8_t stray[SHA256_LEN];
	bool is_gap; /* the latest finding is that the line right before last is missing */
};

/* Begin before the record `first`, with the PCR at these values. */
void diagnosis_init(struct diagnosis *diagnosis, uint64_t first, const struct bank_values *values);

/* Take the next line. Returns 0 or -EIO. */
[[nodiscard]] int diagnosis_next(struct diagnosis *diagnosis, const struct replay_line *line);

/* After the last line. Returns 0 or -EIO. */
[[nodiscard]] int diagnosis_end(struct diagnosis *diagnosis);

/* One clause: "record 14 was changed after it was measured: ...". Always ends with a NUL byte. */
enum { FINDING_TEXT_MAX = 256 };
void finding_explain(const struct finding *finding, char ret_text[static FINDING_TEXT_MAX]);

#endif
