/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log with its kept quotes, and what the auditor says of it, compared as text: "1-4 proven,
 * 5 contradicted prev, 6-8 unproven" and what was found besides.
 */
#ifndef TESTS_HISTORY_FIXTURE_H
#define TESTS_HISTORY_FIXTURE_H

#include "attest_expect.h"
#include "attest_forge_kept.h"

#include <inttypes.h>

#include "attest/history.h"

enum { QUOTES_MAX = 8 };

/* A log with its kept quotes, as a database would have it. */
struct kept_log {
	struct forge *forge;
	size_t quote_count;
	struct {
		uint64_t seq;
		size_t len;
		char text[EVIDENCE_KEPT_MAX];
	} quotes[QUOTES_MAX];
	uint64_t first; /* records before it are not there */
	uint64_t missing; /* a record that is not there either */
	uint64_t ref_more; /* added to every ref */
	struct history_options options;
	struct ak ak;
	char said[4096];
};

static inline void put_quote(struct kept_log *log, const struct evidence_kept *kept)
{
	struct line line;

	assert_true(log->quote_count < QUOTES_MAX);
	log->quotes[log->quote_count].seq = kept->seq;
	line_init(&line, log->quotes[log->quote_count].text, EVIDENCE_KEPT_MAX);
	evidence_kept_encode(&line, kept);
	log->quotes[log->quote_count++].len = line.len;
}

/* The TPM's word for the log so far, kept. */
static inline void keep(struct kept_log *log)
{
	struct evidence_kept kept = forge_keep(log->forge, log->forge->count);

	put_quote(log, &kept);
}

/* The forge's log of 8 records in one epoch, no quote yet. */
static inline struct kept_log *new_log(void **state)
{
	static struct kept_log log;

	log = (struct kept_log){ .forge = *state, .first = 1, .options = { .pcr = 13 } };
	log.ak = forge_ak(log.forge);
	log.options.ak = &log.ak;
	return &log;
}

static inline void add_load(struct kept_log *log, const char *name)
{
	forge_add_load(log->forge, name, VERDICT_UNSIGNED, true);
}

/* Covered by the next one, as in a flood. */
static inline void add_unextended(struct kept_log *log, const char *name)
{
	forge_add_load(log->forge, name, VERDICT_UNSIGNED, false);
}

/* The machine boots: an epoch with a fresh PCR and one reset more. */
static inline void boot(struct kept_log *log, uint32_t resets)
{
	log->forge->reset_count += resets;
	struct record_epoch epoch = forge_epoch_record(log->forge);
	epoch.why = WHY_BOOT;
	forge_add_epoch(log->forge, &epoch);
}

/* ---- what the auditor says ---- */

static inline void feed_quotes(const struct kept_log *log, struct history *history, uint64_t seq)
{
	for (size_t i = 0; i < log->quote_count; i++)
		if (log->quotes[i].seq == seq)
			assert_int_equal(history_quote(history, seq, log->quotes[i].text,
						 log->quotes[i].len),
				0);
}

static inline void feed(const struct kept_log *log, struct history *history)
{
	const struct forge *forge = log->forge;

	feed_quotes(log, history, log->first - 1);
	for (uint64_t seq = log->first; seq <= forge->count; seq++) {
		const struct forge_line *line = &forge->lines[seq - 1];
		struct record_brief brief = { 0 };
		struct line_error error;

		if (seq == log->missing)
			continue;
		(void)!record_check_brief(line->text, line->len, &brief, &error);
		assert_int_equal(history_record(history, seq, brief.program_id + log->ref_more,
					 line->text, line->len),
			0);
		feed_quotes(log, history, seq);
	}
	for (uint64_t seq = forge->count + 1; seq < 2 * FORGE_LINES_MAX; seq++)
		feed_quotes(log, history, seq);
}

/* In log->said; returns the verdict. */
static inline enum verify_verdict audit(struct kept_log *log)
{
	[[gnu::cleanup(history_freep)]] struct history *history = history_new(&log->options);
	const struct history_result *result;
	size_t len = 0, size = sizeof(log->said);

	assert_non_null(history);
	feed(log, history);
	assert_int_equal(history_end(history, &result), 0);
	log->said[0] = '\0';
	for (size_t i = 0; i < result->span_count; i++) {
		const struct history_span *span = &result->spans[i];
		len += (size_t)snprintf(
			log->said + len, size - len, "%s%" PRIu64, i ? ", " : "", span->first);
		if (span->last != span->first)
			len += (size_t)snprintf(
				log->said + len, size - len, "-%" PRIu64, span->last);
		len += (size_t)snprintf(log->said + len, size - len, " %s%s%s",
			history_trust_name(span->trust), *span->reason ? " " : "", span->reason);
		assert_int_equal(span->first, i ? result->spans[i - 1].last + 1 : 1);
		assert_true(span->why[0]);
	}
	for (size_t i = 0; i < result->finding_count; i++)
		len += (size_t)snprintf(log->said + len, size - len, "; %s %s",
			result->findings[i].is_gap ? "gap" : "found", result->findings[i].reason);
	assert_true(result->explanation[0]);
	print_message("%s: %s\n", log->said, result->explanation);
	return result->verdict;
}

static inline void expect_said(struct kept_log *log, enum verify_verdict verdict, const char *said)
{
	enum verify_verdict got = audit(log);

	assert_string_equal(log->said, said);
	assert_string_equal(verify_verdict_name(got), verify_verdict_name(verdict));
}

#endif
