/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types as far as our BPF programs read them. CO-RE finds each member by name in the
 * running kernel's BTF, so only names matter here, neither order nor offsets.
 *
 * A suffix after three underscores is another kernel's idea of the same type (libbpf drops it).
 */
#ifndef BPF_KERNEL_H
#define BPF_KERNEL_H

typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum bpf_cmd {
	BPF_PROG_LOAD = 5,
	BPF_OBJ_PIN,
	BPF_OBJ_GET,
	BPF_PROG_ATTACH,
	BPF_PROG_DETACH,
	BPF_PROG_TEST_RUN,
	BPF_PROG_GET_FD_BY_ID = 13,
	BPF_RAW_TRACEPOINT_OPEN = 17,
	BPF_LINK_CREATE = 28,
	BPF_LINK_UPDATE,
	BPF_LINK_GET_FD_BY_ID,
	BPF_LINK_DETACH = 34,
};

struct bpf_dynptr {
	__u64 opaque[2];
} __attribute__((aligned(8)));

enum bpf_prog_type {
	BPF_PROG_TYPE_SCHED_CLS = 3,
	BPF_PROG_TYPE_XDP = 6,
	BPF_PROG_TYPE_TRACING = 26,
	BPF_PROG_TYPE_EXT = 28,
	BPF_PROG_TYPE_LSM = 29,
};

enum bpf_attach_type {
	BPF_SK_SKB_STREAM_PARSER = 4,
	BPF_SK_SKB_STREAM_VERDICT = 5,
	BPF_SK_MSG_VERDICT = 7,
	BPF_FLOW_DISSECTOR = 17,
	BPF_TRACE_RAW_TP = 23,
	BPF_XDP_DEVMAP = 33,
	BPF_XDP_CPUMAP = 35,
	BPF_XDP = 37,
	BPF_SK_SKB_VERDICT = 38,
	BPF_PERF_EVENT = 41,
	BPF_TCX_INGRESS = 46,
	BPF_NETKIT_PEER = 55,
};

enum bpf_link_type {
	BPF_LINK_TYPE_RAW_TRACEPOINT = 1,
	BPF_LINK_TYPE_TRACING = 2,
	BPF_LINK_TYPE_CGROUP = 3,
	BPF_LINK_TYPE_ITER = 4,
	BPF_LINK_TYPE_NETNS = 5,
	BPF_LINK_TYPE_XDP = 6,
	BPF_LINK_TYPE_PERF_EVENT = 7,
	BPF_LINK_TYPE_KPROBE_MULTI = 8,
	BPF_LINK_TYPE_STRUCT_OPS = 9,
	BPF_LINK_TYPE_NETFILTER = 10,
	BPF_LINK_TYPE_TCX = 11,
	BPF_LINK_TYPE_UPROBE_MULTI = 12,
	BPF_LINK_TYPE_NETKIT = 13,
	BPF_LINK_TYPE_SOCKMAP = 14,
	BPF_LINK_TYPE_TRACING_MULTI = 15,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_SOCKMAP = 15,
	BPF_MAP_TYPE_SOCKHASH = 18,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	CAP_SYS_ADMIN = 21,
	CAP_BPF = 39,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* BPF */

struct bpf_token;

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 id;
	char name[16];
	bool frozen;
	char *excl_prog_sha; /* 6.18 */
};

struct bpf_array {
	struct bpf_map map;
	__u32 elem_size;
	char value[0];
};

struct bpf_prog_sig {
	__s32 keyring_serial;
	__u8 keyring_type;
	__u8 verdict;
};

struct kuid {
	__u32 val;
};

struct user_struct {
	struct kuid uid;
};

struct bpf_prog_aux {
	__u32 id;
	__u32 used_map_cnt;
	const char *attach_func_name;
	struct bpf_map **used_maps;
	struct bpf_prog *prog;
	struct user_struct *user;
	__u64 load_time;
	char name[16];
	struct bpf_token *token; /* 6.9 */
};

struct bpf_prog_aux___sig { /* 7.2 */
	struct bpf_prog_sig sig;
};

struct bpf_insn {
	__u8 code;
};

struct bpf_prog {
	enum bpf_prog_type type;
	enum bpf_attach_type expected_attach_type;
	__u32 len;
	__u8 tag[8];
	struct bpf_prog_aux *aux;
	struct bpf_insn insnsi[0];
};

struct bpf_prog___digest { /* 6.18 */
	__u8 digest[32];
};

union bpf_attr {
	__u32 prog_type;
	__u32 insn_cnt;
	char prog_name[16];
	__u32 expected_attach_type;
	__u64 signature; /* 6.18, as the next two */
	__u32 signature_size;
	__s32 keyring_id;
	__u32 target_fd; /* BPF_PROG_ATTACH */
	__u32 target_ifindex; /* of the same union, where the kernel has it */
	__u32 attach_type;
	struct {
		__u32 attach_type;
	} link_create;
};

struct lsm_id { /* 6.8 */
	const char *name;
};

struct bpf_dynptr_kern {
	void *data;
	__u32 size;
	__u32 offset;
};

struct key {
	__s32 serial;
};

struct bpf_key {
	struct key *key;
	bool has_ref;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};

/* tasks and files */

struct block_device;

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct block_device *s_bdev;
};

struct fsverity_hash_alg {
	unsigned int digest_size;
};

struct merkle_tree_params {
	const struct fsverity_hash_alg *hash_alg;
};

struct fsverity_info {
	struct merkle_tree_params tree_params;
	__u8 file_digest[64];
};

struct atomic64 {
	__s64 counter;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct inode {
	struct super_block *i_sb;
	void *i_private;
	unsigned int i_nlink;
	unsigned long i_ino;
	__s64 i_size;
	__s64 i_ctime_sec; /* 6.11 */
	__u32 i_ctime_nsec;
	__u32 i_generation;
	struct kuid i_uid;
	__u16 i_mode;
	struct atomic64 i_version;
	struct fsverity_info *i_verity_info; /* until 6.18 */
};

struct inode___6_6 {
	struct timespec64 __i_ctime;
};

struct inode___6_1 {
	struct timespec64 i_ctime;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	void *private_data;
	struct path f_path;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long start_code;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct ns_common {
	unsigned int inum;
};

struct user_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
	struct hlist_head *dev_index_head;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct upid {
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* of each level */
};

struct kernel_cap { /* 6.3; an array before */
	__u64 val;
};

struct cred {
	struct kernel_cap cap_effective;
	struct user_namespace *user_ns;
};

struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *__parent; /* 6.15 */
};

struct kernfs_node___6_1 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	unsigned int flags;
	struct files_struct *files;
	struct task_struct *group_leader;
	__u64 start_boottime;
	__u64 self_exec_id;
	struct mm_struct *mm;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	struct css_set *cgroups;
};

#pragma clang attribute pop

#endif
