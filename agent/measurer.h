/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The measurer: the path of one event, from the ring to the TPM, and the states that it can be in.
 *
 *	ring -> collect -> describe -> log_put -> log_commit -> tpm_pcr_extend -> audit record
 *
 * measurer_step() is one turn of it: drain the ring, commit, one TPM command. The ring is drained
 * between any two TPM commands, so a slow TPM delays extends and never the collecting.
 */
#ifndef AGENT_MEASURER_H
#define AGENT_MEASURER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect.h"
#include "agent/conf.h"
#include "agent/describe.h"
#include "agent/log.h"
#include "agent/programs.h"
#include "agent/trail.h"
#include "bpf/probe.h"
#include "bpf/ring.h"
#include "db/db.h"
#include "tpm/swtpm.h"
#include "tpm/tpm.h"

enum { MEASURER_TEXT_MAX = 512 };

struct measurer {
	const struct conf *conf;
	struct record_digest conf_sha256;

	struct db *db;
	struct log *log;
	struct tpm *tpm;
	char tcti[CONF_PATH_SIZE + sizeof("device:") + SWTPM_TCTI_MAX];
	struct probe *probe;
	struct ring *ring;
	struct cms_trust *trust;
	struct trail *trail;

	struct collect collect;
	struct programs programs;
	struct describe describe;
	struct described described;

	uint64_t read_end; /* ring position up to which events were taken */
	uint64_t dropped_events; /* the kernel's count when the ends map was last emptied */
	uint64_t untracked; /* the kernel's count that is recorded already */
	uint64_t idle_ticket_end; /* tickets below that were missing when last idle are lost */
	uint64_t lost; /* loads and events in lost records since the start */
	uint64_t confirmed_seq; /* the TPM's counters and PCR were as expected after this record */

	unsigned hooks_shown; /* bits of enum event_hook that a canary has shown */
	uint32_t canary_id;
	uint32_t highest_id; /* of a program that was seen */
	bool located; /* the TPM was looked at since the last idle second */
	bool baseline_due; /* of this epoch, and could not be done yet */

	/* Why the state is not `measuring`; empty: it is. Each is mended by itself or by the
	 * operator, and cleared where it was set. */
	char log_trouble[MEASURER_TEXT_MAX];
	char tpm_trouble[MEASURER_TEXT_MAX];
	char hook_trouble[MEASURER_TEXT_MAX];

	char error[MEASURER_TEXT_MAX]; /* of measurer_start() */
};

/*
 * Open everything, find the place in the log, measure what was loaded before, and let every hook
 * show itself. conf must outlive the measurer.
 *
 * Returns 0, and the measurer measures (perhaps degraded: measurer_trouble()); a negative errno and
 * measurer->error where it cannot. measurer_done() is due either way.
 */
[[nodiscard]] int measurer_start(
	struct measurer *measurer, const struct conf *conf, const char *conf_path);
void measurer_done(struct measurer *measurer);

/*
 * One turn. Returns true if there is more to do at once. Never fails: what goes wrong becomes the
 * state, and is tried again by the next turn.
 */
bool measurer_step(struct measurer *measurer);

/* To be called about once a second: holes that stayed are lost, troubles are tried again. */
void measurer_idle(struct measurer *measurer);

/* Write the stop record and get everything into the TPM, for at most timeout_ms. The hooks stay. */
void measurer_stop(struct measurer *measurer, const char *why, unsigned timeout_ms);

/* Why it is degraded: the texts joined by "; " in buf, or an empty string when it measures. */
const char *measurer_trouble(
	const struct measurer *measurer, char buf[static 3 * MEASURER_TEXT_MAX + 8]);

/* ---- between the files of the measurer ---- */

/* The collector with the measurer as its sink, and what an earlier daemon recorded of the ring. */
void measurer_collect_init(struct measurer *measurer);
int measurer_ring_restore(struct measurer *measurer);

/* Take what is on the ring and commit it. Returns 0 or a negative errno, kept in log_trouble. */
int measurer_drain(struct measurer *measurer);

/* Events that were missing when this was last called and still are, are lost: into the batch with that. */
void measurer_give_up_holes(struct measurer *measurer);

/* One TPM command towards everything being extended. Returns true if there is more to extend. */
bool measurer_extend(struct measurer *measurer);

/*
 * Compare the TPM's counters and PCR with the log; begin a new epoch where they say that there is
 * one, and measure the loaded programs into it.
 *
 * Returns 0 or a negative errno, kept in tpm_trouble or log_trouble.
 */
int measurer_locate(struct measurer *measurer);

/* Connect to the TPM of the configuration, a software TPM started if need be, with the AK open. Returns
 * 0 or a negative errno, kept in tpm_trouble. */
int measurer_tpm_connect(struct measurer *measurer);

/* A baseline record for every loaded program that has no record in this epoch. */
int measurer_baseline(struct measurer *measurer);

#endif
