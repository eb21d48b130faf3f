-- Every program is one that was expected (reference values of kind program): by the digest of its
-- instructions, or by its place in the trusted hash chain. A program that another one loaded from within
-- the kernel passes where that one is expected by its chain_digest, which covers the maps that it is
-- unpacked from.
--
-- A reference value that is "unknown" matches nothing, and so does a digest that is.

WITH good AS (
  SELECT seq FROM known_program
   WHERE program_sha256 <> 'unknown'
     AND program_sha256 IN (SELECT sha256 FROM reference_program)
  UNION
  SELECT seq FROM known_program
   WHERE chain_digest <> 'unknown'
     AND chain_digest IN (SELECT chain_digest FROM reference_program)
  UNION
  SELECT seq FROM known_program
   WHERE program_kernel_origin AND parent_chain_digest <> 'unknown'
     AND parent_chain_digest IN (SELECT chain_digest FROM reference_program)
)
SELECT seq, program_sha256 AS value,
       'no reference value for the program ' || program_name AS why
  FROM load
 WHERE NOT program_self AND seq NOT IN good
UNION ALL
SELECT seq, program_sha256, 'was loaded before; no reference value for the program ' || program_name
  FROM baseline
 WHERE NOT program_self AND seq NOT IN good AND earlier_seq NOT IN good;
