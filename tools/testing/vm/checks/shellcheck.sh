#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs shellcheck on every shell script, those of the guest as the busybox shell's.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

command -v shellcheck >/dev/null || {
	echo "shellcheck is not installed"
	exit 4
}
cd "$ROOT" || exit
grep -rlE '^(#!/bin/(ba)?sh|# shellcheck shell=)' --exclude-dir=.git --exclude-dir=target . |
	grep -v '\.md$' |
	xargs shellcheck -x -S info -e SC1090,SC1091
