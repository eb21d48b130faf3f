# SPDX-License-Identifier: BSD-2-Clause
"""Forgeries that need a key: those that tpm2_checkquote accepts or once did, another machine's TPM, and keys of ours.

Each is named after the attack, and is shown to the real `bpfmeasure verify`."""
import base64
import hashlib
import json
import re
import struct
import sys
from pathlib import Path

from harness import ROOT, must, run

sys.path.insert(0, str(ROOT / "tests/fault"))
from bench import Bench  # noqa: E402

NONCE = "5a" * 32
LEAF = hashlib.sha256(b"\0bpfmeasure/1" + bytes.fromhex(NONCE) + bytes(32)).hexdigest()
BANKS = "sha256:13+sha384:13"
ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda"
DUPLICATES_BYTES = 20_000

# Offsets into what the TPM made: TPMS_ATTEST with a name and qualifying data of sha256; TPM2B_PUBLIC of our AK.
SIGNER_AT, SELECTIONS_AT, POINT_AT = 8, 101, 22
SELECTION = struct.pack(">HB3s", 0x000b, 3, (1 << 13).to_bytes(3, "little"))
ENDORSEMENT = 0x4000000b


class Key:
    """A P-256 key of ours that pretends to be an AK: it signs whatever it is given."""

    def __init__(self, folder, like):
        """like: the TPM2B_PUBLIC whose attributes and parameters it shows."""
        self.path = folder / "own-key.pem"
        must("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path)
        point = must("openssl", "ec", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
        self.public = like[:POINT_AT] + b"".join(struct.pack(">H", 32) + half for half in (point[:32], point[32:]))
        name = b"\0\x0b" + hashlib.sha256(self.public[2:]).digest()
        self.signer = b"\0\x0b" + hashlib.sha256(struct.pack(">I", ENDORSEMENT) + name).digest()

    def sign(self, data):
        """TPMT_SIGNATURE, ECDSA with sha256."""
        der = must("openssl", "dgst", "-sha256", "-sign", self.path, data=data)
        numbers, at = [], 2
        for _ in range(2):
            size = der[at + 1]
            numbers.append(der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"))
            at += 2 + size
        return struct.pack(">HH", 0x0018, 0x000b) + b"".join(struct.pack(">H", 32) + number for number in numbers)

    def quote(self, attest):
        """The same quote in our own name."""
        return attest[:SIGNER_AT] + self.signer + attest[SIGNER_AT + len(self.signer):]


def selections(attest, count):
    """The quote with that many selections of the same bank and PCR."""
    (genuine,) = struct.unpack_from(">I", attest, SELECTIONS_AT)
    rest = attest[SELECTIONS_AT + 4 + genuine * len(SELECTION):]
    return attest[:SELECTIONS_AT] + struct.pack(">I", count) + SELECTION * count + rest


def checkquote(public, attest, signature, pcrs, banks=BANKS):
    """The exit code of tpm2_checkquote, which is no verifier of ours."""
    return run("tpm2_checkquote", "-u", public, "-m", attest, "-s", signature, "-f", pcrs, "-l", banks, "-g", "sha256",
               "-q", LEAF).returncode


def checkquote_is_mended():
    """tpm2-tools 5.7 refuses what CVE-2024-29038 and CVE-2024-29039 are about."""
    version = re.search(r'version="(\d+)\.(\d+)', must("tpm2_checkquote", "--version").decode())
    return tuple(map(int, version.groups())) >= (5, 7)


def test_checkquote(results, verifier, evidence, directory):
    """What tpm2_checkquote accepts, or accepted before it was mended."""
    export, forged = directory / "export", directory / "forged"
    lax = 1 if checkquote_is_mended() else 0

    attest, signature = forged / "magic.attest", forged / "magic.signature"
    taken = checkquote(directory / "ak.pem", attest, signature, export / "pcrs.bin")
    results.same("a-blob-that-the-ak-signed-with-tpm2_sign-is-refused", (lax, (1, "untrusted", "magic", "")),
                 (taken, verifier(evidence.quoted(attest, signature))))

    attest, signature = export / "attest.bin", export / "sig.bin"
    taken = checkquote(directory / "ak.pem", attest, signature, export / "pcrs.bin", "sha256:0+sha384:0")
    results.same("a-pcr-file-that-claims-pcr-0-is-refused", (lax, (1, "untrusted", "pcr-selection", "")),
                 (taken, verifier(evidence.quoted(attest, signature, pcr=8), "--pcr", "8")))

    attest, signature = forged / "unrestricted.attest", forged / "unrestricted.signature"
    public = (forged / "unrestricted.tss").read_bytes()
    taken = checkquote(forged / "unrestricted.pem", attest, signature, export / "pcrs.bin")
    claimed = evidence.quoted(attest, signature, ak=base64.b64encode(public).decode())
    results.same("an-attest-signed-by-an-unrestricted-key-is-refused-and-tpm2_checkquote-accepts-it",
                 (0, (1, "untrusted", "ak-attributes", "")),
                 (taken, verifier(claimed, ak=forged / "unrestricted.tss")))
    results.same("an-unrestricted-key-is-not-the-ak", (1, "untrusted", "ak-unknown", ""), verifier(claimed))
    results.same("an-unrestricted-key-does-not-sign-for-the-ak", (1, "untrusted", "signature", ""),
                 verifier(evidence.quoted(attest, signature)))


def test_another_tpm(results, verifier, evidence):
    """The log of this machine cut short, and a genuine TPM of another one that holds it."""
    with Bench() as bench:
        lines = [line for line in evidence.lines[:4] if json.loads(line).get("extend", True)]
        for line in lines:
            digests = ",".join(f"{bank}={hashlib.new(bank, line).hexdigest()}" for bank in ("sha256", "sha384"))
            bench.tpm2("pcrextend", f"13:{digests}")
        ak, attest, signature = bench.dir / "ak", bench.dir / "attest", bench.dir / "signature"
        bench.tpm2("createprimary", "-Q", "-C", "e", "-g", "sha256", "-G", "ecc256:ecdsa-sha256:null", "-a", ATTRIBUTES,
                   "-c", bench.dir / "ak.ctx")
        bench.tpm2("readpublic", "-Q", "-c", bench.dir / "ak.ctx", "-o", ak)
        bench.tpm2("quote", "-Q", "-c", bench.dir / "ak.ctx", "-l", BANKS, "-q", LEAF, "-g", "sha256", "-m", attest,
                   "-s", signature)
        cut = evidence.cut(4)
        of_other = cut.quoted(attest, signature, ak=base64.b64encode(ak.read_bytes()).decode())
        results.same("the-ak-of-another-tpm-is-refused", (1, "untrusted", "ak-unknown", ""), verifier(of_other))
        results.same("the-ak-of-another-tpm-that-claims-to-be-ours-is-refused", (1, "untrusted", "signature", ""),
                     verifier(cut.quoted(attest, signature)))
        results.same("another-tpm's-quote-of-our-log-does-not-fit-our-epoch", (1, "untrusted", "ak-name", ""),
                     verifier(of_other, ak=ak))


def test_duplicates(results, verifier, evidence, directory):
    """Many selections of one PCR, signed by a key that the verifier was made to take for an AK."""
    key = Key(directory / "forged", verifier.ak.read_bytes())
    enrolled = directory / "forged/own.public"
    enrolled.write_bytes(key.public)
    genuine = key.quote(base64.b64decode(evidence.statement["quote"]))
    ak = base64.b64encode(key.public).decode()
    results.same("a-key-that-the-verifier-takes-for-the-ak-is-not-that-of-the-log", (1, "untrusted", "ak-name", ""),
                 verifier(evidence.signed(genuine, key.sign(genuine), ak=ak), ak=enrolled))
    fits = (512 - len(genuine)) // len(SELECTION)
    for name, count in (("two-pcr-selections-of-one-bank", 2), ("as-many-duplicate-pcr-selections-as-fit", fits),
                        ("twenty-kilobytes-of-duplicate-pcr-selections", DUPLICATES_BYTES // len(SELECTION))):
        attest = selections(genuine, count)
        forged = evidence.signed(attest, key.sign(attest), ak=ak)
        results.same(f"{name}-are-refused", (1, "untrusted", "malformed", ""), verifier(forged, ak=enrolled))


def violations(verifier, evidence, *policies):
    """(rule, value) of each, and what verify said besides."""
    code, said, _ = verifier.run(evidence.data(), *(word for policy in policies for word in ("--policy", policy)))
    found = said.get("policy", {}).get("violations", [])
    return ({(violation["rule"], violation["value"]) for violation in found},
            (code, said.get("verdict"), said.get("reason")))


def test_policies(results, verifier, evidence, directory):
    """Who a signature claims to be by is of no use to whoever made it."""
    found, verdict = violations(verifier, evidence, "signed-only", "known-signers")
    results.same("a-policy-that-is-broken-makes-evidence-untrusted", (1, "untrusted", "policy"), verdict)
    for name, case in (("a-certificate-that-clones-a-vendor's-key-id", "clone"),
                       ("a-cms-with-two-signerinfos", "two_signers"), ("a-key-of-the-loader's", "stranger"),
                       ("an-unsigned-program", "unsigned")):
        results.true(f"{name}-is-refused-by-signed-only", ("signed-only", case) in found, sorted(found))
    results.true("whom-the-agent-has-pinned-is-not", ("signed-only", "signed") not in found, sorted(found))
    misspelled = directory / "forged/misspelled.sql"
    misspelled.write_text("SELECT seq, program_nane AS value FROM load WHERE 0;\n")
    results.same("a-policy-with-a-misspelled-column-is-never-trusted", (set(), (3, "unknown", "policy-failed")),
                 violations(verifier, evidence, misspelled))


def test_attacks(results, verifier, evidence, directory: Path):
    test_checkquote(results, verifier, evidence, directory)
    test_another_tpm(results, verifier, evidence)
    test_duplicates(results, verifier, evidence, directory)
    test_policies(results, verifier, evidence, directory)
