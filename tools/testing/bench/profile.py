#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of a system call go, function by function.

usage: profile.py MONITOR GUEST-LOG SYSTEM-MAP TRACE

A VM is running that counts instructions. Its guest has printed /proc/kallsyms as far
as modules and _stext go, then "profile: go", and repeats what is to be measured. QEMU's
monitor is made to log the address of each instruction for a while; what lies between
two entries into the kernel is one call, and calls of the same length are one kind of
call. The most frequent ones are shown.
"""

import bisect
import collections
import re
import socket
import sys
import time

SAMPLE_BYTES = 250_000_000
KINDS = 8
LINES = 60
TRACE = re.compile(rb"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
ENTRY = "entry_SYSCALL_64"


def wait_for(path, text, seconds=120):
    for _ in range(seconds * 10):
        with open(path, encoding="utf-8", errors="replace") as log:
            if text in log.read():
                return
        time.sleep(0.1)
    sys.exit(f"profile.py: no '{text}' in {path}")


class Monitor:
    PROMPT = b"(qemu) "

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._read()

    def _read(self):
        data = b""
        while not data.endswith(self.PROMPT):
            more = self.socket.recv(65536)
            if not more:
                break
            data += more

    def say(self, command):
        self.socket.sendall(command.encode() + b"\n")
        self._read()


def record(monitor, trace):
    monitor.say("stop")
    monitor.say(f"logfile {trace}")
    monitor.say("one-insn-per-tb on")
    monitor.say("log exec,nochain")
    monitor.say("cont")
    for _ in range(600):
        time.sleep(0.1)
        with open(trace, "rb") as log:
            if log.seek(0, 2) > SAMPLE_BYTES:
                break
    monitor.say("stop")
    monitor.say("log none")
    monitor.socket.sendall(b"quit\n")


def symbols(guest_log, system_map):
    """Sorted addresses, and the names there."""
    found = {}
    base = None
    with open(guest_log, encoding="utf-8", errors="replace") as log:
        for line in log:
            words = line.split()
            if len(words) < 3 or not re.fullmatch("[0-9a-f]{16}", words[0]):
                continue
            if words[2] == "_stext":
                base = int(words[0], 16)
            elif words[1] in "tTwW":
                found[int(words[0], 16)] = words[2]
    with open(system_map, encoding="utf-8") as lines:
        names = [line.split() for line in lines]
    link = next(int(address, 16) for address, _, name in names if name == "_stext")
    for address, kind, name in names:
        if kind in "tTwW" and not name.startswith(("__pfx_", "__cfi_")):
            found.setdefault(int(address, 16) - link + base, name)
    addresses = sorted(found)
    return addresses, [found[address] for address in addresses]


def readable(name):
    """What is left of a mangled name: the last words of its path."""
    match = re.match(r"_R", name)
    if not match:
        return name
    words = re.findall(r"(?<=\d)_?([A-Za-z_][A-Za-z_0-9]*?)(?=\d|E|B|I|N|M|C|$)", name)
    parts, at = [], 0
    while at < len(name):
        number = re.match(r"\d+", name[at:])
        if not number:
            at += 1
            continue
        length = int(number.group())
        start = at + len(number.group())
        if name[start : start + 1] == "_":
            start += 1
        part = name[start : start + length]
        if length > 1 and re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", part) and len(part) == length:
            parts.append(part)
            at = start + length
        else:
            at += len(number.group())
    del words
    return "::".join(parts[:6]) or name


def calls(trace, table):
    """Each call as a list of the functions that its instructions belong to."""
    addresses, names = table
    cache = {}
    call = None
    with open(trace, "rb") as log:
        for line in log:
            match = TRACE.match(line)
            if not match:
                continue
            pc = match.group(1)
            name = cache.get(pc)
            if name is None:
                at = bisect.bisect_right(addresses, int(pc, 16)) - 1
                user = int(pc, 16) < 1 << 47
                name = "(user)" if user or at < 0 else names[at]
                first = not user and at >= 0 and addresses[at] == int(pc, 16)
                cache[pc] = (name, first)
            name, first = cache[pc]
            if name == ENTRY and first:
                if call:
                    yield call
                call = []
            if call is not None and name != "(user)":
                call.append((name, first))


def main():
    monitor_path, guest_log, system_map, trace = sys.argv[1:]
    wait_for(guest_log, "profile: go")
    time.sleep(2)
    record(Monitor(monitor_path), trace)
    kinds = collections.defaultdict(list)
    for call in calls(trace, symbols(guest_log, system_map)):
        kinds[len(call)].append(call)
    frequent = sorted(kinds.values(), key=lambda each: -len(each) * len(each[0]))[:KINDS]
    for kind in frequent:
        call = kind[0]
        count = collections.Counter(name for name, _ in call)
        entries = collections.Counter(name for name, first in call if first)
        print(f"\n{len(call)} instructions, seen {len(kind)} times")
        for name, instructions in count.most_common(LINES):
            print(f"  {instructions:6} {entries[name]:4}x {readable(name)}")


main()
