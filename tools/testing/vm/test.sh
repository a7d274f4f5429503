#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `make test`: every check and every test there is. The last line of its output
# is "N passed, N failed, N skipped"; it fails if anything failed.
#
# The checks that need no kernel run while the debug kernel is built, which is the only
# one that the tests need; the others run beside the VMs.
#
# TESTS="prog ..." and MACHINES="vtd ..." choose among the programs in the VMs.
. "$(dirname "$0")/lib.sh"
. "$VM_DIR/initramfs.sh"
. "$VM_DIR/accel.sh"
. "$VM_DIR/pace.sh"
in_toolchain "$0" "$@"

RESULTS=$LOGS/test.results
# A VM and most checks have work for one CPU.
AT_ONCE=${AT_ONCE:-$(nproc)}
# Limits in seconds, for a machine of which `pace` says 1: a VM, and in VMs with an ordinary
# clock each of its programs, may take so long. They are some ten times what it takes.
BOOT_TIMEOUT=1800
PROGRAM_TIMEOUT=600
# In VMs whose clock counts instructions, a program has so many billions of them. The kernel's
# iommufd selftests have hundreds of tests, and fail_nth runs each hundreds of times.
PROGRAM_INSTRUCTIONS=900
DEBUG_MEM=2G
# A page of 1 GiB for the vfio_dma_mapping_test of the kernel, and memory for it.
VTD_MEM=4G
VTD_CMDLINE='hugepagesz=1G hugepages=1'
# Every bad access counts, not only the first; see leakcheck.sh on slab_debug. Without KUnit, or
# each boot would run the suites of the kernel crate. A CPU that a busy host does not run for a
# while is no stall.
DEBUG_CMDLINE='kasan_multi_shot slab_debug=F kunit.enable=0 rcupdate.rcu_cpu_stall_timeout=300'
# The checks that need no kernel, and those that do.
CHECKS_EARLY='spdx unsafe rustfmt shellcheck host races fuzz pictures qtest asan'
CHECKS_LATE='clippy rustdoc'

# result pass|fail|skip NAME
result() {
	echo "$1 $2" >>"$RESULTS"
}

# job NAME COMMAND...: runs the command beside other jobs, with results of its own, which
# collect() adds to the others
job() {
	local name=$1
	shift

	while [ "$(jobs -rp | wc -l)" -ge "$AT_ONCE" ]; do
		wait -n || true
	done
	JOBS+=("$name")
	rm -f "$LOGS/test-$name.results.complete"
	run_job "$name" "$@" </dev/null &
}

run_job() {
	local name=$1
	local RESULTS=$LOGS/test-$1.results
	shift

	: >"$RESULTS"
	export IOMMUFD_RESULTS=$RESULTS
	"$@"
	: >"$RESULTS.complete"
}

# Waits for all jobs, and adds what they found to the results.
collect() {
	local name

	wait
	for name in "${JOBS[@]}"; do
		# The status of a job in the background is seen by no other command.
		[ -e "$LOGS/test-$name.results.complete" ] ||
			echo "fail $name: its results are not complete" >>"$LOGS/test-$name.results"
		cat "$LOGS/test-$name.results" >>"$RESULTS"
		[ -e "$LOGS/test-$name.log" ] || continue
		grep -q '^fail ' "$LOGS/test-$name.results" || continue
		grep -v '^ok' "$LOGS/test-$name.log" >"$LOGS/test-$name.log.failed" || true
		show_tail "$LOGS/test-$name.log.failed" 80
	done
	JOBS=()
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

# build NAME FILE COMMAND...: a command that builds, and prints where; FILE has that
# line afterwards, and is empty if it failed
build() {
	local name=$1 file=$LOGS/test-built-$2
	shift 2

	if "$@" >"$file"; then
		result pass "build: $name"
	else
		result fail "build: $name"
		: >"$file"
	fi
}

built() {
	cat "$LOGS/test-built-$1"
}

checks() {
	"$VM_DIR/check.sh" "$@" || true
}

build_modules() {
	build 'modules for the debug kernel' modules env PAGETABLE_TEST=1 "$VM_DIR/build.sh" modules
	[ -z "$(built modules)" ] ||
		try 'IOMMUFD_TEST=1 is refused for a kernel without the mock' refusal
}

build_mock_modules() {
	build 'modules with the mock IOMMU' mock-modules env IOMMUFD_TEST=1 "$VM_DIR/build.sh" modules
	build 'module that provokes the leak check' provoke "$VM_DIR/build.sh" provoke
}

# The production module has no test hooks, and asking for them where they cannot
# work is refused: for the debug kernel as if it did not have the mock bus.
refusal() {
	local kernel

	kernel=$(out_dir kernel-without-mock)
	mkdir -p "$kernel"
	grep -v iommu_mock_device_add "$KDIR/Module.symvers" >"$kernel/Module.symvers"
	! env KDIR="$kernel" IOMMUFD_TEST=1 "$VM_DIR/build.sh" modules 2>"$LOGS/refusal.log" &&
		grep -q 'needs a kernel with' "$LOGS/refusal.log"
}

# machines: all that tests.list names
machines() {
	awk '!/^#/ && NF >= 2 { n = split($2, names, ","); for (i = 1; i <= n; i++) print names[i] }' \
		"$PROGRAMS/tests.list" | sort -u
}

# programs_for MACHINE CLOCK: the programs of both lists that run there
programs_for() {
	awk -v machine="$1" -v clock="$2" -v only=" ${TESTS:-} " '
		/^#/ || NF < 3 { next }
		("," $2 ",") ~ ("," machine ",") && $3 == clock &&
			(only ~ /^ *$/ || index(only, " " $1 " ")) { print $1 }' \
		"$PROGRAMS/tests.list" "$PROGRAMS/upstream.list"
}

# boot NAME MACHINE CLOCK SCRIPT ARGS...: a job that runs a script on the debug kernel, and
# counts. EXPECTED=FILE names the tests that are known to fail. The clock of the VM is
#   instructions   one of them is a nanosecond, so no limit in the guest depends on how fast
#                  this machine is; but one CPU runs at a time
#   time           that of this machine, for tests in which two CPUs are to meet
# Where KVM works, a test takes a small part of its limit, and all VMs have the second.
boot() {
	job "$1" boot_now "$@"
}

boot_now() {
	local name=$1 machine=$2 clock=$3 script=$4 logfile=$LOGS/test-$1.log rc=0
	local -a options=()
	shift 4

	: >"$logfile"
	log "booting the debug kernel on $machine: $name"
	[ "$clock" = time ] || [ "$ACCEL" = kvm ] || options=(--icount)
	"$VM_DIR/vm.sh" run --kernel "$KDIR" --modules "$MODULES${PROVOKE:+:$PROVOKE}" \
		--machine "$machine" --script "$script" --mem "$DEBUG_MEM" \
		--timeout $((BOOT_TIMEOUT * PACE)) --append "$DEBUG_CMDLINE" \
		--log "$logfile" --quiet "${options[@]}" "$@" || rc=$?
	[ "$rc" -eq 0 ] || result fail "$name: the machine ended with status $rc"
	"$VM_DIR/results.py" ktap "$name" ${EXPECTED:+"$EXPECTED"} <"$logfile" >>"$RESULTS" ||
		result fail "$name: what it printed could not be counted"
	log "$name: ended"
}

# suite NAME CLOCK PROGRAM...: the script that runs the programs; prints where it is
suite() {
	local script=$LOGS/suite-$1.sh limit=$PROGRAM_INSTRUCTIONS
	shift

	[ "$1" = instructions ] || limit=$((PROGRAM_TIMEOUT * PACE))
	shift
	echo "PROGRAM_TIMEOUT=$limit exec sh /guest/suite.sh $*" >"$script"
	echo "$script"
}

test_machine() {
	local machine=$1 clock=$2 name=$1 programs program
	local -a bins=() options=()

	[ "$clock" != time ] || name=$machine-smp
	programs=$(programs_for "$machine" "$clock")
	[ -n "$programs" ] || return 0
	for program in $programs; do
		bins+=(--bin "$PROGRAMS/$program")
	done
	[ "$name" != vtd ] ||
		options=(--mem "$VTD_MEM" --append "$DEBUG_CMDLINE $VTD_CMDLINE")
	# shellcheck disable=SC2086
	boot "$name" "$machine" "$clock" "$(suite "$name" "$clock" $programs)" \
		"${options[@]}" "${bins[@]}"
}

# The kernel's own iommufd selftests, and ours of that kind, on modules with test hooks
test_mock() {
	local program programs=
	local -a bins=()
	local MODULES=$MOCK_MODULES PROVOKE=
	local EXPECTED=$ROOT/tools/testing/selftests/upstream/expected-failures

	[ -n "$MODULES" ] || {
		result fail 'mock: not run, as its modules could not be built'
		return
	}
	while read -r program; do
		[ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $program "* ]] || continue
		programs+=" $program"
		bins+=(--bin "$PROGRAMS/$program")
	done < <(cat "$PROGRAMS/mock.list" "$PROGRAMS/tests.mock.list")
	[ -n "$programs" ] || return 0
	# Thousands of devices come and go, and the serial port is slow: leave out what is
	# said of each.
	# shellcheck disable=SC2086
	boot mock vtd instructions "$(suite mock instructions $programs)" \
		--append "$DEBUG_CMDLINE loglevel=5 log_buf_len=4M" "${bins[@]}"
}

test_in_vms() {
	local machine

	if [ -z "$MODULES" ] || [ -z "$PROGRAMS" ]; then
		result fail 'VM tests: not run, as something that they need could not be built'
		return
	fi
	ACCEL=$(accel "$KDIR")
	PACE=$(pace "$KDIR")
	export IOMMUFD_PACE=$PACE
	# The VMs that take longest come first, so that little is left to wait for at the end.
	test_mock
	for machine in ${MACHINES:-$(machines)}; do
		test_machine "$machine" instructions
	done
	for machine in ${MACHINES:-$(machines)}; do
		test_machine "$machine" time
	done
	boot pagetable vtd time "$VM_DIR/guest/pagetable.sh" \
		--append "$DEBUG_CMDLINE kunit.enable=1 kunit.timeout=$((300 * PACE))"
	boot provoke vtd instructions "$VM_DIR/guest/provoke.sh"
	job demo try 'make run' "$VM_DIR/run.sh"
}

# Rust crates are compiled one after the other, so the sets of modules beside each other.
build_for_vms() {
	local -a builds=()

	job modules build_modules
	builds+=($!)
	job mock-modules build_mock_modules
	builds+=($!)
	job programs build 'test programs' programs "$VM_DIR/build.sh" selftests
	builds+=($!)
	wait "${builds[@]}" || true
	MODULES=$(built modules) MOCK_MODULES=$(built mock-modules) PROVOKE=$(built provoke)
	PROGRAMS=$(built programs)
}

main() {
	local -a JOBS=()

	mkdir -p "$LOGS"
	lock "test-$(echo "$ROOT" | hash)"
	: >"$RESULTS"
	rm -f "$LOGS"/test-built-*
	# shellcheck disable=SC2086
	job checks checks $CHECKS_EARLY
	build 'debug kernel' kernel "$VM_DIR/kernel.sh" build debug
	KDIR=$(built kernel)
	export KDIR
	if [ -n "$KDIR" ]; then
		build_for_vms
		# What uses the modules from here on takes these, and does not build over them.
		export IOMMUFD_MODULES=$MODULES
		# shellcheck disable=SC2086
		job checks-late checks $CHECKS_LATE
		test_in_vms
	fi
	collect
	log "results in $RESULTS"
	"$VM_DIR/results.py" sum "$RESULTS"
}

unset O KDIR
# Jobs in the background are not interrupted with this process.
trap 'trap - TERM; kill 0' INT TERM
main
