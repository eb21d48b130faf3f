# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end tests share in the guest: bpf(2) by hand, and the daemon."""
import ctypes
import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

SYS_ADD_KEY, SYS_BPF = 248, 321
SESSION_KEYRING = -3
MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_TEST_RUN, OBJ_GET_INFO_BY_FD, MAP_FREEZE = \
    0, 2, 5, 6, 7, 10, 15, 22
SOCKET_FILTER, SYSCALL, ARRAY = 1, 31, 2
# union bpf_attr, BPF_PROG_LOAD
PROG_FLAGS, PROG_NAME, ATTACH_TYPE, TOKEN, SIGNATURE, LOAD_SIZE = 44, 48, 68, 144, 152, 168
SLEEPABLE, WITH_TOKEN = 1 << 4, 1 << 16
RETURN_ZERO = struct.pack("<BBhi", 0xb7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)

CONF = Path("/etc/bpfmeasure/agent.conf")
DATABASE = Path("/var/lib/bpfmeasure/log.db")

libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def bpf(command, attributes):
    return syscall(SYS_BPF, command, attributes, len(attributes))


def buffer(data):
    return ctypes.create_string_buffer(data, len(data))


class Load:
    """A BPF_PROG_LOAD made ready, so that nothing but the call itself takes time."""

    def __init__(self, name, insns, signature=b"", keyring=SESSION_KEYRING, kind=SOCKET_FILTER, attach=0, token=None):
        self.insns, self.licence, self.signature = buffer(insns), buffer(b"GPL\0"), buffer(signature)
        attributes = bytearray(LOAD_SIZE if signature else SIGNATURE)
        struct.pack_into("<IIQQ", attributes, 0, kind, len(insns) // 8,
                         ctypes.addressof(self.insns), ctypes.addressof(self.licence))
        struct.pack_into("15s", attributes, PROG_NAME, name.encode())
        struct.pack_into("<I", attributes, ATTACH_TYPE, attach)
        struct.pack_into("<I", attributes, PROG_FLAGS, SLEEPABLE if kind == SYSCALL else 0)
        if token is not None:
            struct.pack_into("<I", attributes, PROG_FLAGS, WITH_TOKEN)
            struct.pack_into("<i", attributes, TOKEN, token)
        if signature:
            struct.pack_into("<QIi", attributes, SIGNATURE, ctypes.addressof(self.signature), len(signature),
                             keyring)
        self.attributes = bytes(attributes)

    def run(self):
        """The new program's file descriptor."""
        return bpf(PROG_LOAD, self.attributes)


def program_info(program):
    """id, tag, load_time of a program that is open."""
    info = ctypes.create_string_buffer(48)
    bpf(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", program, len(info), ctypes.addressof(info)))
    number, tag, load_time = struct.unpack_from("<4xI8s24xQ", info.raw)
    return number, tag.hex(), load_time


def map_set(fd, index, value):
    key, content = buffer(struct.pack("<I", index)), buffer(value)
    bpf(MAP_UPDATE_ELEM, struct.pack("<IxxxxQQQ", fd, ctypes.addressof(key), ctypes.addressof(content), 0))


def frozen_map(name, value_size, values):
    """An array that user space cannot write any more."""
    fd = bpf(MAP_CREATE, struct.pack("<IIIIIII15sx", ARRAY, 4, value_size, len(values), 0, 0, 0, name.encode()))
    for index, value in enumerate(values):
        map_set(fd, index, value)
    bpf(MAP_FREEZE, struct.pack("<I", fd))
    return fd


def pin(fd, path):
    name = buffer(os.fsencode(path) + b"\0")
    bpf(OBJ_PIN, struct.pack("<QII", ctypes.addressof(name), fd, 0))


def pinned(path):
    name = buffer(os.fsencode(path) + b"\0")
    return bpf(OBJ_GET, struct.pack("<QII", ctypes.addressof(name), 0, 0))


def add_to_session_keyring(der):
    syscall(SYS_ADD_KEY, b"asymmetric", b"signer", der, len(der), SESSION_KEYRING)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def saving(directory, *command):
    """Run a command that uses libbpf, and keep in a new directory what it hands to bpf(2): tests/tools/savebpf.c."""
    directory.mkdir()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "SAVEBPF": str(directory), "LD_PRELOAD": "/t/savebpf.so"}) as process:
        said = process.communicate()[1]
    return {"pid": process.pid, "code": process.returncode, "said": said}


def generate(header, *words):
    """What bpftool would have others compile in: reference values are made from it."""
    with open(header, "w", encoding="ascii") as file:
        subprocess.run(["bpftool", "gen", "skeleton", "-L", *words], check=True, stdout=file)


def save_pcrs(directory):
    """The PCR of each bank as sysfs has it, into pcr-BANK."""
    for bank in ("sha256", "sha384"):
        (directory / f"pcr-{bank}").write_text(Path(f"/sys/class/tpm/tpm0/pcr-{bank}/13").read_text())


def save_ak(directory):
    """The attestation key's public half, by tpm2-tools, into ak.public."""
    subprocess.run(["tpm2", "readpublic", "-Q", "-c", "0x81020013", "-o", str(directory / "ak.public")], check=True,
                   stdout=subprocess.DEVNULL)


class Daemon:
    """bpfmeasured, with its configuration in CONF and its words in a file."""

    def __init__(self, words, conf=""):
        for directory in (CONF.parent, DATABASE.parent, Path("/run/bpfmeasure")):
            directory.mkdir(parents=True, exist_ok=True)
        CONF.write_text(conf)
        self.words = open(words, "ab")
        self.process = None

    def start(self, **environment):
        self.process = subprocess.Popen(["bpfmeasured"], stderr=self.words, env={**os.environ, **environment})

    def status(self):
        """What status --json says, None where it cannot say anything."""
        done = subprocess.run(["bpfmeasure", "status", "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        return json.loads(done.stdout) if done.stdout else None

    def wait_until(self, state, seconds=120):
        """Wait for a state in which every record is extended; returns the status, or None after so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            status = self.status() if Path("/run/bpfmeasure/measurer.sock").exists() else None
            if status and status["state"] == state and status["extended_seq"] == status["last_seq"]:
                return status
            time.sleep(0.05)
        return None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()
