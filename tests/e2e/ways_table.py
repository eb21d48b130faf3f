# SPDX-License-Identifier: BSD-2-Clause
"""The tables of docs/kernels.md, from what tests/e2e/ways found: rows by name, a column for each kernel."""
import re

from harness import ROOT

PAGE = ROOT / "docs/kernels.md"
BEGIN, END = "<!-- tests/e2e/ways --table: begin -->\n", "<!-- tests/e2e/ways --table: end -->\n"

WAYS = {
    "raw": "bpf(2) by hand",
    "types": "every type that needs no BTF, by hand",
    "compat": "32-bit bpf(2): `int $0x80` on x86-64",
    "libbpf": "libbpf: a CO-RE object (fentry, fexit, LSM, tp_btf, raw_tp, iterator, kprobe)",
    "ext": "`BPF_PROG_TYPE_EXT` (freplace), by libbpf",
    "struct_ops": "struct_ops, by libbpf",
    "skeleton": "a light skeleton: the loader, and two programs that it loads without bpf(2)",
    "token": "a BPF token in a user namespace",
    "preloaded": "loaded before the daemon",
    "rejected": "refused by the verifier",
    "signed": "signed, by the configured signer",
    "run_time": "signed at run time with a derived key",
    "signed_skeleton": "a light skeleton, signed by the configured signer",
}
FACTS = {
    "digest": "the kernel's own digest of a program",
    "signs": "what a signature covers",
    "metadata": "data of a signed light skeleton is vouched for by",
    "reference": "`bpfmeasure reference` of the unsigned and signed light skeletons equals the recorded",
}
# What there was when the table was made. Newer builds of a series come and go: not held against anybody.
NOTES = {"package": "Debian package", "bpftool": "with"}


def package(found):
    if not found["release"].endswith("-cloud-amd64"):
        return f"Linux {found['release']}, built by `make hook-kernel`"
    newer = tuple(map(int, found["release"].split(".")[:2])) >= (6, 19)
    return f"linux-{'binary' if newer else 'image'}-{found['release']}"


def tables(found):
    """[(title, first heading, {row: cell})] of one kernel."""
    hooks = {f"`{hook}`": "yes" for hook in found["hooks"]} | {
        f"`{hook}`": "no" for hook in [*found["missing"], *found["absent"]]}
    facts = {text: found[name] for name, text in FACTS.items()}
    notes = {NOTES["package"]: package(found), NOTES["bpftool"]: found["bpftool"]}
    return [("Ways in", "way", {text: found["ways"][name] for name, text in WAYS.items()}),
            ("Hooks", "hook", hooks), ("Facts", "fact", facts | notes)]


def read():
    """title -> row -> kernel -> cell, of the page as it is."""
    page, known = PAGE.read_text(), {}
    for title, body in re.findall(r"^### (.*)\n\n((?:\|.*\n)+)", page.split(BEGIN)[1].split(END)[0], re.M):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in body.splitlines()]
        known[title] = {row[0]: dict(zip(head[1:], row[1:])) for row in rows}
    return known


def differences(kernel, found):
    """What the page says of this kernel that is not so."""
    known = read()
    for title, _, rows in tables(found):
        said = {row: cells[kernel] for row, cells in known.get(title, {}).items() if cells.get(kernel, "") != ""}
        for row in dict.fromkeys([*rows, *said]):
            if row not in NOTES.values() and rows.get(row) != said.get(row):
                yield f"{title}: {row}: the page says {said.get(row)!r}, it is {rows.get(row)!r}"


def order(kernel):
    """Releases in their order, then kernels with other names."""
    numbers = re.fullmatch(r"(\d+)\.(\d+)", kernel)
    return (0, int(numbers[1]), int(numbers[2])) if numbers else (1, kernel)


def write(everything):
    """Put what was found of each kernel into the page; what it says of others stays."""
    known, headings = read(), {}
    for kernel, found in everything.items():
        for title, heading, rows in tables(found):
            headings[title] = heading
            table = known.setdefault(title, {})
            for cells in table.values():
                cells.pop(kernel, None)
            for row, cell in rows.items():
                table.setdefault(row, {})[kernel] = cell
    kernels = sorted({kernel for table in known.values() for cells in table.values() for kernel in cells}, key=order)
    text = ""
    for title, table in known.items():
        text += f"### {title}\n\n| {headings[title]} | {' | '.join(kernels)} |\n|---|{'---|' * len(kernels)}\n"
        text += "".join(f"| {row} | {' | '.join(cells.get(kernel, '') for kernel in kernels)} |\n"
                        for row, cells in table.items() if any(cells.values()))
        text += "\n"
    page = PAGE.read_text()
    PAGE.write_text(page.split(BEGIN)[0] + BEGIN + "\n" + text + END + page.split(END)[1])
