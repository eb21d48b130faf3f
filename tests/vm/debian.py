# SPDX-License-Identifier: BSD-2-Clause
"""A Debian 13 system for the guest, made by Debian's own tools: a root file system, its kernel and its initramfs.

In the cache is the tree as mmdebstrap made it, and a disk image of it. The image is never written to. A run brings
what is its own in the initramfs, below /vm, and a script of the initramfs copies that over the root (debian/copy).
Making it takes root, and so does an initramfs made anew.
"""
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = "trixie"
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
        if release in ("bookworm", "stable") and component == "main":
            return uri
    raise OSError("the system's apt sources name no mirror of Debian bookworm")


def make_tree(tree):
    exclude = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    made = subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}", *exclude,
         '--aptopt=Apt::Install-Recommends "false"', SUITE, tree, f"deb {mirror()} {SUITE} main"],
        capture_output=True, text=True, check=False)
    if made.returncode:
        raise OSError(f"mmdebstrap failed: {made.stderr.strip()[-500:]}")


def add_ours(tree):
    for name, (guest, mode) in FILES.items():
        path = tree / guest.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "debian" / name, path)
        path.chmod(mode)
    (tree / "etc/hostname").write_text("vm\n")
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    subprocess.run(["chroot", tree, "systemd-sysusers", "-"], input=SYSUSERS.read_text(), text=True, check=True)
    subprocess.run(["systemctl", f"--root={tree}", "--quiet", "mask", *MASKED], check=True)
    subprocess.run(["systemctl", f"--root={tree}", "--quiet", "enable", "vm.service"], check=True)


def fingerprint():
    """Of everything that the system is made from, but for the packages' own versions."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(SYSUSERS.read_bytes())
    for name in FILES:
        digest.update((HERE / "debian" / name).read_bytes())
    return digest.hexdigest()


def prepare(cache):
    """The folder with the system: root/, root.ext4, vmlinuz, initrd, version. The caller holds a lock."""
    system = cache / "debian-13"
    made = system / "made"
    if made.exists() and made.read_text() == fingerprint():
        return system
    if os.geteuid():
        raise OSError("a Debian system can only be made by root")
    shutil.rmtree(system, ignore_errors=True)
    system.mkdir()
    tree = system / "root"
    make_tree(tree)
    add_ours(tree)
    release = next((tree / "usr/lib/modules").iterdir()).name
    (system / "version").write_text(release)
    shutil.copyfile(tree / f"boot/vmlinuz-{release}", system / "vmlinuz")
    make_initramfs([tree], system, system / "initrd")
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tree, system / "root.ext4",
                    str(DISK_BYTES // 1024)], check=True)
    made.write_text(fingerprint())
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
