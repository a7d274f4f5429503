#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests of the pure code under AddressSanitizer, which checks each access to memory. Its
# runtime is clang's, as Debian's rustc comes without one.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

triple=$(rustc -vV | sed -n 's/^host: //p')
cd "$ROOT/tools/testing/host" || exit
export CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1 RUSTFLAGS PROPTEST_CASES=${PROPTEST_CASES:-64}
CARGO_TARGET_DIR=$(out_dir host-asan)
RUSTFLAGS='-Zsanitizer=address -Zexternal-clangrt -Clinker=clang -Clink-arg=-fsanitize=address'
cargo test --workspace --exclude iommu-pagetable-fuzz --tests --no-fail-fast --target "$triple"
