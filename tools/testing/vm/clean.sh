#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   clean.sh checkout    remove what was built from this checkout
#   clean.sh all         remove the whole cache
. "$(dirname "$0")/lib.sh"

# IOMMUFD_CACHE may name a directory with other files in it: remove no more than what
# these scripts make.
remove() {
	local path

	for path in "$@"; do
		[ ! -e "$CACHE/$path" ] || rm -rf "${CACHE:?}/$path"
	done
}

case ${1:-} in
checkout)
	rm -rf "$(out_dir '')" "$ROOT/rust-project.json"
	;;
all)
	rm -f "$ROOT/rust-project.json"
	remove out kernel source toolchain locks tmp accel cargo
	rmdir "$CACHE" 2>/dev/null || true
	;;
*)
	die "usage: clean.sh checkout | all"
	;;
esac
