// SPDX-License-Identifier: BSD-2-Clause
#include "agent/conf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

#define TEXT(field)   .offset = offsetof(struct conf, field), .max = sizeof((struct conf){}.field) - 1
#define NUMBER(field) .offset = offsetof(struct conf, field)

static const char *const loads_words[] = {
	[LOADS_ALL] = "all",
	[LOADS_UNVERIFIED] = "unverified",
	[LOADS_NONE] = "none",
	NULL,
};

/* clang-format off */
static const struct conf_key keys[] = {
	{"log", "path", "/var/lib/bpfmeasure/log.db", CONF_PATH, TEXT(log_path)},
	{"log", "program_store", "256M", CONF_SIZE, NUMBER(log_program_store), 0, 1ull << 40},
	{"log", "group", "bpfmeasure", CONF_NAME, TEXT(log_group)},
	{"log", "max_size", "0", CONF_SIZE, NUMBER(log_max_size), 0, 1ull << 40},
	{"log", "max_age", "0", CONF_NUMBER, NUMBER(log_max_age_days), 0, 36500},
	{"log", "quote_every", "1000", CONF_NUMBER, NUMBER(log_quote_every), 1, 1000000},
	{"log", "quote_after", "60", CONF_NUMBER, NUMBER(log_quote_after_s), 1, 86400},

	{"tpm", "device", "auto", CONF_DEVICE, TEXT(tpm_device)},
	{"tpm", "software_dir", "/var/lib/bpfmeasure/swtpm", CONF_PATH, TEXT(tpm_software_dir)},
	{"tpm", "pcr", "13", CONF_NUMBER, NUMBER(tpm_pcr), 8, 23},
	{"tpm", "allow_resettable_pcr", "no", CONF_SWITCH, NUMBER(tpm_allow_resettable_pcr)},
	{"tpm", "ak_handle", "0x81020013", CONF_NUMBER, NUMBER(tpm_ak_handle), 0x81000000, 0x817fffff},
	{"tpm", "timeout", "20000", CONF_NUMBER, NUMBER(tpm_timeout_ms), 100, 600000},

	{"measure", "ring_size", "16M", CONF_POWER_OF_TWO, NUMBER(measure_ring_size), 1 << 20, 256 << 20},
	{"measure", "map_content_max", "1M", CONF_SIZE, NUMBER(measure_map_content_max), 0, 64 << 20},
	{"measure", "exe_hash_max", "64M", CONF_SIZE, NUMBER(measure_exe_hash_max), 0, 4ull << 30},
	{"measure", "canary_interval", "3600", CONF_NUMBER, NUMBER(measure_canary_interval_s), 0, 604800},
	{"measure", "quote_wait", "2000", CONF_NUMBER, NUMBER(measure_quote_wait_ms), 0, 60000},

	{"signature", "trusted_certs", "none", CONF_PATH_OR_NONE, TEXT(signature_trusted_certs)},

	{"socket", "path", "/run/bpfmeasure/measurer.sock", CONF_PATH, TEXT(socket_path)},

	{"audit", "enable", "yes", CONF_SWITCH, NUMBER(audit_enable)},

	{"journal", "loads", "all", CONF_CHOICE, NUMBER(journal_loads), .words = loads_words},

	{"attest", "listen", "none", CONF_ADDRESS_OR_NONE, TEXT(attest.listen)},
	{"attest", "metrics_listen", "none", CONF_ADDRESS_OR_NONE, TEXT(attest.metrics_listen)},
	{"attest", "socket", "/run/bpfmeasure/http.sock", CONF_PATH_OR_NONE, TEXT(attest.socket)},
	{"attest", "user", "bpfmeasure", CONF_NAME, TEXT(attest_user)},
	{"attest", "sandbox", "required", CONF_REQUIRED, NUMBER(attest_sandbox_required)},
	{"attest", "dir", "/var/lib/bpfmeasure/attest", CONF_PATH, TEXT(attest.dir)},
	{"attest", "certificate", "none", CONF_PATH_OR_NONE, TEXT(attest.certificate)},
	{"attest", "key", "none", CONF_PATH_OR_NONE, TEXT(attest.key)},
	{"attest", "client_ca", "none", CONF_PATH_OR_NONE, TEXT(attest.client_ca)},
	{"attest", "require_client_cert", "no", CONF_SWITCH, NUMBER(attest.require_client_cert)},
	{"attest", "header_max", "8K", CONF_SIZE, NUMBER(attest.header_max), 512, 1 << 20},
	{"attest", "body_max", "16K", CONF_SIZE, NUMBER(attest.body_max), 2048, 1 << 20},
	{"attest", "request_timeout", "10000", CONF_NUMBER, NUMBER(attest.request_timeout_ms), 100, 600000},
	{"attest", "send_timeout", "60000", CONF_NUMBER, NUMBER(attest.send_timeout_ms), 100, 600000},
	{"attest", "connections", "256", CONF_NUMBER, NUMBER(attest.connections_max), 1, 4096},
	{"attest", "connections_per_peer", "32", CONF_NUMBER, NUMBER(attest.connections_per_peer), 1, 4096},
	{"attest", "waiting", "1024", CONF_NUMBER, NUMBER(attest.waiting_max), 1, 8192},
	{"attest", "activations_per_minute", "60", CONF_NUMBER, NUMBER(attest.activations_per_minute), 0, 6000},
	{"attest", "hang_timeout", "30000", CONF_NUMBER, NUMBER(attest.hang_timeout_ms), 1000, 600000},
};
/* clang-format on */

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

const struct conf_key *conf_keys(size_t *ret_count)
{
	*ret_count = KEY_COUNT;
	return keys;
}

/* What a parser has against a value, in words that follow "KEY ". */
struct complaint {
	char text[128];
};

[[gnu::format(printf, 2, 3)]] static bool complain(
	struct complaint *complaint, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(complaint->text, sizeof(complaint->text), fmt, args);
	va_end(args);
	return false;
}

static bool parse_text(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	if (strlen(text) > key->max)
		return complain(why, "must have at most %llu bytes", (unsigned long long)key->max);
	strcpy(field, text);
	return true;
}

static bool parse_path(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	if (text[0] != '/')
		return complain(why, "must be an absolute path");
	return parse_text(key, text, field, why);
}

static bool parse_path_or_none(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	if (text[0] != '/' && strcmp(text, "none") != 0)
		return complain(why, "must be an absolute path or none");
	return parse_text(key, text, field, why);
}

static bool parse_device(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	static const char swtpm[] = "swtpm:path=/";

	if (text[0] != '/' && strcmp(text, "auto") != 0 && strcmp(text, "software") != 0 &&
		strncmp(text, swtpm, strlen(swtpm)) != 0)
		return complain(why,
			"must be an absolute path, auto, software, or swtpm:path= and an absolute path");
	return parse_text(key, text, field, why);
}

static bool parse_name(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	if (text[0] == '\0' || text[0] == '-' || text[strcspn(text, " \t:,/")] != '\0')
		return complain(why, "must be a name");
	return parse_text(key, text, field, why);
}

/* Digits of a base at *text, moved past; false where there are none or their value is too large. */
static bool digits(const char **text, unsigned base, uint64_t *ret_value)
{
	static const char all[] = "0123456789abcdef";
	uint64_t value = 0;
	const char *at = *text, *digit;

	for (; *at && (digit = memchr(all, tolower(*at), base)); at++)
		if (__builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, (uint64_t)(digit - all), &value))
			return false;
	if (at == *text)
		return false;
	*text = at;
	*ret_value = value;
	return true;
}

static bool parse_number(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	bool hex = strncmp(text, "0x", 2) == 0;
	const char *at = hex ? text + 2 : text;
	uint64_t value = 0;

	if (!digits(&at, hex ? 16 : 10, &value) || *at != '\0' || value < key->min ||
		value > key->max)
		return complain(why,
			hex ? "must be a number from %#llx to %#llx"
			    : "must be a number from %llu to %llu",
			(unsigned long long)key->min, (unsigned long long)key->max);
	*(uint32_t *)field = (uint32_t)value;
	return true;
}

static const char size_suffixes[] = "KMG";

static void size_format(uint64_t size, char text[static 32])
{
	size_t suffix = 0;

	for (; size != 0 && size % 1024 == 0 && size_suffixes[suffix]; suffix++)
		size /= 1024;
	if (suffix == 0)
		snprintf(text, 32, "%llu", (unsigned long long)size);
	else
		snprintf(text, 32, "%llu%c", (unsigned long long)size, size_suffixes[suffix - 1]);
}

static bool parse_size(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	char min[32], max[32];
	uint64_t value = 0;
	unsigned shift = 0;
	bool ok = digits(&text, 10, &value);

	if (ok && *text) {
		const char *suffix = strchr(size_suffixes, *text++);
		ok = suffix && *text == '\0';
		shift = ok ? 10 * (unsigned)(suffix - size_suffixes + 1) : 0;
	}
	if (!ok || value > key->max >> shift || value << shift < key->min) {
		size_format(key->min, min);
		size_format(key->max, max);
		return complain(why, "must be a size from %s to %s", min, max);
	}
	*(uint64_t *)field = value << shift;
	return true;
}

static bool parse_power_of_two(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	uint64_t value = 0;

	if (!parse_size(key, text, &value, why))
		return false;
	if ((value & (value - 1)) != 0)
		return complain(why, "must be a power of two");
	*(uint64_t *)field = value;
	return true;
}

static bool parse_switch(
	const struct conf_key *, const char *text, void *field, struct complaint *why)
{
	bool yes = strcmp(text, "yes") == 0;

	if (!yes && strcmp(text, "no") != 0)
		return complain(why, "must be yes or no");
	*(bool *)field = yes;
	return true;
}

static bool parse_address_or_none(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 1] = "";
	uint8_t address[sizeof(struct in6_addr)];
	uint64_t port = 0;
	const char *end = colon ? colon + 1 : "";

	if (!strcmp(text, "none"))
		return parse_text(key, text, field, why);
	if (colon && (size_t)(colon - text) < sizeof(host))
		memcpy(host, text, (size_t)(colon - text));
	bool is_v6 = host[0] == '[' && host[strlen(host) - 1] == ']';
	if (is_v6)
		host[strlen(host) - 1] = '\0';
	if (!digits(&end, 10, &port) || *end || !port || port > UINT16_MAX ||
		inet_pton(is_v6 ? AF_INET6 : AF_INET, host + is_v6, address) != 1)
		return complain(why, "must be ADDRESS:PORT, [ADDRESS]:PORT or none");
	return parse_text(key, text, field, why);
}

static bool parse_required(
	const struct conf_key *, const char *text, void *field, struct complaint *why)
{
	bool required = strcmp(text, "required") == 0;

	if (!required && strcmp(text, "preferred") != 0)
		return complain(why, "must be required or preferred");
	*(bool *)field = required;
	return true;
}

static bool parse_choice(
	const struct conf_key *key, const char *text, void *field, struct complaint *why)
{
	char all[96] = "";

	for (uint32_t i = 0; key->words[i]; i++) {
		if (!strcmp(text, key->words[i])) {
			*(uint32_t *)field = i;
			return true;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			!i                          ? ""
				: key->words[i + 1] ? ", "
						    : " or ",
			key->words[i]);
	}
	return complain(why, "must be %s", all);
}

static bool parse_value(
	const struct conf_key *key, const char *text, struct conf *conf, struct complaint *why)
{
	static bool (*const parsers[CONF_TYPE_COUNT])(const struct conf_key *key, const char *text,
		void *field, struct complaint *why) = {
		[CONF_PATH] = parse_path,
		[CONF_PATH_OR_NONE] = parse_path_or_none,
		[CONF_DEVICE] = parse_device,
		[CONF_NAME] = parse_name,
		[CONF_NUMBER] = parse_number,
		[CONF_SIZE] = parse_size,
		[CONF_POWER_OF_TWO] = parse_power_of_two,
		[CONF_SWITCH] = parse_switch,
		[CONF_ADDRESS_OR_NONE] = parse_address_or_none,
		[CONF_REQUIRED] = parse_required,
		[CONF_CHOICE] = parse_choice,
	};

	return parsers[key->type](key, text, (char *)conf + key->offset, why);
}

/* As the attestation server takes it: what it needs to know of other sections, and empty texts for none. */
static void tell_server(struct conf *conf)
{
	struct server_conf *server = &conf->attest;
	char *texts[] = { server->listen, server->metrics_listen, server->socket,
		server->certificate, server->key, server->client_ca };

	static_assert(sizeof(server->database) == sizeof(conf->log_path));
	static_assert(sizeof(server->group) == sizeof(conf->log_group));
	memcpy(server->database, conf->log_path, sizeof(conf->log_path));
	memcpy(server->group, conf->log_group, sizeof(conf->log_group));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(texts[i], "none"))
			memset(texts[i], 0, sizeof("none"));
}

void conf_defaults(struct conf *ret)
{
	struct complaint why;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < KEY_COUNT; i++) {
		bool ok = parse_value(&keys[i], keys[i].value, ret, &why);
		assert(ok);
		(void)ok;
	}
	tell_server(ret);
}

/* Reading one file. inih reads by lines, so the line that it handles is the last one that
 * it got. */
struct reading {
	FILE *file;
	const char *name;
	struct conf conf;
	unsigned line;
	unsigned set_on[KEY_COUNT]; /* the line that set a key, 0 if none has */
	int error;
	char *err;
	size_t err_size;
};

/* Keep the first error; after it inih finds the file at its end. Returns inih's word for
 * an error. */
[[gnu::format(printf, 3, 4)]] static int reject(
	struct reading *reading, unsigned line, const char *fmt, ...)
{
	va_list args;

	if (reading->error != 0)
		return 0;
	reading->error = -EINVAL;
	int len = snprintf(reading->err, reading->err_size, "%s:%u: ", reading->name, line);
	if (len < 0 || (size_t)len >= reading->err_size)
		return 0;
	va_start(args, fmt);
	vsnprintf(reading->err + len, reading->err_size - (size_t)len, fmt, args);
	va_end(args);
	return 0;
}

/* Returns what a reader returns at the end. */
static char *read_failed(struct reading *reading)
{
	reading->error = errno > 0 ? -errno : -EIO;
	snprintf(reading->err, reading->err_size, "%s: %s", reading->name,
		strerror(-reading->error));
	return NULL;
}

static bool is_section(const char *name, size_t len)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strlen(keys[i].section) == len && memcmp(keys[i].section, name, len) == 0)
			return true;
	return false;
}

/* Everything that inih would take and make something else of, or drop in silence. */
static int check_line(struct reading *reading, const char *line)
{
	size_t len = strlen(line), divider = strcspn(line, "=:");

	if (len == 0 || line[0] == '#' || line[0] == ';')
		return 1;
	for (size_t i = 0; i < len; i++) {
		if (!isprint((unsigned char)line[i]) && line[i] != '\t')
			return reject(reading, reading->line, "not printable ASCII");
		if (i > 0 && line[i] == ';' && isspace((unsigned char)line[i - 1]))
			return reject(
				reading, reading->line, "a comment must have a line of its own");
	}
	if (line[0] == '[') {
		if (line[len - 1] != ']')
			return reject(reading, reading->line, "a section must be [name]");
		if (!is_section(line + 1, len - 2))
			return reject(reading, reading->line, "there is no section %s", line);
	} else if (line[divider] != '=') {
		return reject(reading, reading->line, "neither [section] nor key = value");
	}
	return 1;
}

/* Drop the white space at both ends, in place. */
static void strip(char *line)
{
	size_t start = strspn(line, " \t"), len = strlen(line);

	while (len > start && strchr(" \t", line[len - 1]))
		len--;
	memmove(line, line + start, len - start);
	line[len - start] = '\0';
}

/*
 * inih's reader. Lines have no white space in front when inih gets them, for it would take that as
 * the continuation of the line before.
 */
static char *next_line(char *line, int size, void *arg)
{
	struct reading *reading = arg;
	size_t len = 0;
	int c;

	assert(size > CONF_LINE_MAX);
	if (reading->error != 0)
		return NULL;
	reading->line++;
	while ((c = getc(reading->file)) != EOF && c != '\n') {
		if (c == '\0')
			reject(reading, reading->line, "there is a NUL byte");
		else if (len == CONF_LINE_MAX)
			reject(reading, reading->line, "longer than %d bytes", CONF_LINE_MAX);
		else
			line[len++] = (char)c;
		if (reading->error != 0)
			return NULL;
	}
	if (c == EOF && ferror(reading->file))
		return read_failed(reading);
	if (c == EOF && len == 0)
		return NULL;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	strip(line);
	return check_line(reading, line) ? line : NULL;
}

/* inih's handler: 1 if all is well, 0 if not. */
static int set_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;
	struct complaint why;
	size_t i = 0;

	if (section[0] == '\0')
		return reject(reading, reading->line, "%s stands before the first [section]", name);
	while (i < KEY_COUNT &&
		(strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0))
		i++;
	if (i == KEY_COUNT)
		return reject(reading, reading->line, "there is no key %s in [%s]", name, section);
	if (reading->set_on[i] != 0)
		return reject(reading, reading->line, "%s was set on line %u already", name,
			reading->set_on[i]);
	if (!parse_value(&keys[i], value, &reading->conf, &why))
		return reject(reading, reading->line, "%s %s", name, why.text);
	reading->set_on[i] = reading->line;
	return 1;
}

static unsigned line_of(const struct reading *reading, size_t offset)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].offset == offset)
			return reading->set_on[i];
	return 0;
}

/*
 * Which PCRs are good for a log. 8 to 15 reset with the TPM only; 16 and 23 at anyone's word; 17 to
 * 22 belong to the dynamic root of trust.
 *
 * TCG PC Client Platform TPM Profile, table "PCR Attributes".
 */
static void check_pcr(struct reading *reading)
{
	unsigned line = line_of(reading, offsetof(struct conf, tpm_pcr));
	unsigned pcr = reading->conf.tpm_pcr;

	if (pcr >= 17 && pcr <= 22)
		reject(reading, line, "pcr %u belongs to the dynamic root of trust", pcr);
	else if (pcr > 15 && !reading->conf.tpm_allow_resettable_pcr)
		reject(reading, line,
			"pcr %u can be reset by anyone; it needs allow_resettable_pcr = yes", pcr);
}

/* Settings of the attestation server that mean nothing without each other. */
static void check_attest(struct reading *reading)
{
	const struct server_conf *attest = &reading->conf.attest;

	if (!*attest->certificate != !*attest->key)
		reject(reading,
			line_of(reading,
				*attest->key ? offsetof(struct conf, attest.key)
					     : offsetof(struct conf, attest.certificate)),
			"certificate and key go together");
	if (attest->require_client_cert && !*attest->client_ca)
		reject(reading, line_of(reading, offsetof(struct conf, attest.require_client_cert)),
			"require_client_cert needs client_ca");
	if (*attest->listen && !strcmp(attest->listen, attest->metrics_listen))
		reject(reading, line_of(reading, offsetof(struct conf, attest.metrics_listen)),
			"listen and metrics_listen are the same");
	if (!strcmp(attest->socket, reading->conf.socket_path))
		reject(reading,
			line_of(reading,
				line_of(reading, offsetof(struct conf, attest.socket))
					? offsetof(struct conf, attest.socket)
					: offsetof(struct conf, socket_path)),
			"socket in [attest] and path in [socket] are the same");
}

int conf_read(FILE *file, const char *name, struct conf *ret, char *err, size_t err_size)
{
	struct reading reading = { .file = file, .name = name, .err = err, .err_size = err_size };

	conf_defaults(&reading.conf);
	int r = ini_parse_stream(next_line, &reading, set_key, &reading);
	if (r != 0)
		reject(&reading, r > 0 ? (unsigned)r : 0, "not understood");
	if (reading.error == 0)
		check_pcr(&reading);
	tell_server(&reading.conf);
	if (reading.error == 0)
		check_attest(&reading);
	if (reading.error == 0)
		*ret = reading.conf;
	return reading.error;
}

static void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

int conf_load(const char *path, struct conf *ret, char *err, size_t err_size)
{
	[[gnu::cleanup(file_closep)]] FILE *file = fopen(path, "re");

	if (!file) {
		int r = -errno;
		snprintf(err, err_size, "%s: %s", path, strerror(-r));
		return r;
	}
	return conf_read(file, path, ret, err, err_size);
}
