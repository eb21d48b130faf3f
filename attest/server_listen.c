// SPDX-License-Identifier: BSD-2-Clause
#include "attest/server_own.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(char error[static SERVER_ERROR_MAX], const char *where, const char *what, int err)
{
	snprintf(error, SERVER_ERROR_MAX, "%s: %s", where, what);
	return err;
}

/* Take an address apart: brackets around one that has colons of its own. */
static int split(const char *where, char ret_host[static SERVER_PATH_SIZE], const char **ret_port)
{
	const char *colon = strrchr(where, ':');
	bool has_brackets = *where == '[';
	size_t len;

	if (!colon || !colon[1] || strlen(where) >= SERVER_PATH_SIZE)
		return -EINVAL;
	/* The resolver would take the port modulo 2^16. */
	len = strlen(colon + 1);
	if (len > 5 || strspn(colon + 1, "0123456789") != len || atoi(colon + 1) > UINT16_MAX)
		return -EINVAL;
	len = (size_t)(colon - where);
	if (has_brackets) {
		if (len < 3 || where[len - 1] != ']')
			return -EINVAL;
		where++;
		len -= 2;
	}
	if (!len || (!has_brackets && memchr(where, ':', len)))
		return -EINVAL;
	memcpy(ret_host, where, len);
	ret_host[len] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int tcp_open(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, err;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
		!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, LISTEN_BACKLOG))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int listen_tcp(const char *where, char ret_error[static SERVER_ERROR_MAX])
{
	static const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	char host[SERVER_PATH_SIZE];
	struct addrinfo *address;
	const char *port;

	if (split(where, host, &port) || getaddrinfo(host, port, &hints, &address))
		return fail(ret_error, where, "not ADDRESS:PORT or [ADDRESS]:PORT", -EINVAL);
	int fd = tcp_open(address);
	freeaddrinfo(address);
	return fd < 0 ? fail(ret_error, where, strerror(-fd), fd) : fd;
}

int listen_local(const char *path, const char *group, char ret_error[static SERVER_ERROR_MAX])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct group *entry = getgrnam(group);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return fail(ret_error, path, strerror(errno), -errno);
	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	unlink(path);
	mode_t old = umask(0117);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		(entry && chown(path, (uid_t)-1, entry->gr_gid)) || listen(fd, LISTEN_BACKLOG))
		err = -errno;
	umask(old);
	if (!err)
		return fd;
	close(fd);
	return fail(ret_error, path, strerror(-err), err);
}
