#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests of the pure code, as ordinary programs on this machine.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

dir=$ROOT/tools/testing/host
[ -e "$dir/Cargo.toml" ] || {
	echo "there are no host tests"
	exit 4
}
cd "$dir" || exit
CARGO_TARGET_DIR=$(out_dir host) cargo test --workspace --exclude iommu-pagetable-fuzz \
	--no-fail-fast
