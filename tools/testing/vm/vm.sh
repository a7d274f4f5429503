#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots a kernel in QEMU with an initramfs that it makes, runs one script in it, and
# returns that script's exit status; 124 if it took too long, 125 if the guest died
# first (a panic).
#
#   vm.sh run --kernel KDIR --machine NAME --script FILE [--modules DIR[:DIR...]]
#             [--bin FILE]... [--timeout S] [--log FILE] [--quiet]
#             [--smp N] [--mem M] [--append "kernel parameters"]
#             [--tcg] [--icount] [--monitor SOCKET]
#   vm.sh shell ...    the same, with a terminal in the guest
#
# The script's output goes to stdout (not with --quiet) and to the log file, the
# kernel's messages to the log file's name with .kernel added, and to stderr if
# V=1 is set. Machines are described in machine/. --tcg does not use KVM even if
# it works; --icount lets the guest's clocks count its instructions instead of
# time, one for a nanosecond and for a tick of the TSC, on one CPU; a wait for a timer
# takes no time then. --monitor puts QEMU's monitor on a socket.
. "$(dirname "$0")/lib.sh"
. "$VM_DIR/initramfs.sh"
. "$VM_DIR/accel.sh"

KERNEL='' MODULES='' MACHINE=vtd SCRIPT='' TIMEOUT=300 LOG='' QUIET='' SMP=2 MEM=1G APPEND='' ACCEL=''
MONITOR=none
BINS=() ICOUNT=()

parse() {
	local opt

	while [ $# -gt 0 ]; do
		opt=$1
		shift
		case $opt in
		--quiet) QUIET=1 && continue ;;
		--tcg) ACCEL=tcg && continue ;;
		--icount) count_instructions && continue ;;
		esac
		[ $# -gt 0 ] || die "vm.sh: $opt wants a value"
		case $opt in
		--kernel) KERNEL=$1 ;;
		--modules) MODULES=$1 ;;
		--machine) MACHINE=$1 ;;
		--script) SCRIPT=$1 ;;
		--bin) BINS+=("$1") ;;
		--timeout) TIMEOUT=$1 ;;
		--log) LOG=$1 ;;
		--smp) SMP=$1 ;;
		--mem) MEM=$1 ;;
		--append) APPEND=$1 ;;
		--monitor) MONITOR=unix:$1,server,nowait ;;
		*) die "vm.sh: unknown option $opt" ;;
		esac
		shift
	done
	[ -e "$(kernel_image "$KERNEL")" ] || die "vm.sh: no kernel image in '$KERNEL' (--kernel)"
	[ -e "$SCRIPT" ] || die "vm.sh: no guest script '$SCRIPT' (--script)"
	[ -e "$VM_DIR/machine/$MACHINE.sh" ] ||
		die "vm.sh: no machine '$MACHINE'; there are: $(cd "$VM_DIR/machine" && echo *.sh)"
}

count_instructions() {
	ACCEL=tcg,thread=single
	SMP=1
	ICOUNT=(-icount 'shift=0,sleep=off,align=off')
}

# Without 5-level paging: with it, after a timer interrupt while the kernel identifies
# its CPU, KASAN reports every access as a wild one.
CPU=max,la57=off
# Without the self-test of the timer, which fails now and then in a busy emulator, and
# without the clocksource watchdog: while the clock is jiffies, the CPU that counts them
# waits in it for another CPU, which in stop_machine() waits for that one.
CMDLINE_ALWAYS='console=ttyS0 panic=-1 no_timer_check tsc=reliable'

# qemu_command STDIO-OPTIONS: sets QEMU to the command that starts the machine, with the
# script's port on stdio
qemu_command() {
	local -a QEMU_ARGS
	local CMDLINE

	. "$VM_DIR/machine/$MACHINE.sh"
	QEMU=("qemu-system-$ARCH" "${QEMU_ARGS[@]}"
		-accel "${ACCEL:-$(accel "$KERNEL")}" "${ICOUNT[@]}"
		-cpu "$CPU" -smp "$SMP" -m "$MEM"
		-nodefaults -display none -monitor "$MONITOR" -no-reboot
		-chardev "file,id=kernel,path=$LOG.kernel" -serial chardev:kernel
		-chardev "stdio,id=script,$1" -serial chardev:script
		-kernel "$(kernel_image "$KERNEL")" -initrd "$WORK/initramfs"
		-append "$CMDLINE_ALWAYS $CMDLINE $APPEND")
}

prepare() {
	mkdir -p "$LOGS" "$CACHE/tmp"
	LOG=${LOG:-$LOGS/vm-$MACHINE.log}
	WORK=$(mktemp -d "$CACHE/tmp/vm.XXXXXX")
	trap 'rm -rf "$WORK"; [ -z "${FOLLOWER:-}" ] || kill "$FOLLOWER" 2>/dev/null' EXIT
	: >"$LOG.kernel"
	make_initramfs "$WORK/initramfs" "$KERNEL" "$MODULES" "$SCRIPT" "${BINS[@]}"
	if [ -n "${V:-}" ]; then
		tail -n +1 -F "$LOG.kernel" >&2 2>/dev/null &
		FOLLOWER=$!
	fi
}

show() {
	if [ -n "$QUIET" ]; then
		cat >/dev/null
	else
		grep --line-buffered -v '^vm: exit ' || true
	fi
}

run() {
	local rc=0 status

	prepare
	qemu_command signal=on
	timeout --foreground -k 5 "$TIMEOUT" "${QEMU[@]}" \
		2>"$LOG.qemu" </dev/null | tee "$LOG" | show || rc=${PIPESTATUS[0]}
	status=$(sed -n 's/^vm: exit \([0-9]*\).*/\1/p' "$LOG" | tail -n 1)
	[ -z "$status" ] || return "$status"
	[ ! -s "$LOG.qemu" ] || show_tail "$LOG.qemu"
	show_tail "$LOG.kernel" 60
	if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
		log "the VM ($MACHINE) was stopped after $TIMEOUT s"
		return 124
	fi
	log "the VM ($MACHINE) ended before its script did"
	return 125
}

shell() {
	prepare
	qemu_command signal=off
	"${QEMU[@]}"
}

verb=${1:-}
shift || true
in_toolchain "$0" "$verb" "$@"
check_arch
case $verb in
run) parse "$@"; run ;;
shell) parse "$@"; shell ;;
*) die "usage: vm.sh run|shell --kernel KDIR --machine NAME --script FILE ..." ;;
esac
