# SPDX-License-Identifier: GPL-2.0
"""A QEMU without a guest, controlled through the qtest protocol.

Owns the process and implements the line protocol (QEMU's
docs/devel/testing/qtest.rst): each command has one reply, which begins with OK. No
code in this file depends on a device. Addresses are physical, in bytes, as seen by the
processors of the machine: they reach RAM and device registers and are not translated
by an IOMMU. Words are little-endian on every machine.
"""

import re
import subprocess
import tempfile
import threading

# QEMU is killed after this time, so that the caller does not hang if QEMU does.
LIFETIME_SECONDS = 120
# Bytes per command that reads or writes memory. QEMU buffers a whole line, with the
# bytes in hexadecimal, before it executes the command.
CHUNK = 0x10000


class QtestError(Exception):
    """QEMU is not installed, has exited, or has refused a command."""


class Qemu:
    """A QEMU process. Used as a context manager, which kills the process at the end."""

    def __init__(self, command):
        words = [*command, "-accel", "qtest", "-qtest", "stdio", "-qtest-log", "none",
                 "-nodefaults", "-display", "none"]
        # QEMU logs a message for each fault. They are shown only if QEMU exits.
        # pylint: disable=consider-using-with
        self.stderr = tempfile.TemporaryFile("w+")
        try:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr,
                text=True)
        except FileNotFoundError as error:
            raise QtestError(
                f"{command[0]}: not found; see tools/testing/vm/toolchain.sh") from error
        self.watchdog = threading.Timer(LIFETIME_SECONDS, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.process.kill()
        self.process.communicate()
        self.stderr.close()

    def send(self, *words):
        """Sends a command. Returns the part of the reply after the OK."""
        command = " ".join(w if isinstance(w, str) else hex(w) for w in words)
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not re.match(r"OK\b", answer):
            reply = f"reply '{answer.strip()}'" if answer else f"it exited\n{self.last_messages()}"
            raise QtestError(f"{self.process.args[0]}: '{command[:60]}': {reply}")
        return answer[2:].strip()

    def last_messages(self):
        self.process.wait()
        self.stderr.seek(0)
        return "".join(self.stderr.readlines()[-5:]).rstrip()

    def read32(self, address):
        return int(self.send("readl", address), 0)

    def write32(self, address, value):
        self.send("writel", address, value)

    def read64(self, address):
        return int(self.send("readq", address), 0)

    def write64(self, address, value):
        self.send("writeq", address, value)

    def in32(self, port):
        return int(self.send("inl", port), 0)

    def out32(self, port, value):
        self.send("outl", port, value)

    def read(self, address, size):
        data = b""
        while len(data) < size:
            part = min(CHUNK, size - len(data))
            data += bytes.fromhex(self.send("read", address + len(data), part)[2:])
        return data

    def write(self, address, data):
        for at in range(0, len(data), CHUNK):
            part = data[at:at + CHUNK]
            self.send("write", address + at, len(part), "0x" + part.hex())

    def write_words(self, address, *words):
        """Writes 64-bit words, the unit of all tables of both IOMMUs."""
        self.write(address, b"".join(word.to_bytes(8, "little") for word in words))

    def clear(self, address, size):
        self.send("memset", address, size, 0)
