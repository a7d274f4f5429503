# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What all scripts of this directory share: where things are, messages with the
# elapsed time, long commands with their output in a log, locks, hash keys.
# Sourced, never run. Messages go to stderr, so that stdout can carry results.

set -euo pipefail

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
ROOT=$(cd "$VM_DIR/../../.." && pwd -P)

ARCH=${ARCH:-x86_64}
CACHE=${IOMMUFD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/iommufd-rust}

# One clock for a whole `make`, however many scripts it goes through.
export IOMMUFD_T0=${IOMMUFD_T0:-$(date +%s)}
export IOMMUFD_CACHE=$CACHE ARCH

# The variables of the make that called us are not meant for the makes that we call.
# A checkout stays clean.
export PYTHONDONTWRITEBYTECODE=1
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

# The architecture's name in the kernel's tree, and the image that QEMU boots.
kernel_arch() { echo x86; }
kernel_image() { echo arch/x86/boot/bzImage; }

# hash: a short key of what comes in on stdin
hash() {
	sha256sum | cut -c1-12
}

# out_dir NAME: where this checkout's build results called NAME go. Two
# checkouts share kernels and toolchain, but not these and not the logs.
out_dir() {
	echo "$CACHE/out/$(echo "$ROOT" | hash)/$1"
}

LOGS=$(out_dir logs)
export LOGS

# lock NAME: hold the lock until this process ends
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

# While a command writes LOG, say every few seconds how far it has come: on a
# terminal in one line, else (CI) in a line every half minute.
progress() {
	local what=$1 logfile=$2 start now last never

	start=$(date +%s)
	# Not sleep: it would outlive us, and hold the lock and the pipes open.
	exec {never}<> <(:)
	while ! read -rt "$([ -t 2 ] && echo 2 || echo 30)" -u "$never"; do
		now=$(($(date +%s) - start))
		last=$(tail -n 1 "$logfile" 2>/dev/null | tr -d '\r' | tr '\t' ' ' | cut -c1-60)
		if [ -t 2 ]; then
			printf '\r\033[K        %s: %ds, %s' "$what" "$now" "$last" >&2
		else
			log "$what: $now s, $last"
		fi
	done
}

# run_logged WHAT LOG COMMAND...: the command's output goes to LOG; if it fails,
# the end of LOG is shown.
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

# in_toolchain SCRIPT ARGS...: go on inside the toolchain, if not there already.
in_toolchain() {
	[ -z "${IOMMUFD_IN_TOOLCHAIN:-}" ] || return 0
	exec "$VM_DIR/toolchain.sh" exec -- "$@"
}

# debian_mirror: the URI of a Debian mirror as this system's apt knows it;
# nothing if apt knows none
debian_mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)|$(COMPONENT)|$(ORIGIN)' 2>/dev/null |
		awk -F'|' '$2 == "main" && $3 == "Debian" && $1 !~ /security/ { print $1; exit }'
}
