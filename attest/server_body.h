/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clients of the attestation server send: bodies of requests and queries of URIs. All of it is
 * strict: a member that is not known, comes twice or has another form is an error, never passed over.
 */
#ifndef ATTEST_SERVER_BODY_H
#define ATTEST_SERVER_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "attest/channel.h"
#include "bpf/bank.h"

enum { BODY_ERROR_MAX = 192 };

/* {"nonce":HEX,"since":NUMBER}; since may be left out. */
struct body_attest {
	uint8_t nonce[SHA256_LEN];
	uint64_t since;
};

/* {"ek":NUMBER,"credential":BASE64,"secret":BASE64} */
struct body_activate {
	uint32_t ek;
	size_t credential_len;
	uint8_t credential[CHANNEL_CREDENTIAL_MAX];
	size_t secret_len;
	uint8_t secret[CHANNEL_SECRET_MAX];
};

/* since=NUMBER&to=NUMBER, each at most once and in any order; no query is since=0. */
struct query_log {
	uint64_t since;
	uint64_t to; /* LINE_UINT_MAX unless it says */
};

/*
 * bytes  len bytes, any.
 *
 * Returns 0, or -EBADMSG and ret_error: one clause for people, printable ASCII. ret is written on
 * success only. -ENOMEM likewise.
 */
[[nodiscard]] int body_attest_parse(const char *bytes, size_t len, struct body_attest *ret,
	char ret_error[static BODY_ERROR_MAX]);
[[nodiscard]] int body_activate_parse(const char *bytes, size_t len, struct body_activate *ret,
	char ret_error[static BODY_ERROR_MAX]);

/* query is a string; NULL where the URI has none. */
[[nodiscard]] int query_log_parse(
	const char *query, struct query_log *ret, char ret_error[static BODY_ERROR_MAX]);

#endif
