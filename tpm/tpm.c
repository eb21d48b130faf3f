/* SPDX-License-Identifier: BSD-2-Clause */
#include "tpm/tpm.h"
#include "tpm/context.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_sys.h>
#include <unistd.h>

/* ---- errors --------------------------------------------------------------------------------- */

/*
 * A code of any layer but the TPM's own was made on the way: by the transport, or by libtss2 about
 * what the transport brought. The kernel's resource manager has a layer of its own for the TPM.
 *
 * TPM 2.0 Library, Part 2, 6.6 "TPM_RC (Response Codes)".
 */
static int errno_of(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return -ENODEV;

	TSS2_RC code = rc & ~TSS2_RC_LAYER_MASK;
	if (code & TPM2_RC_FMT1) /* without the number of the handle, session or parameter */
		code &= TPM2_RC_FMT1 | 0x3f;

	switch (code) {
	case TPM2_RC_RETRY:
	case TPM2_RC_YIELDED:
	case TPM2_RC_TESTING:
	case TPM2_RC_CANCELED:
	case TPM2_RC_NV_RATE:
	case TPM2_RC_NV_UNAVAILABLE:
		return -EAGAIN;
	case TPM2_RC_BAD_AUTH:
	case TPM2_RC_AUTH_FAIL:
		return -EACCES;
	case TPM2_RC_LOCKOUT:
		return -EPERM;
	case TPM2_RC_OBJECT_MEMORY:
	case TPM2_RC_SESSION_MEMORY:
	case TPM2_RC_MEMORY:
	case TPM2_RC_OBJECT_HANDLES:
	case TPM2_RC_SESSION_HANDLES:
	case TPM2_RC_NV_SPACE:
		return -ENOSPC;
	case TPM2_RC_HANDLE:
	case TPM2_RC_REFERENCE_H0:
		return -ENOENT;
	case TPM2_RC_INITIALIZE:
		return -ESTALE;
	case TPM2_RC_FAILURE:
		return -EHWPOISON;
	default:
		return -EIO;
	}
}

/* What an operator can do about it, to follow the TPM's own words. */
static const char *remedy_of(int error)
{
	switch (error) {
	case -EACCES:
		return "; an authorization value is set that must be empty here (tpm2_changeauth)";
	case -EPERM:
		return "; wait, or end the lockout (tpm2_dictionarylockout --clear-lockout)";
	case -ENOSPC:
		return "; make room (tpm2_getcap handles-transient, tpm2_flushcontext; "
		       "handles-persistent, tpm2_evictcontrol)";
	case -ESTALE:
		return "; it was reset behind our back (tpm2_startup --clear)";
	case -EHWPOISON:
		return "; failure mode ends with a reset: reboot, or restart the software TPM";
	default:
		return "";
	}
}

static void disconnect(struct tpm *tpm)
{
	tpm_link_close(&tpm->ak.link);
	tpm_link_close(&tpm->main);
	memset(&tpm->ak, 0, sizeof(tpm->ak));
}

int tpm_fail(struct tpm *tpm, const char *command, uint32_t rc)
{
	int error = errno_of(rc);

	if (error == -ENODEV)
		disconnect(tpm);
	if (error == -ENODEV && tpm->trouble[0])
		return tpm_fail_text(tpm, error, "%s: %s", command, tpm->trouble);
	return tpm_fail_text(
		tpm, error, "%s: %s (0x%x)%s", command, Tss2_RC_Decode(rc), rc, remedy_of(error));
}

int tpm_fail_text(struct tpm *tpm, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(tpm->errmsg, sizeof(tpm->errmsg), format, args);
	va_end(args);
	return error;
}

int tpm_check_connected(struct tpm *tpm)
{
	return tpm->main.esys ? 0 : tpm_fail_text(tpm, -ENODEV, "not connected to a TPM");
}

const char *tpm_errmsg(const struct tpm *tpm)
{
	return tpm->errmsg;
}

/* ---- context and connection ----------------------------------------------------------------- */

struct tpm *tpm_new(void)
{
	struct tpm *tpm = calloc(1, sizeof(*tpm));

	if (!tpm)
		return NULL;
	tpm->timeout_ms = TPM_TIMEOUT_MS;
	tpm->unanswered = -1;
	return tpm;
}

void tpm_set_timeout(struct tpm *tpm, unsigned timeout_ms)
{
	tpm->timeout_ms = timeout_ms;
}

void tpm_free(struct tpm *tpm)
{
	if (!tpm)
		return;
	tpm_ak_close(tpm);
	disconnect(tpm);
	if (tpm->unanswered >= 0)
		close(tpm->unanswered);
	free(tpm->tcti);
	free(tpm);
}

void tpm_freep(struct tpm **tpm)
{
	tpm_free(*tpm);
}

void tpm_esys_freep(void *pointer)
{
	Esys_Free(*(void **)pointer);
}

int tpm_link_open(struct tpm *tpm, struct tpm_link *ret_link)
{
	struct tpm_link link = { 0 };

	TSS2_RC rc = tpm_tcti_open(tpm, &link.tcti);
	if (rc == TSS2_TCTI_RC_MEMORY)
		return tpm_fail_text(tpm, -ENOMEM, "out of memory");
	if (rc)
		return tpm_fail(tpm, tpm->tcti, rc);

	rc = Esys_Initialize(&link.esys, link.tcti, NULL);
	if (rc) {
		tpm_link_close(&link);
		return tpm_fail_text(tpm, -ENOMEM, "Esys_Initialize: %s", Tss2_RC_Decode(rc));
	}
	*ret_link = link;
	return 0;
}

void tpm_link_close(struct tpm_link *link)
{
	Esys_Finalize(&link->esys);
	tpm_tcti_close(&link->tcti);
}

int tpm_capability(struct tpm *tpm, uint32_t capability, uint32_t property, uint32_t count,
	TPMS_CAPABILITY_DATA **ret_data)
{
	TPMI_YES_NO more;
	TSS2_RC rc = Esys_GetCapability(tpm->main.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		capability, property, count, &more, ret_data);

	return rc ? tpm_fail(tpm, "TPM2_GetCapability", rc) : 0;
}

static int flush_handles_from(struct tpm *tpm, TPM2_HANDLE first)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_CAPABILITY_DATA *data = NULL;
	int r = tpm_capability(tpm, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &data);
	if (r < 0)
		return r;

	TPM2_HANDLE ours = 0;
	if (tpm->ak.object && !tpm->ak.persistent)
		Esys_TR_GetTpmHandle(tpm->main.esys, tpm->ak.object, &ours);

	TSS2_SYS_CONTEXT *sys;
	TSS2_RC rc = Esys_GetSysContext(tpm->main.esys, &sys);
	const TPML_HANDLE *handles = &data->data.handles;
	for (uint32_t i = 0; !rc && i < handles->count; i++)
		if (handles->handle[i] != ours)
			rc = Tss2_Sys_FlushContext(sys, handles->handle[i]);
	return rc ? tpm_fail(tpm, "TPM2_FlushContext", rc) : 0;
}

static int flush_leaked(struct tpm *tpm)
{
	/* A session that was saved is listed under 3, whatever its kind; one that is loaded
	 * under 2. */
	static const TPM2_HANDLE kinds[] = { TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST,
		TPM2_ACTIVE_SESSION_FIRST };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int r = flush_handles_from(tpm, kinds[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

bool tpm_make_room(struct tpm *tpm)
{
	return tpm->shared_slots && flush_leaked(tpm) == 0;
}

/* ---- identity and banks --------------------------------------------------------------------- */

/* Four characters of a property, padded with NULs or not; what cannot be printed becomes '?'. */
static void append_text(char *text, uint32_t value)
{
	text += strlen(text);
	for (int shift = 24; shift >= 0; shift -= 8) {
		unsigned char c = (unsigned char)(value >> shift);
		if (c)
			*text++ = isascii(c) && isprint(c) ? (char)c : '?';
	}
	*text = '\0';
}

static bool is_software(const struct tpm *tpm)
{
	const struct tpm_identity *id = &tpm->identity;

	/* libtpms and the IBM simulator; the TCG reference code as Microsoft's simulator has it. */
	return tpm->shared_slots ||
		(strcmp(id->manufacturer, "IBM") == 0 && strcmp(id->vendor, "SW   TPM") == 0) ||
		strcmp(id->vendor, "xCG fTPM") == 0;
}

static int read_identity(struct tpm *tpm)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_CAPABILITY_DATA *data = NULL;
	int r = tpm_capability(tpm, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER,
		TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_MANUFACTURER + 1, &data);
	if (r < 0)
		return r;

	struct tpm_identity id = { 0 };
	const TPML_TAGGED_TPM_PROPERTY *list = &data->data.tpmProperties;
	for (uint32_t i = 0; i < list->count; i++) {
		uint32_t value = list->tpmProperty[i].value;

		switch (list->tpmProperty[i].property) {
		case TPM2_PT_MANUFACTURER:
			append_text(id.manufacturer, value);
			break;
		case TPM2_PT_VENDOR_STRING_1:
		case TPM2_PT_VENDOR_STRING_2:
		case TPM2_PT_VENDOR_STRING_3:
		case TPM2_PT_VENDOR_STRING_4:
			append_text(id.vendor, value);
			break;
		case TPM2_PT_FIRMWARE_VERSION_1:
			id.firmware |= (uint64_t)value << 32;
			break;
		case TPM2_PT_FIRMWARE_VERSION_2:
			id.firmware |= value;
			break;
		}
	}
	tpm->identity = id;
	tpm->identity.software = is_software(tpm);
	return 0;
}

static int read_banks(struct tpm *tpm)
{
	[[gnu::cleanup(tpm_esys_freep)]] TPMS_CAPABILITY_DATA *data = NULL;
	int r = tpm_capability(tpm, TPM2_CAP_PCRS, 0, TPM2_NUM_PCR_BANKS, &data);
	if (r < 0)
		return r;

	memset(tpm->banks, 0, sizeof(tpm->banks));
	memset(tpm->foreign_bank, 0, sizeof(tpm->foreign_bank));
	const TPML_PCR_SELECTION *list = &data->data.assignedPCR;
	for (uint32_t i = 0; i < list->count; i++) {
		const TPMS_PCR_SELECTION *selection = &list->pcrSelections[i];
		enum bank bank = bank_from_alg(selection->hash);

		for (unsigned pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
			if (pcr / 8 >= selection->sizeofSelect ||
				!(selection->pcrSelect[pcr / 8] & 1 << pcr % 8))
				continue;
			if (bank < BANK_COUNT)
				tpm->banks[pcr] |= 1u << bank;
			else
				tpm->foreign_bank[pcr] = selection->hash;
		}
	}
	return 0;
}

static int learn(struct tpm *tpm)
{
	int r = read_identity(tpm);

	if (r == 0)
		r = read_banks(tpm);
	if (r == 0 && tpm->shared_slots)
		r = flush_leaked(tpm);
	return r;
}

/* A software TPM that was reset has no firmware to start it up. Its PCRs are gone already. */
static int startup(struct tpm *tpm)
{
	TSS2_RC rc = Esys_Startup(tpm->main.esys, TPM2_SU_CLEAR);

	return rc == TSS2_RC_SUCCESS || rc == TPM2_RC_INITIALIZE
		? 0
		: tpm_fail(tpm, "TPM2_Startup", rc);
}

int tpm_connect(struct tpm *tpm, const char *tcti)
{
	tpm_ak_close(tpm);
	disconnect(tpm);

	char *copy = strdup(tcti);
	if (!copy)
		return tpm_fail_text(tpm, -ENOMEM, "out of memory");
	free(tpm->tcti);
	tpm->tcti = copy;
	tpm->shared_slots = tpm_tcti_is_swtpm(tcti);

	int r = tpm_link_open(tpm, &tpm->main);
	if (r == 0)
		r = learn(tpm);
	if (r == -ESTALE && tpm->shared_slots) {
		r = startup(tpm);
		if (r == 0)
			r = learn(tpm);
	}
	if (r < 0)
		disconnect(tpm);
	return r;
}

const struct tpm_identity *tpm_identity(const struct tpm *tpm)
{
	return &tpm->identity;
}

bank_set tpm_banks(const struct tpm *tpm, unsigned pcr)
{
	return pcr < TPM_PCR_COUNT ? tpm->banks[pcr] : 0;
}

uint16_t tpm_foreign_bank(const struct tpm *tpm, unsigned pcr)
{
	return pcr < TPM_PCR_COUNT ? tpm->foreign_bank[pcr] : 0;
}
