# SPDX-License-Identifier: GPL-2.0
"""The cases: page tables that QEMU walks, and the expected results.

A case is read from a JSON document:

    {"cases": [{
       "name": "vtd-ss4-2m",
       "mode": "vtd-legacy-ss" | "vtd-scalable-ss" | "vtd-scalable-fs"
             | "smmu-s1" | "smmu-s2" | "smmu-nested",
       "levels": 3 | 4,                           VT-d; 4 for the first stage
       "granule": 12 | 14 | 16, "ia_bits": 39,    stage 1 of an SMMU
       "s2_granule": ..., "s2_ia_bits": ..., "s2_start_level": ...,    its stage 2
       "root": "0x...", "s2_root": "0x...",       table addresses; smmu-s2 has s2_root only
       "cd_ipa": "0x...", "cd_phys": "0x...",     smmu-nested, see below
       "memory": [["0xADDRESS", "WORD WORD ..."], ...],
       "queries": [{"iova": "0x...", "expect": {"phys": "0x..."}},
                   {"iova": "0x...", "expect": {"fault": {...}}}]}]}

"memory" holds 64-bit words in hexadecimal, at consecutive addresses starting at
ADDRESS. All other memory is zero. A query is a write of four bytes. A fault is
{"reason": "0x.."} for VT-d, and {"event": "0x10", "s2": bool, "class": 0..2,
"ipa": "0x.."} for SMMUv3, where "ipa" is the address of a 4 KiB page. A field that is
null or absent is not compared.

With both stages, "root" is an IPA, and so is the address that the SMMU fetches the
context descriptor from. The comparer writes the descriptor (64 bytes) to "cd_phys".
Stage 2 of the case maps "cd_ipa" to that address, unless the case tests the fault
that occurs if it does not.

The whole document is refused before the first query if a case has

- a table or a target outside the machine's windows (machines.py),
- a target in a page that holds a table,
- an IOVA that bypasses the IOMMU,
- a stage 2 whose first table is concatenated: QEMU indexes the first part only,
- with smmu-s2, an IOVA of more than 44 bits: QEMU records no event for it.

If QEMU records another fault than the specification requires, the document has the
fault of the specification. Vtd.as_recorded and Smmuv3.as_recorded translate it.
"""

import dataclasses
import json

from machines import KINDS

PAGE = 0x1000
CD_BYTES = 64
OUTPUT_BITS = 44  # of QEMU's SMMU (IDR5.OAS)
GRANULES = (12, 14, 16)
S1_FIELDS = ("granule", "ia_bits", "root")
S2_FIELDS = ("s2_granule", "s2_ia_bits", "s2_start_level", "s2_root")
FIELDS = {
    "vtd-legacy-ss": ("levels", "root"),
    "vtd-scalable-ss": ("levels", "root"),
    "vtd-scalable-fs": ("levels", "root"),
    "smmu-s1": S1_FIELDS,
    "smmu-s2": S2_FIELDS,
    "smmu-nested": (*S1_FIELDS, *S2_FIELDS, "cd_ipa", "cd_phys"),
}
ADDRESSES = ("root", "s2_root", "cd_ipa", "cd_phys")
FAULT_CODES = {"vtd": "reason", "smmu": "event"}
FAULT_FIELDS = {"reason": ("reason",), "event": ("event", "s2", "class", "ipa")}


class DocumentError(Exception):
    """The document is malformed or breaks one of the rules above."""


@dataclasses.dataclass
class Query:
    """One write. Either `phys` or `fault` is the expected result; the other is None."""

    iova: int
    phys: int | None
    fault: dict | None


@dataclasses.dataclass
class Case:
    """Tables in memory and the queries to run on them. A field that the mode does
    not have is 0. `memory` is a list of (address, words)."""

    name: str
    mode: str
    memory: list
    queries: list
    levels: int = 0
    granule: int = 0
    ia_bits: int = 0
    root: int = 0
    s2_granule: int = 0
    s2_ia_bits: int = 0
    s2_start_level: int = 0
    s2_root: int = 0
    cd_ipa: int = 0
    cd_phys: int = 0

    def table_pages(self):
        """Returns the addresses of the 4 KiB pages that are written before the queries."""
        spans = [(address, 8 * len(words)) for address, words in self.memory]
        if self.cd_phys:
            spans.append((self.cd_phys, CD_BYTES))
        return {page for address, size in spans
                for page in range(address & -PAGE, address + size, PAGE)}


def load(stream):
    """Returns the cases of a JSON document."""
    try:
        return [checked(case(entry)) for entry in json.load(stream)["cases"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"not a document of cases: {error!r}") from error


def case(entry):
    values = {name: int(entry[name], 16) if name in ADDRESSES else int(entry[name])
              for name in FIELDS[entry["mode"]]}
    return Case(
        name=entry["name"],
        mode=entry["mode"],
        memory=[(int(address, 16), [int(word, 16) for word in words.split()])
                for address, words in entry["memory"]],
        queries=[query(item, entry["mode"]) for item in entry["queries"]],
        **values)


def query(item, mode):
    expect = item["expect"]
    iova = int(item["iova"], 16)
    if "phys" in expect:
        return Query(iova, int(expect["phys"], 16), None)
    fault = expect["fault"]
    code = FAULT_CODES[mode.split("-")[0]]
    if code not in fault or not set(fault) <= set(FAULT_FIELDS[code]):
        raise ValueError(f"not a fault in mode {mode}: {fault}")
    return Query(iova, None, {
        name: int(value, 16) if isinstance(value, str) else value
        for name, value in fault.items()})


def checked(item):
    for rule, problem in problems(item):
        if not rule:
            raise DocumentError(f"{item.name}: {problem}")
    return item


def problems(item):
    """Yields pairs: whether the case complies with a rule, and the message if not."""
    kind = KINDS[item.mode]

    def inside(first, size):
        return any(low <= first and first + size <= end for low, end in kind.windows)

    if item.mode.startswith("vtd"):
        levels = (4,) if item.mode == "vtd-scalable-fs" else (3, 4)
        yield item.levels in levels, f"{item.levels} levels"
    for granule in (item.granule, item.s2_granule):
        yield granule in (0, *GRANULES), f"no granule has {granule} bits"
    if item.s2_granule:
        # Each level resolves three bits less than the granule has. Level 3 is the last.
        stride = item.s2_granule - 3
        most = item.s2_granule + stride * (4 - item.s2_start_level)
        yield most - stride < item.s2_ia_bits <= most, (
            f"{item.s2_ia_bits} bits of IPA do not fit one table at level {item.s2_start_level}")
    for address, words in item.memory:
        yield address % 8 == 0 and inside(address, 8 * len(words)), f"memory at {address:#x}"
    yield not item.cd_phys or inside(item.cd_phys, CD_BYTES), f"cd_phys {item.cd_phys:#x}"
    yield item.cd_phys % CD_BYTES == 0 and item.cd_ipa % CD_BYTES == 0, "misaligned descriptor"
    tables = item.table_pages()
    low, end = kind.untranslated
    for request in item.queries:
        yield request.iova % 4 == 0 and request.iova < 1 << 64, (
            f"iova {request.iova:#x} is not the address of a word")
        yield not low <= request.iova < end, f"iova {request.iova:#x} bypasses the IOMMU"
        yield item.mode != "smmu-s2" or request.iova < 1 << OUTPUT_BITS, (
            f"QEMU records no event for iova {request.iova:#x}")
        if request.phys is not None:
            yield inside(request.phys, 4) and request.phys % 4 == 0, f"target {request.phys:#x}"
            yield request.phys & -PAGE not in tables, f"target {request.phys:#x} is in a table"
