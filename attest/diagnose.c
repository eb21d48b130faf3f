/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/diagnose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void diagnosis_init(struct diagnosis *diagnosis, uint64_t first, const struct bank_values *values)
{
	*diagnosis = (struct diagnosis){
		.is_mended = true,
		.last = { .place = first - 1 },
	};
	memcpy(diagnosis->value, values->digest[BANK_SHA256], BANK_DIGEST_MAX);
}

static bool is_same(const uint8_t a[static SHA256_LEN], const uint8_t b[static SHA256_LEN])
{
	return memcmp(a, b, SHA256_LEN) == 0;
}

/* before: the line before the one at fault, where it is known. */
static void add_finding(struct diagnosis *diagnosis, enum finding_kind kind, uint64_t place,
	const struct diagnosis_line *before, const uint8_t *here, const uint8_t *measured)
{
	struct finding finding = {
		.kind = kind,
		.place = place,
		.first = before && before->run ? before->run : place,
	};

	if (kind == FINDING_BROKEN || diagnosis->finding_count == DIAGNOSIS_FINDINGS_MAX)
		diagnosis->is_mended = false;
	if (diagnosis->finding_count == DIAGNOSIS_FINDINGS_MAX)
		return;
	if (here)
		memcpy(finding.here, here, SHA256_LEN);
	if (measured)
		memcpy(finding.measured, measured, SHA256_LEN);
	diagnosis->findings[diagnosis->finding_count++] = finding;
}

static struct finding *latest_finding(struct diagnosis *diagnosis)
{
	return &diagnosis->findings[diagnosis->finding_count - 1];
}

static int fold(uint8_t value[static BANK_DIGEST_MAX], const uint8_t sha256[static SHA256_LEN])
{
	uint8_t digest[BANK_DIGEST_MAX] = { 0 };

	memcpy(digest, sha256, SHA256_LEN);
	return bank_extend(BANK_SHA256, value, digest);
}

/* Fold the last line as if this were its digest. */
static int fold_last(struct diagnosis *diagnosis, const uint8_t sha256[static SHA256_LEN])
{
	return diagnosis->last.is_extended ? fold(diagnosis->value, sha256) : 0;
}

/* The last line is not what the next one says was before it. */
static int mend_changed(struct diagnosis *diagnosis, const uint8_t measured[static SHA256_LEN])
{
	const struct diagnosis_line last = diagnosis->last;

	if (diagnosis->is_doubtful) {
		/* Both its neighbours contradict it: so not they were changed, and its own word for
		 * the line before it is worth nothing. */
		memcpy(diagnosis->value, diagnosis->doubt, BANK_DIGEST_MAX);
		diagnosis->finding_count--;
		diagnosis->is_doubtful = false;
	} else {
		memcpy(diagnosis->doubt, diagnosis->value, BANK_DIGEST_MAX);
		int err = last.is_extended ? fold(diagnosis->doubt, last.sha256) : 0;
		if (err)
			return err;
		diagnosis->is_doubtful = last.is_record;
	}
	add_finding(
		diagnosis, FINDING_CHANGED, last.place, &diagnosis->before, last.sha256, measured);
	return fold_last(diagnosis, measured);
}

/* The next record names another line than the last one: which of them is at fault? */
static enum finding_kind judge(const struct diagnosis *diagnosis, const struct replay_line *next)
{
	const struct diagnosis_line *before = &diagnosis->before;
	uint64_t place = diagnosis->last.place;

	if (diagnosis->is_stray)
		return FINDING_BROKEN;
	if (before->is_known && is_same(next->head.prev, before->sha256))
		return FINDING_ADDED;
	if (next->head.seq == place + 1)
		return FINDING_CHANGED;
	if (next->head.seq == place + 2)
		return FINDING_MISSING;
	return FINDING_BROKEN;
}

static int mend(struct diagnosis *diagnosis, enum finding_kind kind,
	const uint8_t measured[static SHA256_LEN])
{
	struct diagnosis_line *last = &diagnosis->last;
	int err = 0;

	if (kind == FINDING_CHANGED)
		return mend_changed(diagnosis, measured);

	diagnosis->is_doubtful = false;
	if (kind == FINDING_ADDED) {
		add_finding(diagnosis, kind, last->place, NULL, last->sha256, NULL);
		*last = diagnosis->before; /* as if it had never been */
	} else if (kind == FINDING_MISSING) {
		err = fold_last(diagnosis, last->sha256);
		if (!err)
			err = fold(diagnosis->value, measured);
		last->place++;
		add_finding(diagnosis, kind, last->place, last, NULL, measured);
		last->run = 0; /* the one that is missing was extended */
		diagnosis->is_gap = true;
	} else {
		add_finding(diagnosis, kind, last->place + 1, NULL, NULL, NULL);
	}
	return err;
}

/* What is no record names no line, and covers none. */
static void forget_uncovered(struct diagnosis *diagnosis)
{
	if (diagnosis->last.is_known && !diagnosis->last.is_record && diagnosis->before.run)
		diagnosis->is_mended = false;
}

/* The next record follows from the last one. */
static int go_on(struct diagnosis *diagnosis)
{
	forget_uncovered(diagnosis);
	if (diagnosis->is_stray)
		add_finding(diagnosis, FINDING_ADDED, diagnosis->last.place + 1, NULL,
			diagnosis->stray, NULL);
	diagnosis->is_stray = false;
	diagnosis->is_doubtful = false;
	return fold_last(diagnosis, diagnosis->last.sha256);
}

/* Make the next line the last one. */
static void shift(struct diagnosis *diagnosis, const struct replay_line *next)
{
	if (next->is_epoch) {
		memcpy(diagnosis->value, next->epoch.base.digest[BANK_SHA256], BANK_DIGEST_MAX);
		memcpy(diagnosis->doubt, diagnosis->value, BANK_DIGEST_MAX);
	}
	diagnosis->before = diagnosis->last;
	diagnosis->last = (struct diagnosis_line){
		.place = diagnosis->before.place + 1,
		.is_known = true,
		.is_record = next->is_record,
		.is_extended = !next->is_record || next->head.extend,
		.run = next->run,
	};
	memcpy(diagnosis->last.sha256, next->sha256, SHA256_LEN);
}

int diagnosis_next(struct diagnosis *diagnosis, const struct replay_line *next)
{
	const struct diagnosis_line *last = &diagnosis->last;
	bool is_gap = diagnosis->is_gap;
	int err;

	if (!diagnosis->is_mended)
		return 0;
	diagnosis->is_gap = false;
	if (is_gap && is_same(next->sha256, latest_finding(diagnosis)->measured)) {
		struct finding *finding = latest_finding(diagnosis);
		finding->kind = FINDING_MOVED;
		if (next->is_record && is_same(next->head.prev, diagnosis->before.sha256))
			finding->first = finding->place; /* it covers them still */
		return 0; /* it is folded already, where it belongs */
	}

	if (!last->is_known || !next->is_record || is_same(next->head.prev, last->sha256)) {
		err = go_on(diagnosis);
	} else {
		enum finding_kind kind = judge(diagnosis, next);
		if (kind == FINDING_BROKEN && !diagnosis->is_stray) {
			memcpy(diagnosis->stray, next->sha256, SHA256_LEN);
			diagnosis->is_stray = true;
			return 0; /* the line after it will tell */
		}
		err = mend(diagnosis, kind, next->head.prev);
	}
	shift(diagnosis, next);
	return err;
}

int diagnosis_end(struct diagnosis *diagnosis)
{
	if (diagnosis->is_mended && diagnosis->is_stray)
		add_finding(diagnosis, FINDING_BROKEN, diagnosis->last.place + 1, NULL, NULL, NULL);
	forget_uncovered(diagnosis);
	return diagnosis->is_mended ? fold_last(diagnosis, diagnosis->last.sha256) : 0;
}

static void explain(const struct finding *finding, char ret_text[static FINDING_TEXT_MAX])
{
	struct replay_short here = replay_shorten(finding->here);
	struct replay_short measured = replay_shorten(finding->measured);
	uint64_t place = finding->place;

	switch (finding->kind) {
	case FINDING_CHANGED:
		snprintf(ret_text, FINDING_TEXT_MAX,
			"record %" PRIu64 " was changed after it was measured: its sha256 is %s, "
			"record %" PRIu64 " says %s",
			place, here.text, place + 1, measured.text);
		return;
	case FINDING_ADDED:
		snprintf(ret_text, FINDING_TEXT_MAX,
			"a line was added in the place of record %" PRIu64
			" (its sha256 is %s): the one after it names the one before it",
			place, here.text);
		return;
	case FINDING_MISSING:
		snprintf(ret_text, FINDING_TEXT_MAX,
			"record %" PRIu64 " is missing: record %" PRIu64
			" says that its sha256 is %s",
			place, place + 1, measured.text);
		return;
	case FINDING_MOVED:
		snprintf(ret_text, FINDING_TEXT_MAX,
			"records %" PRIu64 " and %" PRIu64 " have changed places", place,
			place + 1);
		return;
	case FINDING_BROKEN:
		snprintf(ret_text, FINDING_TEXT_MAX,
			"the line in the place of record %" PRIu64
			" does not follow from the one before it",
			place);
		return;
	}
}

void finding_explain(const struct finding *finding, char ret_text[static FINDING_TEXT_MAX])
{
	uint64_t first = finding->first, last = finding->place - 1;

	explain(finding, ret_text);
	size_t len = strlen(ret_text);
	if (first == last)
		snprintf(ret_text + len, FINDING_TEXT_MAX - len,
			", and nothing else covers record %" PRIu64, last);
	else if (first < last)
		snprintf(ret_text + len, FINDING_TEXT_MAX - len,
			", and nothing else covers records %" PRIu64 "-%" PRIu64, first, last);
}
