-- Every program was signed, and by somebody whose name means something: the kernel found the key in a
-- keyring of its own, or the agent verified the same bytes with a key that its configuration names
-- (`pinned`). A key from a keyring of the loader's choice (`user`) is no more than "some key".
--
-- The programs that a signed light skeleton brings have no signature of their own: they pass where a
-- program that was signed so loaded them from within the kernel, and the signature reaches to the map that
-- it unpacks them from (`metadata`). Without that, signed instructions load whatever they are given.
--
-- A program that was loaded before the agent started passes by what the kernel remembers of its
-- signature, or by its record of an epoch before (`earlier`). Otherwise it is a violation.
--
-- The agent's own programs are passed over by its own word (`self`), as everything in a record is its
-- word. To hold them to something use known-loaders, which makes no such exception.

WITH signed AS (
  SELECT seq, signature_metadata FROM known_program
   WHERE signature_verdict = 'verified'
     AND (signature_pinned <> 'unknown' OR signature_keyring IN ('builtin', 'secondary', 'platform'))
),
good AS (
  SELECT seq FROM signed
  UNION
  SELECT seq FROM known_program
   WHERE program_kernel_origin
     AND parent_seq IN (SELECT seq FROM signed WHERE signature_metadata IN ('kernel', 'bound'))
)
SELECT seq, program_name AS value,
       'signature ' || signature_verdict
         || iif(signature_verdict = 'verified', ', keyring ' || signature_keyring || ', not pinned', '')
         || ', loaded by ' || loader_exe AS why
  FROM load
 WHERE NOT program_self AND seq NOT IN good
UNION ALL
SELECT seq, program_name,
       'was loaded before; signature ' || signature_verdict || ', keyring ' || signature_keyring
  FROM baseline
 WHERE NOT program_self AND seq NOT IN good AND earlier_seq NOT IN good;
