# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Makes the initramfs of a test VM: busybox, modules, the scripts of guest/ and the
# programs that the caller names. Sourced by vm.sh.

# make_initramfs OUT KDIR MODULES SCRIPT [BIN...]; MODULES is a colon-separated
# list of directories whose .ko files come before the kernel's own.
make_initramfs() {
	local out=$1 kdir=$2 modules=$3 script=$4 stage
	shift 4

	stage=$(mktemp -d "$(dirname "$out")/stage.XXXXXX")
	stage_userland "$stage" "$script" "$@"
	stage_modules "$stage" "$kdir" "$modules"
	(cd "$stage" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet) | zstd -q -1 >"$out"
	rm -rf "$stage"
}

stage_userland() {
	local stage=$1 script=$2
	shift 2

	mkdir -p "$stage"/{bin,dev,proc,sys,tmp,run,root,guest,lib,etc}
	ln -s bin "$stage/sbin"
	cp "$(command -v busybox)" "$stage/bin/busybox"
	busybox --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$stage/bin/$applet"
	done
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$stage/etc/passwd"
	install -m 755 "$VM_DIR/guest/init" "$stage/init"
	install -m 755 "$VM_DIR"/guest/*.sh "$stage/guest/"
	install -m 755 "$script" "$stage/guest/script"
	[ $# -eq 0 ] || install -m 755 "$@" "$stage/bin/"
}

# The C iommufd.ko stays beside ours, for comparison, in /c-modules.
stage_modules() {
	local stage=$1 kdir=$2 modules=$3 version dir ko

	version=$(cat "$kdir/include/config/kernel.release")
	mkdir -p "$stage/lib/modules/$version" "$stage/c-modules"
	find "$kdir" -name '*.ko' -exec cp -t "$stage/lib/modules/$version" {} +
	cp "$kdir/modules.builtin" "$kdir/modules.builtin.modinfo" "$kdir/modules.order" \
		"$stage/lib/modules/$version/"
	tr : '\n' <<<"$modules" | while read -r dir; do
		[ -n "$dir" ] || continue
		for ko in "$dir"/*.ko; do
			[ -e "$ko" ] || die "no modules in $dir"
			stage_module "$ko" "$stage" "$version"
		done
	done
	depmod -b "$stage" "$version"
}

stage_module() {
	local ko=$1 stage=$2 dest=$2/lib/modules/$3

	[ ! -e "$dest/$(basename "$ko")" ] || mv "$dest/$(basename "$ko")" "$stage/c-modules/"
	cp "$ko" "$dest/"
}
