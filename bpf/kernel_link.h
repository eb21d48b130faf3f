/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* As bpf/kernel.h: the kernel's types as far as our BPF programs read them. Links, and what programs
 * are attached to. */
#ifndef BPF_KERNEL_LINK_H
#define BPF_KERNEL_LINK_H

#include "bpf/kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* links, and what they hang on */

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

struct bpf_link {
	__u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;
};

struct bpf_link___6_18 {
	enum bpf_attach_type attach_type;
};

struct tracepoint {
	const char *name;
};

struct bpf_raw_event_map {
	struct tracepoint *tp;
};

struct bpf_raw_tp_link {
	struct bpf_raw_event_map *btp;
};

struct bpf_trampoline {
	struct {
		void *addr;
	} func;
};

struct bpf_tracing_link {
	struct bpf_trampoline *trampoline;
	struct bpf_prog *tgt_prog;
};

struct bpf_tracing_multi_node {
	struct bpf_trampoline *trampoline;
};

struct bpf_tracing_multi_link { /* 7.2 */
	int nodes_cnt;
	struct bpf_tracing_multi_node nodes[0];
};

struct bpf_cgroup_link {
	struct cgroup *cgroup;
};

struct bpf_cgroup_link___6_1 {
	enum bpf_attach_type type;
};

struct bpf_iter_reg {
	const char *target;
};

struct bpf_iter_target_info {
	const struct bpf_iter_reg *reg_info;
};

struct bpf_iter_link {
	struct bpf_iter_target_info *tinfo;
};

struct bpf_netns_link {
	struct net *net;
};

struct bpf_netns_link___6_1 {
	enum bpf_attach_type type;
};

struct bpf_xdp_link {
	struct net_device *dev;
};

struct tcx_link { /* 6.6 */
	struct net_device *dev;
};

struct netkit_link { /* 6.7 */
	struct net_device *dev;
};

struct tcx_link___6_12 {
	__u32 location;
};

struct bpf_perf_link {
	struct file *perf_file;
};

struct bpf_kprobe_multi_link {
	unsigned long *addrs;
	__u32 cnt;
};

struct bpf_uprobe_multi_link { /* 6.6 */
	struct path path;
	struct bpf_link link;
	__u32 cnt;
};

struct sockmap_link { /* 6.10 */
	struct bpf_map *map;
};

struct sockmap_link___6_12 {
	enum bpf_attach_type attach_type;
};

struct nf_hook_ops {
	__u8 pf;
	unsigned int hooknum;
};

struct bpf_nf_link { /* 6.4 */
	struct nf_hook_ops hook_ops;
};

struct bpf_struct_ops_link { /* 6.4 */
	struct bpf_map *map;
};

struct btf_type {
	__u32 info;
};

struct bpf_struct_ops {
	const char *name;
	const struct btf_type *type; /* until 6.8 */
};

struct bpf_struct_ops_desc {
	struct bpf_struct_ops *st_ops;
};

struct bpf_struct_ops_map {
	const struct bpf_struct_ops_desc *st_ops_desc; /* 6.9 */
	struct bpf_link **links;
	__u32 funcs_cnt; /* 6.12 */
};

struct bpf_struct_ops_map___6_1 {
	const struct bpf_struct_ops *st_ops;
};

struct bpf_struct_ops_map___6_9 {
	__u32 links_cnt;
};

struct sk_psock_progs {
	struct bpf_prog *msg_parser;
	struct bpf_prog *stream_parser;
	struct bpf_prog *stream_verdict;
	struct bpf_prog *skb_verdict;
};

struct bpf_stab {
	struct sk_psock_progs progs;
};

struct bpf_shtab {
	struct sk_psock_progs progs;
};

/* perf events */

struct list_head {
	struct list_head *next;
};

struct trace_event_class {
	const char *system;
};

struct trace_event_call {
	struct trace_event_class *class;
	union {
		const char *name;
		struct tracepoint *tp;
	};
	int flags;
};

struct trace_probe_event {
	struct trace_event_call call;
	struct list_head probes;
};

struct trace_probe {
	struct list_head list;
};

struct kprobe {
	void *addr;
};

struct kretprobe {
	struct kprobe kp;
};

struct trace_kprobe {
	struct kretprobe rp;
	const char *symbol;
	struct trace_probe tp;
};

struct perf_event_attr {
	__u32 type;
	__u64 config;
};

struct perf_event {
	struct perf_event_attr attr;
	struct trace_event_call *tp_event;
	struct bpf_prog *prog;
};

struct trace_uprobe {
	struct path path;
	unsigned long offset;
	struct trace_probe tp;
};

/* network */

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct net_device_ops {
	void *ndo_bpf;
};

struct net_device {
	char name[16];
	int ifindex;
	const struct net_device_ops *netdev_ops;
	struct hlist_node index_hlist;
};

struct possible_net {
	struct net *net;
};

struct sock_common {
	unsigned short skc_family;
	struct possible_net skc_net;
};

struct sk_filter {
	struct bpf_prog *prog;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	struct socket *sk_socket;
};

struct socket {
	struct file *file;
};

struct sk_buff {
	struct sock *sk;
};

struct nlmsghdr {
	__u32 nlmsg_len;
};

struct tcmsg {
	int tcm_ifindex;
	__u32 tcm_handle;
	__u32 tcm_parent;
	__u32 tcm_info;
};

#pragma clang attribute pop

#endif
