# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How slow is this machine, with what runs on it now? Limits in seconds of this machine's
# clock are multiplied with the answer. Sourced by test.sh.

# About what a boot of the debug kernel takes on two CPUs of 2.5 GHz without other work.
PACE_BOOT_S=20

# pace KDIR: 1 if this machine is as fast as that one, 2 if it takes up to twice the time, ...
pace() {
	local script=$LOGS/pace.sh start=$SECONDS took

	echo 'exit 0' >"$script"
	"$VM_DIR/vm.sh" run --kernel "$1" --script "$script" --timeout 3600 \
		--log "$LOGS/pace.log" --quiet >&2 || die "the kernel of $1 does not boot"
	took=$((SECONDS - start))
	log "a boot takes $took s ($PACE_BOOT_S s on the machine of which the limits speak)"
	echo $((took / PACE_BOOT_S + 1))
}
