#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make check`: what can be checked without booting a VM. Prints one line for each
# check of checks/, and before it the output of one that fails.
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"

# The quick ones first.
CHECKS='spdx unsafe rustfmt shellcheck host races fuzz pictures qtest asan clippy rustdoc'

need_kernel() {
	[[ " $* " =~ " clippy "|" rustdoc " ]]
}

find_check() {
	local path

	for path in "$VM_DIR/checks/$1".*; do
		echo "$path"
		return
	done
}

# record RESULT CHECK: tests with names count one by one, another check as one test.
record() {
	[ -n "${IOMMUFD_RESULTS:-}" ] || return 0
	case $1:$2 in
	pass:host | pass:races | pass:asan) "$VM_DIR/results.py" cargo "$2" <"$LOGS/check-$2.log" ;;
	pass:qtest) "$VM_DIR/results.py" ktap qtest <"$LOGS/check-qtest.log" ;;
	*) echo "$1 check: $2" ;;
	esac >>"$IOMMUFD_RESULTS"
}

# The exit status of a check that cannot be made on this machine.
CANNOT=4

run_check() {
	local name=$1 logfile=$LOGS/check-$1.log rc=0 start=$SECONDS

	"$(find_check "$name")" >"$logfile" 2>&1 </dev/null || rc=$?
	case $rc in
	0)
		echo "ok    $name ($((SECONDS - start)) s)"
		record pass "$name"
		;;
	"$CANNOT")
		echo "skip  $name: $(tail -n 1 "$logfile")"
		record skip "$name"
		;;
	*)
		tail -n 60 "$logfile"
		echo "FAIL  $name ($logfile)"
		record fail "$name"
		return 1
		;;
	esac
}

main() {
	local name failed=0

	mkdir -p "$LOGS"
	# shellcheck disable=SC2086
	[ $# -gt 0 ] || set -- $CHECKS
	# Before the checks, so that its progress is seen.
	KSRC=$("$VM_DIR/kernel.sh" source)
	export KSRC
	if need_kernel "$@"; then
		KDIR=$("$VM_DIR/kernel.sh" any)
		export KDIR
	fi
	for name; do
		run_check "$name" || failed=1
	done
	return $failed
}

unset O
main "$@"
