/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "attest/channel.h"
#include "attest/client.h"
#include "attest/enrol.h"
#include "attest/memory.h"
#include "cli/cli.h"
#include "cli/enrolment.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/when.h"

enum {
	CONNECT_MS = 10000,
	STALL_MS = 120000, /* a chip may have to make an RSA key first */
	TOTAL_MS = 180000,
};

struct request {
	const char *host, *name, *roots, *ek, *ak, *remove;
	const char *ca, *certificate, *key, *db;
	bool first_use, list, replace, json, require_hardware;
	enum machine_tpm word;
	unsigned pcr;
	bank_set base_banks;
	struct bank_values base;
};

const char enroll_help[] =
	"usage: bpfmeasure enroll HOST[:PORT] --roots DIR [OPTION]...\n"
	"       bpfmeasure enroll --list | --remove NAME\n"
	"\n"
	"Learn a machine's key (AK), and what vouches for it: one of the first four.\n"
	"\n"
	"  --roots DIR       a root in DIR/hardware or /software, for the TPM's EK\n"
	"  --ek FILE         its EK is this one: TPM2B_PUBLIC, PEM or a certificate\n"
	"  --ak FILE         its AK is this one: TPM2B_PUBLIC or PEM\n"
	"  --first-use       nothing: whoever answers now is believed from now on\n"
	"  --name NAME       what it is called (default: HOST[:PORT] as typed)\n"
	"  --tpm WORD        of a pinned key's TPM, by your word: hardware or software\n"
	"  --require hardware  enrol nothing else\n"
	"  --replace         take other keys than those enrolled; its history goes\n"
	"  --pcr N           the PCR that it measures into (default 13)\n"
	"  --base BANK:HEX   what its boot leaves in that PCR; once for each bank\n"
	"  --ca FILE         check the server's certificate by this authority\n"
	"  --cert FILE, --key FILE  our own certificate, where the server wants one\n"
	"  --list            the machines that are enrolled\n"
	"  --remove NAME     forget one\n"
	"  --json, --utc     as objects; times of --list in UTC\n"
	"  --db FILE         the verifier's memory\n"
	"\n"
	"example: bpfmeasure enroll web-07 --roots /etc/tpm-roots --require hardware\n";

/* ---- the command line ---- */

static int parse_word(const char *text, enum machine_tpm *ret)
{
	if (strcmp(text, "hardware") == 0)
		*ret = MACHINE_HARDWARE;
	else if (strcmp(text, "software") == 0)
		*ret = MACHINE_SOFTWARE;
	else
		return cli_usage("--tpm takes hardware or software");
	return CLI_GOOD;
}

static int parse_value(struct request *request, int option, const char *value)
{
	switch (option) {
	case 'u':
		when_utc();
		return CLI_GOOD;
	case 't':
		return parse_word(value, &request->word);
	case 'q':
		request->require_hardware = strcmp(value, "hardware") == 0;
		return request->require_hardware ? CLI_GOOD : cli_usage("--require takes hardware");
	case 'p':
		return enrolment_pcr_parse(value, &request->pcr)
			? CLI_GOOD
			: cli_usage("--pcr takes a number from 0 to %d", EVIDENCE_PCR_MAX);
	case 'b':
		return enrolment_base_parse(value, &request->base_banks, &request->base)
			? CLI_GOOD
			: cli_usage("--base takes BANK:HEX, each bank once: %s", value);
	default:
		return CLI_USAGE; /* getopt_long() has said why */
	}
}

static int parse_option(struct request *request, int option, const char *value)
{
	const struct {
		int option;
		const char **text;
		bool *flag;
	} plain[] = {
		{ 'n', &request->name, NULL },
		{ 'r', &request->roots, NULL },
		{ 'e', &request->ek, NULL },
		{ 'a', &request->ak, NULL },
		{ 'm', &request->remove, NULL },
		{ 'c', &request->ca, NULL },
		{ 'C', &request->certificate, NULL },
		{ 'K', &request->key, NULL },
		{ 'd', &request->db, NULL },
		{ 'f', NULL, &request->first_use },
		{ 'l', NULL, &request->list },
		{ 'R', NULL, &request->replace },
		{ 'j', NULL, &request->json },
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (plain[i].option != option)
			continue;
		if (plain[i].text)
			*plain[i].text = value;
		else
			*plain[i].flag = true;
		return CLI_GOOD;
	}
	return parse_value(request, option, value);
}

/* What belongs together. */
static int check(struct request *request, int count, char **words)
{
	int modes = (request->roots != NULL) + (request->ek != NULL) + (request->ak != NULL) +
		request->first_use;

	if (request->list || request->remove)
		return count || modes || (request->list && request->remove)
			? cli_usage("--list and --remove stand alone")
			: CLI_GOOD;
	if (count != 1)
		return cli_usage("needs one HOST");
	if (modes != 1)
		return cli_usage("say what vouches for its key: one of --roots DIR, --ek FILE, "
				 "--ak FILE, --first-use");
	if (request->word && !request->ek && !request->ak)
		return cli_usage("--tpm is for a pinned key: with --ek or --ak");
	if (!request->certificate != !request->key)
		return cli_usage("--cert and --key go together");
	request->host = words[0];
	if (!request->name)
		request->name = request->host;
	if (!enrolment_is_name(request->name))
		return cli_usage("\"%s\" cannot be a name: 1 to %d printable characters without "
				 "blanks, the first no dash",
			request->name, MACHINE_NAME_MAX);
	return strlen(request->host) > MACHINE_NAME_MAX ? cli_usage("HOST is too long") : CLI_GOOD;
}

const struct verb_option enroll_options[] = {
	{ "name", 'n', TAKES_TEXT },
	{ "roots", 'r', TAKES_FOLDER },
	{ "ek", 'e', TAKES_FILE },
	{ "ak", 'a', TAKES_FILE },
	{ "first-use", 'f', TAKES_NOTHING },
	{ "tpm", 't', TAKES_WORD, "hardware software" },
	{ "require", 'q', TAKES_WORD, "hardware" },
	{ "replace", 'R', TAKES_NOTHING },
	{ "base", 'b', TAKES_BANK },
	{ "pcr", 'p', TAKES_TEXT },
	{ "ca", 'c', TAKES_FILE },
	{ "cert", 'C', TAKES_FILE },
	{ "key", 'K', TAKES_FILE },
	{ "db", 'd', TAKES_FILE },
	{ "list", 'l', TAKES_NOTHING },
	{ "remove", 'm', TAKES_MACHINE },
	{ "json", 'j', TAKES_NOTHING },
	{ "utc", 'u', TAKES_NOTHING },
	{},
};

static int parse(int argc, char **argv, struct request *ret)
{
	int option;

	*ret = (struct request){ .pcr = VERIFY_PCR, .word = MACHINE_UNPROVEN };
	while ((option = verb_next_option(argc, argv, enroll_options)) != -1) {
		int code = parse_option(ret, option, optarg);
		if (code)
			return code;
	}
	return check(ret, argc - optind, argv + optind);
}

/* ---- what is said ---- */

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static json_t *fingerprint(const uint8_t *bytes, size_t len)
{
	uint8_t digest[SHA256_LEN];
	char text[2 * SHA256_LEN + 1];

	if (!len || sha256(bytes, len, digest))
		return json_null();
	cli_hex(digest, sizeof(digest), text);
	return json_string(text);
}

static json_t *base64(const uint8_t *bytes, size_t len)
{
	unsigned char text[(EVIDENCE_AK_MAX + 2) / 3 * 4 + 1];

	if (len > EVIDENCE_AK_MAX)
		return NULL;
	return json_stringn((char *)text, (size_t)EVP_EncodeBlock(text, bytes, (int)len));
}

static json_t *machine_json(const struct machine *machine)
{
	return json_pack("{ss ss ss ss sI so so so}", "name", machine->name, "address",
		machine->address, "mode", machine_mode_name(machine->mode), "tpm",
		machine_tpm_name(machine->tpm), "pcr", (json_int_t)machine->pcr, "ak",
		base64(machine->ak, machine->ak_len), "ak_sha256",
		fingerprint(machine->ak, machine->ak_len), "ek_sha256",
		fingerprint(machine->ek, machine->ek_len));
}

static int print_json(json_t *object)
{
	if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII))
		return cli_unknown("not enough memory, or no output");
	putchar('\n');
	return CLI_GOOD;
}

static const char *word_of(enum enrol_reason reason)
{
	if (!reason)
		return "enrolled";
	return enrol_is_refusal(reason) ? "refused" : "unknown";
}

static int print_result(const struct request *request, const struct enrol_result *result)
{
	const struct machine *machine = &result->machine;
	const char *word = word_of(result->reason);

	if (request->json) {
		[[gnu::cleanup(json_freep)]] json_t *object = json_pack("{ss ss ss ss* so*}",
			"result", word, "reason", enrol_reason_name(result->reason), "explanation",
			result->explanation, "ek_template", result->template, "machine",
			result->reason ? NULL : machine_json(machine));
		return print_json(object);
	}
	if (result->reason)
		printf("%s: %s\n", word, enrol_reason_name(result->reason));
	else
		printf("%s: %s, %s%s%s\n", word, machine_mode_name(machine->mode),
			machine_tpm_name(machine->tpm), result->template ? ", EK " : "",
			result->template ? result->template : "");
	printf("%s\n", result->explanation);
	if (result->reason == ENROL_UNREACHABLE)
		puts("On the machine: listen in [attest] of agent.conf, and what bpfmeasure status says of "
		     "attest.");
	return CLI_GOOD;
}

/* ---- the machines that are enrolled ---- */

static int print_row(void *arg, const struct machine *machine)
{
	struct table_row *row = table_row(arg, NULL);
	const char *when = "";
	char text[WHEN_MAX];

	if (machine->enrolled_ns) {
		when_full(machine->enrolled_ns, text);
		when = text;
	}
	table_cell(arg, row, 0, machine->name, TABLE_PLAIN);
	table_cell(arg, row, 1, machine->address, TABLE_PLAIN);
	table_cell(arg, row, 2, machine_mode_name(machine->mode), TABLE_PLAIN);
	table_cell(arg, row, 3, machine_tpm_name(machine->tpm),
		machine->tpm == MACHINE_HARDWARE ? TABLE_GREEN : TABLE_YELLOW);
	table_cell(arg, row, 4, when, TABLE_PLAIN);
	return 0;
}

static int print_object(void *, const struct machine *machine)
{
	[[gnu::cleanup(json_freep)]] json_t *object = machine_json(machine);

	return print_json(object);
}

static int list(const struct request *request, struct memory *memory)
{
	static const struct table_column columns[] = {
		{ "NAME", 0 },
		{ "ADDRESS", TABLE_CUT },
		{ "MODE", 0 },
		{ "TPM", 0 },
		{ "ENROLLED", TABLE_CUT },
	};

	if (request->json) {
		int r = memory_machines_each(memory, print_object, NULL);
		return r < 0 ? cli_memory_fail(memory, r) : r;
	}
	[[gnu::cleanup(table_freep)]] struct table *table = table_new(
		stdout, columns, sizeof(columns) / sizeof(columns[0]));
	if (!table)
		return cli_unknown("%s", strerror(ENOMEM));
	int err = memory_machines_each(memory, print_row, table);
	if (err)
		return cli_memory_fail(memory, err);
	return table_flush(table) ? cli_unknown("%s", strerror(ENOMEM)) : CLI_GOOD;
}

static int forget(const struct request *request, struct memory *memory)
{
	int err = memory_machine_remove(memory, request->remove);

	if (err == -ENOENT)
		return cli_unknown("%s is not enrolled", request->remove);
	return err ? cli_memory_fail(memory, err) : CLI_GOOD;
}

/* ---- one machine ---- */

/* Its name, and what is known under it. */
static int look_up(const struct request *request, struct memory *memory, struct machine *ret_known,
	bool *ret_is_known)
{
	int err = memory_machine_get(memory, request->name, ret_known);

	*ret_is_known = !err;
	return err && err != -ENOENT ? cli_memory_fail(memory, err) : CLI_GOOD;
}

static int connect_to(const struct request *request, struct client **ret_client)
{
	const struct client_options options = {
		.address = request->host,
		.ca = request->ca,
		.certificate = request->certificate,
		.key = request->key,
		.connect_timeout_ms = CONNECT_MS,
		.stall_timeout_ms = STALL_MS,
		.total_timeout_ms = TOTAL_MS,
		.body_max = CHANNEL_BYTES_MAX + 2, /* and a newline */
	};

	int err = client_new(&options, ret_client);
	if (err == -EINVAL)
		return cli_usage("\"%s\" is no HOST, HOST:PORT or [ADDRESS]:PORT", request->host);
	return err ? cli_unknown("%s", strerror(-err)) : CLI_GOOD;
}

/* What the operator gave to hold the machine's keys against. */
struct given {
	struct ek_roots *roots;
	struct ek_pin ek;
	struct ak ak;
};

static void given_done(struct given *given)
{
	ek_roots_free(given->roots);
}

static int load_roots(const char *dir, struct ek_roots **ret_roots)
{
	char error[EK_ERROR_MAX];

	int err = ek_roots_load(dir, ret_roots, error);
	if (err == -ENOENT)
		return cli_unknown("%s - put root certificates of TPM vendors into %s/hardware; "
				   "without any there is --first-use",
			error, dir);
	return err ? cli_unknown("%s", error) : CLI_GOOD;
}

static int load(const struct request *request, struct given *given, struct enrol_options *options)
{
	options->ek = &given->ek;
	options->ak = &given->ak;
	options->mode = request->roots ? MACHINE_EK_CERT
		: request->ek          ? MACHINE_EK_PINNED
		: request->ak          ? MACHINE_AK_PINNED
				       : MACHINE_FIRST_USE;
	if (request->ek)
		return enrolment_ek_load(request->ek, &given->ek);
	if (request->ak)
		return enrolment_ak_load(request->ak, &given->ak);
	int code = request->roots ? load_roots(request->roots, &given->roots) : CLI_GOOD;
	options->roots = given->roots;
	return code;
}

static int remember(
	const struct request *request, struct memory *memory, const struct enrol_result *result)
{
	return memory_machine_put(memory, &result->machine, request->replace)
		? cli_unknown("not enrolled: %s", memory_errmsg(memory))
		: CLI_GOOD;
}

static int enroll(const struct request *request, struct memory *memory)
{
	[[gnu::cleanup(given_done)]] struct given given = { 0 };
	[[gnu::cleanup(client_freep)]] struct client *client = NULL;
	struct enrol_options options = {
		.name = request->name,
		.address = request->host,
		.word = request->word,
		.require_hardware = request->require_hardware,
		.pcr = request->pcr,
		.base_banks = request->base_banks,
		.base = &request->base,
		.replace = request->replace,
	};
	struct enrol_result result;
	struct machine known;
	bool is_known;

	int code = connect_to(request, &client);
	if (!code)
		code = load(request, &given, &options);
	if (!code)
		code = look_up(request, memory, &known, &is_known);
	if (code)
		return code;
	options.known = is_known ? &known : NULL;
	options.peer = round_peer_client(client);
	enrol(&options, &result);
	if (!result.reason)
		code = remember(request, memory, &result);
	if (!code)
		code = print_result(request, &result);
	if (code || !result.reason)
		return code;
	return enrol_is_refusal(result.reason) ? CLI_UNTRUSTED : CLI_UNKNOWN;
}

int enroll_main(int argc, char **argv)
{
	[[gnu::cleanup(memory_freep)]] struct memory *memory = NULL;
	struct request request;

	int code = parse(argc, argv, &request);
	if (!code)
		code = cli_memory_open(request.db, &memory);
	if (code)
		return code;
	if (request.list)
		return list(&request, memory);
	return request.remove ? forget(&request, memory) : enroll(&request, memory);
}
