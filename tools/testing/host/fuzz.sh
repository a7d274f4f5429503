#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh TARGET RUNS: lets libFuzzer try RUNS inputs on a target of fuzz/, which are
#
#   operations   steps on page tables of every format, against the model
#   tables       the same steps, then the walks of hardware through the tables
#   walkers      the walks of hardware through tables with arbitrary contents
#   commands     ioctl structures of arbitrary bytes, against the ABI
#
# fuzz.sh TARGET FILE runs one input again. fuzz.sh build only builds the targets.
#
# The corpus stays in the cache, and the next run begins with it. An input that fails is left there
# as well, and its name is printed. IOMMUFD_FUZZ_SECONDS=n ends a run earlier. With
# IOMMUFD_FUZZ_FRESH=1 a run begins with an empty corpus and does not store its own: reading the
# corpus of long runs takes longer than a short run.
. "$(dirname "$0")/../vm/lib.sh"
in_toolchain "$0" "$@"

HOST=$ROOT/tools/testing/host
OUT=$(out_dir host-fuzz)
TRIPLE=$(rustc -vV | sed -n 's/^host: //p')

build() {
	local runtime coverage

	runtime=$(clang -print-file-name=libclang_rt.fuzzer-x86_64.a)
	[ -e "$runtime" ] || runtime=$(clang --print-runtime-dir)/libclang_rt.fuzzer-x86_64.a
	[ -e "$runtime" ] || runtime=$(clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer-x86_64.a
	[ -e "$runtime" ] || die "clang's libFuzzer is not installed"
	# Each edge counts. What is compared with what does not: there are no magic numbers to be
	# found, and tables consist of comparisons.
	coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3'
	coverage+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
	coverage+=' -Cllvm-args=-sanitizer-coverage-pc-table'
	(
		cd "$HOST" || exit
		CARGO_TARGET_DIR=$OUT/target CUSTOM_LIBFUZZER_PATH=$runtime \
			RUSTFLAGS="$coverage -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks" \
			cargo build --release -p iommu-pagetable-fuzz --bins --target "$TRIPLE"
	)
}

fuzz() {
	local target=$1 runs=$2
	# Ten steps on a page table; for the walkers, tables of as many words as fit.
	local length=124
	[ "$target" != walkers ] || length=256
	local corpus=$OUT/corpus/$target failures=$OUT/failures/$target

	if [ -f "$runs" ]; then
		"$OUT/target/$TRIPLE/release/$target" "$runs"
		return
	fi
	mkdir -p "$corpus" "$failures"
	[ -z "${IOMMUFD_FUZZ_FRESH:-}" ] || corpus=
	"$OUT/target/$TRIPLE/release/$target" -runs="$runs" -max_len="$length" -timeout=600 -entropic=0 \
		-max_total_time="${IOMMUFD_FUZZ_SECONDS:-0}" -print_final_stats=1 \
		-artifact_prefix="$failures/" ${corpus:+"$corpus"}
}

case ${1:-} in
build)
	build
	;;
operations | tables | walkers | commands)
	[ -n "${2:-}" ] || die "how many runs?"
	build
	fuzz "$1" "$2"
	;;
*)
	die "usage: fuzz.sh operations|tables|walkers|commands RUNS, or fuzz.sh build"
	;;
esac
