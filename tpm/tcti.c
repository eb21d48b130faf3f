/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to the TPM, as ESYS wants it: a TCTI of our own, because a command that is never answered
 * must end. The swtpm TCTI of tpm2-tss 3.2 waits for ever whatever it is told, the one-call functions
 * of ESYS tell every TCTI to, and some of them send more than one command: here, each command that
 * is sent has its limit, whoever sends it.
 *
 * TSS 2.0 TPM Command Transmission Interface (TCTI) API Specification.
 */
#include "tpm/context.h"
#include "tpm/tpm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <unistd.h>

enum {
	HEADER_LEN = 10, /* tag, length, response code */
	RESPONSE_MAX = 4096, /* of any TPM, and what the kernel passes */
};

static const char device_prefix[] = "device:", swtpm_prefix[] = "swtpm:path=";

struct tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first: ESYS has a pointer to it */
	struct tpm *tpm;
	bool is_device;
	bool sent; /* a command that is not answered yet */
	int fd; /* of a software TPM only while a command is under way */
	struct sockaddr_un address;
	struct timespec deadline;
	size_t len; /* of what has come of the answer */
	uint8_t answer[RESPONSE_MAX];
};

[[gnu::format(printf, 3, 4)]] static TSS2_RC trouble(
	struct tpm *tpm, TSS2_RC rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(tpm->trouble, sizeof(tpm->trouble), format, args);
	va_end(args);
	return rc;
}

static TSS2_RC no_answer(struct tcti *tcti)
{
	return trouble(tcti->tpm, TSS2_TCTI_RC_IO_ERROR,
		"no answer within %u ms ([tpm] timeout in agent.conf)", tcti->tpm->timeout_ms);
}

static TSS2_RC broken(struct tcti *tcti, const char *doing)
{
	if (errno == EAGAIN)
		return no_answer(tcti);
	return trouble(tcti->tpm, TSS2_TCTI_RC_IO_ERROR, "%s: %s", doing, strerror(errno));
}

/* ---- time ----------------------------------------------------------------------------------- */

static void deadline_set(struct tcti *tcti)
{
	unsigned ms = tcti->tpm->timeout_ms;

	clock_gettime(CLOCK_MONOTONIC, &tcti->deadline);
	tcti->deadline.tv_sec += ms / 1000;
	tcti->deadline.tv_nsec += ms % 1000 * 1000000L;
}

/* For poll(2), which may wake up a little early: never 0 before the time has come. */
static int ms_left(const struct tcti *tcti)
{
	struct timespec now;

	if (!tcti->tpm->timeout_ms)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long long ns = (tcti->deadline.tv_sec - now.tv_sec) * 1000000000LL +
		tcti->deadline.tv_nsec - now.tv_nsec;
	long long ms = ns > 0 ? (ns + 999999) / 1000000 : 0;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* 1 when there is something to read, 0 when the time is up, -1 with errno. */
static int wait_readable(const struct tcti *tcti)
{
	struct pollfd pollfd = { .fd = tcti->fd, .events = POLLIN };
	int n;

	do
		n = poll(&pollfd, 1, ms_left(tcti));
	while (n < 0 && errno == EINTR);
	return n;
}

/* ---- a command and its answer --------------------------------------------------------------- */

/* A connection for one command: swtpm serves one at a time, and others want their turn. */
static TSS2_RC swtpm_dial(struct tcti *tcti)
{
	const unsigned ms = tcti->tpm->timeout_ms;
	const struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	tcti->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* For connect(2) too, which waits where too many wait already. */
	if (tcti->fd < 0 || setsockopt(tcti->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return broken(tcti, "socket");
	if (TEMP_FAILURE_RETRY(connect(
		    tcti->fd, (const struct sockaddr *)&tcti->address, sizeof(tcti->address))) < 0)
		return broken(tcti, tcti->address.sun_path);
	return TSS2_RC_SUCCESS;
}

static void hang_up(struct tcti *tcti)
{
	if (tcti->fd >= 0)
		close(tcti->fd);
	tcti->fd = -1;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t len, const uint8_t *command)
{
	struct tcti *tcti = (struct tcti *)context;
	TSS2_RC rc;

	if (tcti->sent)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	tcti->tpm->trouble[0] = '\0';
	tcti->len = 0;
	deadline_set(tcti);
	if (!tcti->is_device && (rc = swtpm_dial(tcti))) {
		hang_up(tcti);
		return rc;
	}
	ssize_t n = TEMP_FAILURE_RETRY(tcti->is_device
			? write(tcti->fd, command, len)
			: sendto(tcti->fd, command, len, MSG_NOSIGNAL, NULL, 0));
	tcti->sent = n == (ssize_t)len;
	if (tcti->sent)
		return TSS2_RC_SUCCESS;
	if (n >= 0)
		errno = EAGAIN; /* a socket takes a part of a command only when its time is up */
	rc = broken(tcti, "sending");
	if (!tcti->is_device)
		hang_up(tcti);
	return rc;
}

/* How long the answer is, as far as it has come; more than RESPONSE_MAX where it makes no sense. */
static size_t answer_len(const struct tcti *tcti)
{
	const uint8_t *p = tcti->answer + 2;

	if (tcti->len < HEADER_LEN)
		return HEADER_LEN;
	size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return len >= tcti->len ? len : SIZE_MAX;
}

static TSS2_RC read_answer(struct tcti *tcti)
{
	while (tcti->len < answer_len(tcti)) {
		if (answer_len(tcti) > RESPONSE_MAX)
			return trouble(tcti->tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE,
				"an answer that is none");

		int ready = wait_readable(tcti);
		if (ready == 0)
			return no_answer(tcti);
		ssize_t n = ready < 0 ? -1
				      : read(tcti->fd, tcti->answer + tcti->len,
						sizeof(tcti->answer) - tcti->len);
		if (n == 0)
			return trouble(tcti->tpm, TSS2_TCTI_RC_NO_CONNECTION,
				"closed before the answer was complete");
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return broken(tcti, "receiving");
		tcti->len += n > 0 ? (size_t)n : 0;
	}
	return TSS2_RC_SUCCESS;
}

/* The limit is ours, set when the command was sent: what the caller says of time is not heard. */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *len, uint8_t *answer, int32_t)
{
	struct tcti *tcti = (struct tcti *)context;

	if (!tcti->sent)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	TSS2_RC rc = read_answer(tcti);
	if (rc)
		return rc;

	bool fits = answer && *len >= tcti->len;
	*len = tcti->len;
	if (!fits)
		return answer ? TSS2_TCTI_RC_INSUFFICIENT_BUFFER : TSS2_RC_SUCCESS;
	memcpy(answer, tcti->answer, tcti->len);
	tcti->sent = false;
	if (!tcti->is_device)
		hang_up(tcti);
	return TSS2_RC_SUCCESS;
}

/* ---- opening and closing -------------------------------------------------------------------- */

/*
 * The kernel waits in close(2) for a command that is under way, minutes perhaps, and would make every
 * other command wait for it too. So the descriptor is kept until the answer is there, and there is
 * no other before.
 */
static bool is_answered(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

static TSS2_RC device_open(struct tcti *tcti, const char *path)
{
	struct tpm *tpm = tcti->tpm;

	if (tpm->unanswered >= 0) {
		if (!is_answered(tpm->unanswered))
			return trouble(tpm, TSS2_TCTI_RC_NO_CONNECTION,
				"the last command has not been answered yet");
		/* Nobody wants it any more; the kernel's devices forget it by themselves. */
		(void)!read(tpm->unanswered, tcti->answer, sizeof(tcti->answer));
		close(tpm->unanswered);
		tpm->unanswered = -1;
	}
	/* Without O_NONBLOCK the write itself would wait for the TPM, and no limit would hold. */
	tcti->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return tcti->fd < 0 ? broken(tcti, path) : TSS2_RC_SUCCESS;
}

static TSS2_RC swtpm_open(struct tcti *tcti, const char *path)
{
	if (strlen(path) >= sizeof(tcti->address.sun_path))
		return trouble(tcti->tpm, TSS2_TCTI_RC_BAD_VALUE, "%s: too long", path);
	tcti->address.sun_family = AF_UNIX;
	strcpy(tcti->address.sun_path, path);
	return TSS2_RC_SUCCESS;
}

bool tpm_tcti_is_swtpm(const char *name)
{
	return strncmp(name, swtpm_prefix, strlen(swtpm_prefix)) == 0;
}

uint32_t tpm_tcti_open(struct tpm *tpm, TSS2_TCTI_CONTEXT **ret_tcti)
{
	const char *name = tpm->tcti;
	struct tcti *tcti = calloc(1, sizeof(*tcti));
	TSS2_RC rc;

	tpm->trouble[0] = '\0';
	if (!tcti)
		return TSS2_TCTI_RC_MEMORY;
	tcti->common.version = 1;
	tcti->common.transmit = transmit;
	tcti->common.receive = receive;
	tcti->tpm = tpm;
	tcti->fd = -1;
	tcti->is_device = !tpm_tcti_is_swtpm(name);
	if (!tcti->is_device)
		rc = swtpm_open(tcti, name + strlen(swtpm_prefix));
	else if (strncmp(name, device_prefix, strlen(device_prefix)) == 0)
		rc = device_open(tcti, name + strlen(device_prefix));
	else
		rc = trouble(tpm, TSS2_TCTI_RC_BAD_VALUE, "neither %sPATH nor %sSOCKET",
			device_prefix, swtpm_prefix);
	if (rc)
		free(tcti);
	else
		*ret_tcti = (TSS2_TCTI_CONTEXT *)tcti;
	return rc;
}

void tpm_tcti_close(TSS2_TCTI_CONTEXT **context)
{
	struct tcti *tcti = (struct tcti *)*context;

	if (!tcti)
		return;
	if (tcti->is_device && tcti->sent && !is_answered(tcti->fd)) {
		assert(tcti->tpm->unanswered < 0);
		tcti->tpm->unanswered = tcti->fd;
		tcti->fd = -1;
	}
	hang_up(tcti);
	free(tcti);
	*context = NULL;
}
