/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/fault.h"

#include <errno.h>

static const struct {
	const char *name;
	const char *remedy;
} faults[FAULT_COUNT] = {
	[FAULT_NONE] = { "none", "" },
	[FAULT_LOG_FULL] = { "log-full",
		"free space on that file system, or set max_size in [log]; loads wait in the "
		"kernel's ring meanwhile" },
	[FAULT_LOG_READ_ONLY] = { "log-read-only",
		"make that file system writable again; loads wait in the kernel's ring meanwhile" },
	[FAULT_LOG_IO] = { "log-io",
		"look for disk errors in the kernel's messages; loads wait in the kernel's ring "
		"meanwhile" },
	[FAULT_LOG_LOCKED] = { "log-locked",
		"find who holds the database's locks (lslocks) and end it; loads wait in the "
		"kernel's ring meanwhile" },
	[FAULT_LOG_UNREACHABLE] = { "log-unreachable",
		"make the directory of path in [log], or give the daemon access; loads wait in "
		"the kernel's ring meanwhile" },
	[FAULT_LOG_REPLACED] = { "log-replaced",
		"somebody moved or replaced the log: the daemon goes on with what is there now; find out "
		"who did it" },
	[FAULT_LOG_DAMAGED] = { "log-damaged",
		"the damaged log is set aside and a new one begun; keep the old one for "
		"bpfmeasure audit, and look for disk errors" },
	[FAULT_TPM_GONE] = { "tpm-gone",
		"see that the device is there (or the software TPM runs); records wait in the log "
		"meanwhile" },
	[FAULT_TPM_BUSY] = { "tpm-busy",
		"nothing as a rule: it is asked again each second; records wait in the log "
		"meanwhile" },
	[FAULT_TPM_FAILURE] = { "tpm-failure",
		"only a reset ends a TPM's failure mode: power the machine down and up; records "
		"wait in the log meanwhile" },
	[FAULT_TPM_LOCKOUT] = { "tpm-lockout",
		"wait, or tpm2_dictionarylockout --clear-lockout; records wait in the log "
		"meanwhile" },
	[FAULT_TPM_FULL] = { "tpm-full",
		"somebody holds the TPM's slots: tpm2_flushcontext -t, -l and -s; records wait in "
		"the log meanwhile" },
	[FAULT_TPM_AUTH] = { "tpm-auth",
		"an authorization of the hierarchy is set: clear it for the making of the AK" },
	[FAULT_TPM_UNSTARTED] = { "tpm-unstarted",
		"nothing: a software TPM that was reset is started up within a second" },
	[FAULT_TPM_REFUSED] = { "tpm-refused",
		"look at what it refused; records wait in the log meanwhile" },
	[FAULT_TPM_UNSUITABLE] = { "tpm-unsuitable",
		"change what is named, then start the daemon again" },
	[FAULT_HOOKS_SILENT] = { "hooks-silent",
		"see docs/kernels.md for each hook; what the others see is recorded" },
	[FAULT_HOOKS_REMOVED] = { "hooks-removed",
		"somebody removed the hooks: new ones are attached; find out who did it" },
	[FAULT_RING_OVERWRITTEN] = { "ring-overwritten",
		"somebody wrote to the agent's maps: new hooks are attached; find out who "
		"did it" },
	[FAULT_PROGRAMS_HIDDEN] = { "programs-hidden",
		"a rootkit does that: bpfmeasure status --cross-check names them, bpfmeasure log "
		"says who loaded them" },
	[FAULT_PCR_FOREIGN] = { "pcr-foreign",
		"find out who extends this PCR; it stays so until the TPM resets (reboot)" },
	[FAULT_MEMORY] = { "memory", "free memory; it is tried again each second" },
};

const char *fault_name(enum fault_kind kind)
{
	return faults[kind].name;
}

const char *fault_remedy(enum fault_kind kind)
{
	return faults[kind].remedy;
}

enum fault_kind fault_of_log(int err)
{
	switch (err) {
	case -ENOSPC:
		return FAULT_LOG_FULL;
	case -EROFS:
		return FAULT_LOG_READ_ONLY;
	case -EBUSY:
		return FAULT_LOG_LOCKED;
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
		return FAULT_LOG_UNREACHABLE;
	case -ESTALE:
		return FAULT_LOG_REPLACED;
	case -EUCLEAN:
		return FAULT_LOG_DAMAGED;
	case -ENOMEM:
		return FAULT_MEMORY;
	default:
		return FAULT_LOG_IO;
	}
}

enum fault_kind fault_of_tpm(int err)
{
	switch (err) {
	case -EAGAIN:
		return FAULT_TPM_BUSY;
	case -EHWPOISON:
		return FAULT_TPM_FAILURE;
	case -EPERM:
		return FAULT_TPM_LOCKOUT;
	case -ENOSPC:
		return FAULT_TPM_FULL;
	case -EACCES:
		return FAULT_TPM_AUTH;
	case -ESTALE:
		return FAULT_TPM_UNSTARTED;
	case -ENOTSUP:
	case -EEXIST:
	case -EINVAL:
		return FAULT_TPM_UNSUITABLE;
	case -EIO:
	case -ENOENT:
		return FAULT_TPM_REFUSED;
	case -ENOMEM:
		return FAULT_MEMORY;
	default:
		return FAULT_TPM_GONE;
	}
}
