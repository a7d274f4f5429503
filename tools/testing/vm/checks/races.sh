#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Threads that change neighbouring pages of a page table, in every order: loom, the model checker,
# takes the place of the words of tables. LOOM_MAX_PREEMPTIONS=n looks further, and longer.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

cd "$ROOT/tools/testing/host" || exit
CARGO_TARGET_DIR=$(out_dir host-races) RUSTFLAGS='--cfg loom' \
	cargo test --release -p iommu-pagetable-pure --test races --no-fail-fast
