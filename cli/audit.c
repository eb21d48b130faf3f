/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "attest/history.h"
#include "bpf/record.h"
#include "cli/cli.h"
#include "cli/enrolment.h"
#include "cli/field.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/verdict.h"
#include "db/db.h"

enum {
	SENTENCES_MAX = 16, /* contradictions that are explained; --json has them all */
	GAPS_MAX = 256, /* missing or unreadable records behind which to go on */
};

struct request {
	const char *db_path;
	const char *ak_file;
	unsigned pcr;
	bank_set base_banks;
	struct bank_values base;
	bool json;
	bool quiet;
};

/* A kept quote, read before the records are: of a log that is being written, the records must not
 * be older than the quotes. */
struct quote {
	uint64_t seq;
	size_t len;
	char *line;
};

struct audit {
	struct db *db;
	struct history *history;
	size_t quote_count;
	size_t quote_room;
	struct quote *quotes;
	size_t quote_next;
	uint64_t seq; /* of the record read last */
	struct db_scanned scanned;
};

/* ---- the command line ---- */

static int parse_option(struct request *request, int option, const char *value)
{
	switch (option) {
	case 'k':
		request->ak_file = value;
		return CLI_GOOD;
	case 'p':
		return enrolment_pcr_parse(value, &request->pcr)
			? CLI_GOOD
			: cli_usage("--pcr takes a number from 0 to %d", EVIDENCE_PCR_MAX);
	case 'b':
		return enrolment_base_parse(value, &request->base_banks, &request->base)
			? CLI_GOOD
			: cli_usage("--base takes BANK:HEX, as in sha256:0000..., once per bank");
	case 'j':
		request->json = true;
		return CLI_GOOD;
	case 'q':
		request->quiet = true;
		return CLI_GOOD;
	default:
		return CLI_USAGE; /* getopt_long() has said why */
	}
}

const struct verb_option audit_options[] = {
	{ "ak", 'k', TAKES_FILE },
	{ "pcr", 'p', TAKES_TEXT },
	{ "base", 'b', TAKES_BANK },
	{ "json", 'j', TAKES_NOTHING },
	{ "quiet", 'q', TAKES_NOTHING, .has_letter = true },
	{},
};

static int parse(int argc, char **argv, struct request *ret)
{
	int option;

	*ret = (struct request){ .pcr = VERIFY_PCR, .db_path = cli_db_path() };
	while ((option = verb_next_option(argc, argv, audit_options)) != -1) {
		int code = parse_option(ret, option, optarg);
		if (code)
			return code;
	}
	if (optind + 1 < argc)
		return cli_usage("takes one DB");
	if (optind < argc)
		ret->db_path = argv[optind];
	return CLI_GOOD;
}

/* ---- reading ---- */

static void audit_done(struct audit *audit)
{
	for (size_t i = 0; i < audit->quote_count; i++)
		free(audit->quotes[i].line);
	free(audit->quotes);
	history_free(audit->history);
	db_free(audit->db);
}

/* Something in the database is not as it must be. */
static void find(struct audit *audit, const char *text)
{
	history_find(
		audit->history, audit->seq, "database", "The database is damaged: %.400s.", text);
}

/* An error of the database: damage is a finding, and the rest is judged all the same. */
static int meet(struct audit *audit, int err)
{
	if (err != -EUCLEAN)
		return err;
	find(audit, db_errmsg(audit->db));
	return 0;
}

static int take_quote(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct audit *audit = arg;

	if (audit->quote_count == audit->quote_room) {
		size_t room = audit->quote_room ? 2 * audit->quote_room : 64;
		struct quote *quotes = reallocarray(audit->quotes, room, sizeof(*quotes));
		if (!quotes)
			return -ENOMEM;
		audit->quotes = quotes;
		audit->quote_room = room;
	}
	char *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, line, len);
	audit->quotes[audit->quote_count++] =
		(struct quote){ .seq = seq, .len = len, .line = copy };
	return 0;
}

/* Hand over the quotes of records before this one. */
static int give_quotes(struct audit *audit, uint64_t before)
{
	int err = 0;

	while (!err && audit->quote_next < audit->quote_count &&
		audit->quotes[audit->quote_next].seq < before) {
		const struct quote *quote = &audit->quotes[audit->quote_next++];
		err = history_quote(audit->history, quote->seq, quote->line, quote->len);
	}
	return err;
}

static void tell_key(struct audit *audit, enum db_key key, uint64_t seq, struct line_value value)
{
	char text[FIELD_MAX];

	if (line_value_is_null(value))
		return;
	if (value.at[0] != '"') {
		db_scanned_key(audit->db, &audit->scanned, key, seq, value.at, value.len);
		return;
	}
	if (!memchr(value.at, '\\', value.len)) {
		db_scanned_key(audit->db, &audit->scanned, key, seq, value.at + 1, value.len - 2);
		return;
	}
	size_t len = line_value_text(value, text, sizeof(text));
	db_scanned_key(audit->db, &audit->scanned, key, seq, text, len);
}

static bool is_key(struct line_value key, const char *name)
{
	return key.len == strlen(name) && memcmp(key.at, name, key.len) == 0;
}

static void tell_program(struct audit *audit, uint64_t seq, struct line_value program)
{
	struct line_value key, value;

	for (struct line_each each = line_each(program); line_next(&each, &key, &value);) {
		if (is_key(key, "seq"))
			tell_key(audit, DB_REFERS, seq, value);
		else if (is_key(key, "name"))
			tell_key(audit, DB_NAME, seq, value);
		else if (is_key(key, "sha256"))
			tell_key(audit, DB_SHA256, seq, value);
	}
}

/*
 * What the indexes must have of a record; in one walk, as they are a good part of an audit. None with a
 * parent has a program.seq.
 */
static void tell_keys(struct audit *audit, uint64_t seq, const char *line, size_t len)
{
	struct line_each each = line_each((struct line_value){ line, len });
	struct line_value key, value, parent_seq;

	while (line_next(&each, &key, &value)) {
		if (is_key(key, "time"))
			tell_key(audit, DB_TIME, seq, value);
		else if (is_key(key, "program"))
			tell_program(audit, seq, value);
		else if (is_key(key, "parent") && line_get(value.at, value.len, "seq", &parent_seq))
			tell_key(audit, DB_REFERS, seq, parent_seq);
		else if (is_key(key, "kind") &&
			!line_value_is(value, record_kind_name(RECORD_LOAD)))
			tell_key(audit, DB_KIND, seq, value);
	}
}

static int take_record(void *arg, uint64_t seq, uint64_t ref, const void *line, size_t len)
{
	struct audit *audit = arg;

	int err = give_quotes(audit, seq);
	if (!err)
		err = history_record(audit->history, seq, ref, line, len);
	if (!err && history_was_record(audit->history))
		tell_keys(audit, seq, line, len);
	audit->seq = seq;
	return err;
}

/* All records: behind one that is missing or cannot be read it goes on with the next. */
static int read_records(struct audit *audit)
{
	uint64_t first = 0, last = 0;
	unsigned gaps = 0;

	int err = db_first_seq(audit->db, &first);
	if (!err)
		err = db_last_seq(audit->db, &last);
	if (err || !last)
		return meet(audit, err);
	do {
		err = db_scan(audit->db, first, UINT64_MAX, &audit->scanned, take_record, audit);
		if (err != -EUCLEAN)
			return err;
		first = (audit->seq >= first ? audit->seq + 1 : first) + 1;
		if (!gaps)
			find(audit, db_errmsg(audit->db));
	} while (first <= last && ++gaps < GAPS_MAX);
	if (gaps == GAPS_MAX)
		find(audit, "too much of it cannot be read, and so the rest was not");
	return 0;
}

static int check_program(void *arg, const uint8_t *key, const void *insns, size_t len)
{
	struct audit *audit = arg;
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	int err = sha256(insns, len, digest);
	if (err || memcmp(digest, key, SHA256_LEN) == 0)
		return err;
	cli_hex(key, SHA256_LEN, hex);
	history_find(audit->history, 0, "database",
		"The instructions kept of program %s are others.", hex);
	return 0;
}

static int take_finding(void *arg, const char *text)
{
	find(arg, text);
	return 0;
}

/* Everything that answers come from. Damage does not end it. */
static int read_all(struct audit *audit, const struct history_result **ret_result)
{
	int err = meet(audit, db_quotes_each(audit->db, 1, INT64_MAX, take_quote, audit));

	if (!err)
		err = read_records(audit);
	if (!err)
		err = give_quotes(audit, UINT64_MAX);
	audit->seq = 0;
	if (!err)
		err = meet(audit, db_programs_each(audit->db, check_program, audit));
	if (!err)
		err = meet(audit, db_audit(audit->db, &audit->scanned, take_finding, audit));
	return err ? err : history_end(audit->history, ret_result);
}

/* ---- what is said ---- */

static const enum table_color colors[] = {
	[HISTORY_PROVEN] = TABLE_GREEN,
	[HISTORY_CONSISTENT] = TABLE_PLAIN,
	[HISTORY_UNPROVEN] = TABLE_YELLOW,
	[HISTORY_CONTRADICTED] = TABLE_RED,
	[HISTORY_TRIMMED] = TABLE_PLAIN,
};

static void put_range(char *text, size_t size, const struct history_span *span)
{
	if (span->first == span->last)
		snprintf(text, size, "%" PRIu64, span->first);
	else
		snprintf(text, size, "%" PRIu64 "-%" PRIu64, span->first, span->last);
}

static int print_table(const struct history_result *result)
{
	static const struct table_column columns[] = {
		{ "RECORDS", 0 },
		{ "EPOCH", TABLE_RIGHT },
		{ "TRUST", 0 },
		{ "WHY", TABLE_CUT },
	};
	[[gnu::cleanup(table_freep)]] struct table *table = table_new(
		stdout, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; table && i < result->span_count; i++) {
		const struct history_span *span = &result->spans[i];
		struct table_row *row = table_row(table, NULL);
		char range[48], epoch[24] = "?";

		put_range(range, sizeof(range), span);
		if (span->epoch_seq)
			snprintf(epoch, sizeof(epoch), "%" PRIu64, span->epoch_seq);
		table_cell(table, row, 0, range, TABLE_PLAIN);
		table_cell(table, row, 1, epoch, TABLE_PLAIN);
		table_cell(table, row, 2, history_trust_name(span->trust), colors[span->trust]);
		table_cell(table, row, 3, *span->reason ? span->reason : span->why, TABLE_PLAIN);
	}
	if (!table || table_flush(table))
		return cli_unknown("not enough memory");
	if (result->span_count)
		putchar('\n');
	return CLI_GOOD;
}

static void print_sentences(const struct history_result *result)
{
	unsigned said = 0;

	for (size_t i = 0; i < result->span_count && said < SENTENCES_MAX; i++) {
		const struct history_span *span = &result->spans[i];

		if (span->trust != HISTORY_CONTRADICTED)
			continue;
		terminal_print("%s: %s", span->reason, span->why);
		said++;
	}
	for (size_t i = 0; i < result->finding_count && said < SENTENCES_MAX; i++, said++)
		terminal_print("%s: %s", result->findings[i].reason, result->findings[i].text);
	if (said == SENTENCES_MAX)
		puts("(there may be more: --json has all of it)");
}

static void print_notes(const struct request *request, const struct history_result *result)
{
	if (!request->ak_file)
		terminal_print("note: without --ak nothing is proven: the quotes may be anybody's");
	if (result->software)
		terminal_print(
			"note: the TPM is software: that machine's root can make it say anything");
	if (request->pcr == 16 || request->pcr == 23)
		terminal_print(
			"note: PCR %u can be reset by anybody on that machine", request->pcr);
}

static int print_result(const struct request *request, const struct history_result *result)
{
	int code = print_table(result);

	if (code)
		return code;
	terminal_paint(verdict_color(result->verdict), verify_verdict_name(result->verdict));
	if (result->verdict != VERIFY_TRUSTED)
		printf(": %s", result->reason);
	putchar('\n');
	terminal_print("%s", result->explanation);
	print_sentences(result);
	print_notes(request, result);
	return CLI_GOOD;
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static json_t *spans_json(const struct history_result *result)
{
	json_t *spans = json_array();

	for (size_t i = 0; i < result->span_count; i++) {
		const struct history_span *span = &result->spans[i];
		json_t *object = json_pack("{sI sI so ss so ss}", "first", (json_int_t)span->first,
			"last", (json_int_t)span->last, "epoch_seq",
			span->epoch_seq ? json_integer((json_int_t)span->epoch_seq) : json_null(),
			"trust", history_trust_name(span->trust), "reason",
			*span->reason ? json_string(span->reason) : json_null(), "why", span->why);
		if (json_array_append_new(spans, object)) {
			json_decref(spans);
			return NULL;
		}
	}
	return spans;
}

static json_t *findings_json(const struct history_result *result)
{
	json_t *findings = json_array();

	for (size_t i = 0; i < result->finding_count; i++) {
		const struct history_finding *finding = &result->findings[i];
		json_t *object = json_pack("{so ss sb ss}", "seq",
			finding->seq ? json_integer((json_int_t)finding->seq) : json_null(),
			"reason", finding->reason, "gap", (int)finding->is_gap, "text",
			finding->text);
		if (json_array_append_new(findings, object)) {
			json_decref(findings);
			return NULL;
		}
	}
	return findings;
}

static int print_json(const struct request *request, const struct history_result *result)
{
	const uint64_t *counts = result->counts;
	[[gnu::cleanup(json_freep)]] json_t *object = json_pack(
		"{ss ss ss sb sI sI sb s{sI sI sI sI sI} so so sI}", "verdict",
		verify_verdict_name(result->verdict), "reason", result->reason, "explanation",
		result->explanation, "ak_given", request->ak_file != NULL, "records",
		(json_int_t)result->records, "quotes", (json_int_t)result->quotes, "software",
		(int)result->software, "counts", "proven", (json_int_t)counts[HISTORY_PROVEN],
		"consistent", (json_int_t)counts[HISTORY_CONSISTENT], "unproven",
		(json_int_t)counts[HISTORY_UNPROVEN], "contradicted",
		(json_int_t)counts[HISTORY_CONTRADICTED], "trimmed",
		(json_int_t)counts[HISTORY_TRIMMED], "spans", spans_json(result), "findings",
		findings_json(result), "findings_left_out", (json_int_t)result->findings_left_out);

	if (!object || json_dumpf(object, stdout, JSON_COMPACT))
		return cli_unknown("not enough memory, or no output");
	putchar('\n');
	return CLI_GOOD;
}

const char audit_help[] =
	"usage: bpfmeasure audit [OPTION]... [DB]\n"
	"\n"
	"Judge the whole log, offline: every record, every epoch, every quote that was\n"
	"kept with it. DB is the log. A span of records is proven (a kept quote has the\n"
	"value that they lead to), unproven (no quote covers them: the newest, or those\n"
	"before a power loss), contradicted, or trimmed (a record says so).\n"
	"\n"
	"  --ak FILE        the machine's attestation key, TPM2B_PUBLIC or PEM; without\n"
	"                   it nothing is proven\n"
	"  --pcr N          the PCR that the log is about (default 13)\n"
	"  --base BANK:HEX  what the boot leaves in that PCR; once for each bank\n"
	"  --json           spans, findings and verdict as one object\n"
	"  -q, --quiet      the exit code alone\n"
	"\n"
	"Exit codes: 0 trusted: all is proven, or trimmed; 1 untrusted: something\n"
	"contradicts; 3 unknown: nothing contradicts, but not all of it is proven.\n"
	"\n"
	"example: bpfmeasure audit --ak ak.tpm2b\n";

/* A log that cannot be opened because it is damaged is not to be trusted. */
static int open_log(const char *path, struct db **ret_db)
{
	char why[CLI_WHY_MAX];

	*ret_db = db_new();
	if (!*ret_db)
		return cli_unknown("not enough memory");
	int err = db_open(*ret_db, path);
	if (!err)
		return CLI_GOOD;
	cli_db_why(*ret_db, path, err, why);
	return (err == -EUCLEAN ? cli_untrusted : cli_unknown)("%s", why);
}

int audit_main(int argc, char **argv)
{
	[[gnu::cleanup(audit_done)]] struct audit audit = { 0 };
	const struct history_result *result;
	struct request request;
	struct ak ak;

	int code = parse(argc, argv, &request);
	if (!code && request.ak_file)
		code = enrolment_ak_load(request.ak_file, &ak);
	if (!code)
		code = open_log(request.db_path, &audit.db);
	if (code)
		return code;

	const struct history_options options = {
		.ak = request.ak_file ? &ak : NULL,
		.pcr = request.pcr,
		.base_banks = request.base_banks,
		.base = request.base_banks ? &request.base : NULL,
	};
	audit.history = history_new(&options);
	if (!audit.history)
		return cli_unknown("not enough memory");
	int err = read_all(&audit, &result);
	if (err)
		return cli_unknown("%s",
			err == -ENOMEM || !*db_errmsg(audit.db) ? strerror(-err)
								: db_errmsg(audit.db));
	if (!request.quiet)
		code = request.json ? print_json(&request, result) : print_result(&request, result);
	if (!code && fflush(stdout))
		return cli_unknown("cannot write the verdict: %s", strerror(errno));
	return code ? code : verdict_code(result->verdict);
}
