-- SPDX-License-Identifier: BSD-2-Clause
-- The statements of a report, in the order of sections[] in cli/report_page.c, each of which prints its rows as
-- they come. A list has its whole length in every row, as total.

-- range
SELECT count(*) AS records, min(seq) AS first, max(seq) AS last, min(time) AS first_time, max(time) AS last_time,
    min(s) AS first_s, max(s) AS last_s,
    (SELECT min(seq) FROM record) AS log_first, (SELECT max(seq) FROM record) AS log_last,
    (SELECT max(seq) - min(seq) + 1 - count(*) FROM record) AS missing,
    (SELECT max(seq) FROM quote) AS kept
FROM told;

-- machine
SELECT * FROM (SELECT * FROM epoch ORDER BY seq DESC LIMIT 1);

-- trimmed
SELECT * FROM trim WHERE NOT EXISTS (SELECT 1 FROM epoch) ORDER BY seq DESC LIMIT 1;

-- daemon
SELECT version, time, (SELECT group_concat(value, ', ') FROM json_each(missing)) AS missing
FROM start ORDER BY seq DESC LIMIT 1;

-- counts
SELECT sum(kind = 'load') AS loads, sum(kind = 'load' AND verdict = 'verified') AS verified,
    sum(kind = 'load' AND verdict = 'verified'
        AND (pinned IS NOT NULL OR keyring IN ('builtin', 'secondary', 'platform'))) AS identified,
    sum(kind = 'load' AND verdict = 'unsigned') AS unsigned,
    sum(kind = 'load' AND coalesce(verdict, '') NOT IN ('verified', 'unsigned')) AS unknown,
    sum(kind = 'baseline') AS found, count(DISTINCT who) AS loaders,
    (SELECT count(*) FROM life) AS programs, (SELECT count(*) FROM now) AS attached,
    (SELECT count(*) FROM told WHERE kind = 'reject') AS rejected,
    (SELECT count(*) FROM told WHERE kind = 'epoch') AS epochs,
    (SELECT count(*) FROM told WHERE kind = 'foreign') AS foreigns,
    (SELECT count(*) FROM told CROSS JOIN epoch ON epoch.seq = told.seq WHERE kind = 'epoch' AND why = 'broken_log') AS broken,
    (SELECT count(*) FROM told WHERE kind = 'lost') AS gaps,
    (SELECT sum(count) FROM told CROSS JOIN lost ON lost.seq = told.seq WHERE kind = 'lost') AS lost
FROM instance;

-- timeline
SELECT s, CASE verdict WHEN 'verified' THEN 0 WHEN 'unsigned' THEN 1 ELSE 2 END AS series, count(*) AS count
FROM instance WHERE kind = 'load' GROUP BY 1, 2
UNION ALL
SELECT s, 3, count(*) FROM told WHERE kind = 'reject' GROUP BY 1;

-- marks
SELECT told.s, kind, coalesce(epoch.why, '') AS why
FROM told LEFT JOIN epoch ON kind = 'epoch' AND epoch.seq = told.seq
WHERE kind IN ('epoch', 'resume', 'foreign', 'start', 'stop', 'lost', 'trim') ORDER BY told.seq;

-- attached
SELECT now.*, life.rank, coalesce(baseline.program_self, 0) AS self, count(*) OVER () AS total
FROM now LEFT JOIN member ON member.seq = program_seq LEFT JOIN life USING (program)
    LEFT JOIN baseline ON baseline.seq = now.program_seq
ORDER BY self, target_type, target_name, now.seq LIMIT 300;

-- loaders
WITH maker AS (
    SELECT row_number() OVER (ORDER BY count(*) DESC, min(seq)) AS place, who, count(*) AS loads, min(time) AS first_time,
        max(time) AS last_time, max(seq) AS last_seq, count(DISTINCT program) AS programs,
        sum(verdict = 'verified') AS verified, sum(verdict = 'unsigned') AS unsigned,
        sum(verdict = 'verified' AND pinned IS NULL
            AND coalesce(keyring, '') NOT IN ('builtin', 'secondary', 'platform')) AS own,
        sum(coalesce(verdict, '') NOT IN ('verified', 'unsigned')) AS unknown, count(*) OVER () AS total
    FROM instance JOIN member USING (seq) WHERE kind = 'load' GROUP BY who),
made AS (
    SELECT place, life.rank, count(*) AS loads, life.last_seq,
        row_number() OVER (PARTITION BY place ORDER BY count(*) DESC, life.rank) AS nth
    FROM maker JOIN instance USING (who) JOIN member ON member.seq = instance.seq JOIN life USING (program)
    WHERE kind = 'load' AND place <= 60 GROUP BY place, life.rank)
SELECT place, 0 AS nth, exe, exe_sha256, comm, unit, uid, NULL AS name, NULL AS rank, loads, verified, unsigned, unknown, own,
    programs, first_time, maker.last_time, total
FROM maker JOIN instance ON instance.seq = maker.last_seq WHERE place <= 60
UNION ALL
SELECT place, nth, NULL, NULL, NULL, NULL, NULL, name, rank, loads, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM made JOIN instance ON instance.seq = made.last_seq WHERE nth <= 8
ORDER BY place, nth;

-- signers
SELECT keyring, pinned, max(pinned_subject) AS subject, count(*) AS loads, count(DISTINCT program) AS programs,
    min(time) AS first_time, max(time) AS last_time, count(*) OVER () AS total
FROM instance JOIN member USING (seq) WHERE kind = 'load' AND verdict = 'verified'
GROUP BY pinned, keyring ORDER BY pinned IS NULL, keyring = 'user', loads DESC LIMIT 100;

-- claims
SELECT claim.value AS claim, count(*) AS loads, sum(verdict = 'verified') AS verified, sum(pinned IS NOT NULL) AS pinned,
    min(time) AS first_time, max(time) AS last_time, count(*) OVER () AS total
FROM instance, json_each(claimed) AS claim WHERE kind = 'load' AND claimed <> '[]'
GROUP BY claim.value ORDER BY loads DESC, claim LIMIT 50;

-- events
WITH notable AS (
    SELECT seq, time, kind, row_number() OVER (ORDER BY seq DESC) AS newest, count(*) OVER () AS total
    FROM told WHERE kind IN ('epoch', 'resume', 'foreign', 'start', 'stop', 'lost', 'trim'))
SELECT notable.seq, notable.time, notable.kind, total, coalesce(epoch.why, stop.why, trim.why) AS why, epoch.kernel,
    epoch.tpm_reset_count, epoch.tpm_restart_count, epoch.last_seq, resume.tpm_restart_count AS resumed,
    foreign_extend.after_seq, foreign_extend.last_seen, start.version, start.last_exit, start.kept_measuring,
    (SELECT group_concat(value, ', ') FROM json_each(start.missing)) AS missing,
    lost.what, lost.count, coalesce(lost.first, trim.first) AS first, coalesce(lost.last, trim.last) AS last,
    trim.first_time, trim.last_time
FROM notable
    LEFT JOIN epoch ON notable.kind = 'epoch' AND epoch.seq = notable.seq
    LEFT JOIN resume ON notable.kind = 'resume' AND resume.seq = notable.seq
    LEFT JOIN foreign_extend ON notable.kind = 'foreign' AND foreign_extend.seq = notable.seq
    LEFT JOIN start ON notable.kind = 'start' AND start.seq = notable.seq
    LEFT JOIN stop ON notable.kind = 'stop' AND stop.seq = notable.seq
    LEFT JOIN lost ON notable.kind = 'lost' AND lost.seq = notable.seq
    LEFT JOIN trim ON notable.kind = 'trim' AND trim.seq = notable.seq
WHERE newest <= 200 ORDER BY notable.seq;

-- rejects
SELECT stage, errno, program_name, program_type, program_sha256, signature_verdict, loader_exe, max(loader_comm) AS loader_comm, loader_unit,
    loader_uid, count(*) AS times, min(told.time) AS first_time, max(told.time) AS last_time, max(told.seq) AS last_seq,
    count(*) OVER () AS total
FROM told CROSS JOIN reject ON reject.seq = told.seq WHERE told.kind = 'reject'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 9, 10 ORDER BY last_seq DESC LIMIT 100;

-- programs
SELECT life.*, name, type, count(*) OVER () AS total
FROM life JOIN instance ON instance.seq = life.last_seq ORDER BY rank LIMIT 300;

-- lives
WITH one AS (SELECT rank, program, last_seq FROM life WHERE rank <= 120)
SELECT rank, 0 AS part, life.first_seq AS nth, name, type, life.sha256 AS a, coalesce(kernel_digest, tag) AS b,
    insn_cnt AS c, loads AS d, found AS e, alive AS f, life.first_time AS g, life.last_time AS h, life.last_seq AS i,
    life.verified AS j, life.unsigned AS k, life.unknown AS l, names AS m, life.self AS n,
    (SELECT count(*) FROM unloaded JOIN member ON member.seq = program_seq WHERE member.program = life.program) AS o
FROM life JOIN instance ON instance.seq = life.last_seq WHERE rank <= 120
UNION ALL
SELECT rank, 1, span.s, NULL, NULL, NULL, NULL, until_s, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM one JOIN member USING (program) JOIN span USING (seq)
UNION ALL
SELECT rank, 2, placed.s, NULL, NULL, NULL, NULL,
    nullif(min(coalesce((SELECT min(s) FROM ended WHERE attach_seq = placed.seq), 9e18), coalesce(until_s, 9e18)), 9e18),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM one JOIN member USING (program) JOIN span USING (seq) JOIN placed ON placed.program_seq = member.seq
UNION ALL
SELECT rank, 3, nth, NULL, NULL, exe, unit, uid, loads, NULL, NULL, comm, NULL, total, NULL, NULL, NULL, NULL, NULL, NULL
FROM (
    SELECT rank, exe, unit, uid, comm, count(*) AS loads, count(*) OVER (PARTITION BY rank) AS total,
        row_number() OVER (PARTITION BY rank ORDER BY count(*) DESC, who) AS nth
    FROM one JOIN member USING (program) JOIN instance USING (seq) WHERE kind = 'load' GROUP BY rank, who)
WHERE nth <= 5
UNION ALL
SELECT rank, 4, nth, target_name, target_type, via, NULL, target_id, target_index, times, is_now, first_time, last_time, total,
    NULL, NULL, NULL, NULL, NULL, NULL
FROM (
    SELECT rank, target_name, target_type, via, target_id, target_index, count(*) AS times, min(time) AS first_time,
        max(time) AS last_time, sum(placed.seq IN (SELECT seq FROM now)) AS is_now, count(*) OVER (PARTITION BY rank) AS total,
        row_number() OVER (PARTITION BY rank ORDER BY sum(placed.seq IN (SELECT seq FROM now)) DESC, max(placed.seq) DESC) AS nth
    FROM one JOIN member USING (program) JOIN placed ON placed.program_seq = member.seq
    GROUP BY rank, target_type, target_name, target_id, target_index, via)
WHERE nth <= 8
UNION ALL
SELECT rank, 5, map_index, map_name, map_type, map_sha256_at_load, NULL, map_key_size, map_value_size, map_max_entries,
    map_frozen, NULL, NULL, NULL, map_exclusive, map_id, NULL, NULL, NULL, NULL
FROM one CROSS JOIN map ON map.seq = one.last_seq WHERE map_index < 16
UNION ALL
SELECT one.rank, 6, other.rank, shown.name, shown.type, NULL, NULL, count(*), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM one JOIN member USING (program) JOIN instance USING (seq) JOIN member AS its ON its.seq = instance.parent_seq
    JOIN life AS other ON other.program = its.program JOIN instance AS shown ON shown.seq = other.last_seq
GROUP BY one.rank, other.rank
UNION ALL
SELECT one.rank, 7, other.rank, shown.name, shown.type, NULL, NULL, count(*), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM one JOIN member USING (program) JOIN instance AS child ON child.parent_seq = member.seq
    JOIN member AS its ON its.seq = child.seq JOIN life AS other ON other.program = its.program
    JOIN instance AS shown ON shown.seq = other.last_seq
GROUP BY one.rank, other.rank
ORDER BY 1, 2, 3;
