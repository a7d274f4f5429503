#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds our crates to the rust-project.json that the kernel's script wrote.

Reads that from stdin and writes the whole to stdout. The editor runs outside the
toolchain's sysroot, so paths of the compiler's sources get its directory in front
(IOMMUFD_SYSROOT, which toolchain.sh sets).
"""

import json
import os
import sys

import kbuild_cmd


def describe(crate, modules, project):
    """Our crate in the project's terms; what it imports must be there already."""
    index = {known["display_name"]: number for number, known in enumerate(project["crates"])}
    kernel = project["crates"][index["kernel"]]
    return {
        "display_name": crate.name,
        "root_module": str(crate.root),
        "is_workspace_member": True,
        "deps": [{"crate": index[name], "name": name} for name in ["core", *crate.externs]],
        "cfg": [*kernel["cfg"], "MODULE"],
        "edition": "2021",
        "env": crate.env,
        "source": {
            "include_dirs": [str(crate.root.parent), str(modules)],
            "exclude_dirs": [],
        },
    }


def outside(value, sysroot):
    """The same with the paths that only the sysroot has as seen from outside."""
    if isinstance(value, dict):
        return {key: outside(item, sysroot) for key, item in value.items()}
    if isinstance(value, list):
        return [outside(item, sysroot) for item in value]
    if isinstance(value, str) and (value == "/usr" or value.startswith("/usr/")):
        return sysroot + value
    return value


def main():
    project = json.load(sys.stdin)
    modules = kbuild_cmd.built_modules()
    for crate in kbuild_cmd.crates(modules):
        project["crates"].append(describe(crate, modules, project))
    json.dump(outside(project, os.environ.get("IOMMUFD_SYSROOT", "")), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
