# SPDX-License-Identifier: GPL-2.0
"""The document that says what QEMU shall walk, and what is to come of it.

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

"memory" holds 64-bit words, each a number in hexadecimal, at consecutive addresses
from ADDRESS on; memory that is not named reads as zero. A query is a write of four
bytes. A fault is {"reason": "0x.."} for VT-d, {"event": "0x10", "s2": bool,
"class": 0..2, "ipa": "0x.."} for SMMUv3, "ipa" without the offset in its 4 KiB page;
what is null or absent is not compared.

With both stages, "root" is an IPA and so is the address that the SMMU fetches the
context descriptor from. The comparer writes it, 64 bytes, to "cd_phys"; the case's
stage 2 leads "cd_ipa" there, or fails to if that is what the case is about.

A document that breaks a rule is refused as a whole, before anything runs: a table
or target outside the machine's windows (machines.py), a target in a page that holds
a table, an IOVA that bypasses the IOMMU; and what QEMU's emulation is wrong about: a
stage 2 whose first table is concatenated (it indexes the first part only), and with
smmu-s2 an IOVA of more than 44 bits (it records no event). Where QEMU records
another fault than the specifications say, the document has the specifications';
Vtd.as_recorded and Smmuv3.as_recorded know the difference.
"""

import dataclasses
import json

from machines import KINDS

PAGE = 0x1000
CD_BYTES = 64
OUTPUT_BITS = 44  # what QEMU's SMMU has (IDR5.OAS)
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
    """The document is not one that this program can run."""


@dataclasses.dataclass
class Query:
    """Either `phys` or `fault` is what is expected; the other is None."""

    iova: int
    phys: int | None
    fault: dict | None


@dataclasses.dataclass
class Case:
    """Tables in memory and the questions about them. A field that the mode does
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
        """Addresses of the 4 KiB pages that something is written to before the queries."""
        spans = [(address, 8 * len(words)) for address, words in self.memory]
        if self.cd_phys:
            spans.append((self.cd_phys, CD_BYTES))
        return {page for address, size in spans
                for page in range(address & -PAGE, address + size, PAGE)}


def load(stream):
    """The cases of a JSON document."""
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
    """Pairs of a rule, as it holds or not, and what to say if it does not."""
    kind = KINDS[item.mode]

    def inside(first, size):
        return any(low <= first and first + size <= end for low, end in kind.windows)

    if item.mode.startswith("vtd"):
        levels = (4,) if item.mode == "vtd-scalable-fs" else (3, 4)
        yield item.levels in levels, f"{item.levels} levels"
    for granule in (item.granule, item.s2_granule):
        yield granule in (0, *GRANULES), f"no granule has {granule} bits"
    if item.s2_granule:
        # Each level resolves three bits less than the granule has, level 3 the lowest.
        stride = item.s2_granule - 3
        most = item.s2_granule + stride * (4 - item.s2_start_level)
        yield most - stride < item.s2_ia_bits <= most, (
            f"{item.s2_ia_bits} bits of IPA are not one table's from level {item.s2_start_level} on")
    for address, words in item.memory:
        yield address % 8 == 0 and inside(address, 8 * len(words)), f"memory at {address:#x}"
    yield not item.cd_phys or inside(item.cd_phys, CD_BYTES), f"cd_phys {item.cd_phys:#x}"
    yield item.cd_phys % CD_BYTES == 0 and item.cd_ipa % CD_BYTES == 0, "misaligned descriptor"
    tables = item.table_pages()
    low, end = kind.untranslated
    for ask in item.queries:
        yield ask.iova % 4 == 0 and ask.iova < 1 << 64, f"iova {ask.iova:#x} is not that of a word"
        yield not low <= ask.iova < end, f"iova {ask.iova:#x} bypasses the IOMMU"
        yield item.mode != "smmu-s2" or ask.iova < 1 << OUTPUT_BITS, (
            f"QEMU records nothing about iova {ask.iova:#x}")
        if ask.phys is not None:
            yield inside(ask.phys, 4) and ask.phys % 4 == 0, f"target {ask.phys:#x}"
            yield ask.phys & -PAGE not in tables, f"target {ask.phys:#x} is in a table"
