/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records that a machine wrote between what was proven and the epoch that its evidence begins with.
 * No PCR speaks of them any more; the first record of the evidence does, by its prev.
 */
#include "attest/round_own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* RFC 9110, section 15; RFC 6585, section 4. */
enum { HTTP_OK = 200, HTTP_TOO_MANY = 429, HTTP_SERVER_ERROR = 500 };

struct chain {
	uint64_t first; /* of the lines that are there */
	uint8_t first_prev[SHA256_LEN];
	uint64_t next; /* number that the next line must have; 0: any */
	uint8_t sha256[SHA256_LEN]; /* of the last line */
};

static void freep(struct evidence_reader **reader)
{
	free(*reader);
}

static bool chain_next(struct chain *chain, const char *line, size_t len)
{
	struct record_head head;
	struct line_error error;

	if (record_check(line, len, &head, &error))
		return false;
	if (!chain->next) {
		chain->first = head.seq;
		memcpy(chain->first_prev, head.prev, SHA256_LEN);
	} else if (head.seq != chain->next || memcmp(head.prev, chain->sha256, SHA256_LEN) != 0) {
		return false;
	}
	chain->next = head.seq + 1;
	return sha256(line, len, chain->sha256) == 0;
}

/* The lines up to the record before `end`, each of which names the one before. */
static bool read_chain(FILE *file, uint64_t end, struct chain *ret)
{
	[[gnu::cleanup(freep)]] struct evidence_reader *reader = malloc(sizeof(*reader));
	struct chain chain = { 0 };
	const char *line;
	size_t len;

	if (!reader)
		return false;
	rewind(file);
	evidence_reader_init(reader, file);
	while (chain.next != end && evidence_read(reader, &line, &len) == 1)
		if (!chain_next(&chain, line, len))
			return false;
	*ret = chain;
	return chain.next == end;
}

/* What the first record of the evidence says of the one before it. */
static bool read_prev(FILE *evidence, uint8_t ret_prev[static SHA256_LEN])
{
	[[gnu::cleanup(freep)]] struct evidence_reader *reader = malloc(sizeof(*reader));
	struct record_head head;
	struct line_error error;
	const char *line;
	size_t len;

	if (!reader)
		return false;
	rewind(evidence);
	evidence_reader_init(reader, evidence);
	if (evidence_read(reader, &line, &len) != 1 || evidence_read(reader, &line, &len) != 1 ||
		record_check(line, len, &head, &error))
		return false;
	memcpy(ret_prev, head.prev, SHA256_LEN);
	return true;
}

enum round_gap_is round_gap_get(struct round *round)
{
	const struct verify_anchor *anchor = &round->proven.anchor;
	uint64_t end = round->result->evidence.facts.first;
	const struct round_peer *peer = &round->options->peer;
	uint8_t prev[SHA256_LEN];
	struct chain chain;
	char path[80];

	round->gap.file = tmpfile();
	if (!round->gap.file)
		return GAP_UNREACHABLE;
	snprintf(path, sizeof(path), "/v1/log?since=%" PRIu64 "&to=%" PRIu64, anchor->seq, end - 1);
	int status = peer->request(peer->arg, path, NULL, round->gap.file);
	if (status < 0 || status == HTTP_TOO_MANY || status >= HTTP_SERVER_ERROR ||
		fflush(round->gap.file))
		return GAP_UNREACHABLE;
	if (status != HTTP_OK || !read_chain(round->gap.file, end, &chain) ||
		!read_prev(round->evidence, prev) || chain.first <= anchor->seq ||
		memcmp(prev, chain.sha256, SHA256_LEN) != 0) {
		fclose(round->gap.file);
		round->gap.file = NULL;
		return GAP_MISSING;
	}
	round->gap.first = chain.first;
	round->gap.last = end - 1;
	return chain.first == anchor->seq + 1 &&
			memcmp(chain.first_prev, anchor->sha256, SHA256_LEN) != 0
		? GAP_FORK
		: GAP_SHOWN;
}
