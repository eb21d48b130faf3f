# SPDX-License-Identifier: BSD-2-Clause
"""A software TPM fresh from the factory, with EK certificates of a certificate authority of our own."""
import os
import subprocess
import tempfile
from pathlib import Path


def make_tpm(authority, directory):
    """Make a TPM's state in directory, which is not there yet. The authority is a folder, made at need: its root is
    swtpm-localca-rootca-cert.pem and what signs for it issuercert.pem."""
    authority.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as work:
        work = Path(work)
        (work / "localca.options").write_text(
            "--platform-manufacturer bpfmeasure\n--platform-version 1\n--platform-model vm\n")
        (work / "localca.conf").write_text(
            f"statedir = {authority}\nsigningkey = {authority}/signkey.pem\n"
            f"issuercert = {authority}/issuercert.pem\ncertserial = {authority}/certserial\n")
        (work / "setup.conf").write_text(
            f"create_certs_tool = /usr/bin/swtpm_localca\n"
            f"create_certs_tool_config = {work}/localca.conf\n"
            f"create_certs_tool_options = {work}/localca.options\n"
            f"active_pcr_banks = sha256,sha384\n")
        (work / "tpm").mkdir()
        setup = subprocess.run(
            ["swtpm_setup", "--tpm2", "--tpmstate", f"dir://{work}/tpm", "--config", work / "setup.conf",
             "--create-ek-cert", "--create-platform-cert"], capture_output=True, text=True, check=False)
        if setup.returncode:
            raise OSError(f"swtpm_setup failed: {(setup.stdout + setup.stderr).strip()[-300:]}")
        os.rename(work / "tpm", directory)
