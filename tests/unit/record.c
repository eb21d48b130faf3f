/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char buf[RECORD_LINE_MAX];

static struct line new_line(void)
{
	struct line line;

	line_init(&line, buf, sizeof(buf));
	return line;
}

static struct record_digest digest_of(uint8_t fill)
{
	struct record_digest digest = { .known = true };

	memset(digest.sha256, fill, sizeof(digest.sha256));
	return digest;
}

static struct record_text text_of(const char *string)
{
	return (struct record_text){ .bytes = string, .len = strlen(string) };
}

static void assert_line(const struct line *line, const char *expected)
{
	assert_int_equal(line->len, strlen(expected));
	assert_memory_equal(line->buf, expected, line->len);
}

/* ---- each kind, spelled out ---- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"
#define HEAD_OF(kind)                                                                              \
	"{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\",\"time\":\"2026-01-02T03:04:05.000000006Z\","    \
	"\"boottime_ns\":99,\"kind\":\"" kind "\","

static struct record_head head(void)
{
	struct record_head result = {
		.seq = 8,
		.time_ns = 1767323045000000006,
		.boottime_ns = 99,
		.extend = true,
	};

	memset(result.prev, 0x11, sizeof(result.prev));
	return result;
}

static void an_epoch_says_where_the_pcr_begins(void **)
{
	struct record_epoch epoch = {
		.why = WHY_TPM_RESTART,
		.log_id = { 0xaa, [15] = 0xbb },
		.pcr = 13,
		.banks = 1U << BANK_SHA1 | 1U << BANK_SHA256,
		.reset_count = 3,
		.restart_count = UINT32_MAX,
		.clock_ms = 5,
		.safe = true,
		.firmware = UINT64_MAX,
		.manufacturer = text_of("IBM"),
		.software = true,
		.ak_name = { "\x00\x0b\xff", 3 },
		.boot_id = text_of("b"),
		.kernel = text_of("7.3.4"),
		.last_seq = 7,
	};
	struct line line = new_line();

	epoch.base.digest[BANK_SHA1][19] = 1;
	record_encode_epoch(&line, head(), &epoch);
	assert_line(&line,
		HEAD_OF("epoch") "\"why\":\"tpm_restart\","
				 "\"log_id\":\"aa0000000000000000000000000000bb\","
				 "\"tpm\":{\"pcr\":13,\"base\":{\"sha1\":\"0000000000000000000000000000000000000001\","
				 "\"sha256\":\"" ZEROS
				 "\"},\"reset_count\":3,\"restart_count\":4294967295,"
				 "\"clock_ms\":5,\"safe\":true,\"firmware\":\"18446744073709551615\","
				 "\"manufacturer\":\"IBM\",\"vendor\":null,\"software\":true,\"ak_name\":\"000bff\"},"
				 "\"boot_id\":\"b\",\"kernel\":\"7.3.4\",\"last_seq\":7}");
}

static void start_and_stop_speak_of_the_daemon(void **)
{
	struct record_start start = {
		.version = text_of("0.1.0"),
		.exe_sha256 = digest_of(0),
		.hook_count = 2,
		.hooks = { "lsm/bpf_prog_load", "lsm/bpf_prog" },
		.missing_count = 1,
		.missing = { "lsm/bpf_prog_load_post_integrity" },
		.next_program_id = 12,
		.last_exit = EXIT_UNCLEAN,
		.kept_measuring = true,
		.attached_ns = 5,
	};
	struct line line = new_line();

	record_encode_start(&line, head(), &start);
	assert_line(&line,
		HEAD_OF("start") "\"version\":\"0.1.0\",\"exe_sha256\":\"" ZEROS "\","
				 "\"conf_sha256\":null,\"hooks\":[\"lsm/bpf_prog_load\",\"lsm/bpf_prog\"],"
				 "\"missing\":[\"lsm/bpf_prog_load_post_integrity\"],\"next_program_id\":12,"
				 "\"last_exit\":\"unclean\",\"kept_measuring\":true,\"attached_ns\":5}");
	record_encode_stop(&line, head(), &(struct record_stop){ text_of("SIGTERM") });
	assert_line(&line, HEAD_OF("stop") "\"why\":\"SIGTERM\"}");
}

#define PROGRAM                                                                                      \
	"\"program\":{\"id\":17,\"name\":\"count \\\"x\\\"\",\"type\":\"xdp\",\"attach_type\":null," \
	"\"attach_to\":null,\"insn_cnt\":2,\"captured\":true,\"sha256\":\"" ONES "\","               \
	"\"kernel_digest\":null,\"tag\":\"0102030405060708\",\"load_time_ns\":77,\"kernel_origin\":false,\"self\":false}"
#define MAPS                                                                                       \
	"\"maps\":[{\"id\":4,\"name\":\"m\",\"type\":\"array\",\"flags\":128,\"key_size\":4,"      \
	"\"value_size\":8,\"max_entries\":1,\"frozen\":true,\"exclusive\":true,"                   \
	"\"sha256_at_load\":\"" ZEROS "\"}]"
#define SIGNATURE                                                                                    \
	"\"signature\":{\"verdict\":\"verified\",\"covers\":\"insns+maps\",\"metadata\":\"kernel\"," \
	"\"signed_sha256\":\"" ZEROS "\",\"keyring\":\"user\",\"keyring_serial\":4294967293,"        \
	"\"signers\":1,\"claimed_key_ids\":[\"keyid:00ff\"],\"digest_algs\":[\"sha384\"],"           \
	"\"pinned\":\"" ONES "\",\"pinned_subject\":\"CN=alice\",\"size\":300,"                      \
	"\"sha256\":\"" ONES "\"}"
#define TASK                                                                                       \
	"{\"pid\":2,\"tgid\":1,\"uid\":0,\"gid\":0,\"comm\":\"ip\",\"exe\":\"/sbin/ip\","          \
	"\"exe_dev\":8388609,\"exe_inode\":\"18446744073709551615\",\"exe_sha256\":\"" ONES "\","  \
	"\"exe_fsverity\":null,\"cgroup\":\"/a.service\",\"unit\":\"a.service\","                  \
	"\"user_ns\":4026531837,\"mnt_ns\":4026531841,\"pid_ns\":4026531836,"                      \
	"\"net_ns\":4026531840,\"token\":false}"
#define REST                                                                                       \
	"\"chain_digest\":\"" ONES "\",\"parent\":{\"seq\":3,\"sha256\":\"" ZEROS "\","            \
	"\"chain_digest\":null,\"verdict\":\"verified\"},\"loader\":" TASK

static const struct record_map one_map = {
	.id = 4,
	.name = { "m", 1 },
	.type = { "array", 5 },
	.flags = 128,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 1,
	.frozen = true,
	.exclusive = true,
	.sha256_at_load = { .known = true },
};

static struct record_loader a_task(void)
{
	return (struct record_loader){
		.pid = 2,
		.tgid = 1,
		.comm = text_of("ip"),
		.exe = text_of("/sbin/ip"),
		.exe_dev = { true, 8388609 },
		.exe_inode = { true, UINT64_MAX },
		.exe_sha256 = digest_of(0x11),
		.cgroup = text_of("/a.service"),
		.unit = text_of("a.service"),
		.user_ns = { true, 4026531837 },
		.mnt_ns = { true, 4026531841 },
		.pid_ns = { true, 4026531836 },
		.net_ns = { true, 4026531840 },
	};
}

static struct record_load a_load(void)
{
	return (struct record_load){
		.program = {
			.id = { true, 17 },
			.name = text_of("count \"x\""),
			.type = text_of("xdp"),
			.insn_cnt = { true, 2 },
			.captured = true,
			.sha256 = digest_of(0x11),
			.has_tag = true,
			.tag = { 1, 2, 3, 4, 5, 6, 7, 8 },
			.load_time_ns = { true, 77 },
		},
		.map_count = 1,
		.maps = &one_map,
		.signature = {
			.verdict = VERDICT_VERIFIED,
			.covers = COVERS_INSNS_MAPS,
			.metadata = METADATA_KERNEL,
			.signed_sha256 = digest_of(0),
			.keyring = KEYRING_USER,
			.keyring_serial = { true, (uint32_t)-3 },
			.signers = { true, 1 },
			.claimed_count = 1,
			.claimed_key_ids = { text_of("keyid:00ff") },
			.digest_algs = { ALG_SHA384 },
			.pinned = digest_of(0x11),
			.pinned_subject = text_of("CN=alice"),
			.size = { true, 300 },
			.sha256 = digest_of(0x11),
		},
		.chain_digest = digest_of(0x11),
		.has_parent = true,
		.parent = { .seq = 3, .sha256 = digest_of(0), .verdict = VERDICT_VERIFIED },
		.loader = a_task(),
		.stage = STAGE_VERIFIER,
		.error = EACCES,
	};
}

static void a_load_says_what_by_whom_and_for_whom(void **)
{
	struct record_load load = a_load();
	struct line line = new_line();

	record_encode_load(&line, head(), &load);
	assert_line(&line, HEAD_OF("load") PROGRAM "," MAPS "," SIGNATURE "," REST "}");
	record_encode_reject(&line, head(), &load);
	assert_line(&line,
		HEAD_OF("reject") "\"stage\":\"verifier\",\"errno\":13," PROGRAM "," MAPS
				  "," SIGNATURE "," REST "}");
}

static void nothing_known_is_null_and_never_verified(void **)
{
	struct line line = new_line();
	struct record_head plain = { .seq = 1, .extend = true };

	record_encode_load(&line, plain, &(struct record_load){ 0 });
	assert_line(&line,
		"{\"v\":1,\"seq\":1,\"prev\":\"" ZEROS
		"\",\"time\":\"1970-01-01T00:00:00.000000000Z\","
		"\"boottime_ns\":0,\"kind\":\"load\",\"program\":{\"id\":null,\"name\":null,"
		"\"type\":null,\"attach_type\":null,\"attach_to\":null,\"insn_cnt\":null,"
		"\"captured\":false,\"sha256\":null,\"kernel_digest\":null,\"tag\":null,\"load_time_ns\":null,"
		"\"kernel_origin\":false,\"self\":false},\"maps\":[],"
		"\"signature\":{\"verdict\":\"unknown\",\"covers\":null,\"metadata\":\"none\","
		"\"signed_sha256\":null,\"keyring\":null,\"keyring_serial\":null,\"signers\":null,"
		"\"claimed_key_ids\":[],\"digest_algs\":[],\"pinned\":null,\"pinned_subject\":null,\"size\":null,\"sha256\":null},"
		"\"chain_digest\":null,\"parent\":null,\"loader\":{\"pid\":0,\"tgid\":0,\"uid\":0,"
		"\"gid\":0,\"comm\":null,\"exe\":null,\"exe_dev\":null,\"exe_inode\":null,"
		"\"exe_sha256\":null,\"exe_fsverity\":null,\"cgroup\":null,\"unit\":null,"
		"\"user_ns\":null,\"mnt_ns\":null,\"pid_ns\":null,\"net_ns\":null,"
		"\"token\":false}}");
}

static void a_baseline_points_to_the_earlier_record(void **)
{
	struct record_load load = a_load();
	struct record_baseline baseline = {
		.program = load.program,
		.map_count = 1,
		.maps = &one_map,
		.signature = load.signature,
		.uid = { true, 0 },
		.has_earlier = true,
		.earlier_seq = 6,
	};
	struct line line = new_line();

	record_encode_baseline(&line, head(), &baseline);
	assert_line(&line,
		HEAD_OF("baseline") PROGRAM "," MAPS "," SIGNATURE
					    ",\"uid\":0,\"earlier\":{\"seq\":6,\"sha256\":\"" ZEROS
					    "\"}}");
	baseline.has_earlier = false;
	baseline.uid.known = false;
	record_encode_baseline(&line, head(), &baseline);
	assert_line(&line,
		HEAD_OF("baseline") PROGRAM "," MAPS "," SIGNATURE
					    ",\"uid\":null,\"earlier\":null}");
}

static void unload_and_lost_are_short(void **)
{
	struct line line = new_line();
	struct record_head covered = head();

	record_encode_unload(&line, head(), &(struct record_unload){ 5, 17 });
	assert_line(&line, HEAD_OF("unload") "\"program\":{\"seq\":5,\"id\":17}}");
	covered.extend = false;
	record_encode_lost(&line, covered, &(struct record_lost){ LOST_IDS, 2, 7, 8 });
	assert_line(&line,
		HEAD_OF("lost") "\"extend\":false,\"what\":\"ids\",\"count\":2,\"first\":7,\"last\":8}");
}

#define PLACE                                                                                      \
	"\"via\":\"link\",\"link\":{\"id\":9,\"type\":\"cgroup\"},"                                \
	"\"attach_type\":\"cgroup_inet_egress\",\"target\":{\"type\":\"cgroup\","                  \
	"\"name\":\"/a.service\",\"id\":77,\"index\":null,\"count\":1}"
#define OF_17 "{\"seq\":5,\"id\":17,\"sha256\":\"" ONES "\"}"

static struct record_of_program of_17(void)
{
	return (struct record_of_program){ 5, { true, 17 }, digest_of(0x11) };
}

static struct record_place a_place(void)
{
	return (struct record_place){
		.via = VIA_LINK,
		.link_id = { true, 9 },
		.link_type = text_of("cgroup"),
		.attach_type = text_of("cgroup_inet_egress"),
		.target = {
			.type = TARGET_CGROUP,
			.name = text_of("/a.service"),
			.id = { true, 77 },
			.count = { true, 1 },
		},
	};
}

static void an_attach_says_what_runs_where_and_who_put_it_there(void **)
{
	struct record_attach attach = {
		.program = of_17(),
		.how = HOW_UPDATE,
		.place = a_place(),
		.has_replaced = true,
		.replaced = { 3, { true, 16 }, { 0 } },
		.has_by = true,
		.by = a_task(),
	};
	struct line line = new_line();

	record_encode_attach(&line, head(), &attach);
	assert_line(&line,
		HEAD_OF("attach") "\"program\":" OF_17 ",\"how\":\"update\"," PLACE
				  ",\"replaced\":{\"seq\":3,\"id\":16,\"sha256\":null},"
				  "\"by\":" TASK "}");

	record_encode_attach(&line, head(), &(struct record_attach){ .place.via = VIA_OTHER });
	assert_line(&line,
		HEAD_OF("attach") "\"program\":{\"seq\":0,\"id\":null,\"sha256\":null},"
				  "\"how\":\"new\",\"via\":\"other\",\"link\":null,\"attach_type\":null,"
				  "\"target\":{\"type\":\"unknown\",\"name\":null,\"id\":null,"
				  "\"index\":null,\"count\":null},\"replaced\":null,\"by\":null}");
}

static void a_detach_says_which_attachment_ended_and_why(void **)
{
	struct record_detach detach = {
		.program = of_17(),
		.why = ENDED_CLOSED,
		.attach_seq = 6,
		.place = a_place(),
	};
	struct line line = new_line();

	record_encode_detach(&line, head(), &detach);
	assert_line(&line,
		HEAD_OF("detach") "\"program\":" OF_17 ",\"why\":\"closed\",\"attach_seq\":6," PLACE
				  ",\"by\":null}");
	detach.why = ENDED_ASKED;
	detach.place.link_type.bytes = NULL;
	detach.has_by = true;
	detach.by = a_task();
	record_encode_detach(&line, head(), &detach);
	assert_non_null(strstr(buf, ",\"why\":\"asked\","));
	assert_non_null(strstr(buf, ",\"link\":{\"id\":9,\"type\":null},"));
	assert_non_null(strstr(buf, ",\"by\":" TASK "}"));
}

static void an_integrity_record_has_the_kernels_own_word(void **)
{
	struct record_integrity integrity = {
		.program = of_17(),
		.hook = text_of("lsm/bpf_prog_load_post_integrity"),
		.verdict = text_of("LSM_INT_VERDICT_PARTIALSIG"),
		.value = { true, 3 },
		.source = text_of("hornet"),
	};
	struct line line = new_line();

	record_encode_integrity(&line, head(), &integrity);
	assert_line(&line,
		HEAD_OF("integrity") "\"program\":" OF_17
				     ",\"hook\":\"lsm/bpf_prog_load_post_integrity\","
				     "\"verdict\":\"LSM_INT_VERDICT_PARTIALSIG\",\"value\":3,"
				     "\"source\":\"hornet\"}");
	record_encode_integrity(&line, head(), &(struct record_integrity){ .program = of_17() });
	assert_line(&line,
		HEAD_OF("integrity") "\"program\":" OF_17 ",\"hook\":null,\"verdict\":null,"
				     "\"value\":null,\"source\":null}");
}

static void a_resume_says_the_new_counters(void **)
{
	struct line line = new_line();

	record_encode_resume(
		&line, head(), &(struct record_resume){ 12, UINT32_MAX, UINT64_MAX, true });
	assert_line(&line,
		HEAD_OF("resume") "\"tpm\":{\"reset_count\":12,\"restart_count\":4294967295,"
				  "\"clock_ms\":9223372036854775807,\"safe\":true}}");
}

static void a_foreign_extend_says_what_was_expected_and_found_and_since_when(void **)
{
	struct record_foreign foreign = {
		.after_seq = 6,
		.banks = 1U << BANK_SHA1 | 1U << BANK_SHA256,
		.last_seen_ns = { true, 1767323045000000005 },
		.reset_count = 3,
		.restart_count = 4,
	};
	struct line line = new_line();

	memset(foreign.found.digest[BANK_SHA256], 0x11, SHA256_LEN);
	foreign.expected.digest[BANK_SHA1][19] = 1;
	record_encode_foreign(&line, head(), &foreign);
	assert_line(&line,
		HEAD_OF("foreign") "\"after_seq\":6,"
				   "\"expected\":{\"sha1\":\"0000000000000000000000000000000000000001\","
				   "\"sha256\":\"" ZEROS "\"},"
				   "\"found\":{\"sha1\":\"0000000000000000000000000000000000000000\","
				   "\"sha256\":\"" ONES "\"},"
				   "\"last_seen\":\"2026-01-02T03:04:05.000000005Z\","
				   "\"reset_count\":3,\"restart_count\":4}");

	foreign.banks = 1U << BANK_SHA256;
	foreign.last_seen_ns.known = false;
	record_encode_foreign(&line, head(), &foreign);
	assert_line(&line,
		HEAD_OF("foreign") "\"after_seq\":6,\"expected\":{\"sha256\":\"" ZEROS
				   "\"},\"found\":{\"sha256\":\"" ONES
				   "\"},\"last_seen\":null,\"reset_count\":3,\"restart_count\":4}");
}

static void a_trim_says_where_the_beginning_went(void **)
{
	struct record_trim trim = {
		.why = TRIM_MAX_AGE,
		.first = 1,
		.last = 7,
		.first_time_ns = 0,
		.last_time_ns = 1767323045000000006,
		.log_id = { 0xaa, [15] = 0xbb },
		.software = true,
	};
	struct line line = new_line();

	memset(trim.last_sha256, 0x11, sizeof(trim.last_sha256));
	record_encode_trim(&line, head(), &trim);
	assert_line(&line,
		HEAD_OF("trim") "\"why\":\"max_age\",\"first\":1,\"last\":7,\"last_sha256\":\"" ONES
				"\",\"first_time\":\"1970-01-01T00:00:00.000000000Z\","
				"\"last_time\":\"2026-01-02T03:04:05.000000006Z\","
				"\"log_id\":\"aa0000000000000000000000000000bb\",\"software\":true}");
}

/* ---- chain ---- */

static void assert_chain(const struct record_load *load, const char *expected)
{
	struct record_digest digest = { 0 };
	struct line line = new_line();

	assert_int_equal(record_chain_digest(load, &digest), 0);
	if (!expected) {
		assert_false(digest.known);
		return;
	}
	line_hex(&line, NULL, digest.sha256, SHA256_LEN);
	assert_int_equal(line.len, 2 * SHA256_LEN + 2);
	assert_true(digest.known);
	assert_memory_equal(line.buf + 1, expected, 2 * SHA256_LEN);
}

/* Made with Python's hashlib. */
#define CHAIN_ALONE "8bb67dd34b0a4af66b0be3f1993ce9956c098aa202c76a455cb5171ac2d04430"
#define CHAIN_FULL  "f6dc8647aaa5a5dd7d849a9d95496a665c3219fcedd848c23277e2bf5617d1ae"

static void the_chain_covers_parent_program_signature_and_maps(void **)
{
	struct record_map maps[] = { one_map, one_map, one_map };
	struct record_load load = {
		.program.sha256 = digest_of(0x11),
		.signature.verdict = VERDICT_UNSIGNED,
	};

	assert_chain(&load, CHAIN_ALONE);
	maps[0].sha256_at_load = digest_of(0x33);
	maps[1].sha256_at_load.known = false;
	maps[2].sha256_at_load = digest_of(0x44);
	load.maps = maps;
	load.map_count = 3;
	load.signature.verdict = VERDICT_VERIFIED;
	load.signature.signed_sha256 = digest_of(0x22);
	load.has_parent = true;
	load.parent.chain_digest = digest_of(0x55);
	assert_chain(&load, CHAIN_FULL);
}

static void a_chain_with_an_unknown_link_is_unknown(void **)
{
	struct record_load load = { .signature.verdict = VERDICT_UNSIGNED };

	assert_chain(&load, NULL);
	load.program.sha256 = digest_of(0x11);
	load.has_parent = true;
	assert_chain(&load, NULL);
	load.has_parent = false;
	load.signature.verdict = VERDICT_VERIFIED;
	assert_chain(&load, NULL);
	load.signature.verdict = VERDICT_UNKNOWN;
	assert_chain(&load, NULL);
	load.signature.signed_sha256 = digest_of(0);
	assert_chain(&load, CHAIN_ALONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_epoch_says_where_the_pcr_begins),
		cmocka_unit_test(start_and_stop_speak_of_the_daemon),
		cmocka_unit_test(a_load_says_what_by_whom_and_for_whom),
		cmocka_unit_test(nothing_known_is_null_and_never_verified),
		cmocka_unit_test(a_baseline_points_to_the_earlier_record),
		cmocka_unit_test(unload_and_lost_are_short),
		cmocka_unit_test(an_attach_says_what_runs_where_and_who_put_it_there),
		cmocka_unit_test(a_detach_says_which_attachment_ended_and_why),
		cmocka_unit_test(an_integrity_record_has_the_kernels_own_word),
		cmocka_unit_test(a_resume_says_the_new_counters),
		cmocka_unit_test(a_foreign_extend_says_what_was_expected_and_found_and_since_when),
		cmocka_unit_test(a_trim_says_where_the_beginning_went),
		cmocka_unit_test(the_chain_covers_parent_program_signature_and_maps),
		cmocka_unit_test(a_chain_with_an_unknown_link_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
