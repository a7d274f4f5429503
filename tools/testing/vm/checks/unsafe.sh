#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Outside rust/ the keyword `unsafe` does not occur, but in comments and in
# `#![forbid(unsafe_code)]`, which has rustc check the same in crates of our own. What must
# stand above it in rust/ is clippy's to check.
. "$(dirname "$0")/../lib.sh"

cd "$ROOT" || exit
! find . \( -name .git -o -name target -o -path ./rust \) -prune -o -name '*.rs' \
	-exec grep -nHw unsafe {} + |
	grep -vE '^[^:]+:[0-9]+:[[:space:]]*(//|#!\[forbid\(unsafe_code\)\]$)'
