/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A software TPM (swtpm) for machines that have none. It proves nothing to anybody who does not
 * trust this machine's root: everything that uses one says "software".
 */
#ifndef TPM_SWTPM_H
#define TPM_SWTPM_H

#include <stddef.h>

enum { SWTPM_TCTI_MAX = 128, SWTPM_ERROR_MAX = 512 };

/*
 * Make sure that a software TPM runs on the state in a directory.
 *
 * dir         absolute; made with mode 0700 if it is missing (its parent must exist). It must be
 *             the caller's and writable by nobody else, contain only letters, digits and "/._+-" (the
 *             rest means something to swtpm or libtss2), and leave room for a socket's name.
 * ret_tcti    what to hand to tpm_connect().
 * ret_error   on failure one line of text that says what failed and what swtpm said.
 *
 * On the first call (about a second) a TPM is made: banks sha256 and sha384, EK certificates issued
 * by a local CA made for it alone. Later calls find it again. What dir then holds:
 *
 *   state/tpm      the TPM itself
 *   state/ca       the local CA. A verifier who enrols this TPM installs issuercert.pem and
 *                  swtpm-localca-rootca-cert.pem as software roots
 *   state/ek       the EK certificates
 *   state/log      how it was made
 *   state.new      a state half made, when its maker was killed; the next call starts afresh
 *   tpm.sock       mode 0600
 *   tpm.sock.ctrl  mode 0600; who can open this one can also roll PCRs back
 *   pid, lock, log
 *
 * The TPM is a process of its own, in a session of its own: it outlives the caller, and is found
 * again by the lock that it holds on its state. It is never stopped here. KILLING IT ZEROES THE
 * PCRs, as a reset does. A service manager that kills everything a service leaves behind kills it
 * too: there, run it as a unit of its own on the same directory, and this function only finds it.
 *
 * Safe against itself: concurrent callers take turns.
 *
 * It does not ask the TPM anything, so that it runs and listens is not yet that it answers: that is
 * found out by tpm_connect(), within its limit. No program that is run here may take more than two
 * minutes.
 *
 * Returns 0; -EINVAL or -ENAMETOOLONG for a dir that cannot be used; -EPERM for one that others may
 * write; -EBUSY where a running swtpm has lost its sockets or is stuck; -ENOENT where swtpm is not
 * installed; -EIO where it failed; or another negative errno.
 */
[[nodiscard]] int swtpm_ensure(const char *dir, char ret_tcti[static SWTPM_TCTI_MAX],
	char ret_error[static SWTPM_ERROR_MAX]);

#endif
