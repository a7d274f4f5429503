#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make run`: gives edu and iommu-testdev to vfio-pci, then runs
# the demo program. iommufd.ko is ours; vfio's modules are the kernel's.
EDU=0x1234:0x11e8
TESTDEV=0x1b36:0x0005

give_to_vfio() {
	echo vfio-pci >"$1/driver_override" &&
		echo "${1##*/}" >/sys/bus/pci/drivers_probe &&
		[ -e "$1/driver" ]
}

modprobe vfio-pci || exit 1
for dev in /sys/bus/pci/devices/*; do
	case "$(cat "$dev/vendor"):$(cat "$dev/device")" in
	"$EDU" | "$TESTDEV")
		give_to_vfio "$dev" || {
			echo "vfio-pci does not take ${dev##*/}"
			exit 1
		}
		;;
	esac
done
exec /bin/iommufd-demo
