// SPDX-License-Identifier: GPL-2.0

//! Prints `Documentation/driver-api/page-table-formats.rst`: every format, drawn from its own
//! constants and functions.
//!
//! Nothing here knows what a bit means. What a bit of a leaf depends on is found by asking the format
//! for all leaves that there are and looking at which bits change. So the page cannot say anything that
//! the code does not do; `tools/testing/vm/checks/pictures.sh` sees to it that it is the page of today.

#![forbid(unsafe_code)]

mod entry;
mod leaf;
mod page;
mod walk;

fn main() {
    print!("{}", page::page());
}
