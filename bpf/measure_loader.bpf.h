/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: who loads. The task, its executable with path and hash, its cgroup.
 */
#ifndef BPF_MEASURE_LOADER_BPF_H
#define BPF_MEASURE_LOADER_BPF_H

enum {
	HASH_ALGO_SHA256 = 4, /* linux/hash_info.h */
	FS_VERITY_HASH_ALG_SHA256 = 1, /* linux/fsverity.h */
	FSVERITY_DIGEST_MAX = 64,
	SB_I_VERSION = 1 << 23, /* linux/fs.h */
	WRITABLE_BY_OTHERS = 022, /* S_IWGRP, which is that of an ACL too, and S_IWOTH */

	/* linux/magic.h, and where that lacks them the file system's own header */
	TMPFS_MAGIC = 0x01021994,
	EXT4_SUPER_MAGIC = 0xef53, /* ext2 and ext3 too */
	XFS_SUPER_MAGIC = 0x58465342,
	SQUASHFS_MAGIC = 0x73717368,
	OVERLAYFS_SUPER_MAGIC = 0x794c7630,
};
static const unsigned long BTRFS_SUPER_MAGIC = 0x9123683e;
static const unsigned long RAMFS_MAGIC = 0x858458f6;
static const unsigned long BCACHEFS_MAGIC = 0xca451a4e;
static const unsigned long EROFS_SUPER_MAGIC_V1 = 0xe0f5e1e2;
static const unsigned long F2FS_SUPER_MAGIC = 0xf2f52010;
static const unsigned long ZFS_SUPER_MAGIC = 0x2fc12fc1;

/* ---- the executable ---- */

/*
 * Whether reading a file of this kind waits for nothing but this machine's own memory and disks. A
 * file system that is not known to be so may have a server behind it that never answers.
 */
static __always_inline bool is_local(const struct super_block *sb)
{
	unsigned long magic = sb->s_magic;

	if (magic == EROFS_SUPER_MAGIC_V1)
		return sb->s_bdev; /* or else its image is a file that may be anywhere */
	return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == EXT4_SUPER_MAGIC ||
		magic == XFS_SUPER_MAGIC || magic == BTRFS_SUPER_MAGIC ||
		magic == F2FS_SUPER_MAGIC || magic == BCACHEFS_MAGIC || magic == ZFS_SUPER_MAGIC ||
		magic == SQUASHFS_MAGIC;
}

/*
 * Whether a file cannot change without its change time or its version saying so. Not so where pages
 * that are mapped are written without the file system hearing of it (tmpfs, and through overlayfs),
 * nor where several changes within one tick of the clock are one. ext4 exchanges blocks of two files
 * for whoever may write to both, and says nothing: so root alone may.
 */
static __always_inline bool changes_show(const struct inode *inode)
{
	unsigned long magic = inode->i_sb->s_magic;

	return inode->i_sb->s_flags & SB_I_VERSION &&
		(magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC ||
			magic == BTRFS_SUPER_MAGIC) &&
		!inode->i_uid.val && !(inode->i_mode & WRITABLE_BY_OTHERS);
}

static __always_inline void exe_key_fill(struct exe_key *key, struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode___6_6 *inode_6_6 = (void *)inode;
	struct inode___6_1 *inode_6_1 = (void *)inode;

	key->inode = inode->i_ino;
	key->dev = inode->i_sb->s_dev;
	key->size = inode->i_size;
	key->generation = inode->i_generation;
	key->version = inode->i_version.counter >> 1; /* without the mark that somebody read it */
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
	if (changes_show(inode))
		return;
	/* While it runs, nobody can write to it. */
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->start = task->group_leader->start_boottime;
	key->exec = task->self_exec_id;
}

static __always_inline bool exe_key_same(const struct exe_key *a, const struct exe_key *b)
{
	return a->size == b->size && a->ctime_sec == b->ctime_sec &&
		a->ctime_nsec == b->ctime_nsec && a->version == b->version;
}

static long mapped_is_local(struct task_struct *task, struct vm_area_struct *vma, bool *ret_local)
{
	struct file *file = vma->vm_file;

	*ret_local = file && is_local(file->f_inode->i_sb);
	return 0;
}

/* The file of an overlay is that of another file system, which is the one that is mapped. */
static __always_inline bool exe_is_local(struct file *exe)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool local = 0;

	if (exe->f_inode->i_sb->s_magic != OVERLAYFS_SUPER_MAGIC)
		return is_local(exe->f_inode->i_sb);
	bpf_find_vma(task, task->mm->start_code, mapped_is_local, &local, 0);
	return local;
}

/* linux/fsverity.h, with room for any digest */
struct fsverity_digest {
	__u16 digest_algorithm;
	__u16 digest_size;
	__u8 digest[FSVERITY_DIGEST_MAX];
};

/* room: memory of a map, which is what a dynptr can be made of. */
static __always_inline void fsverity_ask(
	struct file *exe, struct fsverity_digest *room, struct exe_digests *ret)
{
	struct bpf_dynptr dynptr;

	bpf_dynptr_from_mem(room, sizeof(*room), 0, &dynptr);
	if (bpf_get_fsverity_digest(exe, &dynptr) ||
		room->digest_algorithm != FS_VERITY_HASH_ALG_SHA256)
		return;
	__builtin_memcpy(ret->fsverity, room->digest, EVENT_DIGEST_LEN);
	ret->fsverity_known = 1;
}

/* Into exes, unless it is there. room: memory of a map. */
static __always_inline void exe_look_at(struct file *exe, struct fsverity_digest *room)
{
	struct exe_key key = {}, after = {};
	struct exe_digests digests = {};
	long algorithm = -1;

	exe_key_fill(&key, exe->f_inode);
	if (bpf_map_lookup_elem(&exes, &key))
		return;
	if (bpf_get_fsverity_digest)
		fsverity_ask(exe, room, &digests);
	if (exe_is_local(exe) && (__u64)key.size <= state.exe_hash_max)
		algorithm = bpf_ima_file_hash(exe, digests.sha256, sizeof(digests.sha256));
	digests.sha256_known = algorithm == HASH_ALGO_SHA256;
	exe_key_fill(&after, exe->f_inode);
	/* A hash of another kind is remembered for being of no use. */
	if ((algorithm >= 0 || digests.fsverity_known) && exe_key_same(&key, &after))
		bpf_map_update_elem(&exes, &key, &digests, BPF_ANY);
}

/* Those that load, attach or detach a program, or hand it to somebody who then may in other ways. */
static const __u64 COMMANDS_ASKED_OF = 1ULL << BPF_PROG_LOAD | 1ULL << BPF_OBJ_PIN |
	1ULL << BPF_OBJ_GET | 1ULL << BPF_PROG_ATTACH | 1ULL << BPF_PROG_DETACH |
	1ULL << BPF_PROG_GET_FD_BY_ID | 1ULL << BPF_RAW_TRACEPOINT_OPEN | 1ULL << BPF_LINK_CREATE |
	1ULL << BPF_LINK_UPDATE | 1ULL << BPF_LINK_GET_FD_BY_ID | 1ULL << BPF_LINK_DETACH;

/* security_bpf(cmd, attr, size): sleepable, for the file's hash, and before whatever the command
 * does. What is found is in exes for the hooks that follow. */
SEC("lsm.s/bpf")
int identity(__u64 *ctx)
{
	__u32 command = (__u32)ctx[0];
	struct load_state *load;
	struct file *exe;

	/* Should the last hooks of the load or of the run before have been passed by: an LSM program never is.
	 * Within a load there is no other command; within a run there is, so its end is told by the next. */
	load = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	if (load)
		load_forget(load);
	if (load && command == BPF_PROG_TEST_RUN)
		load->parent_id = 0;
	if (command >= 64 || !(COMMANDS_ASKED_OF & 1ULL << command))
		return 0;
	load = load_state();
	if (!load)
		return 0;
	load->identified = command == BPF_PROG_LOAD;
	exe = bpf_get_task_exe_file(bpf_get_current_task_btf());
	if (!exe)
		return 0;
	exe_look_at(exe, (void *)load->series.path);
	bpf_put_file(exe);
	return 0;
}

/* ---- paths ---- */

/* A walk to the root of a hierarchy, putting each name on the way, with its NUL, into path, which
 * has room for PATH_LEN bytes. */
struct path_walk {
	char *path;
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
	len = bpf_probe_read_kernel_str(&walk->path[at], PATH_NAME_LEN, name);
	if (len < 0)
		return 1;
	walk->len += len;
	return 0;
}

static __always_inline void path_finish(struct path_walk *walk)
{
	__u32 at = walk->len;

	/* A top that is missing shows: there is no such name. */
	if (!walk->whole && at <= PATH_LEN - PATH_NAME_LEN) {
		__builtin_memcpy(&walk->path[at], "...", 4);
		walk->len += 4;
	}
}

static __always_inline void path_send(
	struct series *series, struct path_walk *walk, enum event_stream stream)
{
	path_finish(walk);
	if (walk->len <= PATH_LEN)
		bytes_send(series, stream, walk->path, walk->len);
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

	if (dentry == parent && !vfsmount) { /* no further than its file system */
		walk->whole = 1;
		return 1;
	}
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

/* That of the task's own number: the one that its children have may be another. */
static __always_inline __u32 pid_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid *upid = (void *)&pid->numbers + (__u64)level * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(upid, ns, ns.inum);
}

/* Where the inode has it: until 6.18, and there without any LSM. A digest of 32 bytes is a sha256. */
static __always_inline void fsverity_read(const struct fsverity_info *info, struct event_task *ret)
{
	if (!info || BPF_CORE_READ(info, tree_params.hash_alg, digest_size) != EVENT_DIGEST_LEN)
		return;
	ret->exe_fsverity_known = !bpf_core_read(
		ret->exe_fsverity, EVENT_DIGEST_LEN, &info->file_digest);
}

/* token is left to the caller. */
static __always_inline void task_fill(struct event_task *ret, struct inode *exe)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 uid_gid = bpf_get_current_uid_gid();
	struct exe_key key = {};
	struct exe_digests none = {}, *digests;

	ret->user_ns = task->cred->user_ns->ns.inum;
	ret->mnt_ns = task->nsproxy->mnt_ns->ns.inum;
	ret->net_ns = task->nsproxy->net_ns->ns.inum;
	ret->pid_ns = pid_namespace(task);
	ret->pid = (__u32)pid_tgid;
	ret->tgid = pid_tgid >> 32;
	ret->uid = (__u32)uid_gid;
	ret->gid = uid_gid >> 32;
	ret->self = is_agent();
	bpf_get_current_comm(ret->comm, sizeof(ret->comm));
	exe_key_fill(&key, exe);
	ret->exe_inode = key.inode;
	ret->exe_dev = key.dev;
	digests = bpf_map_lookup_elem(&exes, &key);
	if (!digests)
		digests = &none;
	__builtin_memcpy(ret->exe_sha256, digests->sha256, EVENT_DIGEST_LEN);
	__builtin_memcpy(ret->exe_fsverity, digests->fsverity, EVENT_DIGEST_LEN);
	ret->exe_sha256_known = digests->sha256_known;
	ret->exe_fsverity_known = digests->fsverity_known;
	if (bpf_core_field_exists(exe->i_verity_info))
		fsverity_read(exe->i_verity_info, ret);
}

/* Where it runs, and what: behind the event that the task is in. */
static __always_inline void task_paths_send(struct series *series)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *exe = task->mm->exe_file;
	struct path_walk cgroup = { .path = series->path };
	struct path_walk file = { .path = series->path };

	cgroup.node = task->cgroups->dfl_cgrp->kn;
	bpf_loop(PATH_DEPTH, cgroup_step, &cgroup, 0);
	path_send(series, &cgroup, STREAM_CGROUP);
	if (exe) { /* a kernel thread has none */
		file.node = exe->f_path.dentry;
		file.mount = exe->f_path.mnt;
		bpf_loop(PATH_DEPTH, file_step, &file, 0);
		path_send(series, &file, STREAM_EXE);
	}
}

#endif
