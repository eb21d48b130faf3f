-- SPDX-License-Identifier: BSD-2-Clause
-- What a report is made of, out of the views: tables of the moment, each record's line read twice at the
-- most. asked(since, until) is there. Gone with the query.

CREATE TEMP TABLE told AS
    SELECT seq, time, unixepoch(substr(time, 1, 19)) AS s, kind, extend
    FROM head, asked WHERE time BETWEEN since AND until;
CREATE INDEX temp.told_kind ON told(kind, seq);

-- Columns that are searched are cast: without an affinity of its own a column’s index finds no integers.

-- Where a boot begins: whatever was loaded before has ended.
CREATE TEMP TABLE boot AS
    SELECT seq, s FROM (
        SELECT epoch.seq, s, why, boot_id, lag(boot_id) OVER by_seq AS before, lag(epoch.seq) OVER by_seq AS last
        FROM told CROSS JOIN epoch ON epoch.seq = told.seq WHERE told.kind = 'epoch' WINDOW by_seq AS (ORDER BY epoch.seq))
    WHERE iif(last IS NULL, why IN ('first_use', 'boot', 'kexec'), boot_id IS NULL OR boot_id IS NOT before);
CREATE INDEX temp.boot_seq ON boot(seq);

-- A load, or a program that was found loaded. who is the same for one executable, unit and user.
CREATE TEMP TABLE instance AS
    SELECT told.seq, told.time, s, 'load' AS kind, program_name AS name, program_type AS type,
        program_insn_cnt AS insn_cnt, program_sha256 AS sha256, program_kernel_digest AS kernel_digest,
        program_tag AS tag, program_self AS self, signature_verdict AS verdict, signature_metadata AS metadata,
        signature_keyring AS keyring, signature_pinned AS pinned, signature_pinned_subject AS pinned_subject,
        signature_claimed_key_ids AS claimed, CAST(parent_seq AS INTEGER) AS parent_seq, CAST(NULL AS INTEGER) AS earlier_seq, loader_exe AS exe,
        loader_exe_sha256 AS exe_sha256, loader_comm AS comm, loader_unit AS unit, loader_uid AS uid,
        dense_rank() OVER (ORDER BY loader_exe, loader_exe_sha256, loader_unit, loader_uid) AS who
    FROM told CROSS JOIN load ON load.seq = told.seq WHERE told.kind = 'load'
    UNION ALL
    SELECT told.seq, told.time, s, 'baseline', program_name, program_type, program_insn_cnt, program_sha256,
        program_kernel_digest, program_tag, program_self, signature_verdict, signature_metadata, signature_keyring,
        signature_pinned, signature_pinned_subject, signature_claimed_key_ids, NULL, earlier_seq, NULL, NULL, NULL, NULL,
        uid, NULL
    FROM told CROSS JOIN baseline ON baseline.seq = told.seq WHERE told.kind = 'baseline';
CREATE INDEX temp.instance_seq ON instance(seq);
CREATE INDEX temp.instance_earlier ON instance(earlier_seq, s);

-- Which program an instance is one of: by its sha256, or that of the earlier record of the same load; what was
-- never captured by what else is known of it.
CREATE TEMP TABLE member AS
    WITH RECURSIVE chain(seq, root) AS (
        SELECT seq, seq FROM instance WHERE earlier_seq IS NULL OR earlier_seq NOT IN (SELECT seq FROM instance)
        UNION ALL
        SELECT instance.seq, root FROM chain JOIN instance ON earlier_seq = chain.seq)
    SELECT chain.seq, dense_rank() OVER (ORDER BY coalesce(sha256, kernel_digest, tag, ''),
        iif(coalesce(sha256, kernel_digest, tag) IS NULL, name, ''), iif(coalesce(sha256, kernel_digest, tag) IS NULL, type, '')
        ) AS program
    FROM chain JOIN instance ON instance.seq = root;
CREATE INDEX temp.member_seq ON member(seq, program);

CREATE TEMP TABLE unloaded AS
    SELECT told.seq, told.time, s, CAST(program_seq AS INTEGER) AS program_seq
    FROM told CROSS JOIN unload ON unload.seq = told.seq WHERE told.kind = 'unload';
CREATE INDEX temp.unloaded_program ON unloaded(program_seq, s);

CREATE TEMP TABLE ended AS
    SELECT told.seq, told.time, s, CAST(attach_seq AS INTEGER) AS attach_seq, why
    FROM told CROSS JOIN detach ON detach.seq = told.seq WHERE told.kind = 'detach';
CREATE INDEX temp.ended_attach ON ended(attach_seq, s);

CREATE TEMP TABLE now AS SELECT * FROM attached_now;

CREATE TEMP TABLE placed AS
    SELECT told.seq, told.time, s, CAST(program_seq AS INTEGER) AS program_seq, how, via, link_id, link_type, attach_type, target_type, target_name,
        target_id, target_index, target_count, by_exe, by_comm, by_uid
    FROM told CROSS JOIN attach ON attach.seq = told.seq WHERE told.kind = 'attach';
CREATE INDEX temp.placed_program ON placed(program_seq);

-- Until when each instance was loaded, as far as records tell; NULL: it still is.
CREATE TEMP TABLE span AS
    SELECT seq, s, nullif(min(
        coalesce((SELECT min(s) FROM unloaded WHERE program_seq = instance.seq), 9e18),
        coalesce((SELECT min(again.s) FROM instance AS again WHERE again.earlier_seq = instance.seq), 9e18),
        coalesce((SELECT s FROM boot WHERE boot.seq > instance.seq ORDER BY boot.seq LIMIT 1), 9e18)), 9e18) AS until_s
    FROM instance;
CREATE INDEX temp.span_seq ON span(seq);

-- A distinct program. Those that are attached come first, the agent's own last.
CREATE TEMP TABLE life AS
    SELECT row_number() OVER (ORDER BY self, attached > 0 DESC, loads DESC, first_seq) AS rank, * FROM (
        SELECT program, count(*) FILTER (WHERE kind = 'load') AS loads, count(*) FILTER (WHERE kind = 'baseline') AS found,
            min(instance.seq) AS first_seq, max(instance.seq) AS last_seq, min(time) AS first_time, max(time) AS last_time,
            sum(kind = 'load' AND verdict = 'verified') AS verified, sum(kind = 'load' AND verdict = 'unsigned') AS unsigned,
            sum(kind = 'load' AND verdict = 'verified' AND pinned IS NULL
                AND coalesce(keyring, '') NOT IN ('builtin', 'secondary', 'platform')) AS own,
            sum(kind = 'load' AND coalesce(verdict, '') NOT IN ('verified', 'unsigned')) AS unknown, count(DISTINCT name) AS names,
            count(*) FILTER (WHERE until_s IS NULL) AS alive, min(self) AS self, max(sha256) AS sha256,
            (SELECT count(*) FROM now JOIN member AS its ON its.seq = now.program_seq WHERE its.program = member.program)
                AS attached
        FROM instance JOIN member USING (seq) JOIN span USING (seq) GROUP BY program);
CREATE INDEX temp.life_program ON life(program, rank);
CREATE INDEX temp.life_rank ON life(rank);
