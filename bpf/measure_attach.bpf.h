/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: where a program comes to run, and where it ceases to.
 *
 * What is attached to what is taken from the kernel's own pointers as it works with them, never from
 * user memory or from numbers of descriptors: another thread may change both meanwhile. A task's
 * way through bpf() is in its storage, as a load is, and is sent when bpf() returns success.
 */
#ifndef BPF_MEASURE_ATTACH_BPF_H
#define BPF_MEASURE_ATTACH_BPF_H

#include "bpf/measure_place.bpf.h"

/* ---- sending ---- */

/* Not inline, as the stack has no room for two of it. */
static __noinline int attach_send(
	struct use *use, struct event_place *place, enum event_action action)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *exe = task->mm->exe_file;
	bool has_task = !use->no_task && !(task->flags & PF_KTHREAD);
	struct event_attach *event;

	/* Its hooks are found as what is there before; its canaries are tests. */
	if (!use->no_task && is_agent())
		return 0;
	use->series.number = 0;
	use->series.events = 0;
	use->series.dropped = 0;
	event = series_reserve(&use->series, EVENT_ATTACH, sizeof(*event));
	if (event) {
		__builtin_memset(&event->task, 0, sizeof(event->task));
		task_fill(&event->task, exe->f_inode);
		event->boottime_ns = bpf_ktime_get_boot_ns();
		event->place = *place;
		event->place.has_path = place == &use->place && use->path_len;
		event->action = action;
		event->has_task = has_task;
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	}
	if (place == &use->place && use->path_len && use->path_len <= PATH_LEN)
		bytes_send(&use->series, STREAM_TARGET, use->path, use->path_len);
	if (has_task)
		task_paths_send(&use->series);
	__builtin_memset(&use->end, 0, sizeof(use->end));
	use->end.series = SERIES_ATTACH;
	series_end(&use->series, &use->end);
	return 0;
}

/*
 * A place that has a key: its end is told only where its beginning was, and so is what was there
 * before. multi: the place may have several programs at once.
 */
static __noinline int place_send(
	struct use *use, struct event_place *place, enum event_action action, bool multi)
{
	__u64 key = place->key, of_prog = key ^ (__u64)place->prog_id << 40;
	struct known now = { place->prog_id, place->link_id, place->link_type };
	struct known *known = bpf_map_lookup_elem(&places, &key);
	__u32 id = place->prog_id;

	if (action >= ACTION_DETACH) {
		if (known && (!id || known->prog_id == id)) {
			place->prog_id = known->prog_id;
			place->link_id = known->link_id;
			place->link_type = known->link_type;
			bpf_map_delete_elem(&places, &key);
		} else if (bpf_map_delete_elem(&places, &of_prog)) {
			return 0;
		}
	} else if (multi) {
		bpf_map_update_elem(&places, &of_prog, &now, BPF_ANY);
	} else {
		if (known) {
			place->replaced_id = known->prog_id;
			action = ACTION_UPDATE;
		}
		bpf_map_update_elem(&places, &key, &now, BPF_ANY);
	}
	return attach_send(use, place, action);
}

/* ---- through bpf() ---- */

/* security_bpf(cmd, attr, size): by now attr is the kernel's copy. On the way of every bpf(). */
SEC("fentry/security_bpf")
int bpf_enter(__u64 *ctx)
{
	union bpf_attr *attr = (union bpf_attr *)ctx[1];
	__u32 cmd = ctx[0];
	struct use *use;

	switch (cmd) {
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
	case BPF_RAW_TRACEPOINT_OPEN:
	case BPF_LINK_CREATE:
	case BPF_LINK_UPDATE:
	case BPF_LINK_DETACH:
		break;
	default:
		return 0;
	}
	use = use_state();
	if (!use)
		return 0;
	if (use->cmd) /* the kernel passed by bpf_exit() */
		__sync_fetch_and_add(&state.untracked_attachments, 1);
	use_begin(use, cmd);
	if (cmd == BPF_LINK_CREATE)
		use->place.attach_type = attr->link_create.attach_type;
	if (cmd == BPF_PROG_ATTACH || cmd == BPF_PROG_DETACH) {
		use->place.via = VIA_PROG_ATTACH;
		use->place.attach_type = attr->attach_type;
		if (bpf_core_field_exists(attr->target_ifindex))
			use->ifindex = attr->target_ifindex;
	}
	hook_show(HOOK_BPF);
	return 0;
}

/* bpf_link_prime(link, primer): a new link, about to be attached. */
SEC("fexit/bpf_link_prime")
int link_prime(__u64 *ctx)
{
	struct bpf_link *link = (struct bpf_link *)ctx[0];
	struct use *use = use_state();
	__u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	hook_show(HOOK_LINK);
	if (!use || (__s32)ret < 0)
		return 0;
	if (!use->cmd)
		use_begin(use, BPF_LINK_CREATE);
	use->link = (__u64)link;
	use->place.prog_id = prog_id(link->prog);
	link_fill(use, &use->place, link);
	return 0;
}

static __always_inline bool is_error(__u64 pointer)
{
	return pointer >= -4095ULL;
}

/* The map of functions of a link; 0 where it has none any more. */
static __always_inline __u64 ops_map(struct bpf_link *link)
{
	struct bpf_struct_ops_link *ops = (void *)link;

	return bpf_core_type_exists(struct bpf_struct_ops_link) ? (__u64)BPF_CORE_READ(ops, map)
								: 0;
}

/* bpf_link_get_from_fd(): the link that is updated or detached. */
SEC("fexit/bpf_link_get_from_fd")
int link_get(__u64 *ctx)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	__u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	hook_show(HOOK_LINK_GET);
	if (!use || (use->cmd != BPF_LINK_UPDATE && use->cmd != BPF_LINK_DETACH) || is_error(ret))
		return 0;
	use->link = ret;
	use->place.replaced_id = use->place.prog_id = prog_id(
		BPF_CORE_READ((struct bpf_link *)ret, prog));
	link_fill(use, &use->place, (struct bpf_link *)ret);
	if (use->place.link_type == BPF_LINK_TYPE_STRUCT_OPS)
		use->map = ops_map((struct bpf_link *)ret);
	return 0;
}

/* __bpf_prog_get(): the program that takes the place of another in a link, or is attached or detached. */
SEC("fexit/__bpf_prog_get")
int prog_get(__u64 *ctx)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	__u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	hook_show(HOOK_PROG_GET);
	/* The second, if any, is the one that is expected there. */
	if (!use || is_error(ret) || use->has_new)
		return 0;
	if (use->cmd != BPF_LINK_UPDATE && use->cmd != BPF_PROG_ATTACH &&
		use->cmd != BPF_PROG_DETACH)
		return 0;
	use->has_new = 1;
	use->place.prog_id = prog_id((struct bpf_prog *)ret);
	return 0;
}

/*
 * bpf_prog_get_type_dev(): how everybody outside of links comes by a program that user space names.
 * Who wants it for what has a hook of its own shows that; the rest is told here.
 */
SEC("fexit/bpf_prog_get_type_dev")
int prog_get_type(__u64 *ctx)
{
	struct use *use;
	struct bpf_prog *prog;
	__u64 ret = 0;
	__u32 type;

	bpf_get_func_ret(ctx, &ret);
	hook_show(HOOK_PROG_GET_TYPE);
	if (is_error(ret))
		return 0;
	use = use_state();
	if (!use)
		return 0;
	prog = (struct bpf_prog *)ret;
	if (use->cmd) { /* where nothing else names it */
		if (!use->place.prog_id)
			use->place.prog_id = prog_id(prog);
		return 0;
	}
	type = BPF_CORE_READ(prog, type);
	if (use->socket || type == BPF_PROG_TYPE_SCHED_CLS) {
		use->wanted = prog_id(prog);
		return 0;
	}
	place_begin(&use->other, VIA_OTHER);
	use->other.prog_id = prog_id(prog);
	use->other.attach_type = -1;
	if (type == BPF_PROG_TYPE_XDP) {
		use->other.attach_type = BPF_CORE_READ(prog, expected_attach_type);
		if (use->other.attach_type != BPF_XDP_DEVMAP &&
			use->other.attach_type != BPF_XDP_CPUMAP)
			return 0;
	}
	attach_send(use, &use->other, ACTION_ATTACH);
	return 0;
}

/* Of a map of functions: each of its programs by itself. */
struct ops_walk {
	struct use *use;
	struct seq_file *seq; /* of the iterator */
	struct event_place *place;
	struct bpf_link **links;
	__u32 count;
	__u32 action;
};

static long ops_send(__u32 i, struct ops_walk *walk)
{
	struct bpf_link *link = NULL;

	if (i >= walk->count)
		return 1;
	bpf_probe_read_kernel(&link, sizeof(link), &walk->links[i]);
	walk->place->prog_id = prog_id(BPF_CORE_READ(link, prog));
	if (walk->place->prog_id)
		attach_send(walk->use, walk->place, walk->action);
	return 0;
}

static __always_inline void ops_count(struct ops_walk *walk, void *map)
{
	struct bpf_struct_ops_map *ops = map;
	struct bpf_struct_ops_map___6_1 *ops_6_1 = map;
	struct bpf_struct_ops_map___6_9 *ops_6_9 = map;

	walk->links = BPF_CORE_READ(ops, links);
	if (bpf_core_field_exists(ops->funcs_cnt))
		walk->count = BPF_CORE_READ(ops, funcs_cnt);
	else if (bpf_core_field_exists(ops_6_9->links_cnt))
		walk->count = BPF_CORE_READ(ops_6_9, links_cnt);
	else
		walk->count = BPF_CORE_READ(ops_6_1, st_ops, type, info) & 0xffff;
}

static __always_inline void ops_send_all(
	struct use *use, struct event_place *place, void *map, enum event_action action)
{
	struct ops_walk walk = { .use = use, .place = place, .action = action };

	ops_count(&walk, map);
	bpf_loop(OPS_MAX, ops_send, &walk, 0);
}

static __always_inline void use_send_link(struct use *use, enum event_action action)
{
	struct bpf_link *link = (void *)use->link;
	__u64 map = use->map; /* as it was before */

	/* Where no hook told which it is now. */
	if (action == ACTION_UPDATE && !use->has_new)
		use->place.prog_id = prog_id(BPF_CORE_READ(link, prog));
	/* Not all of it was there when the link was made, or it is another by now. */
	if (action != ACTION_DETACH)
		link_fill(use, &use->place, link);
	if (use->place.link_type != BPF_LINK_TYPE_STRUCT_OPS) {
		attach_send(use, &use->place, action);
		return;
	}
	if (action != ACTION_ATTACH && map)
		ops_send_all(use, &use->place, (void *)map, ACTION_DETACH);
	if (action != ACTION_DETACH)
		ops_send_all(use, &use->place, (void *)ops_map(link), action);
}

/* What bpf() attached to that is neither a link nor a cgroup. */
static __always_inline void use_send_prog(struct use *use, enum event_action action)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct net *net = BPF_CORE_READ(
		task, nsproxy, net_ns); /* a number: it becomes part of one */
	struct event_place *place = &use->place;
	struct bpf_map *map = (void *)use->map;
	bool multi = 0;

	switch (place->attach_type) {
	case BPF_TCX_INGRESS ... BPF_NETKIT_PEER:
		multi = 1;
		device_fill(place, device_find(net, use->ifindex));
		place->key = (__u64)net ^ use->ifindex ^ (__u64)place->attach_type << 32;
		break;
	case BPF_FLOW_DISSECTOR:
		netns_fill(place, net);
		place->key = (__u64)net ^ place->attach_type;
		break;
	default: /* a map of sockets, or what is new */
		if (use->map)
			id_fill(place, TARGET_MAP, BPF_CORE_READ(map, id));
		place->key = use->map ^ place->attach_type;
		break;
	}
	if (action == ACTION_ATTACH && place->replaced_id)
		action = ACTION_UPDATE;
	place_send(use, place, action, multi);
}

/* __sys_bpf(cmd, ...) */
SEC("fexit/__sys_bpf")
int bpf_exit(__u64 *ctx)
{
	struct use *use;
	__u64 ret = 0;
	__u32 cmd = ctx[0];

	if (cmd != BPF_PROG_ATTACH && cmd != BPF_PROG_DETACH && cmd != BPF_RAW_TRACEPOINT_OPEN &&
		cmd != BPF_LINK_CREATE && cmd != BPF_LINK_UPDATE && cmd != BPF_LINK_DETACH)
		return 0;
	use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	bpf_get_func_ret(ctx, &ret);
	if (!use || !use->cmd) { /* the kernel passed by bpf_enter() */
		if ((__s32)ret >= 0)
			__sync_fetch_and_add(&state.untracked_attachments, 1);
		return 0;
	}
	use->cmd = 0;
	if ((__s32)ret < 0)
		return 0;
	if (cmd == BPF_PROG_ATTACH || cmd == BPF_PROG_DETACH) {
		if (!use->sent)
			use_send_prog(use, cmd == BPF_PROG_ATTACH ? ACTION_ATTACH : ACTION_DETACH);
	} else if (use->link) {
		use_send_link(use,
			cmd == BPF_LINK_UPDATE           ? ACTION_UPDATE
				: cmd == BPF_LINK_DETACH ? ACTION_DETACH
							 : ACTION_ATTACH);
	}
	return 0;
}

/* bpf_link_free(link): nobody holds it any more. */
SEC("fentry/bpf_link_free")
int link_free(__u64 *ctx)
{
	struct bpf_link *link = (struct bpf_link *)ctx[0];
	struct use *use;

	hook_show(HOOK_LINK_FREE);
	if (!link->id) /* it never was there for user space */
		return 0;
	use = use_state();
	if (!use)
		return 0;
	use_begin(use, 0);
	use->place.prog_id = prog_id(link->prog);
	link_fill(use, &use->place, link);
	if (use->place.link_type == BPF_LINK_TYPE_STRUCT_OPS)
		ops_send_all(use, &use->place, (void *)ops_map(link), ACTION_CLOSE);
	else
		attach_send(use, &use->place, ACTION_CLOSE);
	return 0;
}

#endif
