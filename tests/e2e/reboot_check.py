# SPDX-License-Identifier: BSD-2-Clause
"""Judge what tests/e2e/reboot brought home from its machine. What is expected of the log and of the quotes
kept with it is computed here, from docs/format.md, with hashlib, sqlite3 and tpm2_checkquote; our own code
comes in only where its verdict is what is tested."""
import base64
import contextlib
import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, run, sha256

NONCE = "5a" * 32
BANKS = ("sha256", "sha384")
FOREIGN_S = 2
TRUSTED, UNTRUSTED, UNKNOWN = 0, 1, 3


class Log:
    """A database as a boot left it: lines, kept quotes, and what the PCR was after each line."""

    def __init__(self, folder):
        self.path = folder / "log.db"
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("select seq, line from record order by seq").fetchall()
            kept = database.execute("select seq, line from quote order by seq").fetchall()
        self.stored_seqs = [seq for seq, _ in rows]
        self.lines = [line if isinstance(line, bytes) else line.encode() for _, line in rows]
        self.records = [json.loads(line) for line in self.lines]
        self.kept = {seq: json.loads(line) for seq, line in kept}
        self.values = list(self.replay())

    def of(self, kind):
        return [record for record in self.records if record["kind"] == kind]

    def epochs(self):
        """(first, last) of each."""
        begins = [record["seq"] for record in self.of("epoch")]
        return list(zip(begins, [seq - 1 for seq in begins[1:]] + [len(self.lines)]))

    def replay(self):
        values = None
        for line, record in zip(self.lines, self.records):
            if record["kind"] == "epoch":
                values = {bank: bytes.fromhex(value) for bank, value in record["tpm"]["base"].items()}
            if record.get("extend", True):
                values = {bank: hashlib.new(bank, value + hashlib.new(bank, line).digest()).digest()
                          for bank, value in values.items()}
            yield values


def done_of(boot):
    return json.loads((boot / "done.json").read_text())


def faults(status):
    return [fault["fault"] for fault in status.get("faults", [])]


def verify(boot, name="evidence", after=()):
    """Exit code and verdict of `bpfmeasure verify`."""
    words = [word for file in after for word in ("--after", file)]
    said = run(BUILD / "bpfmeasure", "verify", boot / name, "--ak", boot / "ak.public", "--nonce", NONCE, "--json",
               *words)
    verdict = json.loads(said.stdout or "{}")
    return said.returncode, verdict.get("verdict"), verdict.get("reason"), verdict.get("explanation") or said.stderr


def audit(log, ak):
    said = run(BUILD / "bpfmeasure", "audit", log.path, "--ak", ak, "--json")
    return said.returncode, json.loads(said.stdout or "{}")


def not_proven(verdict):
    """(first, last, trust) of each span of records that is not proven."""
    return [(span["first"], span["last"], span["trust"]) for span in verdict["spans"] if span["trust"] != "proven"]


def last_of(evidence):
    return json.loads(evidence.read_bytes().split(b"\n")[0])["last"]


# ---- reboots in order ----

def one_history(results, boots):
    log = Log(boots[-1] / "end")
    epochs = log.of("epoch")
    resets = [epoch["tpm"]["reset_count"] for epoch in epochs]
    before = ["0" * 64, *map(sha256, log.lines)]

    results.same("seq-goes-on-over-all-boots", [list(range(1, len(log.lines) + 1))] * 2,
                 [log.stored_seqs, [record["seq"] for record in log.records]])
    results.each("every-record-names-the-line-before-it-over-all-boots", (
        record["seq"] for record, digest in zip(log.records, before) if record["prev"] != digest))
    results.same("one-log-id", 1, len({epoch["log_id"] for epoch in epochs}))
    results.same("an-epoch-for-each-boot", ["first_use", *["boot"] * (len(boots) - 1)],
                 [epoch["why"] for epoch in epochs])
    results.same("each-epoch-begins-at-zero", {"0"}, {
        digit for epoch in epochs for value in epoch["tpm"]["base"].values() for digit in value})
    results.same("reset-counts-follow-each-other", [resets[0] + n for n in range(len(boots))], resets)
    results.same("each-epoch-has-its-boot's-id", [done_of(boot)["boot_id"] for boot in boots],
                 [epoch["boot_id"] for epoch in epochs])
    results.same("the-epochs-say-where-the-one-before-ended", [first - 1 for first, _ in log.epochs()],
                 [epoch["last_seq"] for epoch in epochs])
    for number, (first, last) in enumerate(log.epochs(), 1):
        kinds = [record["kind"] for record in log.records[first - 1:last]]
        results.true(f"loaded-programs-are-measured-anew-in-epoch-{number}", "baseline" in kinds[:kinds.index("start")])
        results.true(f"epoch-{number}-ends-with-a-clean-stop", kinds[-1] == "stop")
    results.same("nothing-is-lost", [], log.of("lost"))
    results.same("every-start-but-the-first-follows-a-clean-stop", ["none"] + ["clean"] * len(boots),
                 [start["last_exit"] for start in log.of("start")])


def kept_problems(log, ak):
    with tempfile.TemporaryDirectory() as temporary:
        files = [Path(temporary) / name for name in ("attest", "signature", "pcrs")]
        for seq, kept in log.kept.items():
            expected = {bank: value.hex() for bank, value in log.values[seq - 1].items()}
            if [kept["bpfmeasure"], kept["seq"], kept["pcr"]] != ["kept/1", seq, 13]:
                yield f"{seq}: {kept}"
            if kept["sha256"] != sha256(log.lines[seq - 1]) or kept["values"] != expected:
                yield f"{seq}: not what the lines lead to"
            files[0].write_bytes(base64.b64decode(kept["quote"]))
            files[1].write_bytes(base64.b64decode(kept["signature"]))
            files[2].write_bytes(b"".join(bytes.fromhex(kept["values"][bank]) for bank in BANKS))
            leaf = sha256(b"\0bpfmeasure/k" + bytes.fromhex(kept["sha256"]))
            checked = run("tpm2_checkquote", "-u", ak, "-m", files[0], "-s", files[1], "-f", files[2],
                          "-l", "+".join(f"{bank}:13" for bank in BANKS), "-g", "sha256", "-q", leaf)
            if checked.returncode:
                yield f"{seq}: tpm2_checkquote: {checked.stderr}"


def kept_quotes(results, last, clean_stops):
    log = Log(last / "end")
    results.same("a-quote-is-kept-at-each-clean-stop-of-all-boots", [stop["seq"] for stop in log.of("stop")],
                 list(log.kept))
    results.same("each-boot-stops-in-order", clean_stops, len(log.kept))
    results.each("tpm2_checkquote-takes-every-kept-quote-for-the-values-of-its-line",
                 kept_problems(log, last / "ak.public"))


def evidence_of_each(results, boots):
    for number, boot in enumerate(boots, 1):
        results.same(f"evidence-of-boot-{number}-is-trusted", (TRUSTED, "trusted"), verify(boot)[:2])
        pcrs = [word for bank in BANKS for word in ("--pcr-file", f"{bank}={boot}/pcr-{bank}")]
        replay = run(ROOT / "tests/replay.py", boot / "evidence", *pcrs)
        results.same(f"evidence-of-boot-{number}-replays-to-the-PCR", (0, ""), (replay.returncode, replay.stderr))
    for number, (before, boot) in enumerate(zip(boots, boots[1:]), 2):
        statement = json.loads((boot / "evidence-since").read_bytes().split(b"\n")[0])
        last = last_of(before / "evidence")
        results.same(f"boot-{number}-begins-after-the-stop-that-nobody-asked-for", (last, last + 2),
                     (statement["since"], statement["first"]))
        results.same(f"boot-{number}-is-proven-after-the-boot-before", (TRUSTED, "trusted"),
                     verify(boot, "evidence-since", after=[before / "evidence"])[:2])


def audit_proves_everything(results, last):
    log = Log(last / "end")
    code, verdict = audit(log, last / "ak.public")
    results.same("audit-of-all-boots-is-trusted", (TRUSTED, "trusted", []),
                 (code, verdict.get("verdict"), verdict.get("findings")))
    results.same("audit-finds-every-record-proven", (len(log.lines), []),
                 (verdict.get("records"), not_proven(verdict)))


# ---- what goes wrong ----

def uncovered(log, first, last):
    """The records of an epoch that no kept quote covers."""
    covered = max((seq for seq in log.kept if first <= seq <= last), default=first - 1)
    return (covered + 1, last, "unproven")


def power_cut(results, cut, after):
    log = Log(after / "end")
    first, last = log.epochs()[-2]
    expected = uncovered(log, first, last)
    code, verdict = audit(log, after / "ak.public")

    results.true("the-power-is-cut-in-the-middle", last > expected[0] > first
                 and log.records[first - 1]["boot_id"] == done_of(cut)["boot_id"], f"{first}...{last}: {expected}")
    results.same("loads-before-the-cut-are-in-the-log", 5, len([
        record for record in log.records[expected[0] - 1:last]
        if record["kind"] == "load" and record["program"]["name"] == "reboot"]))
    results.same("the-start-after-the-cut-knows-of-it", "unclean", [
        record for record in log.of("start") if record["seq"] > last][0]["last_exit"])
    results.same("audit-says-which-records-no-quote-covers-and-nothing-else", (UNKNOWN, "unknown", [expected]),
                 (code, verdict.get("verdict"), not_proven(verdict)))
    results.same("evidence-after-the-cut-is-trusted", (TRUSTED, "trusted"), verify(after)[:2])


def skipped_boot(results, boot, before):
    """The log lacks a whole boot: its counters tell, and who has seen that boot knows."""
    log = Log(boot / "end")
    resets = [epoch["tpm"]["reset_count"] for epoch in log.of("epoch")]
    code, verdict = audit(log, boot / "ak.public")
    results.same("the-log-lacks-a-boot", [1, 2], [after - first for first, after in zip(resets, resets[1:])])
    results.true("audit-finds-the-boot-that-is-missing", code != TRUSTED and any(
        finding["seq"] == log.epochs()[-1][0] for finding in verdict.get("findings", [])),
        f"{code}: {verdict.get('findings')}")
    results.same("verify-alone-cannot-know", (TRUSTED, "trusted"), verify(boot)[:2])
    found = verify(boot, after=[before / "evidence"])
    results.true("who-has-seen-the-boot-knows-of-the-rollback", found[0] == UNTRUSTED
                 and found[2] in ("rollback", "fork", "start"), found)


def lost_end(results, boot, before):
    """The log lacks the end of a boot, behind a kept quote: nothing in it can tell."""
    log = Log(boot / "end")
    code, verdict = audit(log, boot / "ak.public")
    results.same("audit-cannot-know-of-an-end-that-is-missing-behind-a-kept-quote", (TRUSTED, []),
                 (code, not_proven(verdict)))
    found = verify(boot, after=[before / "evidence"])
    results.true("who-has-seen-the-end-knows-of-the-rollback", found[0] == UNTRUSTED
                 and found[2] in ("rollback", "fork", "start"), found)


def broken(results, name, boot, log, evidence="evidence"):
    """An epoch was broken off: what verify says of it."""
    at = log.of("foreign")[-1]
    code, verdict, reason, text = verify(boot, evidence)
    results.same(f"{name}-verify-says-so", (UNTRUSTED, "untrusted", "foreign"), (code, verdict, reason))
    results.true(f"{name}-verify-says-what-stays-proven", str(at["after_seq"]) in text, text)


def same_boot(results, boot):
    log, before = Log(boot / "end"), Log(boot / "before")
    done = done_of(boot)
    at = log.of("foreign")[-1]
    old_end = len(Log(boot / "old").lines)
    results.same("an-old-log-in-the-same-boot-is-a-fault", ["pcr-foreign"], faults(done["status"]))
    results.same("an-old-log-ends-where-it-ends", old_end, at["after_seq"])
    results.same("an-old-log-was-not-what-the-PCR-holds", {
        bank: value.hex() for bank, value in before.values[-1].items()}, at["found"])
    broken(results, "an-old-log", boot, log)
    code, verdict = audit(log, boot / "ak.public")
    results.same("an-old-log-audit-says-untrusted", (UNTRUSTED, "untrusted"), (code, verdict.get("verdict")))
    results.true("an-old-log-audit-proves-what-was-before", all(
        first > old_end or trust == "unproven" for first, _, trust in not_proven(verdict)), not_proven(verdict))


def foreign(results, boot):
    log, done = Log(boot / "end"), done_of(boot)
    at = log.of("foreign")[-1]
    pcrs = {bank: (boot / f"pcr-{bank}").read_text().strip().lower() for bank in BANKS}
    expected = {bank: value.hex() for bank, value in log.values[at["after_seq"] - 1].items()}
    extended = {bank: hashlib.new(bank, bytes.fromhex(value) + hashlib.new(bank, b"foreign").digest()).hexdigest()
                for bank, value in expected.items()}

    results.true("a-foreign-extend-is-found-in-time", done["found_s"] < FOREIGN_S, f"{done['found_s']:.1f} s")
    results.same("a-foreign-extend-is-a-fault-and-stays-one", [["pcr-foreign"]] * 2,
                 [faults(done["status"]), faults(done["status_again"])])
    results.same("a-foreign-extend-expected-is-what-the-lines-lead-to", expected, at["expected"])
    results.same("a-foreign-extend-found-is-what-the-PCR-was", [pcrs, extended], [at["found"]] * 2)
    results.true("a-foreign-extend-happened-between-times", at["last_seen"] and at["last_seen"] < at["time"], at)
    results.same("before-a-foreign-extend-all-is-trusted", (TRUSTED, "trusted"), verify(boot, "evidence-before")[:2])
    broken(results, "a-foreign-extend", boot, log)
    broken(results, "a-foreign-extend-and-a-restart", boot, log, "evidence-again")
    code, verdict = audit(log, boot / "ak.public")
    results.same("a-foreign-extend-audit-says-untrusted", (UNTRUSTED, "untrusted"), (code, verdict.get("verdict")))


def trusted_again(results, *boots):
    for boot in boots:
        results.same(f"after-a-reboot-all-is-trusted-again-{boot.name}", (TRUSTED, "trusted"), verify(boot)[:2])
        results.same(f"after-a-reboot-there-is-no-fault-{boot.name}", ("measuring", []),
                     (done_of(boot)["status"]["state"], faults(done_of(boot)["status"])))


def suspend(results, boot):
    log, done = Log(boot / "end"), done_of(boot)
    first, last = log.epochs()[-1]
    resumed = [record for record in log.of("resume") if record["seq"] > first]
    epoch = log.records[first - 1]["tpm"]
    results.true("the-machine-slept", done["slept_s"] > 0.1, f"{done['slept_s']} s")
    results.same("a-suspend-is-one-resume-in-the-same-epoch", [(epoch["reset_count"], epoch["restart_count"] + 1)],
                 [(record["tpm"]["reset_count"], record["tpm"]["restart_count"]) for record in resumed])
    results.true("a-suspended-boot-goes-on", any(
        record["kind"] == "load" and record["program"]["name"] == "reboot"
        for record in log.records[resumed[0]["seq"]:last]))
    results.same("a-suspend-loses-nothing", [], [record for record in log.of("lost") if record["seq"] > first])
