#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make shell`: a terminal with job control, until `exit`.
stty sane
echo "kernel $(uname -r); our modules: modprobe vfio-pci; the C ones: /c-modules"
setsid -c sh -l
exit 0
