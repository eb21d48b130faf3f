// SPDX-License-Identifier: BSD-2-Clause
#include "cli/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"

void ask_closep(FILE **answer)
{
	if (*answer)
		fclose(*answer);
}

[[gnu::format(printf, 3, 4)]] static int fail(
	char error[static ASK_ERROR_MAX], int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error, ASK_ERROR_MAX, fmt, args);
	va_end(args);
	return err;
}

/* Returns a descriptor or a negative errno. */
static int dial(const char *path, unsigned timeout_s, char error[static ASK_ERROR_MAX])
{
	const struct timeval timeout = { .tv_sec = timeout_s };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return fail(error, -EINVAL, "\"%s\" is not the path of a socket", path);
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, -errno, "%s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
		connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int err = -errno;
	close(fd);
	if (err == -ENOENT || err == -ECONNREFUSED)
		return fail(error, err, "no daemon answers at %s%s", path, cli_socket_hint(path));
	return fail(error, err, "%s: %s%s", path, strerror(-err),
		err == -EACCES ? cli_group_hint() : "");
}

static int send_request(int fd, const struct ask_request *request, char error[static ASK_ERROR_MAX])
{
	struct ask_request copy = *request;

	memcpy(copy.magic, ASK_MAGIC, sizeof(copy.magic));
	copy.zero = 0;
	ssize_t sent = send(fd, &copy, sizeof(copy), MSG_NOSIGNAL);
	if (sent == (ssize_t)sizeof(copy))
		return 0;
	return fail(error, sent < 0 ? -errno : -EIO, "the daemon takes no request: %s",
		strerror(sent < 0 ? errno : EIO));
}

/* What the measurer says when it cannot answer. */
static int read_refusal(FILE *stream, uint32_t code, char error[static ASK_ERROR_MAX])
{
	char text[ASK_ERROR_MAX / 2];

	if (!fgets(text, sizeof(text), stream))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	return fail(error, code <= 4095 ? -(int)code : -EPROTO, "the daemon says: %s",
		*text ? text : strerror((int)code));
}

static int read_head(FILE *stream, char error[static ASK_ERROR_MAX])
{
	struct ask_answer answer;

	errno = 0;
	if (fread(&answer, sizeof(answer), 1, stream) != 1) {
		if (errno == EAGAIN)
			return fail(error, -ETIMEDOUT, "the daemon does not answer in time");
		return fail(error, -EPROTO, "the daemon closed the connection without an answer");
	}
	if (memcmp(answer.magic, ASK_MAGIC, sizeof(answer.magic)) != 0 || answer.zero != 0)
		return fail(error, -EPROTO, "what answers is no daemon of this version");
	return answer.error ? read_refusal(stream, answer.error, error) : 0;
}

int ask(const char *path, const struct ask_request *request, unsigned timeout_s, FILE **ret_answer,
	char ret_error[static ASK_ERROR_MAX])
{
	[[gnu::cleanup(ask_closep)]] FILE *stream = NULL;

	int fd = dial(path, timeout_s, ret_error);
	if (fd < 0)
		return fd;
	stream = fdopen(fd, "r");
	if (!stream) {
		close(fd);
		return fail(ret_error, -ENOMEM, "%s", strerror(ENOMEM));
	}
	int r = send_request(fd, request, ret_error);
	if (r == 0)
		r = read_head(stream, ret_error);
	if (r < 0)
		return r;
	*ret_answer = stream;
	stream = NULL;
	return 0;
}
