/* SPDX-License-Identifier: BSD-2-Clause */
/* Records and reference values for policies to judge: a good one of each kind, to be spoilt. */
#ifndef TESTS_POLICY_FIXTURE_H
#define TESTS_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/policy.h"
#include "attest/reference.h"

struct judged {
	struct policy *policy;
	uint64_t seq; /* of the next record */
	char buf[RECORD_LINE_MAX];
	struct line line;
	int64_t found;
	size_t count; /* of these, handed out */
	struct policy_violation violations[16];
	char error[POLICY_ERROR_MAX];
};

/* Distinct bytes that are easy to tell apart. */
static inline struct record_digest known(uint8_t byte)
{
	struct record_digest digest = { .known = true };

	memset(digest.sha256, byte, SHA256_LEN);
	return digest;
}

static inline struct record_text words(const char *text)
{
	return (struct record_text){ text, strlen(text) };
}

static inline void judged_init(struct judged *judged, const char *policy, const char *reference)
{
	memset(judged, 0, sizeof(*judged));
	judged->seq = 1;
	line_init(&judged->line, judged->buf, sizeof(judged->buf));
	assert_int_equal(policy_open(&policy, 1, &reference, reference != NULL, &judged->policy,
				 judged->error),
		0);
}

static inline void judged_keep(void *arg, const struct policy_violation *violation)
{
	struct judged *judged = arg;

	assert_true(judged->count < 16);
	judged->violations[judged->count++] = *violation;
}

static inline void judged_run(struct judged *judged)
{
	judged->count = 0;
	judged->found = policy_run(judged->policy, judged_keep, judged, judged->error);
}

static inline struct record_head judged_head(const struct judged *judged)
{
	return (struct record_head){ .seq = judged->seq, .extend = true };
}

/* What is in the line goes in as the next record. */
static inline uint64_t judged_add(struct judged *judged, bool remembered)
{
	assert_int_equal(policy_record_add(judged->policy, judged->seq, judged->line.buf,
				 judged->line.len, remembered),
		0);
	return judged->seq++;
}

static inline uint64_t add_load(struct judged *judged, const struct record_load *load)
{
	record_encode_load(&judged->line, judged_head(judged), load);
	return judged_add(judged, false);
}

static inline uint64_t add_baseline(struct judged *judged, const struct record_baseline *baseline)
{
	record_encode_baseline(&judged->line, judged_head(judged), baseline);
	return judged_add(judged, false);
}

static inline uint64_t add_start(struct judged *judged, const struct record_start *start)
{
	record_encode_start(&judged->line, judged_head(judged), start);
	return judged_add(judged, false);
}

static inline uint64_t add_epoch(struct judged *judged, enum record_why why)
{
	struct record_epoch epoch = { .why = why, .pcr = 13, .banks = 1 << BANK_SHA256 };

	record_encode_epoch(&judged->line, judged_head(judged), &epoch);
	return judged_add(judged, false);
}

/* Signed by key 5, which the agent has pinned, its maps too; program 1, chain 2, loaded by executable 3. */
static inline struct record_load good_load(void)
{
	return (struct record_load){
		.program = { .name = words("good"),
			.captured = true,
			.sha256 = known(1),
			.type = words("xdp") },
		.signature = { .verdict = VERDICT_VERIFIED,
			.covers = COVERS_INSNS_MAPS,
			.metadata = METADATA_KERNEL,
			.signed_sha256 = known(4),
			.keyring = KEYRING_USER,
			.pinned = known(5) },
		.chain_digest = known(2),
		.loader = { .exe = words("/usr/sbin/good"), .exe_sha256 = known(3) },
	};
}

/* What the kernel remembers of a program that it verified with a key of its own. */
static inline struct record_baseline good_baseline(void)
{
	return (struct record_baseline){
		.program = { .name = words("good") },
		.signature = { .verdict = VERDICT_VERIFIED, .keyring = KEYRING_BUILTIN },
	};
}

/* A temporary file of that text; remove_file() is due. */
static inline void make_file(const char *text, char *ret_path)
{
	strcpy(ret_path, "/tmp/policy-test-XXXXXX.sql");
	int fd = mkstemps(ret_path, 4);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Of program 1, chain 2, executable 3 and key 5. */
static inline void make_references(char *ret_path)
{
	const struct reference references[] = {
		{ .kind = REFERENCE_PROGRAM, .sha256 = known(1), .source = words("test") },
		{ .kind = REFERENCE_PROGRAM, .chain_digest = known(2), .source = words("test") },
		{ .kind = REFERENCE_LOADER, .sha256 = known(3), .source = words("test") },
		{ .kind = REFERENCE_SIGNER, .pinned = known(5), .source = words("test") },
		{ .kind = REFERENCE_SIGNER, .keyring = KEYRING_BUILTIN, .source = words("test") },
	};
	char text[8192], buf[REFERENCE_LINE_MAX];
	struct line line;
	size_t len = 0;

	line_init(&line, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(references) / sizeof(*references); i++) {
		reference_encode(&line, &references[i]);
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%.*s\n", (int)line.len, line.buf);
	}
	make_file(text, ret_path);
}

#endif
