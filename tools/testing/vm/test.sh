#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make test`: every check and every test there is. The last line of its output
# is "N passed, N failed, N skipped"; it fails if anything failed.
#
# TESTS="prog ..." and MACHINES="vtd ..." choose among the programs in the VMs.
. "$(dirname "$0")/lib.sh"
. "$VM_DIR/initramfs.sh"
. "$VM_DIR/accel.sh"
in_toolchain "$0" "$@"

RESULTS=$LOGS/test.results
# A VM has two CPUs, but rarely has something to do for both.
AT_ONCE=${AT_ONCE:-$(nproc)}
# For a whole boot: TCG on two busy cores is slow, the programs have limits of their own.
BOOT_TIMEOUT=1200
DEBUG_MEM=2G
# The kernel's iommufd selftests have hundreds of tests, and fail_nth runs each hundreds of times.
MOCK_TIMEOUT=900
# A page of 1 GiB for the vfio_dma_mapping_test of the kernel, and memory for it.
VTD_MEM=4G
VTD_CMDLINE='hugepagesz=1G hugepages=1'
# Every bad access counts, not the first only; and see leakcheck.sh on slab_debug.
DEBUG_CMDLINE='kasan_multi_shot slab_debug=F'
export IOMMUFD_RESULTS=$RESULTS

# result pass|fail|skip NAME
result() {
	echo "$1 $2" >>"$RESULTS"
}

# try NAME COMMAND...: a command that is a test
try() {
	local name=$1
	shift

	if "$@" >/dev/null; then
		result pass "$name"
	else
		result fail "$name"
	fi
}

# build NAME VARIABLE COMMAND...: the command's output becomes the variable's
# value; empty if it failed
build() {
	local name=$1 out=''
	local -n value=$2
	shift 2

	if out=$("$@"); then
		result pass "build: $name"
	else
		result fail "build: $name"
		out=
	fi
	# shellcheck disable=SC2034
	value=$out
}

build_all() {
	build 'lean kernel' LEAN "$VM_DIR/kernel.sh" build lean
	build 'debug kernel' DEBUG "$VM_DIR/kernel.sh" build debug
	build 'test programs' PROGRAMS "$VM_DIR/build.sh" selftests
	[ -z "$DEBUG" ] || {
		build 'modules for the debug kernel' MODULES env KDIR="$DEBUG" PAGETABLE_TEST=1 \
			"$VM_DIR/build.sh" modules
		build 'modules with the mock IOMMU' MOCK_MODULES env KDIR="$DEBUG" IOMMUFD_TEST=1 \
			"$VM_DIR/build.sh" modules
		build 'module of sins' PROVOKE env KDIR="$DEBUG" "$VM_DIR/build.sh" provoke
	}
}

# The production module has no test hooks, and asking for them where they cannot
# work is refused.
refusal() {
	! env KDIR="$LEAN" IOMMUFD_TEST=1 "$VM_DIR/build.sh" modules 2>"$LOGS/refusal.log" &&
		grep -q 'needs a kernel with' "$LOGS/refusal.log"
}

# machines: all that tests.list names
machines() {
	awk '!/^#/ && NF >= 2 { n = split($2, names, ","); for (i = 1; i <= n; i++) print names[i] }' \
		"$PROGRAMS/tests.list" | sort -u
}

# programs_for MACHINE: the programs of both lists that run there
programs_for() {
	awk -v machine="$1" -v only=" ${TESTS:-} " '
		/^#/ || NF < 2 { next }
		("," $2 ",") ~ ("," machine ",") && (only ~ /^ *$/ || index(only, " " $1 " ")) { print $1 }' \
		"$PROGRAMS/tests.list" "$PROGRAMS/upstream.list"
}

# boot NAME MACHINE SCRIPT ARGS...: run a script on the debug kernel, beside others,
# and count; EXPECTED=FILE names the tests that are known to fail
boot() {
	while [ "$(jobs -rp | wc -l)" -ge "$AT_ONCE" ]; do
		wait -n || true
	done
	BOOTED+=("$1")
	rm -f "$LOGS/test-$1.results.complete"
	boot_now "$@" </dev/null &
}

boot_now() {
	local name=$1 machine=$2 script=$3 logfile=$LOGS/test-$1.log rc=0
	local RESULTS=$LOGS/test-$1.results
	shift 3

	: >"$logfile"
	: >"$RESULTS"
	log "booting the debug kernel on $machine: $name"
	"$VM_DIR/vm.sh" run --kernel "$DEBUG" --modules "$MODULES${PROVOKE:+:$PROVOKE}" \
		--machine "$machine" --script "$script" --mem "$DEBUG_MEM" --timeout "$BOOT_TIMEOUT" \
		--append "$DEBUG_CMDLINE" \
		--log "$logfile" --quiet "$@" || rc=$?
	[ "$rc" -eq 0 ] || result fail "$name: the machine ended with status $rc"
	"$VM_DIR/results.py" ktap "$name" ${EXPECTED:+"$EXPECTED"} <"$logfile" >>"$RESULTS" ||
		result fail "$name: what it printed could not be counted"
	: >"$RESULTS.complete"
	log "$name: ended"
}

# Waits for all boots, and adds what they found to the results
collect_boots() {
	local name

	wait
	for name in "${BOOTED[@]}"; do
		# Nobody else hears how a job in the background has ended.
		[ -e "$LOGS/test-$name.results.complete" ] ||
			echo "fail $name: its results are not complete" >>"$LOGS/test-$name.results"
		cat "$LOGS/test-$name.results" >>"$RESULTS"
		grep -q '^fail ' "$LOGS/test-$name.results" || continue
		grep -v '^ok' "$LOGS/test-$name.log" >"$LOGS/test-$name.log.failed" || true
		show_tail "$LOGS/test-$name.log.failed" 80
	done
}

test_machine() {
	local machine=$1 script programs program
	local -a bins=() options=()

	programs=$(programs_for "$machine")
	[ -n "$programs" ] || return 0
	script=$LOGS/suite-$machine.sh
	echo "exec sh /guest/suite.sh $(echo "$programs" | xargs)" >"$script"
	for program in $programs; do
		bins+=(--bin "$PROGRAMS/$program")
	done
	[ "$machine" != vtd ] ||
		options=(--mem "$VTD_MEM" --append "$DEBUG_CMDLINE $VTD_CMDLINE")
	boot "$machine" "$machine" "$script" "${options[@]}" "${bins[@]}"
}

# The kernel's own iommufd selftests, and ours of that kind, on modules with test hooks;
# their lists have the machine's options for each
test_mock() {
	local script program options
	local MODULES=$MOCK_MODULES PROVOKE=
	local EXPECTED=$ROOT/tools/testing/selftests/upstream/expected-failures

	[ -n "$MODULES" ] || {
		result fail 'mock: not run, as its modules could not be built'
		return
	}
	while read -r program options; do
		[ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $program "* ]] || continue
		script=$LOGS/suite-mock-$program.sh
		echo "PROGRAM_TIMEOUT=$MOCK_TIMEOUT exec sh /guest/suite.sh $program" >"$script"
		# Thousands of devices come and go: what is said of each is not worth the serial port's time.
		# shellcheck disable=SC2086
		boot "mock-$program" vtd "$script" $options \
			--append "$DEBUG_CMDLINE loglevel=5 log_buf_len=4M" \
			--bin "$PROGRAMS/$program"
	done < <(cat "$PROGRAMS/mock.list" "$PROGRAMS/tests.mock.list")
}

test_in_vms() {
	local machine
	local -a BOOTED=()

	if [ -z "$DEBUG" ] || [ -z "$MODULES" ] || [ -z "$PROGRAMS" ]; then
		result fail 'VM tests: not run, as something that they need could not be built'
		return
	fi
	# Before two VMs ask at the same time whether KVM works
	accel "$DEBUG" >/dev/null
	# What takes longest comes first, so that little is left to wait for at the end.
	test_mock
	for machine in ${MACHINES:-$(machines)}; do
		test_machine "$machine"
	done
	boot pagetable vtd "$VM_DIR/guest/pagetable.sh"
	boot provoke vtd "$VM_DIR/guest/provoke.sh"
	collect_boots
}

main() {
	mkdir -p "$LOGS"
	lock "test-$(echo "$ROOT" | hash)"
	: >"$RESULTS"
	LEAN='' DEBUG='' PROGRAMS='' MODULES='' MOCK_MODULES='' PROVOKE=''
	log "checks and host tests"
	"$VM_DIR/check.sh" || true
	build_all
	[ -z "$LEAN" ] || try 'IOMMUFD_TEST=1 is refused for a kernel without the mock' refusal
	test_in_vms
	try 'make run' "$VM_DIR/run.sh"
	log "results in $RESULTS"
	"$VM_DIR/results.py" sum "$RESULTS"
}

unset O KDIR
# Jobs in the background do not hear of an interrupt by themselves.
trap 'trap - TERM; kill 0' INT TERM
main
