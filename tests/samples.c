/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples COUNT [SEED]: COUNT records of all kinds, one log: seq from 1, each line's prev is the
 * sha256 of the line before it.
 * samples --views: the table of lines and the SQL views over it.
 * samples --check: check the lines of standard input; 1 where one is refused.
 *
 * For tests in other languages.
 */
#include "tests/samples.h"

#include <stdio.h>

static int check_lines(void)
{
	static char line[RECORD_LINE_MAX + 2];

	while (fgets(line, sizeof(line), stdin)) {
		size_t len = strcspn(line, "\n");
		struct record_head head;
		struct line_error error;

		if (record_check(line, len, &head, &error) == 0)
			continue;
		fprintf(stderr, "%s\n%*s %s\n", line, (int)error.at, "^", error.what);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct sampler sampler;
	static char buf[RECORD_LINE_MAX];
	uint8_t prev[SHA256_LEN] = { 0 };
	struct line line;

	if (argc < 2 || argc > 3)
		return 2;
	if (strcmp(argv[1], "--views") == 0)
		return printf("%s\n%s\n", SAMPLES_TABLE, record_views_sql()) < 0;
	if (strcmp(argv[1], "--check") == 0)
		return check_lines();
	sampler.state = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	line_init(&line, buf, sizeof(buf));
	for (uint64_t seq = 1; seq <= strtoull(argv[1], NULL, 10); seq++) {
		struct record_head head = sample_head(&sampler);

		head.seq = seq;
		memcpy(head.prev, prev, sizeof(prev));
		sample_record(
			&sampler, sample_kinds[sample_below(&sampler, SAMPLE_KINDS)], head, &line);
		if (sha256(line.buf, line.len, prev) < 0)
			return 1;
		fwrite(line.buf, 1, line.len, stdout);
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
