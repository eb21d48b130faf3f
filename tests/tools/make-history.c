// SPDX-License-Identifier: BSD-2-Clause
/*
 * make-history DB AK RECORDS [EPOCHS [EVERY]]: a log of full-length records in one bank as a daemon
 * with a TPM would have written it, in as many boots, with a quote kept after every so many records
 * (default 1000) and at the end of each boot; and the key that it is to be audited with. No TPM: a
 * key of our own signs.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>

#include "db/db.h"
#include "tests/bench/record.h"
#include "tests/unit/attest_forge_kept.h"

enum { BATCH = 256, BANKS = 1 << BANK_SHA256, PROGRAM_ID = 1234 /* of bench_load_encode() */ };

struct maker {
	struct db *db;
	struct forge forge;
	struct replay replay;
	struct record_head head; /* of the next record */
	size_t count;
	struct db_line lines[BATCH];
	char bytes[BATCH][FORGE_LINE_MAX];
	char buf[RECORD_LINE_MAX];
	struct line line;
};

static void flush(struct maker *maker)
{
	static const uint8_t insns[16] = { 0xb7, [8] = 0x95 };
	uint8_t digest[SHA256_LEN];
	const struct db_program program = { digest, insns, sizeof(insns) };
	const struct db_batch batch = {
		.lines = maker->lines,
		.line_count = maker->count,
		.programs = &program,
		.program_count = 1,
		.program_bytes_max = 1 << 20,
	};

	if (sha256(insns, sizeof(insns), digest) || db_append(maker->db, &batch) < 0)
		errx(1, "%s", db_errmsg(maker->db));
	maker->count = 0;
}

/* Take the line that was encoded. */
static void put(struct maker *maker, uint64_t ref)
{
	struct line *line = &maker->line;
	struct replay_line seen;

	if (line->len > FORGE_LINE_MAX ||
		replay_next(&maker->replay, line->buf, line->len, &seen) || !seen.is_record)
		errx(1, "record %" PRIu64 " cannot be replayed", maker->head.seq);
	memcpy(maker->bytes[maker->count], line->buf, line->len);
	maker->lines[maker->count] = (struct db_line){
		.seq = maker->head.seq,
		.ref = ref,
		.line = maker->bytes[maker->count],
		.len = line->len,
	};
	if (++maker->count == BATCH)
		flush(maker);
	memcpy(maker->head.prev, seen.sha256, SHA256_LEN);
	maker->head.seq++;
	maker->head.time_ns += 1000000;
	maker->head.boottime_ns += 1000000;
}

static void keep(struct maker *maker)
{
	struct evidence_kept kept = { .seq = maker->head.seq - 1 };
	char buf[EVIDENCE_KEPT_MAX];
	struct line line;

	maker->forge.clock_ms++;
	kept.banks = BANKS;
	kept.values = maker->replay.values;
	memcpy(kept.sha256, maker->replay.prev, SHA256_LEN);
	forge_quote_kept(&maker->forge, &kept);
	line_init(&line, buf, sizeof(buf));
	evidence_kept_encode(&line, &kept);
	flush(maker);
	if (db_quote_put(maker->db, kept.seq, line.buf, line.len))
		errx(1, "%s", db_errmsg(maker->db));
}

static void put_epoch(struct maker *maker, uint64_t number)
{
	struct record_epoch epoch;

	if (number)
		maker->forge.reset_count++;
	epoch = forge_epoch_record(&maker->forge);
	epoch.why = number ? WHY_BOOT : WHY_FIRST_USE;
	epoch.banks = BANKS;
	epoch.last_seq = maker->head.seq - 1;
	record_encode_epoch(&maker->line, maker->head, &epoch);
	put(maker, 0);
}

static void make(struct maker *maker, uint64_t records, uint64_t epochs, uint64_t every)
{
	uint64_t each = records / epochs;

	for (uint64_t i = 0; i < epochs; i++) {
		uint64_t last = i + 1 < epochs ? (i + 1) * each : records;
		put_epoch(maker, i);
		while (maker->head.seq <= last) {
			bench_load_encode(&maker->line, maker->head);
			put(maker, PROGRAM_ID);
			if ((maker->head.seq - 1) % every == 0 && maker->head.seq <= last)
				keep(maker);
		}
		keep(maker);
	}
}

int main(int argc, char **argv)
{
	static struct maker maker;
	static const struct bank_values zero;
	uint64_t records = argc >= 4 ? strtoull(argv[3], NULL, 10) : 0;
	uint64_t epochs = argc >= 5 ? strtoull(argv[4], NULL, 10) : 1;
	uint64_t every = argc >= 6 ? strtoull(argv[5], NULL, 10) : 1000;

	if (!epochs || records / epochs == 0 || !every || argc > 6)
		errx(2, "usage: make-history DB AK RECORDS [EPOCHS [EVERY]]");
	forge_init(&maker.forge);
	maker.forge.selections[0] = (struct tpms_selection){ bank_alg(BANK_SHA256), 1u << 13 };
	maker.forge.selection_count = 1;
	maker.head = (struct record_head){
		.seq = 1,
		.time_ns = 1790000000000000000,
		.extend = true,
	};
	line_init(&maker.line, maker.buf, sizeof(maker.buf));
	replay_init(&maker.replay, 1, 0, &zero, NULL);
	maker.db = db_new();
	if (!maker.db || db_create(maker.db, argv[1]))
		errx(1, "%s: %s", argv[1], maker.db ? db_errmsg(maker.db) : "no memory");
	make(&maker, records, epochs, every);
	db_free(maker.db);

	FILE *ak = fopen(argv[2], "wb");
	const struct evidence_statement *statement = &maker.forge.statement;
	if (!ak || fwrite(statement->ak, statement->ak_len, 1, ak) != 1 || fclose(ak))
		err(1, "%s", argv[2]);
}
