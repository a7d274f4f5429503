#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=busybox
#
# Can leakcheck.sh fail? Checks that a clean machine passes all of its questions; then
# makes one mistake after the other, and checks that the right question is answered with
# "not ok". Prints KTAP, for results.py. The order matters: lockdep turns itself off at
# its first report and at KASAN's.
OUT=/run/provoke.out
NUMBER=0

result() {
	NUMBER=$((NUMBER + 1))
	[ "$1" = 0 ] || comment <"$OUT"
	echo "$([ "$1" = 0 ] || echo 'not ')ok $NUMBER $2"
}

comment() {
	sed 's/^/# /'
}

forget() {
	dmesg -c >/dev/null
	[ ! -e /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak
}

# noticed QUESTION: whether leakcheck.sh answers it with "not ok"
noticed() {
	! sh /guest/leakcheck.sh "$1" >"$OUT" 2>&1 && grep -q '^not ok 1 ' "$OUT"
}

# provoke MISTAKE QUESTION
provoke() {
	forget
	modprobe provoke what="$1" || echo "# no provoke module"
	noticed "$2"
	result $? "leakcheck notices: $1"
	rmmod provoke
}

echo '# program: leakcheck, provoked'
echo 'KTAP version 1'
echo '1..9'
sh /guest/leakcheck.sh baseline

modprobe vfio-pci
sh /guest/leakcheck.sh >"$OUT" 2>&1
result $? 'leakcheck passes on a clean machine'

modprobe vfio-pci
# shellcheck disable=SC2217
sleep 1000 </dev/iommu &
noticed unload
result $? 'leakcheck notices: an open file keeps the module'
kill $!
wait

provoke pin pins
provoke mlock locked
provoke table tables
provoke leak kmemleak
provoke atomic messages
provoke lock lockdep
provoke uaf messages
echo '# exit: 0'
