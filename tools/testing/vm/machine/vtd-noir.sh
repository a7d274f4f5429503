# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Like vtd, but without interrupt remapping: a device could forge interrupts, so
# iommufd refuses to bind it until allow_unsafe_interrupts says otherwise.
. "$VM_DIR/machine/vtd.sh"
QEMU_ARGS=("${QEMU_ARGS[@]/intremap=on/intremap=off}")
