# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end tests share on the host: how a result is said, commands, machines."""
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("O", ROOT / "build")).resolve()
KERNELS = ("7.3", "7.2", "6.18")
HOOK_KERNELS = ("hook-verdict", "hook-notice")     # 7.3 with a hook: `make hook-kernel`


class Results:
    """Counts what passed, and says it: one line each."""

    def __init__(self, prefix=""):
        self.prefix = prefix
        self.passed = self.failed = self.skipped = 0

    def ok(self, name):
        print(f"ok {self.prefix}{name}", flush=True)
        self.passed += 1

    def fail(self, name, why):
        why = str(why)
        print(f"FAIL {self.prefix}{name}: {why[:600]}{'...' * (len(why) > 600)}", flush=True)
        self.failed += 1

    def skip(self, name, why):
        print(f"skip {self.prefix}{name}: {why}", flush=True)
        self.skipped += 1

    def true(self, name, condition, why="it is not so"):
        if condition:
            self.ok(name)
        else:
            self.fail(name, why)

    def same(self, name, expected, actual):
        self.true(name, expected == actual, f"expected {expected!r}, got {actual!r}")

    def each(self, name, problems):
        """One result for many: the problems found, none of which there should be."""
        problems = list(problems)
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        self.true(name, not problems, "; ".join(map(str, problems[:3])) + more)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0


def run(*command, **options):
    """Run a command; its output is text and its exit code the caller's to look at."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


def must(*command, data=None):
    """Run what cannot fail; returns the bytes of its stdout."""
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
    return done.stdout


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def openssl_sha256(path):
    """The digest as openssl computes it, for what our own code and Python's must not be trusted with."""
    return must("openssl", "dgst", "-sha256", "-r", path).decode().split()[0]


def machine(kernel, files, get, command, append="", timeout=480, state=None, options=()):
    """Run a command in a virtual machine; returns its exit code. state: a folder for its TPM and /state."""
    words = [ROOT / "tests/vm/run", "--kernel", kernel, "--timeout", timeout, *options]
    for host, guest in files:
        words += ["--file", f"{host}:{guest}"]
    for guest, host in get:
        words += ["--get", f"{guest}:{host}"]
    if append:
        words += ["--append", append]
    if state:
        words += ["--state", state]
    return subprocess.run([str(word) for word in [*words, "--", *command]], check=False).returncode


def make_signer(directory, name, subject=None, extensions=()):
    """A key and a certificate that the kernel takes for a signer's."""
    key, certificate = directory / f"{name}-key.pem", directory / f"{name}.pem"
    must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
         "-subj", f"/CN={subject or name}", "-addext", "keyUsage=digitalSignature",
         "-addext", "basicConstraints=critical,CA:FALSE", *(word for text in extensions for word in ("-addext", text)))
    must("openssl", "x509", "-in", certificate, "-outform", "DER", "-out", directory / f"{name}.der")


def key_id(certificate):
    """The subject key identifier, as openssl tells it: hex digits with colons."""
    text = must("openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier").decode()
    return re.search(r"^\s*((?:[0-9A-F]{2}:)+[0-9A-F]{2})\s*$", text, re.M).group(1)


def clone_signer(directory, name, clone):
    """A certificate for another key that has the signer's name and the signer's key id: anyone can make one."""
    make_signer(directory, clone, name, [f"subjectKeyIdentifier={key_id(directory / f'{name}.pem')}"])


def sign(directory, names, data):
    """A detached CMS signature as the kernel wants it, with a SignerInfo of each."""
    signers = [word for name in names
               for word in ("-signer", directory / f"{name}.pem", "-inkey", directory / f"{name}-key.pem")]
    return must("openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-keyid", "-md", "sha256",
                "-outform", "DER", *signers, data=data)


def build_bpf(source, target):
    must("clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86",
         "-I/usr/include/x86_64-linux-gnu", f"-I{ROOT}", "-Wall", "-Werror", "-c", HERE / source, "-o", target)


def build_tool(name, target, *flags):
    must("cc", "-std=gnu2x", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1",
         ROOT / "tests/tools" / name, "-o", target, *flags)


def build_preload(name, target):
    build_tool(name, target, "-shared", "-fPIC")
