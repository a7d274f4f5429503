#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Are the Rust sources formatted as the kernel's are? With --write: format them.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

mode=--check
[ "${1:-}" != --write ] || mode=
src=$("$VM_DIR/kernel.sh" source)
# shellcheck disable=SC2086
find "$ROOT"/{rust,drivers,tools} -name '*.rs' -not -path '*/target/*' -print0 |
	xargs -0r rustfmt $mode --color never --edition 2021 --config-path "$src/.rustfmt.toml"
