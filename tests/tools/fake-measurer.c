// SPDX-License-Identifier: BSD-2-Clause
/*
 * fake-measurer SOCKET MODE: answers like a measurer, or like something else, until it is killed.
 *
 *	measuring, degraded     a status
 *	a path, with a /        the bytes of this file as a status, or as what is loaded
 *	evidence                honest evidence for whatever is asked; since must be 0 or the last record
 *	cut, half, extra        evidence without its last line, in the middle of it, with one more
 *	replayed                evidence for another nonce
 *	refuse                  an error with a text
 *	garbage, bad-status     bytes of no meaning instead of an answer, inside one
 *	close                   nothing
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attest/ask.h"
#include "tests/unit/attest_forge.h"

static const char status[] =
	"{\"state\":\"%s\",%s\"version\":\"0.1.0\",\"hooks\":[\"lsm/bpf_prog_load\","
	"\"fexit/bpf_verify_pkcs7_signature\",\"fexit/bpf_prog_load\",\"lsm/bpf_prog\"],\"missing\":[\"lsm/bpf_prog_load_post_integrity\"],"
	"\"not_covered\":[\"classic BPF filters (SO_ATTACH_FILTER, seccomp)\"],"
	"\"tpm\":{\"kind\":\"software\",\"device\":\"/dev/tpmrm0\",\"manufacturer\":\"IBM\","
	"\"vendor\":\"SW TPM\"},\"pcr\":13,\"banks\":[\"sha256\"],\"values\":{\"sha256\":"
	"\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"},"
	"\"first_seq\":1,\"last_seq\":812,\"extended_seq\":810,\"confirmed_seq\":809,"
	"\"kept_seq\":805,\"lost\":3,\"programs\":44,"
	"\"dropped_events\":2,\"missed_hooks\":3,\"malformed_events\":5,\"audit_failed\":1,\"ring\":{\"size\":16777216,\"held\":128},"
	"\"log_id\":\"30313233343536373839616263646500\",\"epoch_seq\":700}\n";

static void put_answer(FILE *to, uint32_t error)
{
	const struct ask_answer answer = { .magic = ASK_MAGIC, .error = error };

	fwrite(&answer, sizeof(answer), 1, to);
}

static void put_evidence(FILE *to, const struct ask_request *request, const char *mode)
{
	static struct forge forge;
	struct evidence_statement *statement = &forge.statement;
	size_t len;

	forge_init(&forge);
	memcpy(statement->nonce, request->nonce, SHA256_LEN);
	if (strcmp(mode, "replayed") == 0)
		statement->nonce[0] ^= 1;
	memcpy(statement->binding, request->binding, SHA256_LEN);
	forge_challenge(&forge);
	forge_tpm(&forge);
	if (request->since == FORGE_RECORDS) {
		statement->since = statement->last;
		statement->first = statement->last + 1;
		statement->start = statement->values;
		forge.count = 0;
	}
	if (strcmp(mode, "cut") == 0)
		forge.count--;
	char *text = forge_text(&forge, &len);
	put_answer(to, 0);
	fwrite(text, 1, strcmp(mode, "half") == 0 ? len - 10 : len, to);
	if (strcmp(mode, "extra") == 0)
		fputs("{\"v\":1}\n", to);
	free(text);
}

static void put_file(FILE *to, const char *path)
{
	FILE *from = fopen(path, "re");
	int byte;

	if (!from)
		err(1, "%s", path);
	while ((byte = getc(from)) != EOF)
		putc(byte, to);
	fclose(from);
}

static void answer(FILE *to, const struct ask_request *request, const char *mode)
{
	if (strcmp(mode, "close") == 0)
		return;
	if (strcmp(mode, "garbage") == 0) {
		fputs("HTTP/1.1 400 Bad Request\r\n\r\n", to);
		return;
	}
	if (strcmp(mode, "refuse") == 0) {
		put_answer(to, EAGAIN);
		fputs("the TPM is \x1b[31mbusy\n", to);
		return;
	}
	if (request->what == ASK_EVIDENCE) {
		put_evidence(to, request, mode);
		return;
	}
	put_answer(to, 0);
	if (strcmp(mode, "bad-status") == 0)
		fputs("{\"state\":", to);
	else if (strchr(mode, '/'))
		put_file(to, mode);
	else
		fprintf(to, status, mode,
			strcmp(mode, "degraded") == 0 ? "\"why\":\"no \\u001b[31mTPM\"," : "");
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ask_request request;

	if (argc != 3 || strlen(argv[1]) >= sizeof(address.sun_path))
		errx(2, "usage: fake-measurer SOCKET MODE");
	signal(SIGPIPE, SIG_IGN); /* some ask and do not listen */
	strcpy(address.sun_path, argv[1]);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 ||
		bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 8) < 0)
		err(1, "%s", argv[1]);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *stream = fd < 0 ? NULL : fdopen(fd, "r+");
		if (!stream)
			err(1, "accept");
		if (read(fd, &request, sizeof(request)) == (ssize_t)sizeof(request) &&
			memcmp(request.magic, ASK_MAGIC, sizeof(request.magic)) == 0)
			answer(stream, &request, argv[2]);
		fclose(stream);
	}
}
