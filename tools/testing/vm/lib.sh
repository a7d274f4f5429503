# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What all scripts of this directory share: paths, messages with the elapsed time,
# long commands with their output in a log, locks, hash keys. Sourced, never run.
# Messages go to stderr, as stdout carries results.

set -euo pipefail

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
ROOT=$(cd "$VM_DIR/../../.." && pwd -P)

ARCH=${ARCH:-x86_64}
CACHE=${IOMMUFD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/iommufd-rust}

# When `make` began, for the messages of all scripts that it calls.
export IOMMUFD_T0=${IOMMUFD_T0:-$(date +%s)}
export IOMMUFD_CACHE=$CACHE ARCH

# Python writes no files into the checkout.
export PYTHONDONTWRITEBYTECODE=1
# The flags of the make that called this script are not meant for those that it calls.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS

log() {
	local s=$(($(date +%s) - IOMMUFD_T0))

	printf '[%2d:%02d] %s\n' $((s / 60)) $((s % 60)) "$*" >&2
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

check_arch() {
	[ "$ARCH" = x86_64 ] ||
		die "ARCH=$ARCH is not supported yet; x86_64 is"
}

# kernel_image KDIR: the file that QEMU boots. A kernel with the PVH entry needs no
# compressed image, which each guest would have to unpack.
kernel_image() {
	if grep -sqx CONFIG_PVH=y "$1/.config"; then
		echo "$1/vmlinux"
	else
		echo "$1/arch/x86/boot/bzImage"
	fi
}

# hash: prints a short key of stdin
hash() {
	sha256sum | cut -c1-12
}

# out_dir NAME: prints the directory for NAME, a part of what is built from this checkout.
# Two checkouts share kernels and toolchain, but neither these directories nor the logs.
out_dir() {
	echo "$CACHE/out/$(echo "$ROOT" | hash)/$1"
}

LOGS=$(out_dir logs)
export LOGS

# lock NAME: takes the lock, and holds it until this process ends or calls unlock()
lock() {
	mkdir -p "$CACHE/locks"
	exec {LOCK_FD}>"$CACHE/locks/$1"
	flock -n "$LOCK_FD" && return
	log "waiting for another make that holds the $1 lock"
	flock "$LOCK_FD"
}

unlock() {
	exec {LOCK_FD}>&-
}

# progress WHAT LOG: shows the last line of LOG every few seconds, on a terminal always in
# the same line, else (CI) in a new line every half minute. Runs until it is killed.
progress() {
	local what=$1 logfile=$2 start now last never

	start=$(date +%s)
	# Not sleep, which would live on for a while and hold the lock and the pipes open.
	exec {never}<> <(:)
	while ! read -rt "$([ -t 2 ] && echo 2 || echo 30)" -u "$never"; do
		# The script was killed: let go of the lock that it held.
		kill -0 $$ 2>/dev/null || return
		now=$(($(date +%s) - start))
		last=$(tail -n 1 "$logfile" 2>/dev/null | tr -d '\r' | tr '\t' ' ' | cut -c1-60)
		if [ -t 2 ]; then
			printf '\r\033[K        %s: %ds, %s' "$what" "$now" "$last" >&2
		else
			log "$what: $now s, $last"
		fi
	done
}

# run_logged WHAT LOG COMMAND...: runs the command with its output in LOG; if it fails,
# shows the end of LOG, and returns its status
run_logged() {
	local what=$1 logfile=$2 ticker rc=0 start
	shift 2

	mkdir -p "$(dirname "$logfile")"
	: >"$logfile"
	start=$(date +%s)
	log "$what ..."
	progress "$what" "$logfile" >&2 &
	ticker=$!
	"$@" >>"$logfile" 2>&1 </dev/null || rc=$?
	kill "$ticker" 2>/dev/null || true
	wait "$ticker" 2>/dev/null || true
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ "$rc" -ne 0 ]; then
		log "$what: FAILED (status $rc); the end of its output:"
		show_tail "$logfile"
		return "$rc"
	fi
	log "$what: done in $(($(date +%s) - start)) s"
}

show_tail() {
	echo "---- last lines of $1" >&2
	tail -n "${2:-40}" "$1" >&2
	echo "---- whole log: $1" >&2
}

# in_toolchain SCRIPT ARGS...: starts the script again inside the toolchain, unless it runs
# there already
in_toolchain() {
	[ -z "${IOMMUFD_IN_TOOLCHAIN:-}" ] || return 0
	exec "$VM_DIR/toolchain.sh" exec -- "$@"
}

# debian_mirror: prints the URI of a Debian mirror from this system's apt configuration,
# or an empty line if it has none
debian_mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)|$(COMPONENT)|$(ORIGIN)' 2>/dev/null |
		awk -F'|' '$2 == "main" && $3 == "Debian" && $1 !~ /security/ { print $1; exit }'
}
