#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Hand-written page tables for each mode, to test the comparer itself.

    fixtures.py | compare.py

The entries are composed here from the specifications, without our page-table code. So
a query that fails here shows an error in the comparer or in QEMU. For each mode there
are successful accesses with leaves of every size, and one fault of each kind.
"""

import json

# VT-d second stage, 9.8. PS marks a leaf above level 1.
R = 1
RW = 3
PS = 1 << 7
# VT-d first stage, 9.7: Present, Writable, User
PRESENT = 1
USER = 1 << 2
PWU = 7

# Arm descriptors, Arm ARM D8.3
TABLE = 3
PAGE = 3
BLOCK = 1
AF = 1 << 10
S1_USER = 1 << 6
S1_READ_ONLY = 1 << 7
S2_READ = 1 << 6
S2_READ_WRITE = 3 << 6

GIB = 1 << 30
MIB = 1 << 20


def case(name, mode, tables, queries, **fields):
    """Returns a case as it stands in the document. `tables` maps the address of a table
    to {index: entry}. A query is a pair of an IOVA and the expected physical address or
    fault."""
    memory = [[hex(address + 8 * index), f"{entry:016x}"]
              for address, entries in tables.items() for index, entry in entries.items()]
    return {
        "name": name, "mode": mode, "memory": memory,
        "queries": [{"iova": hex(iova), "expect": (
            {"fault": expect} if isinstance(expect, dict) else {"phys": hex(expect)})}
                    for iova, expect in queries],
        **{key: hex(value) if key in ("root", "s2_root", "cd_ipa", "cd_phys") else value
           for key, value in fields.items()}}


def reason(code):
    return {"reason": hex(code)}


def event(code, s2=False, of=2, ipa=None):
    return {"event": hex(code), "s2": s2, "class": of, "ipa": None if ipa is None else hex(ipa)}


def vtd_second_stage(mode, levels, codes):
    """Returns a case for the second stage. `codes` are the fault reasons for a missing
    write permission, a reserved bit that is set, and an IOVA that is too wide."""
    denied, reserved, too_wide = codes
    tables = {
        0x100_1000: {0: 0x100_2000 | RW, 1: 0x4000_0000 | PS | RW, 2: 0x100_4000 | R,
                     3: 0x1_4000_0000 | PS | RW},
        0x100_2000: {0: 0x100_3000 | RW, 1: 0x200_0000 | PS | RW, 2: 0x220_0000 | PS | R,
                     3: 0x200_1000 | PS | RW},
        0x100_3000: {5: 0x300_0000 | RW, 6: 0x300_1000 | R, 7: 0x1_7fff_f000 | RW,
                     511: 0x300_2000 | RW},
        0x100_4000: {0: 0x400_0000 | PS | RW},
    }
    base, root = 0, 0x100_1000
    if levels == 4:
        tables[0x100_0000] = {1: root | RW}
        base, root = 1 << 39, 0x100_0000
    queries = [
        (base + 0x5124, 0x300_0124),
        (base + 0x7ffc, 0x1_7fff_fffc),
        (base + 0x1f_f000, 0x300_2000),
        (base + 2 * MIB + 0x12_3454, 0x212_3454),
        (base + GIB + 0x2345_6788, 0x6345_6788),
        (base + 3 * GIB + 0x3456_7898, 0x1_7456_7898),
        (base + 0x6000, reason(denied)),
        (base + 0x8000, reason(denied)),
        (base + 4 * MIB, reason(denied)),
        (base + 6 * MIB, reason(reserved)),
        (base + 2 * GIB, reason(denied)),
        (base + 9 * GIB, reason(denied)),
        (1 << 9 * levels + 12, reason(too_wide)),
    ]
    return case(f"{mode}-{levels}", mode, tables, queries, levels=levels, root=root)


def vtd_first_stage():
    tables = {
        0x100_0000: {0: 0x100_1000 | PWU, 511: 0x100_1000 | PWU},
        0x100_1000: {0: 0x100_2000 | PWU, 1: 0x4000_0000 | PS | PWU},
        0x100_2000: {0: 0x100_3000 | PWU, 1: 0x200_0000 | PS | PWU, 2: 0x200_2000 | PS | PWU},
        0x100_3000: {5: 0x300_0000 | PWU, 6: 0x300_1000 | PRESENT | USER,
                     7: 0x300_2000 | RW, 8: 0x1_7fff_f000 | PWU},
    }
    high = (1 << 64) - (1 << 39)
    queries = [
        (0x5124, 0x300_0124),
        (0x8ffc, 0x1_7fff_fffc),
        (2 * MIB + 0x12_3454, 0x212_3454),
        (GIB + 0x2345_6788, 0x6345_6788),
        (high + 0x5124, 0x300_0124),
        (0x6000, reason(0x85)),
        (0x7000, reason(0x81)),
        (0x9000, reason(0x71)),
        (8 * MIB, reason(0x71)),
        (4 * MIB, reason(0x72)),
        (1 << 47, reason(0x80)),
    ]
    return case("vtd-scalable-fs-4", "vtd-scalable-fs", tables, queries, levels=4, root=0x100_0000)


def smmu_one_stage(mode, granule, bits, level):
    """Returns a case for stage 1 or stage 2, with tables from `level` to 3 for input
    addresses of `bits`. The case has pages and blocks, some of them read-only, an entry
    without access flag, one whose output address has more than 44 bits, and IOVAs
    without an entry."""
    second = mode == "smmu-s2"
    leaf = AF | (S2_READ_WRITE if second else S1_USER)
    read_only = AF | (S2_READ if second else S1_USER | S1_READ_ONLY)
    stride = granule - 3
    size = [1 << granule + stride * (3 - depth) for depth in range(4)]
    tables = {}
    root = table = 0x4200_0000
    for depth in range(level, 3):
        tables[table] = {0: table + 0x1_0000 | TABLE}
        table += 0x1_0000
    page = size[3]
    tables[table - 0x1_0000] |= {1: 0x8000_0000 | leaf | BLOCK, 2: 0xa000_0000 | read_only | BLOCK}
    tables[table] = {
        5: 0x5000_0000 | leaf | PAGE, 6: 0x5001_0000 | read_only | PAGE,
        7: 0x5002_0000 | leaf & ~AF | PAGE, 8: 0x1_3fff_0000 | leaf | PAGE,
        9: 1 << 45 | leaf | PAGE}
    queries = [
        (5 * page + 0x124, 0x5000_0124),
        (8 * page + 0xffc, 0x1_3fff_0ffc),
        (size[2] + 0x12_3454, 0x8012_3454),
    ]
    for iova, code in ((6 * page, 0x13), (7 * page, 0x12), (9 * page, 0x11), (10 * page, 0x10),
                       (2 * size[2] + 0x4000, 0x13), (3 * size[2], 0x10), (1 << bits, 0x10)):
        # With stage 2 alone, QEMU records no event for an IOVA of more than 44 bits.
        if not second or iova < 1 << 44:
            queries.append((iova, event(code, s2=second, ipa=iova if second else None)))
    fields = {"granule": granule, "ia_bits": bits, "root": root}
    if second:
        fields = {f"s2_{key}": value for key, value in fields.items()} | {"s2_start_level": level}
    return case(f"{mode}-{1 << granule - 10}k-{bits}", mode, tables, queries, **fields)


def smmu_single_stages():
    for granule, bits, level in ((12, 39, 1), (12, 48, 0), (14, 36, 2), (14, 47, 1), (16, 42, 2)):
        yield smmu_one_stage("smmu-s1", granule, bits, level)
    for granule, bits, level in ((12, 39, 1), (12, 44, 0), (14, 36, 2), (14, 40, 1), (16, 42, 2)):
        yield smmu_one_stage("smmu-s2", granule, bits, level)


def smmu_nested():
    """Yields cases for both stages. Stage 1 has its tables at IPA 256 MiB and maps pages
    at IPA 258 MiB."""
    leaf = AF | S2_READ_WRITE
    page = AF | S1_USER | PAGE
    stage_2 = {
        0x4200_0000: {0: 0x4200_1000 | TABLE, 1: 0x8000_0000 | leaf | BLOCK},
        0x4200_1000: {128: 0x4300_0000 | leaf | BLOCK, 129: 0x4200_2000 | TABLE},
        0x4200_2000: {0: 0x5000_0000 | leaf | PAGE, 1: 0x5000_1000 | AF | S2_READ | PAGE},
    }
    stage_1 = {
        0x4300_0000: {0: 0x1000_1000 | TABLE, 1: 0x4000_0000 | AF | S1_USER | BLOCK},
        0x4300_1000: {0: 0x1000_2000 | TABLE, 1: 0x3000_0000 | TABLE},
        0x4300_2000: {5: 0x1020_0000 | page, 6: 0x1020_1000 | page, 7: 0x1020_2000 | page,
                      8: 0x1020_0000 | S1_READ_ONLY | page},
    }
    where = {"granule": 12, "ia_bits": 39, "root": 0x1000_0000, "s2_granule": 12,
             "s2_ia_bits": 39, "s2_start_level": 1, "s2_root": 0x4200_0000,
             "cd_phys": 0x4301_0000}
    queries = [
        (0x5124, 0x5000_0124),
        (GIB + 0x1234_5678, 0x9234_5678),
        (0x6000, event(0x13, s2=True, ipa=0x1020_1000)),
        (0x7000, event(0x10, s2=True, ipa=0x1020_2000)),
        (0x8000, event(0x13)),
        (0x9000, event(0x10)),
        (2 * MIB + 0x3000, event(0x10, s2=True, of=1, ipa=0x3000_0000)),
    ]
    yield case("smmu-nested-4k", "smmu-nested", stage_2 | stage_1, queries,
               cd_ipa=0x1001_0000, **where)
    yield case("smmu-nested-no-cd", "smmu-nested", stage_2,
               [(0x5000, event(0x10, s2=True, of=0, ipa=0x2000_0000))],
               cd_ipa=0x2000_0000, **where)


def document():
    return {"cases": [
        vtd_second_stage("vtd-legacy-ss", 3, (0x5, 0xc, 0x4)),
        vtd_second_stage("vtd-legacy-ss", 4, (0x5, 0xc, 0x4)),
        vtd_second_stage("vtd-scalable-ss", 3, (0x79, 0x7a, 0x83)),
        vtd_second_stage("vtd-scalable-ss", 4, (0x79, 0x7a, 0x83)),
        vtd_first_stage(),
        *smmu_single_stages(),
        *smmu_nested(),
    ]}


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
