# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# As vtd, with a kernel that leaves the IOMMU alone: no device has one.
. "$VM_DIR/machine/vtd.sh"
CMDLINE='iommu=off'
