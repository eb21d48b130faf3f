# SPDX-License-Identifier: BSD-2-Clause
"""The bench: the real daemon on a kernel made of files (kernel.h) and a software TPM of its own.

Everything of one bench is in one directory, in memory, and goes with it. What the daemon says is held
against three things that it has no hand in: the kernel's ledger, the TPM's own PCR, and Python's SHA.
"""
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "vm")]
import factory  # noqa: E402
from harness import BUILD, ROOT, Results, build_preload, must, run  # noqa: F401, E402 (the suites use them)

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
AK = "0x81020013"
PCR = 13
BANKS = {"sha1": 0x0004, "sha256": 0x000b, "sha384": 0x000c, "sha512": 0x000d}
READY = "bpfmeasured: measuring"
PATIENCE_S = 120  # on a machine that does other things; whoever waits so long hangs
UNREAD_MAX = 256 << 10  # a sixteenth of the ring
BUSY = "another "  # daemon or process has the hooks or the log


# Who is told to end cleans up first.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Ledger:
    """One load that truly happened, see `kernel DIR ledger`."""

    def __init__(self, line):
        words = line.split()
        self.serial, self.load, self.boot, self.id, self.error = map(int, words[:5])
        self.how, self.sha256 = words[5], words[9]
        self.own, self.freed, self.free_seen = (word == "1" for word in words[6:9])


class Daemon:
    """A process of the daemon, its stderr in a file."""

    def __init__(self, bench, environment):
        self.log = bench.dir / "stderr"
        self.begin = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*bench.prefix, bench.binary, "--config", bench.conf], stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment)

    def said(self):
        with open(self.log, "rb") as log:
            log.seek(self.begin)
            return log.read().decode(errors="replace")

    def wait(self, text, timeout=PATIENCE_S):
        """Whether it said so before it ended and in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if text in self.said():
                return True
            if self.process.poll() is not None:
                return text in self.said()
            time.sleep(0.002)
        return False

    def was_early(self):
        """What a killed daemon has open is closed a moment after its end was seen, here by the process that makes
        its system calls: the next one finds it busy, and is started again, as systemd would do it."""
        return self.process.poll() not in (None, -signal.SIGKILL) and BUSY in self.said()

    def end(self, signal_number=signal.SIGKILL, timeout=PATIENCE_S):
        self.process.send_signal(signal_number)
        return self.process.wait(timeout)


class Bench:
    def __init__(self, build=BUILD, conf="", ring_size="4M", proxy=False, attest="socket = none\n", authority=None):
        """conf: more of the configuration; attest: its section [attest]; proxy: tests/tools/tpm-proxy is between daemon
        and TPM; authority: a folder, the TPM has EK certificates of the authority there."""
        self.dir = Path(tempfile.mkdtemp(prefix="bpfm-", dir=MEMORY))
        self.build, self.binary = build, build / "tests/fault/bpfmeasured"
        self.kernel_dir, self.database = self.dir / "kernel", self.dir / "log" / "log.db"
        self.socket, self.conf, self.tpm_dir = self.dir / "sock", self.dir / "conf", self.dir / "tpm"
        self.prefix = []
        self.daemon = self.ak = self.proxy = None
        self.injectors = []
        for directory in (self.kernel_dir, self.tpm_dir, self.database.parent):
            directory.mkdir()
        self.authority = authority
        self.environment = dict(os.environ, BPFMEASURE_FAKE_KERNEL=str(self.kernel_dir))
        self.tpm_new()
        if proxy:
            self.proxy_start()
        device = self.dir / "proxy.sock" if proxy else self.tpm_dir / "tpm.sock"
        self.conf.write_text(f"[log]\npath = {self.database}\n"
                             f"[tpm]\ndevice = swtpm:path={device}\n"
                             f"[socket]\npath = {self.socket}\n[audit]\nenable = no\n"
                             f"[measure]\nring_size = {ring_size}\n"
                             f"[attest]\n{attest}{conf}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for injector in self.injectors:
            self.stop_injector(injector)
        if self.daemon and self.daemon.process.poll() is None:
            self.daemon.end()
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
        self.tpm_kill()
        shutil.rmtree(self.dir)

    # ---- the daemon ----

    def launch(self, **environment):
        self.daemon = Daemon(self, {**self.environment, **environment})
        return self.daemon

    def start(self, text=READY, **environment):
        """Start it, and wait until it says so."""
        for _ in range(20):
            self.launch(**environment)
            if self.daemon.wait(text):
                return True
            if not self.daemon.was_early():
                return False
            time.sleep(0.01)
        return False

    def kill(self):
        self.daemon.end()

    def stop(self):
        return self.daemon.end(signal.SIGTERM)

    def command(self, verb, *words, **options):
        return run(self.build / "bpfmeasure", verb, *words, env=self.environment, **options)

    def status(self):
        done = self.command("status", "--json", "--socket", self.socket, "--db", self.database)
        return json.loads(done.stdout) if done.stdout else {"state": "none", "why": done.stderr}

    def settle(self, timeout=PATIENCE_S):
        """Wait until all that the kernel put on the ring is recorded and extended; the status then."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self.status()
            if (status.get("ring", {}).get("held") == 0 and self.ring_unread() == 0
                    and status["last_seq"] == status["extended_seq"]):
                return status
            time.sleep(0.02)
        return self.status()

    # ---- evidence ----

    def quote(self, name="evidence", since=None):
        """Evidence for a nonce of ours; returns its path and the nonce, or None and why."""
        path, nonce = self.dir / name, secrets.token_hex(32)
        words = ["--since", since] if since else []
        done = self.command("quote", "--socket", self.socket, "--nonce", nonce, *words, "-o", path)
        return (path, nonce) if done.returncode == 0 else (None, done.stderr)

    def verify(self, path, nonce, after=()):
        """The verdict, with an AK that is the first this TPM ever showed."""
        if not self.ak:
            self.ak = self.dir / "ak.pem"
            self.tpm2("readpublic", "-c", AK, "-f", "pem", "-o", self.ak)
        done = self.command("verify", path, "--nonce", nonce, "--ak", self.ak, "--json",
                            *(word for file in after for word in ("--after", file)))
        return json.loads(done.stdout) if done.stdout else {"verdict": "none", "why": done.stderr}

    def prove(self):
        """Quote, verify, replay: what is wrong with it, or None. Nothing is to be extended meanwhile."""
        path, nonce = self.quote()
        if not path:
            return f"quote: {nonce}"
        verdict = self.verify(path, nonce)
        if verdict["verdict"] != "trusted":
            return f"verify: {verdict}"
        words = []
        for bank, value in self.pcr().items():
            (self.dir / bank).write_text(value.hex())
            words += ["--pcr-file", f"{bank}={self.dir / bank}"]
        done = run(sys.executable, ROOT / "tests/replay.py", path, *words)
        return f"replay: {done.stderr}" if done.returncode else None

    def records(self, after=0):
        """The lines of the database from behind a number on; it is only read."""
        if not self.database.exists():
            return []
        database = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT line FROM record WHERE seq>? ORDER BY seq", (after,))
            return [bytes(line) for (line,) in rows]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []  # killed before there was one
            raise
        finally:
            database.close()

    # ---- the kernel ----

    def kernel(self, *words):
        return must(self.build / "tests/fault/kernel", self.kernel_dir, *words).decode()

    def inject(self, *words):
        """Load programs from now on, until stop_injector(), but none while the daemon is far behind."""
        injector = subprocess.Popen([self.build / "tests/fault/kernel", self.kernel_dir, "load", "--count", "0",
                                     "--unread", str(UNREAD_MAX), *map(str, words)], start_new_session=True)
        self.injectors.append(injector)
        return injector

    def stop_injector(self, injector):
        """After the loads that are under way."""
        os.killpg(injector.pid, signal.SIGTERM)
        injector.wait()
        self.injectors.remove(injector)

    def ledger(self):
        return [Ledger(line) for line in self.kernel("ledger").splitlines()]

    def ring_unread(self):
        try:
            with open(self.kernel_dir / "ring", "rb") as ring:
                consumer = struct.unpack("<Q", ring.read(8))[0]
                ring.seek(4096)
                return struct.unpack("<Q", ring.read(8))[0] - consumer
        except FileNotFoundError:
            return 0

    # ---- the TPM ----

    def tpm2(self, tool, *words):
        return must("env", f"TPM2TOOLS_TCTI=swtpm:path={self.tpm_dir}/tpm.sock", f"tpm2_{tool}", *words)

    def tpm_ioctl(self, *words):
        return must("swtpm_ioctl", "--unix", self.tpm_dir / "tpm.sock.ctrl", *words)

    def pcr(self):
        """The PCR, every bank, as the TPM itself has it: TPM2_PCR_Read by hand, for it is asked for often."""
        values = {}
        for bank, algorithm in BANKS.items():
            command = struct.pack(">HIIIHB3s", 0x8001, 20, 0x17e, 1, algorithm, 3,
                                  (1 << PCR).to_bytes(3, "little"))
            with socket.socket(socket.AF_UNIX) as tpm:
                tpm.connect(str(self.tpm_dir / "tpm.sock"))
                tpm.sendall(command)
                answer = tpm.recv(4096)
            if struct.unpack(">I", answer[6:10])[0] != 0:
                raise RuntimeError(f"TPM2_PCR_Read: {answer.hex()}")
            if len(answer) > 30:  # else it has no such bank
                values[bank] = answer[30:]
        return values

    def tpm_start(self):
        """swtpm on the state that there is: PCRs are zero, the reset count is one more."""
        must("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.tpm_dir}/state", "--server",
             f"type=unixio,path={self.tpm_dir}/tpm.sock", "--ctrl", f"type=unixio,path={self.tpm_dir}/tpm.sock.ctrl",
             "--flags", "not-need-init,startup-clear", "--pid", f"file={self.tpm_dir}/pid", "--daemon")

    def tpm_new(self):
        """Another TPM."""
        self.tpm_kill()
        shutil.rmtree(self.tpm_dir / "state", ignore_errors=True)
        if self.authority:
            factory.make_tpm(self.authority, self.tpm_dir / "state")
        else:
            (self.tpm_dir / "state").mkdir()
        self.tpm_start()

    def tpm_pid(self):
        try:
            return int((self.tpm_dir / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def tpm_kill(self):
        """The TPM's process; whoever wants one again has to start it."""
        pid = self.tpm_pid()
        try:
            if pid and "swtpm" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
                while Path(f"/proc/{pid}/cmdline").read_text():
                    time.sleep(0.005)
        except (FileNotFoundError, ProcessLookupError):
            pass

    def proxy_start(self):
        self.proxy = subprocess.Popen([ROOT / "tests/tools/tpm-proxy", "--listen", self.dir / "proxy.sock", "--to",
                                       self.tpm_dir / "tpm.sock", "--control", self.dir / "proxy.control"])
        while not (self.dir / "proxy.control").exists():
            time.sleep(0.01)

    def meddle(self, *lines):
        """Tell the proxy, see tests/tools/tpm-proxy."""
        return must(ROOT / "tests/tools/tpm-proxy", "--tell", self.dir / "proxy.control", *lines).decode()


class Fold:
    """The log folded in Python as it grows: which values must the PCR have had?"""

    def __init__(self):
        self.seq = 0
        self.before = "0" * 64
        self.values = None
        self.since = []  # (seq, values) from the place where the PCR was last seen

    def add(self, lines):
        """Take the lines that follow; what is wrong with them, or None."""
        for line in lines:
            record = json.loads(line)
            if record["seq"] != self.seq + 1 or record["prev"] != self.before:
                return f"record {record['seq']} does not follow record {self.seq}"
            if record["kind"] == "epoch":
                self.values = {bank: bytes.fromhex(value) for bank, value in record["tpm"]["base"].items()}
                self.since = [(self.seq, dict(self.values))]
            if record.get("extend", True):
                for bank, value in self.values.items():
                    self.values[bank] = hashlib.new(bank, value + hashlib.new(bank, line).digest()).digest()
                self.since.append((record["seq"], dict(self.values)))
            self.seq, self.before = record["seq"], hashlib.sha256(line).hexdigest()
        return None

    def place(self, values):
        """Where in the log the PCR is, which never goes back; or None."""
        for i, (seq, then) in enumerate(self.since):
            if then == values:
                del self.since[:i]
                return seq
        return None


# What the kernel of tests/fault/kernel.h says of loads with a signature.
VERDICTS = {"signed": ["LSM_INT_VERDICT_OK"], "unparsable": ["LSM_INT_VERDICT_BADSIG"]}


def compare(lines, ledger, allowed):
    """Every load that the hooks saw is recorded exactly once with what the kernel said of it, and nothing else
    is. Yields what is not so.

    allowed: the kinds of records that may be there besides those of programs."""
    loads, rejects, unloads, kinds, found_loaded, verdicts = {}, {}, {}, {}, {}, {}
    for line in lines:
        record = json.loads(line)
        kinds[record["kind"]] = kinds.get(record["kind"], 0) + 1
        if record["kind"] in ("load", "reject"):
            place = loads if record["kind"] == "load" else rejects
            place.setdefault(record["program"]["sha256"], []).append(record)
        elif record["kind"] == "baseline":  # of a load that was not over yet: its end may name either record
            found_loaded.setdefault((record["program"]["id"], record["program"]["load_time_ns"]), []).append(record)
        elif record["kind"] == "unload":
            unloads.setdefault(record["program"]["seq"], []).append(record)
        elif record["kind"] == "integrity":
            verdicts.setdefault(record["program"]["seq"], []).append(record)
    for kind in kinds.keys() - {"load", "reject", "unload", "integrity", *allowed}:
        yield f"{kinds[kind]} records of kind {kind}"
    for entry in ledger:
        wanted, other = (rejects, loads) if entry.error else (loads, rejects)
        found = wanted.pop(entry.sha256, [])
        if other.pop(entry.sha256, None):
            yield f"load {entry.load} ({entry.how}) is recorded as what it was not"
        if len(found) != (entry.load != 0):
            yield f"load {entry.load} ({entry.how}, id {entry.id}) is recorded {len(found)} times"
        elif found:
            program = found[0]["program"]
            if program["id"] != (entry.id or None):
                yield f"load {entry.load} is recorded with id {program['id']}, not {entry.id}"
            either = [found[0], *found_loaded.get((program["id"], program["load_time_ns"]), [])]
            words = [verdict["verdict"] for record in either for verdict in verdicts.pop(record["seq"], [])]
            if [word for word in words if word] != VERDICTS.get(entry.how, []):     # a loader that runs gets none
                yield f"of load {entry.load} ({entry.how}) the kernel is recorded to have said {words}"
            ends = sum(len(unloads.pop(record["seq"], [])) for record in either)
            if ends != entry.free_seen and not entry.error:
                yield f"the end of program {entry.id} (record {found[0]['seq']}) is not recorded once"
    for records in (*loads.values(), *rejects.values(), *unloads.values(), *verdicts.values()):
        yield f"record {records[0]['seq']} is of something that never was"
