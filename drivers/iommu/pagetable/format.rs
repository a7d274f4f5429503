// SPDX-License-Identifier: GPL-2.0

//! A format of page tables: a type whose constants say all that the code needs to know.
//!
//! No constant is looked up during a walk. Tables with different numbers of levels are different
//! types, and the compiler unrolls the walk of each.

use crate::{
    base::{MemoryKind, TableShape},
    permissions::Permissions,
};

/// A page of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The IOVA of its first byte.
    pub iova: u64,
    /// The physical address of its first byte.
    pub phys: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What the device may do with it.
    pub permissions: Permissions,
    /// The kind of memory as which it was mapped.
    pub kind: MemoryKind,
}

/// A value that some bits of an entry can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// The bits that matter.
    pub mask: u64,
    /// Their value; the other bits are zero.
    pub value: u64,
}

impl Pattern {
    /// The pattern of entries in which all of `bits` are set.
    #[must_use]
    pub const fn set(bits: u64) -> Self {
        Self {
            mask: bits,
            value: bits,
        }
    }

    /// Returns whether the bits have this value in `entry`.
    #[must_use]
    #[inline(always)]
    pub const fn matches(self, entry: u64) -> bool {
        entry & self.mask == self.value
    }
}

/// A format of page tables: the meaning of the bits of an entry.
///
/// An *entry* is a word of a table. A *leaf* is an entry that maps memory. The *attributes* of a
/// leaf are its bits except the address, the type of the entry and the mark of a group.
///
/// [`TableShape`] describes the tables and the links between them, this trait the leaves. A driver
/// chooses a format and calls [`PageTable`](crate::PageTable); it does not call these functions.
pub trait Format: TableShape + 'static {
    /// The name of the format in messages and reports.
    const NAME: &'static str;

    /// Choices that a driver makes once for a whole table.
    type Options: Copy + Send + Sync;

    /// Log2 of the number of bytes of IOVA that a table translates; IOVAs begin at zero.
    const INPUT_BITS: u32 =
        Self::GRANULE_BITS + (Self::LEVELS - 1) * Self::INDEX_BITS + Self::ROOT_BITS;
    /// Log2 of the end of the physical addresses that a leaf can hold.
    const OUTPUT_BITS: u32;
    /// The number of levels that can hold leaves, counted from level 0.
    const LEAF_LEVELS: u32;
    /// Whether the hardware allows a large page in use to be replaced by a table of smaller pages.
    const CAN_CUT: bool;
    /// The bits of a leaf that are attributes.
    const ATTRIBUTES: u64;
    /// The attributes of a leaf that is mapped as [`MemoryKind::Mmio`].
    const MMIO: Pattern;
    /// The attributes of a leaf through which the device has written.
    const DIRTY: Pattern;
    /// The bit of [`DIRTY`](Self::DIRTY) that the hardware changes when the device writes.
    const DIRTY_FLAG: u64;

    /// Log2 of the number of leaves of `level` that form a group, or 0 where there are no groups.
    ///
    /// The hardware may cache the leaves of a group as one page. They map adjacent memory and are
    /// [marked](Self::grouped).
    #[inline(always)]
    fn group_bits(_level: u32) -> u32 {
        0
    }

    /// Returns whether, with these options, the hardware records writes in the tables.
    ///
    /// No groups are made then: in a group, the hardware may record a write in any of the entries.
    #[inline(always)]
    fn tracks_dirty(_options: Self::Options) -> bool {
        false
    }

    /// Returns the attributes of a leaf of level 0, or `None` if the format cannot express them.
    fn attributes(
        options: Self::Options,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64>;

    /// Returns the leaf of `level` that maps `phys`.
    ///
    /// `phys` is aligned to the size of a leaf of this level and below `1 << OUTPUT_BITS`.
    fn leaf(level: u32, phys: u64, attributes: u64) -> u64;

    /// Returns `leaf` with the mark of a group.
    #[inline(always)]
    fn grouped(leaf: u64) -> u64 {
        leaf
    }

    /// Returns whether `leaf` has the mark of a group.
    #[inline(always)]
    fn is_grouped(_leaf: u64) -> bool {
        false
    }

    /// Returns the physical address in `leaf`.
    fn phys(leaf: u64) -> u64;

    /// Returns what the device may do through `leaf`.
    fn permissions(leaf: u64) -> Permissions;

    /// Returns the attributes of `leaf`: those that [`attributes`](Self::attributes) returned, with
    /// the flags that the hardware has changed since.
    #[inline(always)]
    fn attributes_of(leaf: u64) -> u64 {
        leaf & Self::ATTRIBUTES
    }

    /// Returns the kind of memory as which `leaf` is mapped.
    #[inline(always)]
    fn kind(leaf: u64) -> MemoryKind {
        if Self::MMIO.matches(leaf) {
            MemoryKind::Mmio
        } else {
            MemoryKind::Normal
        }
    }

    /// Returns whether the device has written through `leaf`.
    #[inline(always)]
    fn is_dirty(leaf: u64) -> bool {
        Self::DIRTY.matches(leaf)
    }

    /// Returns `leaf` as it was before the device wrote through it.
    #[inline(always)]
    fn cleaned(leaf: u64) -> u64 {
        leaf & !Self::DIRTY_FLAG | !Self::DIRTY.value & Self::DIRTY_FLAG
    }

    /// Returns `leaf` as it is after the device has written through it: an emulated device needs
    /// this.
    #[inline(always)]
    fn dirtied(leaf: u64) -> u64 {
        leaf & !Self::DIRTY_FLAG | Self::DIRTY.value & Self::DIRTY_FLAG
    }
}
