/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A quote as files for tpm2_checkquote(1), so that somebody else's program can check it:
 *
 *	attest.bin      TPMS_ATTEST, what was signed
 *	sig.bin         TPMT_SIGNATURE
 *	pcrs.bin        the PCR of each bank, one behind the other
 *	ak.pem          the key, SubjectPublicKeyInfo
 *	ak.tpm2b        the key, TPM2B_PUBLIC
 *	qualifying.hex  the qualifying data: the root of the challenges' tree, not the nonce
 *	README          the command
 */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include "attest/evidence.h"

/* Write them to a directory, which is made where there is none. Returns an exit code; what failed
 * was said. */
[[nodiscard]] int export_quote(const char *dir, const struct evidence_statement *statement);

#endif
