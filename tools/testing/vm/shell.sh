#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make shell`: a terminal in the machine of `make run` (MACHINE= and
# FLAVOUR= choose another), with our modules, the demo and the test programs.
# Leave it with `exit`.
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"

main() {
	local programs kernel modules
	local -a bins=()

	kernel=$("$VM_DIR/kernel.sh" build "${FLAVOUR:-lean}")
	export KDIR=$kernel
	modules=$("$VM_DIR/build.sh" modules)
	for programs in demo selftests; do
		[ -e "$ROOT/tools/testing/$programs/Makefile" ] ||
			[ -e "$ROOT/tools/testing/$programs/iommufd/Makefile" ] || continue
		programs=$("$VM_DIR/build.sh" "$programs")
		while read -r bin; do
			bins+=(--bin "$bin")
		done < <(find "$programs" -maxdepth 1 -type f -perm -u+x)
	done
	log "the machine's terminal; leave it with 'exit'"
	exec "$VM_DIR/vm.sh" shell --kernel "$kernel" --modules "$modules" \
		--machine "${MACHINE:-vtd}" --script "$VM_DIR/guest/shell.sh" "${bins[@]}"
}

unset O
main
