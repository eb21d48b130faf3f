# SPDX-License-Identifier: BSD-2-Clause
"""Every way of attaching that is tested: a function each, which attaches, yields while it is, and takes away.
What a record has to say of it is told to `told`; nothing here asks our own programs."""
import contextlib
import ctypes
import json
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import attach_calls as calls
import guest

# enum bpf_prog_type
SOCKET_FILTER, KPROBE, SCHED_CLS, TRACEPOINT, XDP, PERF_EVENT, CGROUP_SKB, SK_SKB, CGROUP_DEVICE = 1, 2, 3, 5, 6, 7, 8, 14, 15
SK_MSG, RAW_TRACEPOINT, SK_REUSEPORT, FLOW_DISSECTOR, SK_LOOKUP, NETFILTER = 16, 17, 21, 22, 30, 32
PROG_ARRAY, DEVMAP, SOCKMAP = 3, 14, 15     # enum bpf_map_type
# What bpf_link_info's type is called: enum bpf_link_type.
LINK_TYPES = {1: "raw_tracepoint", 2: "tracing", 3: "cgroup", 4: "iter", 5: "netns", 6: "xdp", 7: "perf_event",
              8: "kprobe_multi", 9: "struct_ops", 10: "netfilter", 11: "tcx", 12: "uprobe_multi", 13: "netkit",
              14: "sockmap"}
NEWNET = 0x40000000
CGROUPS = Path("/sys/fs/cgroup")
RACES = 30
NOBODY = {}     # no task's doing


class Told:
    """What is to be in the records of one way, in order."""

    def __init__(self, name, pins):
        self.name, self.pins, self.events, self.counts, self.count = name, pins, [], [], 0
        self.by = {"pid": os.getpid(), "comm": Path("/proc/self/comm").read_text().rstrip("\n"),
                   "exe": os.readlink("/proc/self/exe")}

    def load(self, kind, attach_type=None):
        """A program of this way alone."""
        self.count += 1
        name = f"{self.name[:12]}_{self.count}"
        return guest.Load(name, guest.RETURN_ZERO, kind=kind, attach=calls.TYPES.get(attach_type, 0)).run()

    def pinned(self, name):
        """One that libbpf loaded."""
        return guest.pinned(self.pins / name)

    def attach(self, via, program, target, attach_type=None, link=None, replaces=None, by=None):
        """program: a descriptor or an id. link: a descriptor. replaces: what was told of the one before."""
        event = {"kind": "attach", "at": len(self.events), "program": self.number(program), "via": via,
                 "attach_type": attach_type, "target": target, "how": "new", "link": None, "replaced": None,
                 "by": by or self.by}
        if isinstance(link, dict):
            event["link"] = link
        elif link is not None:
            kind, number, program_id = calls.link_facts(link)
            if event["program"] != program_id:
                raise SystemExit(f"{self.name}: the link has program {program_id}")
            event["link"] = {"id": number, "type": LINK_TYPES[kind]}
        if replaces is not None:
            self.detach(replaces, "replaced")
            event |= {"at": len(self.events), "how": "update", "replaced": replaces["program"]}
        self.events.append(event)
        return event

    def linked(self, program, link, target, attach_type=None, **more):
        return self.attach("link", program, target, attach_type, link, **more)

    def detach(self, event, why, by=None):
        self.events.append({"kind": "detach", "why": why, "of": event["at"],
                            "by": None if by is NOBODY else by or self.by})

    def close(self, link, event):
        os.close(link)
        self.detach(event, "closed")

    @staticmethod
    def number(program):
        return program["id"] if isinstance(program, dict) else guest.program_info(program)[0]


def named(kind, name, **more):
    return {"type": kind, "name": name, **more}


def interface(name, index):
    return {"type": "interface", "name": name, "id": index}


# ---- tracing ----

def fentry(told):
    """By BPF_RAW_TRACEPOINT_OPEN, as libbpf did for long."""
    program = told.pinned("at_entry")
    link = calls.raw_tracepoint_open(program)
    event = told.linked(program, link, named("function", "security_bprm_check"), "trace_fentry")
    yield
    told.close(link, event)


def of_link(name, target, attach_type):
    """A program of libbpf's, which knows its target, by BPF_LINK_CREATE."""
    def way(told):
        program = told.pinned(name)
        link = calls.link_create(program, 0, attach_type)
        event = told.linked(program, link, target, attach_type)
        yield
        told.close(link, event)
    return way


def raw_tp(told):
    program = told.load(RAW_TRACEPOINT)
    link = calls.raw_tracepoint_open(program, "sched_process_exit")
    event = told.linked(program, link, named("tracepoint", "sched_process_exit"))
    yield
    told.close(link, event)


def tp_btf(told):
    program = told.pinned("at_tracepoint")
    link = calls.raw_tracepoint_open(program)
    event = told.linked(program, link, named("tracepoint", "sched_process_exit"), "trace_raw_tp")
    yield
    told.close(link, event)


def replaces_function(told):
    program, target = told.pinned("other_verdict"), told.pinned("with_a_verdict")
    link = calls.link_create(program, 0, None)
    event = told.linked(program, link, named("program", "verdict", id=told.number(target)))
    yield
    told.close(link, event)


# ---- perf events ----

UPROBE_AT = 0x40


def executable():
    """A file to put a probe into, at an offset that only has to be one of its own."""
    return os.path.realpath("/usr/bin/tpm2")


def text_offset(path):
    """Where the executable segment of an ELF file begins."""
    data = Path(path).read_bytes()
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for at in range(offset, offset + size * count, size):
        kind, flags, start = struct.unpack_from("<IIQ", data, at)
        if kind == 1 and flags & 1:
            return start + UPROBE_AT
    raise SystemExit(f"{path} has no code")


PERF = {
    "kprobe": (KPROBE, lambda: (calls.kprobe("security_bprm_check"), named("function", "security_bprm_check"))),
    "tracepoint": (TRACEPOINT, lambda: (calls.tracepoint("sched/sched_process_exit"),
                                        named("tracepoint", "sched_process_exit"))),
    "syscall_tracepoint": (TRACEPOINT, lambda: (calls.tracepoint("syscalls/sys_enter_kexec_load"),
                                                named("tracepoint", "sys_enter_kexec_load"))),
    "uprobe": (KPROBE, lambda: (calls.uprobe(executable(), text_offset(executable())),
                                named("uprobe", executable()))),
    "sampling": (PERF_EVENT, lambda: (calls.Perf(1, 2), named("perf_event", "1/2"))),     # page faults
}


def perf_link(which):
    def way(told):
        kind, make = PERF[which]
        program, (perf, target) = told.load(kind), make()
        link = calls.link_create(program, perf.fd, "perf_event")
        event = told.linked(program, link, target, "perf_event")
        yield
        told.close(link, event)
    return way


def perf_ioctl(which):
    def way(told):
        kind, make = PERF[which]
        program, (perf, target) = told.load(kind), make()
        perf.set_program(program)
        event = told.attach("perf_event", program, target)
        yield
        told.close(perf.fd, event)
    return way


def kprobe_multi(told):
    program = told.load(KPROBE, "trace_kprobe_multi")
    names = [guest.buffer(name + b"\0") for name in (b"security_bprm_check", b"security_bprm_creds_for_exec")]
    symbols = guest.buffer(struct.pack("<QQ", *map(ctypes.addressof, names)))
    link = calls.link_create(program, 0, "trace_kprobe_multi",
                             struct.pack("<IIQQQ", 0, 2, ctypes.addressof(symbols), 0, 0))
    event = told.linked(program, link, {"type": "function", "count": 2}, "trace_kprobe_multi")
    yield
    told.close(link, event)


def uprobe_multi(told):
    program = told.load(KPROBE, "trace_uprobe_multi")
    path = guest.buffer(executable().encode() + b"\0")
    offsets = guest.buffer(struct.pack("<QQ", text_offset(executable()), text_offset(executable()) + 16))
    link = calls.link_create(program, 0, "trace_uprobe_multi", struct.pack(
        "<QQQQII", ctypes.addressof(path), ctypes.addressof(offsets), 0, 0, 2, 0) + bytes(8))
    event = told.linked(program, link, named("uprobe", executable(), count=2), "trace_uprobe_multi")
    yield
    told.close(link, event)


# ---- control groups and namespaces ----

def cgroup(told):
    """A new one: where it is, what records say of it, a descriptor."""
    path = CGROUPS / f"{told.pins.name}-{told.name}"
    path.mkdir()
    return {"type": "cgroup", "name": f"/{path.name}", "id": path.stat().st_ino}, os.open(path, os.O_RDONLY), path


def cgroup_link(told):
    """Twice in one place; one program then takes the place of another."""
    target, fd, _ = cgroup(told)
    first, other, new = (told.load(CGROUP_SKB, "cgroup_inet_ingress") for _ in range(3))
    links = [calls.link_create(program, fd, "cgroup_inet_ingress") for program in (first, other)]
    events = [told.linked(program, link, target, "cgroup_inet_ingress") for program, link in zip((first, other), links)]
    calls.link_update(links[0], new)
    events[0] = told.linked(new, links[0], target, "cgroup_inet_ingress", replaces=events[0])
    yield
    told.close(links[1], events[1])
    told.close(links[0], events[0])


def cgroup_link_any(told):
    """The program says nothing of where it is for: only the link does."""
    target, fd, _ = cgroup(told)
    program = told.load(CGROUP_DEVICE)
    link = calls.link_create(program, fd, "cgroup_device")
    event = told.linked(program, link, target, "cgroup_device")
    yield
    told.close(link, event)


def cgroup_link_detach(told):
    """BPF_LINK_DETACH, after which the link is there still, and attaches nothing."""
    target, fd, _ = cgroup(told)
    program = told.load(CGROUP_SKB, "cgroup_inet_egress")
    link = calls.link_create(program, fd, "cgroup_inet_egress")
    event = told.linked(program, link, target, "cgroup_inet_egress")
    yield
    calls.link_detach(link)
    told.detach(event, "asked")
    os.close(link)


def cgroup_attach(told):
    """BPF_PROG_ATTACH of two with BPF_F_ALLOW_MULTI, and of a third alone, whose place is taken."""
    target, fd, _ = cgroup(told)
    programs = [told.load(CGROUP_SKB, "cgroup_inet_egress") for _ in range(2)]
    events = []
    for program in programs:
        calls.prog_attach(program, fd, "cgroup_inet_egress", calls.ALLOW_MULTI)
        events.append(told.attach("prog_attach", program, target, "cgroup_inet_egress"))
    old, new = (told.load(CGROUP_DEVICE, "cgroup_device") for _ in range(2))
    calls.prog_attach(old, fd, "cgroup_device")
    alone = told.attach("prog_attach", old, target, "cgroup_device")
    calls.prog_attach(new, fd, "cgroup_device")
    alone = told.attach("prog_attach", new, target, "cgroup_device", replaces=alone)
    yield
    for program, event in zip(programs, events):
        calls.prog_detach(program, fd, "cgroup_inet_egress")
        told.detach(event, "asked")
    calls.prog_detach(0, fd, "cgroup_device")
    told.detach(alone, "asked")


def own_netns():
    guest.syscall(272, NEWNET)
    return {"type": "netns", "id": os.stat("/proc/self/ns/net").st_ino}, os.open("/proc/self/ns/net", os.O_RDONLY)


def netns_link(told):
    target, fd = own_netns()
    program, new = (told.load(SK_LOOKUP, "sk_lookup") for _ in range(2))
    link = calls.link_create(program, fd, "sk_lookup")
    event = told.linked(program, link, target, "sk_lookup")
    calls.link_update(link, new)
    event = told.linked(new, link, target, "sk_lookup", replaces=event)
    yield
    told.close(link, event)


def netns_attach(told):
    target, _ = own_netns()
    program = told.load(FLOW_DISSECTOR)
    calls.prog_attach(program, 0, "flow_dissector")
    event = told.attach("prog_attach", program, target, "flow_dissector")
    yield
    calls.prog_detach(program, 0, "flow_dissector")
    told.detach(event, "asked")


# ---- interfaces ----

def veth(told):
    name = f"{told.pins.name[0]}{told.name}"[:15]
    index = calls.make_veth(name, name[:14] + "+")
    return index, interface(name, index)


def xdp_link(told):
    index, target = veth(told)
    program, new = (told.load(XDP, "xdp") for _ in range(2))
    link = calls.link_create(program, index, "xdp", flags=2)
    event = told.linked(program, link, target, "xdp")
    calls.link_update(link, new)
    event = told.linked(new, link, target, "xdp", replaces=event)
    yield
    told.close(link, event)


def xdp_netlink(told):
    index, target = veth(told)
    old, new = told.load(XDP), told.load(XDP)
    calls.xdp_set(index, old)
    event = told.attach("netlink", old, target, "xdp")
    calls.xdp_set(index, new)
    event = told.attach("netlink", new, target, "xdp", replaces=event)
    yield
    calls.xdp_set(index, -1)
    told.detach(event, "asked")


def tcx_link(told):
    index, target = veth(told)
    program = told.load(SCHED_CLS)
    link = calls.link_create(program, index, "tcx_ingress", bytes(16))
    event = told.linked(program, link, target, "tcx_ingress")
    yield
    told.close(link, event)


def tcx_attach(told):
    index, target = veth(told)
    program = told.load(SCHED_CLS)
    calls.prog_attach(program, index, "tcx_egress")
    event = told.attach("prog_attach", program, target, "tcx_egress")
    yield
    calls.prog_detach(program, index, "tcx_egress")
    told.detach(event, "asked")


def netkit_link(told):
    name = f"{told.pins.name[0]}netkit"
    index = calls.make_netkit(name, name + "+")
    program = told.load(SCHED_CLS)
    link = calls.link_create(program, index, "netkit_primary", bytes(16))
    event = told.linked(program, link, interface(name, index), "netkit_primary")
    yield
    told.close(link, event)


def tc_netlink(told):
    """cls_bpf: the program is in a filter's hands, and another takes its place."""
    index, target = veth(told)
    old, new = told.load(SCHED_CLS), told.load(SCHED_CLS)
    calls.make_clsact(index)
    calls.filter_add(index, old)
    event = told.attach("netlink", old, target)
    calls.filter_add(index, new, calls.CREATE)
    event = told.attach("netlink", new, target, replaces=event)
    yield
    calls.filter_delete(index)
    told.detach(event, "asked")


def xdp_devmap(told):
    """A program that runs for an entry of a map of devices."""
    index, _ = veth(told)
    program, devices = told.load(XDP, "xdp_devmap"), calls.map_create(DEVMAP, 4, 8, 1)
    guest.map_set(devices, 0, struct.pack("<II", index, program))
    told.attach("other", program, {"type": "unknown"}, "xdp_devmap")
    yield


def interface_gone(told):
    """What is attached to an interface ends with it."""
    index, target = veth(told)
    program, other = told.load(XDP), told.load(XDP, "xdp")
    calls.xdp_set(index, program)
    by_netlink = told.attach("netlink", program, target, "xdp")
    peer = socket.if_nametoindex(target["name"][:14] + "+")
    link = calls.link_create(other, peer, "xdp", flags=2)
    by_link = told.linked(other, link, interface(target["name"][:14] + "+", peer), "xdp")
    yield
    calls.delete_link(index)
    told.detach(by_netlink, "asked")
    told.close(link, by_link)


def netfilter(told):
    own_netns()     # it drops what comes there
    program = told.load(NETFILTER, "netfilter")
    link = calls.link_create(program, 0, "netfilter", struct.pack("<IIiI", 2, 1, -128, 0))
    event = told.linked(program, link, named("netfilter", "2/1"), "netfilter")
    yield
    told.close(link, event)


# ---- maps ----

def sockmap_attach(told):
    sockets = calls.map_create(SOCKMAP, 4, 4, 1)
    target = {"type": "map", "id": calls.map_id(sockets)}
    programs = {"sk_msg_verdict": told.load(SK_MSG), "sk_skb_stream_verdict": told.load(SK_SKB)}
    events = {}
    for attach_type, program in programs.items():
        calls.prog_attach(program, sockets, attach_type)
        events[attach_type] = told.attach("prog_attach", program, target, attach_type)
    yield
    for attach_type, program in programs.items():
        calls.prog_detach(program, sockets, attach_type)
        told.detach(events[attach_type], "asked")


def sockmap_link(told):
    sockets = calls.map_create(SOCKMAP, 4, 4, 1)
    program = told.load(SK_MSG)
    link = calls.link_create(program, sockets, "sk_msg_verdict")
    event = told.linked(program, link, {"type": "map", "id": calls.map_id(sockets)}, "sk_msg_verdict")
    yield
    told.close(link, event)


def prog_array(told):
    array = calls.map_create(PROG_ARRAY, 4, 4, 4)
    target = {"type": "map", "id": calls.map_id(array)}
    old, new = told.load(XDP), told.load(XDP)
    guest.map_set(array, 2, struct.pack("<I", old))
    event = told.attach("prog_array", old, target | {"index": 2})
    guest.map_set(array, 2, struct.pack("<I", new))
    event = told.attach("prog_array", new, target | {"index": 2}, replaces=event)
    guest.map_set(array, 3, struct.pack("<I", old))
    other = told.attach("prog_array", old, target | {"index": 3})
    yield
    calls.map_delete(array, 2)
    told.detach(event, "asked")
    os.close(array)     # what is left in it goes later, when no task is at it
    told.detach(other, "closed", NOBODY)


# ---- sockets ----

def a_socket(one):
    return named("socket", "2/17", id=os.fstat(one.fileno()).st_ino)


def socket_filter(told):
    one, program = calls.bound(), told.load(SOCKET_FILTER)
    one.setsockopt(socket.SOL_SOCKET, calls.SO_ATTACH_BPF, program)
    event = told.attach("socket", program, a_socket(one))
    yield
    one.setsockopt(socket.SOL_SOCKET, calls.SO_DETACH_BPF, 0)
    told.detach(event, "asked")


def socket_closed(told):
    one, program = calls.bound(), told.load(SOCKET_FILTER)
    one.setsockopt(socket.SOL_SOCKET, calls.SO_ATTACH_BPF, program)
    event = told.attach("socket", program, a_socket(one))
    yield
    one.close()
    told.detach(event, "closed")


def reuseport(told):
    one, program = calls.bound(), told.load(SK_REUSEPORT)
    one.setsockopt(socket.SOL_SOCKET, calls.SO_ATTACH_REUSEPORT_EBPF, program)
    event = told.attach("socket", program, a_socket(one))
    yield
    one.setsockopt(socket.SOL_SOCKET, calls.SO_DETACH_REUSEPORT_BPF, 0)
    told.detach(event, "asked")


# ---- pins ----

def pins(told):
    """Of a program and of a link: they keep, and nobody runs for them."""
    program = told.load(RAW_TRACEPOINT)
    link = calls.raw_tracepoint_open(program, "sched_process_exec")
    event = told.linked(program, link, named("tracepoint", "sched_process_exec"))
    paths = [told.pins / f"{told.name}-{what}" for what in ("program", "link")]
    guest.pin(program, paths[0])
    of_program = told.attach("pin", program, named("file", "/" + str(paths[0].relative_to("/sys/fs/bpf"))))
    guest.pin(link, paths[1])
    of_link_ = told.attach("pin", program, named("file", "/" + str(paths[1].relative_to("/sys/fs/bpf"))), link=link)
    os.close(link)     # the pin holds it
    yield
    paths[0].unlink()
    told.detach(of_program, "closed")
    paths[1].unlink()
    told.detach(of_link_, "closed")
    told.detach(event, "closed")


# ---- by programs that others wrote ----

def others(*command):
    """Run it; who it is, for what it does."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        said = process.communicate()[1]
    if process.returncode:
        raise OSError(0, f"{' '.join(command)}: {said}")
    return {"pid": process.pid, "comm": "bpftool", "exe": "/opt/bpftool/bpftool"}


def bpftool_cgroup(told):
    target, _, path = cgroup(told)
    program = told.load(CGROUP_SKB, "cgroup_inet_egress")
    words = (str(path), "cgroup_inet_egress", "id", str(told.number(program)))
    by = others("bpftool", "cgroup", "attach", *words)
    event = told.attach("prog_attach", program, target, "cgroup_inet_egress", by=by)
    yield
    told.detach(event, "asked", others("bpftool", "cgroup", "detach", *words))


def bpftool_xdp(told):
    index, target = veth(told)
    program = told.load(XDP)
    by = others("bpftool", "net", "attach", "xdpgeneric", "id", str(told.number(program)), "dev", target["name"])
    event = told.attach("netlink", program, target, "xdp", by=by)
    yield
    told.detach(event, "asked", others("bpftool", "net", "detach", "xdpgeneric", "dev", target["name"]))


def bpftool_list(*words):
    return json.loads(guest.output("bpftool", "-j", *words))


def struct_ops(name, is_link):
    """The kernel's table of functions, each of them a program, registered by bpftool."""
    def way(told):
        known = {what: {one["id"] for one in bpftool_list(*what)} for what in (("prog",), ("struct_ops", "list"))}
        links = told.pins / f"{told.name}-links"
        links.mkdir()
        by = others("bpftool", "struct_ops", "register", f"/t/{name}.o", *([str(links)] if is_link else []))
        programs = {one["name"]: one["id"] for one in bpftool_list("prog")
                    if one["id"] not in known[("prog",)] and one["type"] == "struct_ops"}
        number = next(one["id"] for one in bpftool_list("struct_ops", "list")
                      if one["id"] not in known[("struct_ops", "list")])
        made = [{"id": one["id"], "type": "struct_ops"} for one in bpftool_list("link")
                if one["type"] == "struct_ops" and one["map_id"] == number] if is_link else [None]
        events = [told.attach("link" if is_link else "struct_ops", {"id": programs[f"calm_{function}"]},
                              named("struct_ops", "tcp_congestion_ops", id=number),
                              "struct_ops" if is_link else None, made[0], by=by)
                  for function in ("ssthresh", "avoid", "undo")]
        yield
        if is_link:
            next(links.iterdir()).unlink()
            by = told.by
        else:
            by = others("bpftool", "struct_ops", "unregister", "id", str(number))
        for event in events:
            told.detach(event, "closed" if is_link else "asked", by)
    return way


# ---- races ----

@contextlib.contextmanager
def meanwhile(action):
    """Another thread does this over and over."""
    ended = threading.Event()

    def act():
        while not ended.is_set():
            action()

    other = threading.Thread(target=act)
    other.start()
    try:
        yield
    finally:
        ended.set()
        other.join()


def changing_descriptor(told):
    """Another thread changes which program the descriptor stands for: the record has the one that the link has."""
    programs = [told.load(RAW_TRACEPOINT) for _ in range(2)]
    slot = os.dup(programs[0])
    with meanwhile(lambda: [os.dup2(program, slot) for program in programs]):
        for _ in range(RACES):
            link = calls.raw_tracepoint_open(slot, "sched_process_exec")
            event = told.linked({"id": calls.link_facts(link)[2]}, link, named("tracepoint", "sched_process_exec"))
            told.close(link, event)
    yield


def opened(program):
    """A kernel attaches a program once: the link before may not be gone yet, though its descriptor is."""
    try:
        return calls.raw_tracepoint_open(program, "sched_process_exec")
    except FileExistsError:
        return None


def closed_at_once(told):
    """Another thread closes the link's descriptor, maybe before the call that made it has returned."""
    program = told.load(RAW_TRACEPOINT)
    free = os.dup(program)
    os.close(free)
    with meanwhile(lambda: guest.libc.close(free)):
        for _ in range(RACES):
            while not opened(program):
                pass
            while os.path.exists(f"/proc/self/fd/{free}"):
                pass
    told.counts = [{"program": told.number(program), "count": RACES}]
    yield


# Each by the name that its results go by.
WAYS = {
    "fentry": fentry,
    "fexit": of_link("at_exit", named("function", "security_bprm_check"), "trace_fexit"),
    "lsm": of_link("at_open", named("lsm_hook", "file_open"), "lsm_mac"),
    "iter": of_link("over_tasks", named("iterator", "task"), "trace_iter"),
    "raw_tp": raw_tp,
    "tp_btf": tp_btf,
    "freplace": replaces_function,
    **{f"{which}_link": perf_link(which) for which in PERF},
    **{f"{which}_ioctl": perf_ioctl(which) for which in PERF},
    "kprobe_multi": kprobe_multi,
    "uprobe_multi": uprobe_multi,
    "cgroup_link": cgroup_link,
    "cgroup_any": cgroup_link_any,
    "cgroup_detach": cgroup_link_detach,
    "cgroup_attach": cgroup_attach,
    "netns_link": netns_link,
    "netns_attach": netns_attach,
    "netfilter": netfilter,
    "xdp_link": xdp_link,
    "xdp_netlink": xdp_netlink,
    "xdp_devmap": xdp_devmap,
    "iface_gone": interface_gone,
    "tcx_link": tcx_link,
    "tcx_attach": tcx_attach,
    "netkit": netkit_link,
    "tc_netlink": tc_netlink,
    "sockmap_attach": sockmap_attach,
    "sockmap_link": sockmap_link,
    "prog_array": prog_array,
    "sock_filter": socket_filter,
    "sock_closed": socket_closed,
    "reuseport": reuseport,
    "pins": pins,
    "struct_ops": struct_ops("struct_ops", False),
    "struct_ops_link": struct_ops("struct_ops_link", True),
    "bpftool_cgroup": bpftool_cgroup,
    "bpftool_xdp": bpftool_xdp,
    "fd_changes": changing_descriptor,
    "fd_closes": closed_at_once,
}

# What begins and ends within a way is there for nobody who comes earlier or later.
RACING = ("fd_changes", "fd_closes")
# One of each kind, to end while nobody looks.
SAMPLE = ("fentry", "raw_tp", "kprobe_link", "kprobe_ioctl", "cgroup_link", "cgroup_attach", "netns_attach", "xdp_link",
          "xdp_netlink", "tc_netlink", "sockmap_attach", "prog_array", "sock_filter", "pins", "struct_ops")
