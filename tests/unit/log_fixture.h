/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log over a real database. In the TPM's place is a PCR of ours, and what it must hold is
 * computed from the database's lines with OpenSSL and string functions: no code of the log's.
 */
#ifndef TESTS_UNIT_LOG_FIXTURE_H
#define TESTS_UNIT_LOG_FIXTURE_H

#include "agent/log.h"

#include <openssl/evp.h>

#include "tests/unit/db_fixture.h"

enum {
	BANKS = 1 << BANK_SHA1 | 1 << BANK_SHA256,
	LINES_MAX = 4096,
};

struct log_fixture {
	struct fixture *files;
	struct db *db;
	struct log *log;
	struct bank_values pcr; /* "the TPM" */
	uint64_t epoch_seq; /* of the newest epoch */
	struct bank_values base; /* the PCR before it */
	size_t count;
	char *lines[LINES_MAX + 1]; /* by seq; of the database */
};

static inline int log_fixture_new(void **state)
{
	struct log_fixture *f = calloc(1, sizeof(*f));
	void *files;

	assert_non_null(f);
	fixture_new(&files);
	f->files = files;
	f->db = f->files->db;
	assert_ok(f->db, db_create(f->db, f->files->path));
	f->log = log_new(f->db, 250);
	assert_non_null(f->log);
	assert_int_equal(log_open(f->log), 0);
	*state = f;
	return 0;
}

static inline void lines_forget(struct log_fixture *f)
{
	for (uint64_t seq = 1; seq <= f->count; seq++)
		free(f->lines[seq]);
	f->count = 0;
}

static inline int log_fixture_free(void **state)
{
	struct log_fixture *f = *state;
	void *files = f->files;

	lines_forget(f);
	log_free(f->log);
	fixture_free(&files);
	free(f);
	return 0;
}

/* ---- the model: what the lines in the database lead to ---- */

static inline int line_keep(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct log_fixture *f = arg;

	assert_true(seq == f->count + 1 && seq <= LINES_MAX);
	f->lines[++f->count] = strndup(line, len);
	assert_int_equal(strlen(f->lines[seq]), len);
	return 0;
}

static inline void lines_read(struct log_fixture *f)
{
	lines_forget(f);
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, line_keep, f));
}

static inline bool is_extended(const struct log_fixture *f, uint64_t seq)
{
	return !strstr(f->lines[seq], ",\"extend\":false");
}

static const EVP_MD *bank_md(enum bank bank)
{
	return bank == BANK_SHA1 ? EVP_sha1() : EVP_sha256();
}

/* TPM2_PCR_Extend with the digest of a line, or with a digest. */
static inline void pcr_extend(
	struct bank_values *pcr, const char *line, const struct bank_values *digests)
{
	for (enum bank bank = 0; bank <= BANK_SHA256; bank++) {
		size_t size = bank == BANK_SHA1 ? 20 : 32;
		uint8_t both[64];

		memcpy(both, pcr->digest[bank], size);
		if (line)
			EVP_Digest(line, strlen(line), both + size, NULL, bank_md(bank), NULL);
		else
			memcpy(both + size, digests->digest[bank], size);
		EVP_Digest(both, 2 * size, pcr->digest[bank], NULL, bank_md(bank), NULL);
	}
}

/* The PCR after the lines up to seq. */
static inline struct bank_values pcr_after(const struct log_fixture *f, uint64_t seq)
{
	struct bank_values pcr = f->base;

	for (uint64_t at = f->epoch_seq; at <= seq; at++)
		if (is_extended(f, at))
			pcr_extend(&pcr, f->lines[at], NULL);
	return pcr;
}

static inline void assert_values(const struct bank_values *one, const struct bank_values *other)
{
	assert_memory_equal(one, other, sizeof(*one));
}

/* seq and prev of every line, read with nothing but sscanf(). */
static inline void assert_chain(struct log_fixture *f)
{
	char prev[65] = "", said[65];
	unsigned long long seq;
	uint8_t digest[32];

	memset(prev, '0', 64);
	lines_read(f);
	for (uint64_t at = 1; at <= f->count; at++) {
		assert_int_equal(
			sscanf(f->lines[at], "{\"v\":1,\"seq\":%llu,\"prev\":\"%64[0-9a-f]\"", &seq,
				said),
			2);
		assert_int_equal(seq, at);
		assert_string_equal(said, prev);
		EVP_Digest(f->lines[at], strlen(f->lines[at]), digest, NULL, EVP_sha256(), NULL);
		for (size_t i = 0; i < 32; i++)
			snprintf(prev + 2 * i, 3, "%02x", digest[i]);
	}
}

/* ---- what the measurer does ---- */

static inline uint64_t put(struct log_fixture *f, bool keep)
{
	struct log_put put = { .kind = RECORD_UNLOAD, .boottime_ns = 5, .keep = keep };
	struct record_unload unload = { .program_seq = 1, .program_id = 2 };
	uint64_t seq;

	assert_int_equal(log_put(f->log, &put, &unload, &seq), 0);
	return seq;
}

static inline void put_many(struct log_fixture *f, size_t count, bool keep)
{
	while (count--)
		put(f, keep);
}

static inline void put_epoch(struct log_fixture *f)
{
	struct log_put put = { .kind = RECORD_EPOCH, .boottime_ns = 1, .keep = true };
	struct record_epoch epoch = {
		.pcr = 13,
		.banks = BANKS,
		.base = f->pcr,
		.manufacturer = { "IBM", 3 },
		.vendor = { "SW", 2 },
		.software = true,
		.ak_name = { "name", 4 },
		.boot_id = { "b", 1 },
		.kernel = { "k", 1 },
		.last_seq = log_next_seq(f->log) - 1,
	};

	f->base = f->pcr;
	log_epoch_begin(f->log, LOG_EPOCH_NEW, BANKS, &f->pcr);
	assert_int_equal(log_put(f->log, &put, &epoch, &f->epoch_seq), 0);
}

static inline void commit(struct log_fixture *f)
{
	int err = log_commit(f->log, NULL, NULL, 0);

	if (err)
		fail_msg("log_commit: %d, %s", err, log_errmsg(f->log));
}

/* Returns false when there is nothing left. */
static inline bool extend_one(struct log_fixture *f)
{
	struct log_extend extend;
	int got = log_next_extend(f->log, &extend);

	assert_in_range(got, 0, 1);
	if (!got)
		return false;
	pcr_extend(&f->pcr, NULL, &extend.digests);
	assert_int_equal(log_extended(f->log, &extend), 0);
	assert_int_equal(log_extended_seq(f->log), extend.seq);
	assert_values(log_values(f->log), &f->pcr);
	return true;
}

static inline void extend_all(struct log_fixture *f)
{
	struct bank_values expected;

	while (extend_one(f))
		;
	lines_read(f);
	assert_int_equal(f->count, log_last_seq(f->log));
	assert_int_equal(log_extended_seq(f->log), f->count);
	expected = pcr_after(f, f->count);
	assert_values(&f->pcr, &expected);
}

/* A daemon that died; returns what the next one's log_find() says. */
static inline int restart(struct log_fixture *f)
{
	log_free(f->log);
	f->log = log_new(f->db, 250);
	assert_non_null(f->log);
	assert_int_equal(log_open(f->log), 0);
	return log_find(f->log, &f->pcr);
}

static inline void any_base(struct log_fixture *f)
{
	memset(&f->pcr, 0, sizeof(f->pcr));
	memset(f->pcr.digest[BANK_SHA1], 0x11, 20);
	memset(f->pcr.digest[BANK_SHA256], 0x22, 32);
}

#endif
