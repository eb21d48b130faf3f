/* SPDX-License-Identifier: BSD-2-Clause */
/* Violations, which stay. */
#include "attest/memory_own.h"

#include <errno.h>
#include <string.h>

static const char *const sources[] = {
	[MEMORY_EVIDENCE] = "evidence",
	[MEMORY_POLICY] = "policy",
};

const char *memory_source_name(enum memory_source source)
{
	return sources[source];
}

static bool read_violation(sqlite3_stmt *stmt, struct memory_violation *ret)
{
	char source[16];

	*ret = (struct memory_violation){
		.epoch_seq = memory_number(stmt, 0),
		.what.seq = memory_number(stmt, 1),
		.found_ns = memory_number(stmt, 6),
		.acked_ns = memory_number(stmt, 7),
	};
	if (!memory_text(stmt, 2, source, sizeof(source)) ||
		!memory_text(stmt, 3, ret->what.rule, sizeof(ret->what.rule)) ||
		!memory_text(stmt, 4, ret->what.value, sizeof(ret->what.value)) ||
		!memory_text(stmt, 5, ret->what.why, sizeof(ret->what.why)) ||
		!memory_text(stmt, 8, ret->acked_by, sizeof(ret->acked_by)) ||
		!memory_text(stmt, 9, ret->comment, sizeof(ret->comment)))
		return false;
	ret->source = strcmp(source, sources[MEMORY_POLICY]) == 0 ? MEMORY_POLICY : MEMORY_EVIDENCE;
	return true;
}

int memory_violations_each(struct memory *memory, const char *machine,
	int (*fn)(void *arg, const struct memory_violation *violation), void *arg)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	struct memory_violation violation;
	int r = memory_ask(memory, &stmt,
		"SELECT epoch_seq, seq, source, rule, value, why, found_ns, acked_ns, acked_by,"
		" comment FROM violation WHERE machine=?1 ORDER BY acked_ns<>0, seq, id",
		"t", machine);

	for (; r > 0; r = memory_next(memory, stmt)) {
		if (!read_violation(stmt, &violation))
			return memory_damaged(memory, "a remembered violation");
		int stop = fn(arg, &violation);
		if (stop)
			return stop;
	}
	return r;
}

int memory_violations_drop(
	struct memory *memory, const char *machine, const char *rule, uint64_t seq)
{
	return memory_do(memory,
		"DELETE FROM violation WHERE machine=?1 AND source='policy' AND rule=?2 AND (seq>=?3 OR seq=0)"
		" AND acked_ns=0",
		"ttn", machine, rule, seq);
}

/* -ENOENT, or 0 and since when it is acknowledged, 0 where it is not. */
static int find(struct memory *memory, const char *machine,
	const struct memory_violation *violation, uint64_t *ret_acked_ns)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	const struct policy_violation *what = &violation->what;
	int r;

	if (violation->source == MEMORY_POLICY)
		r = memory_ask(memory, &stmt,
			"SELECT acked_ns FROM violation WHERE source='policy' AND machine=?1"
			" AND rule=?2 AND seq=?3 AND value=?4",
			"ttnt", machine, what->rule, what->seq, what->value);
	else
		r = memory_ask(memory, &stmt,
			"SELECT 0 FROM violation WHERE source='evidence' AND machine=?1 AND rule=?2"
			" AND acked_ns=0",
			"tt", machine, what->rule);
	if (r == 1)
		*ret_acked_ns = memory_number(stmt, 0);
	return r == 1 ? 0 : r ? r : -ENOENT;
}

static int is_full(struct memory *memory, const char *machine)
{
	[[gnu::cleanup(memory_stmt_freep)]] sqlite3_stmt *stmt = NULL;
	int r = memory_ask(memory, &stmt,
		"SELECT 1 FROM violation WHERE machine=?1 AND acked_ns=0 LIMIT 1 OFFSET ?2", "tn",
		machine, (uint64_t)MEMORY_VIOLATIONS_MAX - 1);

	return r;
}

int memory_violation_put(
	struct memory *memory, const char *machine, const struct memory_violation *violation)
{
	const struct policy_violation *what = &violation->what;
	uint64_t acked_ns = 0;
	int r = find(memory, machine, violation, &acked_ns);

	if (r != -ENOENT)
		return r ? r : acked_ns == 0;
	r = is_full(memory, machine);
	if (r)
		return r < 0 ? r
			     : memory_refuse(memory, -ENOBUFS, "more than %d violations are open",
				       MEMORY_VIOLATIONS_MAX);
	r = memory_do(memory,
		"INSERT INTO violation(machine, epoch_seq, seq, source, rule, value, why, found_ns,"
		" acked_ns, acked_by, comment) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,0,'','')",
		"tnnttttn", machine, violation->epoch_seq, what->seq, sources[violation->source],
		what->rule, what->value, what->why, violation->found_ns);
	return r ? r : 1;
}

int64_t memory_ack(struct memory *memory, const char *machine, const struct memory_ack *ack)
{
	int r = memory_do(memory,
		"UPDATE violation SET acked_ns=max(?2, 1), acked_by=?3, comment=?4 WHERE machine=?1"
		" AND acked_ns=0 AND (?5=0 OR seq=?6) AND (?7 IS NULL OR rule=?7)",
		"tnttnnt", machine, ack->now_ns, ack->by, ack->comment ? ack->comment : "",
		(uint64_t)ack->has_seq, ack->seq, ack->rule);

	return r ? r : sqlite3_changes(memory->sql);
}
