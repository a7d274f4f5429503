#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make test`: loads the module that tests the page tables, and
# prints the KTAP that it has written to the kernel log.
sh /guest/leakcheck.sh baseline
echo "# program: iommu_pagetable_test"
modprobe iommu_pagetable_test
status=$?
dmesg | sed -n 's/^.*iommu_pagetable_test: //p'
echo "# exit: $status"
echo "# program: leakcheck"
sh /guest/leakcheck.sh unload tables kmemleak lockdep messages
echo "# exit: 0"
exit 0
