# SPDX-License-Identifier: BSD-2-Clause
"""What the figures share: commands, medians, and how they are printed."""
import shlex
import subprocess


class Failure(Exception):
    """Something could not be measured."""


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], check=False, text=True, capture_output=True,
                          **options)
    if done.returncode:
        raise Failure(f"{shlex.join(map(str, words))}: exit {done.returncode}: "
                      f"{(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def median(values):
    return percentile(values, 0.5)


def title(text):
    print(f"\n{text}")


def header(*columns, width=10):
    print(f"  {columns[0]:<25}" + "".join(f"{column:>{width}}" for column in columns[1:]))


def row(name, *cells, width=10):
    print(f"  {name:<25}" + "".join(f"{cell:>{width}}" for cell in cells))


def us(value):
    return f"{value:.0f} us" if value < 20000 else f"{value / 1000:.0f} ms"


def ratio(value, baseline):
    return f"{value / baseline:.2f}x"


# ---- the window between a load and its record ----

PLACES = {"durable": "disk", "extended": "TPM"}


def window(before, after, place):
    """Of the loads between two statuses: how many reached this place, and within what half of them, 99 of 100, and all
    did, in microseconds: ends of the daemon's own counts, so each is "at most"."""
    bounds = [*after["durations"]["bounds_us"], float("inf")]
    counts = [count - was for count, was in zip(after["durations"][place]["counts"], before["durations"][place]["counts"])]
    total = sum(counts)
    if not total:
        raise Failure(f"no load became {place}")

    def within(part):
        seen = 0
        for bound, count in zip(bounds, counts):
            seen += count
            if seen >= total * part:
                return bound
        return bounds[-1]
    return total, within(0.5), within(0.99), within(1)


def at_most(value):
    return "over 100 s" if value == float("inf") else f"{value / 1000:g} ms"


def window_header(name):
    header(name, "loads", *(f"{place} {part}" for place in PLACES.values() for part in ("p50", "p99", "max")), width=13)


def window_row(name, before, after):
    found = [window(before, after, place) for place in PLACES]
    row(name, found[0][0], *(at_most(value) for each in found for value in each[1:]), width=13)


class Goals:
    """The lines at the end."""

    def __init__(self):
        self.lines = []

    def add(self, name, measured, goal, met):
        self.lines.append(f"goal {name}: measured {measured}, goal {goal}: {'met' if met else 'missed'}")

    def show(self):
        print()
        for line in self.lines:
            print(line)
