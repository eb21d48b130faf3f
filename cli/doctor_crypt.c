// SPDX-License-Identifier: BSD-2-Clause
/* bpfmeasure doctor: encrypted devices whose key is sealed to the daemon's PCR. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/doctor_foreign.h"
#include "cli/doctor_own.h"

struct crypt {
	struct doctor *doctor;
	unsigned looked_at; /* LUKS devices whose header was read */
	unsigned hidden; /* ... and could not be */
	unsigned bound;
	char hidden_names[DOCTOR_WORD_MAX];
};

/* Reading may wait for a medium, or there is none. */
static bool is_passed_over(const char *name)
{
	static const char *const prefixes[] = { "sr", "fd", "ram", "zram", "nbd", "mtdblock" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* What udev's blkid found; its database may be read by everybody. */
static bool udev_says_luks(const struct doctor *doctor, const char *name)
{
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	char path[PATH_MAX], number[32];
	size_t len;

	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	if (doctor_line(doctor, path, number, sizeof(number)) < 0)
		return false;
	snprintf(path, sizeof(path), "/run/udev/data/b%s", number);
	return doctor_read(doctor, path, DOCTOR_FILE_MAX, &text, &len) == 0 &&
		doctor_list_has(text, "\n", "E:ID_FS_TYPE=crypto_LUKS");
}

static void see_token(struct crypt *crypt, const char *name, const struct luks_token *token)
{
	uint32_t bit = 1U << crypt->doctor->conf.pcr;

	if (!((token->pcrs | token->signed_pcrs) & bit) || !doctor_tpm_is_chip(crypt->doctor))
		return;
	crypt->bound++;
	doctor_find(crypt->doctor, DOCTOR_PROBLEM,
		"/dev/%s: token %s (%s) seals its key to PCR %u, which is the daemon's to extend: the "
		"TPM unlocks the device only before the daemon starts, and never with a key that is "
		"enrolled later",
		name, token->id, token->type, crypt->doctor->conf.pcr);
	doctor_do(crypt->doctor,
		"See that you have a passphrase or a recovery key of it:\n\tsudo cryptsetup luksDump "
		"/dev/%s",
		name);
	doctor_do_other_pcr(crypt->doctor, token->pcrs | token->signed_pcrs);
}

static void hide(struct crypt *crypt, const char *name)
{
	size_t len = strlen(crypt->hidden_names);

	crypt->hidden++;
	snprintf(crypt->hidden_names + len, sizeof(crypt->hidden_names) - len, "%s/dev/%s",
		len ? ", " : "", name);
}

static int see_device(void *arg, const char *name)
{
	enum { MAGIC_LEN = 6 };
	struct crypt *crypt = arg;
	[[gnu::cleanup(doctor_buf_freep)]] char *bytes = NULL;
	struct luks_token tokens[LUKS_TOKENS_MAX];
	char path[PATH_MAX];
	size_t len;

	if (is_passed_over(name))
		return 0;
	snprintf(path, sizeof(path), "/dev/%s", name);
	int count = doctor_read(crypt->doctor, path, MAGIC_LEN, &bytes, &len);
	if (count == 0 && (len < MAGIC_LEN || memcmp(bytes, "LUKS\xba\xbe", MAGIC_LEN) != 0))
		return 0;
	if (count == 0) {
		doctor_buf_freep(&bytes);
		bytes = NULL;
		count = doctor_read(crypt->doctor, path, LUKS_HEADER_MAX, &bytes, &len);
	}
	if (count == 0)
		count = luks_tokens((const uint8_t *)bytes, len, tokens);
	else if (!udev_says_luks(crypt->doctor, name))
		return 0;
	if (count < 0)
		hide(crypt, name);
	else
		crypt->looked_at++;
	for (int i = 0; i < count; i++)
		see_token(crypt, name, &tokens[i]);
	return 0;
}

/* systemd-cryptenroll(1), --tpm2-pcrs=: numbers or names with + between, each with a :BANK=VALUE perhaps. */
static uint32_t crypttab_pcrs(const char *text)
{
	static const char *const names[] = {
		[9] = "kernel-initrd",
		[10] = "ima",
		[11] = "kernel-boot",
		[12] = "kernel-config",
		[13] = "sysexts",
		[14] = "shim-policy",
		[15] = "system-identity",
	};
	size_t end = strcspn(text, ", \t");
	uint32_t mask = 0;

	for (size_t at = 0, len; at < end; at += len + 1) {
		size_t word = strcspn(text + at, "+:=, \t");
		char *behind;
		long pcr = strtol(text + at, &behind, 10);

		len = strcspn(text + at, "+, \t");
		if (behind != text + at)
			mask |= doctor_pcr_bit(pcr);
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (names[i] && strlen(names[i]) == word &&
				strncmp(text + at, names[i], word) == 0)
				mask |= doctor_pcr_bit(i);
	}
	return mask;
}

/* crypttab(5): NAME DEVICE KEY OPTIONS; tpm2-pcrs= holds where the key is a file sealed by the TPM. */
static void see_crypttab(struct crypt *crypt)
{
	static const char option[] = "tpm2-pcrs=";
	[[gnu::cleanup(doctor_buf_freep)]] char *text = NULL;
	size_t len;
	char *rest;

	if (doctor_read(crypt->doctor, "/etc/crypttab", DOCTOR_FILE_MAX, &text, &len) < 0)
		return;
	rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		const char *at = *line == '#' ? NULL : strstr(line, option);

		if (!at)
			continue;
		uint32_t pcrs = crypttab_pcrs(at + strlen(option));
		if (!(pcrs & 1U << crypt->doctor->conf.pcr) || !doctor_tpm_is_chip(crypt->doctor))
			continue;
		crypt->bound++;
		doctor_find(crypt->doctor, DOCTOR_PROBLEM,
			"/etc/crypttab: the key of %.*s is sealed to PCR %u, which is the daemon's to "
			"extend",
			(int)strcspn(line, " \t"), line, crypt->doctor->conf.pcr);
		doctor_do_other_pcr(crypt->doctor, pcrs);
	}
}

void doctor_luks(struct doctor *doctor)
{
	struct crypt crypt = { .doctor = doctor };

	int r = doctor_each(doctor, "/sys/class/block", see_device, &crypt);
	see_crypttab(&crypt);
	if (r < 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN, "/sys/class/block: %s", strerror(-r));
		doctor_do_as_root(doctor);
	} else if (crypt.hidden > 0) {
		doctor_find(doctor, DOCTOR_NOT_SEEN,
			"whether a key of %s is sealed to PCR %u: its LUKS header was not read, or is "
			"none",
			crypt.hidden_names, doctor->conf.pcr);
		doctor_do_as_root(doctor);
	} else if (crypt.bound == 0) {
		doctor_find(doctor, DOCTOR_OK,
			crypt.looked_at ? "no key of the %u encrypted devices is sealed to PCR %u"
					: "there are no encrypted devices whose key the TPM holds",
			crypt.looked_at, doctor->conf.pcr);
	}
}
