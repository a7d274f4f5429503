#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What page tables cost. A figure beyond its target does not make it fail.
#
#   bench.sh         loads the module of tools/testing/bench on the lean kernel, in
#                    a VM whose clock counts instructions and in one with an
#                    ordinary clock: ours and the kernel's, side by side
#   bench.sh host    ours on the host, in time (tools/testing/bench/host)
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"

BENCH=$ROOT/tools/testing/bench
TIMEOUT=900

# measure WHAT OPTIONS...: the module's lines go to LOGS/bench-WHAT.log
measure() {
	local what=$1 logfile=$LOGS/bench-$1.log
	shift

	"$VM_DIR/vm.sh" run --kernel "$KDIR" --modules "$MODULES" --machine vtd --smp 1 \
		--script "$VM_DIR/guest/bench.sh" --timeout "$TIMEOUT" --log "$logfile" --quiet "$@" || {
		show_tail "$logfile"
		die "the bench could not measure $what"
	}
}

in_vms() {
	KDIR=$("$VM_DIR/kernel.sh" build lean)
	export KDIR
	MODULES=$(IOMMUFD_BENCH=1 "$VM_DIR/build.sh" modules)
	log "counting instructions in a VM"
	measure instructions --icount
	log "measuring time in a VM under TCG"
	measure time --tcg
	"$BENCH/report.py" "$LOGS/bench-instructions.log" "$LOGS/bench-time.log"
}

on_host() {
	local target

	target=$(out_dir host-bench)
	cd "$BENCH/host" || exit
	run_logged 'build of the benchmark' "$LOGS/bench-build.log" \
		env CARGO_TARGET_DIR="$target" cargo bench --locked --no-run || exit 1
	CARGO_TARGET_DIR=$target cargo bench --locked --quiet -- --output-format bencher \
		2>"$LOGS/bench-host.log" | sed -n 's/^test \(.*\) \.\.\. bench: */\1: /p'
}

mkdir -p "$LOGS"
unset O
case ${1:-} in
'') in_vms ;;
host) on_host ;;
*) die "usage: bench.sh [host]" ;;
esac
