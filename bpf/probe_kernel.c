/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/probe_kernel.h"

#include <assert.h>
#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct probe_program probe_programs[] = {
	{ HOOK_LOAD_ENTER, "load_enter", "fentry/bpf_prog_load", { "bpf_prog_load" },
		.required = true },
	{ HOOK_VERIFY, "verify", "fexit/bpf_verify_pkcs7_signature",
		{ "bpf_verify_pkcs7_signature" }, .signatures_only = true },
	{ HOOK_IDENTITY, "identity", "lsm/bpf", { "bpf_lsm_bpf", "bpf_get_task_exe_file" } },
	{ HOOK_LOAD, "load", "fexit/security_bpf_prog_load", { "security_bpf_prog_load" },
		.required = true },
	{ HOOK_LOAD, "load_again", "fexit/security_bpf_prog_load", { "security_bpf_prog_load" } },
	{ HOOK_LOAD, "load_before_6_9", "fentry/bpf_check", { "bpf_check" }, .required = true,
		.stand_in = true },
	{ HOOK_LOAD, "load_before_6_9_again", "fentry/bpf_check", { "bpf_check" },
		.stand_in = true },
	{ HOOK_PROG, "prog", "fexit/security_bpf_prog", { "security_bpf_prog" }, .required = true },
	{ HOOK_PROG, "prog_again", "fexit/security_bpf_prog", { "security_bpf_prog" } },
	{ HOOK_LOAD_EXIT, "load_exit", "fexit/bpf_prog_load", { "bpf_prog_load" },
		.required = true },
	{ HOOK_LOAD_EXIT, "load_exit_again", "fexit/bpf_prog_load", { "bpf_prog_load" } },
	{ HOOK_RUN, "run_enter", "fentry/bpf_prog_test_run_syscall",
		{ "bpf_prog_test_run_syscall" } },
	{ HOOK_RUN, "run_enter_again", "fentry/bpf_prog_test_run_syscall",
		{ "bpf_prog_test_run_syscall" } },
	{ HOOK_RUN, "run_exit", "fexit/bpf_prog_test_run_syscall",
		{ "bpf_prog_test_run_syscall" } },
	{ HOOK_RUN, "run_exit_again", "fexit/bpf_prog_test_run_syscall",
		{ "bpf_prog_test_run_syscall" } },
	{ HOOK_FREE, "prog_free", "fentry/bpf_prog_free", { "bpf_prog_free" } },
	{ HOOK_BASELINE, "baseline", "iter/bpf_prog", { "bpf_iter_bpf_prog" }, .required = true },
	{ HOOK_INTEGRITY, "integrity", "fexit/security_bpf_prog_load_post_integrity",
		{ "security_bpf_prog_load_post_integrity" }, .optional = true },
	/* On the way of every bpf(): each tells where the other was passed by. */
	{ HOOK_BPF, "bpf_exit", "fexit/__sys_bpf", { "__sys_bpf", "security_bpf" } },
	{ HOOK_BPF, "bpf_enter", "fentry/security_bpf", { "__sys_bpf", "security_bpf" } },
	{ HOOK_LINK, "link_prime", "fexit/bpf_link_prime", { "bpf_link_prime" }, .attaches = true },
	{ HOOK_LINK_GET, "link_get", "fexit/bpf_link_get_from_fd", { "bpf_link_get_from_fd" },
		.attaches = true },
	{ HOOK_LINK_FREE, "link_free", "fentry/bpf_link_free", { "bpf_link_free" },
		.attaches = true },
	{ HOOK_PROG_GET, "prog_get", "fexit/__bpf_prog_get", { "__bpf_prog_get" }, .optional = true,
		.attaches = true },
	{ HOOK_PROG_GET_TYPE, "prog_get_type", "fexit/bpf_prog_get_type_dev",
		{ "bpf_prog_get_type_dev" }, .attaches = true },
	{ HOOK_CGROUP, "cgroup_attach", "fexit/__cgroup_bpf_attach", { "__cgroup_bpf_attach" },
		.attaches = true },
	{ HOOK_CGROUP, "cgroup_detach", "fexit/__cgroup_bpf_detach", { "__cgroup_bpf_detach" },
		.attaches = true },
	{ HOOK_MPROG, "mprog_attach", "fentry/bpf_mprog_attach", { "bpf_mprog_attach" },
		.optional = true, .attaches = true },
	{ HOOK_MPROG, "mprog_detach", "fentry/bpf_mprog_detach", { "bpf_mprog_detach" },
		.optional = true, .attaches = true },
	{ HOOK_PROG_ATTACH, "netns_attach", "fentry/netns_bpf_prog_attach",
		{ "netns_bpf_prog_attach" }, .attaches = true },
	{ HOOK_PROG_ATTACH, "sockmap_attach", "fentry/sock_map_get_from_fd",
		{ "sock_map_get_from_fd" }, .attaches = true },
	{ HOOK_XDP, "xdp_attach", "fexit/dev_xdp_attach", { "dev_xdp_attach" }, .attaches = true },
	{ HOOK_TC, "tc_attach", "fexit/tc_new_tfilter", { "tc_new_tfilter" }, .attaches = true },
	{ HOOK_PERF, "perf_attach", "fexit/__perf_event_set_bpf_prog",
		{ "__perf_event_set_bpf_prog" }, .attaches = true },
	{ HOOK_XDP, "xdp_remove", "fentry/dev_xdp_install", { "dev_xdp_install" },
		.attaches = true },
	{ HOOK_TC, "tc_detach", "fexit/tc_del_tfilter", { "tc_del_tfilter" }, .attaches = true },
	{ HOOK_SOCKET, "socket_close", "fentry/sk_filter_uncharge", { "sk_filter_uncharge" },
		.attaches = true },
	{ HOOK_PROG_ATTACH, "sockmap_detach", "fentry/sock_map_prog_detach",
		{ "sock_map_prog_detach" }, .attaches = true },
	{ HOOK_PIN, "unpin_name", "fentry/simple_unlink", { "simple_unlink" }, .attaches = true },
	{ HOOK_LINKS, "links", "iter/bpf_link", { "bpf_iter_bpf_link" } },
	{ HOOK_PERF, "perf_free", "fentry/security_perf_event_free", { "security_perf_event_free" },
		.attaches = true },
	{ HOOK_SOCKET, "socket_attach_enter", "fexit/sk_attach_bpf", { "sk_attach_bpf" },
		.attaches = true },
	{ HOOK_SOCKET, "socket_attach_exit", "fexit/sk_attach_bpf", { "sk_attach_bpf" },
		.attaches = true },
	{ HOOK_SOCKET, "socket_detach_enter", "fentry/sk_detach_filter", { "sk_detach_filter" },
		.attaches = true },
	{ HOOK_SOCKET, "socket_detach_exit", "fexit/sk_detach_filter", { "sk_detach_filter" },
		.attaches = true },
	{ HOOK_REUSEPORT, "reuseport_attach_enter", "fexit/sk_reuseport_attach_bpf",
		{ "sk_reuseport_attach_bpf" }, .attaches = true },
	{ HOOK_REUSEPORT, "reuseport_attach_exit", "fexit/sk_reuseport_attach_bpf",
		{ "sk_reuseport_attach_bpf" }, .attaches = true },
	{ HOOK_REUSEPORT, "reuseport_detach_exit", "fexit/reuseport_detach_prog",
		{ "reuseport_detach_prog" }, .attaches = true },
	{ HOOK_STRUCT_OPS, "ops_attach", "fexit/bpf_struct_ops_map_update_elem",
		{ "bpf_struct_ops_map_update_elem" }, .attaches = true },
	{ HOOK_STRUCT_OPS, "ops_detach", "fexit/bpf_struct_ops_map_delete_elem",
		{ "bpf_struct_ops_map_delete_elem" }, .attaches = true },
	{ HOOK_PROG_ARRAY, "array_change", "fentry/prog_array_map_poke_run",
		{ "prog_array_map_poke_run" }, .attaches = true },
	{ HOOK_PIN, "pin_prog", "fexit/bpf_mkprog", { "bpf_mkprog" }, .attaches = true },
	{ HOOK_PIN, "pin_link", "fexit/bpf_mklink", { "bpf_mklink" }, .attaches = true },
	{ HOOK_PIN, "unpin", "fentry/bpf_destroy_inode", { "bpf_destroy_inode" },
		.attaches = true },
	{},
};

static_assert(sizeof(probe_programs) / sizeof(*probe_programs) <= PROBE_PROGRAMS_MAX + 1);

/* Whether its hook has a program at another place in the kernel. */
static bool is_elsewhere(const struct probe_program *program, uint64_t chosen)
{
	for (unsigned i = 0; probe_programs[i].name; i++)
		if (chosen & 1ULL << i && probe_programs[i].hook == program->hook &&
			strcmp(probe_programs[i].hook_name, program->hook_name) != 0)
			return true;
	return false;
}

static bool kernel_has_functions(const struct btf *btf, const struct probe_program *program)
{
	for (size_t i = 0; i < sizeof(program->needs) / sizeof(*program->needs); i++)
		if (program->needs[i] &&
			btf__find_by_name_kind(btf, program->needs[i], BTF_KIND_FUNC) < 0)
			return false;
	return true;
}

static bool has_member(const struct btf *btf, const struct btf_type *type, const char *name)
{
	const struct btf_member *member = btf_members(type);

	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, member[i].name_off), name))
			return true;
	return false;
}

/* Whether BPF_PROG_LOAD takes a signature: a member of one of union bpf_attr's nameless structs. */
static bool kernel_has_signatures(const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "bpf_attr", BTF_KIND_UNION);
	const struct btf_type *attr = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	for (int i = 0; attr && i < btf_vlen(attr); i++) {
		const struct btf_type *type = btf__type_by_id(btf, btf_members(attr)[i].type);

		if (btf_is_composite(type) && has_member(btf, type, "signature") &&
			has_member(btf, type, "insns"))
			return true;
	}
	return false;
}

/* Whether the type is this one: `kind name`, or a pointer to it. */
static bool is_type(const struct btf *btf, __u32 id, bool is_pointer, __u16 kind, const char *name)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	if (is_pointer) {
		if (!btf_is_ptr(type))
			return false;
		type = btf__type_by_id(btf, type->type);
		while (btf_is_mod(type))
			type = btf__type_by_id(btf, type->type);
	}
	return btf_kind(type) == kind && !strcmp(btf__name_by_offset(btf, type->name_off), name);
}

/* Whether bpf/measure_integrity.bpf.h knows the arguments of this kernel's hook. */
static bool integrity_is_known(const struct btf *btf, const char *function)
{
	int id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
	const struct btf_type *func = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	const struct btf_type *proto = func ? btf__type_by_id(btf, func->type) : NULL;
	const struct btf_param *param = proto ? btf_params(proto) : NULL;

	if (!proto || !btf_vlen(proto) ||
		!is_type(btf, param[0].type, true, BTF_KIND_STRUCT, "bpf_prog"))
		return false;
	if (btf_vlen(proto) == 1)
		return true;
	return btf_vlen(proto) == 6 &&
		is_type(btf, param[4].type, true, BTF_KIND_STRUCT, "lsm_id") &&
		is_type(btf, param[5].type, false, BTF_KIND_ENUM, "lsm_integrity_verdict");
}

static uint64_t choose(const struct btf *btf)
{
	bool signatures = kernel_has_signatures(btf);
	uint64_t chosen = 0;

	for (unsigned i = 0; probe_programs[i].name; i++) {
		const struct probe_program *program = &probe_programs[i];

		if (program->signatures_only && !signatures)
			continue;
		if (program->stand_in && is_elsewhere(program, chosen))
			continue;
		if (program->hook == HOOK_INTEGRITY && !integrity_is_known(btf, program->needs[0]))
			continue;
		if (kernel_has_functions(btf, program))
			chosen |= 1ULL << i;
	}
	return chosen;
}

/* Without a prefix it is verbatim. */
static void name_store(char *ret_name, const char *name, size_t prefix_len)
{
	size_t i;

	name += prefix_len;
	for (i = 0; name[i] && i < PROBE_NAME_MAX - 1; i++)
		ret_name[i] = prefix_len ? (char)tolower((unsigned char)name[i]) : name[i];
	ret_name[i] = 0;
}

static void enum_read(const struct btf *btf, const char *type_name, const char *prefix,
	char names[static PROBE_ENUM_MAX][PROBE_NAME_MAX])
{
	int id = btf__find_by_name_kind(btf, type_name, BTF_KIND_ENUM);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	for (int i = 0; type && i < btf_vlen(type); i++) {
		const struct btf_enum *value = &btf_enum(type)[i];
		const char *name = btf__name_by_offset(btf, value->name_off);

		if (value->val < 0 || value->val >= PROBE_ENUM_MAX ||
			strncmp(name, prefix, strlen(prefix)))
			continue;
		/* Where a value has two names, the later is the one without "_DEPRECATED". */
		name_store(names[value->val], name, strlen(prefix));
	}
}

/* Of an enum without a name; 0 where there is no such value. */
static uint32_t nameless_read(const struct btf *btf, const char *name)
{
	for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!btf_is_enum(type) || type->name_off)
			continue;
		for (int i = 0; i < btf_vlen(type); i++)
			if (!strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), name))
				return (uint32_t)btf_enum(type)[i].val;
	}
	return 0;
}

static void btf_freep(struct btf **btf)
{
	btf__free(*btf);
}

int probe_kernel_read(struct probe_kernel *ret_kernel)
{
	[[gnu::cleanup(btf_freep)]] struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	memset(ret_kernel, 0, sizeof(*ret_kernel));
	ret_kernel->chosen = choose(btf);
	enum_read(btf, "bpf_prog_type", "BPF_PROG_TYPE_", ret_kernel->names[PROBE_PROG_TYPE]);
	enum_read(btf, "bpf_attach_type", "BPF_", ret_kernel->names[PROBE_ATTACH_TYPE]);
	enum_read(btf, "bpf_map_type", "BPF_MAP_TYPE_", ret_kernel->names[PROBE_MAP_TYPE]);
	enum_read(btf, "lsm_integrity_verdict", "", ret_kernel->names[PROBE_INTEGRITY_VERDICT]);
	enum_read(btf, "bpf_link_type", "BPF_LINK_TYPE_", ret_kernel->names[PROBE_LINK_TYPE]);
	ret_kernel->kprobe_flag = nameless_read(btf, "TRACE_EVENT_FL_KPROBE");
	ret_kernel->uprobe_flag = nameless_read(btf, "TRACE_EVENT_FL_UPROBE");
	ret_kernel->tracepoint_flag = nameless_read(btf, "TRACE_EVENT_FL_TRACEPOINT");
	return 0;
}
