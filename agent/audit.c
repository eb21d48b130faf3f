/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/trail.h"

#include <libaudit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAITING_MAX = 16384, SLOW_MS = 1000 };

struct trail {
	bool enabled;
	int fd;
	struct trail_load *waiting; /* by seq */
	size_t begin, count, room;
	uint64_t failed;
};

struct trail *trail_new(bool enable)
{
	struct trail *trail = calloc(1, sizeof(*trail));

	if (!trail)
		return NULL;
	trail->enabled = enable;
	trail->fd = enable ? audit_open() : -1;
	return trail;
}

void trail_free(struct trail *trail)
{
	if (!trail)
		return;
	if (trail->fd >= 0)
		audit_close(trail->fd);
	free(trail->waiting);
	free(trail);
}

void trail_put(struct trail *trail, const struct trail_load *load)
{
	if (!trail->enabled)
		return;
	if (trail->begin + trail->count == trail->room && trail->begin) {
		memmove(trail->waiting, trail->waiting + trail->begin,
			trail->count * sizeof(*trail->waiting));
		trail->begin = 0;
	}
	if (trail->count == trail->room) {
		size_t room = trail->room * 2 + 64;
		struct trail_load *grown = NULL;

		if (room <= WAITING_MAX)
			grown = reallocarray(trail->waiting, room, sizeof(*grown));
		if (!grown) {
			trail->failed++;
			return;
		}
		trail->waiting = grown;
		trail->room = room;
	}
	trail->waiting[trail->begin + trail->count++] = *load;
}

static void send_one(struct trail *trail, const struct trail_load *load)
{
	char text[256], digest[2 * SHA256_LEN + 1] = "unknown";
	struct timespec began, ended;

	for (size_t i = 0; load->sha256.known && i < SHA256_LEN; i++)
		snprintf(digest + 2 * i, 3, "%02x", load->sha256.sha256[i]);
	snprintf(text, sizeof(text),
		"op=bpf-load seq=%llu prog-id=%u sha256=%s verdict=%s covers=%s signer=%s errno=%u",
		(unsigned long long)load->seq, load->program_id, digest,
		record_verdict_name(load->verdict), record_covers_name(load->covers), load->signer,
		load->error);
	if (trail->fd < 0) {
		trail->failed++;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &began);
	if (audit_log_user_message(
		    trail->fd, AUDIT_TRUSTED_APP, text, NULL, NULL, NULL, load->error == 0) < 0)
		trail->failed++;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	/* A full audit backlog puts the sender to sleep. Measuring does not wait for that twice. */
	if ((ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1000000 >
		SLOW_MS) {
		audit_close(trail->fd);
		trail->fd = -1;
	}
}

void trail_send(struct trail *trail, uint64_t extended_seq)
{
	while (trail->count && trail->waiting[trail->begin].seq <= extended_seq) {
		send_one(trail, &trail->waiting[trail->begin++]);
		trail->count--;
	}
	if (!trail->count)
		trail->begin = 0;
}

uint64_t trail_failed(const struct trail *trail)
{
	return trail->failed;
}
