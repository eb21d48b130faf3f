/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct replay_short replay_shorten(const uint8_t *digest)
{
	struct replay_short ret;

	snprintf(ret.text, sizeof(ret.text), "%02x%02x%02x%02x...", digest[0], digest[1], digest[2],
		digest[3]);
	return ret;
}

struct replay_instant replay_instant(uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct replay_instant ret = { "" };
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(ret.text, sizeof(ret.text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return ret;
}

void replay_init(struct replay *replay, uint64_t first, bank_set banks,
	const struct bank_values *values, const uint8_t *prev)
{
	*replay = (struct replay){
		.banks = banks,
		.values = *values,
		.place = first,
		.prev_known = prev,
	};
	if (prev)
		memcpy(replay->prev, prev, SHA256_LEN);
}

static bool is_equal(bank_set banks, const struct bank_values *a, const struct bank_values *b)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1u << bank &&
			memcmp(a->digest[bank], b->digest[bank], bank_size(bank)) != 0)
			return false;
	return true;
}

bool replay_is_at(const struct replay *replay, bank_set banks, const struct bank_values *values)
{
	return replay->banks == banks && is_equal(banks, &replay->values, values);
}

[[gnu::format(printf, 3, 4)]] static void find(
	struct replay *replay, enum replay_check check, const char *format, ...)
{
	struct replay_fault *fault = &replay->faults[check];
	va_list args;

	if (fault->found)
		return;
	fault->found = true;
	fault->place = replay->place;
	va_start(args, format);
	vsnprintf(fault->what, sizeof(fault->what), format, args);
	va_end(args);
}

static enum replay_base begin_epoch(struct replay *replay, const struct record_epoch_facts *epoch)
{
	static const struct bank_values zero;
	bank_set banks = epoch->banks;
	const struct bank_values *base = &epoch->base;
	enum replay_base ret = REPLAY_BASE_UNEXPLAINED;

	if (is_equal(banks, base, &zero) ||
		(replay->pinned_banks == banks && is_equal(banks, base, &replay->pinned)))
		ret = REPLAY_BASE_RESET;
	else if (replay_is_at(replay, banks, base))
		ret = REPLAY_BASE_RUNNING;
	replay->banks = banks;
	replay->values = *base;
	return ret;
}

/* docs/format.md, "Measuring". */
static const char *must_be_extended(const struct record_brief *brief)
{
	switch (brief->head.kind) {
	case RECORD_EPOCH:
		return "begins an epoch";
	case RECORD_RESUME:
	case RECORD_FOREIGN:
	case RECORD_TRIM:
		return "is a record of what became of PCR or log";
	case RECORD_LOAD:
		return brief->verdict == VERDICT_VERIFIED ? "is the load of a verified program"
							  : NULL;
	default:
		return NULL;
	}
}

static bool names_line_before(const struct replay *replay, const struct record_head *head)
{
	return !replay->prev_known || memcmp(head->prev, replay->prev, SHA256_LEN) == 0;
}

static void check_record(struct replay *replay, const struct record_brief *brief)
{
	const struct record_head *head = &brief->head;

	if (!names_line_before(replay, head))
		find(replay, REPLAY_PREV,
			"record %" PRIu64
			" says that the line before it has the sha256 %s, but it has %s",
			head->seq, replay_shorten(head->prev).text,
			replay_shorten(replay->prev).text);
	if (head->seq != replay->place)
		find(replay, REPLAY_SEQ,
			"record %" PRIu64 " stands where record %" PRIu64 " belongs", head->seq,
			replay->place);
	const char *why = head->extend ? NULL : must_be_extended(brief);
	if (why)
		find(replay, REPLAY_UNEXTENDED, "record %" PRIu64 " %s and was not extended itself",
			head->seq, why);
}

/* A line that was not extended itself is vouched for by the next one that was, by way of each prev between
 * them. */
static void cover(struct replay *replay, struct replay_line *line)
{
	bool follows = line->is_record && names_line_before(replay, &line->head);
	uint64_t run = replay->run;

	line->uncovered = follows ? 0 : run;
	if (line->is_record && !line->head.extend)
		line->run = follows && run ? run : line->place;
	replay->run = line->run;
	if (!replay->uncovered)
		replay->uncovered = line->uncovered;
}

/* The digest of the line in the sha256 bank is its sha256, which is known. */
static int extend(
	struct replay *replay, const struct replay_line *line, const char *bytes, size_t len)
{
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		uint8_t digest[BANK_DIGEST_MAX];
		int err = 0;
		if (!(replay->banks & 1u << bank))
			continue;
		if (bank == BANK_SHA256)
			memcpy(digest, line->sha256, SHA256_LEN);
		else
			err = bank_hash(bank, bytes, len, digest);
		if (!err)
			err = bank_extend(bank, replay->values.digest[bank], digest);
		if (err)
			return err;
	}
	replay->extended = replay->place;
	return 0;
}

int replay_next(struct replay *replay, const char *bytes, size_t len, struct replay_line *ret_line)
{
	struct replay_line line = { .place = replay->place };

	int err = sha256(bytes, len, line.sha256);
	if (err)
		return err;

	struct record_brief brief;
	line.is_record = record_check_brief(bytes, len, &brief, &line.error) == 0;
	if (line.is_record) {
		line.head = brief.head;
		line.program_id = brief.program_id;
		line.verdict = brief.verdict;
		check_record(replay, &brief);
	} else {
		find(replay, REPLAY_GRAMMAR, "record %" PRIu64 " is no record: %s (byte %zu)",
			replay->place, line.error.what, line.error.at);
	}

	cover(replay, &line);
	line.is_epoch = line.is_record && line.head.kind == RECORD_EPOCH;
	if (line.is_epoch) {
		record_epoch_facts(bytes, len, &line.epoch);
		line.base = begin_epoch(replay, &line.epoch);
	}
	if (!line.is_record || line.head.extend) {
		err = extend(replay, &line, bytes, len);
		if (err)
			return err;
	}

	memcpy(replay->prev, line.sha256, SHA256_LEN);
	replay->prev_known = true;
	replay->place++;
	*ret_line = line;
	return 0;
}
