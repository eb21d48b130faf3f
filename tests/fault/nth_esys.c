// SPDX-License-Identifier: BSD-2-Clause
/* ESYS as tpm/ calls it: what fails does nothing, but for one extend that is done and not answered. */
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_sys.h>

#include "tests/fault/nth.h"

static TSS2_RC code(void)
{
	static const TSS2_RC codes[] = {
		TSS2_ESYS_RC_MEMORY,
		TPM2_RC_RETRY,
		TPM2_RC_VALUE | TPM2_RC_P | TPM2_RC_1,
		TSS2_TCTI_RC_IO_ERROR,
		TPM2_RC_OBJECT_MEMORY,
	};

	return codes[nth_variant(sizeof(codes) / sizeof(codes[0]))];
}

#define WRAP(name, params, ...) NTH_WRAP(NTH_ESYS, TSS2_RC, name, code(), params, __VA_ARGS__)
#define SESSIONS                ESYS_TR a, ESYS_TR b, ESYS_TR c

WRAP(Esys_GetCapability,
	(ESYS_CONTEXT * esys, SESSIONS, TPM2_CAP capability, UINT32 property, UINT32 count,
		TPMI_YES_NO *more, TPMS_CAPABILITY_DATA **data),
	esys, a, b, c, capability, property, count, more, data)
WRAP(Esys_ReadPublic,
	(ESYS_CONTEXT * esys, ESYS_TR object, SESSIONS, TPM2B_PUBLIC **public, TPM2B_NAME **name,
		TPM2B_NAME **qualified),
	esys, object, a, b, c, public, name, qualified)
WRAP(Esys_TR_FromTPMPublic, (ESYS_CONTEXT * esys, TPM2_HANDLE handle, SESSIONS, ESYS_TR *object),
	esys, handle, a, b, c, object)
WRAP(Esys_CreatePrimary,
	(ESYS_CONTEXT * esys, ESYS_TR hierarchy, SESSIONS, const TPM2B_SENSITIVE_CREATE *sensitive,
		const TPM2B_PUBLIC *template, const TPM2B_DATA *outside,
		const TPML_PCR_SELECTION *pcrs, ESYS_TR *object, TPM2B_PUBLIC **public,
		TPM2B_CREATION_DATA **data, TPM2B_DIGEST **hash, TPMT_TK_CREATION **ticket),
	esys, hierarchy, a, b, c, sensitive, template, outside, pcrs, object, public, data, hash,
	ticket)
WRAP(Esys_EvictControl,
	(ESYS_CONTEXT * esys, ESYS_TR owner, ESYS_TR object, SESSIONS, TPMI_DH_PERSISTENT handle,
		ESYS_TR *ret),
	esys, owner, object, a, b, c, handle, ret)
WRAP(Esys_Quote,
	(ESYS_CONTEXT * esys, ESYS_TR key, SESSIONS, const TPM2B_DATA *data,
		const TPMT_SIG_SCHEME *scheme, const TPML_PCR_SELECTION *pcrs,
		TPM2B_ATTEST **attest, TPMT_SIGNATURE **signature),
	esys, key, a, b, c, data, scheme, pcrs, attest, signature)
WRAP(Esys_NV_ReadPublic,
	(ESYS_CONTEXT * esys, ESYS_TR index, SESSIONS, TPM2B_NV_PUBLIC **public, TPM2B_NAME **name),
	esys, index, a, b, c, public, name)
WRAP(Esys_NV_Read,
	(ESYS_CONTEXT * esys, ESYS_TR auth, ESYS_TR index, SESSIONS, UINT16 size, UINT16 offset,
		TPM2B_MAX_NV_BUFFER **data),
	esys, auth, index, a, b, c, size, offset, data)
WRAP(Esys_StartAuthSession,
	(ESYS_CONTEXT * esys, ESYS_TR key, ESYS_TR bind, SESSIONS, const TPM2B_NONCE *nonce,
		TPM2_SE type, const TPMT_SYM_DEF *symmetric, TPMI_ALG_HASH hash, ESYS_TR *session),
	esys, key, bind, a, b, c, nonce, type, symmetric, hash, session)
WRAP(Esys_TRSess_SetAttributes,
	(ESYS_CONTEXT * esys, ESYS_TR session, TPMA_SESSION flags, TPMA_SESSION mask), esys,
	session, flags, mask)
WRAP(Esys_PolicySecret,
	(ESYS_CONTEXT * esys, ESYS_TR entity, ESYS_TR policy, SESSIONS, const TPM2B_NONCE *nonce,
		const TPM2B_DIGEST *command, const TPM2B_NONCE *reference, INT32 expiration,
		TPM2B_TIMEOUT **timeout, TPMT_TK_AUTH **ticket),
	esys, entity, policy, a, b, c, nonce, command, reference, expiration, timeout, ticket)
WRAP(Esys_ActivateCredential,
	(ESYS_CONTEXT * esys, ESYS_TR object, ESYS_TR key, SESSIONS,
		const TPM2B_ID_OBJECT *credential, const TPM2B_ENCRYPTED_SECRET *secret,
		TPM2B_DIGEST **digest),
	esys, object, key, a, b, c, credential, secret, digest)
WRAP(Esys_PCR_Read,
	(ESYS_CONTEXT * esys, SESSIONS, const TPML_PCR_SELECTION *in, UINT32 *counter,
		TPML_PCR_SELECTION **out, TPML_DIGEST **digests),
	esys, a, b, c, in, counter, out, digests)
WRAP(Esys_ReadClock, (ESYS_CONTEXT * esys, SESSIONS, TPMS_TIME_INFO **time), esys, a, b, c, time)
WRAP(Esys_FlushContext, (ESYS_CONTEXT * esys, ESYS_TR object), esys, object)
WRAP(Esys_TR_GetTpmHandle, (ESYS_CONTEXT * esys, ESYS_TR object, TPM2_HANDLE *handle), esys, object,
	handle)
WRAP(Esys_GetSysContext, (ESYS_CONTEXT * esys, TSS2_SYS_CONTEXT **sys), esys, sys)
WRAP(Esys_Startup, (ESYS_CONTEXT * esys, TPM2_SU type), esys, type)
WRAP(Esys_Initialize, (ESYS_CONTEXT * *esys, TSS2_TCTI_CONTEXT *tcti, TSS2_ABI_VERSION *abi), esys,
	tcti, abi)
WRAP(Tss2_Sys_FlushContext, (TSS2_SYS_CONTEXT * sys, TPMI_DH_CONTEXT handle), sys, handle)
WRAP(Tss2_MU_TPMT_SIGNATURE_Marshal,
	(const TPMT_SIGNATURE *from, uint8_t buffer[], size_t size, size_t *len), from, buffer,
	size, len)
WRAP(Tss2_MU_TPM2B_ID_OBJECT_Unmarshal,
	(uint8_t const from[], size_t size, size_t *at, TPM2B_ID_OBJECT *to), from, size, at, to)
WRAP(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal,
	(uint8_t const from[], size_t size, size_t *at, TPM2B_ENCRYPTED_SECRET *to), from, size, at,
	to)

TSS2_RC __real_Esys_PCR_Extend(
	ESYS_CONTEXT *esys, ESYS_TR pcr, SESSIONS, const TPML_DIGEST_VALUES *digests);
TSS2_RC __wrap_Esys_PCR_Extend(
	ESYS_CONTEXT *esys, ESYS_TR pcr, SESSIONS, const TPML_DIGEST_VALUES *digests);
TSS2_RC __wrap_Esys_PCR_Extend(
	ESYS_CONTEXT *esys, ESYS_TR pcr, SESSIONS, const TPML_DIGEST_VALUES *digests)
{
	static unsigned odd;

	if (!nth_fails(NTH_ESYS, "Esys_PCR_Extend"))
		return __real_Esys_PCR_Extend(esys, pcr, a, b, c, digests);
	TSS2_RC rc = code();
	if (rc == TSS2_TCTI_RC_IO_ERROR && odd++ % 2 == 0) {
		TSS2_RC done = __real_Esys_PCR_Extend(esys, pcr, a, b, c, digests);
		return done ? done : rc;
	}
	return rc;
}
