/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: who loads. The task, its executable with path and hash, its cgroup.
 */
#ifndef BPF_MEASURE_LOADER_BPF_H
#define BPF_MEASURE_LOADER_BPF_H

static __always_inline void exe_key_fill(struct exe_key *key, struct inode *inode)
{
	struct inode___6_6 *inode_6_6 = (void *)inode;
	struct inode___6_1 *inode_6_1 = (void *)inode;

	key->inode = inode->i_ino;
	key->dev = inode->i_sb->s_dev;
	key->size = inode->i_size;
	key->generation = inode->i_generation;
	if (bpf_core_field_exists(inode->i_ctime_sec)) {
		key->ctime_sec = inode->i_ctime_sec;
		key->ctime_nsec = inode->i_ctime_nsec;
	} else if (bpf_core_field_exists(inode_6_6->__i_ctime)) {
		key->ctime_sec = inode_6_6->__i_ctime.tv_sec;
		key->ctime_nsec = inode_6_6->__i_ctime.tv_nsec;
	} else {
		key->ctime_sec = inode_6_1->i_ctime.tv_sec;
		key->ctime_nsec = inode_6_1->i_ctime.tv_nsec;
	}
}

/* Sleepable, for the file's hash; runs inside security_bpf_prog_load(), so before load() below,
 * which finds the hash in exes. */
SEC("lsm.s/bpf_prog_load")
int identity(__u64 *ctx)
{
	struct load_state *load = load_checking(HOOK_IDENTITY, (union bpf_attr *)ctx[1]);
	struct exe_key key = {};
	struct exe_hash hash;
	struct file *exe;

	if (!load)
		return 0;
	exe = bpf_get_task_exe_file(bpf_get_current_task_btf());
	if (!exe)
		return 0;
	exe_key_fill(&key, exe->f_inode);
	if (!bpf_map_lookup_elem(&exes, &key) && (__u64)key.size <= state.exe_hash_max &&
		bpf_ima_file_hash(exe, hash.sha256, sizeof(hash.sha256)) == HASH_ALGO_SHA256)
		bpf_map_update_elem(&exes, &key, &hash, BPF_ANY);
	bpf_put_file(exe);
	return 0;
}

/* A walk to the root of a hierarchy, putting each name on the way, with its NUL,
 * into series->path. */
struct path_walk {
	struct series *series;
	void *node;
	struct vfsmount *mount; /* of a file */
	__u32 len;
	__u32 whole; /* the root was reached */
};

static __always_inline long path_add(struct path_walk *walk, const void *name)
{
	__u32 at = walk->len;
	long len;

	if (at > PATH_LEN - PATH_NAME_LEN)
		return 1;
	len = bpf_probe_read_kernel_str(&walk->series->path[at], PATH_NAME_LEN, name);
	if (len < 0)
		return 1;
	walk->len += len;
	return 0;
}

static __always_inline void path_send(struct path_walk *walk, enum event_stream stream)
{
	__u32 at = walk->len;

	/* A top that is missing shows: there is no such name. */
	if (!walk->whole && at <= PATH_LEN - PATH_NAME_LEN) {
		__builtin_memcpy(&walk->series->path[at], "...", 4);
		walk->len += 4;
	}
	if (walk->len <= PATH_LEN)
		bytes_send(walk->series, stream, walk->series->path, walk->len);
}

static long cgroup_step(__u32 i, struct path_walk *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node___6_1 *node_6_1 = walk->node;

	if (!node) {
		walk->whole = 1;
		return 1;
	}
	if (bpf_core_field_exists(node->__parent))
		walk->node = BPF_CORE_READ(node, __parent);
	else
		walk->node = BPF_CORE_READ(node_6_1, parent);
	return path_add(walk, BPF_CORE_READ(node, name));
}

static long file_step(__u32 i, struct path_walk *walk)
{
	struct dentry *dentry = walk->node;
	struct vfsmount *vfsmount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount;

	if (dentry == BPF_CORE_READ(vfsmount, mnt_root) || dentry == parent) {
		mount = (void *)vfsmount -
			__builtin_preserve_field_info(
				((struct mount *)0)->mnt, BPF_FIELD_BYTE_OFFSET);
		if (mount == BPF_CORE_READ(mount, mnt_parent)) {
			walk->whole = 1;
			return 1;
		}
		walk->node = BPF_CORE_READ(mount, mnt_mountpoint);
		mount = BPF_CORE_READ(mount, mnt_parent);
		walk->mount = (void *)mount +
			__builtin_preserve_field_info(
				((struct mount *)0)->mnt, BPF_FIELD_BYTE_OFFSET);
		return 0;
	}
	walk->node = parent;
	return path_add(walk, BPF_CORE_READ(dentry, d_name.name));
}

/* Whether the kernel would let this task load a program at all, BPF tokens aside. */
static __always_inline bool may_load(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct cred *cred = task->cred;

	return bpf_core_field_exists(cred->cap_effective.val) &&
		cred->cap_effective.val & (1ULL << CAP_SYS_ADMIN | 1ULL << CAP_BPF);
}

/* token is left to the caller. */
static __always_inline void task_fill(struct event_task *ret, struct inode *exe)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 uid_gid = bpf_get_current_uid_gid();
	struct exe_key key = {};
	struct exe_hash *hash;

	ret->user_ns = task->cred->user_ns->ns.inum;
	ret->pid = (__u32)pid_tgid;
	ret->tgid = pid_tgid >> 32;
	ret->uid = (__u32)uid_gid;
	ret->gid = uid_gid >> 32;
	ret->self = is_agent();
	bpf_get_current_comm(ret->comm, sizeof(ret->comm));
	exe_key_fill(&key, exe);
	ret->exe_inode = key.inode;
	ret->exe_dev = key.dev;
	hash = bpf_map_lookup_elem(&exes, &key);
	ret->exe_sha256_known = hash != NULL;
	if (hash)
		__builtin_memcpy(ret->exe_sha256, hash->sha256, EVENT_DIGEST_LEN);
	else
		__builtin_memset(ret->exe_sha256, 0, EVENT_DIGEST_LEN);
}

/* Where it runs, and what: behind the event that the task is in. */
static __always_inline void task_paths_send(struct series *series)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *exe = task->mm->exe_file;
	struct path_walk cgroup = { .series = series };
	struct path_walk file = { .series = series };

	cgroup.node = task->cgroups->dfl_cgrp->kn;
	bpf_loop(PATH_DEPTH, cgroup_step, &cgroup, 0);
	path_send(&cgroup, STREAM_CGROUP);
	if (exe) { /* a kernel thread has none */
		file.node = exe->f_path.dentry;
		file.mount = exe->f_path.mnt;
		bpf_loop(PATH_DEPTH, file_step, &file, 0);
		path_send(&file, STREAM_EXE);
	}
}

#endif
