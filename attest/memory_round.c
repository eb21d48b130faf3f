/* SPDX-License-Identifier: BSD-2-Clause */
/* What one round finds of a machine and the next one needs. */
#include "attest/memory_own.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { SECOND_NS = 1000000000 };

#define PROVEN_COLUMNS                                                                             \
	"seq, sha256, banks, pcr_values, log_id, software, reset_count, restart_count, clock_ms,"  \
	" epoch_seq, policy, is_partial"

/* ---- what was proven ---- */

static int read_proven(struct memory *memory, sqlite3_stmt *stmt, struct memory_proven *ret)
{
	struct verify_anchor *anchor = &ret->anchor;

	ret->is_known = true;
	*anchor = (struct verify_anchor){
		.seq = memory_number(stmt, 0),
		.banks = (bank_set)memory_number(stmt, 2),
		.software = memory_number(stmt, 5) != 0,
		.reset_count = (uint32_t)memory_number(stmt, 6),
		.restart_count = (uint32_t)memory_number(stmt, 7),
		.clock_ms = memory_number(stmt, 8),
	};
	ret->epoch_seq = memory_number(stmt, 9);
	ret->is_partial = memory_number(stmt, 11) != 0;
	if (!anchor->seq || !(anchor->banks & 1u << BANK_SHA256) ||
		!memory_is_number(stmt, 2, (1u << BANK_COUNT) - 1) ||
		!memory_is_number(stmt, 6, UINT32_MAX) || !memory_is_number(stmt, 7, UINT32_MAX) ||
		!memory_is_number(stmt, 8, INT64_MAX) || !memory_is_number(stmt, 9, INT64_MAX) ||
		!memory_exactly(stmt, 1, anchor->sha256, sizeof(anchor->sha256)) ||
		!memory_exactly(stmt, 3, &anchor->values, sizeof(anchor->values)) ||
		!memory_exactly(stmt, 4, anchor->log_id, sizeof(anchor->log_id)) ||
		!memory_exactly(stmt, 10, ret->policy, sizeof(ret->policy)))
		return memory_damaged(memory, "what was proven of a machine");
	return 0;
}

int memory_proven_get(struct memory *memory, const char *machine, struct memory_proven *ret_proven)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	struct memory_proven proven = { 0 };
	int r = memory_ask(memory, &stmt,
		"SELECT " PROVEN_COLUMNS ", round FROM machine LEFT JOIN proven ON machine=name"
		" WHERE name=?1",
		"t", machine);

	if (r == 0)
		return memory_refuse(memory, -ENOENT, "%s is not enrolled", machine);
	if (r < 0)
		return r;
	if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		r = read_proven(memory, stmt, &proven);
	else
		r = 0;
	proven.round = memory_number(stmt, 12);
	if (!r)
		*ret_proven = proven;
	return r;
}

int memory_proven_put(
	struct memory *memory, const char *machine, const struct memory_proven *proven)
{
	const struct verify_anchor *anchor = &proven->anchor;
	struct memory_proven old;
	int r = memory_proven_get(memory, machine, &old);

	/* Found before anything was proven: of this boot, for all that is known. */
	if (!r && !old.is_known)
		r = memory_do(memory,
			"UPDATE violation SET epoch_seq=max(epoch_seq, ?2) WHERE machine=?1", "tn",
			machine, proven->epoch_seq);
	if (!r)
		r = memory_do(memory, "DELETE FROM violation WHERE machine=?1 AND epoch_seq<?2",
			"tn", machine, proven->epoch_seq);
	if (r)
		return r;
	return memory_do(memory,
		"INSERT OR REPLACE INTO proven(machine, " PROVEN_COLUMNS
		") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
		"tnbnbbnnnnnbn", machine, anchor->seq, anchor->sha256, sizeof(anchor->sha256),
		(uint64_t)anchor->banks, &anchor->values, sizeof(anchor->values), anchor->log_id,
		sizeof(anchor->log_id), (uint64_t)anchor->software, (uint64_t)anchor->reset_count,
		(uint64_t)anchor->restart_count, anchor->clock_ms, proven->epoch_seq,
		proven->policy, sizeof(proven->policy), (uint64_t)proven->is_partial);
}

int memory_lines_each(struct memory *memory, const char *machine,
	int (*fn)(void *arg, uint64_t seq, const char *line, size_t len), void *arg)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	int r = memory_ask(memory, &stmt,
		"SELECT seq, line FROM line WHERE machine=?1 ORDER BY seq", "t", machine);

	for (; r > 0; r = memory_next(memory, stmt)) {
		const char *line = sqlite3_column_blob(stmt, 1);
		if (!line)
			return memory_damaged(memory, "a remembered record");
		int stop = fn(
			arg, memory_number(stmt, 0), line, (size_t)sqlite3_column_bytes(stmt, 1));
		if (stop)
			return stop;
	}
	return r;
}

int memory_line_put(
	struct memory *memory, const char *machine, uint64_t seq, const char *line, size_t len)
{
	return memory_do(memory, "INSERT OR REPLACE INTO line(machine, seq, line) VALUES(?1,?2,?3)",
		"tnb", machine, seq, line, len);
}

int memory_line_drop(struct memory *memory, const char *machine, uint64_t seq)
{
	return memory_do(
		memory, "DELETE FROM line WHERE machine=?1 AND seq=?2", "tn", machine, seq);
}

int memory_lines_drop(struct memory *memory, const char *machine)
{
	return memory_do(memory, "DELETE FROM line WHERE machine=?1", "t", machine);
}

/* ---- challenges ---- */

/* What was sent before is not outstanding any more. */
static uint64_t oldest_ns(uint64_t now_ns)
{
	uint64_t life = (uint64_t)MEMORY_NONCE_S * SECOND_NS;

	return now_ns > life ? now_ns - life : 0;
}

int memory_nonce_put(struct memory *memory, const char *machine,
	const uint8_t nonce[static SHA256_LEN], uint64_t now_ns)
{
	int r = memory_do(memory, "DELETE FROM nonce WHERE machine=?1 AND sent_ns<?2", "tn",
		machine, oldest_ns(now_ns));

	if (r)
		return r;
	return memory_do(memory, "INSERT INTO nonce(nonce, machine, sent_ns) VALUES(?1,?2,?3)",
		"btn", nonce, (size_t)SHA256_LEN, machine, now_ns);
}

int memory_nonce_take(struct memory *memory, const char *machine,
	const uint8_t nonce[static SHA256_LEN], uint64_t now_ns)
{
	int r = memory_do(memory, "DELETE FROM nonce WHERE nonce=?1 AND machine=?2 AND sent_ns>=?3",
		"btn", nonce, (size_t)SHA256_LEN, machine, oldest_ns(now_ns));

	if (!r && sqlite3_changes(memory->sql) == 0)
		return memory_refuse(memory, -ENOENT, "that challenge is not outstanding");
	return r;
}

/* ---- the transaction ---- */

int memory_begin(struct memory *memory, const char *machine, uint64_t round)
{
	int r = memory_do(memory, "BEGIN IMMEDIATE", "");

	if (r)
		return r;
	r = memory_do(memory, "UPDATE machine SET round=round+1 WHERE name=?1 AND round=?2", "tn",
		machine, round);
	if (!r && sqlite3_changes(memory->sql) == 0)
		r = memory_refuse(memory, -ESTALE, "another round with %s came between", machine);
	if (r)
		memory_rollback(memory);
	return r;
}

int memory_commit(struct memory *memory)
{
	return memory_do(memory, "COMMIT", "");
}

void memory_rollback(struct memory *memory)
{
	if (!sqlite3_get_autocommit(memory->sql))
		(void)sqlite3_exec(memory->sql, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- verdicts ---- */

int memory_verdict_put(
	struct memory *memory, const char *machine, const struct memory_verdict *verdict)
{
	uint64_t age = (uint64_t)MEMORY_VERDICT_S * SECOND_NS;
	int r = memory_do(memory,
		"INSERT INTO verdict(machine, time_ns, verdict, reason, explanation, seq, mode, tpm)"
		" VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
		"tntttntt", machine, verdict->time_ns, verify_verdict_name(verdict->verdict),
		verdict->reason, verdict->explanation, verdict->seq,
		machine_mode_name(verdict->mode), machine_tpm_name(verdict->tpm));

	if (r)
		return r;
	return memory_do(memory,
		"DELETE FROM verdict WHERE machine=?1 AND (time_ns<?2 OR id<=(SELECT id FROM verdict"
		" WHERE machine=?1 ORDER BY id DESC LIMIT 1 OFFSET ?3))",
		"tnn", machine, verdict->time_ns > age ? verdict->time_ns - age : 0,
		(uint64_t)MEMORY_VERDICTS_MAX);
}

static bool read_verdict(sqlite3_stmt *stmt, struct memory_verdict *ret)
{
	char word[16];

	*ret = (struct memory_verdict){
		.time_ns = memory_number(stmt, 0),
		.seq = memory_number(stmt, 4),
	};
	if (!memory_text(stmt, 1, word, sizeof(word)) ||
		!memory_text(stmt, 2, ret->reason, sizeof(ret->reason)) ||
		!memory_text(stmt, 3, ret->explanation, sizeof(ret->explanation)) ||
		!memory_mode(stmt, 5, &ret->mode) || !memory_tpm(stmt, 6, &ret->tpm))
		return false;
	for (enum verify_verdict verdict = VERIFY_TRUSTED; verdict <= VERIFY_UNKNOWN; verdict++)
		if (strcmp(word, verify_verdict_name(verdict)) == 0) {
			ret->verdict = verdict;
			return true;
		}
	return false;
}

int memory_verdict_last(
	struct memory *memory, const char *machine, struct memory_verdict *ret_verdict)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	int r = memory_ask(memory, &stmt,
		"SELECT time_ns, verdict, reason, explanation, seq, mode, tpm FROM verdict"
		" WHERE machine=?1 ORDER BY id DESC LIMIT 1",
		"t", machine);

	if (r == 0)
		return memory_refuse(memory, -ENOENT, "%s was not judged yet", machine);
	if (r < 0)
		return r;
	return read_verdict(stmt, ret_verdict) ? 0 : memory_damaged(memory, "a remembered verdict");
}
