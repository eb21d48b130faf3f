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

#include "tests/rewrite.h"
#include "tests/samples.h"

static char buf[RECORD_LINE_MAX];
static char again[RECORD_LINE_MAX];
static struct sampler sampler;

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
	};
	struct line line = new_line();

	record_encode_start(&line, head(), &start);
	assert_line(&line,
		HEAD_OF("start") "\"version\":\"0.1.0\",\"exe_sha256\":\"" ZEROS "\","
				 "\"conf_sha256\":null,\"hooks\":[\"lsm/bpf_prog_load\",\"lsm/bpf_prog\"],"
				 "\"missing\":[\"lsm/bpf_prog_load_post_integrity\"],\"next_program_id\":12,"
				 "\"last_exit\":\"unclean\",\"kept_measuring\":true}");
	record_encode_stop(&line, head(), &(struct record_stop){ text_of("SIGTERM") });
	assert_line(&line, HEAD_OF("stop") "\"why\":\"SIGTERM\"}");
}

#define PROGRAM                                                                                      \
	"\"program\":{\"id\":17,\"name\":\"count \\\"x\\\"\",\"type\":\"xdp\",\"attach_type\":null," \
	"\"attach_to\":null,\"insn_cnt\":2,\"captured\":true,\"sha256\":\"" ONES "\","               \
	"\"kernel_digest\":null,\"load_time_ns\":77,\"kernel_origin\":false,\"self\":false}"
#define MAPS                                                                                       \
	"\"maps\":[{\"id\":4,\"name\":\"m\",\"type\":\"array\",\"flags\":128,\"key_size\":4,"      \
	"\"value_size\":8,\"max_entries\":1,\"frozen\":true,\"exclusive\":true,"                   \
	"\"sha256_at_load\":\"" ZEROS "\"}]"
#define SIGNATURE                                                                                    \
	"\"signature\":{\"verdict\":\"verified\",\"covers\":\"insns+maps\",\"metadata\":\"kernel\"," \
	"\"signed_sha256\":\"" ZEROS "\",\"keyring\":\"user\",\"keyring_serial\":4294967293,"        \
	"\"signers\":1,\"claimed_key_ids\":[\"keyid:00ff\"],\"pinned\":null,\"size\":300,"           \
	"\"sha256\":\"" ONES "\"}"
#define REST                                                                                       \
	"\"chain_digest\":\"" ONES "\",\"parent\":{\"seq\":3,\"sha256\":\"" ZEROS "\","            \
	"\"chain_digest\":null,\"verdict\":\"verified\"},\"loader\":{\"pid\":2,\"tgid\":1,"        \
	"\"uid\":0,\"gid\":0,\"comm\":\"ip\",\"exe\":\"/sbin/ip\",\"exe_dev\":8388609,"            \
	"\"exe_inode\":\"18446744073709551615\",\"exe_sha256\":\"" ONES "\","                      \
	"\"exe_fsverity\":null,\"cgroup\":\"/\",\"user_ns\":4026531837,\"token\":false}"

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
			.size = { true, 300 },
			.sha256 = digest_of(0x11),
		},
		.chain_digest = digest_of(0x11),
		.has_parent = true,
		.parent = { .seq = 3, .sha256 = digest_of(0), .verdict = VERDICT_VERIFIED },
		.loader = {
			.pid = 2,
			.tgid = 1,
			.comm = text_of("ip"),
			.exe = text_of("/sbin/ip"),
			.exe_dev = { true, 8388609 },
			.exe_inode = { true, UINT64_MAX },
			.exe_sha256 = digest_of(0x11),
			.cgroup = text_of("/"),
			.user_ns = { true, 4026531837 },
		},
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
		"\"captured\":false,\"sha256\":null,\"kernel_digest\":null,\"load_time_ns\":null,"
		"\"kernel_origin\":false,\"self\":false},\"maps\":[],"
		"\"signature\":{\"verdict\":\"unknown\",\"covers\":null,\"metadata\":\"none\","
		"\"signed_sha256\":null,\"keyring\":null,\"keyring_serial\":null,\"signers\":null,"
		"\"claimed_key_ids\":[],\"pinned\":null,\"size\":null,\"sha256\":null},"
		"\"chain_digest\":null,\"parent\":null,\"loader\":{\"pid\":0,\"tgid\":0,\"uid\":0,"
		"\"gid\":0,\"comm\":null,\"exe\":null,\"exe_dev\":null,\"exe_inode\":null,"
		"\"exe_sha256\":null,\"exe_fsverity\":null,\"cgroup\":null,\"user_ns\":null,"
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

/* ---- the checker ---- */

static int check(const struct line *line)
{
	struct record_head ignored;
	struct line_error error;

	return record_check(line->buf, line->len, &ignored, &error);
}

static void every_line_of_the_encoder_is_accepted_and_read_back(void **)
{
	for (uint64_t i = 0; i < 20000; i++) {
		struct line line = new_line();
		struct record_head out = sample_head(&sampler), in;
		struct line_error error;

		out.kind = sample_kinds[i % SAMPLE_KINDS];
		sample_record(&sampler, out.kind, out, &line);
		assert_int_equal(record_check(line.buf, line.len, &in, &error), 0);
		assert_true(in.seq == out.seq && in.time_ns == out.time_ns &&
			in.boottime_ns == out.boottime_ns && in.kind == out.kind &&
			in.extend == out.extend);
		assert_memory_equal(in.prev, out.prev, SHA256_LEN);
		assert_true(rewrite_is_same(record_schema(), line.buf, line.len, again));
	}
}

/* The other kinds are made of the same objects. */
static const enum record_kind few_kinds[] = { RECORD_EPOCH, RECORD_START, RECORD_LOAD,
	RECORD_LOST };
enum { FEW_KINDS = sizeof(few_kinds) / sizeof(few_kinds[0]) };

/*
 * Whatever one byte is replaced by, left out or put in, the line is refused, or is the one encoding
 * of something else.
 */
static void a_changed_byte_never_makes_a_second_encoding(void **)
{
	static char changed[RECORD_LINE_MAX];
	struct line line = new_line();
	size_t accepted = 0;

	for (size_t k = 0; k < FEW_KINDS; k++) {
		sampler.state = 100 + k;
		sample_record(&sampler, few_kinds[k], sample_head(&sampler), &line);
		for (size_t at = 0; at < line.len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				struct line edit = { .buf = changed, .len = line.len };

				if (byte == (uint8_t)line.buf[at])
					continue;
				memcpy(changed, line.buf, line.len);
				changed[at] = (char)byte;
				if (check(&edit) < 0)
					continue;
				accepted++;
				assert_true(rewrite_is_same(
					record_schema(), edit.buf, edit.len, again));
			}
	}
	assert_true(accepted > 0);
}

static void an_inserted_or_missing_byte_never_makes_a_second_encoding(void **)
{
	static char changed[RECORD_LINE_MAX];
	static const char bytes[] = " \"\\0x,:[]{}a\n";
	struct line line = new_line();

	for (size_t k = 0; k < FEW_KINDS; k++) {
		sampler.state = 200 + k;
		sample_record(&sampler, few_kinds[k], sample_head(&sampler), &line);
		for (size_t at = 0; at <= line.len; at++) {
			struct line edit = { .buf = changed };

			edit.len = line.len - (at < line.len);
			memcpy(changed, line.buf, at);
			memcpy(changed + at, line.buf + at + 1, edit.len - at);
			if (at < line.len && check(&edit) == 0)
				assert_true(rewrite_is_same(
					record_schema(), edit.buf, edit.len, again));
			edit.len = line.len + 1;
			memcpy(changed + at + 1, line.buf + at, line.len - at);
			for (size_t i = 0; i < sizeof(bytes); i++) {
				changed[at] = bytes[i];
				if (check(&edit) == 0)
					assert_true(rewrite_is_same(
						record_schema(), edit.buf, edit.len, again));
			}
		}
	}
}

static void assert_refused(const char *line, const char *what)
{
	struct record_head result = { .seq = 4711 };
	struct line_error error;

	assert_int_equal(record_check(line, strlen(line), &result, &error), -EBADMSG);
	assert_string_equal(error.what, what);
	assert_int_equal(result.seq, 4711);
}

#define STOP "\"kind\":\"stop\",\"why\":null}"
#define TIME "\"time\":\"2026-01-02T03:04:05.000000006Z\",\"boottime_ns\":99,"

static void other_formats_are_refused(void **)
{
	assert_refused("{\"v\":2,\"seq\":8}", "v: a number outside its range");
	assert_refused("{\"v\":0,\"seq\":8}", "v: a number outside its range");
	assert_refused("{\"v\":1,\"seq\":0,\"prev\":\"" ONES "\"," TIME STOP,
		"seq: a number outside its range");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":null," TIME STOP, "prev: not a string");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"extend\":false,\"kind\":\"stop\",\"why\":null}",
		"kind: this key is missing here");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"kind\":\"stop\",\"extend\":true,\"why\":null}",
		"extend: not false");
	assert_refused("{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME
		       "\"kind\":\"stop\",\"why\":null,\"extend\":false}",
		"the object should end here");
}

static void reserved_kinds_are_refused(void **)
{
	static const enum record_kind reserved[] = {
		RECORD_RESUME,
		RECORD_INTEGRITY,
		RECORD_ATTACH,
		RECORD_DETACH,
		RECORD_FOREIGN,
	};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		char line[300];

		snprintf(line, sizeof(line),
			"{\"v\":1,\"seq\":8,\"prev\":\"" ONES "\"," TIME "\"kind\":\"%s\"}",
			record_kind_name(reserved[i]));
		assert_refused(line, "kind: reserved, and not yet part of the format");
	}
}

/* ---- caps ---- */

static size_t worst_case(const struct line_field *field);

static size_t worst_object(const struct line_field *fields)
{
	size_t len = strlen("{}");
	size_t worst_variant = 0;

	for (const struct line_field *field = fields; field->key; field++) {
		len += field->token_len + worst_case(field);
		if (field->type != LINE_TAG)
			continue;
		for (size_t i = 0; field->words[i]; i++) {
			if (!field->variants[i])
				continue;
			size_t variant = worst_object(field->variants[i]);
			if (variant > worst_variant)
				worst_variant = variant;
		}
	}
	return len + worst_variant;
}

/* The longest that a value can be, as the table has it. */
static size_t worst_case(const struct line_field *field)
{
	size_t len = 0;

	switch (field->type) {
	case LINE_OBJECT:
		return worst_object(field->fields);
	case LINE_ARRAY:
		return strlen("[]") + field->max * (worst_case(field->fields) + strlen(","));
	case LINE_UINT:
	case LINE_BIG:
		return strlen("\"18446744073709551615\"");
	case LINE_BOOL:
	case LINE_FALSE:
		return strlen("false");
	case LINE_HEX:
		return strlen("\"\"") + 2 * field->max;
	case LINE_TEXT: /* every byte escaped once more by JSON; then what a cut adds */
		return strlen("\"\"") + 2 * field->max + strlen("\\\\cut:9223372036854775807:") +
			2 * SHA256_LEN;
	case LINE_WORD:
	case LINE_TAG:
		for (size_t i = 0; field->words[i]; i++)
			if (strlen(field->words[i]) > len)
				len = strlen(field->words[i]);
		return strlen("\"\"") + len;
	case LINE_TIME:
		return strlen("\"2026-01-02T03:04:05.000000006Z\"");
	case LINE_BASE64:
		return strlen("\"\"") + (field->max + 2) / 3 * 4;
	}
	return SIZE_MAX / 2;
}

static size_t depth_of(const struct line_field *fields)
{
	size_t depth = 0;

	for (const struct line_field *field = fields; field->key; field++) {
		size_t inner = 0;

		if (field->type == LINE_OBJECT)
			inner = depth_of(field->fields);
		else if (field->type == LINE_ARRAY)
			inner = 1 + (field->fields->fields ? depth_of(field->fields->fields) : 0);
		else if (field->type == LINE_TAG)
			for (size_t i = 0; field->words[i]; i++)
				if (field->variants[i] && depth_of(field->variants[i]) - 1 > inner)
					inner = depth_of(field->variants[i]) - 1;
		if (inner > depth)
			depth = inner;
	}
	return depth + 1;
}

static void no_line_is_longer_than_the_format_allows(void **)
{
	/* docs/format.md, "Grammar", gives the number. */
	assert_int_equal(worst_object(record_schema()), 64734);
	assert_true(worst_object(record_schema()) <= RECORD_LINE_MAX);
	assert_true(depth_of(record_schema()) <= LINE_DEPTH_MAX);
}

/* Of every byte of it the line needs two, and it is cut. */
static struct record_text longest(void)
{
	static char bytes[RECORD_PATH_MAX + 1];

	memset(bytes, '"', sizeof(bytes));
	return (struct record_text){ .bytes = bytes, .len = sizeof(bytes) };
}

static void every_value_at_its_cap_fits(void **)
{
	const struct record_number most = { true, UINT64_MAX };
	static struct record_map maps[RECORD_MAPS_MAX];
	struct record_load load = {
		.program = { most, longest(), longest(), longest(), longest(), most, false,
			digest_of(1), digest_of(2), most, false, false },
		.map_count = RECORD_MAPS_MAX,
		.maps = maps,
		.signature = { VERDICT_VERIFIED, COVERS_INSNS_MAPS, METADATA_KERNEL, digest_of(3),
			KEYRING_SECONDARY, most, most, RECORD_SIGNERS_MAX, { { 0 } }, digest_of(4),
			most, digest_of(5) },
		.chain_digest = digest_of(6),
		.has_parent = true,
		.parent = { UINT64_MAX, digest_of(7), digest_of(8), VERDICT_VERIFIED },
		.loader = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, longest(), longest(),
			most, most, digest_of(9), digest_of(10), longest(), most, false },
		.stage = STAGE_SIGNATURE,
		.error = UINT32_MAX,
	};
	struct record_head full = {
		.seq = UINT64_MAX, .time_ns = UINT64_MAX, .boottime_ns = UINT64_MAX
	};
	struct line line = new_line();

	for (size_t i = 0; i < RECORD_MAPS_MAX; i++)
		maps[i] = (struct record_map){ UINT32_MAX, longest(), longest(), UINT32_MAX,
			UINT32_MAX, UINT32_MAX, UINT32_MAX, false, false, digest_of(11) };
	for (size_t i = 0; i < RECORD_SIGNERS_MAX; i++)
		load.signature.claimed_key_ids[i] = longest();
	record_encode_reject(&line, full, &load);
	assert_int_equal(check(&line), 0);
	assert_true(line.len <= worst_object(record_schema()));
}

/* ---- facts ---- */

static void epoch_facts_are_those_of_the_line(void **)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct record_epoch_facts facts;
		struct line line = new_line();

		sampler.bytes_used = 0;
		struct record_epoch epoch = sample_epoch(&sampler);
		record_encode_epoch(&line, sample_head(&sampler), &epoch);
		record_epoch_facts(line.buf, line.len, &facts);
		assert_int_equal(facts.pcr, epoch.pcr);
		assert_int_equal(facts.banks, epoch.banks);
		assert_memory_equal(&facts.base, &epoch.base, sizeof(facts.base));
		assert_int_equal(facts.reset_count, epoch.reset_count);
		assert_int_equal(facts.restart_count, epoch.restart_count);
		assert_true(facts.clock_ms == epoch.clock_ms || facts.clock_ms == LINE_UINT_MAX);
		assert_memory_equal(facts.log_id, epoch.log_id, sizeof(facts.log_id));
		assert_int_equal(facts.software, epoch.software);
	}
}

static void program_facts_are_those_of_the_line(void **)
{
	struct record_load load = a_load();
	struct record_program_facts facts;
	struct line line = new_line();

	record_encode_load(&line, head(), &load);
	record_program_facts(line.buf, line.len, &facts);
	assert_int_equal(facts.program_id, 17);
	assert_int_equal(facts.load_time_ns, 77);
	assert_true(facts.sha256.known);
	assert_memory_equal(facts.sha256.sha256, load.program.sha256.sha256, SHA256_LEN);
	assert_false(facts.kernel_digest.known);
	assert_true(facts.chain_digest.known);
	assert_int_equal(facts.verdict, VERDICT_VERIFIED);

	record_encode_baseline(&line, head(), &(struct record_baseline){ 0 });
	record_program_facts(line.buf, line.len, &facts);
	assert_int_equal(facts.program_id, 0);
	assert_false(facts.sha256.known);
	assert_false(facts.chain_digest.known);
	assert_int_equal(facts.verdict, VERDICT_UNKNOWN);
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
		cmocka_unit_test(every_line_of_the_encoder_is_accepted_and_read_back),
		cmocka_unit_test(a_changed_byte_never_makes_a_second_encoding),
		cmocka_unit_test(an_inserted_or_missing_byte_never_makes_a_second_encoding),
		cmocka_unit_test(other_formats_are_refused),
		cmocka_unit_test(reserved_kinds_are_refused),
		cmocka_unit_test(no_line_is_longer_than_the_format_allows),
		cmocka_unit_test(every_value_at_its_cap_fits),
		cmocka_unit_test(epoch_facts_are_those_of_the_line),
		cmocka_unit_test(program_facts_are_those_of_the_line),
		cmocka_unit_test(the_chain_covers_parent_program_signature_and_maps),
		cmocka_unit_test(a_chain_with_an_unknown_link_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
