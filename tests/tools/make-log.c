// SPDX-License-Identifier: BSD-2-Clause
/*
 * make-log PATH [RECORDS [SECONDS]]
 *
 * A log as a daemon would have written it, without kernel and TPM: three epochs, two of them of one
 * boot, programs that were there before, loads signed and not, with maps and by loader programs,
 * rejects, unloads, verdicts after the load, attachments of which some have ended, losses; a resume,
 * a foreign extend and a trim, whose records are not removed yet. The same arguments make
 * the same log; SECONDS is the time of its first record, one follows every 7 s. Where there is a
 * log already, as many loads are added to it.
 *
 * make-log PATH trim LAST [ROWS]
 *
 * Append a trim record, and a quote that is kept after record LAST, by nobody's key; then remove
 * the records up to LAST as the daemon does, but no more than ROWS of them.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/evidence.h"
#include "bpf/record.h"
#include "db/db.h"
#include "tests/tools/maker.h"

/* ---- the records ---- */

static void put_epoch(struct maker *maker, enum record_why why)
{
	static const char ak_name[] = "\0\x0b"
				      "0123456789abcdef0123456789abcdef";
	struct record_epoch epoch = {
		.why = why,
		.log_id = "0123456789abcde",
		.pcr = 13,
		.banks = 1 << BANK_SHA256 | 1 << BANK_SHA384,
		.reset_count = 5 + (why != WHY_FIRST_USE),
		.restart_count = why == WHY_BROKEN_LOG,
		.clock_ms = 1000,
		.safe = true,
		.firmware = 0x2020031200123456,
		.manufacturer = text("IBM"),
		.vendor = text("SW   TPM"),
		.software = true,
		.ak_name = { ak_name, sizeof(ak_name) - 1 },
		.boot_id = text(why == WHY_FIRST_USE ? "5b5e0a5e-6b33-4a46-8f2c-7d3f0a2f1c11"
						     : "c3f07a11-90d2-4d1b-8f3e-2f1c115b5e0a"),
		.kernel = text("6.12.57+deb13-amd64"),
		.last_seq = maker->seq - 1,
	};

	record_encode_epoch(&maker->line, head(maker), &epoch);
	put(maker, 0);
}

static void put_start(struct maker *maker, enum record_exit last)
{
	struct record_start start = {
		.version = text("0.1.0"),
		.exe_sha256 = digest("bpfmeasured", 0),
		.conf_sha256 = digest("agent.conf", 0),
		.hook_count = 3,
		.hooks = { "lsm/bpf_prog_load", "fexit/bpf_verify_pkcs7_signature",
			"lsm/bpf_prog" },
		.missing_count = 1,
		.missing = { "lsm/bpf_prog_load_post_integrity" },
		.next_program_id = maker->next_id,
		.last_exit = last,
		.kept_measuring = last == EXIT_UNCLEAN,
		.attached_ns = 1000000000,
	};

	record_encode_start(&maker->line, head(maker), &start);
	put(maker, 0);
}

static void put_stop(struct maker *maker)
{
	record_encode_stop(
		&maker->line, head(maker), &(struct record_stop){ .why = text("SIGTERM") });
	put(maker, 0);
}

/* One of the programs that come by again and again. Its instructions are kept. */
static struct record_program program(struct maker *maker, unsigned which, const char *name)
{
	static const char *const types[] = { "xdp", "kprobe", "tracepoint", "cgroup_skb", "lsm" };
	uint8_t insns[INSNS_MAX * 8];
	unsigned insn_cnt = 2 + which % (INSNS_MAX - 2);
	struct record_program program = {
		.id = number(maker->next_id++),
		.name = text(name),
		.type = text(types[which % (sizeof(types) / sizeof(types[0]))]),
		.attach_type = which % 3 ? text("cgroup_inet_ingress") : (struct record_text){},
		.insn_cnt = number(insn_cnt),
		.captured = which % 7 != 6,
		.kernel_digest = digest("kernel", which),
		.load_time_ns = number(maker->seq * EVERY_S * 1000000000 + 5),
	};

	if (!program.captured)
		return program;
	for (unsigned i = 0; i < insn_cnt * 8; i++)
		insns[i] = (uint8_t)(which * 31 + i);
	program.sha256.known = true;
	if (sha256(insns, insn_cnt * 8, program.sha256.sha256) < 0)
		errx(1, "no sha256");
	if (which % 7 != 5)
		maker->programs[maker->program_count++] = (struct db_program){
			.sha256 = copy(program.sha256.sha256, SHA256_LEN),
			.insns = copy(insns, insn_cnt * 8),
			.len = insn_cnt * 8,
		};
	return program;
}

static void put_baseline(struct maker *maker, unsigned which)
{
	struct record_baseline baseline = {
		.program = program(maker, which, "sd_devices"),
		.uid = number(0),
	};

	record_encode_baseline(&maker->line, head(maker), &baseline);
	put(maker, baseline.program.id.value);
}

static struct record_loader loader(unsigned which)
{
	static const struct {
		const char *comm;
		const char *exe;
		uint32_t uid;
	} loaders[] = {
		{ "bpftool", "/usr/sbin/bpftool", 0 },
		{ "systemd", "/usr/lib/systemd/systemd", 0 },
		{ "ThreadPool (7)", "/opt/cilium/bin/cilium-agent", 0 },
		{ "a\"b\\c\n", "/home/user/it's a \x1b[31mtrap", 1000 },
	};
	unsigned n = which % (sizeof(loaders) / sizeof(loaders[0]));

	return (struct record_loader){
		.pid = 800 + n,
		.tgid = 800 + n,
		.uid = loaders[n].uid,
		.gid = loaders[n].uid,
		.comm = text(loaders[n].comm),
		.exe = n == 1 && which % 8 == 1 ? (struct record_text){} : text(loaders[n].exe),
		.exe_dev = number(8 << 20 | 1),
		.exe_inode = number(4711 + n),
		.exe_sha256 = digest("exe", n),
		.cgroup = text("/system.slice/some.service"),
		.unit = text("some.service"),
		.user_ns = number(4026531837),
		.token = which % 11 == 3,
	};
}

static void sign(struct record_signature *signature, const struct record_program *program)
{
	static const char *const claims[] = { "keyid:6c1f0e77", "issuer:2222" };

	*signature = (struct record_signature){
		.verdict = VERDICT_VERIFIED,
		.covers = COVERS_INSNS_MAPS,
		.metadata = METADATA_BOUND,
		.signed_sha256 = program->sha256,
		.keyring = KEYRING_USER,
		.keyring_serial = number(123456789),
		.signers = number(2),
		.claimed_count = 2,
		.claimed_key_ids = { text(claims[0]), text(claims[1]) },
		.digest_algs = { ALG_SHA256, ALG_SHA512 },
		.pinned = digest("pinned", 0),
		.pinned_subject = text("CN=signer"),
		.size = number(711),
		.sha256 = digest("signature", 0),
	};
}

static uint64_t put_load(struct maker *maker, struct record_load *load)
{
	if (record_chain_digest(load, &load->chain_digest) < 0)
		errx(1, "no chain digest");
	record_encode_load(&maker->line, head(maker), load);
	return put(maker, load->program.id.value);
}

/* A signed loader program and what it loads. */
static void put_family(struct maker *maker, unsigned which)
{
	struct record_map map = {
		.id = which + 1,
		.name = text("__loader.map"),
		.type = text("array"),
		.flags = 1024,
		.key_size = 4,
		.value_size = 512,
		.max_entries = 1,
		.frozen = true,
		.exclusive = true,
		.sha256_at_load = digest("map", which),
	};
	struct record_load load = {
		.program = program(maker, 10, "__loader.prog"),
		.map_count = 1,
		.maps = &map,
		.signature = { .verdict = VERDICT_UNSIGNED },
		.loader = loader(which),
	};

	load.program.type = text("syscall");
	sign(&load.signature, &load.program);
	struct record_parent parent = { .seq = put_load(maker, &load),
		.verdict = VERDICT_VERIFIED };
	parent.sha256 = load.program.sha256;
	parent.chain_digest = load.chain_digest;

	for (unsigned child = 0; child < 2; child++) {
		load.program = program(maker, 20 + child, child ? "handle_exit" : "handle_exec");
		load.program.kernel_origin = true;
		load.signature = (struct record_signature){ .verdict = VERDICT_UNSIGNED };
		load.has_parent = true;
		load.parent = parent;
		load.chain_digest = (struct record_digest){};
		put_load(maker, &load);
	}
}

static void put_single(struct maker *maker, unsigned which)
{
	static const char *const names[] = { "xdp_pass", "count_packets", "sd_fw_egress",
		"a'b%_*\xff" };
	/* One of those that are loaded some ten times in a log of a million records. */
	bool is_rare = which % 4096 == 4095;
	char rare[16];

	snprintf(rare, sizeof(rare), "rare_%u", which / 4096 % 20);
	struct record_load load = {
		.program = is_rare ? program(maker, 91 + which / 4096 % 20 * 7, rare)
				   : program(maker, 30 + which % 14, names[which % 4]),
		.signature = { .verdict = which % 5 ? VERDICT_UNSIGNED : VERDICT_UNKNOWN },
		.loader = loader(which),
	};

	put_load(maker, &load);
}

static void put_reject(struct maker *maker, unsigned which)
{
	struct record_load load = {
		.program = program(maker, 50, "bad_access"),
		.signature = { .verdict = VERDICT_UNSIGNED },
		.loader = loader(which),
		.stage = which % 2 ? STAGE_VERIFIER : STAGE_SIGNATURE,
		.error = which % 2 ? 13 : 129,
	};

	load.program.id = (struct record_number){};
	record_encode_reject(&maker->line, head(maker), &load);
	put(maker, 0);
}

static void put_unload(struct maker *maker, uint64_t seq, uint32_t id)
{
	struct record_unload unload = { .program_seq = seq, .program_id = id };

	record_encode_unload(&maker->line, head(maker), &unload);
	put(maker, 0);
}

static struct record_of_program newest(const struct maker *maker)
{
	return (struct record_of_program){ maker->seq - 1, number(maker->next_id - 1), { 0 } };
}

static void put_integrity(struct maker *maker)
{
	struct record_integrity integrity = {
		.program = newest(maker),
		.hook = text("lsm/bpf_prog_load_post_integrity"),
		.verdict = text("LSM_INT_VERDICT_UNSIGNED"),
		.value = number(2),
		.source = text("hornet"),
	};

	record_encode_integrity(&maker->line, head(maker), &integrity);
	put(maker, 0);
}

/* Of the newest program, which is at one of three places; some of them have ended again. */
static void put_attachment(struct maker *maker, unsigned which)
{
	static const struct record_place places[] = {
		{ VIA_LINK, { true, 1 }, { "xdp", 3 }, { "xdp", 3 },
			{ TARGET_INTERFACE, { "eth0", 4 }, { true, 2 }, { 0 }, { 0 } } },
		{ VIA_PROG_ATTACH, { 0 }, { 0 }, { "cgroup_device", 13 },
			{ TARGET_CGROUP, { "/a b\n", 5 }, { true, 77 }, { 0 }, { 0 } } },
		{ VIA_PROG_ARRAY, { 0 }, { 0 }, { 0 },
			{ TARGET_MAP, { 0 }, { true, 5 }, { true, 3 }, { 0 } } },
	};
	struct record_attach attach = {
		.program = newest(maker),
		.how = which % 5 == 3 ? HOW_BASELINE : HOW_NEW,
		.place = places[which % 3],
		.has_by = which % 5 != 3,
		.by = loader(which),
	};
	struct record_detach detach = {
		.program = attach.program,
		.why = ENDED_ASKED,
		.attach_seq = maker->seq,
		.has_by = true,
		.by = loader(which + 1),
	};

	attach.place.link_id.value = maker->seq;
	detach.place = attach.place;
	record_encode_attach(&maker->line, head(maker), &attach);
	put(maker, 0);
	if (which % 4)
		return;
	record_encode_detach(&maker->line, head(maker), &detach);
	put(maker, 0);
}

static void put_lost(struct maker *maker)
{
	struct record_lost lost = { .what = LOST_LOADS, .count = 3, .first = 17, .last = 19 };

	record_encode_lost(&maker->line, head(maker), &lost);
	put(maker, 0);
}

static void put_resume(struct maker *maker)
{
	struct record_resume resume = { .reset_count = 6, .restart_count = 1, .clock_ms = 5000 };

	record_encode_resume(&maker->line, head_extended(maker), &resume);
	put(maker, 0);
}

/* Behind the epoch that begins at the value found. */
static void put_foreign(struct maker *maker)
{
	struct record_foreign foreign = {
		.after_seq = maker->seq - 2,
		.banks = 1 << BANK_SHA256 | 1 << BANK_SHA384,
		.last_seen_ns = number((maker->first_s + maker->seq * EVERY_S - 60) * 1000000000),
		.reset_count = 6,
		.restart_count = 1,
	};

	memset(foreign.expected.digest[BANK_SHA256], 0xee, bank_size(BANK_SHA256));
	memset(foreign.found.digest[BANK_SHA256], 0xff, bank_size(BANK_SHA256));
	record_encode_foreign(&maker->line, head_extended(maker), &foreign);
	put(maker, 0);
}

static void put_trim(struct maker *maker, uint64_t first, uint64_t last, const uint8_t *last_sha256)
{
	struct record_trim trim = {
		.why = TRIM_MAX_AGE,
		.first = first,
		.last = last,
		.first_time_ns = (maker->first_s + first * EVERY_S) * 1000000000,
		.last_time_ns = (maker->first_s + last * EVERY_S) * 1000000000,
		.log_id = "0123456789abcde",
		.software = true,
	};

	memcpy(trim.last_sha256, last_sha256, SHA256_LEN);
	record_encode_trim(&maker->line, head_extended(maker), &trim);
	put(maker, 0);
}

/* At least one record. */
static void put_some(struct maker *maker, unsigned turn)
{
	uint32_t id = maker->next_id;
	uint64_t seq = maker->seq;

	switch (turn % 8) {
	case 0:
		put_family(maker, turn / 8);
		return;
	case 3:
		put_reject(maker, turn / 8);
		return;
	case 4:
		put_single(maker, turn);
		put_integrity(maker);
		return;
	case 5:
		put_single(maker, turn);
		put_unload(maker, seq, id);
		return;
	case 7:
		put_single(maker, turn);
		put_attachment(maker, turn / 8);
		if (turn / 8 % 16 == 7)
			put_unload(maker, seq, id);
		return;
	case 6:
		if (turn % 64 == 6)
			put_lost(maker);
		[[fallthrough]];
	default:
		put_single(maker, turn);
	}
}

static void make(struct maker *maker, uint64_t records)
{
	put_epoch(maker, WHY_FIRST_USE);
	put_start(maker, EXIT_NONE);
	for (unsigned i = 0; i < 3; i++)
		put_baseline(maker, i);
	for (unsigned turn = 0; maker->seq < records; turn++) {
		put_some(maker, turn);
		if (turn != records / 3)
			continue;
		put_stop(maker);
		put_epoch(maker, WHY_BOOT);
		put_start(maker, EXIT_CLEAN);
		put_resume(maker);
		put_trim(maker, 1, 2, digest("line", 2).sha256);
		put_epoch(maker, WHY_BROKEN_LOG);
		put_foreign(maker);
	}
	flush(maker);
}

static void line_sha256(struct maker *maker, uint64_t seq, uint8_t ret_sha256[static SHA256_LEN])
{
	char *line = NULL;
	size_t len;

	if (db_line_get(maker->db, seq, &line, &len) < 0 || sha256(line, len, ret_sha256) < 0)
		errx(1, "record %" PRIu64 " cannot be read", seq);
	free(line);
}

static void keep(struct maker *maker, uint64_t seq, const uint8_t *sha256)
{
	struct evidence_kept kept = {
		.seq = seq,
		.pcr = 13,
		.banks = 1 << BANK_SHA256 | 1 << BANK_SHA384,
		.quote_len = 1,
		.signature_len = 1,
		.ak_len = 1,
	};

	memcpy(kept.sha256, sha256, SHA256_LEN);
	evidence_kept_encode(&maker->line, &kept);
	if (db_quote_put(maker->db, seq, maker->line.buf, maker->line.len) < 0)
		errx(1, "%s", db_errmsg(maker->db));
}

static void trim(struct maker *maker, uint64_t last, uint64_t rows)
{
	uint8_t sha256[SHA256_LEN];
	uint64_t first;
	int removed = 1;

	if (db_first_seq(maker->db, &first) < 0)
		errx(1, "%s", db_errmsg(maker->db));
	line_sha256(maker, last, sha256);
	keep(maker, last, sha256);
	put_trim(maker, first, last, sha256);
	flush(maker);
	for (; rows > 0 && removed > 0; rows -= (uint64_t)removed) {
		removed = db_trim(maker->db, last, rows < BATCH ? (unsigned)rows : BATCH);
		if (removed < 0)
			errx(1, "%s", db_errmsg(maker->db));
	}
}

/* Go on where the log ends. */
static void go_on(struct maker *maker, uint64_t last)
{
	line_sha256(maker, last, maker->prev);
	maker->seq = last + 1;
	maker->next_id = (uint32_t)last + 10;
}

static void extend(struct maker *maker, uint64_t last, uint64_t records)
{
	go_on(maker, last);
	for (uint64_t i = 0; i < records; i++)
		put_single(maker, (unsigned)(last + i));
	flush(maker);
}

int main(int argc, char **argv)
{
	static struct maker maker = { .seq = 1, .next_id = 10, .first_s = FIRST_S };
	bool is_trim = argc > 3 && strcmp(argv[2], "trim") == 0;
	uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 100, last = 0;

	if (argc < 2 || argc > 4 + is_trim)
		errx(2, "usage: make-log PATH [RECORDS [SECONDS]] | PATH trim LAST [ROWS]");
	if (argc > 3 && !is_trim)
		maker.first_s = strtoull(argv[3], NULL, 10);
	line_init(&maker.line, maker.buf, sizeof(maker.buf));
	maker.db = db_new();
	if (!maker.db || db_create(maker.db, argv[1]) < 0 || db_last_seq(maker.db, &last) < 0)
		errx(1, "%s: %s", argv[1], maker.db ? db_errmsg(maker.db) : "no memory");
	if (is_trim) {
		go_on(&maker, last);
		trim(&maker, strtoull(argv[3], NULL, 10),
			argc > 4 ? strtoull(argv[4], NULL, 10) : UINT64_MAX);
	} else if (last > 0)
		extend(&maker, last, records);
	else
		make(&maker, records);
	db_free(maker.db);
	return 0;
}
