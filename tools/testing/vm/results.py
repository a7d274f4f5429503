#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts test results, in the formats of KTAP and cargo.

    results.py ktap NAME [EXPECTED] <LOG
                                  a VM's log: programs that print KTAP
    results.py cargo NAME <LOG    the output of cargo test
    results.py sum FILE           the failures, then "N passed, N failed, N skipped"

The first two print one line for each test, "pass|fail|skip NAME: test"; a file of
such lines is what `sum` reads. A program that dies, or runs fewer tests than it
planned, fails even if each test that it ran was "ok".

EXPECTED is a file of tests that are known to fail, "PROGRAM TEST REASON" in each
line: they count as skipped, with the reason. A test of the list that passes, or that its
program did not run, counts as failed: take it from the list.
"""

import re
import sys

RESULT = re.compile(r"(not )?ok (\d+)(?: -)? ?(.*)")
PLAN = re.compile(r"1\.\.(\d+)(.*)")
SKIPPED = re.compile(r"# ?SKIP", re.IGNORECASE)
CARGO = re.compile(r"test (.+) \.\.\. (ok|FAILED|ignored)")
EXIT_SKIP = 4  # kselftest's KSFT_SKIP


class Program:
    """The output of one program, between "# program:" and "# exit:"."""

    def __init__(self, name, expected):
        self.name = name
        self.expected = dict(expected)
        self.failed = False
        self.planned = None
        self.counts = {"pass": 0, "fail": 0, "skip": 0}

    def report(self, kind, what):
        self.counts[kind] += 1
        print(f"{kind} {self.name}: {what}")

    def line(self, line):
        if plan := PLAN.match(line):
            self.planned = int(plan[1])
            if self.planned == 0:
                self.report("skip", plan[2].strip(" #") or "everything")
        elif result := RESULT.match(line):
            kind = "fail" if result[1] else "pass"
            what = result[3].strip() or f"test {result[2]}"
            if SKIPPED.search(line) and kind == "pass":
                kind = "skip"
            if reason := self.expected.pop(what.split(" ")[0], None):
                if kind == "fail":
                    self.failed = True
                    kind, what = "skip", f"{what} (expected to fail: {reason})"
                elif kind == "pass":
                    kind, what = "fail", f"{what} (it passes now: take it from the list)"
            self.report(kind, what)

    def end(self, status):
        ran = sum(self.counts.values())
        if ran:
            for what in self.expected:
                print(f"fail {self.name}: {what} (on the list, but it did not run)")
        if self.planned is None:
            self.report("fail", "it printed no plan")
        elif ran != max(self.planned, 1) and not (ran == 0 and status == EXIT_SKIP):
            self.report("fail", f"{self.planned} tests planned, {ran} seen")
        elif status not in (0, EXIT_SKIP) and not self.counts["fail"] and not self.failed:
            self.report("fail", f"it exited with {status}")


def read_expected(path):
    """The tests of each program that are known to fail, with the reason."""
    expected = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                program, test, reason = line.split(maxsplit=2)
                expected.setdefault(program, {})[test] = reason.strip()
    return expected


def ktap(name, expected):
    program = None
    seen = 0
    for line in sys.stdin.buffer:
        line = line.decode(errors="replace").rstrip("\r\n")
        if line.startswith("# program: "):
            if program:
                program.report("fail", "it did not end")
            program = Program(f"{name} {line[11:]}", expected.get(line[11:], {}))
            seen += 1
        elif line.startswith("# exit: ") and program:
            program.end(int(line[8:]))
            program = None
        elif program:
            program.line(line)
    if program:
        program.report("fail", "it did not end")
    if not seen:
        print(f"fail {name}: no test program ran")


def cargo(name):
    kinds = {"ok": "pass", "FAILED": "fail", "ignored": "skip"}
    for line in sys.stdin:
        if test := CARGO.match(line):
            print(f"{kinds[test[2]]} {name}: {test[1]}")


def summary(path):
    with open(path, encoding="utf-8") as results:
        lines = results.read().splitlines()
    count = {kind: 0 for kind in ("pass", "fail", "skip")}
    for line in lines:
        kind, what = line.split(" ", 1)
        count[kind] += 1
        if kind == "fail":
            print(f"FAILED  {what}")
    print(f"{count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
    return 1 if count["fail"] or not count["pass"] else 0


def main():
    match sys.argv[1:]:
        case ["ktap", name]:
            ktap(name, {})
        case ["ktap", name, path]:
            ktap(name, read_expected(path))
        case ["cargo", name]:
            cargo(name)
        case ["sum", path]:
            return summary(path)
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
