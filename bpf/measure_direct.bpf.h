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

/* sock_map_get_from_fd(attr, prog) */
SEC("fentry/sock_map_get_from_fd")
int sockmap_attach(__u64 *ctx)
{
	prog_note(argument(ctx, 1), 0);
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
	if (returned(ctx) < 0 || argument(ctx, 2))
		return 0;
	use = use_state();
	if (!use || use->cmd)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	use->other.attach_type = BPF_XDP;
	use->other.prog_id = prog_id((void *)prog);
	use->other.key = (__u64)device ^ (1 + xdp_mode(device, argument(ctx, 5)));
	device_fill(&use->other, device);
	place_send(use, &use->other, prog ? ACTION_ATTACH : ACTION_DETACH, 0);
	return 0;
}

/* tc_new_tfilter(skb, message, extack): the kernel's copy of the message */
SEC("fexit/tc_new_tfilter")
int tc_attach(__u64 *ctx)
{
	struct use *use = bpf_task_storage_get(&uses, bpf_get_current_task_btf(), 0, 0);
	struct tcmsg *message = (void *)(argument(ctx, 1) + NLMSG_HDRLEN);
	struct sk_buff *skb = (void *)argument(ctx, 0);
	struct net *net = BPF_CORE_READ(skb, sk, __sk_common.skc_net.net);
	__u32 ifindex = 0, parent = 0;

	if (!use || !use->wanted)
		return 0;
	place_begin(&use->other, VIA_NETLINK);
	use->other.prog_id = use->wanted;
	use->wanted = 0;
	if (returned(ctx) < 0)
		return 0;
	bpf_core_read(&ifindex, sizeof(ifindex), &message->tcm_ifindex);
	bpf_core_read(&parent, sizeof(parent), &message->tcm_parent);
	use->other.key = (__u64)net ^ ifindex ^ (__u64)parent << 32;
	device_fill(&use->other, device_find(net, ifindex));
	attach_send(use, &use->other, ACTION_ATTACH);
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
SEC("fexit/sk_detach_filter")
int socket_detach_exit(__u64 *ctx)
{
	socket_detach(ctx, 0);
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

/* ---- maps ---- */

static __always_inline void ops_map_send(void *ctx, enum event_action action)
{
	struct bpf_map *map = (void *)argument(ctx, 0);
	struct use *use;

	if (returned(ctx) < 0 || BPF_CORE_READ(map, map_flags) & BPF_F_LINK)
		return;
	use = use_state();
	if (!use)
		return;
	place_begin(&use->other, VIA_STRUCT_OPS);
	use->other.key = (__u64)map;
	ops_fill(&use->other, map);
	ops_send_all(use, &use->other, map, action);
}

/* bpf_struct_ops_map_update_elem(map, ...): registers what the map holds, but for links */
SEC("fexit/bpf_struct_ops_map_update_elem")
int ops_attach(__u64 *ctx)
{
	ops_map_send(ctx, ACTION_ATTACH);
	return 0;
}

/* bpf_struct_ops_map_delete_elem(map, ...) */
SEC("fexit/bpf_struct_ops_map_delete_elem")
int ops_detach(__u64 *ctx)
{
	ops_map_send(ctx, ACTION_DETACH);
	return 0;
}

/* prog_array_map_poke_run(map, index, old, new): an element of a map of programs has changed */
SEC("fentry/prog_array_map_poke_run")
int array_change(__u64 *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct bpf_map *map = (void *)argument(ctx, 0);
	__u32 index = argument(ctx, 1);
	__u32 old = prog_id((void *)argument(ctx, 2));
	__u32 new = prog_id((void *)argument(ctx, 3));
	struct use *use;

	hook_show(HOOK_PROG_ARRAY);
	if (!old && !new)
		return 0;
	use = use_state();
	if (!use)
		return 0;
	place_begin(&use->other, VIA_PROG_ARRAY);
	id_fill(&use->other, TARGET_MAP, BPF_CORE_READ(map, id));
	BPF_CORE_READ_STR_INTO(&use->other.name, map, name);
	use->other.has_index = 1;
	use->other.index = index;
	use->other.key = (__u64)map ^ (__u64)index << 32;
	use->other.prog_id = new ?: old;
	use->other.replaced_id = new ? old : 0;
	if (new)
		attach_send(use, &use->other, old ? ACTION_UPDATE : ACTION_ATTACH);
	else
		attach_send(
			use, &use->other, task->flags & PF_KTHREAD ? ACTION_CLOSE : ACTION_DETACH);
	return 0;
}

/* ---- pins ---- */

static __always_inline void pin_send(void *ctx, struct bpf_prog *prog, struct bpf_link *link)
{
	struct dentry *dentry = (void *)argument(ctx, 0);
	struct use *use = use_state();

	hook_show(HOOK_PIN);
	if (!use || returned(ctx) < 0)
		return;
	use_begin(use, 0);
	use->place.via = VIA_PIN;
	use->place.prog_id = prog_id(prog);
	use->place.link_id = BPF_CORE_READ(link, id);
	use->place.link_type = BPF_CORE_READ(link, type);
	use->place.target_type = TARGET_FILE;
	use->place.key = (__u64)BPF_CORE_READ(dentry, d_inode);
	file_fill(use, &use->place, dentry, NULL);
	place_send(use, &use->place, ACTION_ATTACH, 0);
}

/* bpf_mkprog(dentry, mode, prog) */
SEC("fexit/bpf_mkprog")
int pin_prog(__u64 *ctx)
{
	pin_send(ctx, (void *)argument(ctx, 2), NULL);
	return 0;
}

/* bpf_mklink(dentry, mode, link) */
SEC("fexit/bpf_mklink")
int pin_link(__u64 *ctx)
{
	struct bpf_link *link = (void *)argument(ctx, 2);

	pin_send(ctx, BPF_CORE_READ(link, prog), link);
	return 0;
}

/* bpf_destroy_inode(inode): its name is gone by now */
SEC("fentry/bpf_destroy_inode")
int unpin(__u64 *ctx)
{
	__u64 key = argument(ctx, 0);
	struct use *use;

	if (!bpf_map_lookup_elem(&places, &key))
		return 0;
	use = use_state();
	if (!use)
		return 0;
	place_begin(&use->other, VIA_PIN);
	use->other.target_type = TARGET_FILE;
	use->other.key = key;
	place_send(use, &use->other, ACTION_CLOSE, 0);
	return 0;
}

/* ---- what was attached before ---- */

static __always_inline int link_write(struct seq_file *seq, struct use *use)
{
	struct event_attach *event = &use->found;
	__u64 len = use->path_len;

	event->event.type = EVENT_ATTACH;
	event->event.size = sizeof(*event);
	event->action = ACTION_FOUND;
	event->place = use->place;
	if (len && len <= PATH_LEN) {
		event->place.has_path = 1;
		event->event.size += len;
	}
	bpf_seq_write(seq, event, sizeof(*event));
	/* As in bytes_send_piece(). */
	asm volatile("if %[len] <= %[max] goto +1\n"
		     "%[len] = 0\n"
		     : [len] "+r"(len)
		     : [max] "i"(PATH_LEN));
	if (len)
		bpf_seq_write(seq, use->path, len);
	return 0;
}

static long ops_write(__u32 i, struct ops_walk *walk)
{
	struct bpf_link *link = NULL;

	if (i >= walk->count)
		return 1;
	bpf_probe_read_kernel(&link, sizeof(link), &walk->links[i]);
	walk->use->place.prog_id = prog_id(BPF_CORE_READ(link, prog));
	if (walk->use->place.prog_id)
		link_write(walk->seq, walk->use);
	return 0;
}

SEC("iter/bpf_link")
int links(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;
	struct bpf_struct_ops_link *ops = (void *)link;
	struct ops_walk walk = {};
	struct use *use;

	hook_show(HOOK_LINKS);
	if (!link)
		return 0;
	use = use_state();
	if (!use)
		return 0;
	use_begin(use, 0);
	use->place.prog_id = prog_id(link->prog);
	link_fill(use, &use->place, link);
	walk.seq = ctx->meta->seq;
	walk.use = use;
	if (link->type != BPF_LINK_TYPE_STRUCT_OPS)
		return link_write(walk.seq, use);
	if (!bpf_core_type_exists(struct bpf_struct_ops_link))
		return 0;
	ops_count(&walk, BPF_CORE_READ(ops, map));
	bpf_loop(OPS_MAX, ops_write, &walk, 0);
	return 0;
}

#endif
