#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# In the guest of `make test`: runs the test programs that it is given, one after
# the other, then the leak check. Prints KTAP; the lines "# program:" and "# exit:"
# around each program are for results.py. A program is killed after PROGRAM_TIMEOUT
# seconds of the guest's clock.

sh /guest/leakcheck.sh baseline
for program in "$@"; do
	echo "# program: $program"
	echo "suite: $program" >/dev/kmsg
	timeout -s KILL "$PROGRAM_TIMEOUT" "/bin/$program"
	echo "# exit: $?"
done
echo "# program: leakcheck"
sh /guest/leakcheck.sh
echo "# exit: 0"
exit 0
