# SPDX-License-Identifier: GPL-2.0
"""A QEMU that runs no guest: it does what it is told over the qtest protocol.

Owns the process and the line protocol (QEMU's docs/devel/testing/qtest.rst): one
command, one answer that begins with OK. Knows nothing of devices. Addresses are
physical, in bytes, and reach what the machine's processors would reach: RAM and
device registers, never through an IOMMU. Words are little endian on every machine.
"""

import re
import subprocess
import tempfile
import threading

# A QEMU that has stopped answering is killed, so that a caller never hangs.
LIFETIME_SECONDS = 120
# Memory is moved as a line of hexadecimal; QEMU gathers a line before it acts.
CHUNK = 0x10000


class QtestError(Exception):
    """QEMU is missing, has ended, or refuses a command."""


class Qemu:
    """Use it in a `with`: the process ends with the block."""

    def __init__(self, command):
        words = [*command, "-accel", "qtest", "-qtest", "stdio", "-qtest-log", "none",
                 "-nodefaults", "-display", "none"]
        # QEMU remarks on every kind of fault; that is of interest only if it dies.
        # pylint: disable=consider-using-with
        self.remarks = tempfile.TemporaryFile("w+")
        try:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.remarks, text=True)
        except FileNotFoundError as error:
            raise QtestError(f"{command[0]}: not found; see tools/testing/vm/toolchain.sh") from error
        self.watchdog = threading.Timer(LIFETIME_SECONDS, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.process.kill()
        self.process.communicate()
        self.remarks.close()

    def ask(self, *words):
        """Sends a command; returns what stands after the OK."""
        command = " ".join(w if isinstance(w, str) else hex(w) for w in words)
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not re.match(r"OK\b", answer):
            said = f"'{answer.strip()}'" if answer else f"nothing, it has ended\n{self.last_remarks()}"
            raise QtestError(f"{self.process.args[0]}: to '{command[:60]}' it said {said}")
        return answer[2:].strip()

    def last_remarks(self):
        self.process.wait()
        self.remarks.seek(0)
        return "".join(self.remarks.readlines()[-5:]).rstrip()

    def read32(self, address):
        return int(self.ask("readl", address), 0)

    def write32(self, address, value):
        self.ask("writel", address, value)

    def read64(self, address):
        return int(self.ask("readq", address), 0)

    def write64(self, address, value):
        self.ask("writeq", address, value)

    def in32(self, port):
        return int(self.ask("inl", port), 0)

    def out32(self, port, value):
        self.ask("outl", port, value)

    def read(self, address, size):
        data = b""
        while len(data) < size:
            part = min(CHUNK, size - len(data))
            data += bytes.fromhex(self.ask("read", address + len(data), part)[2:])
        return data

    def write(self, address, data):
        for at in range(0, len(data), CHUNK):
            part = data[at:at + CHUNK]
            self.ask("write", address + at, len(part), "0x" + part.hex())

    def write_words(self, address, *words):
        """64-bit words, the unit of every table of both IOMMUs."""
        self.write(address, b"".join(word.to_bytes(8, "little") for word in words))

    def clear(self, address, size):
        self.ask("memset", address, size, 0)
