# SPDX-License-Identifier: GPL-2.0
"""QEMU's iommu-testdev (1b36:0005), which writes one word through the IOMMU.

The device writes a fixed word to an IOVA. Then it bypasses the IOMMU and checks
whether the word is at a given physical address. It never reads through the IOMMU, so
it cannot be used to test read permission. The registers are the same as in
tools/testing/lib/testdev.c.
"""

VENDOR = 0x1b36
DEVICE = 0x0005

# The word that the device writes, as bytes in memory
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
    """The device with BAR 0 at `bar0`."""

    def __init__(self, qemu, bar0):
        self.qemu = qemu
        self.bar0 = bar0

    def write(self, iova, phys):
        """Writes WORD to `iova`. Returns OK, DMA_FAULT, or MISMATCH if there was no fault
        but the word is not at `phys`."""
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
