#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes tables of the lines that iommu_bench.ko writes to the kernel log.

report.py INSTRUCTIONS TIME: the lines of a run in which the ticks count instructions,
and of a run with an ordinary clock.
"""

import collections
import pathlib
import sys

FORMATS = {
    "vtd-ss4": "VT-d second stage, 4 levels",
    "vtd-fs4": "VT-d first stage (x86-64), 4 levels",
    "mock": "Mock, 4 levels of 2 KiB pages; C: AMD v1, 4 KiB pages, the nearest format",
    "vmsa-s1-4k": "Arm stage 1, 4 KiB granule, 48 bits; C has no such format",
    "vmsa-s2-4k": "Arm stage 2, 4 KiB granule, 48 bits; C has no such format",
}

# The title, and the target for the ratio of Rust to C; None where they do different things.
OPERATIONS = {
    "map-256-scattered": ("map 256 scattered pages", 0.5),
    "unmap-256-scattered": ("unmap them, one call", 1.0),
    "unmap-256-reading": ("unmap them and return their memory", 1.0),
    "map-256-contiguous": ("map 256 contiguous pages, one call", 1.0),
    "unmap-256-contiguous": ("unmap them, one call", 1.0),
    "map-small": ("map one page", 1.0),
    "unmap-small": ("unmap it", 1.0),
    "map-middle": ("map one page of level 1 (2 MiB)", 1.0),
    "unmap-middle": ("unmap it", 1.0),
    "map-large": ("map one page of level 2 (1 GiB)", 1.0),
    "unmap-large": ("unmap it", 1.0),
    "lookup-small-again": ("look up an IOVA in a page", 1.0),
    "lookup-middle-again": ("look up an IOVA in a page of level 1", 1.0),
    "lookup-small": ("look up one alone, in a page", 1.0),
    "lookup-middle": ("look up one alone, in a page of level 1", 1.0),
    "map-small-and-table": ("map one page and its table", 1.0),
    "unmap-last-small": ("unmap it; Rust frees the table", None),
    "map-512-and-table": ("map 512 pages and their table", 1.0),
    "unmap-512-and-table": ("unmap them, free the table", 1.0),
    "churn-512": ("both of these, and freeing later", 1.0),
}

MOMENTS = {
    "one-page": "one page",
    "one-page-unmapped": "unmapped",
    "256-pages": "256 pages in a row",
    "256-pages-unmapped": "unmapped one by one",
    "256-far-pages": "256 pages in as many tables",
    "256-far-pages-unmapped": "unmapped one by one",
}


class Run:
    """The lines of one run."""

    def __init__(self, path, column):
        self.costs = collections.defaultdict(dict)
        self.pages = collections.defaultdict(dict)
        self.ticks = None
        for line in pathlib.Path(path).read_text().splitlines():
            words = line.split()
            if words[:1] == ["cost"]:
                table, operation, side = tuple(words[1:3]), words[3], words[4]
                self.costs[table].setdefault(operation, {})[side] = int(words[5 + column])
            elif words[:1] == ["pages"]:
                table, moment, side = tuple(words[1:3]), words[3], words[4]
                self.pages[table].setdefault(moment, {})[side] = int(words[5])
            elif words[:1] == ["ticks-per-1000-instructions"]:
                self.ticks = int(words[1])
        if not self.costs:
            sys.exit(f"no figures in {path}")


def verdict(sides, target):
    """Returns ratio, target and mark, where both sides have a figure."""
    c, rust = sides.get("C"), sides.get("Rust")
    if not c or rust is None:
        return "", "", ""
    ratio = rust / c
    if target is None:
        return f"{ratio:.2f}", "", "not alike"
    return f"{ratio:.2f}", f"<= {target}", "ok" if ratio <= target else "MISSED"


def row(what, sides, ratio="", target="", mark=""):
    c, rust = (str(sides.get(side, "-")) for side in ("C", "Rust"))
    print(f"{what:40} {c:>8} {rust:>8} {ratio:>6}  {target:6} {mark}".rstrip())


def head(what, unit):
    print(f"\n{what}\n{unit:40} {'C':>8} {'Rust':>8} {'ratio':>6}")


def name(table):
    form, walker = table
    return f"{FORMATS.get(form, form)}; {walker} walker"


def print_times(run):
    """Prints a table for each format, without targets: the figures are too imprecise."""
    for table, operations in run.costs.items():
        head(name(table), "nanoseconds per call")
        for operation, (what, _) in OPERATIONS.items():
            sides = operations.get(operation, {})
            row(what, sides, verdict(sides, None)[0])


def print_instructions(run):
    """Prints a table for each format. Returns the operations that missed their targets."""
    missed = []
    for table, operations in run.costs.items():
        head(name(table), "instructions per call")
        for operation, (what, target) in OPERATIONS.items():
            sides = operations.get(operation, {})
            result = verdict(sides, target)
            row(what, sides, *result)
            if result[2] == "MISSED":
                missed.append((table, operation))
    return missed


def print_pages(run):
    for table, moments in run.pages.items():
        head(name(table), "pages that the tables take")
        for moment, what in MOMENTS.items():
            row(what, moments.get(moment, {}))
        unfreed = moments.get("churn-unfreed", {})
        row("(waiting for RCU when churning ended)", unfreed)


def main():
    instructions, time = Run(sys.argv[1], 0), Run(sys.argv[2], 1)
    if instructions.ticks != 1000:
        sys.exit(f"{instructions.ticks} ticks for 1000 instructions: ticks do not count them")
    print("TIME IN AN EMULATOR (QEMU's TCG), not on hardware: imprecise, for comparison only")
    print_times(time)
    print("\nTABLES")
    print_pages(instructions)
    print("\nINSTRUCTIONS (exact: 1000 ticks for 1000 instructions of a known loop)")
    missed = print_instructions(instructions)
    total = sum("C" in sides and "Rust" in sides
                for operations in instructions.costs.values() for sides in operations.values())
    print(f"\n{total} comparisons, {len(missed)} beyond the target")


if __name__ == "__main__":
    main()
