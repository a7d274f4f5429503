# SPDX-License-Identifier: GPL-2.0
"""A minimal driver for Arm SMMUv3 that attaches one device to the tables of a case.

Owns the registers and, in the memory that the caller provides, a linear stream table,
the command and event queues and the context descriptor of a case without stage 2. It
never writes to the tables of a case. Section numbers refer to IHI0070.
"""

from fault import Fault
from qtest import QtestError

UNIT = 0x9050000  # with `-M virt,iommu=smmuv3`

# Registers, 6.3. The indices of the event queue are in page 1.
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

# Commands, 4.1, as two words: the opcode, and for CFGI_ALL the range "all streams"
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
STE_S2R = 1 << 58  # record faults of stage 2

# Context descriptor, 5.4
CD_TG0_SHIFT = 6
CD_EPD1 = 1 << 30
CD_V = 1 << 31
CD_IPS_SHIFT = 32
CD_AA64 = 1 << 41
CD_R = 1 << 45  # record faults of stage 1
CD_A = 1 << 46  # abort accesses with faults of stage 1
CD_ASID_SHIFT = 48

GRANULE_CODE = {12: 0, 16: 1, 14: 2}  # for TG0 and S2TG
OUTPUT_44_BITS = 4  # for IPS and S2PS; the OAS of QEMU's SMMU
ASID = 1
VMID = 1

# Events that a page walk can cause, 7.3: F_TRANSLATION to F_PERMISSION
WALK_EVENTS = range(0x10, 0x14)
CLASS_TT = 1
CLASS_IN = 2
EVENT_READ = 1 << 35
EVENT_S2 = 1 << 39
IPA_MASK = (1 << 52) - (1 << 12)


class Smmuv3:
    """The SMMU of a virt machine.

    `memory` is the address of 64 KiB of memory for its structures, aligned to 64 KiB.
    `rid` is the requester ID of the device.
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
            raise QtestError("SMMUv3: cannot be enabled")

    def attach(self, case):
        """Attaches the device to the tables of the case and invalidates all caches."""
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
        """Writes the context descriptor. Returns its address for the stream table."""
        phys, address = self.descriptor, self.descriptor
        if case.mode == "smmu-nested":
            # With stage 2 enabled, the SMMU fetches the descriptor by IPA.
            phys, address = case.cd_phys, case.cd_ipa
        self.qemu.write_words(
            phys,
            64 - case.ia_bits | GRANULE_CODE[case.granule] << CD_TG0_SHIFT | CD_EPD1 | CD_V
            | OUTPUT_44_BITS << CD_IPS_SHIFT | CD_AA64 | CD_R | CD_A | ASID << CD_ASID_SHIFT,
            case.root, 0, 0)
        return address

    @staticmethod
    def _second_stage(case):
        # S2SL0 is 0 for the last level that a walk can start at, 1 for the one above (5.2).
        lowest = 2 if case.s2_granule == 12 else 3
        return (
            VMID | 64 - case.s2_ia_bits << STE_S2T0SZ_SHIFT
            | lowest - case.s2_start_level << STE_S2SL0_SHIFT
            | GRANULE_CODE[case.s2_granule] << STE_S2TG_SHIFT
            | OUTPUT_44_BITS << STE_S2PS_SHIFT | STE_S2AA64 | STE_S2R,
            case.s2_root)

    def flush_tlb(self):
        """Invalidates the TLB, so that the next translation is a page walk."""
        self._run(TLBI_NSNH_ALL)

    def _run(self, *commands):
        for command in (*commands, SYNC):
            slot = self.prod % (1 << CMDQ_LOG2)
            self.qemu.write_words(self.commands + slot * COMMAND_BYTES, *command)
            # The wrap bit above the index distinguishes a full queue from an empty one.
            self.prod = (self.prod + 1) % (2 << CMDQ_LOG2)
        self.qemu.write32(UNIT + CMDQ_PROD, self.prod)
        cons = self.qemu.read32(UNIT + CMDQ_CONS)
        if cons != self.prod or self._global_errors():
            raise QtestError(f"SMMUv3: the command queue stopped at {cons:#x} of {self.prod:#x}")

    def _global_errors(self):
        return self.qemu.read32(UNIT + GERROR) ^ self.qemu.read32(UNIT + GERRORN)

    @staticmethod
    def as_recorded(_mode, fault):
        """Returns the fault that QEMU records where the specification requires `fault`.
        If stage 2 faults on the address of a stage 1 table other than the first one,
        QEMU 11.1.3 does not set S2, so S2 is not compared."""
        return fault | {"s2": None} if fault.get("class") == CLASS_TT else fault

    def take_faults(self):
        """Returns the events since the last call, oldest first."""
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
    """Converts an event record to a Fault. Only the event number is decoded, unless the
    event is one that a page walk can cause."""
    head, flags, address, ipa = (
        int.from_bytes(event[at:at + 8], "little") for at in range(0, EVENT_BYTES, 8))
    fields = {"event": head & 0xff}
    if fields["event"] not in WALK_EVENTS:
        return Fault(fields=fields, rid=head >> 32, page=None, write=None)
    s2 = bool(flags & EVENT_S2)
    of = flags >> 40 & 3
    fields |= {"s2": s2, "class": of, "ipa": ipa & IPA_MASK if s2 or of == CLASS_TT else None}
    # Fetches of tables and descriptors are reads, regardless of the device's access.
    write = not flags & EVENT_READ if of == CLASS_IN else None
    return Fault(fields=fields, rid=head >> 32, page=address & ~0xfff, write=write)
