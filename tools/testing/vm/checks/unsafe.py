#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where `unsafe` may stand, and what must stand above it.

Outside rust/ the keyword does not occur. In rust/, every unsafe block and impl has
a SAFETY: comment on or right above its statement, every unsafe fn and trait a
"# Safety" section, except where an impl repeats what its trait declares.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
HOME = "rust"

# Comments and literals, in the order in which they can begin at one place. A
# lifetime is not a character literal.
NOT_CODE = re.compile(
    r"""//[^\n]*
      | /\*(?:[^*]|\*(?!/))*\*/
      | b?r(?P<hashes>\#*)"(?:.|\n)*?"(?P=hashes)
      | [bc]?"(?:\\(?:.|\n)|[^"\\])*"
      | b?'(?:\\[^\n]+?|[^'\\\n])'""",
    re.VERBOSE,
)
UNSAFE = re.compile(r"\bunsafe\b\s*(\{|impl|fn|trait|extern)?")
# A type, not a declaration: unsafe fn(...), unsafe extern "C" fn(...)
FN_POINTER = re.compile(r"""unsafe\s+(extern\s*("\w*"\s*)?)?fn\s*\(""")
ITEM = re.compile(r"(\s*)(?:pub(?:\(\w+\))? )?(?:unsafe )?(impl|trait|mod|extern)\b")
FOR_TYPE = re.compile(r"\bfor [^<]")
ENDS_STATEMENT = re.compile(r"[;{}]\s*$")


def blank(match):
    """The same number of lines and columns, without the text."""
    return re.sub(r"[^\n]", " ", match[0])


def is_comment_or_attribute(line):
    return re.match(r"\s*(//|#!?\[)", line) is not None


def explained(lines, code, number, marks):
    """Is one of the marks in the comments at, or directly above, the statement?"""
    if any(mark in lines[number] for mark in marks):
        return True
    for above in range(number - 1, -1, -1):
        if is_comment_or_attribute(lines[above]):
            if any(mark in lines[above] for mark in marks):
                return True
        elif not lines[above].strip() or ENDS_STATEMENT.search(code[above]):
            return False
    return False


def in_trait_impl(code, number):
    """Does the line stand in an `impl Trait for Type`?"""
    indent = len(code[number]) - len(code[number].lstrip())
    for above in range(number - 1, -1, -1):
        item = ITEM.match(code[above])
        if item and len(item[1]) < indent:
            head = " ".join(code[above:number]).split("{", 1)[0]
            return item[2] == "impl" and FOR_TYPE.search(head) is not None
    return False


def problems(path):
    text = path.read_text(encoding="utf-8")
    code_text = NOT_CODE.sub(blank, text)
    lines = text.split("\n")
    code = code_text.split("\n")
    inside = path.relative_to(ROOT).parts[0] == HOME
    for match in UNSAFE.finditer(code_text):
        number = code_text.count("\n", 0, match.start())
        if not inside:
            yield number, "unsafe outside rust/"
        elif FN_POINTER.match(text, match.start()):
            continue
        elif match[1] in ("fn", "trait", "extern"):
            repeated = match[1] != "trait" and in_trait_impl(code, number)
            if not repeated and not explained(lines, code, number, ("# Safety", "SAFETY:")):
                yield number, f"unsafe {match[1]} without a # Safety section"
        elif match[1] and not explained(lines, code, number, ("SAFETY:",)):
            yield number, f"unsafe {match[1]} without a SAFETY: comment"


def main():
    bad = 0
    for path in sorted(ROOT.rglob("*.rs")):
        if "target" in path.relative_to(ROOT).parts:
            continue
        for number, what in problems(path):
            print(f"{path.relative_to(ROOT)}:{number + 1}: {what}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
