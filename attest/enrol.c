/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/enrol.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "attest/client.h"
#include "attest/credential.h"
#include "attest/identity.h"
#include "attest/replay.h"

enum { ACTIVATE_BODY_MAX = 2048, PROOF_BODY_MAX = 256 };

struct enrolment {
	const struct enrol_options *options;
	struct enrol_result *result;
	struct identity_claim claim;
	struct ak ak;
	size_t candidate_count;
	struct candidate {
		size_t index; /* in claim.eks */
		struct ek ek;
	} candidates[IDENTITY_EK_MAX];
};

const char *enrol_reason_name(enum enrol_reason reason)
{
	static const char *const names[ENROL_REASON_COUNT] = {
		[ENROL_OK] = "ok",
		[ENROL_MALFORMED] = "malformed",
		[ENROL_AK_ATTRIBUTES] = "ak-attributes",
		[ENROL_AK_UNKNOWN] = "ak-unknown",
		[ENROL_EK_NONE] = "ek-none",
		[ENROL_EK_TEMPLATE] = "ek-template",
		[ENROL_EK_CERTIFICATE] = "ek-certificate",
		[ENROL_EK_KEY] = "ek-key",
		[ENROL_EK_CHAIN] = "ek-chain",
		[ENROL_PROOF] = "proof",
		[ENROL_PCR] = "pcr",
		[ENROL_NOT_HARDWARE] = "not-hardware",
		[ENROL_CHANGED] = "changed",
		[ENROL_UNREACHABLE] = "unreachable",
		[ENROL_CHANNEL] = "channel",
		[ENROL_REFUSED] = "refused",
		[ENROL_FAILED] = "failed",
	};

	return names[reason];
}

bool enrol_is_refusal(enum enrol_reason reason)
{
	return reason > ENROL_OK && reason < ENROL_UNREACHABLE;
}

[[gnu::format(printf, 3, 4)]] static enum enrol_reason conclude(
	struct enrolment *enrolment, enum enrol_reason reason, const char *format, ...)
{
	struct enrol_result *result = enrolment->result;
	va_list args;

	va_start(args, format);
	vsnprintf(result->explanation, ENROL_TEXT_MAX, format, args);
	va_end(args);
	for (char *c = result->explanation; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	result->reason = reason;
	return reason;
}

static enum enrol_reason fail(struct enrolment *enrolment)
{
	return conclude(enrolment, ENROL_FAILED,
		"There is not enough memory, or OpenSSL refuses an algorithm.");
}

static void freep(char **bytes)
{
	free(*bytes);
}

/* ---- questions ---- */

static enum enrol_reason conclude_error(struct enrolment *enrolment, int err)
{
	const struct round_peer *peer = &enrolment->options->peer;
	enum enrol_reason reason = ENROL_FAILED;

	if (err == -ECONNREFUSED || err == -EHOSTUNREACH || err == -ETIMEDOUT)
		reason = ENROL_UNREACHABLE;
	else if (err == -EPROTO)
		reason = ENROL_CHANNEL;
	else if (err == -EMSGSIZE)
		reason = ENROL_MALFORMED;
	return conclude(enrolment, reason, "%s.", peer->errmsg(peer->arg));
}

/* A GET, or a POST of json. Under ENROL_OK the caller has ret_body to free. */
static enum enrol_reason ask(struct enrolment *enrolment, const char *path, const char *json,
	char **ret_body, size_t *ret_len, int *ret_status)
{
	const struct round_peer *peer = &enrolment->options->peer;
	[[gnu::cleanup(freep)]] char *body = NULL;
	size_t len = 0;
	FILE *into = open_memstream(&body, &len);

	if (!into)
		return fail(enrolment);
	int status = peer->request(peer->arg, path, json, into);
	int closed = fclose(into);
	if (status < 0)
		return conclude_error(enrolment, status);
	if (closed)
		return fail(enrolment);
	while (len && (body[len - 1] == '\n' || body[len - 1] == '\r'))
		body[--len] = '\0';
	*ret_body = body;
	body = NULL;
	*ret_len = len;
	*ret_status = status;
	return ENROL_OK;
}

static enum enrol_reason ask_identity(struct enrolment *enrolment)
{
	[[gnu::cleanup(freep)]] char *body = NULL;
	struct line_error error;
	size_t len;
	int status;

	enum enrol_reason reason = ask(enrolment, "/v1/identity", NULL, &body, &len, &status);
	if (reason)
		return reason;
	if (status != 200)
		return conclude(enrolment, ENROL_REFUSED, "The server answered %d: %.300s.", status,
			client_error_text(body));
	if (identity_claim_decode(body, len, &enrolment->claim, &error))
		return conclude(enrolment, ENROL_MALFORMED,
			"What the server sends as its identity is none: %s (byte %zu).", error.what,
			error.at);
	return ENROL_OK;
}

/* ---- the AK ---- */

static enum enrol_reason check_ak(struct enrolment *enrolment)
{
	const struct enrol_options *options = enrolment->options;
	const struct identity_claim *claim = &enrolment->claim;
	const struct ak *pinned = options->ak;
	struct ak *ak = &enrolment->ak;
	char error[AK_ERROR_MAX];

	int err = ak_decode(claim->ak, claim->ak_len, ak, error);
	if (err && err != -EBADMSG)
		return fail(enrolment);
	if (err || !ak->has_name)
		return conclude(enrolment, ENROL_AK_ATTRIBUTES, "The AK cannot attest: %s.",
			err ? error : "of what kind it is was not said");
	const char *fault = ak_attributes_fault(ak->public.attributes);
	if (fault)
		return conclude(enrolment, ENROL_AK_ATTRIBUTES, "The AK cannot attest: %s.", fault);
	if (options->mode == MACHINE_AK_PINNED &&
		(!ak_is_same_key(&ak->public, &pinned->public) ||
			(pinned->has_name &&
				(ak->public.name_len != pinned->public.name_len ||
					memcmp(ak->public.name, pinned->public.name,
						ak->public.name_len) != 0))))
		return conclude(enrolment, ENROL_AK_UNKNOWN, "The AK is %s, pinned is %s.",
			replay_shorten(ak->public.x).text, replay_shorten(pinned->public.x).text);
	return ENROL_OK;
}

/* ---- activation ---- */

static const struct line_field proof_fields[] = {
	{ LINE_KEY("proof"), .type = LINE_HEX, .mark = 1, .min = SHA256_LEN, .max = SHA256_LEN },
	{ 0 },
};

static enum enrol_reason check_proof(struct enrolment *enrolment, const struct ek *ek,
	const uint8_t secret[static ACTIVATION_SECRET_LEN], const char *body, size_t len)
{
	const struct round_peer *peer = &enrolment->options->peer;
	const struct identity_claim *claim = &enrolment->claim;
	uint8_t expected[SHA256_LEN], proof[SHA256_LEN];
	struct line_value marks[2];
	struct line_error error;

	if (line_check_marked(proof_fields, body, len, marks, &error))
		return conclude(enrolment, ENROL_MALFORMED,
			"What the server sends as a proof is none: %s (byte %zu).", error.what,
			error.at);
	line_value_hex(marks[1], proof, sizeof(proof));
	if (activation_proof(secret, peer->binding(peer->arg), claim->ak, claim->ak_len, ek->public,
		    ek->public_len, expected))
		return fail(enrolment);
	if (CRYPTO_memcmp(expected, proof, sizeof(proof)) != 0)
		return conclude(enrolment, ENROL_PROOF,
			"The proof is wrong: it was not made by the TPM with the endorsement key "
			"%s and the AK, or not for this channel.",
			ek_template_name(ek->kind));
	return ENROL_OK;
}

static enum enrol_reason activate(struct enrolment *enrolment, const struct candidate *candidate)
{
	uint8_t secret[ACTIVATION_SECRET_LEN];
	const struct tpms_public *ak = &enrolment->ak.public;
	[[gnu::cleanup(freep)]] char *body = NULL;
	struct credential credential;
	char json[ACTIVATE_BODY_MAX];
	struct line line;
	size_t len;
	int status;

	if (RAND_bytes(secret, sizeof(secret)) != 1)
		return fail(enrolment);
	int err = credential_make(&candidate->ek, ak->name, ak->name_len, secret, &credential);
	if (err == -EBADMSG)
		return conclude(enrolment, ENROL_EK_KEY, "The endorsement key %s is no key.",
			ek_template_name(candidate->ek.kind));
	if (err)
		return fail(enrolment);
	line_init(&line, json, sizeof(json) - 1);
	line_open_object(&line, NULL);
	line_uint(&line, "ek", candidate->index);
	line_base64(&line, "credential", credential.blob, credential.blob_len);
	line_base64(&line, "secret", credential.secret, credential.secret_len);
	line_close_object(&line);
	json[line.len] = '\0';

	enum enrol_reason reason = ask(enrolment, "/v1/activate", json, &body, &len, &status);
	if (reason)
		return reason;
	if (status == 200)
		return check_proof(enrolment, &candidate->ek, secret, body, len);
	return conclude(enrolment, status == 400 ? ENROL_PROOF : ENROL_REFUSED,
		"The server answered %d to a credential for its endorsement key %s: %.300s.",
		status, ek_template_name(candidate->ek.kind), client_error_text(body));
}

/* ---- the EK ---- */

static bool is_known(const struct enrolment *enrolment, const struct ek *ek)
{
	const struct machine *known = enrolment->options->known;

	return known && known->ek_len == ek->public_len &&
		memcmp(known->ek, ek->public, ek->public_len) == 0;
}

static bool goes_before(
	const struct enrolment *enrolment, const struct candidate *a, const struct candidate *b)
{
	bool a_is_known = is_known(enrolment, &a->ek), b_is_known = is_known(enrolment, &b->ek);

	return a_is_known != b_is_known ? a_is_known : a->ek.kind > b->ek.kind;
}

/* The EKs that are of a template, and have what the mode needs, best first. Returns why there is none. */
static enum enrol_reason choose_candidates(struct enrolment *enrolment)
{
	const struct enrol_options *options = enrolment->options;
	enum enrol_reason reason = conclude(enrolment, ENROL_EK_NONE, "%s",
		options->mode == MACHINE_EK_PINNED
			? "None of the endorsement keys that the machine has is the one pinned."
			: "The machine has no endorsement key with a certificate that it shows.");

	for (size_t i = 0; i < enrolment->claim.ek_count; i++) {
		const struct identity_ek *claimed = &enrolment->claim.eks[i];
		struct candidate candidate = { .index = i };
		char error[EK_ERROR_MAX];

		if (options->mode == MACHINE_EK_CERT && !claimed->certificate_len)
			continue;
		if (ek_decode(claimed->public, claimed->public_len, &candidate.ek, error)) {
			reason = conclude(enrolment, ENROL_EK_TEMPLATE,
				"The endorsement key %s cannot be used: %s.", claimed->template,
				error);
			continue;
		}
		int matches = options->mode == MACHINE_EK_PINNED
			? ek_pin_matches(options->ek, &candidate.ek)
			: 1;
		if (matches < 0)
			return fail(enrolment);
		if (!matches)
			continue;
		size_t at = enrolment->candidate_count++;
		for (; at && goes_before(enrolment, &candidate, &enrolment->candidates[at - 1]);
			at--)
			enrolment->candidates[at] = enrolment->candidates[at - 1];
		enrolment->candidates[at] = candidate;
	}
	return enrolment->candidate_count ? ENROL_OK : reason;
}

static enum enrol_reason judge_certificate(
	struct enrolment *enrolment, const struct candidate *candidate, enum machine_tpm *ret_tpm)
{
	static const enum enrol_reason reasons[] = {
		[EK_GOOD] = ENROL_OK,
		[EK_CERTIFICATE] = ENROL_EK_CERTIFICATE,
		[EK_KEY] = ENROL_EK_KEY,
		[EK_CHAIN] = ENROL_EK_CHAIN,
		[EK_FAILED] = ENROL_FAILED,
	};
	const struct identity_ek *claimed = &enrolment->claim.eks[candidate->index];
	char error[EK_ERROR_MAX];

	enum ek_fault fault = ek_certificate_judge(enrolment->options->roots, &candidate->ek,
		claimed->certificate, claimed->certificate_len, ret_tpm, error);
	return fault ? conclude(enrolment, reasons[fault],
			       "The certificate of the endorsement key %s is refused: %s.",
			       ek_template_name(candidate->ek.kind), error)
		     : ENROL_OK;
}

static enum enrol_reason try_ek(struct enrolment *enrolment, const struct candidate *candidate)
{
	const struct enrol_options *options = enrolment->options;
	struct machine *machine = &enrolment->result->machine;
	enum machine_tpm tpm = options->mode == MACHINE_EK_PINNED ? options->word
								  : MACHINE_UNPROVEN;
	enum enrol_reason reason = options->mode == MACHINE_EK_CERT
		? judge_certificate(enrolment, candidate, &tpm)
		: ENROL_OK;

	if (!reason)
		reason = activate(enrolment, candidate);
	if (reason)
		return reason;
	machine->tpm = tpm;
	memcpy(machine->ek, candidate->ek.public, candidate->ek.public_len);
	machine->ek_len = candidate->ek.public_len;
	enrolment->result->template = ek_template_name(candidate->ek.kind);
	return ENROL_OK;
}

/* Whether another EK of the same machine may do where this one did not. */
static bool may_go_on(enum enrol_reason reason)
{
	return reason != ENROL_UNREACHABLE && reason != ENROL_CHANNEL && reason != ENROL_FAILED;
}

static enum enrol_reason check_eks(struct enrolment *enrolment)
{
	char explanation[ENROL_TEXT_MAX];
	enum enrol_reason first = ENROL_OK;

	enum enrol_reason reason = choose_candidates(enrolment);
	if (reason && reason != ENROL_FAILED && enrolment->options->mode == MACHINE_FIRST_USE)
		return ENROL_OK;
	for (size_t i = 0; i < enrolment->candidate_count; i++) {
		reason = try_ek(enrolment, &enrolment->candidates[i]);
		if (!reason || !may_go_on(reason))
			return reason;
		if (first)
			continue;
		first = reason;
		memcpy(explanation, enrolment->result->explanation, sizeof(explanation));
	}
	return first ? conclude(enrolment, first, "%s", explanation) : reason;
}

/* ---- all of it ---- */

/* What a key is called by in explanations: of an AK the same as elsewhere. */
static int fingerprint(
	const struct machine *machine, bool is_ak, uint8_t ret_digest[static SHA256_LEN])
{
	struct tpms_public ak;
	struct tpms_error error;

	if (!is_ak)
		return sha256(machine->ek, machine->ek_len, ret_digest);
	int err = tpms_public_decode(machine->ak, machine->ak_len, &ak, &error);
	if (!err)
		memcpy(ret_digest, ak.x, SHA256_LEN);
	return err;
}

static enum enrol_reason check_changed(struct enrolment *enrolment)
{
	const struct machine *known = enrolment->options->known, *now = &enrolment->result->machine;
	bool is_ak = now->ak_len != known->ak_len || memcmp(now->ak, known->ak, now->ak_len) != 0;
	bool is_ek = now->ek_len != known->ek_len || memcmp(now->ek, known->ek, now->ek_len) != 0;
	uint8_t before[SHA256_LEN], after[SHA256_LEN];

	if (!is_ak && !is_ek && (now->mode != MACHINE_FIRST_USE || known->mode == now->mode))
		return ENROL_OK;
	if (!is_ak && !is_ek)
		return conclude(enrolment, ENROL_CHANGED,
			"%s is enrolled with %s, and now nobody is to vouch for its keys: --replace takes "
			"that, and forgets all that was remembered of it.",
			now->name, machine_mode_name(known->mode));
	if (fingerprint(known, is_ak, before) || fingerprint(now, is_ak, after))
		return fail(enrolment);
	const struct replay_short was = replay_shorten(before), is = replay_shorten(after);
	return conclude(enrolment, ENROL_CHANGED,
		"%s is enrolled with the %s %s, and shows %s: --replace takes it, and forgets all "
		"that was remembered of it.",
		now->name, is_ak ? "AK" : "EK", is_ak || known->ek_len ? was.text : "(none)",
		is_ak || now->ek_len ? is.text : "(none)");
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void describe(struct enrolment *enrolment)
{
	static const char *const ways[] = {
		[MACHINE_EK_CERT] = "the certificate of its EK leads to a root, and one TPM has "
				    "both",
		[MACHINE_EK_PINNED] = "its EK is the one given, and one TPM has both",
		[MACHINE_AK_PINNED] = "it is the one given; nothing was asked of an EK",
		[MACHINE_FIRST_USE] = "taken as it came; one TPM has it and an EK, for which "
				      "nobody vouches",
	};
	enum machine_mode mode = enrolment->options->mode;
	const char *way = mode == MACHINE_FIRST_USE && !enrolment->result->template
		? "taken as it came, without an EK; nobody vouches for it"
		: ways[mode];

	conclude(enrolment, ENROL_OK, "The AK is %s: %s.",
		replay_shorten(enrolment->ak.public.x).text, way);
}

static enum enrol_reason run(struct enrolment *enrolment)
{
	const struct enrol_options *options = enrolment->options;
	const struct identity_claim *claim = &enrolment->claim;
	struct machine *machine = &enrolment->result->machine;

	enum enrol_reason reason = ask_identity(enrolment);
	if (!reason)
		reason = check_ak(enrolment);
	if (!reason && claim->pcr != options->pcr)
		reason = conclude(enrolment, ENROL_PCR,
			"The agent measures into PCR %u, asked for is %u.", claim->pcr,
			options->pcr);
	if (reason)
		return reason;
	memcpy(machine->ak, claim->ak, claim->ak_len);
	machine->ak_len = claim->ak_len;
	if (options->mode == MACHINE_AK_PINNED)
		machine->tpm = options->word;
	else
		reason = check_eks(enrolment);
	if (reason)
		return reason;
	if (claim->software)
		machine->tpm = MACHINE_SOFTWARE;
	if (options->require_hardware && machine->tpm != MACHINE_HARDWARE)
		return conclude(enrolment, ENROL_NOT_HARDWARE, "The TPM is not a hardware TPM: %s.",
			claim->software ? "the agent itself says software"
					: machine_tpm_name(machine->tpm));
	if (options->known && !options->replace)
		reason = check_changed(enrolment);
	if (!reason)
		describe(enrolment);
	return reason;
}

void enrol(const struct enrol_options *options, struct enrol_result *ret_result)
{
	struct machine *machine = &ret_result->machine;
	struct enrolment *enrolment = calloc(1, sizeof(*enrolment));

	*ret_result = (struct enrol_result){
		.reason = ENROL_FAILED,
		.explanation = "There is not enough memory.",
		.machine = {
			.mode = options->mode,
			.pcr = options->pcr,
			.base_banks = options->base_banks,
			.enrolled_ns = now_ns(),
		},
	};
	if (!enrolment)
		return;
	snprintf(machine->name, sizeof(machine->name), "%s", options->name);
	snprintf(machine->address, sizeof(machine->address), "%s", options->address);
	if (options->base_banks)
		machine->base = *options->base;
	enrolment->options = options;
	enrolment->result = ret_result;
	ret_result->reason = run(enrolment);
	free(enrolment);
}
