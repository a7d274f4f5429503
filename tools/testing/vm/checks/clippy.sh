#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The modules through clippy, with the kernel's lint set; a warning is an error.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

kdir=$("$VM_DIR/kernel.sh" build lean)
out=$(out_dir "clippy/$(basename "$kdir")")
mkdir -p "$out"
make -C "$kdir" ARCH="$ARCH" LLVM=1 M="$ROOT" MO="$out" CLIPPY=1 KRUSTFLAGS=-Dwarnings \
	CONFIG_IOMMU_PAGETABLE_RUST_TEST=m CONFIG_IOMMUFD_RUST_BENCH=m \
	-j"$(nproc)" modules
