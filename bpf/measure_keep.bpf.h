/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: programs that a map or a pin keeps, and the links that were there before.
 */
#ifndef BPF_MEASURE_KEEP_BPF_H
#define BPF_MEASURE_KEEP_BPF_H

#include "bpf/measure_direct.bpf.h"

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

/* simple_unlink(dir, dentry): of many file systems, so quick */
SEC("fentry/simple_unlink")
int unpin_name(__u64 *ctx)
{
	struct dentry *dentry = (void *)argument(ctx, 1);
	__u64 key = (__u64)BPF_CORE_READ(dentry, d_inode);
	struct use *use;

	if (!bpf_map_lookup_elem(&places, &key) || BPF_CORE_READ(dentry, d_inode, i_nlink) > 1)
		return 0;
	use = use_state();
	if (!use)
		return 0;
	use_begin(use, 0);
	use->place.via = VIA_PIN;
	use->place.target_type = TARGET_FILE;
	use->place.key = key;
	file_fill(use, &use->place, dentry, NULL);
	place_send(use, &use->place, ACTION_CLOSE, 0);
	return 0;
}

/* bpf_destroy_inode(inode): of a file system that is gone, and the names with it */
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
