/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. The structs of libtss2 are only named here. */
#ifndef TPM_CONTEXT_H
#define TPM_CONTEXT_H

#include "tpm/ek.h"
#include "tpm/tpm.h"

struct ESYS_CONTEXT;
struct TPM2B_NAME;
struct TPM2B_PUBLIC;
struct TPML_PCR_SELECTION;
struct TPMS_CAPABILITY_DATA;
struct TSS2_TCTI_OPAQUE_CONTEXT_BLOB;

struct tpm_link {
	struct TSS2_TCTI_OPAQUE_CONTEXT_BLOB *tcti;
	struct ESYS_CONTEXT *esys; /* NULL: not connected */
};

struct ak {
	uint32_t object; /* ESYS_TR; 0: not open */
	bool persistent;
	struct tpm_link link; /* a transient AK's, behind a resource manager; else main is used */
	uint8_t name[TPM_NAME_LEN];
	uint8_t public[256];
	size_t public_len;
};

struct tpm {
	char *tcti;
	unsigned timeout_ms; /* 0: no limit */
	int unanswered; /* a device whose last command is still under way, or -1 */
	char trouble[160]; /* what broke the way to the TPM, where the TCTI knows it */
	bool shared_slots; /* a software TPM: no resource manager, slots outlive connections */
	struct tpm_link main;
	struct ak ak;
	struct tpm_identity identity;
	bank_set banks[TPM_PCR_COUNT];
	uint16_t foreign_bank[TPM_PCR_COUNT];
	char errmsg[384];
};

/* The one place where a TSS2_RC becomes an errno and a text. rc is a failure. Returns the errno. */
int tpm_fail(struct tpm *tpm, const char *command, uint32_t rc);

/* The same for what we find wrong ourselves: keeps the text, returns error. */
[[gnu::format(printf, 3, 4)]] int tpm_fail_text(
	struct tpm *tpm, int error, const char *format, ...);

/* 0, or -ENODEV where the context is not connected. */
int tpm_check_connected(struct tpm *tpm);

/* The same, and where the PCR has no bank that we can use -EIO. */
int tpm_check_pcr(struct tpm *tpm, unsigned pcr);

/* One PCR in a set of banks, in the order of the enum. */
void tpm_select_pcr(unsigned pcr, bank_set banks, struct TPML_PCR_SELECTION *ret_selection);

/* Whether a name of tpm_connect() is that of a software TPM's socket. */
bool tpm_tcti_is_swtpm(const char *name);

/* Open tpm->tcti; nothing is sent yet. Returns a TSS2_RC; tpm->trouble says more. */
uint32_t tpm_tcti_open(struct tpm *tpm, struct TSS2_TCTI_OPAQUE_CONTEXT_BLOB **ret_tcti);

/* Never waits, NULL is fine. A device that has not answered goes to tpm->unanswered. */
void tpm_tcti_close(struct TSS2_TCTI_OPAQUE_CONTEXT_BLOB **tcti);

int tpm_link_open(struct tpm *tpm, struct tpm_link *ret_link);
void tpm_link_close(struct tpm_link *link);

/* TPM2_GetCapability; ret_data is to be freed. */
int tpm_capability(struct tpm *tpm, uint32_t capability, uint32_t property, uint32_t count,
	struct TPMS_CAPABILITY_DATA **ret_data);

/* Whether a key has the attributes, algorithms and parameters of a template, whatever its unique
 * field. */
bool tpm_key_has_template(const struct TPM2B_PUBLIC *public, const struct TPM2B_PUBLIC *template);

/*
 * The Qualified Name of a primary key is H(hierarchy || Name): it tells which hierarchy a stored
 * key belongs to, and with it whether its quotes carry the reset counters in the clear, without
 * making the key again (which takes a slow chip a second).
 *
 * Returns 1 or 0, or -EIO when OpenSSL refuses.
 *
 * TPM 2.0 Library, Part 1, 16 "Names", "Qualified Name".
 */
int tpm_key_is_endorsement(const struct TPM2B_NAME *name, const struct TPM2B_NAME *qualified);

/* The public area to make an EK of. */
void tpm_ek_fill(enum tpm_ek_template template, struct TPM2B_PUBLIC *ret_public);

/* Of the low range: used by a policy. */
bool tpm_ek_is_low(enum tpm_ek_template template);

/* Marshal a key's public area. False where it is larger than an EK's. */
bool tpm_ek_keep_public(struct tpm_ek *ek, const struct TPM2B_PUBLIC *public);

/* Flush a transient AK, let go of a persistent one; nothing where none is open. */
void tpm_ak_close(struct tpm *tpm);

/* Flush what is loaded and not ours, where nobody else can own it. False: nothing to gain here. */
bool tpm_make_room(struct tpm *tpm);

/* For [[gnu::cleanup(tpm_esys_freep)]] on a pointer to anything that ESYS allocated. */
void tpm_esys_freep(void *pointer);

#endif
