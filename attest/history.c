/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/auditing.h"

struct history *history_new(const struct history_options *options)
{
	struct history *history = calloc(1, sizeof(*history));

	if (history)
		history->options = *options;
	return history;
}

void history_free(struct history *history)
{
	if (!history)
		return;
	free(history->spans);
	free(history);
}

void history_freep(struct history **history)
{
	history_free(*history);
}

/* ---- lines that do not follow ---- */

static struct replay_line *window_at(struct history *history, size_t number)
{
	return &history->window[number % HISTORY_WINDOW];
}

/* Begin to look for what was changed, in the lines of the window. */
static int start_diagnosis(struct history *history)
{
	size_t count = history->line_count;
	size_t number = count > HISTORY_WINDOW ? count - HISTORY_WINDOW : 0;
	struct bank_values values = { 0 };
	int err = 0;

	if (history->is_diagnosing)
		return 0;
	history->is_diagnosing = true;
	memcpy(values.digest[BANK_SHA256], history->before[number % HISTORY_WINDOW],
		BANK_DIGEST_MAX);
	diagnosis_init(&history->diagnosis, window_at(history, number)->place, &values);
	for (; number < count && !err; number++)
		err = diagnosis_next(&history->diagnosis, window_at(history, number));
	return err;
}

static void break_chain(
	struct history *history, const char *reason, uint64_t place, const char *what)
{
	if (history->broken.found)
		return;
	history->broken.found = true;
	history->broken.place = place;
	history->broken_reason = reason;
	snprintf(history->broken.what, sizeof(history->broken.what), "%s", what);
}

/* Take over what the replay found, so that it can find the next. */
static int take_faults(struct history *history)
{
	static const enum replay_check chain[] = { REPLAY_PREV, REPLAY_SEQ };
	static const enum verify_reason reasons[] = {
		[REPLAY_PREV] = VERIFY_PREV,
		[REPLAY_SEQ] = VERIFY_SEQ,
		[REPLAY_GRAMMAR] = VERIFY_GRAMMAR,
		[REPLAY_UNEXTENDED] = VERIFY_UNEXTENDED,
	};
	static const enum replay_check own[] = { REPLAY_GRAMMAR, REPLAY_UNEXTENDED };
	struct replay_fault *faults = history->replay.faults;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct replay_fault *fault = &faults[own[i]];
		if (fault->found)
			history_blame(history, fault->place, fault->place,
				verify_reason_name(reasons[own[i]]), "%s", fault->what);
		fault->found = false;
	}
	for (size_t i = 0; i < sizeof(chain) / sizeof(chain[0]); i++) {
		struct replay_fault *fault = &faults[chain[i]];
		if (fault->found)
			break_chain(history, verify_reason_name(reasons[chain[i]]), fault->place,
				fault->what);
		fault->found = false;
	}
	return history->broken.found ? start_diagnosis(history) : 0;
}

/* Who is to blame for lines that do not follow: as far as the diagnosis found out, or the line
 * itself. */
static void blame_findings(struct history *history, const char *reason)
{
	const struct diagnosis *diagnosis = &history->diagnosis;
	size_t count = history->is_diagnosing ? diagnosis->finding_count : 0;

	for (size_t i = 0; i < count; i++) {
		const struct finding *finding = &diagnosis->findings[i];
		uint64_t more = finding->kind == FINDING_MOVED;
		char text[FINDING_TEXT_MAX];

		finding_explain(finding, text);
		history_blame(history, finding->place, finding->place + more, reason, "%s", text);
		if (finding->first < finding->place)
			history_doubt(history, finding->first, finding->place - 1);
	}
	if (!count && history->broken.found)
		history_blame(history, history->broken.place, history->broken.place, reason, "%s",
			history->broken.what);
}

static void close_unanchored(struct history *history, uint64_t last)
{
	char why[128];

	snprintf(why, sizeof(why), "nobody vouches for the PCR's value before record %" PRIu64,
		history->open);
	history_close(history, last, HISTORY_CONTRADICTED, verify_reason_name(VERIFY_START), why);
}

int history_close_unproven(struct history *history, uint64_t last, const char *why)
{
	const struct history_fault *fault = &history->epoch.fault;
	int err = 0;

	if (history->open > last)
		return 0;
	if (history->is_diagnosing)
		err = diagnosis_end(&history->diagnosis);
	blame_findings(history, history->broken_reason);
	if (fault->reason)
		history_close(history, last, HISTORY_CONTRADICTED, fault->reason, fault->text);
	else if (!history->is_anchored)
		close_unanchored(history, last);
	else
		history_close(history, last, HISTORY_UNPROVEN, "",
			history->epoch.is_other_ak
				? "their epoch has another attestation key than the one given"
				: why);
	return err;
}

/* ---- records ---- */

static void begin(struct history *history, uint64_t seq)
{
	static const struct bank_values zero;
	static const uint8_t no_line[SHA256_LEN];
	const struct history_options *options = &history->options;
	const struct evidence_kept *cut = &history->cut;
	const struct tpms_attest *attest = &history->cut_attest;
	const struct history_span before = { .first = 1, .last = seq - 1 }; /* judged at the end */

	history_span_add(history, &before);
	history->first = seq;
	history->open = seq;
	history->has_cut = history->has_cut && cut->seq == seq - 1;
	if (history->has_cut) {
		replay_init(&history->replay, seq, cut->banks, &cut->values, cut->sha256);
		history->is_anchored = true;
		history->epoch = (struct history_epoch){
			.is_known = true,
			.reset_count = attest->reset_count,
			.restart_count = attest->restart_count,
			.clock_ms = attest->clock_ms,
		};
	} else {
		replay_init(&history->replay, seq, 0, &zero, seq == 1 ? no_line : NULL);
	}
	if (options->base) {
		history->replay.pinned_banks = options->base_banks;
		history->replay.pinned = *options->base;
	}
}

static int skip_to(struct history *history, uint64_t seq)
{
	uint64_t place = history->replay.place;
	char what[sizeof(history->broken.what)];

	if (seq < place)
		return -EINVAL;
	if (seq == place)
		return 0;
	snprintf(what, sizeof(what), "records %" PRIu64 "-%" PRIu64 " are missing", place, seq - 1);
	break_chain(history, verify_reason_name(VERIFY_SEQ), place, what);
	history_blame(history, place, seq - 1, verify_reason_name(VERIFY_SEQ), "%s", what);
	history->replay.place = seq;
	return 0;
}

static void check_ref(struct history *history, const struct replay_line *line, uint64_t ref)
{
	enum record_kind kind = line->head.kind;
	bool has_program = line->is_record && (kind == RECORD_LOAD || kind == RECORD_BASELINE);
	bool has_place = line->is_record && (kind == RECORD_ATTACH || kind == RECORD_DETACH);
	uint64_t expected = has_program ? line->program_id : 0;

	/* A place has a number that only the kernel's addresses explain: never that of a program. */
	if (has_place && ref <= UINT32_MAX)
		history_find(history, line->place, "database",
			"Record %" PRIu64
			" is of an attachment and found under the program id %" PRIu64 ".",
			line->place, ref);
	else if (!has_place && ref != expected)
		history_find(history, line->place, "database",
			"Record %" PRIu64 " is found under the program id %" PRIu64
			", it is of %" PRIu64 ".",
			line->place, ref, expected);
}

int history_record(
	struct history *history, uint64_t seq, uint64_t ref, const char *bytes, size_t len)
{
	if (!history->first)
		begin(history, seq);
	int err = skip_to(history, seq);
	if (err)
		return err;

	size_t slot = history->line_count % HISTORY_WINDOW;
	struct replay_line *line = &history->window[slot];
	memcpy(history->before[slot], history->replay.values.digest[BANK_SHA256], BANK_DIGEST_MAX);
	err = replay_next(&history->replay, bytes, len, line);
	if (err)
		return err;
	history->line_count++;
	history->result.records++;
	if (seq == history->first && line->is_record) {
		history->first_is_epoch = line->is_epoch;
		memcpy(history->first_prev, line->head.prev, SHA256_LEN);
	}
	if (line->uncovered)
		history_doubt(history, line->uncovered, seq - 1);
	check_ref(history, line, ref);
	if (history->is_diagnosing)
		err = diagnosis_next(&history->diagnosis, line);
	if (!err)
		err = take_faults(history);
	if (!err && line->is_record)
		err = history_take_facts(history, line, bytes, len);
	return err ? err : history->error;
}

bool history_was_record(const struct history *history)
{
	return history->line_count > 0 &&
		history->window[(history->line_count - 1) % HISTORY_WINDOW].is_record;
}

/* ---- quotes ---- */

/* The diagnosis of the lines up to one of which the quote names the digest: as if a record came
 * behind it that does. */
static int diagnose_up_to(struct history *history, const struct evidence_kept *kept)
{
	struct replay_line next = {
		.place = kept->seq + 1,
		.is_record = true,
		.head = { .seq = kept->seq + 1, .extend = true },
	};
	int err = start_diagnosis(history);

	memcpy(next.head.prev, kept->sha256, SHA256_LEN);
	return err ? err : diagnosis_next(&history->diagnosis, &next);
}

/* Whether the records lead to what was signed once the findings are put right. */
static bool is_mended(const struct history *history, const struct evidence_kept *kept)
{
	const struct diagnosis *diagnosis = &history->diagnosis;

	return history->is_diagnosing && diagnosis->finding_count && diagnosis->is_mended &&
		memcmp(diagnosis->value, kept->values.digest[BANK_SHA256], SHA256_LEN) == 0;
}

static void refuse_replay(struct history *history, const struct evidence_kept *kept)
{
	const struct diagnosis *diagnosis = &history->diagnosis;
	char text[HISTORY_TEXT_MAX], suspect[FINDING_TEXT_MAX] = "";

	if (history->is_diagnosing && diagnosis->finding_count)
		finding_explain(&diagnosis->findings[0], suspect);
	else if (history->broken.found)
		snprintf(suspect, sizeof(suspect), "%.*s", FINDING_TEXT_MAX - 1,
			history->broken.what);
	else if (history->blame_count)
		snprintf(suspect, sizeof(suspect), "%.*s", FINDING_TEXT_MAX - 1,
			history->blames[0].why);
	snprintf(text, sizeof(text),
		"records %" PRIu64 "-%" PRIu64
		" do not lead to what the TPM signed after the last of them%s%s",
		history->open, kept->seq, suspect[0] ? "; first: " : "", suspect);
	history->blame_count = 0;
	history_close(
		history, kept->seq, HISTORY_CONTRADICTED, verify_reason_name(VERIFY_REPLAY), text);
}

static int judge_quote(struct history *history, const struct evidence_kept *kept)
{
	const struct history_fault *fault = &history->epoch.fault;
	enum history_trust trust = history->options.ak ? HISTORY_PROVEN : HISTORY_CONSISTENT;
	bool is_at = replay_is_at(&history->replay, kept->banks, &kept->values);
	bool is_line = memcmp(history->replay.prev, kept->sha256, SHA256_LEN) == 0;
	char why[64];

	snprintf(why, sizeof(why), "the quote kept after record %" PRIu64, kept->seq);
	if (history->is_diagnosing || !is_line) {
		int err = diagnose_up_to(history, kept);
		if (err)
			return err;
	}
	if (fault->reason || !history->is_anchored)
		return history_close_unproven(history, kept->seq, "");
	if (is_at) {
		blame_findings(history,
			history->broken.found ? history->broken_reason
					      : verify_reason_name(VERIFY_REPLAY));
		history_close(history, history->replay.extended, trust, "", why);
	} else if (is_mended(history, kept)) {
		blame_findings(history, verify_reason_name(VERIFY_REPLAY));
		history_close(history, kept->seq, trust, "", why);
	} else {
		refuse_replay(history, kept);
	}
	return 0;
}

/* What the TPM signed is where the next records go on from, whatever those before led to. */
static void go_on_from(struct history *history, const struct evidence_kept *kept)
{
	/* What the next record names is a line that is not there. */
	if (history->replay.run && memcmp(history->replay.prev, kept->sha256, SHA256_LEN) != 0) {
		history_doubt(history, history->replay.run, kept->seq);
		history->replay.run = 0;
	}
	history->replay.banks = kept->banks;
	history->replay.values = kept->values;
	memcpy(history->replay.prev, kept->sha256, SHA256_LEN);
	history->is_anchored = true;
	history->line_count = 0;
}

/* Returns 1 if it is good, 0 if not, or an error. */
static int check_quote(struct history *history, uint64_t seq, const char *line, size_t len,
	struct evidence_kept *ret_kept, struct tpms_attest *ret_attest)
{
	char text[VERIFY_TEXT_MAX];
	struct line_error error;

	if (evidence_kept_decode(line, len, ret_kept, &error)) {
		history_find(history, seq, verify_reason_name(VERIFY_MALFORMED),
			"The quote kept after record %" PRIu64 " is none: %s (byte %zu).", seq,
			error.what, error.at);
		return 0;
	}
	enum verify_reason reason = verify_kept(ret_kept, history->options.ak, ret_attest, text);
	if (reason == VERIFY_FAILED)
		return -EIO;
	if (reason == VERIFY_OK && ret_kept->seq == seq && ret_kept->pcr == history->options.pcr)
		return 1;
	if (reason == VERIFY_AK_UNKNOWN && history->epoch.is_other_ak)
		return 0; /* and so its epoch cannot be proven */
	if (reason != VERIFY_OK)
		history_find(history, seq, verify_reason_name(reason),
			"The quote kept after record %" PRIu64 " is not good: %.400s", seq, text);
	else if (ret_kept->seq != seq)
		history_find(history, seq, verify_reason_name(VERIFY_SEQ),
			"The quote kept after record %" PRIu64 " says that it is of record %" PRIu64
			".",
			seq, ret_kept->seq);
	else
		history_find(history, seq, verify_reason_name(VERIFY_PCR_SELECTION),
			"The quote kept after record %" PRIu64 " is of PCR %u, asked was PCR %u.",
			seq, ret_kept->pcr, history->options.pcr);
	return 0;
}

int history_quote(struct history *history, uint64_t seq, const char *line, size_t len)
{
	struct evidence_kept kept;
	struct tpms_attest attest;

	int good = check_quote(history, seq, line, len, &kept, &attest);
	if (good <= 0)
		return good;
	history->result.quotes++;
	if (!history->first) {
		history->has_cut = true;
		history->cut = kept;
		history->cut_attest = attest;
		return 0;
	}
	if (seq != history->replay.place - 1) {
		history_find(history, seq, verify_reason_name(VERIFY_ROLLBACK),
			"A quote was kept after record %" PRIu64 ", and there is no such record.",
			seq);
		return 0;
	}
	if (!history_check_clock(history, seq, &attest))
		return 0;
	int err = judge_quote(history, &kept);
	go_on_from(history, &kept);
	return err ? err : history->error;
}
