/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/identity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/measurer.h"
#include "attest/activation.h"
#include "bpf/line.h"

static_assert(TPM_EK_COUNT * (TPM_EK_PUBLIC_MAX + TPM_EK_CERTIFICATE_MAX + 64) * 4 / 3 + 2048 <=
	CHANNEL_BYTES_MAX);

[[gnu::format(printf, 3, 4)]] static int fail(
	char error[static IDENTITY_ERROR_MAX], int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, IDENTITY_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* What the TPM refuses of its EKs does not keep it from measuring; what keeps it from that is a fault. */
static int fail_tpm(struct measurer *measurer, int err, char error[static IDENTITY_ERROR_MAX])
{
	fail(error, err, "TPM: %.480s", tpm_errmsg(measurer->tpm));
	if (err == -ENODEV || err == -ENOENT || err == -ESTALE || err == -EHWPOISON)
		measurer_fail_tpm(measurer, err);
	return err;
}

static int check_measuring(const struct measurer *measurer, char error[static IDENTITY_ERROR_MAX])
{
	char trouble[MEASURER_TROUBLE_MAX];

	if (measurer_is_started(measurer) && measurer_is_well(measurer, FAULT_SLOT_TPM) &&
		tpm_ak_is_open(measurer->tpm))
		return 0;
	return fail(error, -EAGAIN, "not measuring: %.480s", measurer_trouble(measurer, trouble));
}

void identity_forget(struct measurer *measurer)
{
	measurer->identity.is_known = false;
}

/* ---- the EKs ---- */

static bool is_shunned(const struct measurer *measurer, const struct tpm_ek *ek)
{
	uint64_t since_ms = measurer->identity.shunned_ms[ek->template];

	return since_ms && measurer_now_ms() - since_ms < IDENTITY_SHUN_MS;
}

/* Making a key has had no answer in time: it is what may have taken too long. */
static void shun(struct measurer *measurer, const struct tpm_ek *ek, int err)
{
	if (err == -ENODEV && !ek->handle)
		measurer->identity.shunned_ms[ek->template] = measurer_now_ms();
}

/* The public areas that are not known, where they are to be had. The rest are taken off the list. */
static int make_missing(struct measurer *measurer, struct identity *identity)
{
	size_t count = 0;

	for (size_t i = 0; i < identity->ek_count; i++) {
		struct tpm_ek *ek = &identity->eks[i];
		int err = 0;

		if (!ek->public_len && !is_shunned(measurer, ek)) {
			measurer_drain_some(measurer);
			err = tpm_ek_make(measurer->tpm, ek);
			shun(measurer, ek, err);
		}
		if (err && err != -EIO && err != -EACCES && err != -EPERM && err != -ENOSPC)
			return err;
		if (ek->public_len)
			identity->eks[count++] = *ek;
	}
	identity->ek_count = count;
	return 0;
}

static int read_eks(struct measurer *measurer)
{
	struct identity *identity = &measurer->identity;
	int count, err;

	if (identity->is_known)
		return 0;
	count = tpm_ek_find(measurer->tpm, identity->eks);
	if (count < 0)
		return count;
	if (!count)
		identity->eks[count++] = (struct tpm_ek){ .template = TPM_EK_ECC256_L2 };
	identity->ek_count = (size_t)count;
	err = make_missing(measurer, identity);
	identity->is_known = !err;
	return err;
}

/* ---- the object ---- */

static void put_eks(struct line *line, const struct identity *identity)
{
	line_open_array(line, "eks");
	for (size_t i = 0; i < identity->ek_count; i++) {
		const struct tpm_ek *ek = &identity->eks[i];

		line_open_object(line, NULL);
		line_word(line, "template", tpm_ek_name(ek->template));
		line_base64(line, "public", ek->public, ek->public_len);
		if (ek->certificate_len)
			line_base64(line, "certificate", ek->certificate, ek->certificate_len);
		else
			line_null(line, "certificate");
		line_close_object(line);
	}
	line_close_array(line);
}

static void put_identity(struct line *line, const struct measurer *measurer)
{
	const struct tpm_identity *tpm = tpm_identity(measurer->tpm);
	const struct record_epoch_facts *epoch = log_epoch(measurer->log);
	bank_set banks = tpm_banks(measurer->tpm, measurer->conf->tpm_pcr);
	const uint8_t *ak;
	size_t ak_len;

	tpm_ak_public(measurer->tpm, &ak, &ak_len);
	line_open_object(line, NULL);
	line_word(line, "bpfmeasure", "identity/1");
	line_word(line, "agent", VERSION);
	line_base64(line, "ak", ak, ak_len);
	line_uint(line, "pcr", measurer->conf->tpm_pcr);
	line_open_array(line, "banks");
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (banks & 1U << bank)
			line_word(line, NULL, bank_name(bank));
	line_close_array(line);
	if (log_epoch_seq(measurer->log))
		line_hex(line, "log_id", epoch->log_id, sizeof(epoch->log_id));
	else
		line_null(line, "log_id");
	line_bool(line, "software", tpm->software);
	line_text(line, "manufacturer", tpm->manufacturer, strlen(tpm->manufacturer), 64);
	line_text(line, "vendor", tpm->vendor, strlen(tpm->vendor), 64);
	put_eks(line, &measurer->identity);
	line_close_object(line);
}

int identity_json(
	struct measurer *measurer, char **ret_json, char ret_error[static IDENTITY_ERROR_MAX])
{
	struct line line;
	char *json;
	int err = check_measuring(measurer, ret_error);

	if (err)
		return err;
	err = read_eks(measurer);
	if (err)
		return fail_tpm(measurer, err, ret_error);
	json = malloc(CHANNEL_BYTES_MAX + 1);
	if (!json)
		return fail(ret_error, -ENOMEM, "out of memory");
	line_init(&line, json, CHANNEL_BYTES_MAX);
	put_identity(&line, measurer);
	json[line.len] = '\0';
	*ret_json = json;
	return 0;
}

/* ---- a credential ---- */

static int prove(const struct measurer *measurer, const struct channel_activate_request *request,
	const struct tpm_ek *ek, const uint8_t secret[static ACTIVATION_SECRET_LEN],
	uint8_t ret_proof[static SHA256_LEN], char error[static IDENTITY_ERROR_MAX])
{
	const uint8_t *ak;
	size_t ak_len;

	tpm_ak_public(measurer->tpm, &ak, &ak_len);
	if (activation_proof(
		    secret, request->binding, ak, ak_len, ek->public, ek->public_len, ret_proof))
		return fail(error, -EIO, "OpenSSL cannot make the proof");
	return 0;
}

/* The EK that is asked for, if it can be used now. */
static int choose(struct measurer *measurer, const struct channel_activate_request *request,
	const struct tpm_ek **ret_ek, char error[static IDENTITY_ERROR_MAX])
{
	const struct identity *identity = &measurer->identity;
	int err = check_measuring(measurer, error);

	if (err)
		return err;
	err = read_eks(
		measurer); /* the TPM may have been connected to anew since it was asked who it is */
	if (err)
		return fail_tpm(measurer, err, error);
	if (request->ek >= identity->ek_count)
		return fail(error, -EINVAL, "there is no such endorsement key");
	*ret_ek = &identity->eks[request->ek];
	if (!(*ret_ek)->handle && is_shunned(measurer, *ret_ek))
		return fail(error, -EAGAIN,
			"the TPM takes too long to make its %s endorsement key: try again in some "
			"minutes, or store the key in the TPM",
			tpm_ek_name((*ret_ek)->template));
	return 0;
}

int identity_activate(struct measurer *measurer, const struct channel_activate_request *request,
	uint8_t ret_proof[static SHA256_LEN], char ret_error[static IDENTITY_ERROR_MAX])
{
	uint8_t secret[TPM_EK_SECRET_MAX];
	const struct tpm_ek *ek = NULL;
	int len, err;

	if (request->credential_len > sizeof(request->credential) ||
		request->secret_len > sizeof(request->secret))
		return fail(ret_error, -EBADMSG, "the credential is malformed");
	err = choose(measurer, request, &ek, ret_error);
	if (err)
		return err;

	measurer_drain_some(measurer);
	len = tpm_ek_activate(measurer->tpm, ek, request->credential, request->credential_len,
		request->secret, request->secret_len, secret);
	shun(measurer, ek, len);
	if (len == -ENOKEY)
		identity_forget(measurer);
	if (len < 0)
		return fail_tpm(measurer, len, ret_error);
	err = len == ACTIVATION_SECRET_LEN
		? prove(measurer, request, ek, secret, ret_proof, ret_error)
		: fail(ret_error, -EBADMSG, "the secret is not %d bytes long",
			  ACTIVATION_SECRET_LEN);
	explicit_bzero(secret, sizeof(secret));
	return err;
}
