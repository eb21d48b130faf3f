/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence: JSON Lines. The first line is the statement, what the TPM signed and what one needs to
 * check it; the lines after it are records `first` to `last`, byte for byte as they were measured.
 *
 * docs/format.md, "Evidence", is the normative text.
 */
#ifndef ATTEST_EVIDENCE_H
#define ATTEST_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/merkle.h"
#include "bpf/bank.h"
#include "bpf/line.h"
#include "bpf/record.h"

enum {
	/* Bytes of the TPM's structures: each holds the largest that an AK of ours can be the cause
	 * of, see tpms.h. */
	EVIDENCE_QUOTE_MAX = 512, /* TPMS_ATTEST */
	EVIDENCE_SIGNATURE_MAX = 128, /* TPMT_SIGNATURE */
	EVIDENCE_AK_MAX = 256, /* TPM2B_PUBLIC */

	EVIDENCE_PCR_MAX = 23,
	EVIDENCE_AGENT_MAX = 128,
	EVIDENCE_STATEMENT_MAX = 8 * 1024, /* bytes of the statement, without its newline */
	EVIDENCE_KEPT_MAX = 2 * 1024, /* bytes of a kept quote's line, without its newline */
};

enum evidence_state { EVIDENCE_MEASURING, EVIDENCE_DEGRADED };

/*
 * A quote that the daemon took for itself: what the PCR was after one record, signed. Nobody asked
 * for it, so its qualifying data is merkle_leaf_kept() of that record's line. What it is worth is
 * for verify_kept() to find out.
 */
struct evidence_kept {
	uint64_t seq; /* the last record that it covers */
	uint8_t sha256[SHA256_LEN]; /* of that record's line */
	unsigned pcr;
	bank_set banks; /* the PCR after that record: every allocated bank */
	struct bank_values values;
	size_t quote_len; /* TPMS_ATTEST */
	uint8_t quote[EVIDENCE_QUOTE_MAX];
	size_t signature_len; /* TPMT_SIGNATURE over the bytes of quote */
	uint8_t signature[EVIDENCE_SIGNATURE_MAX];
	size_t ak_len; /* TPM2B_PUBLIC */
	uint8_t ak[EVIDENCE_AK_MAX];
};

/*
 * Encode a kept quote into line, which is cleared first and has room for EVIDENCE_KEPT_MAX bytes.
 * Never fails: what the schema would refuse is asserted.
 */
void evidence_kept_encode(struct line *line, const struct evidence_kept *kept);

/*
 * Decode len bytes (any bytes) of a kept quote's line, form only.
 *
 * Returns 0; -EBADMSG with ret_error written: outside the grammar, above a cap, no sha256 bank. ret
 * is written on success only.
 */
[[nodiscard]] int evidence_kept_decode(
	const char *line, size_t len, struct evidence_kept *ret, struct line_error *ret_error);

/*
 * The statement. What binds each member:
 *
 * - nonce and binding: the quote's qualifying data, by way of the path.
 * - pcr and values: the quote's selection and PCR digest.
 * - first, last and start: the records themselves, which lead from start to values.
 * - ak: the verifier's enrolment.
 * - kept: itself, see verify_kept(); and for its seq, the records.
 * - since, behind, state and agent: NOTHING. They are the word of whoever handed the evidence over.
 *
 * Where the challenger has every record already there are none to send: last is since, first is one
 * more, start and values are the same.
 */
struct evidence_statement {
	uint8_t nonce[SHA256_LEN]; /* the challenge; zeros in evidence that nobody asked for */
	uint8_t binding[SHA256_LEN]; /* TLS exporter value; zeros on the local socket */
	uint64_t since; /* the last record that the challenger has; 0: none */
	uint64_t first; /* sequence numbers of the records that follow, inclusive */
	uint64_t last;
	bank_set start_banks; /* the PCR before record `first` was extended: */
	struct bank_values start;
	unsigned pcr;
	bank_set banks; /* the PCR after record `last`: every allocated bank */
	struct bank_values values;
	size_t quote_len; /* TPMS_ATTEST */
	uint8_t quote[EVIDENCE_QUOTE_MAX];
	size_t signature_len; /* TPMT_SIGNATURE over the bytes of quote */
	uint8_t signature[EVIDENCE_SIGNATURE_MAX];
	size_t ak_len; /* TPM2B_PUBLIC */
	uint8_t ak[EVIDENCE_AK_MAX];
	uint64_t index; /* of this challenge among those that the quote answers */
	uint64_t count;
	size_t path_len; /* from the challenge's leaf to the qualifying data, bottom up */
	struct merkle_hash path[MERKLE_PATH_MAX];
	bool has_kept; /* its seq is first - 1, or one of first to last; pcr and ak as above */
	struct evidence_kept kept;
	uint64_t behind; /* events collected before the challenge and not extended yet */
	enum evidence_state state;
	char agent[EVIDENCE_AGENT_MAX + 1]; /* version: ASCII 0x21-0x7e without \ and " */
};

/* "measuring", "degraded". */
const char *evidence_state_name(enum evidence_state state);

/*
 * Encode the statement into line, which is cleared first and has room for EVIDENCE_STATEMENT_MAX
 * bytes. Never fails: what the schema would refuse (no sha256 bank, no quote, ...) is asserted.
 */
void evidence_statement_encode(struct line *line, const struct evidence_statement *statement);

/*
 * Decode len bytes (any bytes) of a statement without its newline. Only the form is checked: that
 * the TPM's structures mean anything is for the verifier to find out.
 *
 * Returns 0; -EBADMSG with ret_error written: outside the grammar, above a cap, first > last + 1,
 * since >= first, index >= count, a kept quote of another seq, banks without sha256. ret is written
 * on success only.
 */
[[nodiscard]] int evidence_statement_decode(
	const char *line, size_t len, struct evidence_statement *ret, struct line_error *ret_error);

/* ---- lines of a stream ---- */

/*
 * Lines of at most RECORD_LINE_MAX bytes, one after the other: memory does not grow with the log.
 * Every line must end with a newline, the last one too: a stream that was cut shows.
 */
struct evidence_reader {
	FILE *stream; /* the caller's */
	size_t line; /* number of the line last read, from 1 */
	size_t begin; /* bytes of buf not handed out yet */
	size_t end;
	char buf[RECORD_LINE_MAX + 1];
};

void evidence_reader_init(struct evidence_reader *reader, FILE *stream);

/*
 * The next line without its newline; it stays until the next call. Any bytes, NUL too.
 *
 * Returns 1; 0 at the end of the stream; -EMSGSIZE for a line that is too long, -ENODATA where the
 * stream ends within a line, -EIO where it cannot be read. After an error there are no more lines.
 */
[[nodiscard]] int evidence_read(
	struct evidence_reader *reader, const char **ret_line, size_t *ret_len);

#endif
