/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's configuration: what agent.conf may say, what holds where it says nothing. The keys
 * are one table, here for everything that shows or checks them; agent.conf documents each.
 *
 * The grammar is inih's without what could surprise; conf_read() refuses the rest:
 *
 *   file     lines of at most CONF_LINE_MAX bytes, each ended by LF or CR LF, the last one perhaps
 *            by the end of the file
 *   line     blank, or a comment, or [section], or key = value
 *   comment  its first character is # or ; - there are none behind a value
 *
 * White space around each part is dropped. Outside comments there is only printable ASCII and tabs.
 * A section may come again, a key may not.
 */
#ifndef AGENT_CONF_H
#define AGENT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/server.h"

enum {
	CONF_LINE_MAX = 190, /* inih as it is usually built takes 197 */
	CONF_PATH_SIZE = CONF_LINE_MAX + 1,
	CONF_NAME_SIZE = 33, /* useradd(8): 32 characters */
	CONF_SOCKET_SIZE = 108, /* unix(7): sun_path */
	CONF_ERR_SIZE = 512, /* holds any text of conf_load() */
};

/* Which loads have a line in the journal. */
enum conf_loads { LOADS_ALL, LOADS_UNVERIFIED, LOADS_NONE };

struct conf {
	char log_path[CONF_PATH_SIZE];
	uint64_t log_program_store; /* bytes */
	char log_group[CONF_NAME_SIZE];
	uint64_t log_max_size; /* bytes; 0: no limit */
	uint32_t log_max_age_days; /* 0: no limit */
	uint32_t log_quote_every; /* records */
	uint32_t log_quote_after_s;

	char tpm_device
		[CONF_PATH_SIZE]; /* a path, "auto", "software" or "swtpm:path=" and a path */
	char tpm_software_dir[CONF_PATH_SIZE];
	uint32_t tpm_pcr;
	bool tpm_allow_resettable_pcr;
	uint32_t tpm_ak_handle;
	uint32_t tpm_timeout_ms;

	uint64_t measure_ring_size; /* bytes, a power of two */
	uint64_t measure_map_content_max; /* bytes */
	uint64_t measure_exe_hash_max; /* bytes */
	uint32_t measure_canary_interval_s; /* 0: only at the start */
	uint32_t measure_quote_wait_ms;

	char signature_trusted_certs[CONF_PATH_SIZE]; /* a path or "none" */

	char socket_path[CONF_SOCKET_SIZE];

	bool audit_enable;

	uint32_t journal_loads; /* enum conf_loads */

	struct server_conf attest; /* as the attestation server is handed it */
	char attest_user[CONF_NAME_SIZE];
	bool attest_sandbox_required;
};

enum conf_type {
	CONF_PATH, /* absolute */
	CONF_PATH_OR_NONE,
	CONF_DEVICE, /* absolute path, auto, software, or swtpm:path= and an absolute path */
	CONF_NAME, /* of a user or group */
	CONF_NUMBER, /* decimal, or hexadecimal after 0x */
	CONF_SIZE, /* bytes, or with K, M or G */
	CONF_POWER_OF_TWO, /* a size that is one */
	CONF_SWITCH, /* yes or no */
	CONF_ADDRESS_OR_NONE, /* of TCP: a numeric address, a colon and a port */
	CONF_REQUIRED, /* required or preferred */
	CONF_CHOICE, /* one of words[], as its index */
	CONF_TYPE_COUNT,
};

struct conf_key {
	const char *section;
	const char *name;
	const char *value; /* the default, as it would stand in the file */
	enum conf_type type;
	size_t offset; /* in struct conf */
	uint64_t min; /* of a number or size */
	uint64_t max; /* of a number or size; of a text its length */
	const char *const *words; /* of a choice; ends with NULL */
};

/* Every key there is, in the order of agent.conf. */
const struct conf_key *conf_keys(size_t *ret_count);

/* What holds without a file. */
void conf_defaults(struct conf *ret);

/*
 * Read a configuration; keys that it does not set keep their defaults. ret is written on success.
 *
 * name  of the file, for err
 * err   on failure: one line, "NAME:LINE: what is wrong" (without LINE where reading failed)
 *
 * Returns 0; -EINVAL for anything that is not exactly what the table and the grammar allow; another
 * negative errno where the file could not be read.
 */
[[nodiscard]] int conf_read(
	FILE *file, const char *name, struct conf *ret, char *err, size_t err_size);

/* conf_read() on the file of this path. -ENOENT if there is none. */
[[nodiscard]] int conf_load(const char *path, struct conf *ret, char *err, size_t err_size);

#endif
