# SPDX-License-Identifier: BSD-2-Clause
"""Judge what tests/e2e/attachments brought home from a machine: the records of each way by what its process says it
did, and what is attached now by bpftool."""
import re

# From which release on the kernel has a way; facts of the kernels, not of our code.
FIRST = {
    "kprobe_multi": (6, 12),     # Debian's of 6.1 is built without fprobes
    "struct_ops_link": (6, 4), "netfilter": (6, 4), "tcx_link": (6, 6), "tcx_attach": (6, 6), "uprobe_multi": (6, 6),
    "netkit": (6, 7), "sockmap_link": (6, 10),
}
# Of what is there before, the agent lists this: the threat model says so.
LISTED = "link"

# A line of `log --tree` about an attachment: what, the record's number, by whom.
SHOWN = re.compile(r"\bat .* (\d+)(?: +\S+\[\d+\]:\d+)? *$")


def brief(record):
    """What is compared of a record, as the guest tells it."""
    target = {key: value for key, value in record["target"].items() if value is not None}
    by = record["by"] and {"pid": record["by"]["tgid"], "comm": record["by"]["comm"], "exe": record["by"]["exe"]}
    return {"kind": record["kind"], "program": record["program"]["id"], "via": record["via"], "link": record["link"],
            "attach_type": record["attach_type"], "target": target, "by": by}


class Round:
    """What was attached once in every way, and the records from then."""

    def __init__(self, name, told, seen, records):
        self.name, self.told, self.seen = name, told, seen
        self.by_seq = {record["seq"]: record for record in records}
        self.of_program = {}
        for record in records:
            if record["kind"] in ("attach", "detach"):
                self.of_program.setdefault(record["program"]["id"], []).append(record)

    def records_of(self, way):
        """Those of the programs of one way, in order. Pins of objects that libbpf loaded are not the way's."""
        told = self.told[way]
        programs = {event["program"] for event in told["events"] if "program" in event}
        programs |= {count["program"] for count in told.get("counts", ())}
        return sorted((record for program in programs for record in self.of_program.get(program, ())
                       if record["via"] != "pin" or way == "pins"), key=lambda record: record["seq"])


def forgive_the_kernel(got, wanted):
    """It ends things by itself, after who closed them is gone, and what they were on."""
    if got["by"] is None:
        wanted["by"] = None
    wanted["target"] = {key: value for key, value in wanted["target"].items() if got["target"].get(key)}
    got["target"] = {key: value for key, value in got["target"].items() if value}


def difference(wanted, record, attached):
    """What of a record is not as it should be; attached: the records so far, by the place of their event."""
    got, problems = brief(record), []
    place = wanted if wanted["kind"] == "attach" else wanted["attach"]
    wanted_facts = {key: place[key] for key in ("program", "via", "link", "attach_type")} | {
        "kind": wanted["kind"], "by": wanted["by"], "target": place["target"]}
    # Which of several comes first is the kernel's business.
    if "name" not in place["target"]:
        got["target"].pop("name", None)
    # Where in the file is nowhere in the guest's words.
    if place["target"]["type"] == "uprobe":
        got["target"].pop("index", None)
    if wanted["kind"] == "detach" and (wanted["why"] == "closed" or place["via"] == "pin"):
        forgive_the_kernel(got, wanted_facts)
    problems += [f"{key} is {got[key]!r}, not {value!r}" for key, value in wanted_facts.items() if got[key] != value]
    if record["kind"] != wanted["kind"]:
        return problems
    if wanted["kind"] == "attach":
        if record["how"] != wanted["how"]:
            problems.append(f"how is {record['how']!r}, not {wanted['how']!r}")
        if (record["replaced"] or {}).get("id") != wanted["replaced"]:
            problems.append(f"replaced is {record['replaced']!r}, not {wanted['replaced']}")
    else:
        if record["why"] != wanted["why"]:
            problems.append(f"why is {record['why']!r}, not {wanted['why']!r}")
        before = attached.get(wanted["of"])
        if before is None or record["attach_seq"] != before["seq"]:
            problems.append(f"attach_seq is {record['attach_seq']}, not {before and before['seq']}")
    return problems


def of_program_problems(round_, record):
    """The program that a record names is that of the load with this number."""
    for key in ("program", "replaced"):
        of = record.get(key)
        load = of and round_.by_seq.get(of["seq"])
        if of and (not load or load["kind"] not in ("load", "baseline")
                   or (load["program"]["id"], load["program"]["sha256"]) != (of["id"], of["sha256"])):
            yield f"record {record['seq']}: {key} {of} is not that of its record"


def told_events(told):
    """The events, each detach with the attach that it ends."""
    events = told["events"]
    return [event | {"attach": events[event["of"]]} if event["kind"] == "detach" else event for event in events]


def check_events(results, round_, way, events, records):
    """One record for each event, in order where one task made them."""
    results.same(f"{round_.name}: {way}: one-record-for-each-event",
                 [(event["kind"], event["attach"]["via"] if "attach" in event else event["via"]) for event in events],
                 [(record["kind"], record["via"]) for record in records])
    attached, problems = {}, []
    if way.startswith("struct_ops"):     # the functions of one table, in the table's order
        events, records = (sorted(some, key=key) for some, key in (
            (events, lambda event: (event["kind"], event.get("program") or event["attach"]["program"])),
            (records, lambda record: (record["kind"], record["program"]["id"]))))
    for event, record in zip(events, records):
        if event["kind"] == "attach":
            attached[event["at"]] = record
        problems += [f"record {record['seq']} ({event['kind']}): {text}" for text in difference(event, record, attached)]
        problems += of_program_problems(round_, record)
    results.each(f"{round_.name}: {way}: each-says-what-happened", problems)


def check_counts(results, round_, way, counts, records):
    for count in counts:
        of = [record for record in records if record["program"]["id"] == count["program"]]
        results.same(f"{round_.name}: {way}: as-many-begin-and-end", (count["count"], count["count"]), (
            sum(record["kind"] == "attach" for record in of),
            len({record["attach_seq"] for record in of if record["kind"] == "detach"})))


def check_before(results, round_, way):
    """What was attached before the daemon came is found, and its end is one of what was found."""
    told, records = round_.told[way], round_.records_of(way)
    events = told_events(told)
    ended = {event["of"] for event in events[:told["mark"]] if event["kind"] == "detach"}
    stays = [event for event in events[:told["mark"]] if event["kind"] == "attach" and event["at"] not in ended]
    stays = [event | {"how": "baseline", "by": None, "replaced": None} for event in stays if event["via"] == LISTED]
    kept = {event["at"] for event in stays}
    # The kernel shows them in an order of its own.
    found = [record for record in records if record["kind"] == "attach"]
    ordered = []
    for event in stays:
        same = [record for record in found if brief(record)["program"] == event["program"]
                and record["via"] == event["via"] and record not in ordered]
        ordered += same[:1]
    rest = [event for event in events[told["mark"]:] if event["of"] in kept]
    check_events(results, round_, way, stays + rest,
                 ordered + [record for record in found if record not in ordered]
                 + [record for record in records if record["kind"] == "detach"])


def check_ways(results, round_, release):
    for way, told in round_.told.items():
        name = f"{round_.name}: {way}"
        if "failed" in told:
            results.fail(f"{name}: it-is-tried", told["failed"])
        elif release < FIRST.get(way, (0, 0)):
            results.true(f"{name}: the-kernel-has-no-such-way", "refused" in told and not round_.records_of(way),
                         (told.get("refused"), round_.records_of(way)))
        elif "refused" in told:
            results.fail(f"{name}: the-kernel-takes-it", told["refused"])
        elif round_.name == "before":
            check_before(results, round_, way)
        elif told["counts"]:
            check_counts(results, round_, way, told["counts"], round_.records_of(way))
        else:
            check_events(results, round_, way, told_events(told), round_.records_of(way))


# ---- what is attached now ----

def own_programs(records):
    return {record["program"]["id"] for record in records
            if record["kind"] in ("load", "baseline") and record["program"]["self"]}


def in_view(view, condition):
    return [row for row in view["now"] if condition(row)]


def check_view(results, name, view, own, is_before):
    """The view and the tree hold the same, and what bpftool shows of links, interfaces and control groups. Of what
    was there before the agent came, the last two may have more."""
    others = in_view(view, lambda row: row["program_id"] not in own)
    tree = {int(found[1]) for found in map(SHOWN.search, view["tree"].splitlines()) if found}
    results.same(f"{name}: the-tree-shows-what-the-view-has", sorted(row["seq"] for row in view["now"]), sorted(tree))
    links = {(link["id"], link["prog_id"]) for link in view["link"] if link.get("prog_id")} - {
        (link["id"], link.get("prog_id")) for link in view["link"] if link.get("prog_id") in own}
    results.same(f"{name}: every-link-of-bpftool's-is-there", sorted(links), sorted(
        {(row["link_id"], row["program_id"]) for row in others if row["link_type"] not in (None, "struct_ops")
         and row["via"] == "link"}))
    net = view["net"][0]
    devices = {(one["ifindex"], one["id"]) for one in net["xdp"] if "id" in one}
    devices |= {(one["ifindex"], one.get("prog_id", one.get("id"))) for one in net["tc"]}
    shown = {(row["target_id"], row["program_id"]) for row in others if row["target_type"] == "interface"}
    results.each(f"{name}: every-interface-is-one-of-bpftool's", shown - devices)
    if not is_before:
        results.each(f"{name}: every-interface-of-bpftool's-is-there", devices - shown)
    groups = {(group["cgroup"].removeprefix("/sys/fs/cgroup"), program["id"])
              for group in view["cgroup tree"] for program in group["programs"]}
    shown = {(row["target_name"], row["program_id"]) for row in others if row["target_type"] == "cgroup"}
    results.each(f"{name}: every-cgroup-is-one-of-bpftool's", shown - groups)
    if not is_before:
        results.each(f"{name}: every-cgroup-of-bpftool's-is-there", groups - shown)
    loaded = {program["id"] for program in view["prog"]}
    results.each(f"{name}: nothing-is-attached-that-is-not-loaded", (
        row for row in view["now"] if row["program_id"] not in loaded and row["link_type"] != "struct_ops"))


def check(results, done, records):
    release = tuple(int(number) for number in done["release"].split(".")[:2])
    for name, told in done["told"].items():
        check_ways(results, Round(name, told, done["seen"][name], records), release)
    own = own_programs(records)
    for name, views in done["seen"].items():
        for number, view in enumerate(views, 1):
            check_view(results, f"{name}, view {number}", view, own, name == "before")
    # The kernel passes by a hook now and then, which may have been one of these; then what is there was told by others.
    results.same("nothing-is-lost", [], [record for record in records if record["kind"] == "lost"
                                         and record["what"] != "attachments"])
    results.same("the-daemon-stops-in-order", 0, done["stop_code"])
