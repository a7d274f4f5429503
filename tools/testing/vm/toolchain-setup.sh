#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# mmdebstrap's setup hook: before anything is downloaded, adds the suite's
# backports beside the suite itself, and says which packages come from there.
#
#   toolchain-setup.sh ROOT SUITE
set -eu

apt=$1/etc/apt
suite=$2

sed -n "s/^\(deb .*\) $suite main\$/\1 $suite-backports main/p" "$apt/sources.list" \
	>"$apt/sources.list.d/backports.list"
[ -s "$apt/sources.list.d/backports.list" ] || {
	echo "no line for $suite main in:" >&2
	cat "$apt/sources.list" >&2
	exit 1
}
cp "$(dirname "$0")/toolchain.preferences" "$apt/preferences.d/backports"
