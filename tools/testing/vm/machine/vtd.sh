# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2054
#
# q35 with Intel VT-d and interrupt remapping. What is on the buses, and so
# which devices the IOMMU can tell apart:
#   00:04.0 edu, 00:05.0 iommu-testdev     a group each
#   two edu behind a PCIe-to-PCI bridge    one group
#   an edu behind a root port of its own   a group of its own
EDU='edu,dma_mask=0xffffffffffffffff'
QEMU_ARGS=(
	-machine q35,kernel-irqchip=split
	-device intel-iommu,intremap=on
	-device "$EDU,addr=04.0"
	-device iommu-testdev,addr=05.0
	-device pcie-root-port,id=rp1,chassis=1,slot=1,addr=06.0
	-device pcie-pci-bridge,id=br1,bus=rp1
	-device "$EDU,bus=br1,addr=01.0"
	-device "$EDU,bus=br1,addr=02.0"
	-device pcie-root-port,id=rp2,chassis=1,slot=2,addr=07.0
	-device "$EDU,bus=rp2,addr=00.0"
)
CMDLINE='intel_iommu=on'
