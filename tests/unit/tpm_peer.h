/* SPDX-License-Identifier: BSD-2-Clause */
/* To stand between a context and the software TPM: commands and answers on a descriptor. */
#ifndef TESTS_UNIT_TPM_PEER_H
#define TESTS_UNIT_TPM_PEER_H

#include "tests/unit/tpm_fixture.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <threads.h>

/* How many this process has open. */
static inline int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fixture_dir, name);
	return address;
}

/* A whole command or answer, or 0. */
static inline size_t receive(int fd, uint8_t buffer[static 4096])
{
	size_t len = 0, want = 10;

	while (len < want) {
		ssize_t n = read(fd, buffer + len, want - len);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		if (len == 10)
			want = get32(buffer + 2);
		if (want > 4096)
			return 0;
	}
	return len;
}

/* Asks the TPM; buffer has the command and then the answer. */
static inline size_t ask(uint8_t buffer[static 4096], size_t len)
{
	struct sockaddr_un address = address_of("tpm.sock");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		write(fd, buffer, len) == (ssize_t)len)
		n = receive(fd, buffer);
	close(fd);
	return n;
}

/* ---- a device ------------------------------------------------------------------------------- */

static char device_tcti[64];
static atomic_bool device_holds; /* the command that comes is not executed until this is false */

static inline int device_serve(void *arg)
{
	int fd = *(int *)arg;

	for (;;) {
		uint8_t buffer[4096];
		size_t len = receive(fd, buffer);

		if (!len)
			return 0;
		while (device_holds)
			usleep(1000);
		len = ask(buffer, len);
		if (write(fd, buffer, len) != (ssize_t)len)
			return 0;
	}
}

/*
 * The software TPM as a character device without a resource manager: a pseudo-terminal. Like the
 * kernel's it takes a command whole and has the answer when poll(2) says so. It stays until the
 * process ends.
 */
static inline void device_setup(void)
{
	static int master;
	struct termios raw;
	thrd_t server;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	snprintf(device_tcti, sizeof(device_tcti), "device:%s", ptsname(master));
	/* Kept open: without a user the terminal would hang up. */
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0 && tcgetattr(slave, &raw) == 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	assert_int_equal(thrd_create(&server, device_serve, &master), thrd_success);
	thrd_detach(server);
}

#endif
