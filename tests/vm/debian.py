# SPDX-License-Identifier: BSD-2-Clause
"""Debian systems for the guest, made by Debian's own tools: a root file system, its kernel and its initramfs.

In the cache is the tree as mmdebstrap made it, and a disk image of it. The image is never written to. A run brings
what is its own in the initramfs, below /vm, and a script of the initramfs copies that over the root (debian/copy).
Making it takes root, and so does an initramfs made anew.
"""
import contextlib
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = {"12": "bookworm", "13": "trixie"}
SYSUSERS = HERE.parent.parent / "init/sysusers.conf"
DISK_BYTES = 2 << 30

PACKAGES = """
systemd systemd-sysv dbus udev initramfs-tools busybox linux-image-cloud-amd64
bpftrace libbpf-tools bpfcc-tools linux-headers-cloud-amd64 bpftool iproute2
tpm2-tools procps jq python3-minimal
libaudit1 libbpf1 libcap-ng0 libcurl4t64 libevent-2.1-7t64 libevent-openssl-2.1-7t64 libinih1 libjansson4
libseccomp2 libsmartcols1 libsqlite3-0 libtss2-esys-3.0.2-0t64 libtss2-mu-4.0.1-0t64 libtss2-rc0t64
libtss2-tcti-device0t64
""".split()

# A machine that somebody may install bpfmeasure on, and by what it can be watched.
FRESH = """
systemd systemd-sysv dbus udev initramfs-tools busybox linux-image-cloud-amd64 adduser bpftool procps
""".split()

# What no test looks at, by the paths in packages: compilers come with the kernel's headers.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/ieee-data/*",
            "/usr/libexec/gcc/*", "/usr/lib/gcc/*",
            # The disk's driver is built in: no udev in the initramfs, which takes seconds.
            "/usr/share/initramfs-tools/hooks/udev", "/usr/share/initramfs-tools/scripts/*/udev"]

# Ours in the tree: from tests/vm/debian, with the mode.
FILES = {
    "vm.service": ("/etc/systemd/system/vm.service", 0o644),
    "command": ("/usr/lib/vm/command", 0o755),
    "report": ("/usr/lib/vm/report", 0o755),
    "copy": ("/etc/initramfs-tools/scripts/init-bottom/vm", 0o755),
    "initramfs.conf": ("/etc/initramfs-tools/conf.d/vm", 0o644),
}

# Takes time, and does nothing for a machine that lives for a minute.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "getty.target",
          "systemd-tmpfiles-clean.timer", "systemd-udev-trigger.service", "systemd-hwdb-update.service",
          "systemd-journal-catalog-update.service", "systemd-journal-flush.service", "ldconfig.service",
          "systemd-update-done.service", "systemd-firstboot.service", "systemd-pstore.service",
          "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-random-seed.service",
          "systemd-machine-id-commit.service", "dev-hugepages.mount", "dev-mqueue.mount",
          "sys-fs-fuse-connections.mount", "systemd-hibernate-clear.service"]


def mirror():
    """The mirror of Debian in the system's own apt sources."""
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)",
                              "Created-By: Packages"], capture_output=True, text=True, check=True).stdout
    for line in targets.splitlines():
        release, component, uri = line.split()
        if release in ("bookworm", "trixie", "stable") and component == "main":
            return uri
    raise OSError("the system's apt sources name no mirror of Debian 12 or 13")


def make_tree(tree, suite, packages, left_out):
    exclude = [f"--dpkgopt=path-exclude={path}" for path in left_out]
    made = subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", *exclude,
         '--aptopt=Apt::Install-Recommends "false"', suite, tree, f"deb {mirror()} {suite} main"],
        capture_output=True, text=True, check=False)
    if made.returncode:
        raise OSError(f"mmdebstrap failed: {made.stderr.strip()[-500:]}")


def add_ours(tree, masked=MASKED):
    for name, (guest, mode) in FILES.items():
        path = tree / guest.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "debian" / name, path)
        path.chmod(mode)
    (tree / "etc/hostname").write_text("vm\n")
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    subprocess.run(["systemctl", f"--root={tree}", "--quiet", "mask", *masked], check=True)
    subprocess.run(["systemctl", f"--root={tree}", "--quiet", "enable", "vm.service"], check=True)


def fingerprint():
    """Of everything that the system is made from, but for the packages' own versions."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(SYSUSERS.read_bytes())
    for name in FILES:
        digest.update((HERE / "debian" / name).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def made_anew(system):
    """Yields the folder's tree to be made, where it was not made from the same; None where it was."""
    made = system / "made"
    if made.exists() and made.read_text() == fingerprint():
        yield None
        return
    if os.geteuid():
        raise OSError("a Debian system can only be made by root")
    shutil.rmtree(system, ignore_errors=True)
    system.mkdir()
    yield system / "root"
    made.write_text(fingerprint())


def take_kernel(system):
    """What starts the machine: vmlinuz, initrd, version."""
    tree = system / "root"
    release = next((tree / "usr/lib/modules").iterdir()).name
    (system / "version").write_text(release)
    shutil.copyfile(tree / f"boot/vmlinuz-{release}", system / "vmlinuz")
    make_initramfs([tree], system, system / "initrd")


def make_disk(tree, disk):
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tree, disk, str(DISK_BYTES // 1024)],
                   check=True)


def prepare(cache):
    """The folder with a Debian 13 for programs of others, to which a run adds bpfmeasure: root/, root.ext4, vmlinuz,
    initrd, version. The caller holds a lock."""
    system = cache / "debian-13"
    with made_anew(system) as tree:
        if tree:
            make_tree(tree, SUITES["13"], PACKAGES, LEFT_OUT)
            subprocess.run(["chroot", tree, "systemd-sysusers", "-"], input=SYSUSERS.read_text(), text=True, check=True)
            add_ours(tree)
            take_kernel(system)
            make_disk(tree, system / "root.ext4")
    return system


def prepare_fresh(cache, release):
    """The folder with a Debian 12 or 13 that has nothing of bpfmeasure, and no disk yet: root/, vmlinuz, initrd, version.
    The caller holds a lock."""
    system = cache / f"debian-{release}-fresh"
    with made_anew(system) as tree:
        if tree:
            make_tree(tree, SUITES[release], FRESH, [path for path in LEFT_OUT if "initramfs-tools" in path])
            add_ours(tree, [unit for unit in MASKED if unit != "systemd-udev-trigger.service"])
            take_kernel(system)
    return system


def make_initramfs(trees, system, initrd):
    """By Debian's own mkinitramfs, in a root that is these trees, the first on top, and stays as it is."""
    release = (system / "version").read_text()
    script = ('mount -t tmpfs tmpfs "$2" && mkdir "$2/up" "$2/work" "$2/all" && '
              'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/all" && '
              'mount -t proc proc "$2/all/proc" && '
              'chroot "$2/all" /usr/sbin/mkinitramfs -o /initrd "$3" && cp "$2/all/initrd" "$4"')
    place = initrd.parent / "mkinitramfs"
    place.mkdir()
    made = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", ":".join(map(str, trees)), place, release,
                           initrd], capture_output=True, text=True, check=False)
    place.rmdir()
    if made.returncode:
        raise OSError(f"mkinitramfs failed: {(made.stdout + made.stderr).strip()[-500:]}")
