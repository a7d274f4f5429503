#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares how QEMU's emulated IOMMU walks our page tables with what we expect.

    compare.py <vectors.json    the document is described in cases.py

Writes the tables of each case to the memory of a machine and makes a device write to
each IOVA. The address of the write, or the fault that is recorded, is compared with
the one in the document. The IOTLB is invalidated before each write, so that each
translation is a page walk. Prints one KTAP line for each query. Exits with 1 if a
query has another result than expected, 2 if the comparison could not be made.
"""

import itertools
import sys

import cases
import testdev
from fault import show_fields
from machines import KINDS
from qtest import QtestError

PAGE = cases.PAGE
# Fills the memory around a target. It is not 0, so that zeros written there show too.
FILL = 0xa5
# The walker may set Accessed and Dirty in first-stage entries (VT-d 3.6.3).
ACCESSED_DIRTY = 0x60


class Walk:
    """One case in one machine, from writing its tables to clearing them."""

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
        """Clears the tables, so that the memory is zero as it was before."""
        for page in self.tables:
            self.machine.qemu.clear(page, PAGE)

    def run(self, query):
        """Runs one query. Returns how the result differs, in words; empty if it does not."""
        self.machine.iommu.flush_tlb()
        around = self.surroundings(query.phys) if query.phys is not None else []
        for page in around:
            self.machine.qemu.send("memset", page, PAGE, FILL)
        # If a fault is expected, the device does not get to check the physical address.
        result = self.machine.device.write(query.iova, query.phys or 0)
        faults = self.machine.iommu.take_faults()
        if query.fault is not None:
            answer = self.check_fault(query, result, faults)
        else:
            answer = self.check_hit(query.phys, result, faults, around)
        for page in around:
            self.machine.qemu.clear(page, PAGE)
        return answer or self.check_tables()

    def surroundings(self, phys):
        """Returns the target's page and its neighbours that are inside the machine's
        windows and hold no table."""
        middle = phys & -PAGE
        return [page for page in (middle - PAGE, middle, middle + PAGE)
                if page not in self.tables
                and any(low <= page < end for low, end in self.windows)]

    def check_hit(self, phys, result, faults, around):
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

    def check_fault(self, query, result, faults):
        if not faults:
            return f"no fault, the device's result is {result:#x}"
        if len(faults) > 1:
            return "faults " + ", ".join(show_fields(fault.fields) for fault in faults)
        if result != testdev.DMA_FAULT:
            return f"a fault, but the device's result is {result:#x}"
        iommu = self.machine.iommu
        return faults[0].differs(
            iommu.rid, query.iova, iommu.as_recorded(self.case.mode, query.fault))

    def check_tables(self):
        """Checks that the walk changed no entry, except for bits that hardware may set."""
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
    """Runs all queries of a list of cases, machine by machine. Yields the case, the
    query, and how QEMU's result differs, in words."""
    # Modes that share a machine are adjacent in KINDS, as groupby() requires.
    for kind, modes in itertools.groupby(KINDS, key=KINDS.get):
        modes = list(modes)
        group = [case for case in document if case.mode in modes]
        if not group:
            continue
        with kind.start() as machine:
            for case in group:
                walk = Walk(machine, case)
                for query in case.queries:
                    yield case, query, walk.run(query)
                walk.end()


def compare(document):
    """Prints the results. Returns the exit status."""
    planned = sum(len(case.queries) for case in document)
    print(f"1..{planned}")
    failed = 0
    for number, (case, query, answer) in enumerate(results(document), 1):
        what = f"{number} {case.name} iova {query.iova:#x} -> {expectation(query)}"
        print(f"not ok {what}; QEMU: {answer}" if answer else f"ok {what}")
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
