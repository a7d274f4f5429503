#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Gets the Linux source, and builds kernels from it.
#
#   kernel.sh source             print the directory of the Linux source
#   kernel.sh build lean|debug   print the build directory of that kernel
#   kernel.sh any                print that of a kernel that is there, else build the lean one
#   kernel.sh key                what every kernel's key has in common
#
# KSRC=dir is a Linux source to use instead of Debian's, KDIR=dir a finished
# build to use instead of any of ours. The configuration is allnoconfig with
# the fragments of config/ laid over it.
. "$(dirname "$0")/lib.sh"

SERIES=7.3
PACKAGE=linux-source-$SERIES
SUITES='trixie-backports forky sid'
CONFIG=$VM_DIR/config
MIN_FREE_GB=6

# apt_in DIR SUITE ARGS...: apt-get with a configuration in DIR that has that one suite
# only. The system's configuration, lists and locks are not touched.
apt_in() {
	local dir=$1 suite=$2
	shift 2

	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
		"$(debian_mirror_or_sources)" "$suite" >"$dir/sources.list"
	apt-get -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferencesparts=- -o Dir::State::lists="$dir/lists" \
		-o Dir::Cache="$dir" -o APT::Sandbox::User=root -o Acquire::Retries=3 \
		-o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false "$@"
}

# In the sysroot apt has no package lists, and so no index targets; but the first line
# of its sources is the mirror that it was built from.
debian_mirror_or_sources() {
	local mirror

	mirror=$(debian_mirror)
	[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && $NF == "main" {
		for (i = 2; i <= NF; i++) if ($i ~ /:/ ) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null || true)
	[ -n "$mirror" ] || die "apt knows no Debian mirror; give a Linux $SERIES source with KSRC="
	echo "$mirror"
}

download_source() {
	local dir=$1 suite

	for suite in $SUITES; do
		(cd "$dir" && apt_in "$dir/apt" "$suite" -q update &&
			apt_in "$dir/apt" "$suite" -q download "$PACKAGE") && return
		rm -rf "$dir/apt"
		echo "no $PACKAGE in $suite"
	done
	return 1
}

unpack_source() {
	local dir=$1

	dpkg-deb --fsys-tarfile "$dir"/"$PACKAGE"_*.deb |
		tar -x -C "$dir" --wildcards "./usr/src/$PACKAGE.tar.*"
	tar -x -C "$dir" -f "$dir"/usr/src/"$PACKAGE".tar.*
	rm -rf "${dir:?}/usr" "$dir/apt" "$dir"/*.deb
}

source_dir() {
	local dir=$CACHE/source/$PACKAGE

	if [ -n "${KSRC:-}" ]; then
		[ -e "$KSRC/rust/kernel/lib.rs" ] || die "KSRC=$KSRC is not a Linux source with Rust"
		realpath "$KSRC"
		return
	fi
	if [ ! -d "$dir" ]; then
		lock source
		rm -rf "$dir.tmp"
		mkdir -p "$dir.tmp"
		run_logged "downloading $PACKAGE" "$LOGS/source.log" download_source "$dir.tmp" ||
			die "$PACKAGE is in none of $SUITES; give a Linux $SERIES source with KSRC="
		run_logged "unpacking $PACKAGE" "$LOGS/source.log" unpack_source "$dir.tmp"
		mv "$dir.tmp" "$dir"
		unlock
	fi
	echo "$dir/$PACKAGE"
}

fragments() {
	cat "$CONFIG/common.config" "$CONFIG/$ARCH.config" "$CONFIG/$1.config"
}

# The options of the fragments, without comments and blank lines, which change no kernel.
options() {
	fragments "$1" | grep -E '^(# )?CONFIG_'
}

# Modules fit a kernel only if both were built by the same compilers.
compilers() {
	rustc --version
	clang --version | head -n 1
	bindgen --version
}

common_key() {
	{ compilers; make -s -C "$1" kernelversion; } | hash
}

# configure SRC BUILD FLAVOUR: fails if an option of a fragment is not on afterwards, of
# which allnoconfig does not complain.
configure() {
	local missing

	fragments "$3" >"$2/fragments"
	KCONFIG_ALLCONFIG=$2/fragments make -C "$1" O="$2" ARCH="$ARCH" LLVM=1 allnoconfig || return
	missing=$(grep -E '^CONFIG_[A-Z0-9_]+=[ym]$' "$2/fragments" | grep -vxFf "$2/.config" || true)
	[ -z "$missing" ] || {
		echo "the kernel's configuration did not take:"
		echo "$missing"
		return 1
	}
}

# build_dir SRC FLAVOUR
build_dir() {
	echo "$CACHE/kernel/$ARCH-$2-$({ common_key "$1"; options "$2"; } | hash)"
}

build() {
	local flavour=$1 src dir

	if [ -n "${KDIR:-}" ]; then
		[ -e "$KDIR/Module.symvers" ] || die "KDIR=$KDIR is not a finished kernel build"
		realpath "$KDIR"
		return
	fi
	[ -e "$CONFIG/$flavour.config" ] || die "no such kernel flavour: '$flavour'; there is lean and debug"
	src=$(source_dir)
	dir=$(build_dir "$src" "$flavour")
	[ -e "$dir/.complete" ] || build_in "$src" "$dir" "$flavour"
	echo "$dir"
}

# The debug kernel comes first, as modules with test hooks can be built for it too.
any() {
	local flavour src

	if [ -z "${KDIR:-}" ]; then
		src=$(source_dir)
		for flavour in debug lean; do
			[ ! -e "$(build_dir "$src" $flavour)/.complete" ] || break
		done
	fi
	build "${flavour:-lean}"
}

# build_in SRC DIR FLAVOUR: builds, or goes on where an interrupted make stopped
build_in() {
	local src=$1 dir=$2 flavour=$3

	lock "kernel-$flavour"
	mkdir -p "$dir"
	[ ! -e "$dir/.complete" ] || return 0
	[ "$(df -BG --output=avail "$dir" | tail -n 1 | tr -dc 0-9)" -ge "$MIN_FREE_GB" ] ||
		die "less than $MIN_FREE_GB GB free for a kernel build in $CACHE"
	run_logged "kernel $flavour: configuration" "$LOGS/kernel-$flavour-config.log" \
		configure "$src" "$dir" "$flavour" || exit 1
	run_logged "kernel $flavour: build (most of a cold start)" "$LOGS/kernel-$flavour.log" \
		make -C "$src" O="$dir" ARCH="$ARCH" LLVM=1 -j"$(nproc)" vmlinux modules || exit 1
	touch "$dir/.complete"
	unlock
}

check_arch
in_toolchain "$0" "$@"
case ${1:-} in
source) source_dir ;;
build) build "${2:-lean}" ;;
any) any ;;
key) common_key "$(source_dir)" ;;
*) die "usage: kernel.sh source | build lean|debug | any | key" ;;
esac
