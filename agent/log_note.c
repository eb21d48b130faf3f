/* SPDX-License-Identifier: BSD-2-Clause */
/* What the log remembers of itself: its epoch, where that began, what was trimmed. */
#include "agent/log_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

enum { SEALED_MAX = LOG_SEAL_LEN + sizeof(struct note) + RECORD_LINE_MAX };

static void freep(void *pointer)
{
	free(*(void **)pointer);
}

int log_seal(const void *value, size_t len, void *ret_sealed)
{
	uint8_t *sealed = ret_sealed;

	memcpy(sealed + LOG_SEAL_LEN, value, len);
	return sha256(value, len, sealed);
}

int log_unseal(struct log *log, const char *key, void *ret_value, size_t size)
{
	[[gnu::cleanup(freep)]] uint8_t *sealed = malloc(LOG_SEAL_LEN + size);
	uint8_t digest[LOG_SEAL_LEN];
	int len;

	if (!sealed)
		return log_fail(log, -ENOMEM, "out of memory");
	len = db_state_get(log->db, key, sealed, LOG_SEAL_LEN + size);
	if (len < 0 && len != -EMSGSIZE)
		return log_fail_db(log, len);
	if (len < LOG_SEAL_LEN)
		return log_fail(log, -EUCLEAN, "the log's note \"%s\" is damaged", key);
	if (sha256(sealed + LOG_SEAL_LEN, (size_t)len - LOG_SEAL_LEN, digest))
		return log_fail(log, -EIO, "OpenSSL cannot hash");
	if (memcmp(digest, sealed, LOG_SEAL_LEN) != 0)
		return log_fail(log, -EUCLEAN, "the log's note \"%s\" is damaged", key);
	memcpy(ret_value, sealed + LOG_SEAL_LEN, (size_t)len - LOG_SEAL_LEN);
	return len - LOG_SEAL_LEN;
}

/* ---- from lines ---- */

int log_note_epoch(struct log *log, uint64_t seq, const char *line, size_t len)
{
	char *copy = malloc(len);

	if (!copy)
		return log_fail(log, -ENOMEM, "out of memory");
	memcpy(copy, line, len);
	free(log->epoch_line);
	log->epoch_line = copy;
	log->epoch_line_len = len;
	record_epoch_facts(line, len, &log->epoch);
	log->note.epoch_seq = seq;
	log->note.reset_count = log->epoch.reset_count;
	log->note.restart_count = log->epoch.restart_count;
	log->note_changed = true;
	return 0;
}

void log_note_resume(struct log *log, const char *line, size_t len)
{
	struct record_resume_facts facts;

	record_resume_facts(line, len, &facts);
	log->epoch.reset_count = log->note.reset_count = facts.reset_count;
	log->epoch.restart_count = log->note.restart_count = facts.restart_count;
	log->note_changed = true;
}

void log_note_trim(struct log *log, uint64_t seq, const char *line, size_t len)
{
	struct record_trim_facts facts;

	record_trim_facts(line, len, &facts);
	log->note.trim_seq = seq;
	log->note.trim_last = facts.last;
	log->note_changed = true;
}

/* ---- from the database ---- */

static bool is_continued(const struct record_epoch_facts *epoch)
{
	static const struct bank_values zero;

	return epoch->why == WHY_KEXEC ||
		(epoch->why == WHY_TPM_CLEAR && memcmp(&epoch->base, &zero, sizeof(zero)) != 0);
}

/* Where the note is damaged, most of what it said is in the lines: the newest epoch that begins
 * anew is the anchor, those after it continue or break. */
static int rebuild_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct log *log = arg;
	struct record_head head;
	int err = log_check(log, seq, line, len, &head);

	if (err)
		return err;
	switch (head.kind) {
	case RECORD_EPOCH:
		err = log_note_epoch(log, seq, line, len);
		if (log->epoch.why == WHY_BROKEN_LOG) {
			if (!log->note.broken_seq)
				log->note.broken_seq = seq;
		} else if (!is_continued(&log->epoch) || !log->note.anchor_seq) {
			log->note.anchor_seq = seq;
			log->note.broken_seq = 0;
		}
		return err;
	case RECORD_RESUME:
		log_note_resume(log, line, len);
		return 0;
	case RECORD_TRIM:
		log_note_trim(log, seq, line, len);
		return 0;
	default:
		return 0;
	}
}

static int note_rebuild(struct log *log)
{
	int err;

	memset(&log->note, 0, sizeof(log->note));
	err = db_each(log->db, log->first_seq, log->last_seq, rebuild_line, log);
	if (err)
		return log->error[0] ? err : log_fail_db(log, err);
	if (!log->note.epoch_seq)
		return log_fail(log, -EUCLEAN, "the log's epoch is not known any more");
	return 0;
}

int log_note_read(struct log *log)
{
	[[gnu::cleanup(freep)]] uint8_t *bytes = malloc(SEALED_MAX);
	struct record_head head;
	struct note note;
	const char *line;
	size_t line_len;
	int len, err;

	if (!bytes)
		return log_fail(log, -ENOMEM, "out of memory");
	len = log_unseal(log, LOG_NOTE_KEY, bytes, SEALED_MAX - LOG_SEAL_LEN);
	if (len == -EUCLEAN || len == -ENOENT) {
		log->error[0] = 0;
		return note_rebuild(log);
	}
	if (len < (int)sizeof(note))
		return len < 0 ? len : note_rebuild(log);
	memcpy(&note, bytes, sizeof(note));
	line = (const char *)bytes + sizeof(note);
	line_len = (size_t)len - sizeof(note);
	err = log_check(log, note.epoch_seq, line, line_len, &head);
	if (err || head.kind != RECORD_EPOCH) { /* of another version, say */
		log->error[0] = 0;
		return note_rebuild(log);
	}
	err = log_note_epoch(log, note.epoch_seq, line, line_len);
	if (err)
		return err;
	log->note = note;
	log->epoch.reset_count = note.reset_count;
	log->epoch.restart_count = note.restart_count;
	log->note_changed = false;
	return 0;
}
