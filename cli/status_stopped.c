// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "attest/evidence.h"
#include "cli/cli.h"
#include "cli/filter.h"
#include "cli/status.h"
#include "db/db.h"

enum { PCR_USUAL = 13, LOG_ID_LEN = 16 };

struct seen {
	json_t *status;
	unsigned pcr;
};

static int see_last(void *arg, const struct filter_line *line)
{
	const struct seen *seen = arg;

	return json_object_set_new(seen->status, "last_kind",
		line->error ? json_null() : json_string(record_kind_name(line->head.kind)));
}

static int set_log_id(json_t *status, const uint8_t log_id[static LOG_ID_LEN])
{
	char text[2 * LOG_ID_LEN + 1];

	cli_hex(log_id, LOG_ID_LEN, text);
	return json_object_set_new(status, "log_id", json_string(text));
}

static int see_epoch(void *arg, const struct filter_line *line)
{
	struct seen *seen = arg;
	struct record_epoch_facts facts;

	if (line->error)
		return 0;
	record_epoch_facts(line->line, line->len, &facts);
	seen->pcr = facts.pcr;
	set_log_id(seen->status, facts.log_id);
	return json_object_set_new(
		seen->status, "epoch_seq", json_integer((json_int_t)line->head.seq));
}

static int see_trim(void *arg, const struct filter_line *line)
{
	const struct seen *seen = arg;
	struct record_trim_facts facts;

	if (line->error)
		return 0;
	record_trim_facts(line->line, line->len, &facts);
	return set_log_id(seen->status, facts.log_id);
}

/* The newest record of a kind up to last, if there is one. Returns whether; an error of db/db.h. */
static int see_newest(struct db *db, struct seen *seen, const char *kind, uint64_t last,
	int (*see)(void *arg, const struct filter_line *line))
{
	struct filter filter = filter_any();
	uint64_t newest = 0;

	filter.kind = kind;
	int r = filter_newest(db, &filter, 1, last, &newest);
	if (r < 0 || newest > last)
		return r;
	r = filter_each(db, &filter, newest, newest, see, seen);
	return r == 0 ? 1 : r;
}

static int see_kept(struct db *db, struct seen *seen, uint64_t last)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct evidence_kept kept;
	struct line_error error;
	uint64_t seq = 0;
	size_t len = 0;

	int r = db_quote_last(db, last, &line, &len, &seq);
	if (r == 0 && evidence_kept_decode(line, len, &kept, &error) == 0)
		seen->pcr = kept.pcr;
	if (r == 0 || r == -ENOENT)
		json_object_set_new(seen->status, "kept_seq", json_integer((json_int_t)seq));
	return r == -ENOENT ? 0 : r;
}

/* Returns 0 or an error of db/db.h. */
static int see_log(struct db *db, struct seen *seen)
{
	uint64_t first = 0, last = 0;

	int r = db_first_seq(db, &first);
	if (r == 0)
		r = db_last_seq(db, &last);
	if (r < 0)
		return r;
	json_object_set_new(seen->status, "first_seq", json_integer((json_int_t)first));
	json_object_set_new(seen->status, "last_seq", json_integer((json_int_t)last));
	if (last > 0)
		r = see_newest(db, seen, NULL, last, see_last);
	if (r >= 0)
		r = see_kept(db, seen, last);
	if (r >= 0)
		r = see_newest(db, seen, "epoch", last, see_epoch);
	if (r == 0) /* it was trimmed */
		r = see_newest(db, seen, "trim", last, see_trim);
	return r < 0 ? r : 0;
}

/* Linux, Documentation/ABI/stable/sysfs-class-tpm: hexadecimal, upper case. */
static void see_pcr(json_t *values, enum bank bank, unsigned pcr)
{
	char path[64], text[2 * BANK_DIGEST_MAX + 2] = "", digits[2 * BANK_DIGEST_MAX + 1];
	uint8_t digest[BANK_DIGEST_MAX];

	snprintf(path, sizeof(path), "/sys/class/tpm/tpm0/pcr-%s/%u", bank_name(bank), pcr);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		if (cli_unhex(text, digest, bank_size(bank))) {
			cli_hex(digest, bank_size(bank), digits);
			json_object_set_new(values, bank_name(bank), json_string(digits));
		}
	}
	fclose(file);
}

static void see_tpm(struct seen *seen)
{
	json_t *values = json_object();

	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		see_pcr(values, bank, seen->pcr);
	if (json_object_size(values) == 0) {
		json_decref(values);
		return;
	}
	json_object_set_new(seen->status, "pcr", json_integer(seen->pcr));
	json_object_set_new(seen->status, "values", values);
}

json_t *status_without_daemon(const char *db_path, const char *state, const char *why)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	struct seen seen = { .pcr = PCR_USUAL };
	char log_why[CLI_WHY_MAX] = "";
	const char *hint = cli_group_hint();
	bool is_hinted = *hint && strstr(why, hint), is_told = strstr(why, cli_db_hint(db_path));

	seen.status = json_pack("{s:s, s:s}", "state", state, "why", why);
	if (!seen.status || !db)
		return seen.status;
	int err = db_open(db, db_path);
	if (err == -EACCES && is_hinted)
		log_why[0] = '\0'; /* the same again */
	else if (err == -ENOENT && is_told)
		snprintf(log_why, sizeof(log_why), "there is no log at %s", db_path);
	else if (err < 0)
		cli_db_why(db, db_path, err, log_why);
	else if (see_log(db, &seen) < 0)
		snprintf(log_why, sizeof(log_why), "%s", db_errmsg(db));
	if (*log_why)
		json_object_set_new(seen.status, "why", json_sprintf("%s; %s", why, log_why));
	see_tpm(&seen);
	return seen.status;
}
