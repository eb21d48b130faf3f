/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/round.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/client.h"
#include "attest/round_own.h"
#include "bpf/line.h"

enum {
	TRIES_MAX = 5, /* rounds of other processes that may come between */
	SIEVE_MIN = 64 * 1024, /* bytes, a statement and more */
	CHALLENGE_MAX = 160, /* bytes of its body */
	ERROR_BODY_MAX = 200, /* bytes shown of what a server says where it refuses */
};

static const struct verify_result no_evidence = {
	.verdict = VERIFY_UNKNOWN,
	.reason = VERIFY_FAILED,
};

/* ---- the result ---- */

void round_note(struct round *round, const char *format, ...)
{
	struct verify_result *evidence = &round->result->evidence;
	va_list args;

	if (evidence->note_count == VERIFY_NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(evidence->notes[evidence->note_count++], VERIFY_NOTE_MAX, format, args);
	va_end(args);
}

void round_conclude(struct round *round, enum verify_verdict verdict, const char *reason,
	const char *format, ...)
{
	struct round_result *result = round->result;
	va_list args;

	result->verdict = verdict;
	snprintf(result->reason, sizeof(result->reason), "%s", reason);
	va_start(args, format);
	vsnprintf(result->explanation, sizeof(result->explanation), format, args);
	va_end(args);
}

/* What was found cannot be remembered, and neither is the verdict. */
static void conclude_memory(struct round *round, int err)
{
	const char *what = memory_errmsg(round->options->memory);

	if (err == -ENOMEM)
		what = "not enough memory";
	else if (err == -ENODATA)
		what = "the evidence, in a temporary file, cannot be read again";
	round_conclude(round, VERIFY_UNKNOWN, "memory", "The verifier's memory: %s.", what);
}

void round_result_done(struct round_result *result)
{
	free(result->violations);
	result->violations = NULL;
	if (result->stream)
		fclose(result->stream);
	result->stream = NULL;
}

uint64_t round_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * ROUND_SECOND_NS + (uint64_t)now.tv_nsec;
}

/* ---- the question ---- */

/* The body of a challenge, a string. */
static void challenge_encode(const struct round *round, char ret_json[static CHALLENGE_MAX])
{
	struct line line;

	line_init(&line, ret_json, CHALLENGE_MAX - 1);
	line_open_object(&line, NULL);
	line_hex(&line, "nonce", round->nonce, SHA256_LEN);
	line_uint(&line, "since", round->since);
	line_close_object(&line);
	ret_json[line.len] = '\0';
}

/* By an answer that is none. */
static void conclude_unreachable(struct round *round, int err)
{
	const struct round_peer *peer = &round->options->peer;
	const char *reason = err == -EMSGSIZE ? "too-large" : err == -EPROTO ? "channel" : "failed";

	if (err == -ECONNREFUSED || err == -EHOSTUNREACH || err == -ETIMEDOUT)
		reason = "unreachable";
	round_conclude(round, VERIFY_UNKNOWN, reason, "%s.", peer->errmsg(peer->arg));
}

/* The server says why, in JSON or otherwise; it may be anybody. */
static void conclude_refused(struct round *round, int status)
{
	char body[ERROR_BODY_MAX + 1];

	rewind(round->evidence);
	size_t len = fread(body, 1, ERROR_BODY_MAX, round->evidence);
	while (len && (body[len - 1] == '\n' || body[len - 1] == '\r'))
		len--;
	body[len] = '\0';
	for (char *c = body; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	round_conclude(round, VERIFY_UNKNOWN, "refused", "The server answered %d: %s.", status,
		client_error_text(body));
}

static void drop_evidence(struct round *round)
{
	if (round->evidence)
		fclose(round->evidence);
	round->evidence = NULL;
}

static void verify(struct round *round, bool is_statement, struct verify_result *result)
{
	const struct round_peer *peer = &round->options->peer;
	const struct machine *machine = &round->result->machine;
	struct ak ak;
	char error[AK_ERROR_MAX];

	*result = no_evidence;
	if (ak_decode(machine->ak, machine->ak_len, &ak, error)) {
		snprintf(result->explanation, sizeof(result->explanation),
			"The AK of its enrolment: %s.", error);
		return;
	}
	const struct verify_options options = {
		.ak = &ak,
		.pcr = machine->pcr,
		.nonce = round->nonce,
		.binding = peer->binding(peer->arg),
		.base_banks = machine->base_banks,
		.base = machine->base_banks ? &machine->base : NULL,
		.after = round->proven.is_known ? &round->proven.anchor : NULL,
		.is_statement = is_statement,
		.has_gap = true,
	};
	rewind(round->evidence);
	verify_evidence(round->evidence, &options, result);
}

static void verify_answer(struct round *round)
{
	struct verify_result *result = &round->result->evidence;

	verify(round, false, result);
	round->result->has_evidence = result->reason != VERIFY_FAILED;
}

/*
 * Where an answer's bytes go. Anybody may send it, and as many as --max-size allows: what is longer than
 * errors are has to begin with a good statement, or the rest is not taken.
 */
struct sieve {
	struct round *round;
	uint64_t len;
	bool is_looked_at, is_refused;
};

static ssize_t sieve_write(void *arg, const char *bytes, size_t len)
{
	struct sieve *sieve = arg;
	FILE *evidence = sieve->round->evidence;
	struct verify_result result;

	if (sieve->is_refused || fwrite(bytes, 1, len, evidence) != len)
		return 0;
	sieve->len += len;
	if (sieve->len <= SIEVE_MIN || sieve->is_looked_at)
		return (ssize_t)len;
	sieve->is_looked_at = true;
	if (fflush(evidence)) /* rewind() would pass over it */
		return 0;
	verify(sieve->round, true, &result);
	sieve->is_refused = result.reason != VERIFY_OK;
	return sieve->is_refused || fseek(evidence, 0, SEEK_END) ? 0 : (ssize_t)len;
}

/*
 * As the peer's request; 0 where a conclusion was written. What was refused by its statement counts as
 * answered: verifying it says why.
 */
static int request(struct round *round, const char *json)
{
	const struct round_peer *peer = &round->options->peer;
	struct sieve sieve = { .round = round };
	FILE *into = fopencookie(&sieve, "w", (cookie_io_functions_t){ .write = sieve_write });

	if (!into) {
		round_conclude(round, VERIFY_UNKNOWN, "failed", "There is not enough memory.");
		return 0;
	}
	int status = peer->request(peer->arg, "/v1/attest", json, into);
	fclose(into); /* what did not get there shows in the evidence's own stream */
	return sieve.is_refused ? 200 : status;
}

/* Returns the HTTP status, or 0 where a conclusion was written. */
static int ask(struct round *round)
{
	const struct round_options *options = round->options;
	char json[CHALLENGE_MAX];

	drop_evidence(round);
	round->evidence = tmpfile();
	if (!round->evidence || RAND_bytes(round->nonce, SHA256_LEN) != 1) {
		round_conclude(round, VERIFY_UNKNOWN, "failed", "%s.",
			round->evidence ? "OpenSSL has no random bytes"
					: "A temporary file cannot be made");
		return 0;
	}
	round->asked_ns = round_now_ns();
	int err = memory_nonce_put(
		options->memory, options->machine, round->nonce, round->asked_ns);
	if (err) {
		conclude_memory(round, err);
		return 0;
	}
	challenge_encode(round, json);
	int status = request(round, json);
	if (status < 0)
		conclude_unreachable(round, status);
	else if (fflush(round->evidence) || ferror(round->evidence))
		round_conclude(round, VERIFY_UNKNOWN, "failed", "The evidence cannot be written.");
	else
		return status;
	return 0;
}

/* Whether more than what is new is needed to judge what is new. */
static bool needs_all(const struct round *round)
{
	const struct verify_result *evidence = &round->result->evidence;

	if (evidence->reason == VERIFY_START)
		return true; /* the server may have lost where the last evidence ended */
	return evidence->is_proven && round->options->policy && round->proven.is_partial &&
		evidence->end.seq > round->proven.anchor.seq;
}

/* Get evidence. Returns whether there is some; where not, a conclusion was written. */
static bool challenge(struct round *round)
{
	int status = ask(round);

	/* A log that was rolled back, for example: shown as a whole, it proves that. */
	if (status == 400 && round->since) {
		round->since = 0;
		status = ask(round);
	}
	if (status == 200)
		verify_answer(round);
	if (status == 200 && round->since && needs_all(round)) {
		round->is_whole = round->is_whole || round->proven.is_partial;
		round->since = 0;
		/* What came first counts no more, whatever comes now. */
		round->result->has_evidence = false;
		round->result->evidence = no_evidence;
		status = ask(round);
		if (status == 200)
			verify_answer(round);
	}
	if (status && status != 200)
		conclude_refused(round, status);
	return status == 200;
}

/* ---- the answer ---- */

bool round_is_newer(const struct round *round)
{
	const struct verify_result *evidence = &round->result->evidence;

	return evidence->is_proven &&
		(!round->proven.is_known || evidence->end.seq > round->proven.anchor.seq);
}

uint64_t round_epoch_seq(const struct round *round)
{
	uint64_t reset_seq = round->result->evidence.facts.reset_seq;

	return reset_seq > round->proven.epoch_seq ? reset_seq : round->proven.epoch_seq;
}

static void set_unshown(struct round *round, const char *when, uint64_t first, uint64_t last)
{
	snprintf(round->unshown, sizeof(round->unshown),
		"Records %" PRIu64 "-%" PRIu64 " %s were asked for, and not shown.", first, last,
		when);
}

/*
 * Without the beginning of its boot, evidence begins with a kept quote, or where the last one ended. The
 * server chose that, and what it left out no policy has seen that should have.
 */
static void find_unshown(struct round *round)
{
	uint64_t first = round->result->evidence.facts.first;
	uint64_t from = round->is_whole ? round->proven.epoch_seq : round->proven.anchor.seq + 1;

	round->judged_from = round->is_whole ? 1 : from;
	if (round->result->evidence.facts.reset_seq || first <= from)
		return;
	if (!round->proven.is_known && !round->options->policy)
		return; /* noted: it claims no more than what it saw */
	if (round->is_whole)
		round->judged_from = first;
	round->is_boot_short = true;
	set_unshown(round, "of this boot", from ? from : 1, first - 1);
}

/* What came before the epoch that the evidence begins with. Returns false where the server is not there
 * any more: a conclusion was written. */
static bool look_back(struct round *round)
{
	struct verify_result *evidence = &round->result->evidence;
	uint64_t known = round->proven.anchor.seq, first = evidence->facts.first;

	if (!evidence->is_proven)
		return true;
	find_unshown(round);
	if (round->unshown[0] || !round->proven.is_known || first <= known + 1)
		return true;
	switch (round_gap_get(round)) {
	case GAP_SHOWN:
		if (round->gap.first > known + 1)
			set_unshown(round, "before this boot", known + 1, round->gap.first - 1);
		return true;
	case GAP_MISSING:
		set_unshown(round, "before this boot", known + 1, first - 1);
		return true;
	case GAP_UNREACHABLE:
		round->result->has_evidence = false;
		round->result->evidence = no_evidence;
		round_conclude(round, VERIFY_UNKNOWN, "unreachable",
			"What was recorded before this boot could not be had.");
		return false;
	case GAP_FORK:
		evidence->is_proven = false;
		evidence->verdict = VERIFY_UNTRUSTED;
		evidence->reason = VERIFY_FORK;
		snprintf(evidence->explanation, sizeof(evidence->explanation),
			"Record %" PRIu64 " does not follow record %" PRIu64
			" as it was proven before, and later ones follow it: the log has been "
			"rewritten.",
			known + 1, known);
	}
	return true;
}

static void judge(struct round *round)
{
	if (!round->options->policy || !round->result->evidence.is_proven ||
		!(round->is_whole || round_is_newer(round)))
		return;
	if (round_judge(round))
		round->found.standing = -EIO;
	if (round->found.standing < 0)
		round->is_unfinished = true;
	if (round->found.past)
		round_note(round,
			"in an epoch that has ended policies find %" PRIu64
			" violation%s; the first: record %" PRIu64 ", %s",
			round->found.past, round->found.past == 1 ? "" : "s",
			round->found.first_past.seq, round->found.first_past.rule);
}

static int write_down(struct round *round, bool is_answered)
{
	struct memory *memory = round->options->memory;
	int r = memory_begin(memory, round->options->machine, round->proven.round);

	if (!r)
		r = round_remember(round, is_answered);
	if (!r)
		r = memory_commit(memory);
	if (r)
		memory_rollback(memory);
	return r;
}

/* ---- the whole ---- */

static int load(struct round *round)
{
	const struct round_options *options = round->options;
	struct memory *memory = options->memory;
	int r = memory_machine_get(memory, options->machine, &round->result->machine);

	if (!r)
		r = memory_proven_get(memory, options->machine, &round->proven);
	if (r)
		return r;
	if (options->policy)
		policy_digest(options->policy, round->policy_digest);
	round->is_whole = options->policy &&
		(!round->proven.is_known ||
			memcmp(round->proven.policy, round->policy_digest, SHA256_LEN) != 0);
	round->since = round->is_whole ? 0 : round->proven.anchor.seq;
	return 0;
}

static void done(struct round *round)
{
	drop_evidence(round);
	if (round->gap.file)
		fclose(round->gap.file);
	free(round->records.list);
	free(round->records.unloads);
	free(round->found.list);
}

static void begin_result(struct round_result *result)
{
	*result = (struct round_result){ .verdict = VERIFY_UNKNOWN, .evidence = no_evidence };
}

/* Once. Returns -ESTALE where another process had a round with this machine meanwhile. */
static int try_round(const struct round_options *options, struct round_result *result)
{
	[[gnu::cleanup(done)]] struct round round = { .options = options, .result = result };

	begin_result(result);
	int r = load(&round);
	if (r == -ENOENT)
		return r;
	if (r) {
		conclude_memory(&round, r);
		return 0;
	}
	bool is_answered = challenge(&round) && look_back(&round);
	if (is_answered)
		judge(&round);
	r = write_down(&round, is_answered);
	if (r == -ESTALE)
		return r;
	if (r)
		conclude_memory(&round, r);
	result->is_remembered = r == 0;
	result->stream = round.evidence;
	round.evidence = NULL;
	return 0;
}

int round_run(const struct round_options *options, struct round_result *ret_result)
{
	int r = -ESTALE;

	for (int i = 0; i < TRIES_MAX && r == -ESTALE; i++) {
		r = try_round(options, ret_result);
		if (r)
			round_result_done(ret_result);
	}
	if (r == -ESTALE) {
		struct round round = { .options = options, .result = ret_result };
		round_conclude(&round, VERIFY_UNKNOWN, "memory",
			"Other rounds with this machine came between, time after time.");
		r = 0;
	}
	return r;
}

int round_crashed(struct memory *memory, const char *machine, const char *explanation,
	struct round_result *ret_result)
{
	const struct round_options options = { .memory = memory, .machine = machine };
	struct round round = {
		.options = &options, .result = ret_result, .asked_ns = round_now_ns()
	};

	begin_result(ret_result);
	int r = load(&round);
	if (r == -ENOENT)
		return r;
	round_conclude(&round, VERIFY_UNKNOWN, "crashed", "%s", explanation);
	if (!r)
		r = write_down(&round, false);
	ret_result->is_remembered = r == 0;
	return 0;
}
