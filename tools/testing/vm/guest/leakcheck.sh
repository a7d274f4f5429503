#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox disable=SC2317
#
# Checks that the kernel has got back every page and object, and has not complained.
# Prints KTAP, one line for each question. Run `leakcheck.sh baseline` after boot, and
# `leakcheck.sh` at the end: it takes the devices away from VFIO and unloads the
# modules. `leakcheck.sh NAME...` asks some of the questions only. A test that provokes
# a kernel message writes to /dev/kmsg beforehand
#   expect: TEXT
# and lines with TEXT in them do not count.
BASELINE=/run/leakcheck.baseline
KMEMLEAK=/sys/kernel/debug/kmemleak
# kmemleak reports no object that is younger than five seconds.
KMEMLEAK_AGE_S=6
COMPLAINTS='BUG:|WARNING:|INFO: |KASAN|UBSAN|ODEBUG|Oops|Call Trace|general protection'
COMPLAINTS="$COMPLAINTS|possible circular locking|possible recursive locking|inconsistent lock state"
COMPLAINTS="$COMPLAINTS|suspicious RCU usage|corruption|refcount_t|scheduling while atomic"
MODULES='vfio_pci vfio_pci_core vfio iommufd iommu_pagetable_test iommu_pagetable kernel_ext irqbypass'
QUESTIONS='pins locked unload kmemleak lockdep messages'
NUMBER=0
FAILED=0

# result STATUS NAME: a KTAP line; the reasons of a failure come before it, as comments
result() {
	NUMBER=$((NUMBER + 1))
	if [ "$1" = 0 ]; then
		echo "ok $NUMBER $2"
	else
		echo "not ok $NUMBER $2"
		FAILED=1
	fi
}

skip() {
	NUMBER=$((NUMBER + 1))
	echo "ok $NUMBER $1 # SKIP $2"
}

comment() {
	sed 's/^/# /'
}

# The counters are kept for each CPU, and their sum is brought up to date by this.
refresh_counters() {
	echo 1 >/proc/sys/vm/drop_caches
	cat /proc/sys/vm/stat_refresh >/dev/null 2>&1
}

vmstat() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}

locked() {
	echo "$(vmstat nr_mlock) locked, $(vmstat nr_unevictable) unevictable pages"
}

check_pins() {
	local acquired released

	acquired=$(vmstat nr_foll_pin_acquired)
	released=$(vmstat nr_foll_pin_released)
	[ "$acquired" = "$released" ] || echo "# $acquired pages pinned, $released unpinned"
	[ -n "$acquired" ] && [ "$acquired" = "$released" ]
	result $? 'every pinned page came back'
}

tables() {
	echo "$(vmstat nr_iommu_pages) pages of IOMMU tables"
}

# Not one of $QUESTIONS, as IOMMU drivers allocate and free tables at any time.
check_tables() {
	local before after

	before=$(tail -n 1 "$BASELINE")
	after=$(tables)
	[ "$before" = "$after" ] || echo "# before: $before; now: $after"
	[ "$before" = "$after" ]
	result $? 'every page of an IOMMU table came back'
}

check_locked() {
	local before after

	before=$(head -n 1 "$BASELINE")
	after=$(locked)
	[ "$before" = "$after" ] || echo "# before: $before; now: $after"
	[ "$before" = "$after" ]
	result $? 'locked memory is what it was after boot'
}

release_devices() {
	local dev

	for dev in /sys/bus/pci/drivers/vfio-pci/0000:*; do
		[ -e "$dev" ] || continue
		echo "${dev##*/}" >/sys/bus/pci/drivers/vfio-pci/unbind
	done
}

# A module that is not in use can be unloaded: a leaked reference shows here.
check_unload() {
	local module left=''

	release_devices
	for module in $MODULES; do
		grep -q "^$module " /proc/modules || continue
		rmmod "$module" 2>&1 | comment
		! grep -q "^$module " /proc/modules || left="$left $module"
	done
	[ -z "$left" ] || echo "# still loaded:$left"
	[ -z "$left" ]
	result $? 'all modules can be unloaded'
}

# An object counts as leaked when two scans in a row see it unchanged and unreferenced.
# (The allocator's per-CPU arrays keep stale pointers to objects that are in use, which
# hide leaks: the kernel must be booted with slab_debug=, which turns them off.)
check_kmemleak() {
	local name='kmemleak has no report'

	[ -e "$KMEMLEAK" ] || { skip "$name" 'not in this kernel'; return; }
	sleep "$KMEMLEAK_AGE_S"
	echo scan >"$KMEMLEAK"
	sleep 1
	echo scan >"$KMEMLEAK"
	cat "$KMEMLEAK" >/run/leakcheck.kmemleak
	head -n 60 /run/leakcheck.kmemleak | comment
	[ ! -s /run/leakcheck.kmemleak ]
	result $? "$name"
}

check_lockdep() {
	local name='lockdep is still watching'

	[ -e /proc/lockdep_stats ] || { skip "$name" 'not in this kernel'; return; }
	grep -q 'debug_locks: *1$' /proc/lockdep_stats
	result $? "$name"
}

check_messages() {
	dmesg >/run/leakcheck.dmesg
	sed -n 's/.*expect: //p' /run/leakcheck.dmesg >/run/leakcheck.expected
	grep -E "$COMPLAINTS" /run/leakcheck.dmesg | grep -v 'expect: ' >/run/leakcheck.complaints
	if [ -s /run/leakcheck.expected ]; then
		grep -vFf /run/leakcheck.expected /run/leakcheck.complaints >/run/leakcheck.unexpected
	else
		mv /run/leakcheck.complaints /run/leakcheck.unexpected
	fi
	[ ! -s /run/leakcheck.unexpected ] || comment </run/leakcheck.dmesg
	[ ! -s /run/leakcheck.unexpected ]
	result $? 'the kernel has not complained'
}

refresh_counters
if [ "${1:-}" = baseline ]; then
	{ locked; tables; } >"$BASELINE"
	exit 0
fi
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $QUESTIONS
echo 'KTAP version 1'
echo "1..$#"
for question in "$@"; do
	"check_$question"
done
exit $FAILED
