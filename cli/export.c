// SPDX-License-Identifier: BSD-2-Clause
#include "cli/export.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/ak.h"
#include "attest/merkle.h"
#include "cli/cli.h"
#include "cli/output.h"

enum { BASE64_MAX = 4 * ((AK_SPKI_LEN + 2) / 3) + 1, BASE64_LINE = 64 };

static int put(const char *dir, const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return cli_unknown("%s: %s", dir, strerror(ENAMETOOLONG));
	int r = output_write(path, bytes, len);
	return r < 0 ? cli_unknown("%s: %s", path, strerror(-r)) : CLI_GOOD;
}

static int put_pcrs(const char *dir, const struct evidence_statement *statement)
{
	uint8_t values[BANK_COUNT * BANK_DIGEST_MAX];
	size_t len = 0;

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(statement->banks & 1U << bank))
			continue;
		memcpy(values + len, statement->values.digest[bank], bank_size(bank));
		len += bank_size(bank);
	}
	return put(dir, "pcrs.bin", values, len);
}

/* RFC 7468, 13 "Textual Encoding of Subject Public Key Info". */
static int put_pem(const char *dir, const struct evidence_statement *statement)
{
	uint8_t spki[AK_SPKI_LEN];
	unsigned char base64[BASE64_MAX];
	char pem[2 * BASE64_MAX], why[AK_ERROR_MAX];
	struct ak ak;

	if (ak_decode(statement->ak, statement->ak_len, &ak, why) < 0)
		return cli_unknown("the key of the evidence: %s", why);
	ak_spki(&ak.public, spki);
	EVP_EncodeBlock(base64, spki, sizeof(spki));
	int len = snprintf(pem, sizeof(pem),
		"-----BEGIN PUBLIC KEY-----\n%.*s\n%s\n-----END PUBLIC KEY-----\n", BASE64_LINE,
		base64, base64 + BASE64_LINE);
	return put(dir, "ak.pem", pem, (size_t)len);
}

static int put_readme(const char *dir, const struct evidence_statement *statement, const char *root)
{
	char list[64] = "", text[1024];

	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		size_t len = strlen(list);
		if (statement->banks & 1U << bank)
			snprintf(list + len, sizeof(list) - len, "%s%s:%u", len ? "+" : "",
				bank_name(bank), statement->pcr);
	}
	int len = snprintf(text, sizeof(text),
		"tpm2_checkquote -u ak.pem -m attest.bin -s sig.bin -f pcrs.bin -l %s -g sha256"
		" -q %s\n",
		list, root);
	return put(dir, "README", text, (size_t)len);
}

/* What the challenge leads to, from the nonce up: nothing is taken from the quote. */
static int find_root(
	const struct evidence_statement *statement, char ret_hex[static 2 * SHA256_LEN + 1])
{
	struct merkle_hash leaf, root;

	if (merkle_leaf_attest(statement->nonce, statement->binding, &leaf) < 0 ||
		merkle_path_root(&leaf, statement->index, statement->count, statement->path,
			statement->path_len, &root) < 0)
		return cli_unknown("the evidence has no path from the nonce to what was signed");
	cli_hex(root.sha256, SHA256_LEN, ret_hex);
	return CLI_GOOD;
}

int export_quote(const char *dir, const struct evidence_statement *statement)
{
	char root[2 * SHA256_LEN + 2];

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return cli_unknown("%s: %s", dir, strerror(errno));
	int code = find_root(statement, root);
	if (code == CLI_GOOD)
		code = put(dir, "attest.bin", statement->quote, statement->quote_len);
	if (code == CLI_GOOD)
		code = put(dir, "sig.bin", statement->signature, statement->signature_len);
	if (code == CLI_GOOD)
		code = put_pcrs(dir, statement);
	if (code == CLI_GOOD)
		code = put_pem(dir, statement);
	if (code == CLI_GOOD)
		code = put(dir, "ak.tpm2b", statement->ak, statement->ak_len);
	if (code == CLI_GOOD)
		code = put_readme(dir, statement, root);
	root[2 * SHA256_LEN] = '\n';
	return code == CLI_GOOD ? put(dir, "qualifying.hex", root, 2 * SHA256_LEN + 1) : code;
}
