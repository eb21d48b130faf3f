-- Somebody else extended the PCR, or the log broke: what was measured until then cannot be told from
-- what was not.

SELECT seq, 'the PCR was extended by somebody else after record ' || after_seq AS value,
       'foreign extend' AS why
  FROM foreign_extend;

SELECT seq, 'broken_log' AS value,
       'the log before this record does not lead to the PCR' AS why
  FROM epoch
 WHERE why IN ('broken_log', 'unknown')
   AND seq + 1 NOT IN (SELECT seq FROM foreign_extend);
