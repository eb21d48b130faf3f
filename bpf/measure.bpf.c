// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the kernel saw: the BPF programs that follow one load through the kernel and put it on the
 * ring.
 *
 * A load is one task's way through bpf_prog_load(), so its state is in task storage from the first
 * hook to the last. Programs are named after their hook; which of them a kernel gets is decided in
 * bpf/probe.c. The events are described in bpf/event.h.
 *
 * The kernel passes by a tracing program on a CPU that has preempted another task in the middle of it.
 * So each program without which a load would not be told whole is there twice, as X and X_again, in
 * an order that the kernel chooses: whichever runs first does it, and only where both are passed by at
 * once, something is missing. It shows: agent/holes.c.
 */
#include "bpf/event.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "bpf/measure_send.bpf.h" /* after libbpf's: it and the next one use them */

/* ---- into bpf_prog_load() ---- */

/* bpf_prog_load(attr, uattr (16 bytes, two words of ctx: pointer, is_kernel), ...) */
SEC("fentry/bpf_prog_load")
int load_enter(__u64 *ctx)
{
	union bpf_attr *attr = (union bpf_attr *)ctx[0];
	struct load_state *load = load_state();

	if (load) /* else the hooks between find where to keep it, or load_exit() tells */
		load_begin(load, HOOK_LOAD_ENTER, attr, ctx[2] & 1);
	return 0;
}

/* ---- the kernel verifies a signature ---- */

static __always_inline __u32 keyring_kind(const struct bpf_key *trusted)
{
	/* Without a reference, key is the number of one of the kernel's own keyrings. */
	if (BPF_CORE_READ(trusted, has_ref))
		return 4;
	return (__u32)(__u64)BPF_CORE_READ(trusted, key) + 1;
}

/* bpf_verify_pkcs7_signature(data, signature, trusted_keyring) */
SEC("fexit/bpf_verify_pkcs7_signature")
int verify(__u64 *ctx)
{
	struct bpf_dynptr_kern *data = (void *)ctx[0];
	struct bpf_dynptr_kern *signature = (void *)ctx[1];
	struct bpf_key *trusted = (void *)ctx[2];
	struct load_state *load = load_current(HOOK_VERIFY);
	struct event_verify *event;
	__u64 data_len, signature_len, ret = 0;

	/* Outside a load it is a kfunc that some BPF program called. */
	if (!load)
		return 0;
	data_len = BPF_CORE_READ(data, size) & DYNPTR_SIZE_MASK;
	signature_len = BPF_CORE_READ(signature, size) & DYNPTR_SIZE_MASK;
	bytes_send(&load->series, STREAM_SIGNED,
		BPF_CORE_READ(data, data) + BPF_CORE_READ(data, offset), data_len);
	bytes_send(&load->series, STREAM_SIGNATURE,
		BPF_CORE_READ(signature, data) + BPF_CORE_READ(signature, offset), signature_len);

	event = series_reserve(&load->series, EVENT_VERIFY, sizeof(*event));
	if (!event)
		return 0;
	bpf_get_func_ret(ctx, &ret);
	event->data_len = data_len;
	event->signature_len = signature_len;
	event->error = (__s32)ret;
	event->keyring_kind = keyring_kind(trusted);
	event->keyring_serial = event->keyring_kind == 4 ? BPF_CORE_READ(trusted, key, serial) : 0;
	event->pad = 0;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

#include "bpf/measure_loader.bpf.h"

/* ---- the load ---- */

/* What was asked of the kernel, and by whom. prog: NULL where the load never got that far. */
static __always_inline void load_send(
	struct load_state *load, union bpf_attr *attr, struct bpf_prog *prog, __s32 security)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *exe = task->mm->exe_file;
	struct event_load *event;

	load->described = 1;
	event = series_reserve(&load->series, EVENT_LOAD, sizeof(*event));
	if (event) {
		event->boottime_ns = bpf_ktime_get_boot_ns();
		event->insns_len = (__u64)attr->insn_cnt * 8;
		event->prog_type = attr->prog_type;
		event->attach_type = attr->expected_attach_type;
		BPF_CORE_READ_INTO(&event->name, attr, prog_name);
		event->task.token = prog && bpf_core_field_exists(prog->aux->token) &&
			BPF_CORE_READ(prog, aux, token);
		event->kernel_origin = load->kernel_origin;
		event->security = security;
		event->in_check = prog != NULL;
		task_fill(&event->task, exe->f_inode);
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	}
	task_paths_send(&load->series);
}

static __always_inline void load_checked(
	struct load_state *load, union bpf_attr *attr, struct bpf_prog *prog, __s32 security)
{
	load->aux = (__u64)BPF_CORE_READ(prog, aux);
	load_send(load, attr, prog, security);
	bytes_send(&load->series, STREAM_INSNS, &prog->insnsi, (__u64)BPF_CORE_READ(prog, len) * 8);
}

/* security_bpf_prog_load(prog, attr, token, kernel (6.15)): the combined answer of all LSMs. */
static __always_inline int load_answered(__u64 *ctx)
{
	struct bpf_prog *prog = (struct bpf_prog *)ctx[0];
	union bpf_attr *attr = (union bpf_attr *)ctx[1];
	__u64 origin = 0, ret = 0;
	bool is_told = !bpf_get_func_arg(ctx, 3, &origin);
	struct load_state *load = load_checking(attr, (__u64)prog->aux, is_told ? &origin : NULL);

	if (!load)
		return 0;
	bpf_get_func_ret(ctx, &ret);
	load_checked(load, attr, prog, (__s32)ret);
	return 0;
}

SEC("fexit/security_bpf_prog_load")
int load(__u64 *ctx)
{
	return load_answered(ctx);
}

SEC("fexit/security_bpf_prog_load")
int load_again(__u64 *ctx)
{
	return load_answered(ctx);
}

/* bpf_check(struct bpf_prog **prog, attr, ...): the same moment on kernels before 6.9. */
static __always_inline int load_in_check(__u64 *ctx)
{
	union bpf_attr *attr = (union bpf_attr *)ctx[1];
	struct bpf_prog *prog = NULL;
	struct load_state *load;
	__u64 where = 0;

	bpf_get_func_arg(ctx, 0, &where); /* the verifier reads no pointer to a pointer from ctx */
	bpf_probe_read_kernel(&prog, sizeof(prog), (void *)where);
	load = load_checking(attr, (__u64)BPF_CORE_READ(prog, aux), NULL);
	if (load)
		load_checked(load, attr, prog, 0);
	return 0;
}

SEC("fentry/bpf_check")
int load_before_6_9(__u64 *ctx)
{
	return load_in_check(ctx);
}

SEC("fentry/bpf_check")
int load_before_6_9_again(__u64 *ctx)
{
	return load_in_check(ctx);
}

/* ---- it passed ---- */

static __always_inline void prog_fill(struct event_prog *event, struct bpf_prog *prog)
{
	struct bpf_prog___digest *prog_digest = (void *)prog;
	struct bpf_prog_aux___sig *aux_sig = (void *)prog->aux;

	event->load_time_ns = prog->aux->load_time;
	event->id = prog->aux->id;
	event->prog_type = prog->type;
	event->attach_type = prog->expected_attach_type;
	event->insn_cnt = prog->len;
	event->uid = prog->aux->user->uid.val;
	event->map_count = prog->aux->used_map_cnt;
	BPF_CORE_READ_INTO(&event->name, prog, aux, name);
	__builtin_memset(event->digest, 0, sizeof(event->digest));
	if (bpf_core_field_exists(prog_digest->digest)) {
		BPF_CORE_READ_INTO(&event->digest, prog_digest, digest);
		event->digest_len = sizeof(event->digest);
	} else {
		bpf_core_read(event->digest, 8, &prog->tag);
		event->digest_len = 8;
	}
	event->sig_known = 0;
	event->sig_verdict = 0;
	event->sig_keyring_kind = 0;
	event->sig_keyring_serial = 0;
	if (bpf_core_field_exists(aux_sig->sig)) {
		event->sig_known = 1;
		event->sig_verdict = aux_sig->sig.verdict;
		event->sig_keyring_kind = aux_sig->sig.keyring_type;
		event->sig_keyring_serial = aux_sig->sig.keyring_serial;
	}
	if (bpf_probe_read_kernel_str(
		    event->attach_to, sizeof(event->attach_to), prog->aux->attach_func_name) < 0)
		event->attach_to[0] = 0;
}

static __always_inline void map_fill(struct event_map *event, struct bpf_map *map)
{
	event->content_len = 0;
	event->id = BPF_CORE_READ(map, id);
	event->map_type = BPF_CORE_READ(map, map_type);
	event->flags = BPF_CORE_READ(map, map_flags);
	event->key_size = BPF_CORE_READ(map, key_size);
	event->value_size = BPF_CORE_READ(map, value_size);
	event->max_entries = BPF_CORE_READ(map, max_entries);
	BPF_CORE_READ_INTO(&event->name, map, name);
	event->frozen = BPF_CORE_READ(map, frozen);
	event->exclusive = bpf_core_field_exists(map->excl_prog_sha) &&
		BPF_CORE_READ(map, excl_prog_sha);
	event->pad[0] = event->pad[1] = 0;
}

static __always_inline struct bpf_map *map_at(struct bpf_map **maps, __u32 i)
{
	struct bpf_map *map = NULL;

	bpf_probe_read_kernel(&map, sizeof(map), &maps[i]);
	return map;
}

struct map_walk {
	struct load_state *load; /* of a load: contents too */
	struct seq_file *seq; /* of the baseline */
	struct bpf_map **maps;
	__u32 count;
};

static long map_send(__u32 i, struct map_walk *walk)
{
	struct bpf_map *map;
	struct bpf_array *array;
	struct event_map *event;
	__u64 content_len = 0;

	if (i >= walk->count)
		return 1;
	map = map_at(walk->maps, i);
	array = (struct bpf_array *)map;
	if (BPF_CORE_READ(map, frozen) && BPF_CORE_READ(map, map_type) == BPF_MAP_TYPE_ARRAY)
		content_len = (__u64)BPF_CORE_READ(array, elem_size) *
			BPF_CORE_READ(map, max_entries);
	if (content_len > state.map_content_max)
		content_len = 0;

	event = series_reserve(&walk->load->series, EVENT_MAP, sizeof(*event));
	if (!event)
		return 0;
	map_fill(event, map);
	event->content_len = content_len;
	event->index = i;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	if (content_len)
		bytes_send(&walk->load->series, STREAM_MAP, &array->value, content_len);
	return 0;
}

/* security_bpf_prog(prog): a descriptor is about to be made; the first one of a load is ours. */
static __always_inline int prog_passed(__u64 *ctx)
{
	struct bpf_prog *prog = (struct bpf_prog *)ctx[0];
	struct load_state *load = load_current(HOOK_PROG);
	__u64 aux = (__u64)prog->aux;
	struct event_prog *event;
	struct map_walk walk = {};
	__u64 id;

	if (!load || load->aux != aux)
		return 0;
	load->aux = 0; /* the next one is somebody who opens it by its id */
	id = prog->aux->id;
	/* Before the descriptor exists, so that whoever closes it finds it here. */
	bpf_map_update_elem(&programs, &aux, &id, BPF_ANY);

	event = series_reserve(&load->series, EVENT_PROG, sizeof(*event));
	if (event) {
		prog_fill(event, prog);
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	}
	walk.load = load;
	walk.maps = prog->aux->used_maps;
	walk.count = prog->aux->used_map_cnt;
	bpf_loop(EVENT_MAPS_MAX, map_send, &walk, 0);
	return 0;
}

SEC("fexit/security_bpf_prog")
int prog(__u64 *ctx)
{
	return prog_passed(ctx);
}

SEC("fexit/security_bpf_prog")
int prog_again(__u64 *ctx)
{
	return prog_passed(ctx);
}

/* ---- out of bpf_prog_load() ---- */

static __always_inline void load_leave(__u64 *ctx, struct load_state *load)
{
	__u64 ret = 0;

	load->hooks |= 1U << HOOK_LOAD_EXIT;
	load->inside = 0;
	load->aux = 0;
	bpf_get_func_ret(ctx, &ret);
	/* Refused for its arguments alone: no code came near the kernel. Not so where somebody who
	 * might load had signed it. */
	if (!load->described && (__s32)ret < 0) {
		if (!load->signature_len || !(load->hooks & 1U << HOOK_VERIFY || may_load()))
			return;
		load_send(load, (union bpf_attr *)ctx[0], NULL, 0);
	}
	load_end(load, (__s32)ret < 0 ? (__s32)ret : 0);
}

SEC("fexit/bpf_prog_load")
int load_exit(__u64 *ctx)
{
	struct load_state *load = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	__u64 ret = 0;

	if (load && load->inside)
		load_leave(ctx, load);
	bpf_get_func_ret(ctx, &ret);
	if (!load && (__s32)ret >= 0) /* no hook of this load found where to keep something */
		__sync_fetch_and_add(&state.untracked, 1);
	return 0;
}

SEC("fexit/bpf_prog_load")
int load_exit_again(__u64 *ctx)
{
	struct load_state *load = load_current(HOOK_LOAD_EXIT);

	if (load)
		load_leave(ctx, load);
	return 0;
}

#include "bpf/measure_integrity.bpf.h"

/* ---- a loader program runs ---- */

/* bpf_prog_test_run_syscall(prog, ...) */
static __always_inline int run_begins(__u64 *ctx)
{
	struct bpf_prog *prog = (struct bpf_prog *)ctx[0];
	struct load_state *load = load_state();

	if (load)
		load->parent_id = BPF_CORE_READ(prog, aux, id);
	return 0;
}

SEC("fentry/bpf_prog_test_run_syscall")
int run_enter(__u64 *ctx)
{
	return run_begins(ctx);
}

SEC("fentry/bpf_prog_test_run_syscall")
int run_enter_again(__u64 *ctx)
{
	return run_begins(ctx);
}

static __always_inline int run_ends(void)
{
	struct load_state *load = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);

	if (load)
		load->parent_id = 0;
	return 0;
}

SEC("fexit/bpf_prog_test_run_syscall")
int run_exit(__u64 *ctx)
{
	return run_ends();
}

SEC("fexit/bpf_prog_test_run_syscall")
int run_exit_again(__u64 *ctx)
{
	return run_ends();
}

/* ---- the end of a program ---- */

/* bpf_prog_free(prog): also for loads that failed, and in any context. */
SEC("fentry/bpf_prog_free")
int prog_free(__u64 *ctx)
{
	struct bpf_prog *prog = (struct bpf_prog *)ctx[0];
	__u64 aux = (__u64)prog->aux;
	__u64 *id = bpf_map_lookup_elem(&programs, &aux);
	struct event_free *event;

	if (!id)
		return 0;
	event = event_reserve(0, EVENT_FREE, sizeof(*event));
	if (event) {
		event->boottime_ns = bpf_ktime_get_boot_ns();
		event->id = *id;
		event->pad = 0;
		bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	}
	bpf_map_delete_elem(&programs, &aux);
	return 0;
}

/* ---- what was loaded before ---- */

static long map_write(__u32 i, struct map_walk *walk)
{
	struct event_map event = {};

	if (i >= walk->count)
		return 1;
	map_fill(&event, map_at(walk->maps, i));
	event.event.type = EVENT_MAP;
	event.event.size = sizeof(event);
	event.index = i;
	bpf_seq_write(walk->seq, &event, sizeof(event));
	return 0;
}

SEC("iter/bpf_prog")
int baseline(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;
	struct event_prog event = {};
	struct map_walk walk = {};
	__u64 aux, id;

	if (!prog)
		return 0;
	prog_fill(&event, prog);
	event.event.type = EVENT_PROG;
	event.event.size = sizeof(event);
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));

	walk.seq = ctx->meta->seq;
	walk.maps = BPF_CORE_READ(prog, aux, used_maps);
	walk.count = event.map_count; /* the reader goes by it */
	bpf_loop(EVENT_MAPS_MAX, map_write, &walk, 0);

	aux = (__u64)BPF_CORE_READ(prog, aux);
	id = event.id;
	bpf_map_update_elem(&programs, &aux, &id, BPF_ANY); /* another's end may have been missed */
	return 0;
}

#include "bpf/measure_keep.bpf.h"
