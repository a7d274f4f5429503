// SPDX-License-Identifier: GPL-2.0

//! What can go wrong with a page table.

/// Why nothing was done. Unless said otherwise nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// An address or a length is not a multiple of the smallest page, or is zero where it must not be.
    Alignment,
    /// IOVAs outside what the table translates, or physical addresses that do not fit into it.
    Range,
    /// Something is mapped there already.
    Exists,
    /// A page would have to be cut that cannot be cut in this format.
    Indivisible,
    /// The format has no way to say this (access, kind of memory).
    Unsupported,
    /// No memory for a table.
    NoMemory,
}
