#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Do QEMU's IOMMUs translate through our page tables as our walker does? And does the
# comparison notice a wrong expectation?
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
