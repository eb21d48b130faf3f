/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/record.h"

#include <assert.h>
#include <string.h>

#include "bpf/record_schema.h"

/* ---- encoding ---- */

static void put_text(struct line *line, const char *key, struct record_text text, size_t cap)
{
	if (text.bytes)
		line_text(line, key, text.bytes, text.len, cap);
	else
		line_null(line, key);
}

static void put_number(struct line *line, const char *key, struct record_number number)
{
	if (number.known)
		line_uint(line, key, number.value);
	else
		line_null(line, key);
}

static void put_number64(struct line *line, const char *key, struct record_number number)
{
	if (number.known)
		line_big(line, key, number.value);
	else
		line_null(line, key);
}

static void put_digest(struct line *line, const char *key, const struct record_digest *digest)
{
	if (digest->known)
		line_hex(line, key, digest->sha256, SHA256_LEN);
	else
		line_null(line, key);
}

/* A word of a list without its first, which is null. */
static void put_word_or_null(
	struct line *line, const char *key, const char *const *words, unsigned value)
{
	if (value)
		line_word(line, key, words[value - 1]);
	else
		line_null(line, key);
}

static void begin(struct line *line, const struct record_head *head, enum record_kind kind)
{
	line_init(line, line->buf, line->size);
	line_open_object(line, NULL);
	line_uint(line, "v", RECORD_VERSION);
	line_uint(line, "seq", head->seq);
	line_hex(line, "prev", head->prev, SHA256_LEN);
	line_time(line, "time", head->time_ns);
	line_uint(line, "boottime_ns", head->boottime_ns);
	line_word(line, "kind", record_kinds[kind]);
	if (!head->extend)
		line_bool(line, "extend", false);
}

/* What was encoded is what the table allows, or the encoder has a bug. */
static void end(struct line *line)
{
	struct line_error error;

	line_close_object(line);
	int r = line_check(record_schema(), line->buf, line->len, &error);
	assert(r == 0);
}

static void put_program(struct line *line, const struct record_program *program)
{
	line_open_object(line, "program");
	put_number(line, "id", program->id);
	put_text(line, "name", program->name, RECORD_NAME_MAX);
	put_text(line, "type", program->type, RECORD_NAME_MAX);
	put_text(line, "attach_type", program->attach_type, RECORD_NAME_MAX);
	put_text(line, "attach_to", program->attach_to, RECORD_WORD_MAX);
	put_number(line, "insn_cnt", program->insn_cnt);
	line_bool(line, "captured", program->captured);
	put_digest(line, "sha256", &program->sha256);
	put_digest(line, "kernel_digest", &program->kernel_digest);
	if (program->has_tag)
		line_hex(line, "tag", program->tag, RECORD_TAG_LEN);
	else
		line_null(line, "tag");
	put_number(line, "load_time_ns", program->load_time_ns);
	line_bool(line, "kernel_origin", program->kernel_origin);
	line_bool(line, "self", program->self);
	line_close_object(line);
}

static void put_map(struct line *line, const struct record_map *map)
{
	line_open_object(line, NULL);
	line_uint(line, "id", map->id);
	put_text(line, "name", map->name, RECORD_NAME_MAX);
	put_text(line, "type", map->type, RECORD_NAME_MAX);
	line_uint(line, "flags", map->flags);
	line_uint(line, "key_size", map->key_size);
	line_uint(line, "value_size", map->value_size);
	line_uint(line, "max_entries", map->max_entries);
	line_bool(line, "frozen", map->frozen);
	line_bool(line, "exclusive", map->exclusive);
	put_digest(line, "sha256_at_load", &map->sha256_at_load);
	line_close_object(line);
}

static void put_maps(struct line *line, const struct record_map *maps, size_t count)
{
	line_open_array(line, "maps");
	for (size_t i = 0; i < count; i++)
		put_map(line, &maps[i]);
	line_close_array(line);
}

static void put_signature(struct line *line, const struct record_signature *signature)
{
	line_open_object(line, "signature");
	line_word(line, "verdict", record_verdicts[signature->verdict]);
	put_word_or_null(line, "covers", record_covers, signature->covers);
	line_word(line, "metadata", record_metadata[signature->metadata]);
	put_digest(line, "signed_sha256", &signature->signed_sha256);
	put_word_or_null(line, "keyring", record_keyrings, signature->keyring);
	put_number(line, "keyring_serial", signature->keyring_serial);
	put_number(line, "signers", signature->signers);
	line_open_array(line, "claimed_key_ids");
	for (size_t i = 0; i < signature->claimed_count; i++)
		put_text(line, NULL, signature->claimed_key_ids[i], RECORD_CLAIM_MAX);
	line_close_array(line);
	line_open_array(line, "digest_algs");
	for (size_t i = 0; i < signature->claimed_count; i++)
		line_word(line, NULL, record_algs[signature->digest_algs[i]]);
	line_close_array(line);
	put_digest(line, "pinned", &signature->pinned);
	put_text(line, "pinned_subject", signature->pinned_subject, RECORD_WORD_MAX);
	put_number(line, "size", signature->size);
	put_digest(line, "sha256", &signature->sha256);
	line_close_object(line);
}

static void put_parent(struct line *line, const struct record_parent *parent)
{
	line_open_object(line, "parent");
	line_uint(line, "seq", parent->seq);
	put_digest(line, "sha256", &parent->sha256);
	put_digest(line, "chain_digest", &parent->chain_digest);
	line_word(line, "verdict", record_verdicts[parent->verdict]);
	line_close_object(line);
}

/* The task behind a load, or behind an attachment. */
static void put_task(struct line *line, const char *key, const struct record_loader *loader)
{
	line_open_object(line, key);
	line_uint(line, "pid", loader->pid);
	line_uint(line, "tgid", loader->tgid);
	line_uint(line, "uid", loader->uid);
	line_uint(line, "gid", loader->gid);
	put_text(line, "comm", loader->comm, RECORD_NAME_MAX);
	put_text(line, "exe", loader->exe, RECORD_PATH_MAX);
	put_number(line, "exe_dev", loader->exe_dev);
	put_number64(line, "exe_inode", loader->exe_inode);
	put_digest(line, "exe_sha256", &loader->exe_sha256);
	put_digest(line, "exe_fsverity", &loader->exe_fsverity);
	put_text(line, "cgroup", loader->cgroup, RECORD_CGROUP_MAX);
	put_text(line, "unit", loader->unit, RECORD_WORD_MAX);
	put_number(line, "user_ns", loader->user_ns);
	put_number(line, "mnt_ns", loader->mnt_ns);
	put_number(line, "pid_ns", loader->pid_ns);
	put_number(line, "net_ns", loader->net_ns);
	line_bool(line, "token", loader->token);
	line_close_object(line);
}

static void put_load(struct line *line, const struct record_load *rec)
{
	put_program(line, &rec->program);
	put_maps(line, rec->maps, rec->map_count);
	put_signature(line, &rec->signature);
	put_digest(line, "chain_digest", &rec->chain_digest);
	if (rec->has_parent)
		put_parent(line, &rec->parent);
	else
		line_null(line, "parent");
	put_task(line, "loader", &rec->loader);
}

static void put_banks(
	struct line *line, const char *key, bank_set banks, const struct bank_values *values)
{
	line_open_object(line, key);
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank)
			line_hex(line, bank_name(bank), values->digest[bank], bank_size(bank));
	line_close_object(line);
}

static void put_tpm(struct line *line, const struct record_epoch *rec)
{
	line_open_object(line, "tpm");
	line_uint(line, "pcr", rec->pcr);
	put_banks(line, "base", rec->banks, &rec->base);
	line_uint(line, "reset_count", rec->reset_count);
	line_uint(line, "restart_count", rec->restart_count);
	line_uint(line, "clock_ms", rec->clock_ms);
	line_bool(line, "safe", rec->safe);
	line_big(line, "firmware", rec->firmware);
	put_text(line, "manufacturer", rec->manufacturer, RECORD_WORD_MAX);
	put_text(line, "vendor", rec->vendor, RECORD_WORD_MAX);
	line_bool(line, "software", rec->software);
	if (rec->ak_name.bytes)
		line_hex(line, "ak_name", rec->ak_name.bytes, rec->ak_name.len);
	else
		line_null(line, "ak_name");
	line_close_object(line);
}

void record_encode_epoch(struct line *line, struct record_head head, const struct record_epoch *rec)
{
	begin(line, &head, RECORD_EPOCH);
	line_word(line, "why", record_whys[rec->why]);
	line_hex(line, "log_id", rec->log_id, sizeof(rec->log_id));
	put_tpm(line, rec);
	put_text(line, "boot_id", rec->boot_id, RECORD_WORD_MAX);
	put_text(line, "kernel", rec->kernel, RECORD_WORD_MAX);
	line_uint(line, "last_seq", rec->last_seq);
	end(line);
}

static void put_hooks(struct line *line, const char *key, const char *const *hooks, size_t count)
{
	line_open_array(line, key);
	for (size_t i = 0; i < count; i++)
		line_text(line, NULL, hooks[i], strlen(hooks[i]), RECORD_WORD_MAX);
	line_close_array(line);
}

void record_encode_start(struct line *line, struct record_head head, const struct record_start *rec)
{
	begin(line, &head, RECORD_START);
	put_text(line, "version", rec->version, RECORD_WORD_MAX);
	put_digest(line, "exe_sha256", &rec->exe_sha256);
	put_digest(line, "conf_sha256", &rec->conf_sha256);
	put_hooks(line, "hooks", rec->hooks, rec->hook_count);
	put_hooks(line, "missing", rec->missing, rec->missing_count);
	line_uint(line, "next_program_id", rec->next_program_id);
	line_word(line, "last_exit", record_exits[rec->last_exit]);
	line_bool(line, "kept_measuring", rec->kept_measuring);
	line_uint(line, "attached_ns", rec->attached_ns);
	end(line);
}

void record_encode_stop(struct line *line, struct record_head head, const struct record_stop *rec)
{
	begin(line, &head, RECORD_STOP);
	put_text(line, "why", rec->why, RECORD_WORD_MAX);
	end(line);
}

void record_encode_baseline(
	struct line *line, struct record_head head, const struct record_baseline *rec)
{
	begin(line, &head, RECORD_BASELINE);
	put_program(line, &rec->program);
	put_maps(line, rec->maps, rec->map_count);
	put_signature(line, &rec->signature);
	put_number(line, "uid", rec->uid);
	if (rec->has_earlier) {
		line_open_object(line, "earlier");
		line_uint(line, "seq", rec->earlier_seq);
		line_hex(line, "sha256", rec->earlier_sha256, SHA256_LEN);
		line_close_object(line);
	} else {
		line_null(line, "earlier");
	}
	end(line);
}

void record_encode_load(struct line *line, struct record_head head, const struct record_load *rec)
{
	begin(line, &head, RECORD_LOAD);
	put_load(line, rec);
	end(line);
}

void record_encode_reject(struct line *line, struct record_head head, const struct record_load *rec)
{
	begin(line, &head, RECORD_REJECT);
	line_word(line, "stage", record_stages[rec->stage]);
	line_uint(line, "errno", rec->error);
	put_load(line, rec);
	end(line);
}

void record_encode_unload(
	struct line *line, struct record_head head, const struct record_unload *rec)
{
	begin(line, &head, RECORD_UNLOAD);
	line_open_object(line, "program");
	line_uint(line, "seq", rec->program_seq);
	line_uint(line, "id", rec->program_id);
	line_close_object(line);
	end(line);
}

/* ---- where programs run ---- */

static void put_of_program(
	struct line *line, const char *key, const struct record_of_program *program)
{
	line_open_object(line, key);
	line_uint(line, "seq", program->seq);
	put_number(line, "id", program->id);
	put_digest(line, "sha256", &program->sha256);
	line_close_object(line);
}

static void put_target(struct line *line, const struct record_target *target)
{
	line_open_object(line, "target");
	line_word(line, "type", record_target_types[target->type]);
	put_text(line, "name", target->name, RECORD_PATH_MAX);
	put_number(line, "id", target->id);
	put_number(line, "index", target->index);
	put_number(line, "count", target->count);
	line_close_object(line);
}

static void put_place(struct line *line, const struct record_place *place)
{
	line_word(line, "via", record_vias[place->via]);
	if (place->link_id.known || place->link_type.bytes) {
		line_open_object(line, "link");
		put_number(line, "id", place->link_id);
		put_text(line, "type", place->link_type, RECORD_NAME_MAX);
		line_close_object(line);
	} else {
		line_null(line, "link");
	}
	put_text(line, "attach_type", place->attach_type, RECORD_NAME_MAX);
	put_target(line, &place->target);
}

static void put_by(struct line *line, const struct record_loader *by)
{
	if (by)
		put_task(line, "by", by);
	else
		line_null(line, "by");
}

void record_encode_integrity(
	struct line *line, struct record_head head, const struct record_integrity *rec)
{
	begin(line, &head, RECORD_INTEGRITY);
	put_of_program(line, "program", &rec->program);
	put_text(line, "hook", rec->hook, RECORD_WORD_MAX);
	put_text(line, "verdict", rec->verdict, RECORD_WORD_MAX);
	put_number(line, "value", rec->value);
	put_text(line, "source", rec->source, RECORD_NAME_MAX);
	end(line);
}

void record_encode_attach(
	struct line *line, struct record_head head, const struct record_attach *rec)
{
	begin(line, &head, RECORD_ATTACH);
	put_of_program(line, "program", &rec->program);
	line_word(line, "how", record_hows[rec->how]);
	put_place(line, &rec->place);
	if (rec->has_replaced)
		put_of_program(line, "replaced", &rec->replaced);
	else
		line_null(line, "replaced");
	put_by(line, rec->has_by ? &rec->by : NULL);
	end(line);
}

void record_encode_detach(
	struct line *line, struct record_head head, const struct record_detach *rec)
{
	begin(line, &head, RECORD_DETACH);
	put_of_program(line, "program", &rec->program);
	line_word(line, "why", record_endings[rec->why]);
	line_uint(line, "attach_seq", rec->attach_seq);
	put_place(line, &rec->place);
	put_by(line, rec->has_by ? &rec->by : NULL);
	end(line);
}

/* ---- of the log itself ---- */

void record_encode_lost(struct line *line, struct record_head head, const struct record_lost *rec)
{
	begin(line, &head, RECORD_LOST);
	line_word(line, "what", record_losses[rec->what]);
	line_uint(line, "count", rec->count);
	line_uint(line, "first", rec->first);
	line_uint(line, "last", rec->last);
	end(line);
}

void record_encode_resume(
	struct line *line, struct record_head head, const struct record_resume *rec)
{
	begin(line, &head, RECORD_RESUME);
	line_open_object(line, "tpm");
	line_uint(line, "reset_count", rec->reset_count);
	line_uint(line, "restart_count", rec->restart_count);
	line_uint(line, "clock_ms", rec->clock_ms);
	line_bool(line, "safe", rec->safe);
	line_close_object(line);
	end(line);
}

void record_encode_foreign(
	struct line *line, struct record_head head, const struct record_foreign *rec)
{
	begin(line, &head, RECORD_FOREIGN);
	line_uint(line, "after_seq", rec->after_seq);
	put_banks(line, "expected", rec->banks, &rec->expected);
	put_banks(line, "found", rec->banks, &rec->found);
	if (rec->last_seen_ns.known)
		line_time(line, "last_seen", rec->last_seen_ns.value);
	else
		line_null(line, "last_seen");
	line_uint(line, "reset_count", rec->reset_count);
	line_uint(line, "restart_count", rec->restart_count);
	end(line);
}

void record_encode_trim(struct line *line, struct record_head head, const struct record_trim *rec)
{
	begin(line, &head, RECORD_TRIM);
	line_word(line, "why", record_trim_whys[rec->why]);
	line_uint(line, "first", rec->first);
	line_uint(line, "last", rec->last);
	line_hex(line, "last_sha256", rec->last_sha256, SHA256_LEN);
	line_time(line, "first_time", rec->first_time_ns);
	line_time(line, "last_time", rec->last_time_ns);
	line_hex(line, "log_id", rec->log_id, sizeof(rec->log_id));
	line_bool(line, "software", rec->software);
	end(line);
}

/* ---- the trusted hash chain ---- */

static size_t append_digest(uint8_t *to, const struct record_digest *digest)
{
	static const uint8_t none[SHA256_LEN];

	memcpy(to, digest->known ? digest->sha256 : none, SHA256_LEN);
	return SHA256_LEN;
}

int record_chain_digest(const struct record_load *rec, struct record_digest *ret_digest)
{
	static const char label[] = "bpfmeasure/chain/1";
	uint8_t input[sizeof(label) - 1 + (3 + RECORD_MAPS_MAX) * SHA256_LEN];
	struct record_digest digest = { .known = true };
	size_t len = sizeof(label) - 1;

	if (!rec->program.sha256.known || (rec->has_parent && !rec->parent.chain_digest.known) ||
		(rec->signature.verdict != VERDICT_UNSIGNED &&
			!rec->signature.signed_sha256.known)) {
		*ret_digest = (struct record_digest){ 0 };
		return 0;
	}

	memcpy(input, label, len);
	len += append_digest(input + len,
		rec->has_parent ? &rec->parent.chain_digest : &(struct record_digest){ 0 });
	len += append_digest(input + len, &rec->program.sha256);
	len += append_digest(input + len, &rec->signature.signed_sha256);
	assert(rec->map_count <= RECORD_MAPS_MAX);
	for (size_t i = 0; i < rec->map_count; i++)
		if (rec->maps[i].sha256_at_load.known)
			len += append_digest(input + len, &rec->maps[i].sha256_at_load);

	int r = sha256(input, len, digest.sha256);
	if (r < 0)
		return r;
	*ret_digest = digest;
	return 0;
}
