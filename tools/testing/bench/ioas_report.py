#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes tables of the output of ioas_bench in several VMs.

ioas_report.py DIRECTORY: the directory of the files ioas-MACHINE-SIDE-CLOCK.log, for
the machines vtd and amd, the sides C and Rust, the clocks instructions and time.
"""

import math
import pathlib
import sys

MACHINES = {
    "vtd": "C driver of Intel VT-d (page walks are not coherent in QEMU)",
    "amd": "C driver of AMD's IOMMU (page walks are coherent)",
}
KINDS = ("scattered", "sequential", "thp", "thp-divisible", "hugetlb-adjacent",
         "hugetlb-apart", "memfd", "hugetlb-memfd")
OPERATIONS = {
    "map": "map",
    "unmap": "unmap",
    "copy": "copy to a second address space",
    "copy-unmap": "unmap the copy",
    "hwpt-add": "second page table",
    "hwpt-remove": "remove it",
}
CALLS = {
    ("small", "both"): "map and unmap 4 KiB",
    ("small", "map"): "  the first of the two",
    ("small", "unmap"): "  the second",
    ("many", "map"): "map 4 KiB, 2000 times, each",
    ("many", "unmap-all"): "unmap all of them, each",
}
ACCESS = {
    ("access-pin", "memfd"): "pin, small pages, mapped",
    ("access-unpin", "memfd"): "  unpin",
    ("access-pin-alone", "memfd"): "pin, small pages, not mapped",
    ("access-unpin-alone", "memfd"): "  unpin",
    ("access-pin", "hugetlb-memfd"): "pin, huge pages, mapped",
    ("access-unpin", "hugetlb-memfd"): "  unpin",
    ("access-pin-alone", "hugetlb-memfd"): "pin, huge pages, not mapped",
    ("access-unpin-alone", "hugetlb-memfd"): "  unpin",
    ("access", "read-64"): "read 64 bytes (per call)",
    ("access", "write-64"): "write 64 bytes (per call)",
    ("access", "read-4K"): "read 4 KiB (per call)",
    ("access", "read-64K"): "read 64 KiB (per call)",
}

# The targets for the ratio of Rust to C, of instructions, on VT-d.
TARGETS = {
    ("map", "scattered"): (1, 1),
    ("unmap", "scattered"): (9, 10),
    ("map", "thp"): (1, 3),
    ("unmap", "thp"): (1, 100),
    ("map", "hugetlb-adjacent"): (1, 20),
    ("unmap", "hugetlb-adjacent"): (1, 100),
    ("map", "hugetlb-apart"): (1, 12),
    ("unmap", "hugetlb-apart"): (1, 100),
    ("hwpt-add", "scattered"): (1, 1),
    ("hwpt-add", "thp"): (1, 40),
    ("hwpt-add", "hugetlb-adjacent"): (1, 40),
    ("small", "both"): (3, 5),
    ("many", "map"): (3, 5),
    ("many", "unmap-all"): (3, 5),
}
# The kernel memory in KiB for a GiB of scattered memory that Rust may use more than C
MEMORY_MARGIN = 256
# The factor by which a page may cost more in a long range than in the shortest
LENGTH_GROWTH = 1.10
# The number of pages that another thread maps while a large range is mapped, if it does not wait
PARALLEL = 10


class Run:
    """The lines of one VM. Costs are per page or per call."""

    def __init__(self, path, clock):
        self.costs, self.values, self.none = {}, {}, {}
        self.ticks = None
        text = path.read_text() if path.exists() else ""
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["cost"]:
                ticks, ns, units = map(int, words[3:6])
                self.costs[tuple(words[1:3])] = (ticks if clock == "instructions" else ns) / units
            elif words[:1] == ["value"]:
                self.values[tuple(words[1:3])] = int(words[3])
            elif words[:1] == ["none"]:
                self.none[tuple(words[1:3])] = words[3]
            elif words[:1] == ["ticks-per-1000-instructions"]:
                self.ticks = int(words[1])
        if not self.costs:
            sys.exit(f"no figures in {path}")
        if clock == "instructions" and self.ticks != 1000:
            sys.exit(f"{path}: {self.ticks} ticks for 1000 instructions: they are not counted")


class Report:
    """Prints rows of both sides and counts verdicts."""

    def __init__(self):
        self.met, self.missed, self.open = 0, [], []

    def verdict(self, what, fulfilled):
        if fulfilled is None:
            self.open.append(what)
            return "n/a"
        if fulfilled:
            self.met += 1
            return "ok"
        self.missed.append(what)
        return "MISSED"


def figure(value, none=None):
    if value is None:
        return none or "-"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def head(what, unit):
    print(f"\n{what}\n{unit:44} {'C':>9} {'Rust':>9} {'ratio':>7}")


def row(what, c, rust, ratio="", target="", mark=""):
    print(f"{what:44} {c:>9} {rust:>9} {ratio:>7}  {target:8} {mark}".rstrip())


def ratio_row(report, label, sides, key, target):
    c, rust = (side.costs.get(key) for side in sides)
    cells = [figure(side.costs.get(key), side.none.get(key)) for side in sides]
    ratio = rust / c if c and rust is not None else None
    shown = "" if ratio is None else f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"
    if target is None:
        row(label, *cells, shown)
        return
    above, below = target
    mark = report.verdict(label, None if ratio is None else ratio <= above / below)
    row(label, *cells, shown, f"<= {above}/{below}" if below > 1 else f"<= {above}", mark)


def ranges(report, sides, targets, unit):
    for operation, label in OPERATIONS.items():
        head(f"128 MiB: {label}", f"{unit} per 4 KiB")
        for kind in KINDS:
            key = (operation, kind)
            if any(key in side.costs or key in side.none for side in sides):
                # The number of runs in the VM of Rust, which may differ a little in that of C.
                runs = sides[1].values.get(("runs", kind), 0)
                label = f"{operation} {kind}" + (f" ({runs} runs)" if operation == "map" else "")
                ratio_row(report, label, sides, key, targets.get(key))


def calls(report, sides, targets, unit, title, names):
    measured = [key for key in names
                if any(key in side.costs or key in side.none for side in sides)]
    if measured:
        head(title, unit)
    for key in measured:
        ratio_row(report, names[key], sides, key, targets.get(key))


def memory(report, sides):
    head("Kernel memory for 1 GiB of scattered memory", "KiB")
    keys = [key for key in sides[0].values if key[0] == "kib-per-gib"]
    for key in keys:
        c, rust = (side.values.get(key) for side in sides)
        cells = (str(c), "-" if rust is None else str(rust))
        if key[1] != "all":
            row(f"  of which {key[1]}", *cells)
            continue
        fulfilled = None if rust is None else rust <= c + MEMORY_MARGIN
        row("all", *cells, "", f"<= C+{MEMORY_MARGIN}", report.verdict("kernel memory", fulfilled))
        after = ("kib-per-gib-after", "all")
        row("left after unmapping", *(str(side.values.get(after, "-")) for side in sides))


def series(side, what, kind):
    """Returns the costs at growing sizes: [(size, cost)]"""
    found = [(int(key[1].split("@")[1]), cost) for key, cost in side.costs.items()
             if key[0] == what and key[1].startswith(kind + "@")]
    return sorted(found)


def grow(report, sides, title, what, kind, limit, note):
    """Prints a row for each size. limit(size, first) is the factor to the first cost allowed."""
    c, rust = (dict(series(side, what, kind)) for side in sides)
    if not c:
        return
    head(title, note)
    first = min(c)
    worst = True
    for size in sorted(c):
        cells = [figure(costs.get(size)) for costs in (c, rust)]
        ratio = f"{rust[size] / c[size]:.2f}" if size in rust else ""
        row(f"{size:>10}", *cells, ratio)
        if size in rust and rust[size] > rust[first] * limit(size, first):
            worst = False
    mark = report.verdict(title, worst if rust else None)
    growth = [f"{max(costs.values()) / costs[first]:.2f}" if costs else "-" for costs in (c, rust)]
    row("dearest / first", *growth, "", "", mark)


def growth(report, sides, unit):
    def constant(_size, _first):
        return LENGTH_GROWTH

    def logarithmic(size, first):
        return math.log(size) / math.log(first)

    for kind in ("small-pages", "huge-pages"):
        for what in ("map", "unmap"):
            grow(report, sides, f"Growth with the length: {what}, {kind.replace('-', ' ')}",
                 f"length-{what}", kind, constant, f"MiB; {unit} per 4 KiB")
    for what, kind, title in (
            ("areas-map", "each", "map 4 KiB, each of N in disorder"),
            ("areas-one-more", "fixed", "one more, mapped and unmapped, at a given IOVA"),
            ("areas-one-more", "found", "one more, the kernel chooses the IOVA"),
            ("areas-unmap-all", "each", "unmap all of them, each")):
        grow(report, sides, f"Growth with the number of areas: {title}", what, kind,
             logarithmic, f"areas; {unit} per call")


def parallel(report, sides):
    head("While another thread maps 1 GiB of small pages (2 CPUs)", "")
    counts = [side.values.get(("parallel", "small-meanwhile")) for side in sides]
    fulfilled = None if counts[1] is None else counts[1] >= PARALLEL
    row("small areas mapped and unmapped meanwhile", *map(str, counts), "", f">= {PARALLEL}",
        report.verdict("two threads do not wait for each other", fulfilled))


def machine_tables(report, directory, machine, clock, targets):
    sides = [Run(directory / f"ioas-{machine}-{side}-{clock}.log", clock) for side in ("C", "Rust")]
    unit = "instructions" if clock == "instructions" else "ns"
    print(f"\n==== {MACHINES[machine]}; {unit}")
    ranges(report, sides, targets, unit)
    calls(report, sides, targets, f"{unit} per call", "Single pages", CALLS)
    calls(report, sides, targets, f"{unit} per 4 KiB", "128 MiB for in-kernel users", ACCESS)
    return sides, unit


def main():
    directory = pathlib.Path(sys.argv[1])
    report, rough = Report(), Report()

    print("IO ADDRESS SPACES: TIME UNDER AN EMULATOR (QEMU's TCG), which no hardware takes: "
          "rough, for comparison alone")
    for machine in MACHINES:
        sides, _ = machine_tables(rough, directory, machine, "time", {})
        if machine == "vtd":
            parallel(report, sides)
    print("\nIO ADDRESS SPACES: INSTRUCTIONS (exact)")
    for machine in reversed(MACHINES):
        targets = TARGETS if machine == "vtd" else {}
        sides, unit = machine_tables(report, directory, machine, "instructions", targets)
        if machine == "vtd":
            memory(report, sides)
            growth(report, sides, unit)
    print(f"\n{report.met} targets met, {len(report.missed)} missed, "
          f"{len(report.open)} that Rust cannot do yet")
    for what in report.missed:
        print(f"  missed: {what}")


if __name__ == "__main__":
    main()
