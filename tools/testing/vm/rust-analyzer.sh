#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make rust-analyzer`: writes rust-project.json into the checkout. The kernel's
# own script describes the kernel's crates; rust_project.py adds ours.
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"
unset O

kdir=$("$VM_DIR/kernel.sh" any)
out=$(out_dir rust-analyzer)
mkdir -p "$out"
# The kernel's script looks for crates below M; ours are none that it would find.
run_logged 'rust-analyzer: the crates of the kernel' "$LOGS/rust-analyzer.log" \
	make -C "$kdir" ARCH="$ARCH" LLVM=1 M="$VM_DIR/provoke" MO="$out" rust-analyzer
KDIR=$kdir "$VM_DIR/rust_project.py" <"$out/rust-project.json" >"$ROOT/rust-project.json"
log "wrote $ROOT/rust-project.json"
