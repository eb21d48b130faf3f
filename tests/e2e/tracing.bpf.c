// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that mean something only to the kernel whose types they name: a loader relocates them (CO-RE). */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	int tgid;
} __attribute__((preserve_access_index));

int last_tgid; /* .bss */

SEC("fentry/security_bprm_check")
int BPF_PROG(at_entry)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	last_tgid = task->tgid;
	return 0;
}

SEC("fexit/security_bprm_check")
int BPF_PROG(at_exit)
{
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(at_open, void *file, int ret)
{
	return ret;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(at_tracepoint, struct task_struct *task)
{
	last_tgid = task->tgid;
	return 0;
}

SEC("raw_tp/sched_process_exit")
int at_raw(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];

	last_tgid = BPF_CORE_READ(task, tgid);
	return 0;
}

SEC("iter/task")
int over_tasks(void *ctx)
{
	return 0;
}

SEC("kprobe/security_bprm_check")
int at_kprobe(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
