# SPDX-License-Identifier: GPL-2.0
"""Minimal PCI support, to use one device on bus 0 without firmware.

Implements both access methods of configuration space (PCI Local Bus 3.0 3.2.2.3.2,
PCI Express Base 7.2.2) and assigns an address to BAR 0 of the device. All other
registers of the bus keep their reset values.
"""

from qtest import QtestError

COMMAND = 0x04
COMMAND_MEMORY_AND_MASTER = 0b110
BAR0 = 0x10
DEVICES_PER_BUS = 32


class PortConfig:
    """Configuration space through the ports 0xcf8 and 0xcfc, as on every PC."""

    ADDRESS = 0xcf8
    DATA = 0xcfc
    ENABLE = 1 << 31

    def __init__(self, qemu):
        self.qemu = qemu

    def read32(self, rid, register):
        self.qemu.out32(self.ADDRESS, self.ENABLE | rid << 8 | register)
        return self.qemu.in32(self.DATA)

    def write32(self, rid, register, value):
        self.qemu.out32(self.ADDRESS, self.ENABLE | rid << 8 | register)
        self.qemu.out32(self.DATA, value)


class EcamConfig:
    """Configuration space through the memory-mapped window at `base`."""

    def __init__(self, qemu, base):
        self.qemu = qemu
        self.base = base

    def read32(self, rid, register):
        return self.qemu.read32(self.base + (rid << 12) + register)

    def write32(self, rid, register, value):
        self.qemu.write32(self.base + (rid << 12) + register, value)


def enable(config, vendor, device, bar0):
    """Finds the device, sets its BAR 0 to the address `bar0` and enables DMA.

    Returns its requester ID, which identifies it to the IOMMU.
    """
    for slot in range(DEVICES_PER_BUS):
        rid = slot << 3
        if config.read32(rid, 0) == device << 16 | vendor:
            config.write32(rid, BAR0, bar0)
            config.write32(rid, COMMAND, COMMAND_MEMORY_AND_MASTER)
            return rid
    raise QtestError(f"there is no PCI device {vendor:04x}:{device:04x} on bus 0")
