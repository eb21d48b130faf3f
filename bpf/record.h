/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A record: one line of JSON whose bytes, without the newline, are what is measured.
 *
 * This header is what a record can say. docs/format.md is its normative text; record_schema() is
 * the one table of keys per kind. The checker is driven by it, and every line that is encoded is
 * checked against it before it is handed out: a line that the one writes and the other refuses is
 * asserted not to exist.
 *
 * Encoding never fails for a value's sake: names and paths are escaped, capped and, where cut,
 * followed by their length and digest (docs/format.md, "Text"); numbers above LINE_UINT_MAX are
 * written as that. With every value at its cap a line is at most RECORD_LINE_MAX bytes.
 */
#ifndef BPF_RECORD_H
#define BPF_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "bpf/line.h"

enum {
	RECORD_VERSION = 1,
	RECORD_LINE_MAX = 64 * 1024,

	/* Caps. Text caps are in bytes of the escaped text. */
	RECORD_NAME_MAX = 64, /* 16 bytes of the kernel, escaped at worst fourfold */
	RECORD_PATH_MAX = 2048, /* executables, files */
	RECORD_CGROUP_MAX = 1024, /* paths of cgroups */
	RECORD_WORD_MAX = 128, /* versions, releases, attach targets */
	RECORD_MAPS_MAX = 64, /* MAX_USED_MAPS in the kernel */
	RECORD_SIGNERS_MAX = 16, /* SignerInfos named in one record */
	RECORD_CLAIM_MAX = 134, /* "keyid:" and 64 bytes in hex */
	RECORD_TAG_LEN = 8, /* BPF_TAG_SIZE in the kernel */
	RECORD_HOOKS_MAX = 32,
	RECORD_AK_NAME_MAX = 68, /* sizeof(TPMU_NAME) */
	RECORD_PCR_MAX = 23,
};

enum record_kind {
	RECORD_EPOCH,
	RECORD_RESUME,
	RECORD_START,
	RECORD_STOP,
	RECORD_BASELINE,
	RECORD_LOAD,
	RECORD_INTEGRITY,
	RECORD_REJECT,
	RECORD_ATTACH,
	RECORD_DETACH,
	RECORD_UNLOAD,
	RECORD_LOST,
	RECORD_FOREIGN,
	RECORD_TRIM,
	RECORD_KIND_COUNT,
};

/* What the kernel or a user supplied: any bytes, not escaped yet. NULL is not known: JSON null. */
struct record_text {
	const char *bytes;
	size_t len;
};

/* A sha256 that may be unknown: JSON null. */
struct record_digest {
	bool known;
	uint8_t sha256[SHA256_LEN];
};

/* A number that may be unknown: JSON null. */
struct record_number {
	bool known;
	uint64_t value;
};

/* What every record starts with. */
struct record_head {
	uint64_t seq;
	uint8_t prev[SHA256_LEN];
	uint64_t time_ns; /* since 1970, UTC; until the year 2554 */
	uint64_t boottime_ns;
	enum record_kind kind;
	bool extend; /* false: measured by the next extended record through prev */
};

struct record_program {
	struct record_number id;
	struct record_text name;
	struct record_text type; /* "xdp", ...: of the kernel's enum, lower case, or a number */
	struct record_text attach_type; /* likewise; NULL where the load named none */
	struct record_text attach_to; /* function, struct or type name at the kernel's BTF */
	struct record_number insn_cnt;
	bool captured; /* whether sha256 is over every instruction handed to the kernel */
	struct record_digest sha256; /* raw instructions as handed to the kernel */
	struct record_digest kernel_digest;
	bool has_tag;
	uint8_t tag[RECORD_TAG_LEN]; /* bpf_prog_info.tag */
	struct record_number load_time_ns; /* since boot: bpf_prog_info.load_time */
	bool kernel_origin; /* loaded by bpf_sys_bpf() */
	bool self; /* loaded by the agent */
};

struct record_map {
	uint32_t id;
	struct record_text name;
	struct record_text type;
	uint32_t flags;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	bool frozen;
	bool exclusive;
	struct record_digest sha256_at_load;
};

/* Zero is what is said where nothing was found out. */
enum record_verdict { VERDICT_UNKNOWN, VERDICT_UNSIGNED, VERDICT_VERIFIED };
enum record_covers { COVERS_NONE, COVERS_INSNS, COVERS_INSNS_MAPS, COVERS_INSNS_BTF, COVERS_OTHER };
enum record_metadata { METADATA_NONE, METADATA_KERNEL, METADATA_BOUND };
enum record_keyring {
	KEYRING_NONE,
	KEYRING_BUILTIN,
	KEYRING_SECONDARY,
	KEYRING_PLATFORM,
	KEYRING_USER,
};

/* The digest that a SignerInfo names: RFC 5652, section 5.3. ALG_OTHER is any that has no name here. */
enum record_alg {
	ALG_OTHER,
	ALG_SHA1,
	ALG_SHA224,
	ALG_SHA256,
	ALG_SHA384,
	ALG_SHA512,
	ALG_SHA3_256,
	ALG_SHA3_384,
	ALG_SHA3_512,
};

/*
 * What the kernel verified. COVERS_NONE and KEYRING_NONE are written as null.
 *
 * claimed_key_ids  of the first SignerInfos, as "keyid:HEX" (SubjectKeyIdentifier) or "issuer:HEX"
 * (sha256 of the DER of IssuerAndSerialNumber). Claims, never identity.
 * digest_algs      of the same SignerInfos, in the same order: claims too, where nothing was verified.
 * pinned_subject   of the configured certificate, as in RFC 2253; NULL where pinned is not known.
 */
struct record_signature {
	enum record_verdict verdict;
	enum record_covers covers;
	enum record_metadata metadata;
	struct record_digest signed_sha256;
	enum record_keyring keyring;
	struct record_number keyring_serial; /* key_serial_t as its unsigned 32 bits */
	struct record_number signers; /* SignerInfos in the signature */
	size_t claimed_count; /* of them named here */
	struct record_text claimed_key_ids[RECORD_SIGNERS_MAX];
	enum record_alg digest_algs[RECORD_SIGNERS_MAX];
	struct record_digest pinned; /* SubjectPublicKeyInfo of the configured certificate */
	struct record_text pinned_subject;
	struct record_number size; /* of the signature */
	struct record_digest sha256; /* of the signature */
};

/* The loader program that loaded this one. */
struct record_parent {
	uint64_t seq;
	struct record_digest sha256;
	struct record_digest chain_digest;
	enum record_verdict verdict;
};

/* The task that asked the kernel for something: a load, an attachment. */
struct record_loader {
	uint32_t pid; /* thread; tgid is the process */
	uint32_t tgid;
	uint32_t uid;
	uint32_t gid;
	struct record_text comm;
	struct record_text exe;
	struct record_number exe_dev; /* major << 20 | minor, as the kernel has it */
	struct record_number exe_inode;
	struct record_digest exe_sha256;
	struct record_digest exe_fsverity;
	struct record_text cgroup;
	struct record_text
		unit; /* systemd's, as the cgroup's path names it; NULL where it names none */
	struct record_number user_ns; /* inode numbers of the namespaces */
	struct record_number mnt_ns;
	struct record_number pid_ns;
	struct record_number net_ns;
	bool token; /* it used a BPF token */
};

/* RECORD_LOAD and RECORD_REJECT; stage and error are of the reject only. */
enum record_stage { STAGE_SIGNATURE, STAGE_LSM, STAGE_VERIFIER, STAGE_OTHER };
struct record_load {
	struct record_program program;
	size_t map_count;
	const struct record_map *maps;
	struct record_signature signature;
	struct record_digest chain_digest; /* unknown where an input of it is unknown */
	bool has_parent;
	struct record_parent parent;
	struct record_loader loader;
	enum record_stage stage;
	unsigned error; /* errno, positive */
};

struct record_baseline {
	struct record_program program;
	size_t map_count;
	const struct record_map *maps;
	struct record_signature signature; /* verdict and keyring only; the rest unknown */
	struct record_number uid; /* of the loader */
	bool has_earlier;
	uint64_t earlier_seq; /* of the same program's load or baseline record */
	uint8_t earlier_sha256[SHA256_LEN]; /* of that record's line */
};

enum record_why {
	WHY_FIRST_USE,
	WHY_BOOT,
	WHY_TPM_RESET,
	WHY_TPM_RESTART,
	WHY_TPM_CLEAR,
	WHY_KEXEC,
	WHY_BROKEN_LOG,
	WHY_NEW_TPM, /* its AK is another than the epoch before names */
};
struct record_epoch {
	enum record_why why;
	uint8_t log_id[16];
	unsigned pcr;
	bank_set banks;
	struct bank_values base; /* the PCR before this record's own extend */
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	bool safe;
	uint64_t firmware;
	struct record_text manufacturer;
	struct record_text vendor;
	bool software;
	struct record_text ak_name; /* TPM Name of the AK: bytes; written as hex */
	struct record_text boot_id;
	struct record_text kernel; /* release */
	uint64_t last_seq; /* of the previous epoch; 0 for the first */
};

/* The TPM's counters moved and the PCR was kept: from here on these are what a quote has. */
struct record_resume {
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	bool safe;
};

enum record_exit { EXIT_NONE, EXIT_CLEAN, EXIT_UNCLEAN };
struct record_start {
	struct record_text version;
	struct record_digest exe_sha256;
	struct record_digest conf_sha256;
	size_t hook_count;
	const char *hooks[RECORD_HOOKS_MAX]; /* in use: each has shown its canary */
	size_t missing_count;
	const char *missing[RECORD_HOOKS_MAX];
	uint64_t next_program_id;
	enum record_exit last_exit;
	bool kept_measuring; /* the pinned hooks went on while no daemon ran */
	uint64_t attached_ns; /* CLOCK_BOOTTIME, when the hooks in use were attached */
};

struct record_stop {
	struct record_text why; /* "SIGTERM", ... */
};

/* A program that has a record: seq 0 where it has none, or none that is known. */
struct record_of_program {
	uint64_t seq; /* of its load, reject or baseline record */
	struct record_number id;
	struct record_digest sha256;
};

/*
 * What a hook after the kernel's integrity check was told of a program: the kernel's own word, not
 * ours, and never a replacement for struct record_signature.
 *
 * hook     that told: "fexit/security_bpf_prog_load_post_integrity".
 * verdict  the enumerator as this kernel's BTF names it ("LSM_INT_VERDICT_OK"), NULL where the
 *          hook has none (it has one argument) or BTF no name for the value.
 * source   of the verdict: name of the LSM that gave it; NULL where it is not said.
 */
struct record_integrity {
	struct record_of_program program;
	struct record_text hook;
	struct record_text verdict;
	struct record_number value;
	struct record_text source;
};

/* By which of the kernel's doors a program came to where it runs. */
enum record_via {
	VIA_LINK, /* BPF_LINK_CREATE, BPF_LINK_UPDATE, BPF_RAW_TRACEPOINT_OPEN */
	VIA_PROG_ATTACH, /* BPF_PROG_ATTACH */
	VIA_PERF_EVENT, /* PERF_EVENT_IOC_SET_BPF */
	VIA_NETLINK, /* XDP, tc, lightweight tunnels */
	VIA_SOCKET, /* SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF and their like */
	VIA_STRUCT_OPS, /* registered with its map */
	VIA_PROG_ARRAY, /* an element of a map of programs */
	VIA_PIN, /* BPF_OBJ_PIN: kept, not run */
	VIA_OTHER, /* the kernel took the program for a purpose that no hook names */
};

enum record_target_type {
	TARGET_UNKNOWN,
	TARGET_FUNCTION, /* of the kernel, by name: tracing, kprobe */
	TARGET_TRACEPOINT,
	TARGET_LSM_HOOK,
	TARGET_ITERATOR,
	TARGET_PERF_EVENT,
	TARGET_UPROBE, /* name is the file */
	TARGET_PROGRAM, /* another BPF program: freplace, fentry of a program */
	TARGET_INTERFACE, /* id is the ifindex */
	TARGET_NETFILTER, /* name is "FAMILY/HOOK" in numbers */
	TARGET_NETNS, /* id is the inode number */
	TARGET_CGROUP, /* name is the path, id the cgroup's */
	TARGET_SOCKET, /* name is "FAMILY/PROTOCOL" in numbers */
	TARGET_STRUCT_OPS, /* name is the kernel's structure */
	TARGET_MAP, /* id is the map's; index says which element */
	TARGET_FILE, /* a pin; name is the path in its file system */
};

struct record_target {
	enum record_target_type type;
	struct record_text name; /* capped at RECORD_PATH_MAX */
	struct record_number id;
	struct record_number index; /* of an element */
	struct record_number count; /* of all targets, where name is the first of several */
};

/* A place where a program runs, as RECORD_ATTACH and RECORD_DETACH name it. */
struct record_place {
	enum record_via via;
	struct record_number link_id;
	struct record_text link_type; /* enum bpf_link_type without its prefix, lower case */
	struct record_text attach_type; /* enum bpf_attach_type, likewise */
	struct record_target target;
};

/*
 * how      HOW_NEW; HOW_UPDATE: the program took the place of another (replaced); HOW_BASELINE: found
 *          attached when an epoch or a first start began, task unknown.
 */
enum record_how { HOW_NEW, HOW_UPDATE, HOW_BASELINE };
struct record_attach {
	struct record_of_program program;
	enum record_how how;
	struct record_place place;
	bool has_replaced;
	struct record_of_program replaced;
	bool has_by;
	struct record_loader by;
};

/*
 * why  ENDED_ASKED: BPF_LINK_DETACH, BPF_PROG_DETACH, netlink; ENDED_CLOSED: the last descriptor and
 *      pin of the link are gone; ENDED_REPLACED: another program took its place.
 */
enum record_ended { ENDED_ASKED, ENDED_CLOSED, ENDED_REPLACED };
struct record_detach {
	struct record_of_program program;
	enum record_ended why;
	uint64_t attach_seq; /* of the attach record that this ends; 0 where there is none */
	struct record_place place;
	bool has_by;
	struct record_loader by;
};

struct record_unload {
	uint64_t program_seq; /* of its load or baseline record */
	uint32_t program_id;
};

/* So many of these were not recorded; first and last are their numbers, inclusive. */
enum record_lost_what { LOST_LOADS, LOST_EVENTS, LOST_IDS, LOST_ATTACHMENTS };
struct record_lost {
	enum record_lost_what what;
	uint64_t count;
	uint64_t first;
	uint64_t last;
};

/*
 * The PCR holds an extend that is not in the log. Comes right after the epoch that begins at the
 * value found.
 *
 * after_seq     the last record that the PCR was known to hold; expected is the PCR after it.
 * last_seen_ns  when the PCR was last read and as expected, nanoseconds since 1970; not known where
 *               the agent has not read it so since it started.
 * reset_count, restart_count  the same as in the epoch before.
 */
struct record_foreign {
	uint64_t after_seq;
	bank_set banks; /* of expected and found; at least one */
	struct bank_values expected;
	struct bank_values found;
	struct record_number last_seen_ns;
	uint32_t reset_count;
	uint32_t restart_count;
};

/*
 * The oldest records are removed, first ... last; what a verifier would need of them is here.
 *
 * last_sha256  of the line of record last, which the oldest record that stays has as its prev.
 * log_id       and software are those of the epoch in force.
 */
enum record_trim_why { TRIM_MAX_SIZE, TRIM_MAX_AGE };
struct record_trim {
	enum record_trim_why why;
	uint64_t first;
	uint64_t last;
	uint8_t last_sha256[SHA256_LEN];
	uint64_t first_time_ns; /* of record first: nanoseconds since 1970 */
	uint64_t last_time_ns;
	uint8_t log_id[16];
	bool software;
};

/*
 * Encode one record into line, which is cleared first and has room for RECORD_LINE_MAX bytes. Every
 * one sets head.kind itself. Counts above the caps, and words outside their enum, are the caller's
 * bugs; any other value can be written.
 *
 * head's seq, prev and extend are decided where the batch is committed; the same values may be
 * encoded again with another head.
 */
void record_encode_epoch(
	struct line *line, struct record_head head, const struct record_epoch *rec);
void record_encode_start(
	struct line *line, struct record_head head, const struct record_start *rec);
void record_encode_stop(struct line *line, struct record_head head, const struct record_stop *rec);
void record_encode_baseline(
	struct line *line, struct record_head head, const struct record_baseline *rec);
void record_encode_load(struct line *line, struct record_head head, const struct record_load *rec);
void record_encode_reject(
	struct line *line, struct record_head head, const struct record_load *rec);
void record_encode_integrity(
	struct line *line, struct record_head head, const struct record_integrity *rec);
void record_encode_attach(
	struct line *line, struct record_head head, const struct record_attach *rec);
void record_encode_detach(
	struct line *line, struct record_head head, const struct record_detach *rec);
void record_encode_unload(
	struct line *line, struct record_head head, const struct record_unload *rec);
void record_encode_lost(struct line *line, struct record_head head, const struct record_lost *rec);
void record_encode_resume(
	struct line *line, struct record_head head, const struct record_resume *rec);
void record_encode_foreign(
	struct line *line, struct record_head head, const struct record_foreign *rec);
void record_encode_trim(struct line *line, struct record_head head, const struct record_trim *rec);

/* "load", ... */
const char *record_kind_name(enum record_kind kind);

/* "verified", ... */
const char *record_verdict_name(enum record_verdict verdict);

/* "insns+maps", ...; "none". */
const char *record_covers_name(enum record_covers covers);

/* The table of keys of every kind, for line_check(). */
const struct line_field *record_schema(void);

/*
 * The strict check: the bytes are exactly one record of format 1, keys in order, nothing else.
 *
 * line  len bytes without the newline; any bytes.
 *
 * Returns 0; -EBADMSG with ret_error set to what is wrong and at which byte. ret_head is written on
 * success only.
 */
[[nodiscard]] int record_check(
	const char *line, size_t len, struct record_head *ret_head, struct line_error *ret_error);

/* record_check(), with what is asked of nearly every record besides. */
struct record_brief {
	struct record_head head;
	uint64_t program_id; /* `program.id` of a load, reject or baseline; 0: not known, or none */
	enum record_verdict verdict; /* `signature.verdict` of one of these */
};
[[nodiscard]] int record_check_brief(
	const char *line, size_t len, struct record_brief *ret_brief, struct line_error *ret_error);

/* The fields of an epoch line that a verifier compares with a quote, from a line that
 * record_check() has accepted as RECORD_EPOCH. */
struct record_epoch_facts {
	enum record_why why;
	unsigned pcr;
	bank_set banks;
	struct bank_values base;
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	uint64_t firmware;
	uint8_t log_id[16];
	bool software;
	uint8_t ak_name[RECORD_AK_NAME_MAX];
	size_t ak_name_len; /* 0 where it is not known */
	char boot_id[40]; /* empty where it is not known */
};
void record_epoch_facts(const char *line, size_t len, struct record_epoch_facts *ret);

/* What a resume line says the TPM's counters are from then on. */
struct record_resume_facts {
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
};
void record_resume_facts(const char *line, size_t len, struct record_resume_facts *ret);

/* The members are those of struct record_foreign. */
struct record_foreign_facts {
	uint64_t after_seq;
	struct record_number last_seen_ns;
	bank_set banks; /* those of both expected and found */
	struct bank_values expected;
	struct bank_values found;
};
void record_foreign_facts(const char *line, size_t len, struct record_foreign_facts *ret);

/* The members are those of struct record_trim. */
struct record_trim_facts {
	enum record_trim_why why;
	uint64_t first;
	uint64_t last;
	uint8_t last_sha256[SHA256_LEN];
	uint64_t first_time_ns;
	uint64_t last_time_ns;
	uint8_t log_id[16];
	bool software;
};
void record_trim_facts(const char *line, size_t len, struct record_trim_facts *ret);

/* Identity and trust of a program, from a checked load or baseline line: what a child's record and
 * an unload need to know of it. */
struct record_program_facts {
	uint64_t program_id;
	uint64_t load_time_ns;
	struct record_digest sha256;
	struct record_digest kernel_digest;
	bool has_tag;
	uint8_t tag[RECORD_TAG_LEN];
	struct record_digest chain_digest;
	enum record_verdict verdict;
};
void record_program_facts(const char *line, size_t len, struct record_program_facts *ret);

/*
 * Who signed what the kernel verified, in a word: `pinned` for a configured certificate, else the name
 * of a keyring of the kernel's own. `loader` is a key that the loader brought along (the keyring `user`
 * and no `pinned`): `verified`, and as good as unsigned. `none` where the verdict is not `verified`.
 */
const char *record_signer_name(const struct record_signature *signature);

/* Whether that is a signer who is known, from a checked load, baseline or reject line. */
bool record_has_known_signer(const char *line, size_t len);

/*
 * The link of the trusted hash chain that the program of rec is, from rec's program, maps,
 * signature and parent (docs/format.md, "chain_digest"). Not known where an input is not: a program
 * that was not captured, a parent without its own chain_digest, a signature of which signed_sha256
 * is unknown though the verdict is not `unsigned`.
 *
 * Returns 0, or -EIO when OpenSSL refuses, with ret_digest untouched.
 */
[[nodiscard]] int record_chain_digest(
	const struct record_load *rec, struct record_digest *ret_digest);

/*
 * CREATE TEMP VIEW statements over a table record(seq, line, time, kind, name, sha256): the documented
 * columns of every kind, each computed from the measured bytes by SQLite's JSON functions. The last
 * four columns of the table are values of the line too: time, kind, program.name and program.sha256.
 * docs/format.md, "Views".
 */
const char *record_views_sql(void);

#endif
