# SPDX-License-Identifier: GPL-2.0
"""QEMU's iommu-testdev (1b36:0005): one write through the IOMMU, on command.

The device writes a known word to an IOVA, then looks past the IOMMU for it at the
physical address it was told. It never reads through the IOMMU, so read permission
cannot be tried with it. The registers are those of tools/testing/lib/testdev.c.
"""

VENDOR = 0x1b36
DEVICE = 0x0005

# What it writes, as it lies in memory
WORD = (0x12345678).to_bytes(4, "little")

REG_TRIGGER = 0x00  # reading it starts the transfer
REG_IOVA_LO = 0x04
REG_IOVA_HI = 0x08
REG_LENGTH = 0x0c
REG_RESULT = 0x10
REG_DOORBELL = 0x14
REG_ATTRIBUTES = 0x18
REG_PHYS_LO = 0x1c
REG_PHYS_HI = 0x20

DOORBELL_ARM = 1
ATTRIBUTES_NON_SECURE = 0xa

OK = 0
DMA_FAULT = 0xdead0002
MISMATCH = 0xdead0004


class Testdev:
    """The device whose BAR 0 lies at `bar0`."""

    def __init__(self, qemu, bar0):
        self.qemu = qemu
        self.bar0 = bar0

    def write(self, iova, phys):
        """Writes WORD to `iova`; the result is OK, DMA_FAULT, or MISMATCH if no fault
        stopped it and yet it is not at `phys`."""
        for register, value in (
                (REG_IOVA_LO, iova & 0xffffffff),
                (REG_IOVA_HI, iova >> 32),
                (REG_PHYS_LO, phys & 0xffffffff),
                (REG_PHYS_HI, phys >> 32),
                (REG_LENGTH, len(WORD)),
                (REG_ATTRIBUTES, ATTRIBUTES_NON_SECURE),
                (REG_DOORBELL, DOORBELL_ARM)):
            self.qemu.write32(self.bar0 + register, value)
        self.qemu.read32(self.bar0 + REG_TRIGGER)
        return self.qemu.read32(self.bar0 + REG_RESULT)
