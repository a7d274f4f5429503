#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a part of this repository into a directory, which it prints on stdout at
# the end:
#
#   build.sh modules     our .ko files, for KDIR (a kernel build directory, else
#                        the lean kernel) into O (else a cached directory);
#                        IOMMUFD_TEST=1 adds the hooks that upstream's tests drive,
#                        PAGETABLE_TEST=1 the module that tests the page tables;
#                        IOMMUFD_MODULES=DIR names a finished build to take instead
#   build.sh provoke     the module that makes mistakes on purpose, for KDIR
#   build.sh iommufd-user
#                        the in-kernel user of IO address spaces that is measured
#   build.sh ioas-bench  the program that measures IO address spaces
#   build.sh demo        the program of `make run`
#   build.sh selftests   the test programs, ours (tests.list) and the kernel's own
#                        of VFIO (upstream.list)
. "$(dirname "$0")/lib.sh"

MOCK_SYMBOL=iommu_mock_device_add

kernel() {
	"$VM_DIR/kernel.sh" build lean
}

# kbuild WHAT SOURCE KDIR OUT ARGS...: an out-of-tree module build
kbuild() {
	local what=$1 src=$2 kdir=$3 out=$4
	shift 4

	mkdir -p "$out"
	lock "build-$(echo "$out" | hash)"
	run_logged "$what for $(basename "$kdir")" "$LOGS/$what.log" \
		make -C "$kdir" ARCH="$ARCH" LLVM=1 M="$src" MO="$out" -j"$(nproc)" "$@" modules
}

build_modules() {
	local kdir out
	local -a args=()

	if [ -n "${IOMMUFD_MODULES:-}" ]; then
		echo "$IOMMUFD_MODULES"
		return
	fi
	kdir=$(kernel)
	if [ "${IOMMUFD_TEST:-}" = 1 ]; then
		grep -qw "$MOCK_SYMBOL" "$kdir/Module.symvers" ||
			die "IOMMUFD_TEST=1 needs a kernel with $MOCK_SYMBOL (CONFIG_IOMMUFD_TEST); $kdir has not"
		args=(CONFIG_IOMMUFD_RUST_TEST=y)
	fi
	[ -z "${PAGETABLE_TEST:-}" ] || args+=(CONFIG_IOMMU_PAGETABLE_RUST_TEST=m)
	[ -z "${IOMMUFD_BENCH:-}" ] || args+=(CONFIG_IOMMUFD_RUST_BENCH=m)
	out=${O:-$(out_dir "modules/$(basename "$kdir")${IOMMUFD_TEST:+-test}${IOMMUFD_BENCH:+-bench}")}
	kbuild "modules${IOMMUFD_TEST:+-test}" "$ROOT" "$kdir" "$(realpath -m "$out")" "${args[@]}" || exit 1
	realpath "$out"
}

# build_module NAME SOURCE: a module for tests or benchmarks
build_module() {
	local kdir out

	kdir=$(kernel)
	out=$(out_dir "$1/$(basename "$kdir")")
	kbuild "$1" "$2" "$kdir" "$out" || exit 1
	echo "$out"
}

build_programs() {
	local what=$1 dir=$2 out

	[ -e "$dir/Makefile" ] || die "there is no $dir/Makefile"
	out=$(realpath -m "${O:-$(out_dir "$what")}")
	mkdir -p "$out"
	lock "build-$(echo "$out" | hash)"
	run_logged "$what" "$LOGS/$what.log" \
		make -C "$dir" O="$out" KSRC="$("$VM_DIR/kernel.sh" source)" -j"$(nproc)" || exit 1
	echo "$out"
}

# Ours and, beside them, those that come with the kernel.
build_selftests() {
	O=${O:-$(out_dir selftests)}
	(build_programs upstream "$ROOT/tools/testing/selftests/upstream") >/dev/null || exit 1
	build_programs selftests "$ROOT/tools/testing/selftests/iommufd"
}

[ "$1" != modules ] || [ -z "${O:-}" ] || mkdir -p "$O"
in_toolchain "$0" "$@"
case ${1:-} in
modules) build_modules ;;
provoke) build_module provoke "$VM_DIR/provoke" ;;
iommufd-user) build_module iommufd-user "$ROOT/tools/testing/bench/ioas/module" ;;
ioas-bench) build_programs ioas-bench "$ROOT/tools/testing/bench/ioas" ;;
demo) build_programs demo "$ROOT/tools/testing/demo" ;;
selftests) build_selftests ;;
*) die "usage: build.sh modules|provoke|iommufd-user|ioas-bench|demo|selftests" ;;
esac
