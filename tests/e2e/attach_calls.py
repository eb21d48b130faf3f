# SPDX-License-Identifier: BSD-2-Clause
"""How programs are attached, by hand: bpf(2), perf_event_open(2), rtnetlink, socket options."""
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

import guest

PERF_EVENT_OPEN = 298
# enum bpf_cmd
UPDATE, DELETE, ATTACH, DETACH, RAW_TRACEPOINT_OPEN, LINK_CREATE, LINK_UPDATE, LINK_DETACH = 2, 3, 8, 9, 17, 28, 29, 34
ALLOW_MULTI = 2
PERF_EVENT_IOC_SET_BPF, PERF_EVENT_IOC_ENABLE = 0x40042408, 0x2400
SO_ATTACH_BPF, SO_DETACH_BPF, SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF = 50, 27, 52, 68

# enum bpf_attach_type, as far as it is needed here, by the names that records have.
TYPES = {
    "cgroup_inet_ingress": 0, "cgroup_inet_egress": 1, "sk_skb_stream_verdict": 5, "cgroup_device": 6, "sk_msg_verdict": 7,
    "flow_dissector": 17, "trace_raw_tp": 23, "trace_fentry": 24, "trace_fexit": 25, "lsm_mac": 27, "trace_iter": 28,
    "xdp_devmap": 33, "sk_lookup": 36, "xdp": 37, "perf_event": 41, "trace_kprobe_multi": 42, "netfilter": 45,
    "tcx_ingress": 46, "tcx_egress": 47, "trace_uprobe_multi": 48, "netkit_primary": 54,
}


def link_create(program, target, attach_type, rest=b"", flags=0):
    """rest: what else of union bpf_attr's link_create, from its offset 16."""
    return guest.bpf(LINK_CREATE, struct.pack("<IIII", program, target, TYPES.get(attach_type, 0), flags) + rest)


def link_facts(link):
    """Type as a number, id and program's id of a link that is open."""
    info = ctypes.create_string_buffer(64)
    guest.bpf(guest.OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", link, len(info), ctypes.addressof(info)))
    return struct.unpack_from("<III", info.raw)


def link_update(link, program):
    guest.bpf(LINK_UPDATE, struct.pack("<IIII", link, program, 0, 0))


def link_detach(link):
    guest.bpf(LINK_DETACH, struct.pack("<I", link))


def raw_tracepoint_open(program, name=None):
    text = guest.buffer(name.encode() + b"\0") if name else None
    return guest.bpf(RAW_TRACEPOINT_OPEN, struct.pack("<QII", ctypes.addressof(text) if text else 0, program, 0))


def prog_attach(program, target, attach_type, flags=0, replaced=0):
    guest.bpf(ATTACH, struct.pack("<IIIII", target, program, TYPES[attach_type], flags, replaced))


def prog_detach(program, target, attach_type):
    guest.bpf(DETACH, struct.pack("<IIIII", target, program, TYPES[attach_type], 0, 0))


def map_create(kind, key_size, value_size, entries):
    return guest.bpf(guest.MAP_CREATE, struct.pack("<IIIII", kind, key_size, value_size, entries, 0) + bytes(52))


def map_id(fd):
    info = ctypes.create_string_buffer(8)
    guest.bpf(guest.OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)))
    return struct.unpack_from("<4xI", info.raw)[0]


def map_delete(fd, index):
    key = guest.buffer(struct.pack("<I", index))
    guest.bpf(DELETE, struct.pack("<IxxxxQQQ", fd, ctypes.addressof(key), 0, 0))


# ---- perf events ----

class Perf:
    """perf_event_open(2); what its attr points to lives as long as this does."""

    def __init__(self, kind, config=0, text=None, offset=0):
        self.text = guest.buffer(os.fsencode(text) + b"\0") if text else None
        attr = bytearray(112)
        struct.pack_into("<IIQ", attr, 0, kind, len(attr), config)
        struct.pack_into("<QQ", attr, 56, ctypes.addressof(self.text) if text else 0, offset)
        self.attr = guest.buffer(bytes(attr))
        self.fd = guest.syscall(PERF_EVENT_OPEN, self.attr, -1, 0, -1, 8)     # of every task, on CPU 0

    def set_program(self, program):
        fcntl.ioctl(self.fd, PERF_EVENT_IOC_SET_BPF, program)


def source(name):
    return int(Path(f"/sys/bus/event_source/devices/{name}/type").read_text())


def kprobe(function):
    return Perf(source("kprobe"), text=function)


def uprobe(path, offset):
    return Perf(source("uprobe"), text=path, offset=offset)


def tracepoint(name):
    return Perf(2, int(Path(f"/sys/kernel/tracing/events/{name}/id").read_text()))


# ---- rtnetlink ----

RTM_NEWLINK, RTM_DELLINK, RTM_NEWQDISC, RTM_NEWTFILTER, RTM_DELTFILTER = 16, 17, 36, 44, 45
REQUEST, ACK, EXCL, CREATE = 1, 4, 0x200, 0x400
CLSACT, INGRESS = 0xfffffff1, 0xfffffff2
NESTED = 0x8000


def attribute(kind, data):
    if isinstance(data, str):
        data = data.encode() + b"\0"
    if isinstance(data, int):
        data = struct.pack("<i", data)
    return struct.pack("<HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def ask(kind, flags, body):
    """One request of rtnetlink's, and its acknowledgement."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("<IHHII", len(body) + 16, kind, REQUEST | ACK | flags, 1, 0) + body)
        error = struct.unpack_from("<i", netlink.recv(8192), 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error))


def link_message(index=0):
    return struct.pack("<BxHiII", 0, 0, index, 0, 0)


def make_veth(name, peer):
    inner = attribute(1 | NESTED, link_message() + attribute(3, peer))
    info = attribute(1, "veth") + attribute(2 | NESTED, inner)
    ask(RTM_NEWLINK, CREATE | EXCL, link_message() + attribute(3, name) + attribute(18 | NESTED, info))
    return socket.if_nametoindex(name)


def make_netkit(name, peer):
    inner = attribute(1 | NESTED, link_message() + attribute(3, peer))
    info = attribute(1, "netkit") + attribute(2 | NESTED, inner)
    ask(RTM_NEWLINK, CREATE | EXCL, link_message() + attribute(3, name) + attribute(18 | NESTED, info))
    return socket.if_nametoindex(name)


def delete_link(index):
    ask(RTM_DELLINK, 0, link_message(index))


def xdp_set(index, program):
    """As `ip link set dev … xdpgeneric` does; -1 is for none."""
    xdp = attribute(1, program) + attribute(3, 2)
    ask(RTM_NEWLINK, 0, link_message(index) + attribute(43 | NESTED, xdp))


def traffic_message(index, handle, parent, info):
    return struct.pack("<BxxxiIII", 0, index, handle, parent, info)


def make_clsact(index):
    ask(RTM_NEWQDISC, CREATE | EXCL, traffic_message(index, 0xffff0000, CLSACT, 0) + attribute(1, "clsact"))


FILTER_INFO = 1 << 16 | socket.htons(3)     # priority 1, every protocol


def filter_add(index, program, flags=CREATE | EXCL):
    """As `tc filter add dev … ingress bpf direct-action` does; without EXCL it replaces."""
    options = attribute(6, program) + attribute(7, "attached") + attribute(8, 1)
    ask(RTM_NEWTFILTER, flags, traffic_message(index, 1, INGRESS, FILTER_INFO) + attribute(1, "bpf")
        + attribute(2 | NESTED, options))


def filter_delete(index):
    ask(RTM_DELTFILTER, 0, traffic_message(index, 1, INGRESS, FILTER_INFO) + attribute(1, "bpf"))


# ---- sockets ----

def bound(kind=socket.SOCK_DGRAM):
    one = socket.socket(socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", 0))
    return one
