#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Replay a log without any of our code: what must the PCR hold after these lines?

    replay.py EVIDENCE [--pcr-file BANK=FILE]...            first line: the statement
    replay.py --base BANK=HEX [--base BANK=HEX]... LOG      lines only, from these PCR values

Prints the value of every bank. Exit 0 if seq and prev fit, every line that must be extended is,
and the values are those of the statement and of every FILE (hexadecimal, as
/sys/class/tpm/tpm0/pcr-sha256/13); else 1. Signatures are not its business.
"""
import argparse
import hashlib
import json
import sys


def extend(values, line):
    for bank, value in values.items():
        values[bank] = hashlib.new(bank, value + hashlib.new(bank, line).digest()).digest()


def unhex(banks):
    return {bank: bytes.fromhex(value) for bank, value in banks.items()}


def replay(lines, values, seq, problems):
    """Fold the lines into values; seq is the number of the first, None if not known."""
    before = None
    extended = True
    for line in lines:
        record = json.loads(line)
        if seq is not None and record["seq"] != seq:
            problems.append(f"record {record['seq']} stands where record {seq} belongs")
        if before is None and record["seq"] == 1:
            before = "0" * 64
        if before is not None and record["prev"] != before:
            problems.append(f"record {record['seq']} does not name the line before it")
        if record["kind"] == "epoch":
            base = unhex(record["tpm"]["base"])
            if base != values and any(value.strip(b"\0") for value in base.values()):
                problems.append(f"record {record['seq']} begins with a base nobody explains")
            values = base
        extended = record.get("extend", True)
        if extended:
            extend(values, line)
        before = hashlib.sha256(line).hexdigest()
        seq = record["seq"] + 1
    if not extended:
        problems.append("the last line was not extended")
    return values, seq


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--base", action="append", metavar="BANK=HEX")
    parser.add_argument("--pcr-file", action="append", default=[], metavar="BANK=FILE")
    args = parser.parse_args()

    with open(args.file, "rb") as file:
        lines = file.read().split(b"\n")
    problems = []
    if lines.pop() != b"":
        problems.append("the last line has no newline")

    statement = None if args.base else json.loads(lines.pop(0))
    base = statement["start"] if statement else dict(word.split("=") for word in args.base)
    values, following = replay(lines, unhex(base), statement and statement["first"], problems)
    if statement and following != statement["last"] + 1:
        problems.append(f"the statement says that record {statement['last']} is the last")
    if statement and values != unhex(statement["values"]):
        problems.append("the statement has other values")
    for word in args.pcr_file:
        bank, path = word.split("=")
        with open(path) as file:
            if bytes.fromhex(file.read()) != values.get(bank):
                problems.append(f"{path} has another value")

    for bank, value in values.items():
        print(bank, value.hex())
    for problem in problems:
        print("replay.py:", problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
