/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/describe.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "agent/signature.h"

static struct record_text text_of(const void *bytes, size_t len)
{
	return (struct record_text){ bytes, len };
}

/* Of a field that a NUL ends where it is not full; none where it is empty. */
static struct record_text text_field(const uint8_t *bytes, size_t size)
{
	size_t len = strnlen((const char *)bytes, size);

	return text_of(len ? bytes : NULL, len);
}

static struct record_number number(uint64_t value)
{
	return (struct record_number){ true, value };
}

static struct record_text enum_text(const struct describe *describe, struct described *memory,
	enum probe_enum which, uint32_t value)
{
	const char *name = probe_enum_name(
		describe->probe, which, value, memory->enum_names[memory->enum_count++]);

	return text_of(name, strlen(name));
}

/* Zero is an attach type too, and also what programs have that are not attached by type. */
static struct record_text attach_type_text(const struct describe *describe,
	struct described *memory, uint32_t prog_type, uint32_t attach_type)
{
	/* Of struct_ops it is the number of a member, whose name is in attach_to. */
	if (prog_type == BPF_PROG_TYPE_STRUCT_OPS ||
		(!attach_type && prog_type != BPF_PROG_TYPE_CGROUP_SKB))
		return text_of(NULL, 0);
	return enum_text(describe, memory, PROBE_ATTACH_TYPE, attach_type);
}

static int digest(const void *bytes, size_t len, struct record_digest *ret)
{
	int err = sha256(bytes, len, ret->sha256);

	ret->known = !err;
	return err;
}

/* ---- the program ---- */

static void program_from_prog(const struct event_prog *prog, struct record_program *ret)
{
	ret->id = number(prog->id);
	ret->attach_to = text_field(prog->attach_to, sizeof(prog->attach_to));
	ret->load_time_ns = number(prog->load_time_ns);
	if (prog->digest_len == RECORD_TAG_LEN || prog->digest_len == SHA256_LEN) {
		ret->has_tag = true;
		memcpy(ret->tag, prog->digest, RECORD_TAG_LEN);
	}
	if (prog->digest_len == SHA256_LEN) {
		ret->kernel_digest.known = true;
		memcpy(ret->kernel_digest.sha256, prog->digest, SHA256_LEN);
	}
}

/*
 * The instructions as handed to the kernel: those that were about to be checked; of a load that was
 * refused for its signature, the beginning of what the kernel tried to verify.
 */
static struct collected_bytes insns_of(const struct collected_load *load)
{
	const struct collected_bytes *insns = &load->streams[STREAM_INSNS];
	struct collected_bytes none = { .broken = true };

	if (!load->has_load || !load->load.insns_len)
		return none;
	if (!load->load.in_check && load->verify_count == 1) {
		insns = &load->streams[STREAM_SIGNED];
		return insns->len < load->load.insns_len ? none
							 : (struct collected_bytes){
								   .bytes = insns->bytes,
								   .len = load->load.insns_len,
							   };
	}
	return insns->len == load->load.insns_len ? *insns : none;
}

static int describe_program(const struct describe *describe, const struct collected_load *load,
	struct described *memory)
{
	struct collected_bytes insns = insns_of(load);
	struct record_program *ret = &memory->load.program;

	ret->self = load->end.self;
	if (load->has_load) {
		ret->name = text_field(load->load.name, sizeof(load->load.name));
		ret->type = enum_text(describe, memory, PROBE_PROG_TYPE, load->load.prog_type);
		ret->attach_type = attach_type_text(
			describe, memory, load->load.prog_type, load->load.attach_type);
		ret->insn_cnt = number(load->load.insns_len / sizeof(struct bpf_insn));
		ret->kernel_origin = load->load.kernel_origin;
	}
	if (load->has_prog)
		program_from_prog(&load->prog, ret);
	ret->captured = !insns.broken;
	return ret->captured ? digest(insns.bytes, insns.len, &ret->sha256) : 0;
}

/* ---- its maps ---- */

static void describe_map(const struct describe *describe, const struct event_map *map,
	struct described *memory, struct record_map *ret)
{
	*ret = (struct record_map){
		.id = map->id,
		.name = text_field(map->name, sizeof(map->name)),
		.type = enum_text(describe, memory, PROBE_MAP_TYPE, map->map_type),
		.flags = map->flags,
		.key_size = map->key_size,
		.value_size = map->value_size,
		.max_entries = map->max_entries,
		.frozen = map->frozen,
		.exclusive = map->exclusive,
	};
}

static int describe_maps(const struct describe *describe, const struct collected_load *load,
	struct described *memory)
{
	bool complete = collected_is_complete(load);

	for (size_t i = 0; i < load->map_count; i++) {
		const struct collected_map *map = &load->maps[i];
		int err = 0;

		describe_map(describe, &map->map, memory, &memory->maps[i]);
		/* Where a map's event is missing, its contents came as those of the map
		 * before it. */
		if (complete && map->map.content_len && !map->content.broken &&
			map->content.len == map->map.content_len)
			err = digest(map->content.bytes, map->content.len,
				&memory->maps[i].sha256_at_load);
		if (err)
			return err;
	}
	memory->load.maps = memory->maps;
	memory->load.map_count = load->map_count;
	return 0;
}

/* ---- who loaded it ---- */

/* Names from the leaf to the root, each with its NUL, become "/a/b" at the end of room; a root's
 * own name is empty. */
static struct record_text path_text(
	const struct collected_bytes *names, char room[static COLLECT_TEXT_MAX])
{
	size_t at = COLLECT_TEXT_MAX, begin, end;
	const char *bytes = (const char *)names->bytes;

	if (names->broken || !names->len || names->len > COLLECT_TEXT_MAX || bytes[names->len - 1])
		return text_of(NULL, 0);
	for (begin = 0; begin < names->len; begin = end + 1) {
		end = begin + strlen(bytes + begin);
		if (end == begin)
			continue;
		at -= end - begin;
		memcpy(room + at, bytes + begin, end - begin);
		room[--at] = '/';
	}
	if (at == COLLECT_TEXT_MAX)
		room[--at] = '/';
	return text_of(room + at, COLLECT_TEXT_MAX - at);
}

void describe_task(const struct event_task *task, const struct collected_load *series,
	struct described *memory, struct record_loader *ret)
{
	*ret = (struct record_loader){
		.pid = task->pid,
		.tgid = task->tgid,
		.uid = task->uid,
		.gid = task->gid,
		.comm = text_field(task->comm, sizeof(task->comm)),
		.exe_dev = { task->exe_inode != 0, task->exe_dev },
		.exe_inode = { task->exe_inode != 0, task->exe_inode },
		.exe_sha256.known = task->exe_sha256_known,
		.exe = path_text(&series->streams[STREAM_EXE], memory->exe),
		.cgroup = path_text(&series->streams[STREAM_CGROUP], memory->cgroup),
		.exe_fsverity.known = task->exe_fsverity_known,
		.user_ns = { task->user_ns != 0, task->user_ns },
		.mnt_ns = { task->mnt_ns != 0, task->mnt_ns },
		.pid_ns = { task->pid_ns != 0, task->pid_ns },
		.net_ns = { task->net_ns != 0, task->net_ns },
		.token = task->token,
	};
	ret->unit = unit_of_cgroup(ret->cgroup, memory->unit);
	memcpy(ret->exe_sha256.sha256, task->exe_sha256, SHA256_LEN);
	memcpy(ret->exe_fsverity.sha256, task->exe_fsverity, SHA256_LEN);
}

static void describe_loader(const struct collected_load *load, struct described *memory)
{
	if (load->has_load)
		describe_task(&load->load.task, load, memory, &memory->load.loader);
	else
		memory->load.loader.tgid = load->end.tgid;
}

/* ---- where it runs ---- */

/* As people call it: not the kernel's function behind a hook, nor the symbol of a program's code. */
static struct record_text target_name(const struct event_place *place)
{
	struct record_text name = text_field(place->name, sizeof(place->name));
	static const char hook[] = "bpf_lsm_", program[] = "bpf_prog_", module[] = " [bpf]";
	size_t skip = 0;

	if (!name.bytes)
		return name;
	if (place->target_type == TARGET_LSM_HOOK && name.len > strlen(hook) &&
		!memcmp(name.bytes, hook, strlen(hook)))
		skip = strlen(hook);
	if (place->target_type == TARGET_PROGRAM && name.len > strlen(program) + 17 &&
		!memcmp(name.bytes, program, strlen(program)))
		skip = strlen(program) + 17; /* the tag in hex, and what divides it from the name */
	name = text_of(name.bytes + skip, name.len - skip);
	if (place->target_type == TARGET_PROGRAM && name.len > strlen(module) &&
		!memcmp(name.bytes + name.len - strlen(module), module, strlen(module)))
		name.len -= strlen(module);
	return name;
}

void describe_place(const struct describe *describe, const struct event_place *event,
	const struct collected_bytes *target, struct described *memory, struct record_place *ret)
{
	*ret = (struct record_place){
		.via = event->via <= VIA_OTHER ? (enum record_via)event->via : VIA_OTHER,
		.link_id = { event->link_id != 0, event->link_id },
		.target = {
			.type = event->target_type <= TARGET_FILE
				? (enum record_target_type)event->target_type
				: TARGET_UNKNOWN,
			.name = event->has_path && target ? path_text(target, memory->target)
							  : target_name(event),
			.id = { event->has_id, event->target_id },
			.index = { event->has_index, event->index },
			.count = { event->has_count, event->count },
		},
	};
	if (event->link_id)
		ret->link_type = enum_text(describe, memory, PROBE_LINK_TYPE, event->link_type);
	/* Zero is an attach type of cgroups; of others it says that there is none. */
	if (event->attach_type > 0 ||
		(event->attach_type == 0 && event->target_type == TARGET_CGROUP))
		ret->attach_type = enum_text(
			describe, memory, PROBE_ATTACH_TYPE, (uint32_t)event->attach_type);
}

/* ---- the whole ---- */

static void describe_parent(const struct collected_load *load, const struct program_known *parent,
	struct record_load *ret)
{
	if (!load->load.kernel_origin || !parent)
		return;
	ret->has_parent = true;
	ret->parent = (struct record_parent){
		.seq = parent->seq,
		.sha256 = parent->sha256,
		.chain_digest = parent->chain_digest,
		.verdict = parent->verdict,
	};
}

static enum record_stage stage_of(const struct collected_load *load)
{
	if (!load->has_load || !load->load.in_check)
		return STAGE_SIGNATURE;
	if (load->load.security)
		return STAGE_LSM;
	return load->has_prog ? STAGE_OTHER : STAGE_VERIFIER;
}

int describe_load(const struct describe *describe, const struct collected_load *load,
	const struct program_known *parent, struct described *ret)
{
	int err;

	memset(&ret->load, 0, sizeof(ret->load));
	memset(&ret->claims, 0, sizeof(ret->claims));
	ret->enum_count = 0;
	err = describe_program(describe, load, ret);
	if (!err)
		err = describe_maps(describe, load, ret);
	if (err)
		return err;
	describe_loader(load, ret);
	describe_parent(load, parent, &ret->load);
	err = signature_describe(load, describe->trust, ret);
	if (err)
		return err;
	if (load->end.error) {
		ret->load.error = -(unsigned)load->end.error;
		ret->load.stage = stage_of(load);
		return 0;
	}
	/* A parent that is not known, or a map that is missing, breaks the chain: better no
	 * link than a wrong one. */
	if ((load->load.kernel_origin && !ret->load.has_parent) || !collected_is_complete(load))
		return 0;
	return record_chain_digest(&ret->load, &ret->load.chain_digest);
}

void described_done(struct described *described)
{
	cms_claims_done(&described->claims);
}

void describe_integrity(const struct describe *describe, const struct event_integrity *event,
	struct record_integrity *ret)
{
	const char *hook = probe_hook_name(describe->probe, HOOK_INTEGRITY), *verdict;
	char nameless[PROBE_NAME_MAX];

	*ret = (struct record_integrity){ .hook = text_of(hook, strlen(hook)) };
	if (event->source[0])
		ret->source = text_field(event->source, sizeof(event->source));
	if (!event->has_verdict)
		return;
	ret->value = number(event->verdict);
	verdict = probe_enum_name(
		describe->probe, PROBE_INTEGRITY_VERDICT, event->verdict, nameless);
	if (verdict != nameless)
		ret->verdict = text_of(verdict, strlen(verdict));
}

void describe_baseline(const struct describe *describe, const struct event_prog *prog,
	const struct event_map *maps, size_t map_count, struct described *memory,
	struct record_baseline *ret)
{
	static const enum record_verdict verdicts[] = { VERDICT_UNSIGNED, VERDICT_VERIFIED };

	memory->enum_count = 0;
	for (size_t i = 0; i < map_count; i++)
		describe_map(describe, &maps[i], memory, &memory->maps[i]);
	*ret = (struct record_baseline){
		.program = {
			.name = text_field(prog->name, sizeof(prog->name)),
			.type = enum_text(describe, memory, PROBE_PROG_TYPE, prog->prog_type),
			.attach_type = attach_type_text(
				describe, memory, prog->prog_type, prog->attach_type),
		},
		.map_count = map_count,
		.maps = memory->maps,
		.uid = number(prog->uid),
	};
	program_from_prog(prog, &ret->program);
	if (!prog->sig_known || prog->sig_verdict > 1)
		return;
	ret->signature.verdict = verdicts[prog->sig_verdict];
	if (prog->sig_keyring_kind <= KEYRING_USER)
		ret->signature.keyring = (enum record_keyring)prog->sig_keyring_kind;
	if (ret->signature.keyring == KEYRING_USER)
		ret->signature.keyring_serial = number((uint32_t)prog->sig_keyring_serial);
}
