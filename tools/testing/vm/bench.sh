#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures what page tables and address spaces cost. It does not fail when a figure is
# beyond its target.
#
#   bench.sh         all of it, in VMs whose clock counts instructions and in such
#                    with an ordinary clock: ours and the kernel's, side by side
#   bench.sh tables  the page tables alone: a module of tools/testing/bench
#   bench.sh ioas    the address spaces alone: a program of tools/testing/bench/ioas
#   bench.sh host    page tables of ours on the host, in time (tools/testing/bench/host)
#   bench.sh profile [C|Rust] [one|many|range]
#                    function by function, where the instructions of mapping one page
#                    go, or of many pages one by one, or at once
. "$(dirname "$0")/lib.sh"
in_toolchain "$0" "$@"

BENCH=$ROOT/tools/testing/bench
TIMEOUT=900

# run_vm LOG OPTIONS...: one VM, whose script's output goes to LOG
run_vm() {
	local logfile=$1
	shift

	"$VM_DIR/vm.sh" run --kernel "$KDIR" --timeout "$TIMEOUT" --log "$logfile" --quiet "$@" || {
		show_tail "$logfile"
		die "the bench could not measure $(basename "$logfile" .log)"
	}
}

tables() {
	local modules

	modules=$(IOMMUFD_BENCH=1 "$VM_DIR/build.sh" modules)
	set -- --modules "$modules" --machine vtd --smp 1 --script "$VM_DIR/guest/bench.sh"
	log "page tables: counting instructions in a VM"
	run_vm "$LOGS/bench-instructions.log" "$@" --icount
	log "page tables: measuring time in a VM under TCG"
	run_vm "$LOGS/bench-time.log" "$@" --tcg
	"$BENCH/report.py" "$LOGS/bench-instructions.log" "$LOGS/bench-time.log"
}

# ioas_vm MACHINE SIDE CLOCK PARTS...: measures one side in one VM. Without our modules,
# modprobe finds the kernel's iommufd.
ioas_vm() {
	local machine=$1 side=$2 clock=$3 script
	local -a options
	shift 3

	script=$LOGS/ioas-$machine-$side-$clock.sh
	echo "dmesg -n 4; exec /bin/ioas_bench $*" >"$script"
	options=(--modules "$([ "$side" = C ] || echo "$MODULES:")$USER_MODULE")
	if [ "$clock" = time ]; then options+=(--tcg --smp 2); else options+=(--icount); fi
	run_vm "${script%.sh}.log" "${options[@]}" --machine "$machine" --script "$script" \
		--bin "$PROGRAM/ioas_bench"
}

# both_sides MACHINE CLOCK PARTS...: measures both sides, at the same time if the clock
# counts instructions
both_sides() {
	local machine=$1 clock=$2 other
	shift 2

	log "address spaces: measuring $clock on $machine"
	ioas_vm "$machine" C "$clock" "$@" &
	other=$!
	[ "$clock" = instructions ] || wait "$other" || exit 1
	ioas_vm "$machine" Rust "$clock" "$@"
	[ "$clock" != instructions ] || wait "$other" || exit 1
}

ioas() {
	MODULES=$("$VM_DIR/build.sh" modules)
	USER_MODULE=$("$VM_DIR/build.sh" iommufd-user)
	PROGRAM=$("$VM_DIR/build.sh" ioas-bench)
	both_sides vtd instructions ranges small access memory growth
	both_sides amd instructions ranges small
	both_sides vtd time ranges small access parallel
	both_sides amd time ranges small
	"$BENCH/ioas_report.py" "$LOGS"
}

# profile SIDE WHAT
profile() {
	local side=${1:-Rust} what=${2:-one} logfile=$LOGS/profile.log monitor=$LOGS/monitor vm
	local -a options

	MODULES=$("$VM_DIR/build.sh" modules)
	PROGRAM=$("$VM_DIR/build.sh" ioas-bench)
	options=(--modules "$([ "$side" = C ] || echo "$MODULES")")
	cat >"$LOGS/profile.sh" <<-EOF
		dmesg -n 4
		modprobe vfio-pci
		grep -e '\[' -e ' _stext$' /proc/kallsyms
		exec /bin/ioas_bench $what-for-ever
	EOF
	rm -f "$monitor" "$LOGS/profile.trace"
	: >"$logfile"
	: >"$LOGS/profile.trace"
	log "profile: $side, $what"
	"$VM_DIR/vm.sh" run --kernel "$KDIR" --timeout "$TIMEOUT" --log "$logfile" --quiet \
		"${options[@]}" --icount --monitor "$monitor" --machine vtd \
		--script "$LOGS/profile.sh" --bin "$PROGRAM/ioas_bench" 2>/dev/null &
	vm=$!
	"$BENCH/profile.py" "$monitor" "$logfile" "$KDIR/System.map" "$LOGS/profile.trace" || {
		kill "$vm"
		die "no profile; the machine's output is in $logfile"
	}
	# profile.py told the VM to quit, so its status says nothing.
	wait "$vm" || true
	rm -f "$LOGS/profile.trace"
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

in_vms() {
	KDIR=$("$VM_DIR/kernel.sh" build lean)
	export KDIR
	for what in "$@"; do
		# A part may have arguments.
		# shellcheck disable=SC2086
		$what
	done
}

mkdir -p "$LOGS"
unset O
case ${1:-} in
'') in_vms tables ioas ;;
tables | ioas) in_vms "$1" ;;
profile) in_vms "$*" ;;
host) on_host ;;
*) die "usage: bench.sh [tables|ioas|host|profile [C|Rust] [one|many|range]]" ;;
esac
