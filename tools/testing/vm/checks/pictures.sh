#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Does the page with the formats of page tables agree with the code's constants? --write
# writes it.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

PAGE=$ROOT/Documentation/driver-api/page-table-formats.rst

pictures() {
	cd "$ROOT/tools/testing/host" || exit
	CARGO_TARGET_DIR=$(out_dir host) cargo run --quiet -p iommu-pagetable-pictures
}

mkdir -p "$LOGS"
drawn=$LOGS/page-table-formats.rst
pictures >"$drawn" || exit
if [ "${1:-}" = --write ]; then
	cat "$drawn" >"$PAGE"
elif ! diff -u "$PAGE" "$drawn"; then
	echo "the page is out of date: run tools/testing/vm/checks/pictures.sh --write"
	exit 1
fi
