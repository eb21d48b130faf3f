/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference values: what programs, signers and loaders are expected, one a line. Lines keep to the
 * grammar of docs/format.md; docs/policy.md, "Reference values", has their keys.
 */
#ifndef ATTEST_REFERENCE_H
#define ATTEST_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/line.h"
#include "bpf/record.h"

enum {
	REFERENCE_NAME_MAX = 64,
	REFERENCE_SOURCE_MAX = 1024,
	REFERENCE_LINE_MAX = 8 * 1024, /* without its newline */
};

enum reference_kind {
	REFERENCE_PROGRAM,
	REFERENCE_SIGNER,
	REFERENCE_LOADER,
	REFERENCE_KIND_COUNT,
};

/*
 * One value. Members that its kind has no key for are passed over; at least one of the digests, or the
 * keyring, is known.
 */
struct reference {
	enum reference_kind kind;
	struct record_text name; /* of a program or signer; NULL: not known */
	struct record_digest sha256; /* PROGRAM: program.sha256; LOADER: loader.exe_sha256 */
	struct record_digest chain_digest; /* PROGRAM */
	struct record_digest pinned; /* SIGNER: sha256 of the SubjectPublicKeyInfo */
	enum record_keyring keyring; /* SIGNER: of the kernel's own; KEYRING_NONE: none */
	struct record_text exe; /* LOADER: path; for people, it is not compared */
	struct record_text source; /* what it was made from */
};

/* "program", ... */
const char *reference_kind_name(enum reference_kind kind);

/* Encode one into line, which is cleared first and has room for REFERENCE_LINE_MAX bytes. */
void reference_encode(struct line *line, const struct reference *reference);

/*
 * Check len bytes (any bytes) of a line without its newline.
 *
 * Returns 0 and its kind; -EBADMSG with ret_error written.
 */
[[nodiscard]] int reference_check(
	const char *line, size_t len, enum reference_kind *ret_kind, struct line_error *ret_error);

/* The table of keys: those that all have, the last of which is LINE_TAG with those of each kind. */
const struct line_field *reference_schema(void);

#endif
