#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does QEMU's emulated IOMMU read our page tables as we do?

    compare.py <vectors.json    the document is described in cases.py

Puts the tables of each case into a machine's memory, lets a device write to each
IOVA and compares where the word lands, or which fault is recorded, with what the
document expects. Each translation is a walk: the IOTLB is emptied before it. Prints
one KTAP line for a query. Exits with 1 if one is not as expected, 2 if the
comparison could not be made.
"""

import itertools
import sys

import cases
import testdev
from fault import show_fields
from machines import KINDS
from qtest import QtestError

PAGE = cases.PAGE
# What the memory around a target holds: any change shows, zeros written too
FILL = 0xa5
# The walker may set Accessed and Dirty in first-stage entries (VT-d 3.6.3).
ACCESSED_DIRTY = 0x60


class Walk:
    """One case in one machine, from laying out its tables to taking them away."""

    def __init__(self, machine, case):
        self.machine = machine
        self.case = case
        self.windows = KINDS[case.mode].windows
        self.tables = sorted(case.table_pages())
        for address, words in case.memory:
            machine.qemu.write_words(address, *words)
        machine.iommu.attach(case)
        self.before = self.table_memory()

    def table_memory(self):
        return [self.machine.qemu.read(page, PAGE) for page in self.tables]

    def end(self):
        """Leaves the memory as zero as it was found."""
        for page in self.tables:
            self.machine.qemu.clear(page, PAGE)

    def ask(self, query):
        """Runs one query; says in words how the answer differs, or nothing."""
        self.machine.iommu.forget()
        around = self.surroundings(query.phys) if query.phys is not None else []
        for page in around:
            self.machine.qemu.ask("memset", page, PAGE, FILL)
        # If a fault is expected, where the word would lie does not matter.
        result = self.machine.device.write(query.iova, query.phys or 0)
        faults = self.machine.iommu.take_faults()
        if query.fault is not None:
            answer = self.judge_fault(query, result, faults)
        else:
            answer = self.judge_hit(query.phys, result, faults, around)
        for page in around:
            self.machine.qemu.clear(page, PAGE)
        return answer or self.judge_tables()

    def surroundings(self, phys):
        """The target's page and its neighbours, as far as they are a case's to use and
        hold no table."""
        middle = phys & -PAGE
        return [page for page in (middle - PAGE, middle, middle + PAGE)
                if page not in self.tables
                and any(low <= page < end for low, end in self.windows)]

    def judge_hit(self, phys, result, faults, around):
        if faults:
            return "fault " + ", ".join(show_fields(fault.fields) for fault in faults)
        if result == testdev.MISMATCH:
            return "no fault, but the word is not there"
        if result != testdev.OK:
            return f"the device failed with {result:#x}"
        for page in around:
            wanted = bytearray([FILL]) * PAGE
            if page == phys & -PAGE:
                wanted[phys - page:phys - page + len(testdev.WORD)] = testdev.WORD
            if self.machine.qemu.read(page, PAGE) != wanted:
                return f"bytes other than the word changed at {page:#x}"
        return ""

    def judge_fault(self, query, result, faults):
        if not faults:
            return f"no fault, the device's result is {result:#x}"
        if len(faults) > 1:
            return "faults " + ", ".join(show_fields(fault.fields) for fault in faults)
        if result != testdev.DMA_FAULT:
            return f"a fault, and yet the device's result is {result:#x}"
        iommu = self.machine.iommu
        return faults[0].differs(
            iommu.rid, query.iova, iommu.as_recorded(self.case.mode, query.fault))

    def judge_tables(self):
        """A walk changes no table, but for what hardware may set in it."""
        allowed = ACCESSED_DIRTY if self.case.mode == "vtd-scalable-fs" else 0
        for page, before, after in zip(self.tables, self.before, self.table_memory()):
            if before == after:
                continue
            for at in range(0, PAGE, 8):
                old, new = (int.from_bytes(data[at:at + 8], "little") for data in (before, after))
                if old != new and (not old & 1 or old | allowed != new | allowed or old & ~new):
                    return f"the entry at {page + at:#x} changed from {old:#x} to {new:#x}"
        return ""


def expectation(query):
    if query.fault is None:
        return f"{query.phys:#x}"
    return f"fault {show_fields(query.fault)}"


def results(document):
    """Asks every query of a list of cases, machine by machine; yields the case, the
    query, and in words how QEMU's answer differs."""
    # Modes in the table's order: those that share a machine stand together.
    for kind, modes in itertools.groupby(KINDS, key=KINDS.get):
        modes = list(modes)
        group = [case for case in document if case.mode in modes]
        if not group:
            continue
        with kind.start() as machine:
            for case in group:
                walk = Walk(machine, case)
                for query in case.queries:
                    yield case, query, walk.ask(query)
                walk.end()


def compare(document):
    """Prints the results; returns the exit status."""
    planned = sum(len(case.queries) for case in document)
    print(f"1..{planned}")
    failed = 0
    for number, (case, query, answer) in enumerate(results(document), 1):
        what = f"{number} {case.name} iova {query.iova:#x} -> {expectation(query)}"
        print(f"not ok {what}; QEMU says {answer}" if answer else f"ok {what}")
        failed += bool(answer)
    print(f"# {planned - failed} passed, {failed} failed")
    return 1 if failed or not planned else 0


def main():
    if sys.argv[1:]:
        sys.exit(__doc__)
    try:
        return compare(cases.load(sys.stdin))
    except (cases.DocumentError, QtestError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
