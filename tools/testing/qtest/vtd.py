# SPDX-License-Identifier: GPL-2.0
"""An Intel VT-d unit, programmed far enough to put one device behind a case's tables.

Owns the unit's registers and, in the memory given to it, the root, context and
PASID tables and the invalidation queue. Never touches the tables of a case.
Sections are those of the VT-d specification, revision 4.1.
"""

from fault import Fault
from qtest import QtestError

UNIT = 0xfed90000  # where q35 has it

# Registers, 11.4
CAP = 0x08
GCMD = 0x18
GSTS = 0x1c
RTADDR = 0x20
FSTS = 0x34
IQH = 0x80
IQT = 0x88
IQA = 0x90

GCMD_TE = 1 << 31
GCMD_SRTP = 1 << 30
GCMD_QIE = 1 << 26
RTADDR_SCALABLE = 1 << 10
IQA_WIDE = 1 << 11  # descriptors of 256 bits, which scalable mode asks for
FSTS_OVERFLOW = 1 << 0
FSTS_QUEUE_ERROR = 1 << 4

PRESENT = 1
DOMAIN = 1

# Context entry of legacy mode, 9.3: AW in the upper word is levels - 2
CONTEXT_DID_SHIFT = 8
# PASID-table entry, 9.6
PASID_AW_SHIFT = 2
PASID_PGTT_SHIFT = 6
PGTT_FIRST_STAGE = 1
PGTT_SECOND_STAGE = 2

# Invalidation descriptors, 6.5.2: type, and all of the cache at once
CONTEXT_INVALIDATE = 1 | 1 << 4
IOTLB_INVALIDATE = 2 | 1 << 4
PASID_INVALIDATE = 7 | 3 << 4
WAIT = 5 | 1 << 5  # writes a status word
WAIT_DATA_SHIFT = 32

# Fault record, 11.4: the upper word
RECORD_F = 1 << 63
RECORD_READ = 1 << 62

# QEMU 11.1.3 knows one set of codes for the second stage, legacy mode's: for a code of
# scalable mode (7.1.3), what its record says instead.
SECOND_STAGE_RECORDS = {0x79: 0x05, 0x7a: 0x0c, 0x83: 0x04, 0x84: 0x04, 0x85: 0x05, 0x86: 0x06}

PAGE = 0x1000


class Vtd:
    """The unit of a q35 machine.

    `memory` is the address of the room for its structures, six pages; `rid` the
    device whose translations are to be walked.
    """

    def __init__(self, qemu, memory, rid, scalable):
        self.qemu = qemu
        self.rid = rid
        self.scalable = scalable
        (self.root, self.context, self.pasid_directory, self.pasid_table, self.queue,
         self.status) = (memory + n * PAGE for n in range(6))
        self.tail = 0
        self.waits = 0
        self.record = UNIT + (qemu.read64(UNIT + CAP) >> 24 & 0x3ff) * 16
        self._start()

    def _start(self):
        self.qemu.clear(self.root, 6 * PAGE)
        self.qemu.write_words(self.root, self.context | PRESENT)
        self.qemu.write64(UNIT + RTADDR, self.root | (RTADDR_SCALABLE if self.scalable else 0))
        self._command(GCMD_SRTP)
        self.qemu.write64(UNIT + IQA, self.queue | (IQA_WIDE if self.scalable else 0))
        self._command(GCMD_QIE)
        self._command(GCMD_TE)

    def _command(self, bit):
        """Sets one bit; the lasting ones that are set stay so (11.4)."""
        status = self.qemu.read32(UNIT + GSTS)
        self.qemu.write32(UNIT + GCMD, status & (GCMD_TE | GCMD_QIE) | bit)
        if not self.qemu.read32(UNIT + GSTS) & bit:
            raise QtestError(f"VT-d: the global command {bit:#x} has no effect")

    def attach(self, case):
        """Lets the device go through the case's tables and forgets all that was cached."""
        width = case.levels - 2
        if not self.scalable:
            self.qemu.write_words(
                self.context + (self.rid & 0xff) * 16,
                case.root | PRESENT, width | DOMAIN << CONTEXT_DID_SHIFT)
        else:
            # No PASID comes with a request of ours: PASID 0 stands for it (RID_PASID).
            # QEMU takes the canonical width of a first stage, too, from AW.
            common = width << PASID_AW_SHIFT | PRESENT
            if case.mode == "vtd-scalable-fs":
                entry = (PGTT_FIRST_STAGE << PASID_PGTT_SHIFT | common, DOMAIN, case.root)
            else:
                entry = (PGTT_SECOND_STAGE << PASID_PGTT_SHIFT | common | case.root, DOMAIN, 0)
            self.qemu.write_words(self.pasid_table, *entry)
            self.qemu.write_words(self.pasid_directory, self.pasid_table | PRESENT)
            self.qemu.write_words(
                self.context + (self.rid & 0x7f) * 32, self.pasid_directory | PRESENT)
        self._invalidate(CONTEXT_INVALIDATE, *[PASID_INVALIDATE] * self.scalable, IOTLB_INVALIDATE)

    def forget(self):
        """Empties the IOTLB, so that the next translation is a walk."""
        self._invalidate(IOTLB_INVALIDATE)

    def _invalidate(self, *descriptors):
        for descriptor in descriptors:
            self._queue(descriptor, 0)
        self.waits += 1
        self._queue(WAIT | self.waits << WAIT_DATA_SHIFT, self.status)
        self.qemu.write64(UNIT + IQT, self.tail)
        head = self.qemu.read64(UNIT + IQH)
        error = self.qemu.read32(UNIT + FSTS) & FSTS_QUEUE_ERROR
        if error or head != self.tail or self.qemu.read32(self.status) != self.waits:
            raise QtestError(f"VT-d: the invalidation queue stands at {head:#x} of {self.tail:#x}")

    def _queue(self, *words):
        """One descriptor at the tail, padded to the queue's width."""
        size = 32 if self.scalable else 16
        self.qemu.write_words(self.queue + self.tail, *words, *[0] * (size // 8 - len(words)))
        self.tail = (self.tail + size) % PAGE

    @staticmethod
    def as_recorded(mode, fault):
        """What the emulation records for what the specification calls `fault`."""
        if mode != "vtd-scalable-ss":
            return fault
        return {"reason": SECOND_STAGE_RECORDS.get(fault["reason"], fault["reason"])}

    def take_faults(self):
        """The faults recorded since the last call. There is one record only; what did
        not fit shows as an overflow, and is an error."""
        low, high = self.qemu.read64(self.record), self.qemu.read64(self.record + 8)
        overflow = self.qemu.read32(UNIT + FSTS) & FSTS_OVERFLOW
        # Writing ones clears; a record that stays would swallow the next fault.
        self.qemu.write64(self.record + 8, RECORD_F)
        self.qemu.write32(UNIT + FSTS, FSTS_OVERFLOW)
        if overflow:
            raise QtestError("VT-d: more faults than one access can cause")
        if not high & RECORD_F:
            return []
        return [Fault(
            fields={"reason": high >> 32 & 0xff},
            rid=high & 0xffff,
            page=low & ~(PAGE - 1),
            write=not high & RECORD_READ)]
