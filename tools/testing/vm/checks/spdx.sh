#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Does every file name its licence in its first lines? Prose (*.md), licence texts and
# generated files are excepted.
. "$(dirname "$0")/../lib.sh"

cd "$ROOT" || exit
bad=$(find . \( -name .git -o -name target -o -path ./LICENSES \) -prune -o -type f \
	-not -name '*.md' -not -name '*.lock' -not -name '*.json' -not -name COPYING -print0 |
	while IFS= read -r -d '' file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file"
	done)
[ -z "$bad" ] || {
	echo "no SPDX-License-Identifier in:"
	echo "$bad"
	exit 1
}
