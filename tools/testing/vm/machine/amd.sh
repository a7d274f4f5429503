# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2054
#
# q35 with AMD's IOMMU, whose page walker is coherent. Interrupts are remapped,
# but Linux does not count the messages as isolated: binding needs
# allow_unsafe_interrupts.
QEMU_ARGS=(
	-machine q35,kernel-irqchip=split
	-device amd-iommu,intremap=on,dma-remap=on
	-device edu,dma_mask=0xffffffffffffffff,addr=04.0
	-device iommu-testdev,addr=05.0
)
CMDLINE='amd_iommu=on'
