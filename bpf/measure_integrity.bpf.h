/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: what comes of the kernel's own check of a program's integrity.
 *
 * No released kernel has the hook; there are two out-of-tree shapes of it, of the same name:
 *
 *	(prog, attr, token, kernel, lsmid, verdict)   fired within the load, whatever the verdict is
 *	(prog)                                        fired when all is well, at the load or later
 *
 * Which of them this is tells the number of arguments; bpf/probe_kernel.c has looked at their types.
 */
#ifndef BPF_MEASURE_INTEGRITY_BPF_H
#define BPF_MEASURE_INTEGRITY_BPF_H

enum { INTEGRITY_ARG_LSMID = 4, INTEGRITY_ARG_VERDICT = 5 };

static __always_inline void integrity_fill(
	__u64 *ctx, struct event_integrity *event, struct bpf_prog *prog)
{
	__u64 lsmid = 0, verdict = 0;

	event->has_verdict = !bpf_get_func_arg(ctx, INTEGRITY_ARG_VERDICT, &verdict);
	bpf_get_func_arg(ctx, INTEGRITY_ARG_LSMID, &lsmid);
	event->boottime_ns = bpf_ktime_get_boot_ns();
	event->id = prog->aux->id;
	event->verdict = verdict;
	if (!lsmid ||
		bpf_probe_read_kernel_str(event->source, sizeof(event->source),
			BPF_CORE_READ((struct lsm_id *)lsmid, name)) < 0)
		event->source[0] = 0;
	event->self = is_agent();
	__builtin_memset(event->pad, 0, sizeof(event->pad));
}

/* At the function around the LSMs' hooks: it needs no BPF LSM, and no LSM that says no stops it. */
SEC("fexit/security_bpf_prog_load_post_integrity")
int integrity(__u64 *ctx)
{
	struct bpf_prog *prog = (struct bpf_prog *)ctx[0];
	struct load_state *load = load_current(HOOK_INTEGRITY);
	struct event_integrity *event;

	/* Of the load that this task is in, or of a program that was loaded before? Until the verifier has
	 * seen it, a program has no id. */
	if (load && (load->aux ? load->aux == (__u64)prog->aux : !prog->aux->id)) {
		event = series_reserve(&load->series, EVENT_INTEGRITY, sizeof(*event));
		if (event) {
			integrity_fill(ctx, event, prog);
			bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
		}
		return 0;
	}
	event = event_reserve(0, EVENT_INTEGRITY, sizeof(*event));
	if (event) {
		integrity_fill(ctx, event, prog);
		bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	}
	return 0;
}

#endif
