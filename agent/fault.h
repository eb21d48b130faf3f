/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can keep the measurer from measuring as it should: one word each, which status, the log
 * lines and docs/operations.md have in common. The table of words and remedies is in fault.c.
 *
 * A fault is held in the slot of the part that it is of; a slot holds one at a time.
 */
#ifndef AGENT_FAULT_H
#define AGENT_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_NONE,

	FAULT_LOG_FULL, /* the disk or a quota */
	FAULT_LOG_READ_ONLY,
	FAULT_LOG_IO,
	FAULT_LOG_LOCKED, /* somebody holds SQLite's locks */
	FAULT_LOG_UNREACHABLE, /* a directory is missing, or a file may not be opened */
	FAULT_LOG_REPLACED, /* the file is not there any more, or another */
	FAULT_LOG_DAMAGED, /* no database, or not a whole one */

	FAULT_TPM_GONE, /* cannot be reached, or gave no answer in time */
	FAULT_TPM_BUSY, /* asks to be retried, and again */
	FAULT_TPM_FAILURE, /* failure mode */
	FAULT_TPM_LOCKOUT,
	FAULT_TPM_FULL, /* no room for an object */
	FAULT_TPM_AUTH, /* an authorization value is set that we do not have */
	FAULT_TPM_UNSTARTED, /* a software TPM without TPM2_Startup */
	FAULT_TPM_REFUSED,
	FAULT_TPM_UNSUITABLE, /* no sha256 bank, a bank that we do not have, another key in our place */

	FAULT_HOOKS_SILENT, /* a canary did not show them */
	FAULT_HOOKS_REMOVED, /* pins or links are gone */
	FAULT_RING_OVERWRITTEN, /* its positions or counters make no sense */

	FAULT_PROGRAMS_HIDDEN, /* from one of the ways to ask the kernel what is loaded */

	FAULT_PCR_FOREIGN, /* holds an extend that is not ours, until the TPM resets */

	FAULT_MEMORY,
	FAULT_COUNT,
};

enum fault_slot {
	FAULT_SLOT_LOG,
	FAULT_SLOT_TPM,
	FAULT_SLOT_HOOKS,
	FAULT_SLOT_PROGRAMS,
	FAULT_SLOT_PCR,
	FAULT_SLOT_COUNT,
};

enum { FAULT_TEXT_MAX = 512 };

struct fault {
	enum fault_kind kind; /* FAULT_NONE: this part is well */
	char what[FAULT_TEXT_MAX];
};

/* "log-full", ... */
const char *fault_name(enum fault_kind kind);

/* What an operator can do, and what happens meanwhile; one clause. */
const char *fault_remedy(enum fault_kind kind);

/* The fault that an error of db/db.h, or of agent/log.h, is; of tpm/tpm.h likewise. */
enum fault_kind fault_of_log(int err);
enum fault_kind fault_of_tpm(int err);

#endif
