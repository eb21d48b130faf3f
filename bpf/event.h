/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs put on the ring: the layout shared by bpf/measure.bpf.c and the collector.
 *
 * One load is a series of events with the same load number, sent by one task in this order (what
 * did not happen is absent; a load that failed stops early):
 *
 *	EVENT_BYTES signed, signature, then EVENT_VERIFY   the kernel verified a signature
 *	EVENT_INTEGRITY                                    and told what it thinks, if it has the hook
 *	EVENT_LOAD, EVENT_BYTES cgroup, exe, insns         what is about to be checked, and for whom
 *	EVENT_PROG, { EVENT_MAP, EVENT_BYTES map } ...     it passed; its file descriptor comes next
 *	EVENT_END                                          the final errno
 *
 * EVENT_FREE comes any time after EVENT_PROG, from any task, and so does an EVENT_INTEGRITY outside of
 * a load: both have load 0. An EVENT_END that found the ring full is in the map "ends" instead.
 *
 * What else a task does with a program is a series too, with a number from the same counter and an
 * EVENT_END that says of which kind it was:
 *
 *	EVENT_ATTACH, EVENT_BYTES target, cgroup, exe      it came to a place where it runs, or left it
 *	EVENT_END
 *
 * Every event carries a ticket from one atomic counter, taken before its place on the ring, so the
 * order of tickets and of places may differ between CPUs, but every ticket arrives exactly once or
 * its event was dropped. Change anything here: change EVENT_LAYOUT.
 *
 * Byte order and alignment are the machine's; all sizes in bytes.
 */
#ifndef BPF_EVENT_H
#define BPF_EVENT_H

#ifdef __bpf__
#include "bpf/kernel.h"
#else
#include <linux/types.h>
#endif

enum {
	EVENT_LAYOUT = 2,

	EVENT_NAME_LEN = 16, /* BPF_OBJ_NAME_LEN, TASK_COMM_LEN */
	EVENT_DIGEST_LEN = 32, /* sha256 */
	EVENT_TARGET_LEN = 96, /* of an attach target's name; longer ones are cut */
	EVENT_PATH_MAX = 1024, /* of names with their NULs; a longer or deeper path loses its top */
	EVENT_MAPS_MAX = 64, /* MAX_USED_MAPS */

	/* Two sizes of a piece of bytes: a tiny program takes little of the ring, a large one
	 * few events. */
	EVENT_BYTES_SMALL = 472,
	EVENT_BYTES_LARGE = 8192,
};

enum event_type {
	EVENT_BYTES = 1,
	EVENT_VERIFY,
	EVENT_LOAD,
	EVENT_PROG,
	EVENT_MAP,
	EVENT_END,
	EVENT_FREE,
	EVENT_INTEGRITY,
	EVENT_ATTACH,
};

/* Which bytes an EVENT_BYTES is a piece of. */
enum event_stream {
	STREAM_SIGNED, /* what the kernel verified */
	STREAM_SIGNATURE, /* the PKCS#7 message */
	STREAM_EXE, /* path of the executable: names from the leaf to the root, each with its NUL */
	STREAM_CGROUP, /* likewise, of the cgroup; the root's own name is empty */
	STREAM_INSNS, /* the program as handed to the kernel */
	STREAM_TARGET, /* what a program is attached to, where that is a path: as STREAM_EXE */
	STREAM_MAP, /* contents of the map of the EVENT_MAP before it */
	STREAM_COUNT,
};

/* What a series of events is about, as its EVENT_END has it. */
enum event_series {
	SERIES_LOAD,
	SERIES_ATTACH,
	SERIES_COUNT,
};

/* Our hooks, as bits: which of them took part in a load. Names: probe_hook_name(). */
enum event_hook {
	HOOK_LOAD_ENTER,
	HOOK_VERIFY,
	HOOK_IDENTITY,
	HOOK_LOAD,
	HOOK_PROG,
	HOOK_LOAD_EXIT,
	HOOK_RUN,
	HOOK_FREE,
	HOOK_BASELINE,
	HOOK_INTEGRITY,
	HOOK_BPF,
	HOOK_LINK,
	HOOK_LINK_GET,
	HOOK_LINK_FREE,
	HOOK_PROG_GET,
	HOOK_PROG_GET_TYPE,
	HOOK_CGROUP,
	HOOK_MPROG,
	HOOK_PROG_ATTACH,
	HOOK_XDP,
	HOOK_TC,
	HOOK_PERF,
	HOOK_SOCKET,
	HOOK_REUSEPORT,
	HOOK_STRUCT_OPS,
	HOOK_PROG_ARRAY,
	HOOK_PIN,
	HOOK_LINKS,
	HOOK_COUNT,
};

struct event {
	__u64 ticket;
	__u64 load; /* number of the series: 1, 2, 3 ... since the hooks were attached */
	__u32 type;
	__u32 size; /* of the whole event */
};

struct event_bytes {
	struct event event;
	__u64 offset;
	__u32 len;
	__u32 stream;
	__u8 data[];
};

struct event_verify {
	struct event event;
	__u64 data_len; /* of the whole of both streams; pieces may be missing */
	__u64 signature_len;
	__s32 error; /* 0, or a negative errno */
	__u32 keyring_kind; /* as enum record_keyring: 1 builtin, 2 secondary, 3 platform, 4 user */
	__s32 keyring_serial;
	__u32 pad;
};

/* The task that did it. Its executable's path and its cgroup follow as EVENT_BYTES. */
struct event_task {
	__u64 exe_inode;
	__u32 exe_dev;
	__u32 user_ns; /* inode numbers of its namespaces; 0: none, or not known */
	__u32 mnt_ns;
	__u32 pid_ns;
	__u32 net_ns;
	__u32 pid;
	__u32 tgid;
	__u32 uid;
	__u32 gid;
	__u8 comm[EVENT_NAME_LEN];
	__u8 exe_sha256[EVENT_DIGEST_LEN];
	__u8 exe_fsverity[EVENT_DIGEST_LEN];
	__u8 exe_sha256_known;
	__u8 exe_fsverity_known;
	__u8 token; /* it used a BPF token */
	__u8 self;
};

struct event_load {
	struct event event;
	struct event_task task;
	__u64 boottime_ns;
	__u64 insns_len;
	__u32 prog_type;
	__u32 attach_type;
	__u8 name[EVENT_NAME_LEN];
	__s32 security; /* what all LSMs together said: 0, or a negative errno */
	__u8 in_check; /* 1: the instructions follow; 0: refused before anybody looked at them */
	__u8 kernel_origin;
	__u8 pad[2];
};

/* A program that has its id. Also what the baseline iterator writes, with load 0. */
struct event_prog {
	struct event event;
	__u64 load_time_ns;
	__u32 id;
	__u32 prog_type;
	__u32 attach_type;
	__u32 insn_cnt; /* after the verifier */
	__u32 uid;
	__u32 map_count;
	__u8 name[EVENT_NAME_LEN];
	__u8 digest[EVENT_DIGEST_LEN]; /* the kernel's; its first 8 bytes are the tag */
	__u8 digest_len; /* 32, or 8 where the kernel keeps only the tag */
	__u8 sig_known; /* the kernel remembers: the next three are set */
	__u8 sig_verdict;
	__u8 sig_keyring_kind;
	__s32 sig_keyring_serial;
	__u8 attach_to[EVENT_TARGET_LEN]; /* NUL-terminated; empty for none */
};

struct event_map {
	struct event event;
	__u64 content_len; /* bytes that follow as STREAM_MAP; 0 where contents are not taken */
	__u32 index;
	__u32 id;
	__u32 map_type;
	__u32 flags;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u8 name[EVENT_NAME_LEN];
	__u8 frozen;
	__u8 exclusive;
	__u8 pad[2];
};

struct event_end {
	struct event event;
	__u64 boottime_ns;
	__s32 error; /* 0, or a negative errno */
	__u32 events; /* of this series sent before this one */
	__u32 dropped; /* not sent: the ring was full */
	__u32 hooks; /* bits of enum event_hook */
	__u32 parent_id; /* program id of the loader program that ran; 0 for none */
	__u32 signature_len; /* of the load's attr: 0 for an unsigned load */
	__s32 keyring_id; /* of the load's attr */
	__u32 tgid;
	__u8 self;
	__u8 series; /* enum event_series */
	__u8 pad[6];
};

/* What happened at a place. */
enum event_action {
	ACTION_ATTACH,
	ACTION_UPDATE, /* the program took the place of another */
	ACTION_FOUND, /* it was there before */
	ACTION_DETACH, /* somebody asked for it */
	ACTION_CLOSE, /* nobody holds it any more */
};

/*
 * Where a program runs. via, target_type: as enum record_via and enum record_target_type.
 *
 * key  tells this place from the others that are not links: the kernel's address of what the
 *      program hangs on, some bits changed. Of a link: 0.
 */
struct event_place {
	__u64 key;
	__u64 target_id;
	__u64 index;
	__u64 count;
	__u32 via;
	__u32 target_type;
	__u32 link_id; /* 0: no link */
	__u32 link_type;
	__s32 attach_type; /* -1: none is named */
	__u32 prog_id; /* 0: not known */
	__u32 replaced_id; /* program that was there before, where the kernel tells; else 0 */
	__u8 has_id;
	__u8 has_index;
	__u8 has_count;
	__u8 has_path; /* the name follows, as STREAM_TARGET */
	__u8 name[EVENT_TARGET_LEN]; /* NUL-terminated; empty for none */
};

/* Also what the iterator of links writes, with load 0 and no task, and behind it the path, if there is one: size
 * is of both. */
struct event_attach {
	struct event event;
	struct event_task task;
	__u64 boottime_ns;
	struct event_place place;
	__u32 action; /* enum event_action */
	__u32 has_task; /* 0: the kernel did it by itself */
};

struct event_free {
	struct event event;
	__u64 boottime_ns;
	__u32 id;
	__u32 pad;
};

/* What the kernel tells its LSMs once it has checked a program's integrity. */
struct event_integrity {
	struct event event;
	__u64 boottime_ns;
	__u32 id; /* 0: the program has none yet */
	__u32 verdict; /* of enum lsm_integrity_verdict */
	__u8 source[EVENT_NAME_LEN]; /* the LSM that found it; empty where none is named */
	__u8 has_verdict; /* the hook has a verdict to tell */
	__u8 self;
	__u8 pad[6];
};

/* The programs' one global variable: lives in the pinned map "state", one element. */
struct event_state {
	__u64 ticket; /* the next one */
	__u64 load; /* the last number given to a series */
	__u64 dropped_events; /* the ring was full */
	__u64 untracked; /* programs that were loaded, and nothing could be kept of their loads at all */
	__u64 instance; /* random, made when the hooks were attached */
	__u64 map_content_max;
	__u64 exe_hash_max;
	__u64 agent_start; /* when the process of agent_tgid started; 0: set by its next load */
	__u64 attached_ns; /* CLOCK_BOOTTIME, when they all were; 0: not yet */
	__u32 agent_tgid; /* whose loads are marked self */
	__u32 kprobe_flag; /* TRACE_EVENT_FL_KPROBE of this kernel, and the like */
	__u32 uprobe_flag;
	__u32 tracepoint_flag;
	__u64 untracked_attachments; /* as untracked */
	__u64 shown; /* bits of enum event_hook: those of attachments that the agent itself came by */
	__u32 own_first; /* program ids given while the hooks were being attached; 0: unknown */
	__u32 own_last;
};

#endif
