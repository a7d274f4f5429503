#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs each target of tools/testing/host/fuzz.sh for a few seconds, with an empty corpus.
. "$(dirname "$0")/../lib.sh"
in_toolchain "$0" "$@"

export IOMMUFD_FUZZ_FRESH=1 IOMMUFD_FUZZ_SECONDS=${IOMMUFD_FUZZ_SECONDS:-8}
for target in operations tables walkers commands; do
	"$ROOT/tools/testing/host/fuzz.sh" "$target" -1
done
