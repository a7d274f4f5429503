#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Page tables of ours, walked by QEMU's IOMMUs: does our walker say the same? And
# would the comparer notice if not?
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

QTEST=$ROOT/tools/testing/qtest

vectors() {
	cd "$ROOT/tools/testing/host" || exit
	CARGO_TARGET_DIR=$(out_dir host) cargo run --quiet -p iommu-pagetable-vectors
}

vectors >"$LOGS/vectors.json" || exit
echo '# program: vectors'
status=0
"$QTEST/compare.py" <"$LOGS/vectors.json" || status=$?
echo "# exit: $status"
"$QTEST/compare_test.py" || status=$?
exit $status
