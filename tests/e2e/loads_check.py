# SPDX-License-Identifier: BSD-2-Clause
"""Judge what tests/e2e/loads brought home from a machine. Nothing here uses our own code but where the
verdict of `bpfmeasure verify` is what is tested."""
import collections
import errno
import hashlib
import json
import os

from harness import ROOT, key_id, must, openssl_sha256, run, sha256

NONCE = "5a" * 32
COMM = "loads-guest"
PYTHON = os.path.realpath("/usr/bin/python3")    # what the guest has is of this machine
LOAD_HOOKS = {"fentry/bpf_prog_load", "fexit/bpf_verify_pkcs7_signature", "lsm/bpf", "fexit/security_bpf_prog_load",
              "fexit/security_bpf_prog", "fexit/bpf_prog_load", "fexit/bpf_prog_test_run_syscall",
              "fentry/bpf_prog_free", "iter/bpf_prog"}
PLAIN_CHILD, COUNTING_CHILD = "plain", "counting"

# stage and errno of the loads that are refused; facts of the kernels, not of our code.
REFUSED = {
    "wrong_key": ("signature", "ENOKEY"),
    "flip_signature": ("signature", "EKEYREJECTED"),
    "flip_insn": ("signature", "EKEYREJECTED"),
    "garbled": ("signature", "EBADMSG"),
    "no_keyring": ("signature", "EINVAL"),
    "bad": ("verifier", "EACCES"),
    "bad_signed": ("verifier", "EACCES"),
    "denied": ("lsm", "EPERM"),
}

# From which release on: covers and metadata of a light skeleton that the kernel's own bpftool signed.
SKELETON_SAYS = (((7, 3), ("insns+maps", "kernel")), ((6, 18), ("insns", "bound")))


class Run:
    """Everything that one machine left."""

    def __init__(self, kernel, given, out, build):
        self.kernel, self.given, self.out, self.build = kernel, given, out, build
        self.done = json.loads((out / "done.json").read_text())
        self.evidence = (out / "evidence").read_bytes()
        statement, *self.lines = self.evidence.split(b"\n")[:-1]
        self.statement = json.loads(statement)
        self.records = [json.loads(line) for line in self.lines]
        self.by_seq = {record["seq"]: record for record in self.records}

    def of(self, kind):
        return [record for record in self.records if record["kind"] == kind]

    def load(self, number):
        """The record of a load by the program's id."""
        found = [record for record in self.of("load") if record["program"]["id"] == number]
        return found[0] if len(found) == 1 else None

    def named(self, kind, name):
        return [record for record in self.of(kind) if record["program"]["name"] == name]

    def cases(self):
        """(name, what the kernel said) of each load by hand."""
        return [(name, attempt) for name, attempts in self.done["cases"].items() for attempt in attempts]

    def summary(self):
        kinds = collections.Counter(record["kind"] for record in self.records)
        verdicts = collections.Counter(record["signature"]["verdict"] for record in self.of("load"))
        return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) + "; loads " + ", ".join(
            f"{count} {verdict}" for verdict, count in verdicts.items())


def release_of(run_):
    """(7, 3), as the kernel names itself."""
    return tuple(int(number) for number in run_.of("epoch")[0]["kernel"].split(".")[:2])


def signer_facts(run_, name):
    """sha256 of the SPKI, and the key id, as openssl tells them of a certificate."""
    certificate = run_.given / f"{name}.pem"
    public = must("openssl", "x509", "-in", certificate, "-pubkey", "-noout")
    spki = must("openssl", "pkey", "-pubin", "-outform", "DER", data=public)
    return sha256(spki), "keyid:" + key_id(certificate).replace(":", "").lower()


def check_cases(run_, results):
    """What was loaded by hand is there: one record each, of the very bytes."""
    for name, attempt in run_.cases():
        if name in REFUSED:
            results.same(f"{name}-is-refused-by-the-kernel", REFUSED[name][1], attempt["errno"])
            continue
        results.same(f"{name}-is-loaded", "", attempt["errno"])
        record = run_.load(attempt.get("id"))
        if not record:
            results.fail(f"{name}-has-one-record", f"program {attempt.get('id')} has none, or several")
            continue
        program, insns = record["program"], run_.given / f"{name}.insns"
        results.same(f"{name}-has-a-record-of-its-bytes", [openssl_sha256(insns), insns.stat().st_size // 8, True],
                     [program["sha256"], program["insn_cnt"], program["captured"]])
        results.same(f"{name}-has-the-kernel's-tag", attempt["tag"], program["kernel_digest"][:16])
        results.same(f"{name}-has-name-type-and-time", [name, "socket_filter", attempt["load_time"], False, False],
                     [program[key] for key in ("name", "type", "load_time_ns", "kernel_origin", "self")])
        results.same(f"{name}-was-loaded-by-python", [run_.done["pid"], 0, COMM, run_.done["loader_sha256"],
                                                      PYTHON, "/", None],
                     [record["loader"][key] for key in ("tgid", "uid", "comm", "exe_sha256", "exe", "cgroup",
                                                        "exe_fsverity")])
    twice = run_.named("load", "twice")
    results.same("the-same-program-twice-has-two-records", [2, 1], [
        len(twice), len({record["program"]["sha256"] for record in twice})])


def check_rejects(run_, results):
    for name, (stage, error) in REFUSED.items():
        records = run_.named("reject", name)
        if len(records) != 1:
            results.fail(f"{name}-has-one-reject", f"there are {len(records)}")
            continue
        record = records[0]
        results.same(f"{name}-says-where-and-why", [stage, getattr(errno, error), None],
                     [record["stage"], record["errno"], record["program"]["id"]])
        results.same(f"{name}-names-its-loader", [run_.done["pid"], COMM, PYTHON],
                     [record["loader"][key] for key in ("tgid", "comm", "exe")])
        results.true(f"{name}-is-not-verified", record["signature"]["verdict"] != "verified")
        insns = openssl_sha256(run_.given / f"{name}.insns")
        if name == "no_keyring":     # the kernel stops before anybody could see them
            insns = None
        results.same(f"{name}-names-the-bytes", insns, record["program"]["sha256"])
        signature = run_.given / f"{name}.signature"
        if signature.exists() and name != "no_keyring":
            results.same(f"{name}-names-the-signature", openssl_sha256(signature), record["signature"]["sha256"])
    results.same("nothing-else-was-refused", set(REFUSED) | {"canary"},
                 {record["program"]["name"] for record in run_.of("reject")})
    results.same("a-changed-instruction-has-no-identity", None,
                 run_.named("reject", "flip_insn")[0]["signature"]["pinned"])
    results.same("a-wrong-key-has-no-identity", None, run_.named("reject", "wrong_key")[0]["signature"]["pinned"])


def check_signatures(run_, results):
    """Who vouched, as openssl sees it."""
    for name, is_trusted in (("signer", True), ("stranger", False)):
        case = "signed" if is_trusted else "stranger"
        record = run_.named("load", case)[0]["signature"]
        spki, claim = signer_facts(run_, name)
        signature = run_.given / f"{case}.signature"
        results.same(f"{case}-is-verified", ["verified", "insns", "none", "user"],
                     [record[key] for key in ("verdict", "covers", "metadata", "keyring")])
        results.same(f"{case}-covers-these-bytes", openssl_sha256(run_.given / f"{case}.insns"),
                     record["signed_sha256"])
        results.same(f"{case}-claims-the-certificate's-key-id", [1, [claim]],
                     [record["signers"], record["claimed_key_ids"]])
        results.same(f"{case}-is-pinned-as-configured", spki if is_trusted else None, record["pinned"])
        results.same(f"{case}-signature-is-the-file", [openssl_sha256(signature), signature.stat().st_size],
                     [record["sha256"], record["size"]])
    check_claims(run_, results)
    unsigned = run_.named("load", "unsigned")[0]["signature"]
    results.same("unsigned-is-unsigned", ["unsigned", None, "none", None, None, None, [], None, None, None],
                 [unsigned[key] for key in ("verdict", "covers", "metadata", "signed_sha256", "keyring", "signers",
                                            "claimed_key_ids", "pinned", "size", "sha256")])


def check_claims(run_, results):
    """The kernel verified what another's key signed: whose key id the signature claims makes it nobody's."""
    claims = {name: signer_facts(run_, name)[1] for name in ("signer", "stranger", "clone")}
    results.same("a-clone-has-the-key-id-of-whom-it-clones", claims["signer"], claims["clone"])
    for case, signers, attack in (("clone", ["clone"], "a-certificate-that-clones-a-vendor's-key-id"),
                                  ("two_signers", ["stranger", "clone"], "a-cms-with-two-signerinfos")):
        record = run_.named("load", case)[0]["signature"]
        results.same(f"{attack}-is-a-claim-and-no-identity",
                     ["verified", "user", len(signers), sorted(claims[name] for name in signers), None],
                     [record["verdict"], record["keyring"], record["signers"], sorted(record["claimed_key_ids"]),
                      record["pinned"]])


def references(run_, *words):
    """The reference values of files, and what went wrong."""
    done = run(run_.build / "bpfmeasure", "reference", *words)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def check_references(run_, results):
    """What is worked out from files alone is what was recorded; and what a good machine did passes."""
    for name in ("skeleton_unsigned", "skeleton_signed"):
        if not run_.done.get(name):
            continue
        calls = [json.loads(line) for line in (run_.out / name / "calls").read_text().splitlines()]
        loader = run_.load(next(call["id"] for call in calls if call["kind"] == "load"))
        if not loader:      # check_skeleton() said so
            continue
        values, done = references(run_, run_.out / f"{name}.h")
        # A signed one is for kernels that verify its instructions, or for those that verify the map too.
        results.same(f"reference: {name}: the-chain-digest-is-known-before-the-load", True,
                     loader["chain_digest"] in [value["chain_digest"] for value in values])
        results.same(f"reference: {name}: one-value-for-each-way-to-verify", [1 + (name == "skeleton_signed"), 0],
                     [len(values), done.returncode])
        plain = next(record for record in run_.of("load") if record["program"]["name"] == PLAIN_CHILD
                     and record["parent"] and record["parent"]["seq"] == loader["seq"])
        values, done = references(run_, run_.given / "nested.o")
        results.same(f"reference: {name}: an-object's-plain-program-has-its-digest",
                     [[PLAIN_CHILD, plain["program"]["sha256"]]],
                     [[value["name"], value["sha256"]] for value in values])
        results.same("reference: a-program-with-a-map-is-named", [3, 1, True],
                     [done.returncode, done.stderr.count("\n"), f'"{COUNTING_CHILD}"' in done.stderr])
    values, _ = references(run_, run_.given / "signer.pem")
    results.same("reference: a-certificate-is-the-pinned-signer", signer_facts(run_, "signer")[0], values[0]["pinned"])

    expected = run_.out / "expected"
    arguments = (run_.out / "evidence", "--ak", run_.out / "ak.pem")
    must(run_.build / "bpfmeasure", "reference", *arguments, "-o", expected)
    for policy, broken in (("known-programs", 0), ("known-loaders", 0), ("no-gaps", 0), ("no-foreign", 0)):
        done = run(run_.build / "bpfmeasure", "verify", *arguments, "--policy", policy, "--reference", expected)
        results.same(f"policy: {policy}: what-a-good-machine-did-passes", [broken, []],
                     [done.returncode, [line for line in done.stdout.splitlines() if "violation" in line]])
    done = run(run_.build / "bpfmeasure", "verify", *arguments, "--policy", "signed-only", "--json")
    found = {violation["seq"] for violation in json.loads(done.stdout)["policy"]["violations"]}
    signed = {record["seq"] for record in run_.of("load") if record["signature"]["pinned"]}
    nested = {record["seq"] for record in run_.of("load") if record["program"]["kernel_origin"]
              and record["parent"] and record["parent"]["seq"] in signed}
    own = {record["seq"] for record in run_.of("load") + run_.of("baseline") if record["program"]["self"]}
    every = {record["seq"] for record in run_.of("load") + run_.of("baseline")}
    results.same("policy: signed-only: all-but-the-signed-and-the-agent's", [1, every - signed - nested - own],
                 [done.returncode, found])
    results.same("policy: the-agent's-hooks-are-its-own", True,
                 all(record["program"]["self"] for record in run_.of("baseline")))


def elf_section(run_, section):
    """The bytes of a section of nested.o, by a tool that knows nothing of us."""
    file = run_.out / f"section{section}"
    must("llvm-objcopy", f"--dump-section={section}={file}", run_.given / "nested.o", "/dev/null")
    return file.read_bytes()


def check_skeleton(run_, results, name, is_signed):
    """A light skeleton that bpftool loaded: the loader, and its two nested programs."""
    folder = run_.out / name
    results.same(f"{name}: bpftool-loads-it", (0, ""), (run_.done[name]["code"], run_.done[name]["said"]))
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    call = next(call for call in calls if call["kind"] == "load")
    loader = run_.load(call["id"])
    if not loader or call["signed"] != is_signed:
        results.fail(f"{name}: the-loader-has-a-record", f"{call}: {loader}")
        return
    insns = (folder / f"{call['call']}.insns").read_bytes()
    metadata = b"".join((folder / f"{call['call']}.map").read_bytes() for call in calls if call["kind"] == "map")
    padded = metadata + bytes(-len(metadata) % 8)
    signature = loader["signature"]
    results.same(f"{name}: the-loader-is-bpftool's", [sha256(insns), len(insns) // 8, "syscall", False],
                 [loader["program"][key] for key in ("sha256", "insn_cnt", "type", "kernel_origin")])
    frozen = [entry["sha256_at_load"] for entry in loader["maps"] if entry["frozen"]]
    results.same(f"{name}: its-metadata-has-its-digest", [sha256(padded)] if is_signed or frozen else [], frozen)
    if is_signed:
        covers, kind = next(says for first, says in SKELETON_SAYS if release_of(run_) >= first)
        signed_bytes = insns + (metadata if covers == "insns+maps" else b"")
        spki, claim = signer_facts(run_, "signer")
        file = folder / f"{call['call']}.signature"
        results.same(f"{name}: it-is-verified-as-this-kernel-does", ["verified", covers, kind, "user", spki, [claim]],
                     [signature[key] for key in ("verdict", "covers", "metadata", "keyring", "pinned",
                                                 "claimed_key_ids")])
        results.same(f"{name}: its-signature-is-bpftool's", [openssl_sha256(file), file.stat().st_size],
                     [signature["sha256"], signature["size"]])
        (folder / "signed-bytes").write_bytes(signed_bytes)
        results.same(f"{name}: these-bytes-were-verified", openssl_sha256(folder / "signed-bytes"),
                     signature["signed_sha256"])
        openssl = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", file, "-content",
                      folder / "signed-bytes", "-certfile", run_.given / "signer.pem", "-noverify", "-out", "/dev/null")
        results.same(f"{name}: openssl-verifies-the-same-bytes", 0, openssl.returncode)
        results.same(f"{name}: the-metadata-map-is-exclusive", [True],
                     [entry["exclusive"] for entry in loader["maps"] if entry["frozen"]])
    else:
        results.same(f"{name}: it-is-unsigned", "unsigned", signature["verdict"])
    check_children(run_, results, name, loader, metadata)


def check_children(run_, results, name, loader, metadata):
    children = [record for record in run_.of("load") if (record["parent"] or {}).get("seq") == loader["seq"]]
    results.same(f"{name}: its-children-are-there", [PLAIN_CHILD, COUNTING_CHILD],
                 [record["program"]["name"] for record in children])
    wanted = {"seq": loader["seq"], "sha256": loader["program"]["sha256"], "chain_digest": loader["chain_digest"],
              "verdict": loader["signature"]["verdict"]}
    results.each(f"{name}: children-name-their-parent", (
        f"{record['parent']} instead of {wanted}" for record in children if record["parent"] != wanted))
    results.each(f"{name}: children-are-unsigned-and-of-the-kernel", (
        record["program"]["name"] for record in children
        if record["signature"]["verdict"] != "unsigned" or not record["program"]["kernel_origin"]
        or record["loader"]["tgid"] != loader["loader"]["tgid"]))
    by_name = {record["program"]["name"]: record for record in children}
    plain, counting = by_name.get(PLAIN_CHILD), by_name.get(COUNTING_CHILD)
    if not plain or not counting:
        return
    results.same(f"{name}: the-plain-child-is-its-section", sha256(elf_section(run_, "socket")),
                 plain["program"]["sha256"])
    length = len(elf_section(run_, "xdp"))
    windows = {sha256(metadata[at:at + length]) for at in range(0, len(metadata) - length + 1)}
    results.true(f"{name}: the-counting-child-is-in-the-metadata", counting["program"]["sha256"] in windows)
    rodata = elf_section(run_, ".rodata")
    results.same(f"{name}: the-child's-frozen-map-is-its-rodata", sha256(rodata + bytes(-len(rodata) % 8)),
                 next((entry["sha256_at_load"] for entry in counting["maps"] if entry["frozen"]), None))
    results.same(f"{name}: a-map-that-can-change-has-no-digest", [None],
                 [entry["sha256_at_load"] for entry in counting["maps"] if not entry["frozen"]])


def check_chain(run_, results):
    """Each chain_digest, computed again by docs/format.md."""
    def chain(record):
        parent, signature = record["parent"], record["signature"]
        data = b"bpfmeasure/chain/1" + (bytes.fromhex(parent["chain_digest"]) if parent else bytes(32))
        data += bytes.fromhex(record["program"]["sha256"])
        data += bytes(32) if signature["verdict"] == "unsigned" else bytes.fromhex(signature["signed_sha256"])
        return sha256(data + b"".join(bytes.fromhex(entry["sha256_at_load"]) for entry in record["maps"]
                                      if entry["sha256_at_load"]))

    results.each("every-chain-digest-is-that-of-its-parts", (
        record["seq"] for record in run_.of("load") if record["chain_digest"] != chain(record)))


def check_others(run_, results):
    """Loads of other shapes: brief ones, a frozen map, another user, cgroup and executable."""
    brief = run_.named("load", "brief")
    unloaded = {record["program"]["seq"] for record in run_.of("unload")}
    results.same("a-brief-load-has-its-record", len(run_.done["brief_ms"]), len(brief))
    print(f"# {results.prefix}the briefest load took {min(run_.done['brief_ms']):.2f} ms")
    results.each("a-brief-load-has-its-unload", (record["seq"] for record in brief if record["seq"] not in unloaded))

    frozen = run_.load(run_.done["frozen"]["id"])
    results.same("a-program-with-a-frozen-map-is-its-bytes", openssl_sha256(run_.out / "frozen.insns"),
                 frozen["program"]["sha256"])
    results.same("a-frozen-map-has-the-digest-of-its-bytes",
                 [["e2e_frozen", "array", 12, 3, True, False, openssl_sha256(run_.out / "frozen.map")]],
                 [[entry[key] for key in ("name", "type", "value_size", "max_entries", "frozen", "exclusive",
                                          "sha256_at_load")] for entry in frozen["maps"]])

    elsewhere, known = run_.named("load", "elsewhere")[0]["loader"], run_.done["elsewhere"]
    results.same("another-user-cgroup-and-executable-are-named", {
        "tgid": known["pid"], "uid": 1000, "gid": 1000, "comm": 'a\\x5c "b\\x01\\xff',
        "exe": '/tmp/odd \\x5c dir/py"thon', "exe_sha256": known["exe_sha256"], "exe_inode": known["inode"],
        "cgroup": "/e2e/in ner", "user_ns": known["user_ns"], "token": False,
    }, {key: elsewhere[key] for key in ("tgid", "uid", "gid", "comm", "exe", "exe_sha256", "exe_inode", "cgroup",
                                        "user_ns", "token")})

    for name, source in (("kept-unsigned.insns", run_.given / "unsigned.insns"),
                         ("kept-frozen.insns", run_.out / "frozen.insns")):
        results.same(f"{name}-are-the-instructions", openssl_sha256(source), openssl_sha256(run_.out / name))


def check_whole(run_, results):
    """The log as a whole: nothing is missing, and whose is what."""
    results.same("nothing-is-lost", [], run_.of("lost"))
    known = {record["program"]["id"]: record for kind in ("baseline", "load") for record in run_.of(kind)}
    listed = run_.done["programs"]
    results.each("every-program-of-bpftool's-list-has-a-record", (
        f"{program['id']} {program.get('name')}" for program in listed if program["id"] not in known))
    results.each("every-program-of-bpftool's-list-has-its-tag", (
        f"{program['id']} {program['tag']}" for program in listed
        if known[program["id"]]["program"]["kernel_digest"][:16] != program["tag"]))
    results.true("bpftool-lists-programs", len(listed) > 15, f"{len(listed)}")
    daemon = run_.done["daemon_pid"]
    results.each("self-is-what-the-daemon-loads-and-nothing-else", (
        record["seq"] for kind in ("load", "reject") for record in run_.of(kind)
        if record["program"]["self"] != (record["loader"]["tgid"] == daemon)))
    results.true("the-daemon-loads-something", any(record["program"]["self"] for record in run_.of("load")))
    seen = [number for name in ("load",) for number in [record["program"]["id"] for record in run_.of(name)]]
    results.same("no-program-has-two-records", len(seen), len(set(seen)))
    start = run_.of("start")[0]
    results.same("the-start-names-program-and-configuration", [
        openssl_sha256(run_.build / "bpfmeasured"), sha256(json.loads(
            (run_.given / "plan.json").read_text())["conf"].encode()), "none", False],
                 [start[key] for key in ("exe_sha256", "conf_sha256", "last_exit", "kept_measuring")])


def check_status(run_, results):
    status = run_.done["status"]
    results.same("status-says-measuring-with-every-hook", ["measuring", set(), [], 0], [
        status["state"], LOAD_HOOKS - set(status["hooks"]), status["missing"], status["lost"]])
    results.same("status-says-software-tpm", "software", status["tpm"]["kind"])
    results.same("the-start-lists-the-same-hooks", [status["hooks"], status["missing"]],
                 [run_.of("start")[0][key] for key in ("hooks", "missing")])
    results.same("the-daemon-stops-in-order", 0, run_.done["stop_code"])
    results.true("status-of-a-stopped-daemon-is-not-good", run_.done["state_after_stop"] != 0)
    lines = (run_.out / "after-stop").read_bytes().splitlines()
    results.same("the-database-holds-the-same-lines", run_.lines, lines[:len(run_.lines)])
    results.same("the-last-record-is-the-stop", ["stop", "SIGTERM"],
                 [json.loads(lines[-1]).get(key) for key in ("kind", "why")])


def check_proof(run_, results):
    """The TPM's own word, by three programs that share no code with the daemon."""
    banks = [path.name[4:] for path in sorted(run_.out.glob("pcr-*"))]
    results.same("the-kernel-shows-both-banks", ["sha256", "sha384"], banks)
    replay = run(ROOT / "tests/replay.py", run_.out / "evidence",
                 *[word for bank in banks for word in ("--pcr-file", f"{bank}={run_.out}/pcr-{bank}")])
    results.same("the-replay-is-what-the-PCR-holds", [0, ""], [replay.returncode, replay.stderr])
    verify = run(run_.build / "bpfmeasure", "verify", run_.out / "evidence", "--ak", run_.out / "ak.public",
                 "--nonce", NONCE, "--json")
    verdict = json.loads(verify.stdout or "{}")
    results.same("verify-says-trusted", [0, "trusted", "ok"],
                 [verify.returncode, verdict.get("verdict"), verdict.get("reason")])
    loads = collections.Counter(record["signature"]["verdict"] for record in run_.of("load"))
    results.same("verify-counts-the-loads", {**{"verified": 0, "unsigned": 0, "unknown": 0}, **loads},
                 verdict.get("facts", {}).get("loads"))
    leaf = hashlib.sha256(b"\0bpfmeasure/1" + bytes.fromhex(NONCE) + bytes(32)).hexdigest()
    export = run_.out / "export"
    checkquote = ["tpm2_checkquote", "-u", run_.out / "ak.pem", "-m", export / "attest.bin", "-s", export / "sig.bin",
                  "-f", export / "pcrs.bin", "-l", "sha256:13+sha384:13", "-g", "sha256", "-q"]
    results.same("tpm2_checkquote-accepts-the-exported-files", 0, run(*checkquote, leaf).returncode)
    results.true("tpm2_checkquote-refuses-another-nonce", run(*checkquote, "00" * 32).returncode != 0)


def check_cli(run_, results):
    """The command line as the group's member who has no other right."""
    for name in ("status", "log", "log_json", "tree", "query"):
        results.same(f"cli-{name}-is-good", {"code": 0, "stderr": ""}, run_.done[f"cli_{name}"])
    said = {name: (run_.out / f"cli-{name}").read_bytes() for name in ("log_json", "tree", "query")}
    results.same("cli-log-json-is-the-measured-lines", run_.lines, said["log_json"].splitlines()[:len(run_.lines)])
    results.true("cli-query-counts-the-loads", str(len(run_.of("load"))).encode() in said["query"],
                 said["query"].decode())


def check(run_, results):
    results.same("every-load-of-the-guest-ended", 0, run_.done["quote_code"])
    for part in (check_cases, check_rejects, check_signatures, check_chain, check_others, check_whole, check_status,
                 check_proof, check_cli):
        part(run_, results)
    if run_.done.get("skeleton_signed"):
        check_skeleton(run_, results, "skeleton_signed", True)
    check_skeleton(run_, results, "skeleton_unsigned", False)
    check_references(run_, results)


def check_without_lsm(run_, results):
    status = run_.done["status"]
    results.same("status-says-degraded", "degraded", status["state"])
    results.same("the-identity-hook-is-missing", ["lsm/bpf"], status["missing"])
    results.true("the-reason-names-the-hook", "lsm/bpf" in status["why"], status["why"])
    results.same("the-start-lists-the-missing-hook", ["lsm/bpf"], run_.of("start")[0]["missing"])
    for name, attempt in run_.cases():
        if name in REFUSED:
            results.same(f"{name}-is-still-a-reject", 1, len(run_.named("reject", name)))
            continue
        record = run_.load(attempt["id"])
        results.same(f"{name}-is-still-measured", [openssl_sha256(run_.given / f"{name}.insns"), None, PYTHON],
                     [record["program"]["sha256"], record["loader"]["exe_sha256"], record["loader"]["exe"]])
    results.same("a-signature-is-still-seen", "verified", run_.named("load", "signed")[0]["signature"]["verdict"])
    verify = run(run_.build / "bpfmeasure", "verify", run_.out / "evidence", "--ak", run_.out / "ak.public", "--json")
    results.same("the-log-is-still-proven", [0, "degraded"],
                 [verify.returncode, json.loads(verify.stdout)["facts"]["state"]])
