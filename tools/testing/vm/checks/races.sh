#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Threads that change neighbouring pages of a page table, in every order: the words of tables are
# loom's atomics here, a model checker's. LOOM_MAX_PREEMPTIONS=n tries more orders, and takes longer.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

cd "$ROOT/tools/testing/host" || exit
CARGO_TARGET_DIR=$(out_dir host-races) RUSTFLAGS='--cfg loom' \
	cargo test --release -p iommu-pagetable-pure --test races --no-fail-fast
