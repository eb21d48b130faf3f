# SPDX-License-Identifier: BSD-2-Clause
"""Judge what tests/e2e/ways brought home from a machine: each way in, by the records of its process. What is
expected comes from the guest's own notes, bpftool, openssl and the kernel's headers."""
import errno
import hashlib
import json
import re
from pathlib import Path

import loads_check
from harness import must, openssl_sha256, run
from loads_check import release_of

PRELOADED = "preloaded"

# What refuses, by the kernel's release, the ways that it lacks; facts of the kernels, not of our code.
LACKING = {
    "token": ((6, 9), "EINVAL"),
    "signed": ((6, 18), "E2BIG"),
    "run_time": ((6, 18), "E2BIG"),
    "signed_skeleton": ((6, 18), "E2BIG"),
}


def type_names():
    """enum bpf_prog_type as the installed header has it."""
    body = re.search(r"enum bpf_prog_type \{(.*?)\}", Path("/usr/include/linux/bpf.h").read_text(), re.S)[1]
    return [name.lower() for name in re.findall(r"BPF_PROG_TYPE_(\w+)", body)]


class Way:
    """One way: what its process tried, and the records of it, in order."""

    def __init__(self, run_, name):
        self.name, self.told = name, run_.done["ways"][name]
        self.attempts = list(self.told.get("attempts", ()))
        if "saved" in self.told:
            self.attempts += self.saved(run_.out / self.told["saved"])
        self.records = [record for kind in ("load", "reject") for record in run_.of(kind)
                        if record["loader"]["tgid"] == self.told["pid"]]
        self.records.sort(key=lambda record: record["seq"])
        self.nested = [record for record in self.records if record["program"]["kernel_origin"]]
        self.direct = [record for record in self.records if record not in self.nested]

    @staticmethod
    def saved(folder):
        """What tests/tools/savebpf.c saw go to the kernel."""
        for call in map(json.loads, (folder / "calls").read_text().splitlines()):
            if call["kind"] == "load":
                yield {**call, "sha256": openssl_sha256(folder / f"{call['call']}.insns")}


def describe(attempt, names):
    """What a record has to say of an attempt: kind, errno, id, name, type, instructions."""
    kind = names[attempt["type"]] if attempt["type"] < len(names) else None
    return {"kind": "reject" if attempt["errno"] else "load", "errno": attempt["errno"] or None,
            "id": attempt["id"] or None, "name": attempt["name"] or None, "type": kind, "sha256": attempt["sha256"]}


def is_of(record, wanted):
    program = record["program"]
    got = {"kind": record["kind"], "errno": record.get("errno"), "sha256": program["sha256"],
           **{key: program[key] for key in ("id", "name", "type")}}
    return all(got[key] == value for key, value in wanted.items() if key != "type" or value)


def check_records(run_, results, way):
    """Exactly one record for each load, in order, that says what was loaded and by whom. What the kernel
    refuses before it looks at a program (a type that it was built without) is none."""
    tried = [attempt for attempt in way.attempts if not (way.name == "types" and attempt["errno"] == errno.EINVAL)]
    wanted = [describe(attempt, run_.names) for attempt in tried]
    results.same(f"{way.name}: there-is-one-record-for-each-load", len(wanted), len(way.direct))
    results.each(f"{way.name}: each-record-is-of-its-load", (
        f"{want} has {record['program']}" for want, record in zip(wanted, way.direct) if not is_of(record, want)))
    listed = {program["id"]: program for program in run_.done["programs"]}
    tags = {attempt["id"]: attempt["tag"] for attempt in tried if attempt.get("tag")}
    tags |= {number: program["tag"] for number, program in listed.items()}
    loads = [record for record in way.records if record["kind"] == "load"]
    results.each(f"{way.name}: each-record-has-the-tag-and-type-that-bpftool-shows", (
        f"{record['program']} is {tags[number]}" for record in loads if (number := record["program"]["id"]) in tags
        and (record["program"]["tag"] != tags[number]
             or number in listed and record["program"]["type"] != listed[number]["type"])))
    if way.name not in ("rejected", "skeleton", "signed_skeleton"):     # bpftool loads skeletons and lets them go
        results.true(f"{way.name}: a-program-of-it-is-in-bpftool's-list", any(
            record["program"]["id"] in listed for record in loads))
    results.each(f"{way.name}: its-digest-is-as-long-as-the-kernel's", (
        record["seq"] for record in loads
        if (record["program"]["kernel_digest"] is None) != (release_of(run_) < (6, 18))))


def check_preloaded(run_, results, way):
    """What was there before the daemon is a baseline, and nothing else."""
    wanted = [(attempt["id"], attempt["name"], run_.names[attempt["type"]], attempt["tag"], attempt["load_time"], None)
              for attempt in way.attempts]
    ids = {attempt["id"] for attempt in way.attempts}
    results.same(f"{way.name}: each-has-one-baseline-record", wanted, [
        tuple(record["program"][key] for key in ("id", "name", "type", "tag", "load_time_ns", "sha256"))
        for record in run_.of("baseline") if record["program"]["id"] in ids])
    results.same(f"{way.name}: none-has-a-load-record", [],
                 [record["seq"] for record in run_.of("load") if record["program"]["id"] in ids])


def signature_of(way):
    return way.direct[-1]["signature"]


def check_signed(run_, results, way):
    spki, claim = loads_check.signer_facts(run_, "signer")
    results.same(f"{way.name}: it-is-verified-for-the-pinned-signer",
                 ["verified", "insns", "none", "user", way.told["serial"], [claim], ["sha256"], spki,
                  "CN=signer"],
                 [signature_of(way)[key] for key in ("verdict", "covers", "metadata", "keyring", "keyring_serial",
                                                     "claimed_key_ids", "digest_algs", "pinned", "pinned_subject")])


def check_run_time(run_, results, way):
    """A good signature of a key that nobody configured: the kernel's word, and no identity."""
    signature = signature_of(way)
    results.same(f"{way.name}: a-derived-key-is-in-a-user's-keyring-and-not-pinned",
                 ["verified", "insns", "user", ["sha256"], None, None, openssl_sha256(run_.out / "run_time.signature")],
                 [signature[key] for key in ("verdict", "covers", "keyring", "digest_algs", "pinned", "pinned_subject",
                                             "sha256")])
    derived = run_.out / "derived.pem"
    openssl = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", run_.out / "run_time.signature",
                  "-content", run_.out / "run_time.insns", "-certfile", derived, "-noverify", "-out", "/dev/null")
    results.same(f"{way.name}: openssl-verifies-the-same-bytes", 0, openssl.returncode)
    results.same(f"{way.name}: what-it-claims-is-the-derived-key", [key_claim(derived)], signature["claimed_key_ids"])
    policy = run(run_.build / "bpfmeasure", "verify", run_.out / "evidence", "--ak", run_.out / "ak.public",
                 "--policy", "signed-only", "--json")
    violations = {violation["seq"] for violation in json.loads(policy.stdout)["policy"]["violations"]}
    results.true(f"{way.name}: signed-only-takes-it-for-unsigned", way.direct[-1]["seq"] in violations)


def key_claim(certificate):
    return "keyid:" + loads_check.key_id(certificate).replace(":", "").lower()


def check_skeleton(run_, results, way):
    loads_check.check_skeleton(run_, results, way.told["saved"], way.name == "signed_skeleton")
    check_reference(run_, results, way)


def check_reference(run_, results, way):
    """From the file alone: the loader's chain digest, and the digest of the program that goes as it is."""
    header = run_.out / f"{way.told['saved']}.h"
    loader = way.direct[-1]
    values, done = loads_check.references(run_, header)
    chains = [value["chain_digest"] for value in values]
    # Loaders of bpftool before 7.8 leave their data unfrozen: what is not pinned down has no part in a digest.
    if [entry["sha256_at_load"] for entry in loader["maps"]] == [None]:
        results.true(f"{way.name}: a-loader-with-data-that-can-change-is-no-value", loader["chain_digest"] not in chains)
        run_.reference = "program digest"
    else:
        results.same(f"{way.name}: the-recorded-chain-digest-is-that-of-the-file", (0, True),
                     (done.returncode, loader["chain_digest"] in chains))
        run_.reference = "chain digest"
    section = loads_check.elf_section(run_, "socket")
    digest = hashlib.sha256(section) if release_of(run_) >= (6, 18) else hashlib.sha1(section)
    results.same(f"{way.name}: a-nested-program-has-the-tag-of-its-section", [digest.hexdigest()[:16]], [
        record["program"]["tag"] for record in way.nested if record["program"]["name"] == "plain"])
    values, _ = loads_check.references(run_, run_.given / "nested.o")
    results.same(f"{way.name}: the-object's-plain-program-has-the-digest-of-the-file",
                 {record["program"]["sha256"] for record in way.nested if record["program"]["name"] == "plain"},
                 {value["sha256"] for value in values if value["name"] == "plain"})


def check_compat(_, results, way):
    results.true(f"{way.name}: the-entry-is-that-of-32-bit-programs", way.told["is_compat"])


def check_libbpf(run_, results, way):
    """Libbpf's own trials are loads too, and the CO-RE relocations are in what was captured."""
    results.same(f"{way.name}: libbpf-loads-it", (0, ""), (way.told["code"], way.told["said"]))
    results.true(f"{way.name}: libbpf's-own-trials-are-among-the-records",
                 any(record["program"]["name"] == "libbpf_nametest" for record in way.direct))


def check_ext(run_, results, way):
    check_libbpf(run_, results, way)
    results.same(f"{way.name}: what-replaces-names-the-function", [("ext", "verdict")], [
        (record["program"]["type"], record["program"]["attach_to"]) for record in way.direct
        if record["program"]["name"] == "other_verdict"])


def check_struct_ops(run_, results, way):
    check_libbpf(run_, results, way)
    results.same(f"{way.name}: each-names-its-function-and-no-attach-type",
                 [("ssthresh", None), ("cong_avoid", None), ("undo_cwnd", None)],
                 [(record["program"]["attach_to"], record["program"]["attach_type"]) for record in way.direct
                  if record["program"]["type"] == "struct_ops"])


def check_token(_, results, way):
    results.same(f"{way.name}: without-it-the-kernel-refuses", errno.EPERM, way.told["without"])
    results.same(f"{way.name}: it-is-named-with-the-user-namespace", [(True, way.told["user_ns"])],
                 [(record["loader"]["token"], record["loader"]["user_ns"]) for record in way.direct])


BY_LIBBPF = ("libbpf", "ext", "struct_ops")
CHECKS = {
    "compat": check_compat,
    "libbpf": check_libbpf,
    "ext": check_ext,
    "struct_ops": check_struct_ops,
    "skeleton": check_skeleton,
    "signed_skeleton": check_skeleton,
    "token": check_token,
    "signed": check_signed,
    "run_time": check_run_time,
}


def lacks(run_, name):
    first, word = LACKING.get(name, ((0, 0), None))
    return word if release_of(run_) < first else None


def functions(given):
    """What the objects have in them, by the names that the kernel has room for."""
    return {name[:15] for path in given.glob("*.o")
            for name in re.findall(r" FUNC .* (\w+)$", must("readelf", "-sW", path).decode(), re.M)}


def summary(run_, way):
    """A cell of docs/kernels.md. What libbpf tries for itself depends on its version: not in it."""
    records = way.records
    if way.name in BY_LIBBPF:
        records = [record for record in records if record["program"]["name"] in functions(run_.given)]
    loads = sum(record["kind"] == "load" for record in records)
    rejects = len(records) - loads
    text = f"{loads} loads" if loads != 1 else "1 load"
    return text + (f", {rejects} rejected" if rejects else "")


def check_way(run_, results, name):
    """Returns the cell of docs/kernels.md."""
    way, failed = Way(run_, name), results.failed
    word = lacks(run_, name)
    if word:
        results.same(f"{name}: the-kernel-has-no-such-way", (word, []),
                     (errno.errorcode.get(way.told.get("refused")), way.records))
        cell = f"not there: {word}"
    elif name == PRELOADED:
        check_preloaded(run_, results, way)
        cell = f"{len(way.attempts)} baselines"
    else:
        check_records(run_, results, way)
        CHECKS.get(name, lambda *_: None)(run_, results, way)
        cell = summary(run_, way)
        if LACKING.get(name, (None, ""))[1] == "E2BIG":
            cell += ": {covers}, {metadata}, {pinned}".format(**signature_of(way) | {
                "pinned": "pinned" if signature_of(way)["pinned"] else "not pinned"}) if way.direct else ""
    return cell if results.failed == failed else "FAILED"


def check_whole(run_, results):
    status = run_.done["status"]
    results.same("nothing-is-lost", [], run_.of("lost"))
    results.same("the-daemon-measures-and-stops-in-order", ["measuring", 0, 0],
                 [status["state"], run_.done["quote_code"], run_.done["stop_code"]])
    start = run_.of("start")[0]
    results.same("start-and-status-name-the-same-hooks", [start["hooks"], start["missing"]],
                 [status["hooks"], status["missing"]])
    results.same("the-epoch-names-the-kernel", run_.done["release"], run_.of("epoch")[0]["kernel"])
    verify = run(run_.build / "bpfmeasure", "verify", run_.out / "evidence", "--ak", run_.out / "ak.public", "--json")
    results.same("verify-says-trusted", [0, "trusted"], [verify.returncode, json.loads(verify.stdout)["verdict"]])
    signed = release_of(run_) >= (6, 18)
    results.same("a-kernel-without-signatures-is-said-to-have-none", [not signed] * 3, [
        "fexit/bpf_verify_pkcs7_signature" in start["missing"],
        any(text.startswith("signatures") for text in status["not_covered"]),
        "not covered: signatures" in " ".join(run_.done["said"].split())])


def check(run_, results):
    """Returns what docs/kernels.md says of this kernel: tests/e2e/ways_table.py writes it."""
    run_.names, run_.reference = type_names(), "none"
    cells = {name: check_way(run_, results, name) for name in run_.done["ways"]}
    check_whole(run_, results)
    loads = [record["program"] for record in run_.of("load")]
    has_digest = any(program["kernel_digest"] for program in loads)
    signed = [record["signature"] for record in run_.of("load") if record["program"]["name"] == "__loader.prog"
              and record["signature"]["verdict"] == "verified"]
    return {
        "ways": cells,
        **{key: run_.done["status"].get(key, []) for key in ("hooks", "missing", "absent")},
        "digest": "32 bytes (sha256)" if has_digest else "tag, 8 bytes (of a sha1)",
        "signs": signed[-1]["covers"] if signed else "nothing",
        "metadata": signed[-1]["metadata"] if signed else "none",
        "reference": run_.reference,
        "release": run_.done["release"], "bpftool": run_.done["bpftool"],
    }
