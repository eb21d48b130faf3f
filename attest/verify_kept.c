/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is proven of a log besides its end: by a quote that the agent kept, and where somebody else
 * has extended the PCR.
 */
#include "attest/verification.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the kept quote ---- */

bool check_kept(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	char text[VERIFY_TEXT_MAX];

	if (!statement->has_kept)
		return true;
	enum verify_reason reason = verify_kept(&statement->kept, v->options->ak, &v->kept, text);
	return !reason ||
		verification_conclude(v, reason,
			"The quote that was kept after record %" PRIu64 " is refused. %s",
			statement->kept.seq, text);
}

bool is_kept_start(const struct verification *v)
{
	return v->statement.has_kept && v->statement.kept.seq + 1 == v->statement.first;
}

static bool is_at(
	const struct verification_lead *lead, bank_set banks, const struct bank_values *values)
{
	struct replay there = { .banks = lead->banks, .values = lead->values };

	return replay_is_at(&there, banks, values);
}

void verification_meet_kept(struct verification *v, const struct replay_line *line)
{
	const struct evidence_kept *kept = &v->statement.kept;
	const struct verification_epoch *epoch = &v->epoch;

	if (!v->statement.has_kept || line->place != kept->seq)
		return;
	if (v->replay.extended != line->place ||
		!replay_is_at(&v->replay, kept->banks, &kept->values) ||
		memcmp(line->sha256, kept->sha256, SHA256_LEN) != 0)
		v->kept_fault = VERIFY_REPLAY;
	else if (v->kept.reset_count != epoch->reset_count ||
		v->kept.restart_count != epoch->restart_count)
		v->kept_fault = VERIFY_EPOCH_COUNTS;
	else if (v->kept.clock_ms < epoch->clock_ms)
		v->kept_fault = VERIFY_CLOCK;
	else if (!v->broken.place && !v->replay.uncovered) {
		v->kept_first = v->reset ? v->reset : v->statement.first;
		v->kept_last = kept->seq;
	}
}

/* ---- somebody else's extend ---- */

void verification_meet_epoch(struct verification *v, const struct replay_line *line,
	const struct verification_lead *lead)
{
	if (line->base == REPLAY_BASE_RESET) {
		if (v->broken.place && !v->mended) {
			v->mended = v->broken.place;
			v->mended_last = line->place - 1;
		}
		v->broken = (struct verification_break){ 0 };
		v->reset = line->place;
		v->result->facts.reset_seq = line->place;
	}
	if (line->base != REPLAY_BASE_UNEXPLAINED || v->broken.place)
		return;
	v->broken = (struct verification_break){
		.place = line->place,
		.is_same_reset = v->epoch.is_known &&
			v->epoch.reset_count == line->epoch.reset_count &&
			v->epoch.restart_count == line->epoch.restart_count,
		.lead = *lead,
	};
	memcpy(v->broken.base, line->epoch.base.digest[BANK_SHA256], SHA256_LEN);
}

/*
 * The agent's own word for a break counts even where the values hide it, as they do when a kept
 * quote of the PCR after the extend is what the evidence starts from.
 */
void verification_meet_foreign(struct verification *v, const struct replay_line *line)
{
	const struct verify_facts *facts = &v->result->facts;
	struct verification_break *broken = &v->broken;
	uint64_t epoch = facts->has_epoch ? facts->epoch_seq : line->place;

	if (!broken->place)
		broken->place = epoch;
	if (broken->foreign || broken->place != epoch)
		return;
	broken->foreign = line->place;
	broken->found_ns = line->head.time_ns;
	record_foreign_facts(v->line, v->line_len, &broken->facts);
}

/* ---- in words ---- */

/* Returns the bytes of text in use, at most size - 1. */
[[gnu::format(printf, 4, 5)]] static size_t append(
	char *text, size_t size, size_t len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int more = vsnprintf(text + len, size - len, format, args);
	va_end(args);
	return more < 0 || len + (size_t)more >= size ? size - 1 : len + (size_t)more;
}

uint64_t verification_explain_proven(const struct verification *v, char *ret_text, size_t size)
{
	const struct verify_anchor *after = v->options->after;
	size_t len = 0;

	ret_text[0] = '\0';
	if (after)
		len = append(ret_text, size, len,
			" What was proven before, up to record %" PRIu64 ", stays so.", after->seq);
	if (v->kept_last)
		append(ret_text, size, len,
			" Records %" PRIu64 "-%" PRIu64
			" are proven by the quote that was kept after record %" PRIu64 ".",
			v->kept_first, v->kept_last, v->kept_last);
	return after && after->seq > v->kept_last ? after->seq : v->kept_last;
}

static size_t explain_foreign(
	const struct verification_break *broken, char *text, size_t size, size_t len)
{
	const struct record_foreign_facts *facts = &broken->facts;

	if (facts->last_seen_ns.known)
		len = append(text, size, len, " Between %s and %s",
			replay_instant(facts->last_seen_ns.value).text,
			replay_instant(broken->found_ns).text);
	else
		len = append(text, size, len, " Some time before %s",
			replay_instant(broken->found_ns).text);
	len = append(
		text, size, len, " the PCR was extended with something that is not in the log");
	if (broken->is_same_reset)
		len = append(text, size, len, "; reset count unchanged: foreign extend");
	if (broken->lead.banks && broken->lead.seq == facts->after_seq)
		len = append(text, size, len,
			"; what the agent expected is %swhat the records lead to",
			is_at(&broken->lead, facts->banks, &facts->expected) ? "" : "not ");
	return append(text, size, len, ".");
}

static size_t explain_base(
	const struct verification_break *broken, char *text, size_t size, size_t len)
{
	return append(text, size, len,
		" Record %" PRIu64
		" begins an epoch with a PCR that somebody else had extended (sha256 %s).",
		broken->place, replay_shorten(broken->base).text);
}

static void note_mended(struct verification *v)
{
	if (v->mended)
		verification_note(v,
			"records %" PRIu64 "-%" PRIu64
			" were measured into a PCR that somebody else had extended: only the records' "
			"own chain vouches for them",
			v->mended, v->mended_last);
}

static bool refuse_break(struct verification *v)
{
	const struct verification_break *broken = &v->broken;
	uint64_t first = v->statement.first;
	uint64_t last = v->replay.place - 1;
	uint64_t before = broken->place - 1;
	char text[VERIFY_TEXT_MAX];

	uint64_t proven = verification_explain_proven(v, text, sizeof(text));
	size_t len = strlen(text);
	if (first <= proven)
		first = proven + 1;
	if (first <= before)
		len = append(text, sizeof(text), len,
			" Records %" PRIu64 "-%" PRIu64
			" were measured before the break, and only the records' own chain vouches for "
			"them: no quote of them was kept.",
			first, before);
	len = broken->foreign ? explain_foreign(broken, text, sizeof(text), len)
			      : explain_base(broken, text, sizeof(text), len);
	append(text, sizeof(text), len, " Records %" PRIu64 "-%" PRIu64 " follow it.",
		broken->place, last);
	return verification_conclude(
		v, broken->foreign ? VERIFY_FOREIGN : VERIFY_BASE, "%s", text + 1);
}

bool check_history(struct verification *v)
{
	note_mended(v);
	if (v->other_trim)
		return verification_conclude(v, VERIFY_START,
			"Record %" PRIu64
			" says that the log was trimmed behind another line than the kept quote "
			"covers.",
			v->other_trim);
	return !v->broken.place || refuse_break(v);
}
