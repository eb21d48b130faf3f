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


def header(*columns):
    print(f"  {columns[0]:<25}" + "".join(f"{column:>10}" for column in columns[1:]))


def row(name, *cells):
    print(f"  {name:<25}" + "".join(f"{cell:>10}" for cell in cells))


def us(value):
    return f"{value:.0f} us" if value < 20000 else f"{value / 1000:.0f} ms"


def ratio(value, baseline):
    return f"{value / baseline:.2f}x"


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
