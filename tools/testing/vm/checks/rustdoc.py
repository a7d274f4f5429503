#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does our documentation build without a warning?

Runs rustdoc with the options that Kbuild gave to rustc. Private items are
documented too: a module's crate has hardly any others.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import kbuild_cmd  # pylint: disable=wrong-import-position

# What means something to rustc and clippy only; --out-dir has its value in the next word
DROPPED = ("--emit=", "--remap-path", "-Zbinary_dep_depinfo", "-Wclippy::", "-Aclippy::")


def rustdoc(crate, modules, out):
    options = []
    words = iter(crate.options)
    for word in words:
        if word == "--out-dir":
            next(words)
        elif not word.startswith(DROPPED):
            options.append(word)
    print("rustdoc", crate.root, flush=True)
    # Paths in the options are relative to the build directory.
    return subprocess.run(
        ["rustdoc", *options, "--document-private-items", "-Dwarnings",
         "-Arustdoc::private_intra_doc_links", "-o", out, crate.root],
        env=dict(os.environ, RUSTC_BOOTSTRAP="1", **crate.env),
        cwd=modules, check=False).returncode


def main():
    modules = kbuild_cmd.built_modules()
    out = modules / "rustdoc"
    shutil.rmtree(out, ignore_errors=True)
    crates = kbuild_cmd.crates(modules)
    if not crates:
        sys.exit(f"no compiled crates in {modules}")
    failed = [crate for crate in crates if rustdoc(crate, modules, out)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
