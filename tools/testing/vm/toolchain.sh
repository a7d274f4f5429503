#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tools that everything else is built and run with: the host's own if they
# are good enough, else a Debian sysroot that this script makes with mmdebstrap
# and enters with a private mount namespace and chroot.
#
#   toolchain.sh ensure            make it ready; print the sysroot, or "host"
#   toolchain.sh exec -- CMD...    run CMD with it, in the same directory
#
# IOMMUFD_TOOLCHAIN=host|sysroot decides by hand.
. "$(dirname "$0")/lib.sh"

SUITE=trixie
PACKAGES=$VM_DIR/toolchain.packages
PREFERENCES=$VM_DIR/toolchain.preferences
# How long another apt or dpkg may hold a lock that is needed
APT_WAIT_S=900

key() {
	{ echo "$SUITE $ARCH"; cat "$PACKAGES" "$PREFERENCES" "$VM_DIR/toolchain-setup.sh"; } | hash
}

# at_least HAVE WANT: compare dotted versions
at_least() {
	[ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# version_of CMD...: the first dotted number that CMD prints
version_of() {
	"$@" 2>/dev/null | grep -Eo '[0-9]+(\.[0-9]+)+' | head -n 1
}

# Says what the host lacks, one thing a line; nothing if it is good enough.
host_lacks() {
	local tool

	for tool in rustfmt clippy-driver cargo flex bison bc cpio zstd depmod llvm-ar pahole make gcc; do
		command -v "$tool" >/dev/null || echo "$tool"
	done
	at_least "$(version_of rustc --version)" 1.85 || echo 'rustc >= 1.85'
	[ -e "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core/src/lib.rs" ] ||
		echo rust-src
	at_least "$(version_of bindgen --version)" 0.71 || echo 'bindgen >= 0.71'
	at_least "$(version_of clang --version)" 17 || echo 'clang >= 17'
	at_least "$(version_of ld.lld --version)" 17 || echo 'lld >= 17'
	# In the list, because a QEMU that is asked about a device it lacks does not fail.
	for tool in qemu-system-x86_64 qemu-system-aarch64; do
		"$tool" -device help 2>/dev/null | grep -F '"iommu-testdev"' >/dev/null ||
			echo "$tool with iommu-testdev"
	done
	if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then
		echo 'a static busybox'
	fi
	echo 'int main(void) { return 0; }' |
		gcc -m32 -static -x c -o /dev/null - 2>/dev/null || echo '32-bit static libc'
	echo 'int main(void) { return 0; }' |
		gcc -include libelf.h -x c -o /dev/null - -lelf 2>/dev/null || echo libelf
	echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		clang -fsanitize=address,fuzzer -x c -o /dev/null - 2>/dev/null || echo "clang's sanitizer runtime"
}

host_is_good() {
	local lacks

	case ${IOMMUFD_TOOLCHAIN:-} in
	host) return 0 ;;
	sysroot) return 1 ;;
	esac
	lacks=$(host_lacks)
	[ -n "$lacks" ] || return 0
	[ -z "${V:-}" ] || log "not the host's tools, it lacks: $(paste -sd, <<<"$lacks")"
	return 1
}

need_root() {
	[ "$(id -u)" = 0 ] || die "root is needed to $1.
  This machine lacks for a build without root: $(host_lacks | paste -sd,)"
}

# apt_get ARGS...: apt-get, which waits while another process holds one of its locks.
# It has an option for the locks of dpkg; the lock of the package lists makes it fail
# at once, so try again.
apt_get() {
	local end=$((SECONDS + APT_WAIT_S)) output rc lock

	output=$(mktemp)
	while true; do
		rc=0
		LC_ALL=C apt-get -o DPkg::Lock::Timeout="$APT_WAIT_S" "$@" 2>&1 | tee "$output" || rc=$?
		lock=$(grep -m 1 '^E: Could not get lock' "$output") || break
		[ "$rc" -ne 0 ] && [ "$SECONDS" -lt "$end" ] || break
		echo "waiting: $lock"
		sleep 5
	done
	rm -f "$output"
	return $rc
}

install_mmdebstrap() {
	apt_get update &&
		apt_get install -y --no-install-recommends mmdebstrap debian-archive-keyring
}

# mmdebstrap and Debian's keys, from the host's own package manager.
need_mmdebstrap() {
	command -v mmdebstrap >/dev/null &&
		[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] && return
	command -v apt-get >/dev/null ||
		die "mmdebstrap is needed to build the toolchain, and there is no apt-get to install it with"
	run_logged 'installing mmdebstrap' "$LOGS/mmdebstrap.log" install_mmdebstrap ||
		die "could not install mmdebstrap: is there a network, and a mirror in apt's configuration?"
}

build() {
	local dir=$1 mirror include

	need_root "build the toolchain (a Debian sysroot)"
	need_mmdebstrap
	mirror=$(debian_mirror)
	include=$(grep -v '^#' "$PACKAGES" | xargs | tr ' ' ,)
	rm -rf "$dir.tmp"
	# The mirror's signatures count; the dates on them may be off on a mirror
	# that is a snapshot.
	# shellcheck disable=SC2086
	run_logged "toolchain: Debian $SUITE sysroot" "$LOGS/toolchain.log" \
		mmdebstrap --variant=minbase --mode=root --format=directory \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Check-Date "false"' \
		--aptopt='Acquire::Retries "3"' \
		--setup-hook="'$VM_DIR/toolchain-setup.sh' \"\$1\" $SUITE" \
		--include="$include" \
		"$SUITE" "$dir.tmp" ${mirror:+"deb $mirror $SUITE main"} ||
		die "the toolchain could not be built; building it needs the network"
	mv "$dir.tmp" "$dir"
}

# Sets SYSROOT, or leaves it empty for the host.
ensure() {
	SYSROOT=
	check_arch
	host_is_good && return
	SYSROOT=$CACHE/toolchain/$(key)
	[ ! -d "$SYSROOT" ] || return 0
	lock toolchain
	mkdir -p "$CACHE/toolchain"
	[ -d "$SYSROOT" ] || build "$SYSROOT"
	unlock
}

# Directories outside the sysroot that a command may need, at their own paths.
visible_dirs() {
	local dir

	for dir in /tmp "$ROOT" "$CACHE" "$PWD" "${KSRC:-}" "${KDIR:-}" "${KDIR:+$KDIR/source}" "${O:-}"; do
		[ ! -d "$dir" ] || realpath "$dir"
	done | grep -vx / | sort -u
}

# What the environment means to our scripts and to what they run; the rest stays outside.
kept_environment() {
	env -0 | grep -zE '^(IOMMUFD_|(ARCH|KSRC|KDIR|O|V|PAGETABLE_TEST|TERM|HOME|TESTS|MACHINES?|FLAVOUR|AT_ONCE)=)' || true
	env -0 | grep -zEi '^((https?|ftp|no|all)_proxy=|SSL_CERT_|CURL_CA|GIT_SSL|CARGO_(NET|HTTP|REGISTR|SOURCE))' || true
	printf '%s\0' IOMMUFD_IN_TOOLCHAIN=1 "IOMMUFD_SYSROOT=$SYSROOT" "CARGO_HOME=$CACHE/cargo" LC_ALL=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin
}

# The user's cargo configuration (a registry mirror, say) counts inside too.
share_cargo_config() {
	mkdir -p "$CACHE/cargo"
	if [ -f "$HOME/.cargo/config.toml" ]; then
		cp "$HOME/.cargo/config.toml" "$CACHE/cargo/config.toml"
	else
		rm -f "$CACHE/cargo/config.toml"
	fi
}

mount_into_sysroot() {
	local path

	mount --make-rprivate /
	for path in /proc /dev /sys; do
		mount --rbind "$path" "$SYSROOT$path"
	done
	while read -r path; do
		mkdir -p "$SYSROOT$path"
		mount --bind "$path" "$SYSROOT$path"
	done < <(visible_dirs)
	for path in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
		if [ ! -e "$path" ] || [ ! -e "$SYSROOT$path" ]; then
			continue
		fi
		mount --bind "$(realpath "$path")" "$SYSROOT$path"
		mount -o remount,bind,ro "$SYSROOT$path"
	done
}

# Runs in the new mount namespace.
enter() {
	local -a environment
	SYSROOT=$1
	shift

	mount_into_sysroot
	mkdir -p "$SYSROOT$HOME"
	mapfile -d '' environment < <(kept_environment)
	# shellcheck disable=SC2016
	exec chroot "$SYSROOT" /usr/bin/env -i "${environment[@]}" \
		bash -c 'cd "$0" && exec "$@"' "$PWD" "$@"
}

run() {
	ensure
	mkdir -p "$CACHE"
	export IOMMUFD_CACHE=$CACHE
	if [ -z "$SYSROOT" ]; then
		export IOMMUFD_IN_TOOLCHAIN=1
		exec "$@"
	fi
	need_root "enter the toolchain's sysroot"
	share_cargo_config
	unshare -m true 2>/dev/null ||
		die "this machine does not allow a mount namespace (unshare -m); a container must be a privileged one"
	exec unshare -m "$VM_DIR/toolchain.sh" enter "$SYSROOT" "$@"
}

case ${1:-} in
ensure)
	[ -z "${IOMMUFD_IN_TOOLCHAIN:-}" ] || exit 0
	ensure
	echo "${SYSROOT:-host}"
	;;
exec)
	shift
	[ "${1:-}" != -- ] || shift
	[ -z "${IOMMUFD_IN_TOOLCHAIN:-}" ] || exec "$@"
	run "$@"
	;;
enter)
	shift
	enter "$@"
	;;
*)
	die "usage: toolchain.sh ensure | exec -- CMD..."
	;;
esac
