-- The kernel itself verified not only a program's instructions but what is in its maps (Linux 7.3 and
-- later): `bound`, where the instructions compare a digest when they run, is not enough here.
--
-- Whose signature it was is not asked: use signed-only or known-signers as well.

WITH good AS (
  SELECT seq FROM known_program
   WHERE signature_verdict = 'verified' AND signature_metadata = 'kernel'
)
SELECT seq, program_name AS value,
       'signature ' || signature_verdict || ', metadata ' || signature_metadata AS why
  FROM load
 WHERE NOT program_self AND seq NOT IN good
   AND NOT (program_kernel_origin AND parent_seq IN good)
UNION ALL
SELECT seq, program_name, 'was loaded before; metadata ' || signature_metadata
  FROM baseline
 WHERE NOT program_self AND seq NOT IN good AND earlier_seq NOT IN good;
