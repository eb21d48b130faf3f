// SPDX-License-Identifier: BSD-2-Clause
/*
 * make-story PATH DAYS PER-DAY [broken]
 *
 * The log of a server over so many days, with so many loads a day: a boot with systemd's programs, an
 * agent of the network with signed programs by its loader, tracers by day, a collector by the hour,
 * somebody who tries things; reboots, an upgrade of the daemon, a day with losses, and, with `broken`,
 * an extend by somebody else. The same arguments make the same log.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "db/db.h"
#include "tests/tools/maker.h"

enum { DAY_S = 86400, HOUR_S = 3600, KEPT_MAX = 64 };

struct story {
	struct maker maker;
	uint64_t now_s, boot_s;
	unsigned boots;
	uint32_t state; /* of chance() */
	struct {
		uint64_t seq;
		uint32_t id;
	} kept[KEPT_MAX]; /* loaded programs that are to be unloaded, oldest first */
	unsigned kept_count;
};

static unsigned chance(struct story *story, unsigned of)
{
	story->state = story->state * 1664525 + 1013904223;
	return (story->state >> 8) % of;
}

static struct record_head now(struct story *story)
{
	struct record_head at = head(&story->maker);

	story->now_s += chance(story, 3);
	at.time_ns = story->now_s * 1000000000 + chance(story, 1000000);
	at.boottime_ns = (story->now_s - story->boot_s) * 1000000000;
	at.extend = true;
	return at;
}

static void put_epoch(struct story *story, enum record_why why)
{
	char boot_id[64];

	snprintf(boot_id, sizeof(boot_id), "c3f07a11-90d2-4d1b-8f3e-%012u", story->boots);
	struct record_epoch epoch = {
		.why = why,
		.log_id = "server-of-a-tale",
		.pcr = 13,
		.banks = 1 << BANK_SHA256,
		.reset_count = 40 + story->boots,
		.clock_ms = 1000,
		.safe = true,
		.firmware = 0x0007005500000000,
		.manufacturer = text("STM"),
		.vendor = text("ST33HTPHAHD8"),
		.boot_id = text(boot_id),
		.kernel = text("6.18.4+deb13-amd64"),
		.last_seq = story->maker.seq - 1,
	};

	record_encode_epoch(&story->maker.line, now(story), &epoch);
	put(&story->maker, 0);
}

static void put_start(struct story *story, enum record_exit last)
{
	struct record_start start = {
		.version = text("0.1.0"),
		.hook_count = 2,
		.hooks = { "lsm/bpf_prog_load", "lsm/bpf_prog" },
		.next_program_id = story->maker.next_id,
		.last_exit = last,
		.kept_measuring = last == EXIT_UNCLEAN,
		.attached_ns = 3000000000,
	};

	record_encode_start(&story->maker.line, now(story), &start);
	put(&story->maker, 0);
}

static void put_stop(struct story *story)
{
	record_encode_stop(
		&story->maker.line, now(story), &(struct record_stop){ .why = text("SIGTERM") });
	put(&story->maker, 0);
}

/* ---- programs ---- */

enum signer { NOBODY, PINNED, KERNEL, STRANGER, UNCLEAR };

struct cast {
	const char *name, *type, *exe, *unit;
	uint32_t uid;
	enum signer signer;
	enum { NOWHERE, INTERFACE, CGROUP, FUNCTION, TRACEPOINT } where;
	const char *place;
};

static const struct cast systemd[] = {
	{ "sd_devices", "cgroup_device", "/usr/lib/systemd/systemd", "init.scope", 0, NOBODY,
		CGROUP, "/system.slice/systemd-udevd.service" },
	{ "sd_fw_ingress", "cgroup_skb", "/usr/lib/systemd/systemd", "init.scope", 0, NOBODY,
		CGROUP, "/system.slice/systemd-journald.service" },
	{ "restrict_filesystems", "lsm", "/usr/lib/systemd/systemd", "init.scope", 0, KERNEL,
		FUNCTION, "file_open" },
};
static const struct cast network[] = {
	{ "cil_from_netdev", "sched_cls", "/opt/cilium/bin/cilium-agent", "cilium.service", 0,
		PINNED, INTERFACE, "eth0" },
	{ "cil_to_netdev", "sched_cls", "/opt/cilium/bin/cilium-agent", "cilium.service", 0, PINNED,
		INTERFACE, "eth0" },
	{ "cil_xdp_entry", "xdp", "/opt/cilium/bin/cilium-agent", "cilium.service", 0, PINNED,
		INTERFACE, "eth1" },
	{ "tail_handle_ipv4", "sched_cls", "/opt/cilium/bin/cilium-agent", "cilium.service", 0,
		PINNED, NOWHERE, NULL },
};
static const struct cast visitors[] = {
	{ "do_nanosleep", "kprobe", "/usr/bin/bpftrace", "session-4.scope", 0, NOBODY, FUNCTION,
		"do_nanosleep" },
	{ "opensnoop", "tracepoint", "/usr/sbin/opensnoop", "session-4.scope", 0, NOBODY,
		TRACEPOINT, "sys_enter_openat" },
	{ "handle_exec", "tracepoint", "/usr/bin/falco", "falco.service", 110, STRANGER, TRACEPOINT,
		"sched_process_exec" },
	{ "collect_tcp", "kprobe", "/usr/local/bin/node-exporter", "node-exporter.service", 998,
		UNCLEAR, FUNCTION, "tcp_sendmsg" },
	{ "x\"><script>alert(1)</script>", "socket_filter", "/home/eve/<b>a b</b>/\x1b[31mload",
		"user@1000.service", 1000, NOBODY, NOWHERE, NULL },
};

static void sign(struct record_signature *signature, enum signer signer)
{
	if (signer == NOBODY || signer == UNCLEAR) {
		signature->verdict = signer == NOBODY ? VERDICT_UNSIGNED : VERDICT_UNKNOWN;
		return;
	}
	*signature = (struct record_signature){
		.verdict = VERDICT_VERIFIED,
		.covers = COVERS_INSNS_MAPS,
		.metadata = METADATA_BOUND,
		.signed_sha256 = digest("signed", signer),
		.keyring = signer == KERNEL ? KEYRING_BUILTIN : KEYRING_USER,
		.keyring_serial = number(123456789),
		.signers = number(1),
		.claimed_count = 1,
		.claimed_key_ids = { text(signer == PINNED
				? "keyid:8352cce0b1d8db49c1af5815766d6d5960f5a376"
				: "keyid:6c1f0e77a0b1d8db49c1af5815766d6d5960f5a3") },
		.digest_algs = { ALG_SHA256 },
		.size = number(711),
		.sha256 = digest("signature", signer),
	};
	if (signer == PINNED) {
		signature->pinned = digest("pinned", 0);
		signature->pinned_subject = text("CN=network team,O=Example");
	}
}

static struct record_loader task(const struct cast *cast)
{
	const char *slash = strrchr(cast->exe, '/');

	return (struct record_loader){
		.pid = 800 + cast->uid,
		.tgid = 800 + cast->uid,
		.uid = cast->uid,
		.gid = cast->uid,
		.comm = text(slash + 1),
		.exe = text(cast->exe),
		.exe_sha256 = digest(cast->exe, 0),
		.unit = text(cast->unit),
	};
}

static uint64_t put_load(struct story *story, const struct cast *cast,
	const struct record_parent *parent, struct record_load *load)
{
	*load = (struct record_load){
		.program = { .id = number(story->maker.next_id++),
			.name = text(cast->name),
			.type = text(cast->type),
			.insn_cnt = number(40 + strlen(cast->name) * 37),
			.captured = true,
			.sha256 = digest(cast->name, 1),
			.kernel_digest = digest(cast->name, 2) },
		.loader = task(cast),
		.has_parent = parent,
	};
	sign(&load->signature, cast->signer);
	if (parent)
		load->parent = *parent;
	record_encode_load(&story->maker.line, now(story), load);
	return put(&story->maker, load->program.id.value);
}

static void put_attach(struct story *story, const struct cast *cast, uint64_t seq, uint32_t id)
{
	static const enum record_target_type targets[] = { TARGET_UNKNOWN, TARGET_INTERFACE,
		TARGET_CGROUP, TARGET_FUNCTION, TARGET_TRACEPOINT };
	struct record_attach attach = {
		.program = { seq, number(id), digest(cast->name, 1) },
		.how = HOW_NEW,
		.place = { .via = VIA_LINK,
			.link_id = number(story->maker.seq),
			.link_type = text(cast->where == CGROUP ? "cgroup" : "tracing"),
			.target = { targets[cast->where], text(cast->place), { 0 }, { 0 },
				{ 0 } } },
		.has_by = true,
		.by = task(cast),
	};

	record_encode_attach(&story->maker.line, now(story), &attach);
	put(&story->maker, 0);
}

static void play(struct story *story, const struct cast *cast, const struct record_parent *parent,
	bool is_kept)
{
	struct record_load load;
	uint64_t seq = put_load(story, cast, parent, &load);
	uint32_t id = (uint32_t)load.program.id.value;

	if (cast->where != NOWHERE)
		put_attach(story, cast, seq, id);
	if (is_kept || story->kept_count == KEPT_MAX)
		return;
	story->kept[story->kept_count].seq = seq;
	story->kept[story->kept_count++].id = id;
}

static void unload_oldest(struct story *story)
{
	struct record_unload unload = { .program_seq = story->kept[0].seq,
		.program_id = story->kept[0].id };

	record_encode_unload(&story->maker.line, now(story), &unload);
	put(&story->maker, 0);
	memmove(story->kept, story->kept + 1, --story->kept_count * sizeof(story->kept[0]));
}

static void put_reject(struct story *story, bool is_signature)
{
	struct record_load load = {
		.program = { .name = text("flipped"),
			.type = text("kprobe"),
			.captured = true,
			.sha256 = digest("flipped", 1) },
		.loader = task(&visitors[is_signature ? 2 : 4]),
		.stage = is_signature ? STAGE_SIGNATURE : STAGE_VERIFIER,
		.error = is_signature ? 129 : 13,
	};

	record_encode_reject(&story->maker.line, now(story), &load);
	put(&story->maker, 0);
}

static void put_lost(struct story *story, enum record_lost_what what, uint64_t count)
{
	struct record_lost lost = {
		.what = what, .count = count, .first = 4000, .last = 3999 + count
	};

	record_encode_lost(&story->maker.line, now(story), &lost);
	put(&story->maker, 0);
}

static void put_foreign(struct story *story)
{
	struct record_foreign foreign = {
		.after_seq = story->maker.seq - 2,
		.banks = 1 << BANK_SHA256,
		.last_seen_ns = number((story->now_s - 30) * 1000000000),
		.reset_count = 40 + story->boots,
	};

	record_encode_foreign(&story->maker.line, now(story), &foreign);
	put(&story->maker, 0);
}

/* ---- the days ---- */

static void boot(struct story *story)
{
	static const struct cast loader = { "__loader.prog", "syscall",
		"/opt/cilium/bin/cilium-agent", "cilium.service", 0, PINNED, NOWHERE, NULL };
	struct record_load load;

	story->kept_count = 0;
	story->boot_s = story->now_s;
	story->boots++;
	put_epoch(story, story->boots == 1 ? WHY_FIRST_USE : WHY_BOOT);
	put_start(story, story->boots == 1 ? EXIT_NONE : EXIT_CLEAN);
	for (unsigned i = 0; i < sizeof(systemd) / sizeof(systemd[0]); i++)
		play(story, &systemd[i], NULL, true);
	struct record_parent parent = { .seq = put_load(story, &loader, NULL, &load),
		.verdict = VERDICT_VERIFIED };
	for (unsigned i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		play(story, &network[i], &parent, true);
}

/* One load, and what comes with it. More by day than by night. */
static void hour(struct story *story, unsigned of_day, unsigned loads)
{
	unsigned count = loads * (of_day > 7 && of_day < 19 ? 3 : 1) / 48 +
		(chance(story, 48) < loads);
	uint64_t end_s = story->now_s + HOUR_S;

	for (unsigned i = 0; i < count; i++) {
		unsigned which = chance(story, 40);

		play(story,
			which < 30           ? &visitors[which % 4]
				: which < 39 ? &network[3]
					     : &visitors[4],
			NULL, false);
		if (chance(story, 25) == 0)
			put_reject(story, chance(story, 2));
		while (story->kept_count > 4)
			unload_oldest(story);
		story->now_s += HOUR_S / (count + 1);
		if (story->now_s > end_s)
			story->now_s = end_s;
	}
	story->now_s = end_s;
}

static void day(
	struct story *story, unsigned number_of, unsigned days, unsigned loads, bool is_broken)
{
	for (unsigned of_day = 0; of_day < 24; of_day++) {
		hour(story, of_day, loads);
		if (number_of == days / 3 && of_day == 9) {
			put_stop(story);
			story->now_s += 5 * HOUR_S;
			put_start(story, EXIT_CLEAN);
			put_lost(story, LOST_IDS, 3);
		}
		if (number_of == days / 2 && of_day == 14)
			put_lost(story, LOST_EVENTS, 112);
		if (number_of % 4 == 3 && of_day == 3) {
			put_stop(story);
			boot(story);
		}
		if (is_broken && number_of == days * 3 / 4 && of_day == 16) {
			put_epoch(story, WHY_BROKEN_LOG);
			put_foreign(story);
		}
	}
}

int main(int argc, char **argv)
{
	static struct story story = { .maker = { .seq = 1, .next_id = 10 }, .now_s = FIRST_S };
	struct maker *maker = &story.maker;
	unsigned days = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	bool is_broken = argc > 4 && strcmp(argv[4], "broken") == 0;

	if (argc < 4 || argc > 5)
		errx(2, "usage: make-story PATH DAYS PER-DAY [broken]");
	line_init(&maker->line, maker->buf, sizeof(maker->buf));
	maker->db = db_new();
	if (!maker->db || db_create(maker->db, argv[1]) < 0)
		errx(1, "%s: %s", argv[1], maker->db ? db_errmsg(maker->db) : "no memory");
	boot(&story);
	for (unsigned i = 0; i < days; i++)
		day(&story, i, days, (unsigned)strtoul(argv[3], NULL, 10), is_broken);
	flush(maker);
	db_free(maker->db);
	return 0;
}
