# SPDX-License-Identifier: BSD-2-Clause
"""A machine that is attested over TLS, without privilege of ours: the daemon of bench.py with its attestation server,
and verifiers with a memory each."""
import json
import os
import shutil
import socket
import time

from bench import Bench, must, run
from challenger import Challenger, Refused

RECOVER_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(directory, name):
    """(file, key) of a certificate that signed itself."""
    file, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
         f"/CN={name}", "-keyout", key, "-out", file)
    return file, key


class Attester(Bench):
    """conf: more of the section [attest]."""

    def __init__(self, conf="", **more):
        self.place = ("127.0.0.1", free_port())
        super().__init__(attest=f"listen = 127.0.0.1:{self.place[1]}\nsocket = none\nuser = nobody\n"
                         f"sandbox = preferred\n{conf}", **more)
        self.dir.chmod(0o711)   # the server is somebody else
        with open(self.conf, "a", encoding="ascii") as more_conf:
            more_conf.write(f"[attest]\ndir = {self.dir}/attest\n[log]\ngroup = nogroup\n")

    def begin(self, text="bpfmeasured: "):
        """Start, and wait until it answers."""
        assert self.start(text), self.daemon.said()
        self.wait()
        return self

    def wait(self):
        deadline = time.monotonic() + RECOVER_S
        while time.monotonic() < deadline:
            try:
                return Challenger(self.place).attest()
            except (OSError, Refused):
                time.sleep(0.05)
        raise AssertionError(f"the attestation server does not answer: {self.daemon.said()}")

    def load(self, count=5):
        self.kernel("load", "--count", count)
        return self.settle()


class Verifier:
    """The command line with a memory of its own."""

    def __init__(self, bench, name="verifier"):
        self.bench, self.home = bench, bench.dir / name
        self.home.mkdir()
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.home)}

    def __call__(self, verb, *words):
        return run(self.bench.build / "bpfmeasure", verb, *words, env=self.environment)

    def host(self, place=None):
        address, port = place or self.bench.place
        return f"{address}:{port}"

    def enroll(self, *words, place=None):
        return self("enroll", self.host(place), *words)

    def attest(self, *words, place=None):
        """(exit code, verdict, reason), and everything that was said."""
        done = self("attest", self.host(place), "--json", *words)
        try:
            said = json.loads(done.stdout)
        except ValueError:
            said = {"err": done.stderr}
        return (done.returncode, said.get("verdict"), said.get("reason")), said

    def roots(self, kind, authority):
        """A folder of roots with that authority in it."""
        folder = self.home / f"roots-{kind}-{authority.name}"
        (folder / kind).mkdir(parents=True)
        for certificate in authority.glob("*cert.pem"):
            shutil.copy(certificate, folder / kind)
        return folder
