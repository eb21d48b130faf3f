# SPDX-License-Identifier: BSD-2-Clause
"""The guest's root: cpio archives that the kernel unpacks one after the other.

The base archive holds everything that stays the same between runs. It is cached, and made anew when
one of the files that went into it has changed. Each run appends a small archive of its own.
"""
import json
import os
import re
import stat
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIB = "/usr/lib/x86_64-linux-gnu"

PROGRAMS = ["/usr/bin/tpm2", "/usr/bin/swtpm", "/usr/bin/openssl", "/usr/bin/sqlite3", "/usr/bin/jq"]
OPTIONAL = ["/usr/bin/strace"]

# Libraries that programs open at run time, so that no list of their dependencies shows them.
DLOPENED = [f"{LIB}/libcurl.so.4", f"{LIB}/libtss2-tcti-device.so.0", f"{LIB}/libtss2-tcti-swtpm.so.0",
            f"{LIB}/ossl-modules/legacy.so"]

PYTHON = os.path.basename(os.path.realpath("/usr/bin/python3"))     # python3.11, ...
PYTHON_PACKAGES = [f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"]

DIRECTORIES = ["/dev", "/proc", "/root", "/run", "/state", "/sys", "/tmp", "/var/lib", "/var/log"]

TEXTS = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\n"
                   "bpfmeasure:x:990:990::/:/bin/false\n"
                   "user:x:1000:1000::/tmp:/bin/sh\n"
                   "nobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": "root:x:0:\nbpfmeasure:x:990:\nuser:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


def merged(path):
    """The path with Debian's /bin, /lib, ... followed into /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", os.path.normpath(path))


class Archive:
    """A cpio archive in the making. Parents come by themselves, and what is there already stays."""

    def __init__(self, out, present=(), own_libraries=False):
        self.out = out
        self.own_libraries = own_libraries  # links are kept, and nothing is brought along
        self.paths = set(present)   # in the guest
        self.sources = {}           # on the host, with what tells whether they changed

    def _entry(self, path, mode, data=b"", mtime=0):
        name = path.lstrip("/").encode(errors="surrogateescape") + b"\0"
        fields = (0, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self.out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def _add(self, path, mode, data=b"", mtime=0):
        if path in self.paths:
            return False
        parent = os.path.dirname(path)
        if parent != "/":
            self.directory(parent)
        self.paths.add(path)
        self._entry(path, mode, data, mtime)
        return True

    def directory(self, path):
        self._add(path, stat.S_IFDIR | 0o755)

    def symlink(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def text(self, path, text, mode=0o644):
        self._add(path, stat.S_IFREG | mode, os.fsencode(text))

    def file(self, host, guest):
        """One file of the host, symbolic links followed. A program brings its libraries, unless the guest has its own."""
        guest = merged(guest)
        data = Path(host).read_bytes()
        self.sources[os.path.abspath(host)] = fingerprint(host)
        info = os.stat(host)
        new = self._add(guest, stat.S_IFREG | stat.S_IMODE(info.st_mode), data, int(info.st_mtime))
        if new and not self.own_libraries and data.startswith(b"\x7fELF"):
            for library in libraries(host):
                self.file(library, library)

    def tree(self, host, guest):
        """A file or a whole directory of the host."""
        if self.own_libraries and os.path.islink(host):
            self.symlink(guest, os.readlink(host))
            return
        if not os.path.isdir(host):
            self.file(host, guest)
            return
        self.directory(guest)
        for child in sorted(os.listdir(host)):
            self.tree(os.path.join(host, child), os.path.join(guest, child))

    def close(self):
        self._entry("TRAILER!!!", 0)


def fingerprint(path):
    """What tells whether the file has changed."""
    info = os.stat(path)
    return [info.st_mtime_ns, info.st_size]


def libraries(program):
    """Every library that the program needs, the loader included; none for a static one."""
    ldd = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    missing = re.findall(r"^\s*(\S+) => not found", ldd.stdout, re.M)
    if missing:
        raise FileNotFoundError(f"{program} needs {', '.join(missing)}, which is not installed")
    return re.findall(r"(/\S+) \(0x", ldd.stdout)


def add_python(archive):
    """The interpreter and its library, with the compiled modules: compiling takes long in the guest."""
    tag = "cpython-" + PYTHON.removeprefix("python").replace(".", "")
    listing = subprocess.run(["dpkg-query", "-L", *PYTHON_PACKAGES], capture_output=True, text=True,
                             check=True).stdout
    for path in listing.split("\n"):
        if not path.startswith("/usr/bin") and not path.startswith("/usr/lib") or os.path.isdir(path):
            continue
        archive.file(path, path)
        folder, name = os.path.split(path)
        compiled = f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
        if os.path.exists(compiled):
            archive.file(compiled, compiled)
    archive.symlink("/usr/bin/python3", PYTHON)


def add_base(archive, kernel):
    """Everything but what belongs to one run. Real programs come before busybox's of that name."""
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.directory(f"/usr/{name}")
        archive.symlink(f"/{name}", f"usr/{name}")
    for path in DIRECTORIES:
        archive.directory(path)
    for path, text in TEXTS.items():
        archive.text(path, text, 0o755 if text.startswith("#!") else 0o644)
    archive.file(HERE / "init", "/init")
    archive.file(HERE / "sign-and-load", "/usr/bin/sign-and-load")
    for path in PROGRAMS + DLOPENED + [path for path in OPTIONAL if os.path.exists(path)]:
        archive.file(path, path)
    for path in sorted(Path("/usr/bin").glob("tpm2_*")):
        archive.symlink(str(path), "tpm2")
    archive.file("/etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")
    archive.symlink("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")
    add_python(archive)
    # bpftool comes from another release, and brings its own C library and loader.
    archive.tree(kernel / "bpftool", "/opt/bpftool")
    archive.symlink("/usr/bin/bpftool", "/opt/bpftool/bpftool")
    archive.tree(kernel / "modules", "/modules")
    archive.file("/usr/bin/busybox", "/usr/bin/busybox")
    applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for applet in applets.split():
        archive.symlink(f"/usr/bin/{applet}", "busybox")


def is_current(manifest):
    """Whether every file is still what it was when the archive was made, and none is new."""
    try:
        sources = json.loads(manifest.read_text())["sources"]
        return set(DLOPENED) <= set(sources) and all(fingerprint(path) == was for path, was in sources.items())
    except (OSError, ValueError):
        return False


def base(kernel):
    """Make the base archive of this kernel unless it is there: (the archive, the paths in it).

    The manifest is written last, so that an archive without one is known to be half made. The caller
    holds the kernel's lock.
    """
    image, manifest = kernel / "base.cpio", kernel / "base.json"
    if not is_current(manifest):
        manifest.unlink(missing_ok=True)
        with open(image, "wb") as out:
            archive = Archive(out)
            archive.sources[__file__] = fingerprint(__file__)
            add_base(archive, kernel)
            archive.close()
        manifest.write_text(json.dumps({"sources": archive.sources, "paths": sorted(archive.paths)}))
    return image, json.loads(manifest.read_text())["paths"]
