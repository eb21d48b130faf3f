// SPDX-License-Identifier: BSD-2-Clause
#include "agent/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char shipped[] = "agent.conf";

static int read_bytes(
	const void *bytes, size_t len, struct conf *ret, char err[static CONF_ERR_SIZE])
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	rewind(file);
	strcpy(err, "");
	int r = conf_read(file, "t.conf", ret, err, CONF_ERR_SIZE);
	fclose(file);
	return r;
}

static void assert_read(const char *text, struct conf *ret)
{
	char err[CONF_ERR_SIZE];
	int r = read_bytes(text, strlen(text), ret, err);

	if (r != 0)
		fail_msg("\"%s\": %d, %s", text, r, err);
}

/* Bad bytes give exactly this text, one line, and leave the configuration alone. */
static void assert_bad_bytes(const void *bytes, size_t len, const char *expected)
{
	char err[CONF_ERR_SIZE];
	struct conf conf, before;

	memset(&conf, 0x5a, sizeof(conf));
	memset(&before, 0x5a, sizeof(before));
	assert_int_equal(read_bytes(bytes, len, &conf, err), -EINVAL);
	assert_string_equal(err, expected);
	assert_memory_equal(&conf, &before, sizeof(conf));
}

static void assert_bad(const char *text, const char *expected)
{
	assert_bad_bytes(text, strlen(text), expected);
}

static void the_defaults_are_those_of_the_manual(void **)
{
	struct conf conf;

	conf_defaults(&conf);
	assert_string_equal(conf.log_path, "/var/lib/bpfmeasure/log.db");
	assert_int_equal(conf.log_program_store, 256ull << 20);
	assert_string_equal(conf.log_group, "bpfmeasure");
	assert_string_equal(conf.tpm_device, "auto");
	assert_string_equal(conf.tpm_software_dir, "/var/lib/bpfmeasure/swtpm");
	assert_int_equal(conf.tpm_pcr, 13);
	assert_false(conf.tpm_allow_resettable_pcr);
	assert_int_equal(conf.tpm_ak_handle, 0x81020013);
	assert_int_equal(conf.tpm_timeout_ms, 20000);
	assert_int_equal(conf.measure_ring_size, 16 << 20);
	assert_int_equal(conf.measure_map_content_max, 1 << 20);
	assert_int_equal(conf.measure_exe_hash_max, 64 << 20);
	assert_int_equal(conf.measure_quote_wait_ms, 2000);
	assert_string_equal(conf.signature_trusted_certs, "none");
	assert_string_equal(conf.socket_path, "/run/bpfmeasure/measurer.sock");
	assert_true(conf.audit_enable);
	assert_string_equal(conf.attest.listen, "");
	assert_string_equal(conf.attest.metrics_listen, "");
	assert_string_equal(conf.attest.socket, "/run/bpfmeasure/http.sock");
	assert_string_equal(conf.attest_user, "bpfmeasure");
	assert_true(conf.attest_sandbox_required);
	assert_string_equal(conf.attest.dir, "/var/lib/bpfmeasure/attest");
	assert_string_equal(conf.attest.certificate, "");
	assert_string_equal(conf.attest.key, "");
	assert_string_equal(conf.attest.client_ca, "");
	assert_false(conf.attest.require_client_cert);
	assert_int_equal(conf.attest.header_max, 8192);
	assert_int_equal(conf.attest.body_max, 16384);
	assert_int_equal(conf.attest.request_timeout_ms, 10000);
	assert_int_equal(conf.attest.send_timeout_ms, 60000);
	assert_int_equal(conf.attest.connections_max, 256);
	assert_int_equal(conf.attest.connections_per_peer, 32);
	assert_int_equal(conf.attest.waiting_max, 1024);
	assert_int_equal(conf.attest.activations_per_minute, 60);
	assert_int_equal(conf.attest.hang_timeout_ms, 30000);
	assert_string_equal(conf.attest.database, conf.log_path);
	assert_string_equal(conf.attest.group, conf.log_group);
}

static void every_key_can_be_set(void **)
{
	struct conf conf;

	assert_read("[log]\npath=/a/b\nprogram_store=2G\ngroup=wheel\n"
		    "[tpm]\ndevice=/dev/tpm1\nsoftware_dir=/c\npcr=23\nallow_resettable_pcr=yes\n"
		    "ak_handle=0x8100ABCD\ntimeout=100\n"
		    "[measure]\nring_size=1M\nmap_content_max=0\nexe_hash_max=1K\nquote_wait=0\n"
		    "[signature]\ntrusted_certs=/etc/certs\n"
		    "[socket]\npath=/run/s\n"
		    "[audit]\nenable=no\n"
		    "[attest]\nlisten=[::]:7913\nmetrics_listen=127.0.0.1:1\nsocket=none\n"
		    "user=nobody\nsandbox=preferred\ndir=/d\ncertificate=/e\nkey=/f\nclient_ca=/g\n"
		    "require_client_cert=yes\nheader_max=512\nbody_max=1M\nrequest_timeout=100\n"
		    "send_timeout=101\nconnections=1\nconnections_per_peer=2\nwaiting=3\n"
		    "activations_per_minute=0\nhang_timeout=1000\n",
		&conf);
	assert_string_equal(conf.log_path, "/a/b");
	assert_int_equal(conf.log_program_store, 2ull << 30);
	assert_string_equal(conf.log_group, "wheel");
	assert_string_equal(conf.tpm_device, "/dev/tpm1");
	assert_string_equal(conf.tpm_software_dir, "/c");
	assert_int_equal(conf.tpm_pcr, 23);
	assert_true(conf.tpm_allow_resettable_pcr);
	assert_int_equal(conf.tpm_ak_handle, 0x8100abcd);
	assert_int_equal(conf.tpm_timeout_ms, 100);
	assert_int_equal(conf.measure_ring_size, 1 << 20);
	assert_int_equal(conf.measure_map_content_max, 0);
	assert_int_equal(conf.measure_exe_hash_max, 1024);
	assert_int_equal(conf.measure_quote_wait_ms, 0);
	assert_string_equal(conf.signature_trusted_certs, "/etc/certs");
	assert_string_equal(conf.socket_path, "/run/s");
	assert_false(conf.audit_enable);
	assert_string_equal(conf.attest.listen, "[::]:7913");
	assert_string_equal(conf.attest.metrics_listen, "127.0.0.1:1");
	assert_string_equal(conf.attest.socket, "");
	assert_string_equal(conf.attest_user, "nobody");
	assert_false(conf.attest_sandbox_required);
	assert_string_equal(conf.attest.dir, "/d");
	assert_string_equal(conf.attest.certificate, "/e");
	assert_string_equal(conf.attest.key, "/f");
	assert_string_equal(conf.attest.client_ca, "/g");
	assert_true(conf.attest.require_client_cert);
	assert_int_equal(conf.attest.header_max, 512);
	assert_int_equal(conf.attest.body_max, 1 << 20);
	assert_int_equal(conf.attest.request_timeout_ms, 100);
	assert_int_equal(conf.attest.send_timeout_ms, 101);
	assert_int_equal(conf.attest.connections_max, 1);
	assert_int_equal(conf.attest.connections_per_peer, 2);
	assert_int_equal(conf.attest.waiting_max, 3);
	assert_int_equal(conf.attest.activations_per_minute, 0);
	assert_int_equal(conf.attest.hang_timeout_ms, 1000);
	assert_string_equal(conf.attest.database, "/a/b");
	assert_string_equal(conf.attest.group, "wheel");
}

static void an_empty_file_gives_the_defaults(void **)
{
	struct conf conf, defaults;
	static const char *const texts[] = { "", "\n", "\n\n\n", " \t \n", "# a comment", "[log]",
		"[log]\n[log]\n" };

	conf_defaults(&defaults);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_read(texts[i], &conf);
		assert_memory_equal(&conf, &defaults, sizeof(conf));
	}
}

static void white_space_and_line_ends_do_not_count(void **)
{
	static const char *const texts[] = {
		"[tpm]\npcr = 9\n[log]\npath = /a b\n",
		"[tpm]\npcr=9\n[log]\npath=/a b",
		"\t[tpm] \r\n  pcr\t=  9 \t\r\n\r\n [log]\r\n path = /a b\r\n",
		"; a\n  # b ; c\n[tpm]\n;pcr = 8\npcr = 9\n[log]\npath = /a b\n[tpm]\n",
	};
	struct conf conf;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_read(texts[i], &conf);
		assert_int_equal(conf.tpm_pcr, 9);
		assert_string_equal(conf.log_path, "/a b");
	}
}

static void a_value_is_taken_as_it_stands(void **)
{
	struct conf conf;

	assert_read("[log]\npath = /a=b:c#d;e\"f' [g]\n", &conf);
	assert_string_equal(conf.log_path, "/a=b:c#d;e\"f' [g]");
	assert_read("[tpm]\ndevice = swtpm:path=/run/tpm.sock\n", &conf);
	assert_string_equal(conf.tpm_device, "swtpm:path=/run/tpm.sock");
}

static void a_line_may_have_190_bytes(void **)
{
	char text[256] = "[log]\npath = /";
	size_t start = strlen("[log]\n");
	struct conf conf;

	memset(text + strlen(text), 'x', start + 190 - strlen(text));
	strcat(text, "\n");
	assert_read(text, &conf);
	assert_int_equal(strlen(conf.log_path), 190 - strlen("path = "));
	strcpy(text + start + 190, "x\n");
	assert_bad(text, "t.conf:2: longer than 190 bytes");
	strcpy(text + start + 190, "xx\n");
	assert_bad(text, "t.conf:2: longer than 190 bytes");
}

static const struct {
	const char *text, *error;
} faults[] = {
	{ "pcr = 9\n", "1: pcr stands before the first [section]" },
	{ "\n\n[tmp]\n", "3: there is no section [tmp]" },
	{ "[]\n", "1: there is no section []" },
	{ "[tpm ]\n", "1: there is no section [tpm ]" },
	{ "[TPM]\n", "1: there is no section [TPM]" },
	{ "[tpm\n", "1: a section must be [name]" },
	{ "[tpm] pcr\n", "1: a section must be [name]" },
	{ "[tpm]\n\nfoo = 1\n", "3: there is no key foo in [tpm]" },
	{ "[log]\npcr = 9\n", "2: there is no key pcr in [log]" },
	{ "[tpm]\n= 9\n", "2: there is no key  in [tpm]" },
	{ "[tpm]\npcr = 9\n# x\npcr = 9\n", "4: pcr was set on line 2 already" },
	{ "[tpm]\npcr = 9\n[log]\n[tpm]\npcr = 9\n", "5: pcr was set on line 2 already" },
	{ "[tpm]\npcr\n", "2: neither [section] nor key = value" },
	{ "[tpm]\npcr: 9\n", "2: neither [section] nor key = value" },
	{ "[tpm]\npcr: 9 = 9\n", "2: neither [section] nor key = value" },
	{ "[tpm]\npcr = 9\n  10\n", "3: neither [section] nor key = value" },
	{ "[tpm]\npcr = 9 ; nine\n", "2: a comment must have a line of its own" },
	{ "[tpm]\npcr = 9\t;\n", "2: a comment must have a line of its own" },
	{ "[tpm] ; the TPM\n", "1: a comment must have a line of its own" },
	{ "[tpm]\npcr = \n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 7\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 24\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = -9\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 9 9\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 9.0\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 9 # nine\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 4294967305\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 18446744073709551625\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\npcr = 0x\n", "2: pcr must be a number from 0x8 to 0x17" },
	{ "[tpm]\nak_handle = 0x81800000\n",
		"2: ak_handle must be a number from 0x81000000 to 0x817fffff" },
	{ "[tpm]\npcr = 17\n", "2: pcr 17 belongs to the dynamic root of trust" },
	{ "[tpm]\npcr = 22\nallow_resettable_pcr = yes\n",
		"2: pcr 22 belongs to the dynamic root of trust" },
	{ "[tpm]\n\npcr = 16\nallow_resettable_pcr = no\n",
		"3: pcr 16 can be reset by anyone; it needs allow_resettable_pcr = yes" },
	{ "[tpm]\npcr = 23\n",
		"2: pcr 23 can be reset by anyone; it needs allow_resettable_pcr = yes" },
	{ "[tpm]\nallow_resettable_pcr = true\n", "2: allow_resettable_pcr must be yes or no" },
	{ "[audit]\nenable = Yes\n", "2: enable must be yes or no" },
	{ "[tpm]\ndevice = tpmrm0\n",
		"2: device must be an absolute path, auto, software, "
		"or swtpm:path= and an absolute path" },
	{ "[tpm]\ndevice = swtpm:path=tpm.sock\n",
		"2: device must be an absolute path, auto, software, "
		"or swtpm:path= and an absolute path" },
	{ "[tpm]\ntimeout = 99\n", "2: timeout must be a number from 100 to 600000" },
	{ "[tpm]\ntimeout = 600001\n", "2: timeout must be a number from 100 to 600000" },
	{ "[signature]\ntrusted_certs =\n", "2: trusted_certs must be an absolute path or none" },
	{ "[log]\npath = log.db\n", "2: path must be an absolute path" },
	{ "[log]\npath =\n", "2: path must be an absolute path" },
	{ "[log]\ngroup =\n", "2: group must be a name" },
	{ "[log]\ngroup = a b\n", "2: group must be a name" },
	{ "[log]\ngroup = -a\n", "2: group must be a name" },
	{ "[log]\ngroup = aaaaaaaabbbbbbbbccccccccddddddddE\n",
		"2: group must have at most 32 bytes" },
	{ "[log]\nprogram_store = 1025G\n", "2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = 99999999999G\n",
		"2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = 18014398509481984K\n",
		"2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = 1T\n", "2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = 1MB\n", "2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = M\n", "2: program_store must be a size from 0 to 1024G" },
	{ "[log]\nprogram_store = 1 M\n", "2: program_store must be a size from 0 to 1024G" },
	{ "[measure]\nring_size = 3M\n", "2: ring_size must be a power of two" },
	{ "[measure]\nring_size = 512K\n", "2: ring_size must be a size from 1M to 256M" },
	{ "[measure]\nring_size = 512M\n", "2: ring_size must be a size from 1M to 256M" },
	{ "[measure]\nquote_wait = 60001\n", "2: quote_wait must be a number from 0 to 60000" },
	{ "[tpm]\npcr = \x1b[31m9\n", "2: not printable ASCII" },
	{ "[tpm]\r\npcr = 9\r9\r\n", "2: not printable ASCII" },
	{ "[l\xc3\xb6g]\n", "1: not printable ASCII" },
	{ "\xef\xbb\xbf[tpm]\n", "1: not printable ASCII" },
	/* addresses */
	{ "[attest]\nlisten = 7913\n", "2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = :7913\n", "2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = [\n", "2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = []:1\n", "2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = ::1:7913\n",
		"2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = host:7913\n",
		"2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = 1.2.3.4:0\n",
		"2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nlisten = 1.2.3.4:65536\n",
		"2: listen must be ADDRESS:PORT, [ADDRESS]:PORT or none" },
	{ "[attest]\nsandbox = yes\n", "2: sandbox must be required or preferred" },
	{ "[journal]\nloads = some\n", "2: loads must be all, unverified or none" },
	/* what needs something else */
	{ "[attest]\n\nkey = /k\n", "3: certificate and key go together" },
	{ "[attest]\ncertificate = /c\n", "2: certificate and key go together" },
	{ "[attest]\nrequire_client_cert = yes\n", "2: require_client_cert needs client_ca" },
	{ "[attest]\nlisten = [::]:1\nmetrics_listen = [::]:1\n",
		"3: listen and metrics_listen are the same" },
	{ "[attest]\nsocket = /run/bpfmeasure/measurer.sock\n",
		"2: socket in [attest] and path in [socket] are the same" },
	{ "[socket]\npath = /run/bpfmeasure/http.sock\n",
		"2: socket in [attest] and path in [socket] are the same" },
	/* the first of many */
	{ "[tpm]\npcr = x\nfoo\n[bar]\n", "2: pcr must be a number from 8 to 23" },
	{ "[tpm]\nfoo\npcr = x\n", "2: neither [section] nor key = value" },
};

static void errors_say_the_line_and_what_is_wrong(void **)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char expected[CONF_ERR_SIZE];
		snprintf(expected, sizeof(expected), "t.conf:%s", faults[i].error);
		assert_bad(faults[i].text, expected);
	}
}

static void the_socket_fits_its_address(void **)
{
	char text[256] = "[socket]\npath = /";
	struct conf conf;

	memset(text + strlen(text), 'x', 106);
	assert_read(text, &conf);
	assert_int_equal(strlen(conf.socket_path), 107);
	strcat(text, "x");
	assert_bad(text, "t.conf:2: path must have at most 107 bytes");
}

static void nul_bytes_are_refused_where_they_are(void **)
{
	assert_bad_bytes("\0", 1, "t.conf:1: there is a NUL byte");
	assert_bad_bytes("[tpm]\n# \0\n", 10, "t.conf:2: there is a NUL byte");
	assert_bad_bytes("[tpm]\npcr = 9\0 9\n", 17, "t.conf:2: there is a NUL byte");
}

static void a_megabyte_in_one_line_is_refused(void **)
{
	size_t len = 1 << 20;
	char *text = malloc(len);

	assert_non_null(text);
	for (const char *c = "#x= \t["; *c; c++) {
		memset(text, *c, len);
		memcpy(text, "\n\n", 2);
		assert_bad_bytes(text, len, "t.conf:3: longer than 190 bytes");
	}
	free(text);
}

static void garbage_is_refused_without_harm(void **)
{
	unsigned seed = 1;
	unsigned char bytes[2048];
	struct conf conf;
	char err[CONF_ERR_SIZE];

	for (int round = 0; round < 5000; round++) {
		/* Bytes of every kind, then those that mean something. */
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = round % 2
				? (unsigned char)rand_r(&seed)
				: (unsigned char)"[]=:;# \n\r\ttpmcr19"[rand_r(&seed) % 17];
		int r = read_bytes(bytes, (size_t)rand_r(&seed) % sizeof(bytes), &conf, err);
		if (r == 0)
			continue; /* blank lines and comments */
		assert_int_equal(r, -EINVAL);
		assert_memory_equal(err, "t.conf:", 7);
		for (const char *c = err; *c; c++)
			assert_true(*c == '\t' || (*c >= 0x20 && *c <= 0x7e));
	}
}

static void a_small_buffer_for_the_error_is_no_harm(void **)
{
	struct conf conf;
	char err[8] = "";
	FILE *file = fmemopen((void *)"[tpm]\nx", 7, "r");

	assert_non_null(file);
	assert_int_equal(conf_read(file, "t.conf", &conf, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "t.conf:");
	fclose(file);
}

static void a_file_that_cannot_be_read_is_not_a_bad_file(void **)
{
	struct conf conf;
	char err[CONF_ERR_SIZE];

	assert_int_equal(conf_load("/nonexistent", &conf, err, sizeof(err)), -ENOENT);
	assert_string_equal(err, "/nonexistent: No such file or directory");
	assert_int_equal(conf_load("/", &conf, err, sizeof(err)), -EISDIR);
	assert_string_equal(err, "/: Is a directory");
}

static void the_shipped_file_gives_the_defaults(void **)
{
	struct conf conf, defaults;
	char err[CONF_ERR_SIZE];

	conf_defaults(&defaults);
	int r = conf_load(shipped, &conf, err, sizeof(err));
	if (r != 0)
		fail_msg("%s", err);
	assert_memory_equal(&conf, &defaults, sizeof(conf));
}

/* With its "#key = value" lines made active, the file sets every key of the table, to
 * its default. */
static void the_shipped_file_has_every_key_with_its_default(void **)
{
	FILE *file = fopen(shipped, "r");
	char line[256], section[32] = "";
	size_t count = 0, found = 0;
	const struct conf_key *keys = conf_keys(&count);

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char name[64], value[192];
		if (sscanf(line, "[%31[a-z]]", section) == 1)
			continue;
		if (sscanf(line, "#%63[a-z_] = %191[^\n]", name, value) != 2)
			continue;
		assert_in_range(found, 0, count - 1);
		assert_string_equal(section, keys[found].section);
		assert_string_equal(name, keys[found].name);
		assert_string_equal(value, keys[found].value);
		found++;
	}
	fclose(file);
	assert_int_equal(found, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_manual),
		cmocka_unit_test(every_key_can_be_set),
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(white_space_and_line_ends_do_not_count),
		cmocka_unit_test(a_value_is_taken_as_it_stands),
		cmocka_unit_test(a_line_may_have_190_bytes),
		cmocka_unit_test(errors_say_the_line_and_what_is_wrong),
		cmocka_unit_test(the_socket_fits_its_address),
		cmocka_unit_test(nul_bytes_are_refused_where_they_are),
		cmocka_unit_test(a_megabyte_in_one_line_is_refused),
		cmocka_unit_test(garbage_is_refused_without_harm),
		cmocka_unit_test(a_small_buffer_for_the_error_is_no_harm),
		cmocka_unit_test(a_file_that_cannot_be_read_is_not_a_bad_file),
		cmocka_unit_test(the_shipped_file_gives_the_defaults),
		cmocka_unit_test(the_shipped_file_has_every_key_with_its_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
