# SPDX-License-Identifier: GPL-2.0
"""How Kbuild compiled our crates.

Kbuild has no rustdoc or rust-analyzer target that fits several crates outside the
kernel's tree, but it leaves beside each object file the command that made it
(.NAME.o.cmd). This reads those of rustc.
"""

import dataclasses
import pathlib
import re
import shlex
import subprocess

VM = pathlib.Path(__file__).resolve().parent
ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclasses.dataclass
class Crate:
    """One call of rustc: its options, and what the source sees as environment."""

    root: pathlib.Path
    options: list
    env: dict

    @property
    def name(self):
        return self.root.stem

    @property
    def externs(self):
        """The names after --extern."""
        return [value for option, value in zip(self.options, self.options[1:])
                if option == "--extern"]


def built_modules():
    """Builds the modules; the directory that they are in."""
    out = subprocess.run([VM / "build.sh", "modules"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return pathlib.Path(out.strip())


def parse(cmd_file):
    """The Crate that a .cmd file describes, or None if it is not about one."""
    words = shlex.split(cmd_file.read_text().split("\n", 1)[0].split(":=", 1)[1])
    words = words[: words.index(";")] if ";" in words else words
    env = {}
    while words and ASSIGNMENT.match(words[0]):
        name, value = words.pop(0).split("=", 1)
        env[name] = value
    if not words or not words[0].endswith(("rustc", "clippy-driver")):
        return None
    options = []
    rest = iter(words[1:-1])
    for word in rest:
        if word == "--env-set":
            name, value = next(rest).split("=", 1)
            env[name] = value
        else:
            options.append(word)
    return Crate(pathlib.Path(words[-1]), options, env)


def crates(modules):
    """All crates of a finished build, those first that others import."""
    found = [parse(path) for path in sorted(modules.rglob(".*.o.cmd"))]
    found = [crate for crate in found if crate]
    names = {crate.name for crate in found}
    return sorted(found, key=lambda crate: len(names.intersection(crate.externs)))
