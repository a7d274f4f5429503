#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The modules through clippy, with the kernel's lint set; a warning is an error.
# As they are built for use, with all options beside, and with test hooks.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

# clippy FLAVOUR OPTIONS...
clippy() {
	local flavour=$1 kdir out
	shift

	# check.sh has chosen one kernel for all checks; this one needs two.
	kdir=$(env -u KDIR "$VM_DIR/kernel.sh" build "$flavour")
	out=$(out_dir "clippy/$(basename "$kdir")")
	mkdir -p "$out"
	make -C "$kdir" ARCH="$ARCH" LLVM=1 M="$ROOT" MO="$out" CLIPPY=1 \
		KRUSTFLAGS=-Dwarnings "$@" -j"$(nproc)" modules
}

clippy lean CONFIG_IOMMU_PAGETABLE_RUST_TEST=m CONFIG_IOMMUFD_RUST_BENCH=m
clippy debug CONFIG_IOMMUFD_RUST_TEST=y
