/* SPDX-License-Identifier: BSD-2-Clause */
/* What a history finds out, put together: spans, findings, the verdict. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/auditing.h"

const char *history_trust_name(enum history_trust trust)
{
	static const char *const names[] = {
		[HISTORY_PROVEN] = "proven",
		[HISTORY_CONSISTENT] = "consistent",
		[HISTORY_UNPROVEN] = "unproven",
		[HISTORY_CONTRADICTED] = "contradicted",
		[HISTORY_TRIMMED] = "trimmed",
	};

	return names[trust];
}

/* ---- spans ---- */

static bool continues(const struct history_span *last, const struct history_span *next)
{
	return last->last + 1 == next->first && last->epoch_seq == next->epoch_seq &&
		last->trust == next->trust && last->reason == next->reason;
}

void history_span_add(struct history *history, const struct history_span *span)
{
	struct history_result *result = &history->result;
	struct history_span *last = result->span_count ? &history->spans[result->span_count - 1]
						       : NULL;

	if (span->first > span->last || history->error)
		return;
	if (last && continues(last, span)) {
		last->last = span->last;
		if (span->trust != HISTORY_CONTRADICTED)
			memcpy(last->why, span->why, sizeof(last->why));
		return;
	}
	if (result->span_count == HISTORY_SPANS_MAX) {
		last->last = span->last;
		last->trust = HISTORY_CONTRADICTED;
		last->reason = verify_reason_name(VERIFY_MALFORMED);
		snprintf(last->why, sizeof(last->why),
			"there are more than %d spans: from here on they are not told apart",
			HISTORY_SPANS_MAX);
		return;
	}
	if (result->span_count == history->span_room) {
		size_t room = history->span_room ? 2 * history->span_room : 16;
		struct history_span *spans = reallocarray(history->spans, room, sizeof(*spans));
		if (!spans) {
			history->error = -ENOMEM;
			return;
		}
		history->spans = spans;
		history->span_room = room;
	}
	history->spans[result->span_count++] = *span;
}

void history_blame(struct history *history, uint64_t first, uint64_t last, const char *reason,
	const char *format, ...)
{
	struct history_span blame = {
		.first = first,
		.last = last,
		.trust = HISTORY_CONTRADICTED,
		.reason = reason,
	};
	size_t at = history->blame_count;
	va_list args;

	for (size_t i = 0; i < at; i++)
		if (history->blames[i].first == first)
			return; /* what was said of it first stands */
	if (at == HISTORY_BLAMES_MAX) { /* too many to tell apart */
		struct history_span *widest = &history->blames[at - 1];
		widest->first = first < widest->first ? first : widest->first;
		widest->last = last > widest->last ? last : widest->last;
		return;
	}
	va_start(args, format);
	vsnprintf(blame.why, sizeof(blame.why), format, args);
	va_end(args);
	for (; at > 0 && history->blames[at - 1].first > first; at--)
		history->blames[at] = history->blames[at - 1];
	history->blames[at] = blame;
	history->blame_count++;
}

void history_doubt(struct history *history, uint64_t first, uint64_t last)
{
	struct history_doubt *doubt = &history->doubts[HISTORY_DOUBTS_MAX - 1];

	if (history->doubt_count < HISTORY_DOUBTS_MAX) {
		history->doubts[history->doubt_count++] = (struct history_doubt){ first, last };
		return;
	}
	doubt->first = first < doubt->first ? first : doubt->first;
	doubt->last = last > doubt->last ? last : doubt->last;
}

/* The first doubt about records of a span; NULL: there is none. */
static const struct history_doubt *find_doubt(
	const struct history *history, const struct history_span *span)
{
	const struct history_doubt *found = NULL;

	for (size_t i = 0; i < history->doubt_count; i++) {
		const struct history_doubt *doubt = &history->doubts[i];
		if (doubt->first <= span->last && doubt->last >= span->first &&
			(!found || doubt->first < found->first))
			found = doubt;
	}
	return found;
}

/* Records that are trusted alike, but for those in doubt. */
static void add_rest(struct history *history, struct history_span rest)
{
	const struct history_doubt *doubt;

	while (rest.first <= rest.last && rest.trust <= HISTORY_CONSISTENT &&
		(doubt = find_doubt(history, &rest))) {
		struct history_span before = rest, doubtful = rest;

		before.last = doubt->first - 1;
		history_span_add(history, &before);
		doubtful.first = doubt->first > rest.first ? doubt->first : rest.first;
		doubtful.last = doubt->last < rest.last ? doubt->last : rest.last;
		doubtful.trust = HISTORY_UNPROVEN;
		snprintf(doubtful.why, sizeof(doubtful.why),
			"not extended themselves, and what covered them is not there");
		history_span_add(history, &doubtful);
		rest.first = doubtful.last + 1;
	}
	history_span_add(history, &rest);
}

static void forget(struct history *history, uint64_t last)
{
	size_t kept = 0, doubts = 0;

	for (size_t i = 0; i < history->doubt_count; i++)
		if (history->doubts[i].last > last)
			history->doubts[doubts++] = history->doubts[i];
	history->doubt_count = doubts;
	for (size_t i = 0; i < history->blame_count; i++)
		if (history->blames[i].first > last)
			history->blames[kept++] = history->blames[i];
	history->blame_count = kept;
}

void history_close(struct history *history, uint64_t last, enum history_trust trust,
	const char *reason, const char *why)
{
	struct history_span rest = {
		.first = history->open,
		.epoch_seq = history->epoch.seq,
		.trust = trust,
		.reason = reason,
	};

	if (history->open > last)
		return;
	snprintf(rest.why, sizeof(rest.why), "%s", why);
	for (size_t i = 0; i < history->blame_count; i++) {
		struct history_span blame = history->blames[i];

		/* Whom a diagnosis suspects may have been judged already. */
		if (blame.first < rest.first)
			blame.first = rest.first;
		if (blame.last < blame.first)
			blame.last = blame.first;
		if (blame.first > last)
			break;
		blame.epoch_seq = rest.epoch_seq;
		rest.last = blame.first - 1;
		add_rest(history, rest);
		history_span_add(history, &blame);
		rest.first = blame.last + 1;
	}
	rest.last = last;
	add_rest(history, rest);
	history->open = last + 1;
	forget(history, last);
	history->broken.found = false;
	history->is_diagnosing = false;
}

/* ---- findings ---- */

/* Where there are too many a contradiction takes the place of a gap: the verdict follows from it. */
static void find(struct history *history, const struct history_finding *finding)
{
	struct history_result *result = &history->result;
	struct history_finding *last = &result->findings[HISTORY_FINDINGS_MAX - 1];

	if (result->finding_count < HISTORY_FINDINGS_MAX) {
		result->findings[result->finding_count++] = *finding;
		return;
	}
	result->findings_left_out++;
	if (last->is_gap && !finding->is_gap)
		*last = *finding;
}

void history_find(
	struct history *history, uint64_t seq, const char *reason, const char *format, ...)
{
	struct history_finding finding = { .seq = seq, .reason = reason };
	va_list args;

	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	find(history, &finding);
}

void history_gap(struct history *history, uint64_t seq, const char *reason, const char *format, ...)
{
	struct history_finding finding = { .seq = seq, .reason = reason, .is_gap = true };
	va_list args;

	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	find(history, &finding);
}

/* ---- the beginning ---- */

static bool is_contradicted(const struct history *history, uint64_t seq)
{
	for (size_t i = 0; i < history->result.span_count; i++)
		if (seq >= history->spans[i].first && seq <= history->spans[i].last)
			return history->spans[i].trust == HISTORY_CONTRADICTED;
	return true;
}

/* Whether the records before the first were removed by the agent, by its own word, and what stands
 * in the PCR from them is known. */
static bool is_trimmed(const struct history *history)
{
	const struct record_trim_facts *trim = &history->trim;

	return history->trim_seq && !is_contradicted(history, history->trim_seq) &&
		memcmp(trim->last_sha256, history->first_prev, SHA256_LEN) == 0 &&
		memcmp(trim->log_id, history->log_id,
			history->has_log_id ? sizeof(trim->log_id) : 0) == 0 &&
		(history->has_cut || history->first_is_epoch);
}

/* The records before the first one that is there, whose span is before all others. */
static void judge_beginning(struct history *history)
{
	struct history_result *result = &history->result;
	struct history_span span = { .first = 1, .last = history->first - 1, .reason = "" };

	if (history->first <= 1 || history->error)
		return;
	if (is_trimmed(history)) {
		span.trust = HISTORY_TRIMMED;
		snprintf(span.why, sizeof(span.why),
			"removed by retention, as record %" PRIu64 " says", history->trim_seq);
		result->software |= history->trim.software;
	} else {
		span.trust = HISTORY_CONTRADICTED;
		span.reason = verify_reason_name(VERIFY_START);
		snprintf(span.why, sizeof(span.why),
			"records 1-%" PRIu64
			" are missing, and no record and quote explain how that came",
			span.last);
	}
	history->spans[0] = span;
}

/* ---- the verdict ---- */

[[gnu::format(printf, 4, 5)]] static void conclude(struct history_result *result,
	enum verify_verdict verdict, const char *reason, const char *format, ...)
{
	va_list args;

	result->verdict = verdict;
	result->reason = reason;
	va_start(args, format);
	vsnprintf(result->explanation, sizeof(result->explanation), format, args);
	va_end(args);
}

static void count(struct history *history)
{
	struct history_result *result = &history->result;

	for (size_t i = 0; i < result->span_count; i++) {
		const struct history_span *span = &history->spans[i];
		result->counts[span->trust] += span->last - span->first + 1;
	}
}

static const struct history_span *first_span(
	const struct history *history, enum history_trust trust)
{
	for (size_t i = 0; i < history->result.span_count; i++)
		if (history->spans[i].trust == trust)
			return &history->spans[i];
	return NULL;
}

static const struct history_finding *first_finding(const struct history *history, bool is_gap)
{
	for (size_t i = 0; i < history->result.finding_count; i++)
		if (history->result.findings[i].is_gap == is_gap)
			return &history->result.findings[i];
	return NULL;
}

static void judge(struct history *history)
{
	struct history_result *result = &history->result;
	const struct history_span *wrong = first_span(history, HISTORY_CONTRADICTED);
	const struct history_span *unproven = first_span(history, HISTORY_UNPROVEN);
	const struct history_finding *finding = first_finding(history, false);
	const struct history_finding *gap = first_finding(history, true);

	if (wrong)
		conclude(result, VERIFY_UNTRUSTED, wrong->reason,
			"Record%s contradicted: %" PRIu64 ", from %" PRIu64
			" on; proven all the same: %" PRIu64 ".",
			result->counts[HISTORY_CONTRADICTED] == 1 ? "" : "s",
			result->counts[HISTORY_CONTRADICTED], wrong->first,
			result->counts[HISTORY_PROVEN]);
	else if (finding)
		conclude(result, VERIFY_UNTRUSTED, finding->reason,
			"The lines do not contradict each other, but what goes with them does.");
	else if (!result->records)
		conclude(result, VERIFY_UNKNOWN, "empty", "There are no records.");
	else if (!history->options.ak)
		conclude(result, VERIFY_UNKNOWN, verify_reason_name(VERIFY_AK_UNKNOWN),
			"The AK was not given: nothing contradicts, and nothing is proven.");
	else if (unproven)
		conclude(result, VERIFY_UNKNOWN, "unproven",
			"Nothing contradicts, but %" PRIu64 " of %" PRIu64
			" records are not covered by a kept quote, from record %" PRIu64 " on.",
			result->counts[HISTORY_UNPROVEN], result->records, unproven->first);
	else if (gap)
		conclude(result, VERIFY_UNKNOWN, gap->reason,
			"All records that are there are proven, but some may be missing.");
	else
		conclude(result, VERIFY_TRUSTED, verify_reason_name(VERIFY_OK),
			"All %" PRIu64 " records are proven, by %" PRIu64 " kept quote%s.",
			result->records, result->quotes, result->quotes == 1 ? "" : "s");
}

int history_end(struct history *history, const struct history_result **ret_result)
{
	if (history->first) {
		int err = history_close_unproven(
			history, history->replay.place - 1, "no quote has been kept since");
		if (err)
			return err;
		judge_beginning(history);
	}
	if (history->error)
		return history->error;
	count(history);
	judge(history);
	history->result.spans = history->spans;
	*ret_result = &history->result;
	return 0;
}
