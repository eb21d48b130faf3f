-- Whatever is signed is signed by somebody who was expected (reference values of kind signer): a key that
-- the agent has pinned, or a keyring of the kernel's own. Key identifiers in a signature are claims, and
-- not looked at.
--
-- What is not signed at all is passed over: use signed-only as well.

SELECT seq, signature_pinned AS value,
       'no reference value for the signer of ' || program_name || ', keyring ' || signature_keyring
         AS why
  FROM known_program
 WHERE NOT remembered
   AND signature_verdict <> 'unsigned'
   AND NOT (kind = 'baseline' AND signature_verdict = 'unknown')
   AND NOT (signature_verdict = 'verified'
            AND signature_pinned <> 'unknown'
            AND signature_pinned IN (SELECT pinned FROM reference_signer))
   AND NOT (signature_verdict = 'verified'
            AND signature_keyring IN ('builtin', 'secondary', 'platform')
            AND signature_keyring IN (SELECT keyring FROM reference_signer));
