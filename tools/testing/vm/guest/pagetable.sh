#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make test`: loads the module with the KUnit tests of the page
# tables, and prints their results from the kernel log as plain KTAP.
MARK='the tests of the page tables begin'

# KUnit prints the results of a suite as a subtest, and a plan and a result of the
# suite around it. Each case becomes a test that is named after its suite; a suite
# that was planned and did not run adds to the plan.
flatten() {
	awk '
	/^1\.\./ { suites = substr($0, 4) }
	/^    # Subtest: / { suite = $3; suites-- }
	/^    1\.\./ { plan += substr($0, 8) }
	/^    (not )?ok [0-9]+ / {
		status = $1 == "ok" ? "ok" : "not ok"
		sub(/^    (not )?ok [0-9]+ /, "")
		count++
		print status " " count " " suite ": " $0
	}
	/^# expected / { print }
	END { print "1.." (plan + suites) }'
}

sh /guest/leakcheck.sh baseline
echo "# program: iommu_pagetable_test"
echo "$MARK" >/dev/kmsg
modprobe iommu_pagetable_test
status=$?
dmesg | sed "1,/$MARK/d; s/^\[[^]]*\] //; s/^iommu_pagetable_test: //" | flatten
echo "# exit: $status"
echo "# program: leakcheck"
sh /guest/leakcheck.sh unload tables kmemleak lockdep messages
echo "# exit: 0"
exit 0
