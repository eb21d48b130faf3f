/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TPM, as far as measuring needs it: extend and read one PCR, read the counters, hold the
 * attestation key (AK), sign a quote.
 *
 * One context serves one thread. A command blocks for as long as the TPM takes, at most the limit of
 * tpm_set_timeout(); a function here sends a few.
 *
 * Errors, the same for every function that returns int here. Each is a class by what the caller can
 * do; tpm_errmsg() has the words of the TPM, the command that failed, and what an operator can do.
 *
 *   -EAGAIN     asked to come back later, after five tries: nothing was executed. Later it may be
 *   -ENODEV     the way to the TPM broke, no answer came in time, or the answer made no sense: it is
 *               UNKNOWN whether the command was executed. The context is disconnected:
 *               tpm_connect(), look, then go on
 *   -EIO        refused: nothing was executed, and asking again will not help. Or it answered, and
 *               gave something else than was asked for
 *   -EACCES     refused: an authorization value is set that we do not have. Operator: make the
 *               hierarchy's value empty (tpm2_changeauth)
 *   -EPERM      refused: the TPM is in dictionary attack lockout. Our AK and PCRs are not subject to
 *               it. Operator: wait, or tpm2_dictionarylockout --clear-lockout
 *   -ENOSPC     refused: the TPM has no room left, even after what leaked was flushed. Operator:
 *               tpm2_flushcontext, tpm2_evictcontrol
 *   -ENOENT     the AK is gone (TPM2_Clear, evicted, reset): tpm_ak_open()
 *   -ESTALE     refused: the TPM was reset and not started up (TPM_RC_INITIALIZE); a software TPM
 *               that was restarted without TPM2_Startup. PCRs are gone. Operator: tpm2_startup
 *   -EHWPOISON  the TPM is in failure mode and answers no command until it is reset. Operator:
 *               reboot; restart a software TPM
 *   -ENOMEM     in this process, before anything was sent
 *
 * Nothing here repeats a command after -ENODEV, and only what was refused for want of room is sent
 * again, once.
 *
 * libtss2 writes to stderr what it thinks of an error. It reads TSS2_LOG from the environment once,
 * so the program that wants a quiet stderr puts TSS2_LOG=all+none there before the first
 * tpm_connect(); this library leaves the environment alone.
 */
#ifndef TPM_TPM_H
#define TPM_TPM_H

#include "bpf/bank.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpm;

enum {
	TPM_TIMEOUT_MS = 20000, /* of a new context */
	TPM_PCR_COUNT = 24,
	TPM_NAME_LEN = 2 + SHA256_LEN,
	/* Of a quote: one PCR in every bank there could be, signed with P-256. */
	TPM_ATTEST_MAX = 512,
	TPM_SIGNATURE_MAX = 128,
};

/* ---- context and connection ---------------------------------------------------------------- */

/* A context that is not connected, or NULL without memory. tpm_free() takes NULL too. */
struct tpm *tpm_new(void);
void tpm_free(struct tpm *tpm);

/* For [[gnu::cleanup(tpm_freep)]]. */
void tpm_freep(struct tpm **tpm);

/*
 * How long one command may take, in milliseconds, from now on; 0: no limit. TPM_TIMEOUT_MS until
 * then. After it the command ends with -ENODEV. The slowest command is TPM2_CreatePrimary, which a
 * chip may take seconds for; the kernel gives most commands up after two minutes itself. A command
 * that the TPM asks to have again (TPM_RC_RETRY and the like) has that time each time.
 *
 * A software TPM's connection is closed then, and if it gets round to the command it may yet execute
 * it. A device cannot be closed while the kernel waits for the TPM: until it does not any more,
 * tpm_connect() fails with -ENODEV at once, and only tpm_free() waits, as the end of the process does.
 */
void tpm_set_timeout(struct tpm *tpm, unsigned timeout_ms);

/* What went wrong, after a call that returned an error. Never NULL. */
const char *tpm_errmsg(const struct tpm *tpm);

/*
 * Connect, and learn the TPM's identity and banks. A context that is connected already, or was, is
 * disconnected first; its AK is forgotten, so tpm_ak_open() follows.
 *
 * tcti   "device:/dev/tpmrm0" for the kernel's TPM, "swtpm:path=SOCKET" for a software TPM.
 *
 * A software TPM has no resource manager: what a killed process left in its few slots stays there.
 * So on such a TPM, and on no other, every transient object and session is flushed here; and one
 * that was reset and not started up is started up (TPM2_Startup, CLEAR). Only one agent can use one
 * of these.
 *
 * A software TPM's socket is opened again for every command, so that others get their turn, and it is
 * not noticed here that it was restarted between two: compare tpm_clock_read() before believing a
 * PCR.
 *
 * Returns 0 or an error of the table above, -ENODEV for a tcti of another kind.
 */
[[nodiscard]] int tpm_connect(struct tpm *tpm, const char *tcti);

/* What the TPM says of itself. Nothing proves it but the EK certificate. */
struct tpm_identity {
	char manufacturer[5]; /* TPM_PT_MANUFACTURER, "IBM", "INTC"; not printable becomes '?' */
	char vendor[17]; /* TPM_PT_VENDOR_STRING_1..4, likewise */
	uint64_t firmware; /* TPM_PT_FIRMWARE_VERSION_1 << 32 | _2, as in a quote */
	/*
	 * Reached as a software TPM, or it names itself like one (swtpm and the IBM and Microsoft
	 * simulators). True is certain enough to say "software"; false is a claim, because a
	 * software TPM can be given any name.
	 */
	bool software;
};

/* Valid while connected. */
const struct tpm_identity *tpm_identity(const struct tpm *tpm);

/* ---- PCR ------------------------------------------------------------------------------------ */

/*
 * The banks allocated for a PCR, those of ours; found at tpm_connect(), and only a TPM reset can
 * change them. 0 for a PCR that does not exist. Still known after the connection broke.
 *
 * TPM 2.0 Library, Part 3, TPM2_GetCapability, TPM_CAP_PCRS.
 */
bank_set tpm_banks(const struct tpm *tpm, unsigned pcr);

/*
 * The TPM_ALG_ID of a bank that is allocated for this PCR and is none of ours (SM3_256, the SHA-3
 * family), or 0. We cannot extend it, so anybody can extend it to whatever he likes and have it
 * quoted: a caller that finds one should refuse to measure until the operator frees the bank
 * (tpm2_pcrallocate).
 */
uint16_t tpm_foreign_bank(const struct tpm *tpm, unsigned pcr);

/*
 * Extend one record's digests into a PCR, every allocated bank in one command.
 *
 * digests   one per bank of tpm_banks(): the hash of the record's line in that bank.
 *
 * Returns 0 or an error of the table above: the PCR has not moved, except after -ENODEV, when it is
 * UNKNOWN whether it has. Read it back; never repeat an extend blindly.
 *
 * TPM 2.0 Library, Part 3, TPM2_PCR_Extend.
 */
[[nodiscard]] int tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct bank_values *digests);

/*
 * Read every allocated bank of a PCR as it was at one moment; other banks are zero bytes. The TPM
 * may give fewer banks than asked for: then it is asked again, all over if its PCR update counter
 * moved in between.
 *
 * Returns 0 or an error of the table above, -EAGAIN too where the PCRs never held still.
 *
 * TPM 2.0 Library, Part 3, TPM2_PCR_Read.
 */
[[nodiscard]] int tpm_pcr_read(struct tpm *tpm, unsigned pcr, struct bank_values *ret_values);

/* ---- counters ------------------------------------------------------------------------------- */

struct tpm_clock {
	uint64_t clock_ms;
	uint32_t reset_count; /* +1 for every TPM reset (boot); TPM2_Clear makes it 0 */
	uint32_t restart_count; /* +1 for every resume; a reset makes it 0 */
	bool safe; /* false after an unorderly stop: clock_ms may have gone back */
	uint64_t firmware;
};

/*
 * The counters are in the clear here and in our quotes, whose AK is a key of the endorsement
 * hierarchy; in quotes by keys of other hierarchies they are obfuscated.
 *
 * TPM 2.0 Library, Part 3, TPM2_ReadClock; Part 1, 36 "Timing Components".
 */
[[nodiscard]] int tpm_clock_read(struct tpm *tpm, struct tpm_clock *ret_clock);

/* ---- attestation key and quotes ------------------------------------------------------------- */

/*
 * Open the AK: the ECC P-256 restricted signing key (ECDSA, SHA-256) that is a primary of the
 * endorsement hierarchy, without dictionary attack protection and without an authorization value.
 * Same TPM, same key: the Name survives resets and TPM2_Clear, and only a new endorsement seed
 * changes it.
 *
 * handle   persistent handle of the owner's range, 0x81000000..0x817fffff. 0x8102xxxx keeps clear
 *          of where SRKs (0x8100xxxx) and EKs (0x8101xxxx) are by convention.
 *
 * A key at that handle is used when its public area is that template and its Qualified Name says
 * that it is an endorsement primary. Anything else there is left alone and refused with -EEXIST:
 * the operator evicts it or configures another handle. An empty handle gets the key, made here.
 *
 * Where the TPM does not let us store it (owner authorization is set, no room), the key stays a
 * transient object until we disconnect: on a connection of its own behind a resource manager, since
 * every command on a connection that holds an object costs a load and a save; on the only
 * connection of a software TPM. tpm_ak_is_persistent() tells, and tpm_errmsg() then says why.
 *
 * Returns 0; -EEXIST; -EINVAL for a handle of another kind; or an error of the table above, -EACCES
 * where endorsement authorization is set and the key must be made.
 *
 * TPM 2.0 Library, Part 1, 16 "Names"; Part 3, TPM2_CreatePrimary and TPM2_EvictControl.
 */
[[nodiscard]] int tpm_ak_open(struct tpm *tpm, uint32_t handle);

bool tpm_ak_is_open(const struct tpm *tpm);
bool tpm_ak_is_persistent(const struct tpm *tpm);

/*
 * The AK's public area as a marshalled TPM2B_PUBLIC, and its Name (nameAlg || H(TPMT_PUBLIC)). They
 * belong to the context, valid until it is disconnected. Only after tpm_ak_open().
 */
void tpm_ak_public(const struct tpm *tpm, const uint8_t **ret_bytes, size_t *ret_len);
void tpm_ak_name(const struct tpm *tpm, uint8_t ret_name[static TPM_NAME_LEN]);

struct tpm_quote {
	size_t attest_len;
	size_t signature_len;
	uint8_t attest[TPM_ATTEST_MAX]; /* TPMS_ATTEST: the bytes that are signed */
	uint8_t signature[TPM_SIGNATURE_MAX]; /* TPMT_SIGNATURE, marshalled */
};

/*
 * Quote one PCR: every bank of tpm_banks(), in the order of the enum. Only after tpm_ak_open().
 *
 * Returns 0 or an error of the table above. ret_quote is written on success only.
 *
 * TPM 2.0 Library, Part 3, TPM2_Quote; Part 2, TPMS_ATTEST.
 */
[[nodiscard]] int tpm_quote(struct tpm *tpm, unsigned pcr,
	const uint8_t qualifying[static SHA256_LEN], struct tpm_quote *ret_quote);

#endif
