# SPDX-License-Identifier: GPL-2.0
"""A minimal driver for Intel VT-d that attaches one device to the tables of a case.

Owns the registers and, in the memory that the caller provides, the root, context and
PASID tables and the invalidation queue. It never writes to the tables of a case.
Section numbers refer to the VT-d specification, revision 4.1.
"""

from fault import Fault
from qtest import QtestError

UNIT = 0xfed90000  # on q35

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
IQA_WIDE = 1 << 11  # descriptors of 256 bits, required in scalable mode
FSTS_OVERFLOW = 1 << 0
FSTS_QUEUE_ERROR = 1 << 4

PRESENT = 1
DOMAIN = 1

# Context entry of legacy mode, 9.3. AW, in the upper word, is the number of levels - 2.
CONTEXT_DID_SHIFT = 8
# PASID-table entry, 9.6
PASID_AW_SHIFT = 2
PASID_PGTT_SHIFT = 6
PGTT_FIRST_STAGE = 1
PGTT_SECOND_STAGE = 2

# Invalidation descriptors, 6.5.2: the type, and global granularity
CONTEXT_INVALIDATE = 1 | 1 << 4
IOTLB_INVALIDATE = 2 | 1 << 4
PASID_INVALIDATE = 7 | 3 << 4
WAIT = 5 | 1 << 5  # writes a status word
WAIT_DATA_SHIFT = 32

# Fault record, 11.4: the upper word
RECORD_F = 1 << 63
RECORD_READ = 1 << 62

# QEMU 11.1.3 records the codes of legacy mode for all faults of the second stage. This
# maps a code of scalable mode (7.1.3) to the one that QEMU records.
QEMU_SECOND_STAGE_REASONS = {0x79: 0x05, 0x7a: 0x0c, 0x83: 0x04, 0x84: 0x04, 0x85: 0x05, 0x86: 0x06}

PAGE = 0x1000


class Vtd:
    """The unit of a q35 machine.

    `memory` is the address of six pages for its structures. `rid` is the requester ID
    of the device.
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
        """Sets one bit of the global command register. The bits that enable a function
        have to be written with their current value (11.4)."""
        status = self.qemu.read32(UNIT + GSTS)
        self.qemu.write32(UNIT + GCMD, status & (GCMD_TE | GCMD_QIE) | bit)
        if not self.qemu.read32(UNIT + GSTS) & bit:
            raise QtestError(f"VT-d: the global command {bit:#x} has no effect")

    def attach(self, case):
        """Attaches the device to the tables of the case and invalidates all caches."""
        width = case.levels - 2
        if not self.scalable:
            self.qemu.write_words(
                self.context + (self.rid & 0xff) * 16,
                case.root | PRESENT, width | DOMAIN << CONTEXT_DID_SHIFT)
        else:
            # Requests without PASID use the PASID-table entry of RID_PASID, which is 0.
            # QEMU takes the width for the canonical check of the first stage from AW too.
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

    def flush_tlb(self):
        """Invalidates the IOTLB, so that the next translation is a page walk."""
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
            raise QtestError(f"VT-d: the invalidation queue stopped at {head:#x} of {self.tail:#x}")

    def _queue(self, *words):
        """Writes one descriptor at the tail, padded to the width of a queue entry."""
        size = 32 if self.scalable else 16
        self.qemu.write_words(self.queue + self.tail, *words, *[0] * (size // 8 - len(words)))
        self.tail = (self.tail + size) % PAGE

    @staticmethod
    def as_recorded(mode, fault):
        """Returns the fault that QEMU records where the specification requires `fault`."""
        if mode != "vtd-scalable-ss":
            return fault
        return {"reason": QEMU_SECOND_STAGE_REASONS.get(fault["reason"], fault["reason"])}

    def take_faults(self):
        """Returns the faults recorded since the last call. The hardware has one record,
        so a second fault sets the overflow bit, which is an error here."""
        low, high = self.qemu.read64(self.record), self.qemu.read64(self.record + 8)
        overflow = self.qemu.read32(UNIT + FSTS) & FSTS_OVERFLOW
        # Writing 1 clears a bit. While F is set, the next fault is not recorded.
        self.qemu.write64(self.record + 8, RECORD_F)
        self.qemu.write32(UNIT + FSTS, FSTS_OVERFLOW)
        if overflow:
            raise QtestError("VT-d: one access caused more than one fault")
        if not high & RECORD_F:
            return []
        return [Fault(
            fields={"reason": high >> 32 & 0xff},
            rid=high & 0xffff,
            page=low & ~(PAGE - 1),
            write=not high & RECORD_READ)]
