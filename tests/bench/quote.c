/* SPDX-License-Identifier: BSD-2-Clause */
/* quote TCTI HANDLE PCR COUNT: so many bare Esys_Quote of one PCR's sha256 and sha384; prints nanoseconds, a line each. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void must(TSS2_RC rc, const char *what)
{
	if (rc)
		errx(1, "%s: 0x%x", what, rc);
}

static TPML_PCR_SELECTION select_pcr(unsigned pcr)
{
	TPML_PCR_SELECTION selection = { .count = 2 };
	static const TPMI_ALG_HASH banks[] = { TPM2_ALG_SHA256, TPM2_ALG_SHA384 };

	for (size_t i = 0; i < 2; i++) {
		selection.pcrSelections[i].hash = banks[i];
		selection.pcrSelections[i].sizeofSelect = 3;
		selection.pcrSelections[i].pcrSelect[pcr / 8] = (BYTE)(1u << pcr % 8);
	}
	return selection;
}

int main(int argc, char **argv)
{
	static const TPMT_SIG_SCHEME own = { .scheme = TPM2_ALG_NULL };
	static const TPM2B_DATA nonce = { .size = 32 };
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *esys = NULL;
	ESYS_TR ak = ESYS_TR_NONE;

	if (argc != 5)
		errx(2, "usage: quote TCTI HANDLE PCR COUNT");
	TPML_PCR_SELECTION selection = select_pcr((unsigned)strtoul(argv[3], NULL, 0));
	must(Tss2_TctiLdr_Initialize(argv[1], &tcti), argv[1]);
	must(Esys_Initialize(&esys, tcti, NULL), "Esys_Initialize");
	must(Esys_TR_FromTPMPublic(esys, (TPM2_HANDLE)strtoul(argv[2], NULL, 0), ESYS_TR_NONE,
		     ESYS_TR_NONE, ESYS_TR_NONE, &ak),
		argv[2]);
	for (unsigned long count = strtoul(argv[4], NULL, 0); count; count--) {
		TPM2B_ATTEST *quoted = NULL;
		TPMT_SIGNATURE *signature = NULL;
		uint64_t begin = now_ns();
		must(Esys_Quote(esys, ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nonce,
			     &own, &selection, &quoted, &signature),
			"Esys_Quote");
		printf("%llu\n", (unsigned long long)(now_ns() - begin));
		Esys_Free(quoted);
		Esys_Free(signature);
	}
	Esys_Finalize(&esys);
	Tss2_TctiLdr_Finalize(&tcti);
	return 0;
}
