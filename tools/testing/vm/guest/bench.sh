#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make bench`: the module measures while it is being loaded. Its lines
# in the kernel log, without the prefix, are the output.
dmesg -n 4
modprobe iommu_bench
status=$?
dmesg | sed -n 's/.*\biommu_bench: //p'
exit $status
