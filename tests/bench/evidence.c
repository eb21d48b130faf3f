/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evidence COUNT FILE AK: evidence of COUNT records as a daemon with a TPM would give it, and the
 * key that it is to be verified with. No TPM: a key of our own signs.
 */
#include <err.h>
#include <stdio.h>

#include "tests/bench/record.h"
#include "tests/unit/attest_forge.h"

static void next(struct replay *replay, const struct line *line, FILE *out)
{
	struct replay_line seen;

	if (replay_next(replay, line->buf, line->len, &seen) || !seen.is_record)
		errx(1, "record %llu cannot be replayed", (unsigned long long)seen.place);
	if (out && (fwrite(line->buf, line->len, 1, out) != 1 || putc('\n', out) == EOF))
		err(1, "writing");
}

/* The same log each time; to nowhere for the values that it leads to. */
static struct replay log_write(struct forge *forge, uint64_t count, FILE *out)
{
	static char buf[RECORD_LINE_MAX];
	struct record_epoch epoch = forge_epoch_record(forge);
	struct record_head head = { .seq = 1, .time_ns = 1790000000000000000, .extend = true };
	struct replay replay;
	struct line line;

	line_init(&line, buf, sizeof(buf));
	replay_init(&replay, 1, forge->statement.start_banks, &forge->statement.start, NULL);
	record_encode_epoch(&line, head, &epoch);
	next(&replay, &line, out);
	while (++head.seq <= count) {
		head.time_ns += 1000000;
		head.boottime_ns += 1000000;
		memcpy(head.prev, replay.prev, sizeof(head.prev));
		bench_load_encode(&line, head);
		next(&replay, &line, out);
	}
	return replay;
}

static FILE *create(const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file)
		err(1, "%s", path);
	return file;
}

int main(int argc, char **argv)
{
	static struct forge forge;
	static char buf[EVIDENCE_STATEMENT_MAX];
	struct evidence_statement *statement = &forge.statement;
	uint64_t count = argc == 4 ? strtoull(argv[1], NULL, 10) : 0;
	struct line line;

	if (!count)
		errx(2, "usage: evidence COUNT FILE AK");
	forge_init(&forge);
	forge_replay(&forge); /* for the selection of banks; its log is not ours */
	statement->values = log_write(&forge, count, NULL).values;
	statement->last = count;
	forge_quote(&forge);

	FILE *out = create(argv[2]);
	line_init(&line, buf, sizeof(buf));
	evidence_statement_encode(&line, statement);
	fwrite(line.buf, line.len, 1, out);
	putc('\n', out);
	log_write(&forge, count, out);
	if (fclose(out))
		err(1, "%s", argv[2]);
	out = create(argv[3]);
	fwrite(statement->ak, statement->ak_len, 1, out);
	return fclose(out) ? 1 : 0;
}
