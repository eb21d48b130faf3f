/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of what a record can say: record_check() is driven by it, and every line that the
 * encoders make is checked against it.
 */
#include "bpf/record_schema.h"

/* What stands in the braces of a field. */
#define NUMBER(name)          LINE_KEY(name), .type = LINE_UINT
#define U32(name)             NUMBER(name), .max = UINT32_MAX
#define BIG(name)             LINE_KEY(name), .type = LINE_BIG
#define FLAG(name)            LINE_KEY(name), .type = LINE_BOOL
#define TEXT(name, cap)       LINE_KEY(name), .type = LINE_TEXT, .max = (cap)
#define HEX(name, n)          LINE_KEY(name), .type = LINE_HEX, .min = (n), .max = (n)
#define DIGEST(name)          HEX(name, SHA256_LEN)
#define TIME(name)            LINE_KEY(name), .type = LINE_TIME
#define WORD(name, list)      LINE_KEY(name), .type = LINE_WORD, .words = (list)
#define OBJECT(name, table)   LINE_KEY(name), .type = LINE_OBJECT, .fields = (table)
#define LIST(name, elem, cap) LINE_KEY(name), .type = LINE_ARRAY, .max = (cap), .fields = (elem)
#define OR_NULL               .flags = LINE_NULLABLE

const char *const record_kinds[] = {
	[RECORD_EPOCH] = "epoch",
	[RECORD_RESUME] = "resume",
	[RECORD_START] = "start",
	[RECORD_STOP] = "stop",
	[RECORD_BASELINE] = "baseline",
	[RECORD_LOAD] = "load",
	[RECORD_INTEGRITY] = "integrity",
	[RECORD_REJECT] = "reject",
	[RECORD_ATTACH] = "attach",
	[RECORD_DETACH] = "detach",
	[RECORD_UNLOAD] = "unload",
	[RECORD_LOST] = "lost",
	[RECORD_FOREIGN] = "foreign",
	[RECORD_TRIM] = "trim",
	[RECORD_KIND_COUNT] = NULL,
};

const char *const record_whys[] = {
	[WHY_FIRST_USE] = "first_use",
	[WHY_BOOT] = "boot",
	[WHY_TPM_RESET] = "tpm_reset",
	[WHY_TPM_RESTART] = "tpm_restart",
	[WHY_TPM_CLEAR] = "tpm_clear",
	[WHY_KEXEC] = "kexec",
	[WHY_BROKEN_LOG] = "broken_log",
	[WHY_NEW_TPM] = "new_tpm",
	NULL,
};

const char *const record_exits[] = {
	[EXIT_NONE] = "none",
	[EXIT_CLEAN] = "clean",
	[EXIT_UNCLEAN] = "unclean",
	NULL,
};

const char *const record_verdicts[] = {
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_UNSIGNED] = "unsigned",
	[VERDICT_VERIFIED] = "verified",
	NULL,
};

/* Of covers and keyring the first is written as null, and so is no word of the format. */
const char *const record_covers[] = {
	[COVERS_INSNS - 1] = "insns",
	[COVERS_INSNS_MAPS - 1] = "insns+maps",
	[COVERS_INSNS_BTF - 1] = "insns+btf",
	[COVERS_OTHER - 1] = "other",
	NULL,
};

const char *const record_algs[] = {
	[ALG_OTHER] = "other",
	[ALG_SHA1] = "sha1",
	[ALG_SHA224] = "sha224",
	[ALG_SHA256] = "sha256",
	[ALG_SHA384] = "sha384",
	[ALG_SHA512] = "sha512",
	[ALG_SHA3_256] = "sha3-256",
	[ALG_SHA3_384] = "sha3-384",
	[ALG_SHA3_512] = "sha3-512",
	NULL,
};

const char *const record_keyrings[] = {
	[KEYRING_BUILTIN - 1] = "builtin",
	[KEYRING_SECONDARY - 1] = "secondary",
	[KEYRING_PLATFORM - 1] = "platform",
	[KEYRING_USER - 1] = "user",
	NULL,
};

const char *const record_metadata[] = {
	[METADATA_NONE] = "none",
	[METADATA_KERNEL] = "kernel",
	[METADATA_BOUND] = "bound",
	NULL,
};

const char *const record_stages[] = {
	[STAGE_SIGNATURE] = "signature",
	[STAGE_LSM] = "lsm",
	[STAGE_VERIFIER] = "verifier",
	[STAGE_OTHER] = "other",
	NULL,
};

const char *const record_losses[] = {
	[LOST_LOADS] = "loads",
	[LOST_EVENTS] = "events",
	[LOST_IDS] = "ids",
	[LOST_ATTACHMENTS] = "attachments",
	NULL,
};

const char *const record_vias[] = {
	[VIA_LINK] = "link",
	[VIA_PROG_ATTACH] = "prog_attach",
	[VIA_PERF_EVENT] = "perf_event",
	[VIA_NETLINK] = "netlink",
	[VIA_SOCKET] = "socket",
	[VIA_STRUCT_OPS] = "struct_ops",
	[VIA_PROG_ARRAY] = "prog_array",
	[VIA_PIN] = "pin",
	[VIA_OTHER] = "other",
	NULL,
};

const char *const record_target_types[] = {
	[TARGET_UNKNOWN] = "unknown",
	[TARGET_FUNCTION] = "function",
	[TARGET_TRACEPOINT] = "tracepoint",
	[TARGET_LSM_HOOK] = "lsm_hook",
	[TARGET_ITERATOR] = "iterator",
	[TARGET_PERF_EVENT] = "perf_event",
	[TARGET_UPROBE] = "uprobe",
	[TARGET_PROGRAM] = "program",
	[TARGET_INTERFACE] = "interface",
	[TARGET_NETFILTER] = "netfilter",
	[TARGET_NETNS] = "netns",
	[TARGET_CGROUP] = "cgroup",
	[TARGET_SOCKET] = "socket",
	[TARGET_STRUCT_OPS] = "struct_ops",
	[TARGET_MAP] = "map",
	[TARGET_FILE] = "file",
	NULL,
};

const char *const record_hows[] = {
	[HOW_NEW] = "new",
	[HOW_UPDATE] = "update",
	[HOW_BASELINE] = "baseline",
	NULL,
};

const char *const record_endings[] = {
	[ENDED_ASKED] = "asked",
	[ENDED_CLOSED] = "closed",
	[ENDED_REPLACED] = "replaced",
	NULL,
};

const char *const record_trim_whys[] = {
	[TRIM_MAX_SIZE] = "max_size",
	[TRIM_MAX_AGE] = "max_age",
	NULL,
};

/* PCR values by bank. */
static const struct line_field bank_fields[] = {
	{ HEX("sha1", 20), .flags = LINE_OPTIONAL },
	{ HEX("sha256", 32), .flags = LINE_OPTIONAL },
	{ HEX("sha384", 48), .flags = LINE_OPTIONAL },
	{ HEX("sha512", 64), .flags = LINE_OPTIONAL },
	{ .key = NULL },
};

static const struct line_field tpm_fields[] = {
	{ NUMBER("pcr"), .max = RECORD_PCR_MAX },
	{ OBJECT("base", bank_fields), .min = 1 },
	{ U32("reset_count") },
	{ U32("restart_count") },
	{ NUMBER("clock_ms") },
	{ FLAG("safe") },
	{ BIG("firmware") },
	{ TEXT("manufacturer", RECORD_WORD_MAX), OR_NULL },
	{ TEXT("vendor", RECORD_WORD_MAX), OR_NULL },
	{ FLAG("software") },
	{ LINE_KEY("ak_name"), .type = LINE_HEX, .flags = LINE_NULLABLE,
		.max = RECORD_AK_NAME_MAX },
	{ .key = NULL },
};

static const struct line_field epoch_fields[] = {
	{ WORD("why", record_whys) },
	{ HEX("log_id", 16) },
	{ OBJECT("tpm", tpm_fields) },
	{ TEXT("boot_id", RECORD_WORD_MAX), OR_NULL },
	{ TEXT("kernel", RECORD_WORD_MAX), OR_NULL },
	{ NUMBER("last_seq") },
	{ .key = NULL },
};

static const struct line_field hook_element = { .type = LINE_TEXT, .max = RECORD_WORD_MAX };

static const struct line_field start_fields[] = {
	{ TEXT("version", RECORD_WORD_MAX), OR_NULL },
	{ DIGEST("exe_sha256"), OR_NULL },
	{ DIGEST("conf_sha256"), OR_NULL },
	{ LIST("hooks", &hook_element, RECORD_HOOKS_MAX) },
	{ LIST("missing", &hook_element, RECORD_HOOKS_MAX) },
	{ NUMBER("next_program_id") },
	{ WORD("last_exit", record_exits) },
	{ FLAG("kept_measuring") },
	{ NUMBER("attached_ns") },
	{ .key = NULL },
};

static const struct line_field stop_fields[] = {
	{ TEXT("why", RECORD_WORD_MAX), OR_NULL },
	{ .key = NULL },
};

static const struct line_field program_fields[] = {
	{ NUMBER("id"), OR_NULL, .mark = MARK_PROGRAM_ID },
	{ TEXT("name", RECORD_NAME_MAX), OR_NULL },
	{ TEXT("type", RECORD_NAME_MAX), OR_NULL },
	{ TEXT("attach_type", RECORD_NAME_MAX), OR_NULL },
	{ TEXT("attach_to", RECORD_WORD_MAX), OR_NULL },
	{ NUMBER("insn_cnt"), OR_NULL },
	{ FLAG("captured") },
	{ DIGEST("sha256"), OR_NULL },
	{ DIGEST("kernel_digest"), OR_NULL },
	{ HEX("tag", RECORD_TAG_LEN), OR_NULL },
	{ NUMBER("load_time_ns"), OR_NULL },
	{ FLAG("kernel_origin") },
	{ FLAG("self") },
	{ .key = NULL },
};

static const struct line_field map_fields[] = {
	{ U32("id") },
	{ TEXT("name", RECORD_NAME_MAX), OR_NULL },
	{ TEXT("type", RECORD_NAME_MAX), OR_NULL },
	{ U32("flags") },
	{ U32("key_size") },
	{ U32("value_size") },
	{ U32("max_entries") },
	{ FLAG("frozen") },
	{ FLAG("exclusive") },
	{ DIGEST("sha256_at_load"), OR_NULL },
	{ .key = NULL },
};

static const struct line_field map_element = { .type = LINE_OBJECT, .fields = map_fields };
static const struct line_field claim_element = { .type = LINE_TEXT, .max = RECORD_CLAIM_MAX };
static const struct line_field alg_element = { .type = LINE_WORD, .words = record_algs };

static const struct line_field signature_fields[] = {
	{ WORD("verdict", record_verdicts), .mark = MARK_VERDICT },
	{ WORD("covers", record_covers), OR_NULL },
	{ WORD("metadata", record_metadata) },
	{ DIGEST("signed_sha256"), OR_NULL },
	{ WORD("keyring", record_keyrings), OR_NULL },
	{ NUMBER("keyring_serial"), OR_NULL },
	{ NUMBER("signers"), OR_NULL },
	{ LIST("claimed_key_ids", &claim_element, RECORD_SIGNERS_MAX) },
	{ LIST("digest_algs", &alg_element, RECORD_SIGNERS_MAX) },
	{ DIGEST("pinned"), OR_NULL },
	{ TEXT("pinned_subject", RECORD_WORD_MAX), OR_NULL },
	{ NUMBER("size"), OR_NULL },
	{ DIGEST("sha256"), OR_NULL },
	{ .key = NULL },
};

static const struct line_field parent_fields[] = {
	{ NUMBER("seq") },
	{ DIGEST("sha256"), OR_NULL },
	{ DIGEST("chain_digest"), OR_NULL },
	{ WORD("verdict", record_verdicts) },
	{ .key = NULL },
};

static const struct line_field loader_fields[] = {
	{ U32("pid") },
	{ U32("tgid") },
	{ U32("uid") },
	{ U32("gid") },
	{ TEXT("comm", RECORD_NAME_MAX), OR_NULL },
	{ TEXT("exe", RECORD_PATH_MAX), OR_NULL },
	{ NUMBER("exe_dev"), OR_NULL },
	{ BIG("exe_inode"), OR_NULL },
	{ DIGEST("exe_sha256"), OR_NULL },
	{ DIGEST("exe_fsverity"), OR_NULL },
	{ TEXT("cgroup", RECORD_CGROUP_MAX), OR_NULL },
	{ TEXT("unit", RECORD_WORD_MAX), OR_NULL },
	{ NUMBER("user_ns"), OR_NULL },
	{ NUMBER("mnt_ns"), OR_NULL },
	{ NUMBER("pid_ns"), OR_NULL },
	{ NUMBER("net_ns"), OR_NULL },
	{ FLAG("token") },
	{ .key = NULL },
};

static const struct line_field earlier_fields[] = {
	{ NUMBER("seq") },
	{ HEX("sha256", SHA256_LEN) },
	{ .key = NULL },
};

static const struct line_field baseline_fields[] = {
	{ OBJECT("program", program_fields) },
	{ LIST("maps", &map_element, RECORD_MAPS_MAX) },
	{ OBJECT("signature", signature_fields) },
	{ NUMBER("uid"), OR_NULL },
	{ OBJECT("earlier", earlier_fields), OR_NULL },
	{ .key = NULL },
};

static const struct line_field load_fields[] = {
	{ OBJECT("program", program_fields) },
	{ LIST("maps", &map_element, RECORD_MAPS_MAX) },
	{ OBJECT("signature", signature_fields) },
	{ DIGEST("chain_digest"), OR_NULL },
	{ OBJECT("parent", parent_fields), OR_NULL },
	{ OBJECT("loader", loader_fields) },
	{ .key = NULL },
};

static const struct line_field reject_fields[] = {
	{ WORD("stage", record_stages) },
	{ U32("errno") },
	{ OBJECT("program", program_fields) },
	{ LIST("maps", &map_element, RECORD_MAPS_MAX) },
	{ OBJECT("signature", signature_fields) },
	{ DIGEST("chain_digest"), OR_NULL },
	{ OBJECT("parent", parent_fields), OR_NULL },
	{ OBJECT("loader", loader_fields) },
	{ .key = NULL },
};

static const struct line_field of_program_fields[] = {
	{ NUMBER("seq") },
	{ NUMBER("id"), OR_NULL },
	{ DIGEST("sha256"), OR_NULL },
	{ .key = NULL },
};

static const struct line_field integrity_fields[] = {
	{ OBJECT("program", of_program_fields) },
	{ TEXT("hook", RECORD_WORD_MAX), OR_NULL },
	{ TEXT("verdict", RECORD_WORD_MAX), OR_NULL },
	{ NUMBER("value"), OR_NULL },
	{ TEXT("source", RECORD_NAME_MAX), OR_NULL },
	{ .key = NULL },
};

static const struct line_field link_fields[] = {
	{ NUMBER("id"), OR_NULL },
	{ TEXT("type", RECORD_NAME_MAX), OR_NULL },
	{ .key = NULL },
};

static const struct line_field target_fields[] = {
	{ WORD("type", record_target_types) },
	{ TEXT("name", RECORD_PATH_MAX), OR_NULL },
	{ NUMBER("id"), OR_NULL },
	{ NUMBER("index"), OR_NULL },
	{ NUMBER("count"), OR_NULL },
	{ .key = NULL },
};

static const struct line_field attach_fields[] = {
	{ OBJECT("program", of_program_fields) },
	{ WORD("how", record_hows) },
	{ WORD("via", record_vias) },
	{ OBJECT("link", link_fields), OR_NULL },
	{ TEXT("attach_type", RECORD_NAME_MAX), OR_NULL },
	{ OBJECT("target", target_fields) },
	{ OBJECT("replaced", of_program_fields), OR_NULL },
	{ OBJECT("by", loader_fields), OR_NULL },
	{ .key = NULL },
};

static const struct line_field detach_fields[] = {
	{ OBJECT("program", of_program_fields) },
	{ WORD("why", record_endings) },
	{ NUMBER("attach_seq") },
	{ WORD("via", record_vias) },
	{ OBJECT("link", link_fields), OR_NULL },
	{ TEXT("attach_type", RECORD_NAME_MAX), OR_NULL },
	{ OBJECT("target", target_fields) },
	{ OBJECT("by", loader_fields), OR_NULL },
	{ .key = NULL },
};

static const struct line_field unload_program_fields[] = {
	{ NUMBER("seq") },
	{ U32("id") },
	{ .key = NULL },
};

static const struct line_field unload_fields[] = {
	{ OBJECT("program", unload_program_fields) },
	{ .key = NULL },
};

static const struct line_field lost_fields[] = {
	{ WORD("what", record_losses) },
	{ NUMBER("count") },
	{ NUMBER("first") },
	{ NUMBER("last") },
	{ .key = NULL },
};

static const struct line_field resume_tpm_fields[] = {
	{ U32("reset_count") },
	{ U32("restart_count") },
	{ NUMBER("clock_ms") },
	{ FLAG("safe") },
	{ .key = NULL },
};

static const struct line_field resume_fields[] = {
	{ OBJECT("tpm", resume_tpm_fields) },
	{ .key = NULL },
};

static const struct line_field foreign_fields[] = {
	{ NUMBER("after_seq") },
	{ OBJECT("expected", bank_fields), .min = 1 },
	{ OBJECT("found", bank_fields), .min = 1 },
	{ TIME("last_seen"), OR_NULL },
	{ U32("reset_count") },
	{ U32("restart_count") },
	{ .key = NULL },
};

static const struct line_field trim_fields[] = {
	{ WORD("why", record_trim_whys) },
	{ NUMBER("first") },
	{ NUMBER("last") },
	{ DIGEST("last_sha256") },
	{ TIME("first_time") },
	{ TIME("last_time") },
	{ HEX("log_id", 16) },
	{ FLAG("software") },
	{ .key = NULL },
};

static const struct line_field *const fields_of_kind[RECORD_KIND_COUNT] = {
	[RECORD_EPOCH] = epoch_fields,
	[RECORD_RESUME] = resume_fields,
	[RECORD_START] = start_fields,
	[RECORD_STOP] = stop_fields,
	[RECORD_BASELINE] = baseline_fields,
	[RECORD_LOAD] = load_fields,
	[RECORD_INTEGRITY] = integrity_fields,
	[RECORD_REJECT] = reject_fields,
	[RECORD_ATTACH] = attach_fields,
	[RECORD_DETACH] = detach_fields,
	[RECORD_UNLOAD] = unload_fields,
	[RECORD_LOST] = lost_fields,
	[RECORD_FOREIGN] = foreign_fields,
	[RECORD_TRIM] = trim_fields,
};

static const struct line_field record_fields[] = {
	{ NUMBER("v"), .min = RECORD_VERSION, .max = RECORD_VERSION },
	{ NUMBER("seq"), .min = 1, .mark = MARK_SEQ },
	{ HEX("prev", SHA256_LEN), .mark = MARK_PREV },
	{ TIME("time"), .mark = MARK_TIME },
	{ NUMBER("boottime_ns"), .mark = MARK_BOOTTIME },
	{ LINE_KEY("kind"), .type = LINE_TAG, .words = record_kinds, .variants = fields_of_kind,
		.mark = MARK_KIND },
	{ LINE_KEY("extend"), .type = LINE_FALSE, .flags = LINE_OPTIONAL, .mark = MARK_EXTEND },
	{ .key = NULL },
};

const struct line_field *record_schema(void)
{
	return record_fields;
}
