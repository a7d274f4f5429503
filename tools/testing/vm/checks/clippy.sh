#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The modules through clippy: as they are built for use, with all other options, and with
# test hooks. The lints are the kernel's, which require a SAFETY comment above each unsafe block
# and impl, and a # Safety section for each unsafe function and trait; and one of our own, which
# allows one unsafe operation in a block. A warning is an error.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

# clippy NAME OPTIONS...
clippy() {
	local out
	out=$(out_dir "clippy/$(basename "$KDIR")$1")
	shift

	mkdir -p "$out"
	make -C "$KDIR" ARCH="$ARCH" LLVM=1 M="$ROOT" MO="$out" CLIPPY=1 \
		KRUSTFLAGS='-Dwarnings -Wclippy::multiple_unsafe_ops_per_block' \
		"$@" -j"$(nproc)" modules
}

: "${KDIR:=$("$VM_DIR/kernel.sh" any)}"
clippy '' CONFIG_IOMMU_PAGETABLE_RUST_TEST=m CONFIG_IOMMUFD_RUST_BENCH=m
# On a kernel without the mock bus, the modules with hooks can be compiled but not linked.
clippy -test CONFIG_IOMMUFD_RUST_TEST=y KBUILD_MODPOST_WARN=1
