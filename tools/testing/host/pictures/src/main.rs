// SPDX-License-Identifier: GPL-2.0

//! Prints `Documentation/driver-api/page-table-formats.rst`: every format, drawn from its own
//! constants and functions.
//!
//! The program does not contain the meaning of any bit. It finds what a bit of a leaf depends on by
//! comparing all leaves that the format can have, so that the page agrees with the code.
//! `tools/testing/vm/checks/pictures.sh` checks that the page is up to date.

#![forbid(unsafe_code)]

mod entry;
mod leaf;
mod page;
mod walk;

fn main() {
    print!("{}", page::page());
}
