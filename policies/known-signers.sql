-- Whatever is signed is signed by somebody who was expected (reference values of kind signer): a key that
-- the agent has pinned, or a keyring of the kernel's own. Key identifiers in a signature are claims, and
-- not looked at.
--
-- What is not signed at all is passed over: use signed-only as well.

WITH good AS (
  SELECT seq FROM known_program
   WHERE signature_verdict = 'verified'
     AND (signature_pinned <> 'unknown'
            AND signature_pinned IN (SELECT pinned FROM reference_signer)
          OR signature_keyring IN ('builtin', 'secondary', 'platform')
            AND signature_keyring IN (SELECT keyring FROM reference_signer))
)
SELECT seq, signature_pinned AS value,
       'no reference value for the signer of ' || program_name || ', keyring ' || signature_keyring
         AS why
  FROM load
 WHERE signature_verdict <> 'unsigned' AND seq NOT IN good
UNION ALL
SELECT seq, signature_pinned,
       'was loaded before; no reference value for the signer of ' || program_name || ', keyring '
         || signature_keyring
  FROM baseline
 WHERE signature_verdict = 'verified' AND seq NOT IN good AND earlier_seq NOT IN good;
