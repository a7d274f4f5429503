# SPDX-License-Identifier: GPL-2.0
"""An Arm SMMUv3, programmed far enough to put one device behind a case's tables.

Owns the registers and, in the memory given to it, a linear stream table, the
command and event queues and the context descriptor of a case without stage 2.
Never touches the tables of a case. Sections are those of IHI0070.
"""

from fault import Fault
from qtest import QtestError

UNIT = 0x9050000  # where `-M virt,iommu=smmuv3` has it

# Registers, 6.3; the event queue's indices are in page 1
CR0 = 0x20
CR0ACK = 0x24
GERROR = 0x60
GERRORN = 0x64
STRTAB_BASE = 0x80
STRTAB_BASE_CFG = 0x88
CMDQ_BASE = 0x90
CMDQ_PROD = 0x98
CMDQ_CONS = 0x9c
EVENTQ_BASE = 0xa0
EVENTQ_PROD = 0x100a8
EVENTQ_CONS = 0x100ac

CR0_SMMUEN = 1 << 0
CR0_EVENTQEN = 1 << 2
CR0_CMDQEN = 1 << 3

STREAMS_LOG2 = 8  # bus 0
CMDQ_LOG2 = 4
EVENTQ_LOG2 = 4
COMMAND_BYTES = 16
EVENT_BYTES = 32
STE_BYTES = 64

# Commands, 4.1: the opcode, and in the second word the range "all streams"
CFGI_ALL = (0x04, 31)
TLBI_NSNH_ALL = (0x30, 0)
SYNC = (0x46, 0)

# Stream table entry, 5.2
STE_V = 1 << 0
STE_CONFIG = {"smmu-s1": 0b101 << 1, "smmu-s2": 0b110 << 1, "smmu-nested": 0b111 << 1}
STE_S2T0SZ_SHIFT = 32
STE_S2SL0_SHIFT = 38
STE_S2TG_SHIFT = 46
STE_S2PS_SHIFT = 48
STE_S2AA64 = 1 << 51
STE_S2R = 1 << 58  # record stage 2's faults

# Context descriptor, 5.4
CD_TG0_SHIFT = 6
CD_EPD1 = 1 << 30
CD_V = 1 << 31
CD_IPS_SHIFT = 32
CD_AA64 = 1 << 41
CD_R = 1 << 45  # record stage 1's faults
CD_A = 1 << 46  # and end them with an abort
CD_ASID_SHIFT = 48

GRANULE_CODE = {12: 0, 16: 1, 14: 2}  # TG0 and S2TG alike
OUTPUT_44_BITS = 4  # IPS and S2PS; the emulation's OAS
ASID = 1
VMID = 1

# Events, 7.3, from F_TRANSLATION to F_PERMISSION: those that a walk ends in
WALK_EVENTS = range(0x10, 0x14)
CLASS_TT = 1
CLASS_IN = 2
EVENT_READ = 1 << 35
EVENT_S2 = 1 << 39
IPA_MASK = (1 << 52) - (1 << 12)


class Smmuv3:
    """The SMMU of a virt machine.

    `memory` is the address of the room for its structures, 64 KiB aligned to its
    size; `rid` the device whose translations are to be walked.
    """

    def __init__(self, qemu, memory, rid):
        self.qemu = qemu
        self.rid = rid
        self.streams = memory
        self.commands = memory + 0x8000
        self.events = memory + 0x9000
        self.descriptor = memory + 0xa000
        self.prod = 0
        self._start()

    def _start(self):
        self.qemu.clear(self.streams, 0x10000)
        for register, value in (
                (STRTAB_BASE, self.streams),
                (CMDQ_BASE, self.commands | CMDQ_LOG2),
                (EVENTQ_BASE, self.events | EVENTQ_LOG2)):
            self.qemu.write64(UNIT + register, value)
        self.qemu.write32(UNIT + STRTAB_BASE_CFG, STREAMS_LOG2)
        wanted = CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN
        self.qemu.write32(UNIT + CR0, wanted)
        if self.qemu.read32(UNIT + CR0ACK) != wanted:
            raise QtestError("SMMUv3: it does not start")

    def attach(self, case):
        """Lets the device go through the case's tables and forgets all that was cached."""
        context = 0
        if case.mode != "smmu-s2":
            context = self._context(case)
        second = (0, 0)
        if case.mode != "smmu-s1":
            second = self._second_stage(case)
        self.qemu.write_words(
            self.streams + self.rid * STE_BYTES,
            context | STE_CONFIG[case.mode] | STE_V, 0, *second)
        self._run(CFGI_ALL, TLBI_NSNH_ALL)

    def _context(self, case):
        """Writes the context descriptor; its address as the stream table has it."""
        phys, address = self.descriptor, self.descriptor
        if case.mode == "smmu-nested":
            # With a second stage below it, the SMMU fetches it by IPA.
            phys, address = case.cd_phys, case.cd_ipa
        self.qemu.write_words(
            phys,
            64 - case.ia_bits | GRANULE_CODE[case.granule] << CD_TG0_SHIFT | CD_EPD1 | CD_V
            | OUTPUT_44_BITS << CD_IPS_SHIFT | CD_AA64 | CD_R | CD_A | ASID << CD_ASID_SHIFT,
            case.root, 0, 0)
        return address

    @staticmethod
    def _second_stage(case):
        # S2SL0 counts up from the lowest level that a walk may start at (5.2).
        lowest = 2 if case.s2_granule == 12 else 3
        return (
            VMID | 64 - case.s2_ia_bits << STE_S2T0SZ_SHIFT
            | lowest - case.s2_start_level << STE_S2SL0_SHIFT
            | GRANULE_CODE[case.s2_granule] << STE_S2TG_SHIFT
            | OUTPUT_44_BITS << STE_S2PS_SHIFT | STE_S2AA64 | STE_S2R,
            case.s2_root)

    def forget(self):
        """Empties the TLB, so that the next translation is a walk."""
        self._run(TLBI_NSNH_ALL)

    def _run(self, *commands):
        for command in (*commands, SYNC):
            slot = self.prod % (1 << CMDQ_LOG2)
            self.qemu.write_words(self.commands + slot * COMMAND_BYTES, *command)
            # One bit more than the index has tells a full queue from an empty one.
            self.prod = (self.prod + 1) % (2 << CMDQ_LOG2)
        self.qemu.write32(UNIT + CMDQ_PROD, self.prod)
        cons = self.qemu.read32(UNIT + CMDQ_CONS)
        if cons != self.prod or self._global_errors():
            raise QtestError(f"SMMUv3: the command queue stands at {cons:#x} of {self.prod:#x}")

    def _global_errors(self):
        return self.qemu.read32(UNIT + GERROR) ^ self.qemu.read32(UNIT + GERRORN)

    @staticmethod
    def as_recorded(_mode, fault):
        """What the emulation records for what the specification calls `fault`: QEMU
        11.1.3 leaves S2 out when stage 2 fails for one of stage 1's tables, unless that
        is the first one; so there it is not compared."""
        return fault | {"s2": None} if fault.get("class") == CLASS_TT else fault

    def take_faults(self):
        """The events since the last call, oldest first."""
        faults = []
        prod = self.qemu.read32(UNIT + EVENTQ_PROD)
        cons = self.qemu.read32(UNIT + EVENTQ_CONS)
        while cons != prod:
            slot = cons % (1 << EVENTQ_LOG2)
            event = self.qemu.read(self.events + slot * EVENT_BYTES, EVENT_BYTES)
            faults.append(decode(event))
            cons = (cons + 1) % (2 << EVENTQ_LOG2)
        self.qemu.write32(UNIT + EVENTQ_CONS, cons)
        if self._global_errors():
            raise QtestError("SMMUv3: an event was lost")
        return faults


def decode(event):
    """An event record as a Fault; only the events of a walk have more than a number."""
    head, flags, address, ipa = (
        int.from_bytes(event[at:at + 8], "little") for at in range(0, EVENT_BYTES, 8))
    fields = {"event": head & 0xff}
    if fields["event"] not in WALK_EVENTS:
        return Fault(fields=fields, rid=head >> 32, page=None, write=None)
    s2 = bool(flags & EVENT_S2)
    of = flags >> 40 & 3
    fields |= {"s2": s2, "class": of, "ipa": ipa & IPA_MASK if s2 or of == CLASS_TT else None}
    # The SMMU's own fetches are reads, whatever the device was about to do.
    write = not flags & EVENT_READ if of == CLASS_IN else None
    return Fault(fields=fields, rid=head >> 32, page=address & ~0xfff, write=write)
