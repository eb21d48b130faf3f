/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The views say what the lines say and nothing else: a column is the value at the path of its name,
 * null where the line has null. docs/format.md, "Views", lists them; tests/record-views compares
 * every column with what jq finds in the same lines.
 */
#include "bpf/record.h"

/*
 * The lines as text, once: SQLite's JSON functions take no BLOB, and parse equal text once only. The
 * table has these four values of a line as columns of its own, with an index each (db/open.c): a
 * condition on one of them is looked up.
 */
#define SOURCE                                                                                     \
	"(SELECT seq, CAST(line AS TEXT) AS line, time, kind, name AS program_name,\n"             \
	"  sha256 AS program_sha256 FROM record)"
#define LINES   " FROM " SOURCE "\n"
#define OF_KIND LINES " WHERE kind = "

/*
 * The index of kinds has all but loads, and is used where it is said that it has what is asked for.
 * Of a kind that there are many of it would be taken where another one finds fewer records.
 */
#define OF_RARE LINES " WHERE kind <> 'load' AND kind = "

#define HEAD                                                                                       \
	" seq,\n"                                                                                  \
	" time,\n"                                                                                 \
	" line ->> '$.boottime_ns' AS boottime_ns,\n"                                              \
	" coalesce(line ->> '$.extend', 1) AS extend"

#define PROGRAM                                                                                    \
	" line ->> '$.program.id' AS program_id,\n"                                                \
	" program_name,\n"                                                                         \
	" line ->> '$.program.type' AS program_type,\n"                                            \
	" line ->> '$.program.attach_type' AS program_attach_type,\n"                              \
	" line ->> '$.program.attach_to' AS program_attach_to,\n"                                  \
	" line ->> '$.program.insn_cnt' AS program_insn_cnt,\n"                                    \
	" line ->> '$.program.captured' AS program_captured,\n"                                    \
	" program_sha256,\n"                                                                       \
	" line ->> '$.program.kernel_digest' AS program_kernel_digest,\n"                          \
	" line ->> '$.program.tag' AS program_tag,\n"                                              \
	" line ->> '$.program.load_time_ns' AS program_load_time_ns,\n"                            \
	" line ->> '$.program.kernel_origin' AS program_kernel_origin,\n"                          \
	" line ->> '$.program.self' AS program_self"

#define SIGNATURE                                                                                  \
	" line ->> '$.signature.verdict' AS signature_verdict,\n"                                  \
	" line ->> '$.signature.covers' AS signature_covers,\n"                                    \
	" line ->> '$.signature.metadata' AS signature_metadata,\n"                                \
	" line ->> '$.signature.signed_sha256' AS signature_signed_sha256,\n"                      \
	" line ->> '$.signature.keyring' AS signature_keyring,\n"                                  \
	" line ->> '$.signature.keyring_serial' AS signature_keyring_serial,\n"                    \
	" line ->> '$.signature.signers' AS signature_signers,\n"                                  \
	" line ->> '$.signature.claimed_key_ids' AS signature_claimed_key_ids,\n"                  \
	" line ->> '$.signature.digest_algs' AS signature_digest_algs,\n"                          \
	" line ->> '$.signature.pinned' AS signature_pinned,\n"                                    \
	" line ->> '$.signature.pinned_subject' AS signature_pinned_subject,\n"                    \
	" line ->> '$.signature.size' AS signature_size,\n"                                        \
	" line ->> '$.signature.sha256' AS signature_sha256"

#define MAPS " line ->> '$.maps' AS maps"

#define TASK(key)                                                                                  \
	" line ->> '$." key ".pid' AS " key "_pid,\n"                                              \
	" line ->> '$." key ".tgid' AS " key "_tgid,\n"                                            \
	" line ->> '$." key ".uid' AS " key "_uid,\n"                                              \
	" line ->> '$." key ".gid' AS " key "_gid,\n"                                              \
	" line ->> '$." key ".comm' AS " key "_comm,\n"                                            \
	" line ->> '$." key ".exe' AS " key "_exe,\n"                                              \
	" line ->> '$." key ".exe_dev' AS " key "_exe_dev,\n"                                      \
	" line ->> '$." key ".exe_inode' AS " key "_exe_inode,\n"                                  \
	" line ->> '$." key ".exe_sha256' AS " key "_exe_sha256,\n"                                \
	" line ->> '$." key ".exe_fsverity' AS " key "_exe_fsverity,\n"                            \
	" line ->> '$." key ".cgroup' AS " key "_cgroup,\n"                                        \
	" line ->> '$." key ".unit' AS " key "_unit,\n"                                            \
	" line ->> '$." key ".user_ns' AS " key "_user_ns,\n"                                      \
	" line ->> '$." key ".mnt_ns' AS " key "_mnt_ns,\n"                                        \
	" line ->> '$." key ".pid_ns' AS " key "_pid_ns,\n"                                        \
	" line ->> '$." key ".net_ns' AS " key "_net_ns,\n"                                        \
	" line ->> '$." key ".token' AS " key "_token"

#define LOADER TASK("loader")
#define BY     TASK("by")

#define OF_PROGRAM                                                                                 \
	" line ->> '$.program.seq' AS program_seq,\n"                                              \
	" line ->> '$.program.id' AS program_id,\n"                                                \
	" program_sha256"

#define PLACE                                                                                      \
	" line ->> '$.via' AS via,\n"                                                              \
	" line ->> '$.link.id' AS link_id,\n"                                                      \
	" line ->> '$.link.type' AS link_type,\n"                                                  \
	" line ->> '$.attach_type' AS attach_type,\n"                                              \
	" line ->> '$.target.type' AS target_type,\n"                                              \
	" line ->> '$.target.name' AS target_name,\n"                                              \
	" line ->> '$.target.id' AS target_id,\n"                                                  \
	" line ->> '$.target.index' AS target_index,\n"                                            \
	" line ->> '$.target.count' AS target_count"

#define LOAD                                                                                       \
	PROGRAM ",\n" MAPS ",\n" SIGNATURE ",\n"                                                   \
		" line ->> '$.chain_digest' AS chain_digest,\n"                                    \
		" line ->> '$.parent.seq' AS parent_seq,\n"                                        \
		" line ->> '$.parent.sha256' AS parent_sha256,\n"                                  \
		" line ->> '$.parent.chain_digest' AS parent_chain_digest,\n"                      \
		" line ->> '$.parent.verdict' AS parent_verdict,\n" LOADER

static const char views[] =
	"CREATE TEMP VIEW head AS SELECT\n" HEAD ",\n"
	" line ->> '$.prev' AS prev,\n"
	" kind\n" LINES ";\n"

	"CREATE TEMP VIEW epoch AS SELECT\n" HEAD ",\n"
	" line ->> '$.why' AS why,\n"
	" line ->> '$.log_id' AS log_id,\n"
	" line ->> '$.tpm.pcr' AS tpm_pcr,\n"
	" line ->> '$.tpm.base.sha1' AS tpm_base_sha1,\n"
	" line ->> '$.tpm.base.sha256' AS tpm_base_sha256,\n"
	" line ->> '$.tpm.base.sha384' AS tpm_base_sha384,\n"
	" line ->> '$.tpm.base.sha512' AS tpm_base_sha512,\n"
	" line ->> '$.tpm.reset_count' AS tpm_reset_count,\n"
	" line ->> '$.tpm.restart_count' AS tpm_restart_count,\n"
	" line ->> '$.tpm.clock_ms' AS tpm_clock_ms,\n"
	" line ->> '$.tpm.safe' AS tpm_safe,\n"
	" line ->> '$.tpm.firmware' AS tpm_firmware,\n"
	" line ->> '$.tpm.manufacturer' AS tpm_manufacturer,\n"
	" line ->> '$.tpm.vendor' AS tpm_vendor,\n"
	" line ->> '$.tpm.software' AS tpm_software,\n"
	" line ->> '$.tpm.ak_name' AS tpm_ak_name,\n"
	" line ->> '$.boot_id' AS boot_id,\n"
	" line ->> '$.kernel' AS kernel,\n"
	" line ->> '$.last_seq' AS last_seq\n" OF_RARE "'epoch';\n"

	"CREATE TEMP VIEW resume AS SELECT\n" HEAD ",\n"
	" line ->> '$.tpm.reset_count' AS tpm_reset_count,\n"
	" line ->> '$.tpm.restart_count' AS tpm_restart_count,\n"
	" line ->> '$.tpm.clock_ms' AS tpm_clock_ms,\n"
	" line ->> '$.tpm.safe' AS tpm_safe\n" OF_RARE "'resume';\n"

	"CREATE TEMP VIEW foreign_extend AS SELECT\n" HEAD ",\n"
	" line ->> '$.after_seq' AS after_seq,\n"
	" line ->> '$.expected.sha1' AS expected_sha1,\n"
	" line ->> '$.expected.sha256' AS expected_sha256,\n"
	" line ->> '$.expected.sha384' AS expected_sha384,\n"
	" line ->> '$.expected.sha512' AS expected_sha512,\n"
	" line ->> '$.found.sha1' AS found_sha1,\n"
	" line ->> '$.found.sha256' AS found_sha256,\n"
	" line ->> '$.found.sha384' AS found_sha384,\n"
	" line ->> '$.found.sha512' AS found_sha512,\n"
	" line ->> '$.last_seen' AS last_seen,\n"
	" line ->> '$.reset_count' AS reset_count,\n"
	" line ->> '$.restart_count' AS restart_count\n" OF_RARE "'foreign';\n"

	"CREATE TEMP VIEW start AS SELECT\n" HEAD ",\n"
	" line ->> '$.version' AS version,\n"
	" line ->> '$.exe_sha256' AS exe_sha256,\n"
	" line ->> '$.conf_sha256' AS conf_sha256,\n"
	" line ->> '$.hooks' AS hooks,\n"
	" line ->> '$.missing' AS missing,\n"
	" line ->> '$.next_program_id' AS next_program_id,\n"
	" line ->> '$.last_exit' AS last_exit,\n"
	" line ->> '$.kept_measuring' AS kept_measuring,\n"
	" line ->> '$.attached_ns' AS attached_ns\n" OF_RARE "'start';\n"

	"CREATE TEMP VIEW stop AS SELECT\n" HEAD ",\n"
	" line ->> '$.why' AS why\n" OF_RARE "'stop';\n"

	"CREATE TEMP VIEW baseline AS SELECT\n" HEAD ",\n" PROGRAM ",\n" MAPS ",\n" SIGNATURE ",\n"
	" line ->> '$.uid' AS uid,\n"
	" line ->> '$.earlier.seq' AS earlier_seq,\n"
	" line ->> '$.earlier.sha256' AS earlier_sha256\n" OF_KIND "'baseline';\n"

	"CREATE TEMP VIEW load AS SELECT\n" HEAD ",\n" LOAD "\n" OF_KIND "'load';\n"

	"CREATE TEMP VIEW integrity AS SELECT\n" HEAD ",\n" OF_PROGRAM ",\n"
	" line ->> '$.hook' AS hook,\n"
	" line ->> '$.verdict' AS verdict,\n"
	" line ->> '$.value' AS value,\n"
	" line ->> '$.source' AS source\n" OF_KIND "'integrity';\n"

	"CREATE TEMP VIEW reject AS SELECT\n" HEAD ",\n"
	" line ->> '$.stage' AS stage,\n"
	" line ->> '$.errno' AS errno,\n" LOAD "\n" OF_KIND "'reject';\n"

	"CREATE TEMP VIEW attach AS SELECT\n" HEAD ",\n" OF_PROGRAM ",\n"
	" line ->> '$.how' AS how,\n" PLACE ",\n"
	" line ->> '$.replaced.seq' AS replaced_seq,\n"
	" line ->> '$.replaced.id' AS replaced_id,\n"
	" line ->> '$.replaced.sha256' AS replaced_sha256,\n" BY "\n" OF_KIND "'attach';\n"

	"CREATE TEMP VIEW detach AS SELECT\n" HEAD ",\n" OF_PROGRAM ",\n"
	" line ->> '$.why' AS why,\n"
	" line ->> '$.attach_seq' AS attach_seq,\n" PLACE ",\n" BY "\n" OF_KIND "'detach';\n"

	"CREATE TEMP VIEW unload AS SELECT\n" HEAD ",\n"
	" line ->> '$.program.seq' AS program_seq,\n"
	" line ->> '$.program.id' AS program_id\n" OF_KIND "'unload';\n"

	"CREATE TEMP VIEW lost AS SELECT\n" HEAD ",\n"
	" line ->> '$.what' AS what,\n"
	" line ->> '$.count' AS count,\n"
	" line ->> '$.first' AS first,\n"
	" line ->> '$.last' AS last\n" OF_RARE "'lost';\n"

	"CREATE TEMP VIEW trim AS SELECT\n" HEAD ",\n"
	" line ->> '$.why' AS why,\n"
	" line ->> '$.first' AS first,\n"
	" line ->> '$.last' AS last,\n"
	" line ->> '$.last_sha256' AS last_sha256,\n"
	" line ->> '$.first_time' AS first_time,\n"
	" line ->> '$.last_time' AS last_time,\n"
	" line ->> '$.log_id' AS log_id,\n"
	" line ->> '$.software' AS software\n" OF_RARE "'trim';\n"

	/* One row per distinct program that was captured. */
	"CREATE TEMP VIEW program AS SELECT\n"
	" program_sha256,\n"
	" count(*) AS loads,\n"
	" min(seq) AS first_seq,\n"
	" max(seq) AS last_seq,\n"
	" min(time) AS first_time,\n"
	" max(time) AS last_time,\n"
	" json_group_array(DISTINCT program_name) AS program_names,\n"
	" json_group_array(DISTINCT program_type) AS program_types,\n"
	" json_group_array(DISTINCT signature_verdict) AS signature_verdicts\n"
	" FROM load WHERE program_sha256 IS NOT NULL GROUP BY program_sha256;\n"

	/* One row per map that a program had when it was loaded. */
	"CREATE TEMP VIEW map AS SELECT\n"
	" seq,\n"
	" kind,\n"
	" line ->> '$.program.id' AS program_id,\n"
	" program_sha256,\n"
	" map.key AS map_index,\n"
	" map.value ->> '$.id' AS map_id,\n"
	" map.value ->> '$.name' AS map_name,\n"
	" map.value ->> '$.type' AS map_type,\n"
	" map.value ->> '$.flags' AS map_flags,\n"
	" map.value ->> '$.key_size' AS map_key_size,\n"
	" map.value ->> '$.value_size' AS map_value_size,\n"
	" map.value ->> '$.max_entries' AS map_max_entries,\n"
	" map.value ->> '$.frozen' AS map_frozen,\n"
	" map.value ->> '$.exclusive' AS map_exclusive,\n"
	" map.value ->> '$.sha256_at_load' AS map_sha256_at_load\n"
	" FROM " SOURCE ",\n"
	"  json_each(line, '$.maps') AS map;\n"

	/* One row per executable that had programs loaded; an unknown path or digest is one of its
	 * own. */
	"CREATE TEMP VIEW loader AS SELECT\n"
	" loader_exe,\n"
	" loader_exe_sha256,\n"
	" count(*) AS loads,\n"
	" count(DISTINCT program_sha256) AS programs,\n"
	" min(seq) AS first_seq,\n"
	" max(seq) AS last_seq,\n"
	" min(time) AS first_time,\n"
	" max(time) AS last_time,\n"
	" json_group_array(DISTINCT loader_comm) AS loader_comms,\n"
	" json_group_array(DISTINCT loader_uid) AS loader_uids\n"
	" FROM load GROUP BY loader_exe, loader_exe_sha256;\n"

	/* One row per signer that a signature claims. That is no identity: signature_pinned is. */
	"CREATE TEMP VIEW signature_claim AS SELECT\n"
	" seq,\n"
	" kind,\n"
	" program_sha256,\n"
	" line ->> '$.signature.verdict' AS signature_verdict,\n"
	" line ->> '$.signature.keyring' AS signature_keyring,\n"
	" line ->> '$.signature.pinned' AS signature_pinned,\n"
	" claim.key AS claim_index,\n"
	" claim.value AS claimed_key_id\n"
	" FROM " SOURCE ",\n"
	"  json_each(line, '$.signature.claimed_key_ids') AS claim;\n"

	/* One row per attachment of this boot that has not ended. */
	"CREATE TEMP VIEW attached_now AS WITH\n"
	" boot AS (SELECT seq, line ->> '$.boot_id' AS id" OF_RARE "'epoch'),\n"
	/* An epoch without a boot_id is taken for a boot of its own. */
	" other AS (SELECT coalesce(max(seq), 0) AS seq FROM boot WHERE id IS NULL OR id <>\n"
	"  (SELECT id FROM boot ORDER BY seq DESC LIMIT 1)),\n"
	" since AS (SELECT coalesce((SELECT min(seq) FROM boot WHERE seq > other.seq), seq) AS seq\n"
	"  FROM other),\n"
	" unloaded AS (SELECT line ->> '$.program.id' AS program_id, max(seq) AS seq" OF_RARE
	"  'unload' AND seq >= (SELECT seq FROM since) GROUP BY 1),\n"
	" ended AS (SELECT line ->> '$.attach_seq'" OF_RARE
	"  'detach' AND seq >= (SELECT seq FROM since)),\n"
	" place AS MATERIALIZED (SELECT\n" HEAD ",\n" OF_PROGRAM ",\n"
	"  (SELECT name FROM record WHERE seq = told.line ->> '$.program.seq') AS program_name,\n"
	"  (SELECT CAST(line AS TEXT) ->> '$.program.type' FROM record WHERE seq =\n"
	"   told.line ->> '$.program.seq') AS program_type,\n"
	" line ->> '$.how' AS how,\n" PLACE ",\n" BY "\n"
	"  FROM " SOURCE " AS told WHERE kind <> 'load' AND kind = 'attach'\n"
	"   AND seq >= (SELECT seq FROM since)),\n"
	/* What a later record says of the same link, or found again. */
	" again AS (SELECT a.seq FROM place AS a JOIN place AS b ON b.link_id = a.link_id\n"
	"  AND b.via = a.via AND b.how <> 'new' AND b.seq > a.seq\n"
	"  UNION SELECT a.seq FROM place AS a JOIN place AS b ON b.program_id = a.program_id\n"
	"  AND b.how = 'baseline' AND b.seq > a.seq AND a.link_id IS NULL AND b.link_id IS NULL\n"
	"  AND b.via = a.via AND b.attach_type IS a.attach_type AND b.target_type = a.target_type\n"
	"  AND b.target_id IS a.target_id AND b.target_index IS a.target_index\n"
	"  AND (b.target_id IS NOT NULL OR b.target_name IS a.target_name)),\n"
	" gone AS (SELECT place.seq FROM unloaded CROSS JOIN place USING (program_id)\n"
	"  WHERE place.seq < unloaded.seq)\n"
	" SELECT * FROM place WHERE seq NOT IN gone AND seq NOT IN again AND seq NOT IN ended;\n";

const char *record_views_sql(void)
{
	return views;
}
