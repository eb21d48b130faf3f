/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever the bytes of a signature are: no crash, nothing left in OpenSSL's error queue, and what
 * is pinned has a signer. The signatures of the corpus are over DATA, by the key of this
 * certificate.
 */
#include <assert.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/cms.h"

#define DATA "a program"

static const char certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBdTCCARugAwIBAgIUXH5UKzpmfyIf91OhTzVTUEaTj+UwCgYIKoZIzj0EAwIw\n"
	"DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjEwODQwMzhaGA8yMTI2MTAyODA4NDAz\n"
	"OFowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCxI\n"
	"ArBLM2ixE2OTV7fKteLcR6DVphPJhVm5iX+sn2mvntZt0laBcnvkb2IRWbYKZy9n\n"
	"EdJa8w5Fj1/VNeQvpTejUzBRMB0GA1UdDgQWBBSDUszgsdjbScGvWBV2cm1ZYPWj\n"
	"djAfBgNVHSMEGDAWgBSDUszgsdjbScGvWBV2cm1ZYPWjdjAPBgNVHRMBAf8EBTAD\n"
	"AQH/MAoGCCqGSM49BAMCA0gAMEUCIQD/mEwW3TBUwJlqP8SWDlfwr28UbzuDuvpt\n"
	"w8/GDozPLQIgQVKETWQWu1k7xpRN2V9IOEFPglE1ezjYqwauSmsFh7A=\n"
	"-----END CERTIFICATE-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *sig, size_t len);

static const struct cms_trust *trust(void)
{
	static struct cms_trust *trust;
	char path[64];

	if (trust)
		return trust;
	int fd = memfd_create("certificate", 0);
	assert(fd >= 0 && write(fd, certificate, strlen(certificate)) > 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	trust = cms_trust_new();
	int r = cms_trust_load(trust, path);
	assert(r == 0);
	close(fd);
	return trust;
}

int LLVMFuzzerTestOneInput(const uint8_t *sig, size_t len)
{
	uint8_t spki[SHA256_LEN];
	struct cms_claims claims;
	int r = cms_claims(sig, len, &claims);
	bool pinned = cms_pinned(trust(), DATA, strlen(DATA), sig, len, spki);

	assert(r == 0 && ERR_peek_error() == 0);
	assert(claims.count <= RECORD_SIGNERS_MAX && claims.count <= claims.signers.value);
	assert(claims.signers.known || claims.count == 0);
	assert(!pinned || claims.signers.value >= 1);
	for (size_t i = 0; i < claims.count; i++) {
		assert(claims.key_ids[i].len >= strlen("keyid:"));
		assert(memchr(claims.key_ids[i].bytes, ':', strlen("issuer:")));
	}
	cms_claims_done(&claims);
	return 0;
}
