# SPDX-License-Identifier: GPL-2.0
"""The QEMU machines that walk tables: their devices and the layout of their RAM.

The tables of a case and the pages that they map must be inside the machine's
`windows`, which are pairs of a first address and an end (exclusive), in bytes. The
comparer's own structures are below the windows, where a case cannot overwrite them.

    vtd-*    x86 q35:     0x0100_0000..0x8000_0000 and 0x1_0000_0000..0x1_8000_0000
    smmu-*   arm64 virt:  0x4100_0000..0x1_4000_0000

One QEMU process runs all cases of a mode; the SMMUv3 modes share one. The host
allocates only the RAM that is accessed.
"""

import contextlib
import dataclasses

import pci
import testdev
from qtest import Qemu
from smmuv3 import Smmuv3
from vtd import Vtd

RAM = ["-m", "4G"]
DEVICE = ["-device", "iommu-testdev,addr=04.0"]

Q35_WINDOWS = ((0x100_0000, 0x8000_0000), (0x1_0000_0000, 0x1_8000_0000))
Q35_OWN = 0x10_0000  # above the first MiB, where a PC has firmware and VGA memory
Q35_BAR0 = 0xe000_0000
# Writes to these IOVAs are interrupts, never translated (VT-d 3.14); end exclusive
Q35_INTERRUPTS = (0xfee0_0000, 0xfef0_0000)

VIRT_WINDOWS = ((0x4100_0000, 0x1_4000_0000),)
VIRT_OWN = 0x4020_0000  # above the device tree that QEMU leaves at the start of RAM
VIRT_ECAM = 0x40_1000_0000
VIRT_BAR0 = 0x1000_0000


@dataclasses.dataclass
class Machine:
    """A running machine: one device behind one IOMMU."""

    qemu: Qemu
    iommu: Vtd | Smmuv3
    device: testdev.Testdev


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of machine: its RAM windows and a function that starts it. `untranslated`
    is the range of IOVAs (end exclusive) that bypass the IOMMU."""

    windows: tuple
    start: object
    untranslated: tuple = (0, 0)


def q35(options, scalable):
    @contextlib.contextmanager
    def start():
        command = ["qemu-system-x86_64", "-machine", "q35", *RAM,
                   "-device", f"intel-iommu,{options}", *DEVICE]
        with Qemu(command) as qemu:
            rid = pci.enable(pci.PortConfig(qemu), testdev.VENDOR, testdev.DEVICE, Q35_BAR0)
            yield Machine(qemu, Vtd(qemu, Q35_OWN, rid, scalable), testdev.Testdev(qemu, Q35_BAR0))
    return Kind(Q35_WINDOWS, start, Q35_INTERRUPTS)


@contextlib.contextmanager
def virt():
    # The processor never runs, but with a 32-bit one the ECAM is at another address.
    command = ["qemu-system-aarch64", "-machine", "virt,gic-version=3,iommu=smmuv3",
               "-cpu", "max", *RAM, *DEVICE]
    with Qemu(command) as qemu:
        rid = pci.enable(
            pci.EcamConfig(qemu, VIRT_ECAM), testdev.VENDOR, testdev.DEVICE, VIRT_BAR0)
        yield Machine(qemu, Smmuv3(qemu, VIRT_OWN, rid), testdev.Testdev(qemu, VIRT_BAR0))


SMMU = Kind(VIRT_WINDOWS, virt)

KINDS = {
    "vtd-legacy-ss": q35("aw-bits=48", scalable=False),
    "vtd-scalable-ss": q35("aw-bits=48,scalable-mode=on", scalable=True),
    "vtd-scalable-fs": q35("aw-bits=48,scalable-mode=on,fsts=on", scalable=True),
    "smmu-s1": SMMU,
    "smmu-s2": SMMU,
    "smmu-nested": SMMU,
}
