/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COUNTS_MS = 10 * 1000 };

[[gnu::format(printf, 2, 3)]] static bool tell(struct notify *notify, const char *format, ...)
{
	char text[NOTIFY_STATUS_MAX + 64];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return notify->fd >= 0 && len > 0 && (size_t)len < sizeof(text) &&
		sendto(notify->fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
			(const struct sockaddr *)&notify->address, notify->address_len) == len;
}

static void open_socket(struct notify *notify, const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
		len >= sizeof(notify->address.sun_path))
		return;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, name, len);
	if (name[0] == '@')
		notify->address.sun_path[0] = 0;
	notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void notify_init(struct notify *notify, const char *name, uint64_t watchdog_us, uint64_t pause_ms)
{
	memset(notify, 0, sizeof(*notify));
	notify->fd = -1;
	notify->watchdog_ms = watchdog_us / 1000;
	notify->pause_ms = pause_ms;
	if (name)
		open_socket(notify, name);
	if (notify->watchdog_ms && notify->watchdog_ms < pause_ms)
		tell(notify, "WATCHDOG_USEC=%" PRIu64, pause_ms * 1000);
}

void notify_done(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

void notify_alive(struct notify *notify, uint64_t now_ms)
{
	if (!notify->ready)
		tell(notify, "EXTEND_TIMEOUT_USEC=%" PRIu64, notify->pause_ms * 1000);
	else if (notify->watchdog_ms && now_ms - notify->alive_ms >= notify->watchdog_ms / 4 &&
		tell(notify, "WATCHDOG=1"))
		notify->alive_ms = now_ms;
}

void notify_ready(struct notify *notify)
{
	if (!notify->ready)
		notify->ready = tell(notify, "READY=1");
}

void notify_status(struct notify *notify, uint64_t now_ms, const char *text, bool is_urgent)
{
	if (!strcmp(notify->status, text) ||
		(!is_urgent && notify->status_ms && now_ms - notify->status_ms < COUNTS_MS) ||
		!tell(notify, "STATUS=%s", text))
		return;
	snprintf(notify->status, sizeof(notify->status), "%s", text);
	notify->status_ms = now_ms;
}

void notify_stopping(struct notify *notify, uint64_t at_most_ms)
{
	tell(notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, at_most_ms * 1000);
}
