# SPDX-License-Identifier: BSD-2-Clause
"""The attestation server on its own: a measurer that is made up (tests/tools/fake-channel.c) and clients."""
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from harness import BUILD, ROOT, Results, must  # noqa: F401, E402 (the suites use them)

NONCE = "5a" * 32
ZEROS = "00" * 32
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Answer:
    """What curl saw."""

    def __init__(self, done):
        self.exit = done.returncode
        self.said = done.stderr.decode(errors="replace")
        head, _, self.body = done.stdout.decode(errors="replace").rpartition("\r\n\r\n")
        self.head = head.rpartition("HTTP/1.1 ")[2]
        self.code = int(self.head[:3]) if self.head[:3].isdigit() else 0

    def header(self, name):
        found = re.search(rf"^{name}: (.*?)\r?$", self.head, re.M | re.I)
        return found[1] if found else None

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    def lines(self):
        return self.body.split("\n")[:-1]


class Server:
    """The server's process and its measurer, in a directory of their own."""

    unclean = []  # servers that did not end in order when they were told to

    def __init__(self, log, san=False, **settings):
        self.temporary = tempfile.TemporaryDirectory(prefix="http-")
        self.dir = Path(self.temporary.name)
        self.log = log
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.program = BUILD / ("san/" if san else "") / "tests/http/fake-channel"
        self.settings = {"listen": f"127.0.0.1:{self.port}", "metrics_listen": f"127.0.0.1:{self.metrics_port}",
                         "socket": self.dir / "socket", "dir": self.dir / "tls", "group": "nogroup"}
        self.process = None
        self.start(**settings)

    def start(self, **settings):
        self.settings.update(settings)
        words = [f"{key}={value}" for key, value in self.settings.items()]
        with open(self.dir / "said", "ab") as said:
            self.process = subprocess.Popen([self.program, self.log, *words], stdout=subprocess.PIPE, stderr=said)
        if self.process.stdout.readline() != b"ready\n":
            sys.exit(f"fake-channel: {self.said()}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            self.pid = int(children.read().split()[0])  # of the server itself

    def said(self):
        return (self.dir / "said").read_text(errors="replace")

    def end(self):
        """Returns how the server ended by itself, or None where it had to be told."""
        code = self.process.poll()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(20) and code is None:
            Server.unclean.append(f"exit {self.process.returncode}: {self.said()[-300:]}")
        self.process.stdout.close()
        return code

    def restart(self, **settings):
        self.end()
        self.start(**settings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.temporary.cleanup()

    def curl(self, path, *words, url=None):
        command = ["curl", "-sSki", "--http1.1", "--max-time", "20", *words, (url or self.url) + path]
        return Answer(subprocess.run(command, capture_output=True, check=False))

    def local(self, path, *words):
        return self.curl(path, "--unix-socket", self.dir / "socket", *words, url="http://localhost")

    def post(self, path, body, *words):
        return self.curl(path, "-d", body if isinstance(body, str) else json.dumps(body), *words)

    def metrics(self):
        answer = self.curl("/metrics", url=f"http://127.0.0.1:{self.metrics_port}")
        return dict(line.rsplit(" ", 1) for line in answer.lines() if not line.startswith("#"))

    def memory_kib(self, what="VmHWM"):
        found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1])

    # ---- clients that are no curl ----

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def tls(self, sock=None):
        sock = sock or self.connect()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return CONTEXT.wrap_socket(sock)

    def s_client(self, request, *words):
        """`openssl s_client`, which sends one request and waits for the answer."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-ign_eof", *words]
        done = subprocess.run(command, input=request.encode(), capture_output=True, timeout=30, check=False)
        return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def request_of(path, body=None, *headers):
    method = "GET" if body is None else "POST"
    lines = [f"{method} {path} HTTP/1.1", "Host: attester", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines) + "\r\n\r\n" + (body or "")


def closes_within(sock, seconds):
    """Whether the other end closes in that time, whatever it says before."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            sock.settimeout(max(0.01, deadline - time.monotonic()))
            if not sock.recv(1 << 16):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def make_log(path, records):
    must(BUILD / "tests/bench/make-log", path, records)


def records_of(path):
    """The lines of a log, by number."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return {seq: bytes(line).decode() for seq, line in database.execute("SELECT seq, line FROM record")}


def raise_files():
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


os.environ.pop("https_proxy", None)
os.environ.pop("http_proxy", None)
