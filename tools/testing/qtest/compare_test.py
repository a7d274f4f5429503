#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the comparer: the fixtures pass, and fail if an expectation is changed.

    compare_test.py    needs both QEMUs, as compare.py does
"""

import io
import json
import unittest
from unittest import mock

import cases
import compare
import fixtures
import testdev


# The fault that a root table of zeros causes
EMPTY_TABLE_FAULTS = {
    "vtd-legacy-ss": ("reason", "0x5"),
    "vtd-scalable-ss": ("reason", "0x79"),
    "vtd-scalable-fs": ("reason", "0x71"),
    "smmu-s1": ("event", "0x10"),
    "smmu-s2": ("event", "0x10"),
    "smmu-nested": ("event", "0x10"),
}


def load(document):
    return cases.load(io.StringIO(json.dumps(document)))


def answers(document):
    """Yields the name of each query, the query, and how QEMU's result differs."""
    for case, query, answer in compare.results(load(document)):
        name = f"{case.name} iova {query.iova:#x} -> {compare.expectation(query)}"
        yield name, query, answer


def wrong_expectations(expect, code):
    """Yields expectations that each differ from the correct one in one respect."""
    if "phys" in expect:
        phys = int(expect["phys"], 16)
        yield {"phys": hex(phys ^ 4)}
        yield {"phys": hex(phys ^ 0x20_0000)}
        yield {"fault": {code: "0x10"}}
        return
    fault = expect["fault"]
    yield {"phys": "0x70000000"}  # no fixture has a table there
    for name, value in fault.items():
        if name == "s2" and fault["class"] == 1:
            continue  # not compared; see Smmuv3.as_recorded
        if isinstance(value, bool):
            yield {"fault": fault | {name: not value}}
        elif isinstance(value, int):
            yield {"fault": fault | {name: value ^ 2}}
        elif value is not None:
            yield {"fault": fault | {name: hex(int(value, 16) ^ 0x2040)}}


def moved(case):
    """Returns the case with only its first query, and with the page of that query mapped
    to a physical address 1 MiB higher."""
    query = case["queries"][0]
    phys = int(query["expect"]["phys"], 16)

    def word(value):
        there = value & (1 << 48) - 0x1000 == phys & -0x1000
        return hex(value + 0x10_0000 if there else value)

    return case | {
        "memory": [[address, word(int(value, 16))] for address, value in case["memory"]],
        "queries": [query | {"expect": {"phys": hex(phys + 0x10_0000)}}]}


def empty(case):
    """Returns the case with only its first query, and with all of its memory zero."""
    code, value = EMPTY_TABLE_FAULTS[case["mode"]]
    query = case["queries"][0] | {"expect": {"fault": {code: value}}}
    return case | {"memory": [], "queries": [query]}


class Comparer(unittest.TestCase):
    """Tests compare.py with a running QEMU."""

    def test_fixtures_pass(self):
        for name, _, answer in answers(fixtures.document()):
            self.assertEqual(answer, "", name)

    def test_each_wrong_expectation_fails(self):
        document = fixtures.document()
        for case in document["cases"]:
            code = cases.FAULT_CODES[case["mode"].split("-")[0]]
            case["queries"] = [
                {"iova": query["iova"], "expect": wrong}
                for query in case["queries"] for wrong in wrong_expectations(query["expect"], code)]
        for name, _, answer in answers(document):
            self.assertNotEqual(answer, "", name)

    def test_cases_are_independent(self):
        both = [each for case in fixtures.document()["cases"]
                if "phys" in case["queries"][0]["expect"]
                for each in (case, moved(case), empty(case))]
        for name, _, answer in answers({"cases": both}):
            self.assertEqual(answer, "", name)

    def test_extra_bytes_written_are_detected(self):
        write = testdev.Testdev.write

        def write_twice_as_much(device, iova, phys):
            with mock.patch.object(testdev, "WORD", testdev.WORD * 2):
                return write(device, iova, phys)

        with mock.patch.object(testdev.Testdev, "write", write_twice_as_much):
            for name, query, answer in answers(fixtures.document()):
                # At the end of a page, QEMU splits the write into two transfers.
                if query.phys is not None and query.phys & 0xfff != 0xffc:
                    self.assertIn("bytes other than the word", answer, name)

    def test_table_change_is_detected(self):
        document = {"cases": [fixtures.vtd_first_stage()]}
        with mock.patch.object(compare, "ACCESSED_DIRTY", 0):
            _, _, answer = next(answers(document))
        self.assertIn("the entry at", answer)

    def test_invalid_documents_are_refused(self):
        true = fixtures.smmu_one_stage("smmu-s2", 12, 39, 1)
        query = {"iova": "0x5000", "expect": {"phys": "0x50000000"}}
        for change in (
                {"s2_ia_bits": 40},
                {"s2_granule": 13},
                {"mode": "smmu-s3"},
                {"s2_root": None},
                {"memory": [["0x40200000", "1"]]},
                {"queries": [query | {"iova": "0x5002"}]},
                {"queries": [query | {"iova": "0x100000000000"}]},
                {"queries": [query | {"expect": {"phys": "0x42000000"}}]},
                {"queries": [query | {"expect": {"phys": "0x1000"}}]},
                {"queries": [query | {"expect": {"fault": {"reason": "0x5"}}}]}):
            with self.subTest(change), self.assertRaises(cases.DocumentError):
                load({"cases": [true | change]})


if __name__ == "__main__":
    unittest.main()
