/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of the verifier that reads the log: from where it starts to its epoch. */
#include "attest/verification.h"

#include <inttypes.h>
#include <string.h>

/* ---- one record ---- */

/* Every record that names a log names the same one. */
static void name_log(struct verification *v, uint64_t place,
	const uint8_t log_id[static sizeof(v->result->facts.log_id)], bool software)
{
	struct verify_facts *facts = &v->result->facts;

	if (v->has_log_id && !v->other_log &&
		memcmp(facts->log_id, log_id, sizeof(facts->log_id)) != 0)
		v->other_log = place;
	v->has_log_id = true;
	memcpy(facts->log_id, log_id, sizeof(facts->log_id));
	facts->software = software;
}

/* An epoch that begins after what was proven before. */
static void meet_after(struct verification *v, const struct replay_line *line)
{
	const struct verify_anchor *after = v->options->after;
	struct line_value last_seq;

	if (!after || line->place <= after->seq)
		return;
	if (line->epoch.why == WHY_TPM_CLEAR)
		v->cleared = line->place;
	if (!v->shorter && line_get(v->line, v->line_len, "last_seq", &last_seq) &&
		line_value_uint(last_seq) < after->seq)
		v->shorter = line->place;
}

/*
 * The PCR went on: the TPM was not reset, and has counted no further than it was. TPM 2.0 Library, Part 1,
 * "TPM Resume": it counts a restart and no reset; after a reset no PCR of ours is what it was.
 */
static void count_on(struct verification *v, uint64_t place, const struct verification_epoch *now)
{
	const struct verification_epoch *epoch = &v->epoch;
	enum verify_reason reason = VERIFY_OK;

	if (now->reset_count != epoch->reset_count || now->restart_count < epoch->restart_count)
		reason = VERIFY_EPOCH_COUNTS;
	else if (now->clock_ms < epoch->clock_ms)
		reason = VERIFY_CLOCK;
	if (reason && epoch->is_known && !v->backwards) {
		v->backwards = place;
		v->backwards_reason = reason;
	}
}

static void begin_epoch(struct verification *v, const struct replay_line *line)
{
	const struct record_epoch_facts *epoch = &line->epoch;
	struct verify_facts *facts = &v->result->facts;
	struct line_value why;

	name_log(v, line->place, epoch->log_id, epoch->software);
	struct verification_epoch now = {
		.is_known = true,
		.reset_count = epoch->reset_count,
		.restart_count = epoch->restart_count,
		.clock_ms = epoch->clock_ms,
		.ak_name_len = epoch->ak_name_len,
	};
	memcpy(now.ak_name, epoch->ak_name, sizeof(now.ak_name));
	if (line->base == REPLAY_BASE_RUNNING && epoch->why != WHY_TPM_CLEAR)
		count_on(v, line->place, &now);
	v->epoch = now;
	meet_after(v, line);
	facts->has_epoch = true;
	facts->epoch_seq = line->place;
	if (line_get(v->line, v->line_len, "why", &why))
		line_value_text(why, facts->epoch_why, sizeof(facts->epoch_why));
}

static void resume(struct verification *v, const struct replay_line *line)
{
	struct verification_epoch now = v->epoch;
	struct record_resume_facts facts;

	record_resume_facts(v->line, v->line_len, &facts);
	now.reset_count = facts.reset_count;
	now.restart_count = facts.restart_count;
	now.clock_ms = facts.clock_ms;
	count_on(v, line->place, &now);
	v->epoch = now;
}

static void trim(struct verification *v, const struct replay_line *line)
{
	const struct evidence_kept *kept = &v->statement.kept;
	struct record_trim_facts facts;

	record_trim_facts(v->line, v->line_len, &facts);
	/* It tells of an earlier epoch: what is known of a later one stays. */
	name_log(v, line->place, facts.log_id,
		v->has_log_id ? v->result->facts.software : facts.software);
	if (is_kept_start(v) && facts.last == kept->seq &&
		memcmp(facts.last_sha256, kept->sha256, SHA256_LEN) != 0)
		v->other_trim = line->place;
}

/* As many as there can be, where there are more. */
static void add_lost(struct verify_facts *facts, uint64_t count)
{
	facts->lost = count < LINE_UINT_MAX - facts->lost ? facts->lost + count : LINE_UINT_MAX;
}

static void tally(struct verification *v, const struct replay_line *line,
	const struct verification_lead *lead)
{
	struct verify_facts *facts = &v->result->facts;
	struct line_value value = { 0 };

	facts->kinds[line->head.kind]++;
	switch (line->head.kind) {
	case RECORD_EPOCH:
		verification_meet_epoch(v, line, lead);
		begin_epoch(v, line);
		return;
	case RECORD_RESUME:
		resume(v, line);
		return;
	case RECORD_FOREIGN:
		verification_meet_foreign(v, line);
		return;
	case RECORD_TRIM:
		trim(v, line);
		return;
	case RECORD_LOAD:
		facts->loads[line->verdict]++;
		return;
	case RECORD_LOST:
		if (line_get(v->line, v->line_len, "count", &value))
			add_lost(facts, line_value_uint(value));
		return;
	default:
		return;
	}
}

static bool take_record(struct verification *v, struct replay_line *ret_line)
{
	const struct evidence_statement *statement = &v->statement;
	const struct verification_lead lead = {
		.seq = v->replay.extended,
		.banks = v->replay.banks,
		.values = v->replay.values,
	};

	int err = replay_next(&v->replay, v->line, v->line_len, ret_line);
	if (!err)
		err = diagnosis_next(&v->diagnosis, ret_line);
	if (err)
		return verification_fail(v, err);

	v->result->facts.records++;
	if (ret_line->is_record)
		tally(v, ret_line, &lead);
	if (ret_line->is_record && v->options->record)
		v->options->record(v->options->record_arg, ret_line->place, v->line, v->line_len);
	verification_meet_kept(v, ret_line);
	if (v->replay.extended == ret_line->place &&
		replay_is_at(&v->replay, statement->banks, &statement->values))
		v->matched = ret_line->place;
	verification_meet_after(v, ret_line);
	return true;
}

/* ---- where it starts ---- */

bool is_continued(const struct verification *v)
{
	const struct verify_anchor *after = v->options->after;

	return after && v->statement.first == after->seq + 1;
}

static void note_history(struct verification *v)
{
	const struct verify_anchor *after = v->options->after;
	uint64_t first = v->statement.first;
	uint64_t known = after ? after->seq : 0;

	if (is_kept_start(v) && !after)
		verification_note(v,
			"history before record %" PRIu64
			" is not shown: a quote that the agent kept vouches for the PCR there",
			first);
	else if (first > known + 1 && !v->options->has_gap)
		verification_note(
			v, "records %" PRIu64 "-%" PRIu64 " were not shown", known + 1, first - 1);
}

static void init_replay(struct verification *v)
{
	static const struct bank_values zero;
	static const uint8_t no_line[SHA256_LEN];
	static const uint8_t no_id[sizeof(v->result->facts.log_id)];
	const struct verify_options *options = v->options;
	const struct verify_anchor *after = options->after;
	const struct evidence_kept *kept = &v->statement.kept;
	uint64_t first = v->statement.first;

	if (is_continued(v))
		replay_init(&v->replay, first, after->banks, &after->values, after->sha256);
	else if (is_kept_start(v))
		replay_init(&v->replay, first, kept->banks, &kept->values, kept->sha256);
	else
		replay_init(&v->replay, first, 0, &zero, first == 1 ? no_line : NULL);
	diagnosis_init(&v->diagnosis, first, &v->replay.values);
	if (options->base) {
		v->replay.pinned_banks = options->base_banks;
		v->replay.pinned = *options->base;
	}
	if (after) {
		v->epoch = (struct verification_epoch){
			.is_known = true,
			.reset_count = after->reset_count,
			.restart_count = after->restart_count,
			.clock_ms = after->clock_ms,
		};
		v->has_log_id = memcmp(after->log_id, no_id, sizeof(no_id)) != 0;
		memcpy(v->result->facts.log_id, after->log_id, sizeof(after->log_id));
		v->result->facts.software = after->software;
	}
	if (is_kept_start(v) && !is_continued(v))
		v->epoch = (struct verification_epoch){
			.is_known = true,
			.reset_count = v->kept.reset_count,
			.restart_count = v->kept.restart_count,
			.clock_ms = v->kept.clock_ms,
		};
}

static bool check_first_epoch(struct verification *v, const struct record_epoch_facts *epoch)
{
	const struct evidence_statement *statement = &v->statement;
	struct replay at_base = { .banks = epoch->banks, .values = epoch->base };

	if (epoch->pcr != statement->pcr)
		return verification_conclude(v, VERIFY_PCR_SELECTION,
			"The quote is of PCR %u, record %" PRIu64 " says that PCR %u is extended.",
			statement->pcr, statement->first, epoch->pcr);
	if (!replay_is_at(&at_base, statement->start_banks, &statement->start))
		return verification_conclude(v, VERIFY_START,
			"The statement and record %" PRIu64
			" begin the epoch with different PCR values.",
			statement->first);
	return true;
}

/* The PCR before the first record, where that does not say so itself. */
static bool check_start_values(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	const struct verify_anchor *after = v->options->after;
	const struct evidence_kept *kept = &statement->kept;
	struct replay there = { 0 };

	if (is_continued(v)) {
		there = (struct replay){ .banks = after->banks, .values = after->values };
	} else if (is_kept_start(v)) {
		there = (struct replay){ .banks = kept->banks, .values = kept->values };
	} else {
		return verification_conclude(v, VERIFY_START,
			"Nobody vouches for the PCR values before record %" PRIu64
			": it does not begin an epoch, and it does not follow a record that was "
			"proven.",
			statement->first);
	}
	if (!replay_is_at(&there, statement->start_banks, &statement->start))
		return verification_conclude(v, VERIFY_START,
			"%s %" PRIu64 "%s with other PCR values than those stated.",
			is_continued(v) ? "Record" : "The kept quote after record",
			statement->first - 1, is_continued(v) ? " was proven" : " was made");
	return true;
}

bool check_start(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	struct replay_line line = { 0 };

	note_history(v);
	init_replay(v);
	if (!verification_read(v))
		return false;
	if (!v->line && !is_continued(v) && statement->since && statement->last == statement->since)
		return verification_conclude(v, VERIFY_START,
			"It says that there is nothing after record %" PRIu64
			", and nobody vouches here for what is before.",
			statement->since);
	if (!v->line && !(is_continued(v) && statement->last < statement->first))
		return verification_conclude(
			v, VERIFY_MALFORMED, "No record follows the statement.");
	if (!v->line)
		return check_start_values(v); /* nothing new */
	if (!take_record(v, &line))
		return false;
	if (is_kept_start(v) && line.is_record &&
		memcmp(line.head.prev, statement->kept.sha256, SHA256_LEN) != 0)
		return verification_conclude(v, VERIFY_START,
			"Record %" PRIu64
			" does not follow the one that the kept quote covers: it names the sha256 "
			"%s, the quote %s.",
			statement->first, replay_shorten(line.head.prev).text,
			replay_shorten(statement->kept.sha256).text);
	if (line.is_epoch)
		return check_first_epoch(v, &line.epoch);
	if (!line.is_record && !is_continued(v))
		return verification_conclude(v, VERIFY_START,
			"The log must begin with an epoch record; what is there is no record: %s "
			"(byte %zu).",
			line.error.what, line.error.at);
	return check_start_values(v);
}

/* ---- replay ---- */

bool follow_log(struct verification *v)
{
	struct replay_line line;

	while (v->line) {
		if (!verification_read(v))
			return false;
		if (v->line && !take_record(v, &line))
			return false;
	}
	int err = diagnosis_end(&v->diagnosis);
	return !err || verification_fail(v, err);
}

static bool is_bank_reproduced(const struct verification *v, enum bank bank)
{
	return memcmp(v->replay.values.digest[bank], v->statement.values.digest[bank],
		       bank_size(bank)) == 0;
}

/*
 * The findings as one clause; those that were not proven by mending them are suspicions, of which
 * only the first is worth a word.
 */
static void explain_findings(const struct verification *v, size_t max, char *ret_text, size_t size)
{
	const struct diagnosis *diagnosis = &v->diagnosis;
	size_t len = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < diagnosis->finding_count && i < max; i++) {
		char text[FINDING_TEXT_MAX];
		finding_explain(&diagnosis->findings[i], text);
		len += (size_t)snprintf(ret_text + len, size - len, "%s%s", i ? "; " : "", text);
	}
}

static bool is_reproduced_mended(const struct verification *v)
{
	const struct diagnosis *diagnosis = &v->diagnosis;

	return diagnosis->finding_count && diagnosis->is_mended &&
		memcmp(diagnosis->value, v->statement.values.digest[BANK_SHA256], SHA256_LEN) == 0;
}

/* The sha256 bank is as it was signed, another is not. */
static bool refuse_bank(struct verification *v)
{
	enum bank bank = 0;

	while (bank < BANK_COUNT - 1 &&
		(!(v->statement.banks & 1u << bank) || is_bank_reproduced(v, bank)))
		bank++;
	return verification_conclude(v, VERIFY_REPLAY,
		"The log leads to the sha256 value that the TPM signed, but not to the %s value: "
		"that bank was extended by somebody else.",
		bank_name(bank));
}

/*
 * What can be said truly when the values signed are not reproduced. They vouch for a sequence of
 * digests and for nothing else: so unless some sequence leads to them - the log's beginning, or the
 * log with a finding mended - they prove nothing of it, however well its records fit together.
 */
static bool refuse_replay(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;
	const struct diagnosis *diagnosis = &v->diagnosis;
	uint64_t last = v->replay.place - 1;
	uint64_t uncovered = v->replay.uncovered;
	char findings[DIAGNOSIS_FINDINGS_MAX * FINDING_TEXT_MAX];
	char proven[256] = "", but[96] = "";

	explain_findings(v, is_reproduced_mended(v) ? DIAGNOSIS_FINDINGS_MAX : 1, findings,
		sizeof(findings));
	verification_explain_proven(v, proven, sizeof(proven));
	if (uncovered && uncovered <= v->matched)
		snprintf(but, sizeof(but),
			" but for those that were not extended themselves, from record %" PRIu64
			" on",
			uncovered);

	if (is_bank_reproduced(v, BANK_SHA256))
		return refuse_bank(v);
	if (is_reproduced_mended(v))
		return verification_conclude(v, VERIFY_REPLAY,
			"The log was altered: %s; with that put right it leads to what the TPM signed, "
			"so every other record is proven.",
			findings);
	if (v->matched)
		return verification_conclude(v, VERIFY_REPLAY,
			"The TPM signed its value after record %" PRIu64
			": up to there the records are proven%s, those from %" PRIu64 " to %" PRIu64
			" it has not seen.",
			v->matched, but, v->matched + 1, last);
	if (last < statement->last && !diagnosis->finding_count)
		return verification_conclude(v, VERIFY_REPLAY,
			"The log ends with record %" PRIu64 ", by the statement with %" PRIu64
			": it was cut. Of what is there the quote proves nothing.%s",
			last, statement->last, proven);
	if (diagnosis->finding_count)
		return verification_conclude(v, VERIFY_REPLAY,
			"The log does not lead to what the TPM signed, and contradicts itself. First: "
			"%s; of this log the quote proves nothing.%s",
			findings, proven);
	return verification_conclude(v, VERIFY_REPLAY,
		"The log does not lead to what the TPM signed, though each of its records follows from "
		"the one before: the last one was changed, records after it were removed, all of it "
		"was rewritten, or somebody else extended the PCR. Of this log the quote proves "
		"nothing.%s",
		proven);
}

bool check_replay(struct verification *v)
{
	const struct evidence_statement *statement = &v->statement;

	if (v->replay.banks != statement->banks)
		return verification_conclude(v, VERIFY_PCR_SELECTION,
			"The quote does not cover the banks that the last epoch says are extended.");
	if (!replay_is_at(&v->replay, statement->banks, &statement->values))
		return refuse_replay(v);
	if (v->kept_fault)
		return verification_conclude(v, v->kept_fault,
			"The log leads to what the TPM signed, but not to what the quote says that "
			"was kept after record %" PRIu64 ".",
			statement->kept.seq);
	return true;
}

/* ---- what the records say of themselves ---- */

static bool refuse_fault(struct verification *v, enum replay_check check)
{
	static const enum verify_reason reason_of[REPLAY_CHECK_COUNT] = {
		[REPLAY_GRAMMAR] = VERIFY_GRAMMAR,
		[REPLAY_PREV] = VERIFY_PREV,
		[REPLAY_SEQ] = VERIFY_SEQ,
		[REPLAY_UNEXTENDED] = VERIFY_UNEXTENDED,
	};
	char finding[FINDING_TEXT_MAX];

	explain_findings(v, 1, finding, sizeof(finding));
	return verification_conclude(v, reason_of[check],
		"The log leads to what the TPM signed, but %s.%s%s%s", v->replay.faults[check].what,
		finding[0] ? " So " : "", finding,
		finding[0] ? " (not extended itself, or of an earlier epoch)." : "");
}

bool check_records(struct verification *v)
{
	uint64_t last = v->replay.place - 1;
	uint64_t extended = v->replay.extended;

	for (enum replay_check check = 0; check < REPLAY_CHECK_COUNT; check++)
		if (v->replay.faults[check].found)
			return refuse_fault(v, check);
	if (last != v->statement.last)
		return verification_conclude(v, VERIFY_SEQ,
			"The statement says that the log ends with record %" PRIu64
			", it ends with %" PRIu64 ".",
			v->statement.last, last);
	if (last >= v->statement.first && extended != last)
		return verification_conclude(v, VERIFY_UNEXTENDED,
			"Nothing covers the end of the log: the last record that was extended is not "
			"the last one, %" PRIu64 ".",
			last);
	return true;
}

bool check_epoch(struct verification *v)
{
	const struct verification_epoch *epoch = &v->epoch;
	const struct tpms_attest *quote = &v->quote;

	if (epoch->ak_name_len &&
		(epoch->ak_name_len != v->ak.name_len ||
			memcmp(epoch->ak_name, v->ak.name, v->ak.name_len) != 0))
		return verification_conclude(v, VERIFY_AK_NAME,
			"Record %" PRIu64
			" began the epoch with another AK than the one that signed.",
			v->result->facts.epoch_seq);
	if (v->backwards)
		return verification_conclude(v, v->backwards_reason,
			"Record %" PRIu64
			" says that the PCR went on, with counters that the TPM cannot have had "
			"then: those before it are later, or of another reset.",
			v->backwards);
	if (epoch->reset_count != quote->reset_count ||
		epoch->restart_count != quote->restart_count)
		return verification_conclude(v, VERIFY_EPOCH_COUNTS,
			"The TPM counts %" PRIu32 " resets and %" PRIu32
			" restarts, the log is at %" PRIu32 " and %" PRIu32
			": it does not know of a reset or resume.",
			quote->reset_count, quote->restart_count, epoch->reset_count,
			epoch->restart_count);
	if (quote->clock_ms < epoch->clock_ms)
		return verification_conclude(v, VERIFY_CLOCK,
			"The quote was made at %" PRIu64
			" ms of the TPM's clock, before what it covers (%" PRIu64 " ms).",
			quote->clock_ms, epoch->clock_ms);
	return true;
}
