#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts the instructions of system calls, function by function.

usage: profile.py MONITOR GUEST-LOG SYSTEM-MAP TRACE

A VM that counts instructions is running. Its guest has printed the lines of
/proc/kallsyms for _stext and for modules. After a line that says that it is warm, it
repeats the calls of interest. QEMU's monitor (a socket) is told to log the address of
each instruction to TRACE for a while. The instructions between two entries into the
kernel are one call, and calls of the same length are one kind of call. The kinds with
the most instructions are shown.
"""

import bisect
import collections
import re
import socket
import subprocess
import sys
import time

WARM = "for-ever: warm"
SAMPLE_BYTES = 100_000_000
PATIENCE = 120
KINDS = 4
LINES = 50
ENTRY = "entry_SYSCALL_64"
USER_END = 1 << 47
TRACE_LINE = re.compile(rb"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
SYMBOL = re.compile(r"^([0-9a-f]{16}) ([a-zA-Z]) (\S+)", re.MULTILINE)


def wait_for(what, condition):
    for _ in range(PATIENCE * 10):
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"profile.py: waited in vain: {what}")


class Monitor:
    """The human monitor of QEMU, as a socket."""

    PROMPT = b"(qemu) "

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._answer()

    def _answer(self):
        data = b""
        while not data.endswith(self.PROMPT):
            more = self.socket.recv(65536)
            if not more:
                return
            data += more

    def say(self, *commands):
        for command in commands:
            self.socket.sendall(command.encode() + b"\n")
            self._answer()


def record(monitor, trace):
    def long_enough():
        with open(trace, "rb") as log:
            return log.seek(0, 2) > SAMPLE_BYTES

    monitor.say("stop", f"logfile {trace}", "one-insn-per-tb on", "log exec,nochain", "cont")
    wait_for("the VM is idle", long_enough)
    monitor.say("stop", "log none", "quit")


def is_code(kind, name):
    return kind in "tTwW" and not name.startswith(("__pfx_", "__cfi_"))


def symbols(guest_log, system_map):
    """The start addresses of functions, in order, and their names."""
    with open(guest_log, encoding="utf-8", errors="replace") as log:
        in_guest = SYMBOL.findall(log.read())
    with open(system_map, encoding="utf-8") as lines:
        linked = SYMBOL.findall(lines.read())
    start = {name: int(address, 16) for address, _, name in in_guest if name == "_stext"}
    link = {name: int(address, 16) for address, _, name in linked if name == "_stext"}
    if not start or not link:
        sys.exit(f"profile.py: no _stext in {guest_log} and {system_map}")
    moved = start["_stext"] - link["_stext"]
    functions = {int(address, 16) + moved: name for address, kind, name in linked
                 if is_code(kind, name)}
    functions.update((int(address, 16), name) for address, kind, name in in_guest
                     if is_code(kind, name) and name != "_stext")
    addresses = sorted(functions)
    return addresses, [functions[address] for address in addresses]


def calls(trace, addresses, names):
    """Yields each call: for each instruction the function, and whether it is its first."""
    known = {}
    call = None

    def place(pc):
        at = bisect.bisect_right(addresses, pc) - 1
        return (names[at], addresses[at] == pc) if pc >= USER_END and at >= 0 else None

    with open(trace, "rb") as log:
        for line in log:
            match = TRACE_LINE.match(line)
            if not match:
                continue
            pc = match.group(1)
            if pc not in known:
                known[pc] = place(int(pc, 16))
            if known[pc] == (ENTRY, True):
                if call:
                    yield call
                call = []
            if call is not None and known[pc]:
                call.append(known[pc])


def readable(names):
    """Returns the names of Rust functions as in the source."""
    text = "\n".join(names)
    out = subprocess.run(["llvm-cxxfilt-19"], input=text, capture_output=True, text=True,
                         check=True).stdout
    return dict(zip(names, out.splitlines()))


def show(kind):
    call = kind[0]
    instructions = collections.Counter(name for name, _ in call)
    entries = collections.Counter(name for name, first in call if first)
    most = instructions.most_common(LINES)
    words = readable([name for name, _ in most])

    print(f"\n{len(call)} instructions, seen {len(kind)} times")
    for name, count in most:
        print(f"{count:8} {entries[name] or '':>5} {words[name]}")


def main():
    monitor, guest_log, system_map, trace = sys.argv[1:]

    def warm():
        with open(guest_log, encoding="utf-8", errors="replace") as log:
            return WARM in log.read()

    wait_for(f"'{WARM}' in {guest_log}", warm)
    record(Monitor(monitor), trace)
    kinds = collections.defaultdict(list)
    for call in calls(trace, *symbols(guest_log, system_map)):
        kinds[len(call)].append(call)
    for kind in sorted(kinds.values(), key=lambda each: -len(each) * len(each[0]))[:KINDS]:
        show(kind)


main()
