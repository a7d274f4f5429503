#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make run`: boots the lean kernel (or that of KDIR) on a machine with Intel VT-d,
# loads our iommufd.ko under the kernel's own vfio modules, and runs the demo program
# on two PCI devices. Exits as the demo does.
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"

LOG=$LOGS/run.log
# Seconds; it takes a few. `make test` says how slow the machine is.
TIMEOUT=$((300 * ${IOMMUFD_PACE:-4}))

main() {
	local kernel modules demo rc=0

	kernel=$("$VM_DIR/kernel.sh" build lean)
	export KDIR=$kernel
	modules=$("$VM_DIR/build.sh" modules)
	demo=$("$VM_DIR/build.sh" demo)
	log "booting Linux $(cat "$kernel/include/config/kernel.release") on q35 with intel-iommu, edu and iommu-testdev"
	"$VM_DIR/vm.sh" run --kernel "$kernel" --modules "$modules" --machine vtd \
		--script "$VM_DIR/guest/demo.sh" --bin "$demo/iommufd-demo" \
		--timeout "$TIMEOUT" --log "$LOG" || rc=$?
	case $rc in
	0) log "the demo says that all is well" ;;
	124 | 125) ;;
	*)
		show_tail "$LOG.kernel"
		log "the demo FAILED (status $rc)"
		;;
	esac
	return $rc
}

unset O
main
