/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: programs that come to a place without a link. Each hook has the kernel's
 * own pointers to both. Where a pointer becomes part of a key it is read as a number.
 */
#ifndef BPF_MEASURE_DIRECT_BPF_H
#define BPF_MEASURE_DIRECT_BPF_H

#include "bpf/measure_attach.bpf.h"

enum {
	BPF_F_ALLOW_MULTI = 2,
	BPF_F_LINK = 1 << 13,
	XDP_FLAGS_SKB_MODE = 2,
	XDP_FLAGS_DRV_MODE = 4,
	XDP_FLAGS_HW_MODE = 8,
	NLMSG_HDRLEN = 16,
	KEY_REUSEPORT = 1, /* the other place of the same socket */
};

static __always_inline __u64 argument(void *ctx, __u32 i)
{
	__u64 value = 0;

	bpf_get_func_arg(ctx, i, &value);
	return value;
}

static __always_inline __s32 returned(void *ctx)
{
	__u64 value = 0;

	bpf_get_func_ret(ctx, &value);
	return (__s32)value;
}

/* ---- cgroups ---- */

static __always_inline void cgroup_send(void *ctx, __u32 type, enum event_action action, bool multi)
{
	struct cgroup *cgroup = (void *)argument(ctx, 0);
	struct use *use = use_state();

	if (!use)
		return;
	use->sent = 1;
	place_begin(&use->place, VIA_PROG_ATTACH);
	use->place.attach_type = (__s32)type;
	use->place.prog_id = prog_id((void *)argument(ctx, 1));
	use->place.key = (__u64)cgroup ^ type;
	cgroup_fill(use, &use->place, cgroup);
	place_send(use, &use->place, action, multi);
}

/* __cgroup_bpf_attach(cgroup, prog, replaced, link, type, flags, ...) */
SEC("fexit/__cgroup_bpf_attach")
int cgroup_attach(__u64 *ctx)
{
	if (returned(ctx) >= 0 && !argument(ctx, 3))
		cgroup_send(
			ctx, argument(ctx, 4), ACTION_ATTACH, argument(ctx, 5) & BPF_F_ALLOW_MULTI);
	return 0;
}

/* __cgroup_bpf_detach(cgroup, prog, link, type, ...) */
SEC("fexit/__cgroup_bpf_detach")
int cgroup_detach(__u64 *ctx)
{
	if (returned(ctx) >= 0 && !argument(ctx, 2))
		cgroup_send(ctx, argument(ctx, 3), ACTION_DETACH, 0);
	return 0;
}

/* ---- what else BPF_PROG_ATTACH is for: told at the end of bpf() ---- */

static __always_inline void prog_note(__u64 prog, __u64 replaced)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);

	if (!use || (use->cmd != BPF_PROG_ATTACH && use->cmd != BPF_PROG_DETACH))
		return;
	use->place.prog_id = prog_id((void *)prog);
	use->place.replaced_id = prog_id((void *)replaced);
}

/* bpf_mprog_attach(entry, &entry, prog, link, replaced, ...): tcx, netkit */
SEC("fentry/bpf_mprog_attach")
int mprog_attach(__u64 *ctx)
{
	prog_note(argument(ctx, 2), argument(ctx, 4));
	return 0;
}

/* bpf_mprog_detach(entry, &entry, prog, ...) */
SEC("fentry/bpf_mprog_detach")
int mprog_detach(__u64 *ctx)
{
	prog_note(argument(ctx, 2), 0);
	return 0;
}

/* netns_bpf_prog_attach(attr, prog) */
SEC("fentry/netns_bpf_prog_attach")
int netns_attach(__u64 *ctx)
{
	prog_note(argument(ctx, 1), 0);
	return 0;
}

/* The map that a descriptor is of: of all that is asked for by number, what the kernel's own hands do not
 * show. */
static __always_inline void sockmap_note(void *ctx, __u64 prog)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	struct task_struct *task = bpf_get_current_task_btf();
	union bpf_attr *attr = (void *)argument(ctx, 0);
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	__u32 fd = BPF_CORE_READ(attr, target_fd);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (!use || (use->cmd != BPF_PROG_ATTACH && use->cmd != BPF_PROG_DETACH))
		return;
	if (prog)
		use->place.prog_id = prog_id((void *)prog);
	if (fd >= BPF_CORE_READ(table, max_fds))
		return;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	use->map = (__u64)BPF_CORE_READ(file, private_data);
}

/* sock_map_get_from_fd(attr, prog) */
SEC("fentry/sock_map_get_from_fd")
int sockmap_attach(__u64 *ctx)
{
	sockmap_note(ctx, argument(ctx, 1));
	return 0;
}

/* sock_map_prog_detach(attr, type) */
SEC("fentry/sock_map_prog_detach")
int sockmap_detach(__u64 *ctx)
{
	sockmap_note(ctx, 0);
	return 0;
}

/* ---- network devices ---- */

/* As dev_xdp_mode(). */
static __always_inline __u32 xdp_mode(struct net_device *device, __u32 flags)
{
	if (flags & XDP_FLAGS_HW_MODE)
		return 2;
	if (flags & XDP_FLAGS_DRV_MODE)
		return 1;
	if (flags & XDP_FLAGS_SKB_MODE)
		return 0;
	return BPF_CORE_READ(device, netdev_ops, ndo_bpf) ? 1 : 0;
}

/* dev_xdp_attach(device, extack, link, prog, expected, flags): by netlink where there is no link */
SEC("fexit/dev_xdp_attach")
int xdp_attach(__u64 *ctx)
{
	struct net_device *device = (void *)argument(ctx, 0);
	__u64 prog = argument(ctx, 3);
	struct use *use;

	hook_show(HOOK_XDP);
	if (returned(ctx) < 0 || argument(ctx, 2) || !prog)
		return 0;
	use = use_state();
	if (!use || use->cmd)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	use->other.attach_type = BPF_XDP;
	use->other.prog_id = prog_id((void *)prog);
	use->other.key = (__u64)device ^ (1 + xdp_mode(device, argument(ctx, 5)));
	device_fill(&use->other, device);
	place_send(use, &use->other, ACTION_ATTACH, 0);
	return 0;
}

/* dev_xdp_install(device, mode, ..., NULL): asked for, or because the device goes away */
SEC("fentry/dev_xdp_install")
int xdp_remove(__u64 *ctx)
{
	struct net_device *device = (void *)argument(ctx, 0);
	struct use *use;

	if (argument(ctx, 5))
		return 0;
	use = use_state();
	if (!use)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	use->other.attach_type = BPF_XDP;
	use->other.key = (__u64)device ^ (1 + argument(ctx, 1));
	device_fill(&use->other, device);
	place_send(use, &use->other, ACTION_DETACH, 0);
	return 0;
}

/* A filter is known by what the message calls it: where the kernel chose a part of that itself, nobody
 * finds it again. */
static __always_inline void filter_fill(void *ctx, struct event_place *place)
{
	struct tcmsg *message = (void *)(argument(ctx, 1) + NLMSG_HDRLEN);
	struct sk_buff *skb = (void *)argument(ctx, 0);
	struct net *net = BPF_CORE_READ(skb, sk, __sk_common.skc_net.net);
	__u32 ifindex = BPF_CORE_READ(message, tcm_ifindex);
	__u64 parent = BPF_CORE_READ(message, tcm_parent);
	__u64 handle = BPF_CORE_READ(message, tcm_handle);
	__u64 priority = BPF_CORE_READ(message, tcm_info);

	place->key = (__u64)net ^ ifindex ^ parent << 32 ^ priority << 8 ^ handle << 48;
	device_fill(place, device_find(net, ifindex));
}

/* tc_new_tfilter(skb, message, extack): the kernel's copy of the message */
SEC("fexit/tc_new_tfilter")
int tc_attach(__u64 *ctx)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);

	if (!use || !use->wanted)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	use->other.prog_id = use->wanted;
	use->wanted = 0;
	if (returned(ctx) < 0)
		return 0;
	filter_fill(ctx, &use->other);
	place_send(use, &use->other, ACTION_ATTACH, 0);
	return 0;
}

/* tc_del_tfilter(skb, message, extack) */
SEC("fexit/tc_del_tfilter")
int tc_detach(__u64 *ctx)
{
	struct use *use;

	if (returned(ctx) < 0)
		return 0;
	use = use_state();
	if (!use)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	filter_fill(ctx, &use->other);
	place_send(use, &use->other, ACTION_DETACH, 0);
	return 0;
}

/* ---- perf events ---- */

/* __perf_event_set_bpf_prog(event, prog, cookie): by ioctl() where it is not a link's */
SEC("fexit/__perf_event_set_bpf_prog")
int perf_attach(__u64 *ctx)
{
	struct perf_event *event = (void *)argument(ctx, 0);
	struct use *use;

	hook_show(HOOK_PERF);
	if (returned(ctx) < 0)
		return 0;
	use = use_state();
	if (!use || use->cmd)
		return 0;
	use_begin(use, 0);
	use->place.via = VIA_PERF_EVENT;
	use->place.prog_id = prog_id((void *)argument(ctx, 1));
	use->place.key = (__u64)event;
	perf_fill(use, &use->place, event);
	place_send(use, &use->place, ACTION_ATTACH, 0);
	return 0;
}

/* security_perf_event_free(event): whatever it was for. What frees the program is part of its callers. */
SEC("fentry/security_perf_event_free")
int perf_free(__u64 *ctx)
{
	__u64 key = argument(ctx, 0);
	struct use *use;

	if (!bpf_map_lookup_elem(&places, &key))
		return 0;
	use = use_state();
	if (!use)
		return 0;
	use_begin(use, 0);
	use->place.via = VIA_PERF_EVENT;
	use->place.key = key;
	perf_fill(use, &use->place, (struct perf_event *)key);
	place_send(use, &use->place, ACTION_CLOSE, 0);
	return 0;
}

/* ---- sockets ---- */

static __always_inline void socket_enter(enum event_hook hook)
{
	struct use *use = use_state();

	hook_show(hook);
	if (!use)
		return;
	use->socket = 1;
	use->wanted = 0;
}

static __always_inline void socket_send(
	struct use *use, struct sock *sock, __u64 key, __u32 prog, enum event_action action)
{
	place_begin(&use->other, VIA_SOCKET);
	id_fill(&use->other, TARGET_SOCKET, BPF_CORE_READ(sock, sk_socket, file, f_inode, i_ino));
	numbers_fill(&use->other, BPF_CORE_READ(sock, __sk_common.skc_family),
		BPF_CORE_READ(sock, sk_protocol));
	use->other.prog_id = prog;
	use->other.key = (__u64)sock ^ key;
	place_send(use, &use->other, action, 0);
}

static __always_inline void socket_exit(void *ctx, __u64 key)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);

	if (!use)
		return;
	use->socket = 0;
	if (returned(ctx) >= 0 && use->wanted)
		socket_send(use, (void *)argument(ctx, 1), key, use->wanted, ACTION_ATTACH);
	use->wanted = 0;
}

static __always_inline void socket_detach(void *ctx, __u64 key)
{
	struct use *use;

	if (returned(ctx) < 0)
		return;
	use = use_state();
	if (use)
		socket_send(use, (void *)argument(ctx, 0), key, 0, ACTION_DETACH);
}

/* sk_attach_bpf(fd, sock) */
SEC("fentry/sk_attach_bpf")
int socket_attach_enter(__u64 *ctx)
{
	socket_enter(HOOK_SOCKET);
	return 0;
}

SEC("fexit/sk_attach_bpf")
int socket_attach_exit(__u64 *ctx)
{
	socket_exit(ctx, 0);
	return 0;
}

/* sk_detach_filter(sock) */
SEC("fentry/sk_detach_filter")
int socket_detach_enter(__u64 *ctx)
{
	struct use *use = use_state();

	if (use)
		use->detaching = argument(ctx, 0);
	return 0;
}

SEC("fexit/sk_detach_filter")
int socket_detach_exit(__u64 *ctx)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);

	if (use)
		use->detaching = 0;
	socket_detach(ctx, 0);
	return 0;
}

/* Room for a hook that may interrupt a task in the middle of another of ours. It does not interrupt
 * itself. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct use);
} closes SEC(".maps");

/* sk_filter_uncharge(sock, filter): the last of a socket, in any context */
SEC("fentry/sk_filter_uncharge")
int socket_close(__u64 *ctx)
{
	struct sk_filter *filter = (void *)argument(ctx, 1);
	__u64 key = argument(ctx, 0);
	__u32 id = prog_id(BPF_CORE_READ(filter, prog)), zero = 0;
	struct use *use;

	if (!id || !bpf_map_lookup_elem(&places, &key)) /* classic ones have no number */
		return 0;
	use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	if (use && use->detaching == key) /* which tells it */
		return 0;
	use = bpf_map_lookup_elem(&closes, &zero);
	if (!use)
		return 0;
	use->no_task = 1;
	socket_send(use, (void *)key, 0, id, ACTION_CLOSE);
	return 0;
}

/* sk_reuseport_attach_bpf(fd, sock) */
SEC("fentry/sk_reuseport_attach_bpf")
int reuseport_attach_enter(__u64 *ctx)
{
	socket_enter(HOOK_REUSEPORT);
	return 0;
}

SEC("fexit/sk_reuseport_attach_bpf")
int reuseport_attach_exit(__u64 *ctx)
{
	socket_exit(ctx, KEY_REUSEPORT);
	return 0;
}

/* reuseport_detach_prog(sock) */
SEC("fexit/reuseport_detach_prog")
int reuseport_detach_exit(__u64 *ctx)
{
	socket_detach(ctx, KEY_REUSEPORT);
	return 0;
}

#endif
