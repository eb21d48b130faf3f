/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: what is kept of an attachment between hooks, and what a place is called.
 */
#ifndef BPF_MEASURE_PLACE_BPF_H
#define BPF_MEASURE_PLACE_BPF_H

#include "bpf/kernel_link.h"

enum {
	PLACES_MAX = 1 << 16,
	OPS_MAX = 256, /* functions of one struct_ops map */
	DEVICES_MAX = 64, /* that share a hash of their number */
	NETDEV_HASHENTRIES = 256,
	PF_KTHREAD = 0x00200000,
};

/* As enum record_via and enum record_target_type. */
enum {
	VIA_LINK,
	VIA_PROG_ATTACH,
	VIA_PERF_EVENT,
	VIA_NETLINK,
	VIA_SOCKET,
	VIA_STRUCT_OPS,
	VIA_PROG_ARRAY,
	VIA_PIN,
	VIA_OTHER,
};

enum {
	TARGET_UNKNOWN,
	TARGET_FUNCTION,
	TARGET_TRACEPOINT,
	TARGET_LSM_HOOK,
	TARGET_ITERATOR,
	TARGET_PERF_EVENT,
	TARGET_UPROBE,
	TARGET_PROGRAM,
	TARGET_INTERFACE,
	TARGET_NETFILTER,
	TARGET_NETNS,
	TARGET_CGROUP,
	TARGET_SOCKET,
	TARGET_STRUCT_OPS,
	TARGET_MAP,
	TARGET_FILE,
};

/* What a task is about to attach. */
struct use {
	struct series series;
	struct event_place place; /* of the bpf() that it is in */
	struct event_place other; /* of a hook that is told at once */
	struct event_attach found; /* for the iterator, likewise */
	struct event_end end; /* made here before it is sent, for want of stack */
	__u64 link; /* struct bpf_link of this bpf() */
	__u32 cmd; /* 0: in no such bpf() */
	__u32 ifindex;
	__u32 wanted; /* program that tc or a socket has just come by */
	__u32 path_len;
	__u8 has_new;
	__u8 sent;
	__u8 socket; /* in the socket option that attaches */
	__u8 no_task; /* whose task it is has nothing to do with it */
	__u64 map; /* struct bpf_map that this bpf() is about */
	__u64 detaching; /* socket whose filter is being detached */
	char path[PATH_LEN]; /* of the place */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct use);
} uses SEC(".maps");

struct known {
	__u32 prog_id;
	__u32 link_id; /* of a pin of a link */
	__u32 link_type;
};

/* Places whose end is worth an event, by their keys. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PLACES_MAX);
	__type(key, __u64);
	__type(value, struct known);
} places SEC(".maps");

static __always_inline void hook_show(enum event_hook hook)
{
	if (is_agent())
		__sync_fetch_and_or(&state.shown, 1ULL << hook);
}

static __always_inline struct use *use_state(void)
{
	struct use *use = bpf_task_storage_get(
		&uses, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!use)
		__sync_fetch_and_add(&state.untracked_attachments, 1);
	return use;
}

static __always_inline void place_begin(struct event_place *place, __u32 via)
{
	__builtin_memset(place, 0, sizeof(*place));
	place->via = via;
	place->attach_type = -1;
}

static __always_inline void use_begin(struct use *use, __u32 cmd)
{
	place_begin(&use->place, VIA_LINK);
	use->link = 0;
	use->map = 0;
	use->cmd = cmd;
	use->ifindex = 0;
	use->path_len = 0;
	use->has_new = 0;
	use->sent = 0;
}

/* ---- what a place is called ---- */

static __always_inline __u32 prog_id(struct bpf_prog *prog)
{
	return BPF_CORE_READ(prog, aux, id);
}

static __always_inline void name_fill(struct event_place *place, const void *name)
{
	if (bpf_probe_read_kernel_str(place->name, sizeof(place->name), name) < 0)
		place->name[0] = 0;
}

static __always_inline void symbol_fill(struct event_place *place, const void *address)
{
	__u64 args[] = { (__u64)address };

	if (bpf_snprintf((char *)place->name, sizeof(place->name), "%ps", args, sizeof(args)) < 0)
		place->name[0] = 0;
}

static __always_inline void id_fill(struct event_place *place, __u32 target_type, __u64 id)
{
	place->target_type = target_type;
	place->target_id = id;
	place->has_id = 1;
}

static __always_inline void count_fill(struct event_place *place, __u64 count)
{
	place->count = count;
	place->has_count = 1;
}

static __always_inline void device_fill(struct event_place *place, struct net_device *device)
{
	if (!device) {
		place->target_type = TARGET_INTERFACE;
		return;
	}
	id_fill(place, TARGET_INTERFACE, BPF_CORE_READ(device, ifindex));
	BPF_CORE_READ_STR_INTO(&place->name, device, name);
}

static __always_inline struct net_device *device_find(struct net *net, __u32 ifindex)
{
	struct hlist_head *heads = BPF_CORE_READ(net, dev_index_head);
	struct hlist_node *node = NULL;

	bpf_probe_read_kernel(&node, sizeof(node), &heads[ifindex % NETDEV_HASHENTRIES]);
	for (int i = 0; i < DEVICES_MAX && node; i++) {
		struct net_device *device = (void *)node -
			bpf_core_field_offset(struct net_device, index_hlist);

		if ((__u32)BPF_CORE_READ(device, ifindex) == ifindex)
			return device;
		node = BPF_CORE_READ(node, next);
	}
	return NULL;
}

static __always_inline void netns_fill(struct event_place *place, struct net *net)
{
	id_fill(place, TARGET_NETNS, BPF_CORE_READ(net, ns.inum));
}

static __always_inline void numbers_fill(struct event_place *place, __u64 one, __u64 other)
{
	__u64 args[] = { one, other };

	if (bpf_snprintf(
		    (char *)place->name, sizeof(place->name), "%llu/%llu", args, sizeof(args)) < 0)
		place->name[0] = 0;
}

/* The names from here to the root of the file system, or of all of them where there is a mount. */
static __always_inline void file_fill(
	struct use *use, struct event_place *place, struct dentry *dentry, struct vfsmount *mount)
{
	struct path_walk walk = { .path = use->path, .node = dentry, .mount = mount };

	bpf_loop(PATH_DEPTH, file_step, &walk, 0);
	path_finish(&walk);
	use->path_len = walk.len;
}

static __always_inline void cgroup_fill(
	struct use *use, struct event_place *place, struct cgroup *cgroup)
{
	struct path_walk walk = { .path = use->path };

	walk.node = BPF_CORE_READ(cgroup, kn);
	id_fill(place, TARGET_CGROUP, BPF_CORE_READ(cgroup, kn, id));
	bpf_loop(PATH_DEPTH, cgroup_step, &walk, 0);
	path_finish(&walk);
	use->path_len = walk.len;
}

static __always_inline void perf_probe_fill(
	struct use *use, struct event_place *place, struct trace_event_call *call)
{
	struct trace_probe_event *event = (void *)call -
		bpf_core_field_offset(struct trace_probe_event, call);
	struct trace_probe *probe = (void *)BPF_CORE_READ(event, probes.next) -
		bpf_core_field_offset(struct trace_probe, list);
	struct trace_kprobe *kprobe = (void *)probe -
		bpf_core_field_offset(struct trace_kprobe, tp);
	struct trace_uprobe *uprobe = (void *)probe -
		bpf_core_field_offset(struct trace_uprobe, tp);

	if ((__u32)BPF_CORE_READ(call, flags) & state.kprobe_flag) {
		place->target_type = TARGET_FUNCTION;
		symbol_fill(place, BPF_CORE_READ(kprobe, rp.kp.addr));
		return;
	}
	place->target_type = TARGET_UPROBE;
	place->index = BPF_CORE_READ(uprobe, offset);
	place->has_index = 1;
	file_fill(use, place, BPF_CORE_READ(uprobe, path.dentry), BPF_CORE_READ(uprobe, path.mnt));
}

static __always_inline void perf_fill(
	struct use *use, struct event_place *place, struct perf_event *event)
{
	struct trace_event_call *call = BPF_CORE_READ(event, tp_event);
	__u32 flags;

	if (!call) {
		place->target_type = TARGET_PERF_EVENT;
		numbers_fill(
			place, BPF_CORE_READ(event, attr.type), BPF_CORE_READ(event, attr.config));
		return;
	}
	flags = BPF_CORE_READ(call, flags);
	if (flags & (state.kprobe_flag | state.uprobe_flag)) {
		perf_probe_fill(use, place, call);
		return;
	}
	place->target_type = TARGET_TRACEPOINT;
	name_fill(place,
		flags & state.tracepoint_flag ? BPF_CORE_READ(call, tp, name)
					      : BPF_CORE_READ(call, name));
}

static __always_inline void tracing_fill(struct event_place *place, struct bpf_link *link)
{
	struct bpf_tracing_link *tracing = (void *)link;
	struct bpf_prog *prog = BPF_CORE_READ(link, prog);
	struct bpf_prog *target = BPF_CORE_READ(tracing, tgt_prog);
	void *address = BPF_CORE_READ(tracing, trampoline, func.addr);
	__u32 type = BPF_CORE_READ(prog, type);

	place->target_type = TARGET_FUNCTION;
	if (target) {
		id_fill(place, TARGET_PROGRAM, prog_id(target));
		if (address) {
			symbol_fill(place, address);
			return;
		}
	} else if (type == BPF_PROG_TYPE_LSM) {
		place->target_type = TARGET_LSM_HOOK;
	}
	name_fill(place, BPF_CORE_READ(prog, aux, attach_func_name));
}

static __always_inline void ops_fill(struct event_place *place, void *map)
{
	struct bpf_struct_ops_map *ops = map;
	struct bpf_struct_ops_map___6_1 *ops_6_1 = map;

	id_fill(place, TARGET_STRUCT_OPS, BPF_CORE_READ((struct bpf_map *)map, id));
	if (bpf_core_field_exists(ops->st_ops_desc))
		name_fill(place, BPF_CORE_READ(ops, st_ops_desc, st_ops, name));
	else
		name_fill(place, BPF_CORE_READ(ops_6_1, st_ops, name));
}

/* Links of kernels that do not have all of them: to be asked for only where they are. */
static __always_inline void link_fill_newer(
	struct use *use, struct event_place *place, struct bpf_link *link)
{
	struct bpf_nf_link *netfilter = (void *)link;
	struct bpf_tracing_multi_link *tracing = (void *)link;
	struct bpf_uprobe_multi_link *uprobe;

	switch (place->link_type) {
	case BPF_LINK_TYPE_NETFILTER:
		if (!bpf_core_type_exists(struct bpf_nf_link))
			return;
		place->target_type = TARGET_NETFILTER;
		numbers_fill(place, BPF_CORE_READ(netfilter, hook_ops.pf),
			BPF_CORE_READ(netfilter, hook_ops.hooknum));
		return;
	case BPF_LINK_TYPE_TCX:
		if (!bpf_core_type_exists(struct tcx_link))
			return;
		device_fill(place, BPF_CORE_READ((struct tcx_link *)link, dev));
		return;
	case BPF_LINK_TYPE_NETKIT:
		if (!bpf_core_type_exists(struct netkit_link))
			return;
		device_fill(place, BPF_CORE_READ((struct netkit_link *)link, dev));
		return;
	case BPF_LINK_TYPE_SOCKMAP:
		if (!bpf_core_type_exists(struct sockmap_link))
			return;
		id_fill(place, TARGET_MAP, BPF_CORE_READ((struct sockmap_link *)link, map, id));
		return;
	case BPF_LINK_TYPE_STRUCT_OPS:
		if (!bpf_core_type_exists(struct bpf_struct_ops_link))
			return;
		ops_fill(place, BPF_CORE_READ((struct bpf_struct_ops_link *)link, map));
		return;
	case BPF_LINK_TYPE_UPROBE_MULTI:
		if (!bpf_core_type_exists(struct bpf_uprobe_multi_link))
			return;
		uprobe = (void *)link - bpf_core_field_offset(struct bpf_uprobe_multi_link, link);
		place->target_type = TARGET_UPROBE;
		count_fill(place, BPF_CORE_READ(uprobe, cnt));
		file_fill(use, place, BPF_CORE_READ(uprobe, path.dentry),
			BPF_CORE_READ(uprobe, path.mnt));
		return;
	case BPF_LINK_TYPE_TRACING_MULTI:
		if (!bpf_core_type_exists(struct bpf_tracing_multi_link))
			return;
		place->target_type = TARGET_FUNCTION;
		count_fill(place, (__u32)BPF_CORE_READ(tracing, nodes_cnt));
		symbol_fill(place, BPF_CORE_READ(tracing, nodes[0].trampoline, func.addr));
		return;
	default:
		return;
	}
}

/* For what a link is, on kernels whose links do not say it; -1: unknown. */
static __always_inline int attach_type_before_6_18(struct bpf_link *link, __u32 link_type)
{
	struct bpf_cgroup_link___6_1 *cgroup = (void *)link;

	switch (link_type) {
	case BPF_LINK_TYPE_CGROUP:
		return bpf_core_field_exists(cgroup->type) ? (int)BPF_CORE_READ(cgroup, type) : -1;
	case BPF_LINK_TYPE_PERF_EVENT:
		return BPF_PERF_EVENT;
	case BPF_LINK_TYPE_XDP:
		return BPF_XDP;
	default:
		return BPF_CORE_READ(link, prog, expected_attach_type);
	}
}

/* The place of a link, its program left aside. What is set up later is empty until then. */
static __noinline int link_fill(struct use *use, struct event_place *place, struct bpf_link *link)
{
	struct bpf_kprobe_multi_link *kprobe = (void *)link;
	struct bpf_link___6_18 *link_6_18 = (void *)link;
	unsigned long address = 0;

	place->via = VIA_LINK;
	place->link_id = BPF_CORE_READ(link, id);
	place->link_type = BPF_CORE_READ(link, type);
	if (bpf_core_field_exists(link_6_18->attach_type))
		place->attach_type = BPF_CORE_READ(link_6_18, attach_type);
	else if (place->attach_type < 0)
		place->attach_type = attach_type_before_6_18(link, place->link_type);
	switch (place->link_type) {
	case BPF_LINK_TYPE_RAW_TRACEPOINT:
		place->target_type = TARGET_TRACEPOINT;
		name_fill(place, BPF_CORE_READ((struct bpf_raw_tp_link *)link, btp, tp, name));
		return 0;
	case BPF_LINK_TYPE_TRACING:
		tracing_fill(place, link);
		return 0;
	case BPF_LINK_TYPE_CGROUP:
		cgroup_fill(use, place, BPF_CORE_READ((struct bpf_cgroup_link *)link, cgroup));
		return 0;
	case BPF_LINK_TYPE_ITER:
		place->target_type = TARGET_ITERATOR;
		name_fill(place,
			BPF_CORE_READ((struct bpf_iter_link *)link, tinfo, reg_info, target));
		return 0;
	case BPF_LINK_TYPE_NETNS:
		netns_fill(place, BPF_CORE_READ((struct bpf_netns_link *)link, net));
		return 0;
	case BPF_LINK_TYPE_XDP:
		device_fill(place, BPF_CORE_READ((struct bpf_xdp_link *)link, dev));
		return 0;
	case BPF_LINK_TYPE_PERF_EVENT:
		perf_fill(use, place,
			BPF_CORE_READ((struct bpf_perf_link *)link, perf_file, private_data));
		return 0;
	case BPF_LINK_TYPE_KPROBE_MULTI:
		if (!bpf_core_type_exists(struct bpf_kprobe_multi_link))
			return 0;
		place->target_type = TARGET_FUNCTION;
		count_fill(place, BPF_CORE_READ(kprobe, cnt));
		bpf_probe_read_kernel(&address, sizeof(address), BPF_CORE_READ(kprobe, addrs));
		symbol_fill(place, (void *)address);
		return 0;
	default:
		link_fill_newer(use, place, link);
		return 0;
	}
}

#endif
