/* SPDX-License-Identifier: BSD-2-Clause */
/* What a history's records say of the TPM: epochs and their counters, foreign extends, trims. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/auditing.h"

[[gnu::format(printf, 3, 4)]] static void set_fault(
	struct history_epoch *epoch, enum verify_reason reason, const char *format, ...)
{
	va_list args;

	epoch->fault.reason = verify_reason_name(reason);
	va_start(args, format);
	vsnprintf(epoch->fault.text, sizeof(epoch->fault.text), format, args);
	va_end(args);
}

/* The TPM's counters go on from those of the epoch before, unless it was cleared or exchanged. */
static void check_counts(
	struct history *history, const struct history_epoch *before, const struct replay_line *line)
{
	const struct record_epoch_facts *facts = &line->epoch;
	uint32_t resets = facts->reset_count - before->reset_count;
	uint64_t seq = line->place;

	if (!before->is_known || facts->why == WHY_TPM_CLEAR || facts->why == WHY_NEW_TPM)
		return;
	if (facts->reset_count < before->reset_count ||
		(resets == 0 && facts->restart_count < before->restart_count))
		history_find(history, seq, verify_reason_name(VERIFY_EPOCH_COUNTS),
			"Record %" PRIu64 " begins an epoch at %" PRIu32 " resets and %" PRIu32
			" restarts of the TPM, there were %" PRIu32 " and %" PRIu32 " before.",
			seq, facts->reset_count, facts->restart_count, before->reset_count,
			before->restart_count);
	else if (resets > 0 && line->base == REPLAY_BASE_RUNNING)
		history_find(history, seq, verify_reason_name(VERIFY_EPOCH_COUNTS),
			"Record %" PRIu64
			" begins an epoch with the PCR as it was, though the TPM was reset.",
			seq);
	else if (resets > 1)
		history_gap(history, seq, verify_reason_name(VERIFY_EPOCH_COUNTS),
			"Before record %" PRIu64 " there were %" PRIu32
			" resets of the TPM without a record: boots without the agent, or epochs "
			"that were removed.",
			seq, resets - 1);
	else if (resets == 0 && facts->clock_ms < before->clock_ms)
		history_find(history, seq, verify_reason_name(VERIFY_CLOCK),
			"Record %" PRIu64 " begins an epoch at %" PRIu64
			" ms of the TPM's clock, it was at %" PRIu64 " ms before.",
			seq, facts->clock_ms, before->clock_ms);
}

/* What keeps the records of an epoch from being believed, from its beginning. */
static void find_fault(
	struct history *history, struct history_epoch *epoch, const struct replay_line *line)
{
	const struct record_epoch_facts *facts = &line->epoch;

	if (line->base == REPLAY_BASE_UNEXPLAINED)
		set_fault(epoch, VERIFY_BASE,
			"record %" PRIu64
			" begins an epoch with a PCR that somebody else had extended (sha256 %s)",
			epoch->seq, replay_shorten(facts->base.digest[BANK_SHA256]).text);
	else if (line->base == REPLAY_BASE_RUNNING)
		epoch->fault = history->epoch.fault; /* the PCR is what it was, and so is that */
	if (facts->pcr != history->options.pcr)
		set_fault(epoch, VERIFY_PCR_SELECTION,
			"record %" PRIu64 " says that PCR %u is extended, asked was PCR %u",
			epoch->seq, facts->pcr, history->options.pcr);
	if (history->has_log_id &&
		memcmp(history->log_id, facts->log_id, sizeof(history->log_id)) != 0)
		set_fault(epoch, VERIFY_OTHER_LOG,
			"record %" PRIu64 " belongs to another log than the records before it",
			epoch->seq);
}

static int take_epoch(struct history *history, const struct replay_line *line)
{
	const struct record_epoch_facts *facts = &line->epoch;
	const struct ak *ak = history->options.ak;
	struct history_epoch epoch = {
		.seq = line->place,
		.is_known = true,
		.reset_count = facts->reset_count,
		.restart_count = facts->restart_count,
		.clock_ms = facts->clock_ms,
		.is_other_ak = ak && ak->has_name && facts->ak_name_len &&
			(facts->ak_name_len != ak->public.name_len ||
				memcmp(facts->ak_name, ak->public.name, facts->ak_name_len) != 0),
	};

	int err = history_close_unproven(
		history, line->place - 1, "their epoch ended before a quote was kept");
	check_counts(history, &history->epoch, line);
	find_fault(history, &epoch, line);
	history->epoch = epoch;
	history->is_anchored = true;
	if (!history->has_log_id)
		memcpy(history->log_id, facts->log_id, sizeof(history->log_id));
	history->has_log_id = true;
	history->result.software |= facts->software;
	return err;
}

/* The PCR was kept, and so was its epoch: only the restart count has moved, and upwards. */
static void take_resume(struct history *history, uint64_t seq, const char *bytes, size_t len)
{
	struct history_epoch *epoch = &history->epoch;
	struct record_resume_facts facts;

	record_resume_facts(bytes, len, &facts);
	if (epoch->is_known &&
		(facts.reset_count != epoch->reset_count ||
			facts.restart_count <= epoch->restart_count))
		history_find(history, seq, verify_reason_name(VERIFY_EPOCH_COUNTS),
			"Record %" PRIu64 " says that the TPM kept its PCR from %" PRIu32
			" resets and %" PRIu32 " restarts to %" PRIu32 " and %" PRIu32 ".",
			seq, epoch->reset_count, epoch->restart_count, facts.reset_count,
			facts.restart_count);
	else if (epoch->is_known && facts.clock_ms < epoch->clock_ms)
		history_find(history, seq, verify_reason_name(VERIFY_CLOCK),
			"Record %" PRIu64 " is of %" PRIu64
			" ms of the TPM's clock, which was at %" PRIu64 " ms before.",
			seq, facts.clock_ms, epoch->clock_ms);
	epoch->is_known = true;
	epoch->reset_count = facts.reset_count;
	epoch->restart_count = facts.restart_count;
	epoch->clock_ms = facts.clock_ms;
}

static void take_foreign(struct history *history, uint64_t seq, const char *bytes, size_t len)
{
	struct record_foreign_facts facts;
	struct line_value time = { 0 }, last_seen = { 0 };
	char from[40], to[40];

	record_foreign_facts(bytes, len, &facts);
	if (line_get(bytes, len, "time", &time))
		line_value_text(time, to, sizeof(to));
	if (line_get(bytes, len, "last_seen", &last_seen))
		line_value_text(last_seen, from, sizeof(from));
	set_fault(&history->epoch, VERIFY_FOREIGN,
		"record %" PRIu64 " says that somebody else extended the PCR after record %" PRIu64
		" (sha256 %s, expected was %s), between %s and %s",
		seq, facts.after_seq, replay_shorten(facts.found.digest[BANK_SHA256]).text,
		replay_shorten(facts.expected.digest[BANK_SHA256]).text,
		facts.last_seen_ns.known ? from : "an unknown time", to);
}

int history_take_facts(
	struct history *history, const struct replay_line *line, const char *bytes, size_t len)
{
	struct record_trim_facts trim;

	switch (line->head.kind) {
	case RECORD_EPOCH:
		return take_epoch(history, line);
	case RECORD_RESUME:
		take_resume(history, line->place, bytes, len);
		return 0;
	case RECORD_FOREIGN:
		take_foreign(history, line->place, bytes, len);
		return 0;
	case RECORD_TRIM:
		record_trim_facts(bytes, len, &trim);
		if (trim.last + 1 != history->first)
			return 0;
		history->trim = trim;
		history->trim_seq = line->place;
		return 0;
	default:
		return 0;
	}
}

bool history_check_clock(struct history *history, uint64_t seq, const struct tpms_attest *attest)
{
	struct history_epoch *epoch = &history->epoch;

	if (!epoch->is_known) {
		epoch->is_known = true;
		epoch->reset_count = attest->reset_count;
		epoch->restart_count = attest->restart_count;
	}
	if (attest->reset_count != epoch->reset_count ||
		attest->restart_count != epoch->restart_count) {
		history_find(history, seq, verify_reason_name(VERIFY_EPOCH_COUNTS),
			"At the quote kept after record %" PRIu64 " the TPM counted %" PRIu32
			" resets and %" PRIu32 " restarts, the log has %" PRIu32 " and %" PRIu32
			" there.",
			seq, attest->reset_count, attest->restart_count, epoch->reset_count,
			epoch->restart_count);
		return false;
	}
	if (attest->clock_ms < epoch->clock_ms) {
		history_find(history, seq, verify_reason_name(VERIFY_CLOCK),
			"The quote kept after record %" PRIu64 " was made at %" PRIu64
			" ms of the TPM's clock, which was at %" PRIu64 " ms before.",
			seq, attest->clock_ms, epoch->clock_ms);
		return false;
	}
	epoch->clock_ms = attest->clock_ms;
	return true;
}
