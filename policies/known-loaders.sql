-- Whoever asked for a load was expected (reference values of kind loader), by the sha256 of the
-- executable as the kernel computed it; a path is a claim. The agent loads programs too, and has to be
-- among them. Of an interpreter this is all: that it was python3 says nothing of the script.
--
-- A program that was loaded before the agent started has no loader that is known. That it is there is
-- signed-only's or known-programs' to judge.

SELECT seq, loader_exe_sha256 AS value,
       'no reference value for the loader ' || loader_exe AS why
  FROM load
 WHERE loader_exe_sha256 = 'unknown'
    OR loader_exe_sha256 NOT IN (SELECT exe_sha256 FROM reference_loader);
