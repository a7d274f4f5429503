# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# KVM or TCG? /dev/kvm may exist although KVM cannot run an ordinary kernel, so boot
# one, once per boot of the host. Sourced by vm.sh.

KVM_PROBE_S=10

# accel KDIR: the value of QEMU's -accel
accel() {
	local answer

	answer=$CACHE/accel/$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
	if [ ! -e "$answer" ]; then
		mkdir -p "$CACHE/accel"
		if [ -w /dev/kvm ] && kvm_boots "$1" "$answer"; then
			echo kvm >"$answer"
		else
			echo tcg,thread=multi >"$answer"
		fi
	fi
	cat "$answer"
}

# kvm_boots KDIR FILES: whether a kernel gets as far as its init under KVM
kvm_boots() {
	local kdir=$1 files=$2 script pid tries=0 rc=1

	log "trying KVM (at most $KVM_PROBE_S s, once per boot of this machine)"
	script=$files.script
	echo 'exit 0' >"$script"
	make_initramfs "$files.cpio" "$kdir" '' "$script"
	timeout "$KVM_PROBE_S" "qemu-system-$ARCH" -accel kvm -cpu host -machine q35 -m 512M \
		-nodefaults -display none -no-reboot -serial null -serial "file:$files.out" \
		-kernel "$(kernel_image "$kdir")" -initrd "$files.cpio" \
		-append 'panic=-1' >"$files.err" 2>&1 </dev/null &
	pid=$!
	# QEMU does not end by itself when KVM cannot run the guest, but prints an error.
	while kill -0 "$pid" 2>/dev/null && [ $((tries++)) -lt $((KVM_PROBE_S * 5)) ]; do
		! grep -qi 'internal error' "$files.err" || kill "$pid" 2>/dev/null || true
		sleep 0.2
	done
	wait "$pid" 2>/dev/null || true
	! grep -q '^vm: exit 0' "$files.out" 2>/dev/null || rc=0
	rm -f "$files".*
	log "KVM $([ $rc = 0 ] && echo works || echo 'does not boot a kernel here: using TCG')"
	return $rc
}
