#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does the comparer notice? QEMU agrees with the fixtures; with each expectation of
theirs falsified, it must not.

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


# The fault of a root table that is all zero
NOTHING_THERE = {
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
    """A name for each query, and how QEMU's answer differs."""
    for case, query, answer in compare.results(load(document)):
        name = f"{case.name} iova {query.iova:#x} -> {compare.expectation(query)}"
        yield name, query, answer


def falsified(expect, code):
    """Expectations that differ from the true one in one thing each."""
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
            continue  # what QEMU has wrong itself; Smmuv3.as_recorded
        if isinstance(value, bool):
            yield {"fault": fault | {name: not value}}
        elif isinstance(value, int):
            yield {"fault": fault | {name: value ^ 2}}
        elif value is not None:
            yield {"fault": fault | {name: hex(int(value, 16) ^ 0x2040)}}


def moved(case):
    """The case with nothing but its first query, whose page lies 1 MiB further up."""
    query = case["queries"][0]
    phys = int(query["expect"]["phys"], 16)

    def word(value):
        there = value & (1 << 48) - 0x1000 == phys & -0x1000
        return hex(value + 0x10_0000 if there else value)

    return case | {
        "memory": [[address, word(int(value, 16))] for address, value in case["memory"]],
        "queries": [query | {"expect": {"phys": hex(phys + 0x10_0000)}}]}


def empty(case):
    """The case with its first query, and all of its memory zero."""
    code, value = NOTHING_THERE[case["mode"]]
    query = case["queries"][0] | {"expect": {"fault": {code: value}}}
    return case | {"memory": [], "queries": [query]}


class Comparer(unittest.TestCase):
    """What compare.py makes of QEMU's answers."""

    def test_fixtures_agree(self):
        for name, _, answer in answers(fixtures.document()):
            self.assertEqual(answer, "", name)

    def test_every_falsehood_is_noticed(self):
        document = fixtures.document()
        for case in document["cases"]:
            code = cases.FAULT_CODES[case["mode"].split("-")[0]]
            case["queries"] = [
                {"iova": query["iova"], "expect": wrong}
                for query in case["queries"] for wrong in falsified(query["expect"], code)]
        for name, _, answer in answers(document):
            self.assertNotEqual(answer, "", name)

    def test_one_case_leaves_nothing_for_the_next(self):
        both = [each for case in fixtures.document()["cases"]
                if "phys" in case["queries"][0]["expect"]
                for each in (case, moved(case), empty(case))]
        for name, _, answer in answers({"cases": both}):
            self.assertEqual(answer, "", name)

    def test_bytes_beside_the_word_are_noticed(self):
        write = testdev.Testdev.write

        def write_twice_as_much(device, iova, phys):
            with mock.patch.object(testdev, "WORD", testdev.WORD * 2):
                return write(device, iova, phys)

        with mock.patch.object(testdev.Testdev, "write", write_twice_as_much):
            for name, query, answer in answers(fixtures.document()):
                # At the end of a page the second half is a transfer of its own.
                if query.phys is not None and query.phys & 0xfff != 0xffc:
                    self.assertIn("bytes other than the word", answer, name)

    def test_a_change_in_a_table_is_noticed(self):
        document = {"cases": [fixtures.vtd_first_stage()]}
        with mock.patch.object(compare, "ACCESSED_DIRTY", 0):
            _, _, answer = next(answers(document))
        self.assertIn("the entry at", answer)

    def test_documents_that_cannot_run_are_refused(self):
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
