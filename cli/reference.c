/* SPDX-License-Identifier: BSD-2-Clause */
/* bpfmeasure reference */
#include "cli/reference.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <elf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "attest/verify.h"
#include "cli/cli.h"
#include "cli/enrolment.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum { FILE_SIZE_MAX = 1 << 30 };

const char reference_help[] =
	"usage: bpfmeasure reference [OPTION]... FILE...\n"
	"\n"
	"Make reference values: which programs, signers and loaders are expected, one a\n"
	"line, for --reference of verify and attest. A FILE is one of\n"
	"\n"
	"  a BPF object (.bpf.o)  its programs, if they reach the kernel as they are\n"
	"  a light skeleton (.h)  its loader and what that loads, signed or not\n"
	"  a program (ELF)        it may load BPF programs\n"
	"  a certificate (PEM)    whoever has its key may sign, if it is a trusted_cert\n"
	"  evidence               of a good machine: all programs, signers and loaders\n"
	"\n"
	"  -o, --output FILE  instead of stdout\n"
	"  --ak FILE          the key that evidence is verified with; else believed\n"
	"  --pcr N            the PCR that it has to be of (default 13)\n"
	"\n"
	"A program for which there is no value is named on stderr: exit code 3.\n"
	"\n"
	"example: bpfmeasure reference probe.skel.h /usr/sbin/probe -o expected\n"
	"         bpfmeasure reference evidence --ak ak.tpm2b -o expected\n";

/* ---- values ---- */

struct making {
	struct reference_sink sink;
	FILE *out;
	const char *path; /* of the file in hand */
	const char *ak_path;
	unsigned pcr;
	void *seen; /* tsearch(3): sha256 of the lines */
	size_t lacking;
	int error;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, SHA256_LEN);
}

/* 1: was not there; 0; or a negative errno. */
static int see(struct making *making, const struct line *line)
{
	uint8_t *digest = malloc(SHA256_LEN);
	void *found = NULL;

	if (digest && sha256(line->buf, line->len, digest) == 0)
		found = tsearch(digest, &making->seen, compare);
	bool is_new = found && *(uint8_t **)found == digest;
	if (!is_new)
		free(digest);
	return found ? is_new : -ENOMEM;
}

static void put(struct reference_sink *sink, const struct reference *reference)
{
	struct making *making = (struct making *)sink;
	struct reference value = *reference;
	char buf[REFERENCE_LINE_MAX];
	struct line line;

	value.source = (struct record_text){ making->path, strlen(making->path) };
	line_init(&line, buf, sizeof(buf));
	reference_encode(&line, &value);
	int is_new = see(making, &line);
	if (is_new < 0)
		making->error = is_new;
	if (is_new > 0)
		fprintf(making->out, "%.*s\n", (int)line.len, line.buf);
}

static void lack(struct reference_sink *sink, const char *name, size_t len, const char *why)
{
	struct making *making = (struct making *)sink;
	char text[REFERENCE_LINE_MAX];
	struct line line;

	line_init(&line, text, sizeof(text));
	line_text(&line, NULL, name, len, REFERENCE_NAME_MAX);
	making->lacking++;
	warnx("%s: no value for the program %.*s: its instructions will hold %s; use a light skeleton, "
	      "its loader, or evidence instead",
		making->path, (int)line.len, line.buf, why);
}

/* ---- evidence ---- */

static struct record_digest get_digest(const char *line, size_t len, const char *path)
{
	struct record_digest digest = { 0 };
	struct line_value value;

	if (line_get(line, len, path, &value))
		digest.known = line_value_hex(value, digest.sha256, SHA256_LEN) == SHA256_LEN;
	return digest;
}

/* Text as the record has it, for people: its escapes are escaped once more. */
static struct record_text get_text(
	const char *line, size_t len, const char *path, char *buf, size_t size)
{
	struct line_value value;
	size_t text_len = 0;

	if (line_get(line, len, path, &value) && !line_value_is_null(value))
		text_len = line_value_text(value, buf, size);
	return (struct record_text){ text_len ? buf : NULL, text_len };
}

static bool is_word(const char *line, size_t len, const char *path, const char *word)
{
	struct line_value value;

	return line_get(line, len, path, &value) && line_value_is(value, word);
}

/* Whether the chain digest of this record is one of all that its program is given. */
static bool covers_its_maps(const char *line, size_t len)
{
	struct line_value maps, map, digest;
	size_t count = 0;

	if (!line_get(line, len, "maps", &maps))
		return false;
	for (struct line_each each = line_each(maps); line_next(&each, NULL, &map); count++)
		if (!line_get(map.at, map.len, "sha256_at_load", &digest) ||
			line_value_is_null(digest))
			return false;
	return count > 0;
}

/* Instructions that load others mean nothing without what they are given: only the chain is a value, and
 * only where that is in it. */
static void put_program(struct making *making, const char *line, size_t len)
{
	char name[RECORD_LINE_MAX];
	struct reference reference = {
		.kind = REFERENCE_PROGRAM,
		.name = get_text(line, len, "program.name", name, sizeof(name)),
		.chain_digest = get_digest(line, len, "chain_digest"),
	};

	if (!is_word(line, len, "program.type", "syscall"))
		reference.sha256 = get_digest(line, len, "program.sha256");
	else if (!covers_its_maps(line, len))
		reference.chain_digest.known = false;
	if (reference.sha256.known || reference.chain_digest.known)
		put(&making->sink, &reference);
}

static void put_signer(struct making *making, const char *line, size_t len)
{
	static const char *const keyrings[] = {
		[KEYRING_BUILTIN] = "builtin",
		[KEYRING_SECONDARY] = "secondary",
		[KEYRING_PLATFORM] = "platform",
	};
	struct reference reference = {
		.kind = REFERENCE_SIGNER,
		.pinned = get_digest(line, len, "signature.pinned"),
	};

	if (!is_word(line, len, "signature.verdict", "verified"))
		return;
	for (enum record_keyring i = KEYRING_BUILTIN; i <= KEYRING_PLATFORM; i++)
		if (is_word(line, len, "signature.keyring", keyrings[i]))
			reference.keyring = i;
	if (reference.pinned.known || reference.keyring)
		put(&making->sink, &reference);
}

static void put_loader(struct making *making, const char *line, size_t len)
{
	char exe[RECORD_LINE_MAX];
	struct reference reference = {
		.kind = REFERENCE_LOADER,
		.exe = get_text(line, len, "loader.exe", exe, sizeof(exe)),
		.sha256 = get_digest(line, len, "loader.exe_sha256"),
	};

	if (reference.sha256.known)
		put(&making->sink, &reference);
}

static void take_record(void *arg, uint64_t, const char *line, size_t len)
{
	struct making *making = arg;
	struct line_value self;

	if (!is_word(line, len, "kind", "load"))
		return;
	if (line_get(line, len, "program.self", &self) && !line_value_bool(self)) {
		put_program(making, line, len);
		put_signer(making, line, len);
	}
	put_loader(making, line, len);
}

static int from_unverified(struct making *making, FILE *file)
{
	struct evidence_reader reader;
	struct evidence_statement statement;
	struct record_head head;
	struct line_error error;
	const char *line;
	size_t len;

	warnx("%s: not verified, for want of --ak: the values are the word of whoever made it",
		making->path);
	evidence_reader_init(&reader, file);
	int r = evidence_read(&reader, &line, &len);
	if (r > 0)
		r = evidence_statement_decode(line, len, &statement, &error) ? -EBADMSG : 1;
	while (r > 0 && (r = evidence_read(&reader, &line, &len)) > 0) {
		if (record_check(line, len, &head, &error))
			r = -EBADMSG;
		else
			take_record(making, head.seq, line, len);
	}
	return r < 0 ? cli_unknown("%s: not evidence: line %zu is wrong", making->path, reader.line)
		     : CLI_GOOD;
}

/* Values of what turns out not to be proven are not used: the caller throws its output away. */
static int from_evidence(struct making *making)
{
	FILE *file = fopen(making->path, "rb");
	struct verify_result result = { .is_proven = true };
	struct ak ak;
	struct verify_options options = {
		.ak = &ak,
		.pcr = making->pcr,
		.record = take_record,
		.record_arg = making,
	};
	int code = CLI_GOOD;

	if (!file)
		return cli_unknown("%s: %s", making->path, strerror(errno));
	if (!making->ak_path) {
		code = from_unverified(making, file);
	} else {
		code = enrolment_ak_load(making->ak_path, &ak);
		if (!code)
			verify_evidence(file, &options, &result);
	}
	fclose(file);
	if (code || result.is_proven)
		return code;
	return (result.verdict == VERIFY_UNTRUSTED ? cli_untrusted : cli_unknown)(
		"%s: %s: %s", making->path, verify_reason_name(result.reason), result.explanation);
}

/* ---- other files ---- */

static void x509_freep(X509 **certificate)
{
	X509_free(*certificate);
}

static int put_certificate(struct making *making, X509 *certificate)
{
	struct reference reference = { .kind = REFERENCE_SIGNER, .pinned.known = true };
	char subject[256];
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);

	if (len <= 0)
		return cli_unknown("%s: the certificate's key cannot be encoded", making->path);
	int err = sha256(der, (size_t)len, reference.pinned.sha256);
	OPENSSL_free(der);
	if (err)
		return cli_unknown("OpenSSL refuses sha256");
	if (X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject)))
		reference.name = (struct record_text){ subject, strlen(subject) };
	put(&making->sink, &reference);
	return CLI_GOOD;
}

static int from_certificates(struct making *making, const void *bytes, size_t len)
{
	BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	static const char no_passphrase[] = ""; /* or OpenSSL would ask at the terminal */
	size_t count = 0;
	int code = CLI_GOOD;

	ERR_clear_error();
	while (bio && !code) {
		[[gnu::cleanup(x509_freep)]] X509 *certificate = PEM_read_bio_X509(
			bio, NULL, NULL, (void *)no_passphrase);
		if (!certificate)
			break;
		code = put_certificate(making, certificate);
		count++;
	}
	BIO_free(bio);
	if (code)
		return code;
	if (count && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		return CLI_GOOD;
	return cli_unknown(
		"%s: OpenSSL does not read certificate %zu of it", making->path, count + 1);
}

static int from_executable(struct making *making, const void *bytes, size_t len)
{
	struct reference reference = { .kind = REFERENCE_LOADER, .sha256.known = true };
	char *real = realpath(making->path, NULL);

	if (real)
		reference.exe = (struct record_text){ real, strlen(real) };
	int err = sha256(bytes, len, reference.sha256.sha256);
	if (!err)
		put(&making->sink, &reference);
	free(real);
	return err ? cli_unknown("OpenSSL refuses sha256") : CLI_GOOD;
}

static bool has(const void *bytes, size_t len, const char *text)
{
	return memmem(bytes, len, text, strlen(text));
}

static bool is_object(const uint8_t *bytes, size_t len)
{
	Elf64_Ehdr header;

	if (len < sizeof(header))
		return false;
	memcpy(&header, bytes, sizeof(header));
	return header.e_machine == EM_BPF || header.e_type == ET_REL;
}

static int from_bytes(struct making *making, const uint8_t *bytes, size_t len)
{
	char error[REFERENCE_ERROR_MAX] = "OpenSSL or memory fails";
	int err;

	if (has(bytes, len < 64 ? len : 64, "{\"bpfmeasure\":\"evidence/"))
		return from_evidence(making);
	if (len >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0 && !is_object(bytes, len))
		return from_executable(making, bytes, len);
	if (len >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0)
		err = reference_from_object(bytes, len, &making->sink, error);
	else if (has(bytes, len, "-----BEGIN CERTIFICATE-----"))
		return from_certificates(making, bytes, len);
	else if (has(bytes, len, "opts_insn[]"))
		err = reference_from_skeleton(bytes, len, &making->sink, error);
	else if (len >= 2 && memcmp(bytes, "#!", 2) == 0)
		return cli_unknown("%s: a script: what the kernel names as the loader is its "
				   "interpreter",
			making->path);
	else
		return cli_unknown("%s: no BPF object, light skeleton, program, certificate or "
				   "evidence",
			making->path);
	return err ? cli_unknown("%s: %s", making->path, error) : CLI_GOOD;
}

static int from_file(struct making *making)
{
	FILE *file = fopen(making->path, "rb");
	size_t len = 0, size = 0;
	uint8_t *bytes = NULL;
	int code;

	if (!file)
		return cli_unknown("%s: %s", making->path, strerror(errno));
	do {
		size = size ? 2 * size : 1 << 16;
		uint8_t *more = size > FILE_SIZE_MAX ? NULL : realloc(bytes, size);
		if (!more)
			break;
		bytes = more;
		len += fread(bytes + len, 1, size - len, file);
	} while (len == size);
	if (ferror(file))
		code = cli_unknown("%s: cannot be read", making->path);
	else if (!bytes || len == size)
		code = cli_unknown("%s: too large, or not enough memory", making->path);
	else
		code = from_bytes(making, bytes, len);
	free(bytes);
	fclose(file);
	return code;
}

/* ---- the verb ---- */

static void making_done(struct making *making)
{
	tdestroy(making->seen, free);
}

/* Nothing is written before all of it is there: what an evidence says counts once that is proven. */
static int make(struct making *making, char *const *paths, const char *output_path)
{
	char *text = NULL;
	size_t len = 0;
	int code = CLI_GOOD;

	making->out = open_memstream(&text, &len);
	if (!making->out)
		return cli_unknown("%s", strerror(errno));
	for (; *paths && !code; paths++) {
		making->path = *paths;
		code = from_file(making);
	}
	if (fclose(making->out) && !making->error)
		making->error = -ENOMEM;
	if (!code && making->error)
		code = cli_unknown("%s", strerror(-making->error));
	int err = code ? 0 : output_write(output_path, text, len);
	if (err)
		code = cli_unknown("%s: %s", output_path, strerror(-err));
	free(text);
	return !code && making->lacking ? CLI_UNKNOWN : code;
}

const struct verb_option reference_options[] = {
	{ "output", 'o', TAKES_FILE, .has_letter = true },
	{ "ak", 'k', TAKES_FILE },
	{ "pcr", 'p', TAKES_TEXT },
	{},
};

int reference_main(int argc, char **argv)
{
	[[gnu::cleanup(making_done)]] struct making making = {
		.sink = { .put = put, .lack = lack },
		.pcr = VERIFY_PCR,
	};
	const char *output_path = "-";
	int option;

	while ((option = verb_next_option(argc, argv, reference_options)) != -1) {
		if (option == 'o')
			output_path = optarg;
		else if (option == 'k')
			making.ak_path = optarg;
		else if (option != 'p')
			return CLI_USAGE;
		else if (!enrolment_pcr_parse(optarg, &making.pcr))
			return cli_usage("--pcr takes a number from 0 to %d", EVIDENCE_PCR_MAX);
	}
	if (optind == argc)
		return cli_usage("needs a FILE to make reference values from");
	return make(&making, argv + optind, output_path);
}
