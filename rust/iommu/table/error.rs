// SPDX-License-Identifier: GPL-2.0

//! The errors of operations on a page table.

/// The reason why an operation failed.
///
/// The page table is unchanged, except where the operation documents something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// An address or a length is not a multiple of the smallest page, or a length is zero.
    Alignment,
    /// An IOVA is outside the aperture, or a physical address is beyond what a leaf can hold.
    Range,
    /// A page is mapped there already.
    Exists,
    /// A page would have to be cut, and the format does not allow that.
    Indivisible,
    /// The format cannot express the permissions or the kind of memory.
    Unsupported,
    /// A table could not be allocated.
    NoMemory,
}
