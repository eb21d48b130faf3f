/* SPDX-License-Identifier: BSD-2-Clause */
/* More of what a forge makes: logs that were interrupted, and quotes that the daemon keeps. */
#ifndef TESTS_ATTEST_FORGE_KEPT_H
#define TESTS_ATTEST_FORGE_KEPT_H

#include "attest_forge.h"

/* Quote for the daemon itself: the line sha256 and the PCR values are those of kept. */
static inline void forge_quote_kept(struct forge *forge, struct evidence_kept *kept)
{
	struct forge *then = malloc(sizeof(*then));
	struct evidence_statement *statement = &then->statement;
	struct merkle_hash leaf;
	int err = merkle_leaf_kept(kept->sha256, &leaf);

	assert(then && !err);
	*then = *forge;
	memcpy(then->extra, leaf.sha256, SHA256_LEN);
	statement->values = kept->values;
	forge_quote(then);
	kept->pcr = statement->pcr;
	kept->quote_len = statement->quote_len;
	memcpy(kept->quote, statement->quote, statement->quote_len);
	kept->signature_len = statement->signature_len;
	memcpy(kept->signature, statement->signature, statement->signature_len);
	kept->ak_len = statement->ak_len;
	memcpy(kept->ak, statement->ak, statement->ak_len);
	free(then);
}

/* The quote that the daemon keeps after record seq of the log as it is now. */
static inline struct evidence_kept forge_keep(struct forge *forge, uint64_t seq)
{
	struct evidence_kept kept = { .seq = seq };
	struct bank_values values = forge->statement.values;
	size_t count = forge->count;
	const struct forge_line *line = forge_line(forge, seq);

	forge->count = seq - forge->statement.first + 1;
	forge_replay(forge);
	kept.banks = forge->statement.banks;
	kept.values = forge->statement.values;
	int err = sha256(line->text, line->len, kept.sha256);
	assert(!err);
	forge_quote_kept(forge, &kept);
	forge->count = count;
	forge->statement.values = values;
	return kept;
}

/* Somebody else extends the PCR, and the agent finds that out. */
static inline void forge_break(struct forge *forge)
{
	struct line line = forge_buffer(forge);
	struct record_epoch epoch = forge_epoch_record(forge);
	struct record_foreign foreign = {
		.after_seq = forge->statement.last,
		.banks = FORGE_BANKS,
		.last_seen_ns = { true, 1779999970000000000 },
		.reset_count = forge->reset_count,
		.restart_count = forge->restart_count,
	};

	forge_replay(forge);
	foreign.expected = epoch.base = forge->statement.values;
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (FORGE_BANKS & 1u << bank)
			epoch.base.digest[bank][0] ^= 0x5a;
	foreign.found = epoch.base;
	epoch.why = WHY_BROKEN_LOG;
	forge_add_epoch(forge, &epoch);
	record_encode_foreign(&line, forge_head(forge), &foreign);
	forge_append(forge, &line);
}

/* Hand a quote over that was kept after one of the records of the evidence. */
static inline void forge_hand_over(struct forge *forge, const struct evidence_kept *kept)
{
	forge->statement.has_kept = true;
	forge->statement.kept = *kept;
}

/* Remove the records up to the one that this quote was kept after, and start from it. */
static inline void forge_trim(struct forge *forge, const struct evidence_kept *kept)
{
	while (forge->statement.first <= kept->seq) {
		forge_remove(forge, forge->statement.first);
		forge->statement.first++;
	}
	forge->statement.start_banks = kept->banks;
	forge->statement.start = kept->values;
	forge_hand_over(forge, kept);
}

/* Suspended to RAM and woken: the TPM counts it, and so does the log. */
static inline void forge_add_resume(struct forge *forge)
{
	struct line line = forge_buffer(forge);
	struct record_resume resume = {
		.reset_count = forge->reset_count,
		.restart_count = ++forge->restart_count,
		.clock_ms = forge->clock_ms,
		.safe = true,
	};

	record_encode_resume(&line, forge_head(forge), &resume);
	forge_append(forge, &line);
}

static inline void forge_add_trim(struct forge *forge, const struct evidence_kept *kept)
{
	struct line line = forge_buffer(forge);
	struct record_trim trim = { .first = 1, .last = kept->seq };

	memcpy(trim.last_sha256, kept->sha256, SHA256_LEN);
	memcpy(trim.log_id, forge_epoch_record(forge).log_id, sizeof(trim.log_id));
	record_encode_trim(&line, forge_head(forge), &trim);
	forge_append(forge, &line);
}

#endif
