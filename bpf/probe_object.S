/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled BPF programs, as bytes of the daemon. */
	.section .rodata
	.balign 8
	.global probe_object, probe_object_end
probe_object:
	.incbin PROBE_OBJECT
probe_object_end:
	.section .note.GNU-stack, "", @progbits
