-- Nothing is missing: what was not recorded, was not shown, or was not looked for.

-- Loads, events, program ids or attachments that were lost, and say so.
SELECT seq, count || ' ' || what AS value, 'lost' AS why
  FROM lost;

-- Records before the first one that was shown, beyond those that were proven before. It is this boot's
-- evidence that lacks them: what it shows of an earlier one makes it no matter of the past.
SELECT max(first, (SELECT coalesce(max(seq), 0) FROM epoch)) AS seq,
       ((SELECT proven_seq FROM machine) + 1) || '-' || (first - 1) AS value,
       'records that were not shown' AS why
  FROM (SELECT min(seq) AS first FROM head)
 WHERE first > (SELECT proven_seq FROM machine) + 1;

-- Hooks that this kernel lacks, or that were silent.
SELECT seq, missing AS value, 'hooks that are missing' AS why
  FROM start
 WHERE missing <> '[]';

-- Starts before which nobody measured, but the first one of a boot: what had been loaded by then is in the
-- epoch's baseline.
SELECT seq, 'last exit ' || last_exit AS value, 'nothing was measured before this start' AS why
  FROM start
 WHERE NOT kept_measuring
   AND last_exit <> 'none'
   AND NOT EXISTS (SELECT 1 FROM epoch
                    WHERE epoch.seq < start.seq
                      AND epoch.why IN ('first_use', 'boot', 'kexec')
                      AND NOT EXISTS (SELECT 1 FROM start AS earlier
                                       WHERE earlier.seq > epoch.seq AND earlier.seq < start.seq));
