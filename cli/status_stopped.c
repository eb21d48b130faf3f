// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/filter.h"
#include "cli/status.h"
#include "db/db.h"

enum { PCR_USUAL = 13 };

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

static int see_epoch(void *arg, const struct filter_line *line)
{
	struct seen *seen = arg;
	struct record_epoch_facts facts;
	char log_id[2 * sizeof(facts.log_id) + 1];

	if (line->error)
		return 0;
	record_epoch_facts(line->line, line->len, &facts);
	seen->pcr = facts.pcr;
	cli_hex(facts.log_id, sizeof(facts.log_id), log_id);
	json_object_set_new(seen->status, "log_id", json_string(log_id));
	return json_object_set_new(
		seen->status, "epoch_seq", json_integer((json_int_t)line->head.seq));
}

/* Returns 0 or an error of db/db.h. */
static int see_log(struct db *db, struct seen *seen)
{
	struct filter filter = filter_any();
	uint64_t last, epoch;

	int r = db_last_seq(db, &last);
	if (r < 0)
		return r;
	json_object_set_new(seen->status, "last_seq", json_integer((json_int_t)last));
	if (last > 0)
		r = filter_each(db, &filter, last, last, see_last, seen);
	filter.kind = "epoch";
	if (r == 0)
		r = filter_newest(db, &filter, 1, last, &epoch);
	if (r == 0 && epoch <= last)
		r = filter_each(db, &filter, epoch, epoch, see_epoch, seen);
	return r;
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
	bool is_hinted = *hint && strstr(why, hint);

	seen.status = json_pack("{s:s, s:s}", "state", state, "why", why);
	if (!seen.status || !db)
		return seen.status;
	int err = db_open(db, db_path);
	if (err == -EACCES && is_hinted)
		log_why[0] = '\0'; /* the same again */
	else if (err < 0)
		cli_db_why(db, db_path, err, log_why);
	else if (see_log(db, &seen) < 0)
		snprintf(log_why, sizeof(log_why), "%s", db_errmsg(db));
	if (*log_why)
		json_object_set_new(seen.status, "why", json_sprintf("%s; %s", why, log_why));
	see_tpm(&seen);
	return seen.status;
}
