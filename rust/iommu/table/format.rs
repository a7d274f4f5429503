// SPDX-License-Identifier: GPL-2.0

//! What a format of page tables is: a type whose constants say all that the code needs to know.
//!
//! Nothing of this is looked up while walking. A table with another number of levels is another
//! type, and the compiler unrolls the walk for each.

use super::{layout::TableShape, permissions::Permissions, run::MemoryKind};

/// A page of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// IOVA of its first byte.
    pub iova: u64,
    /// Physical address of its first byte.
    pub phys: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What the device may do.
    pub permissions: Permissions,
    /// What kind of memory it was mapped as.
    pub kind: MemoryKind,
}

/// A format of page tables, by which bits mean what in an entry.
///
/// An *entry* is what stands in a table. A *leaf* is an entry that maps memory. *Attributes* are the
/// bits of a leaf without those of the address.
pub trait Format: TableShape + 'static {
    /// Its name, for people.
    const NAME: &'static str;

    /// Choices that a driver makes once for a whole table.
    type Options: Copy + Send + Sync;

    /// Log2 of the bytes of IOVA that can be translated; IOVAs begin at zero.
    const INPUT_BITS: u32 =
        Self::GRANULE_BITS + (Self::LEVELS - 1) * Self::INDEX_BITS + Self::ROOT_BITS;
    /// Log2 of the physical addresses that a leaf can hold.
    const OUTPUT_BITS: u32;
    /// How many levels can hold leaves, from level 0 on.
    const LEAF_LEVELS: u32;
    /// May a large page in use be replaced by a table of smaller ones?
    const CAN_CUT: bool;

    /// Log2 of how many leaves of a level make a group that can be cached as one page, if they lie
    /// next to each other and are marked; 0 where there are no such groups.
    #[inline(always)]
    fn group_bits(_level: u32) -> u32 {
        0
    }

    /// Do tables with these options leave it to the hardware to note what was written to? Then no
    /// groups are made: in a group it may note that in any entry.
    #[inline(always)]
    fn tracks_dirty(_options: Self::Options) -> bool {
        false
    }

    /// The attributes of leaves at level 0; nothing if the format cannot say this.
    fn attributes(
        options: Self::Options,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64>;

    /// The leaf for `phys`, which is aligned to the size of a leaf at this level and below
    /// `1 << OUTPUT_BITS`.
    fn leaf(level: u32, phys: u64, attributes: u64) -> u64;

    /// `leaf`, marked as one of a group.
    #[inline(always)]
    fn grouped(leaf: u64) -> u64 {
        leaf
    }

    /// Is `leaf` one of a group?
    #[inline(always)]
    fn is_grouped(_leaf: u64) -> bool {
        false
    }

    /// The physical address in `leaf`.
    fn phys(leaf: u64) -> u64;

    /// The attributes of `leaf`, as [`attributes`](Self::attributes) gave them, and what the
    /// hardware noted in them since.
    fn attributes_of(leaf: u64) -> u64;

    /// What the device may do through `leaf`.
    fn permissions(leaf: u64) -> Permissions;

    /// The kind of memory `leaf` is mapped as.
    fn kind(leaf: u64) -> MemoryKind;

    /// Has the device written through `leaf`?
    fn is_dirty(leaf: u64) -> bool;

    /// `leaf`, as if the device had not written through it.
    fn cleaned(leaf: u64) -> u64;

    /// `leaf`, as if the device had written through it: for those who play the device.
    fn dirtied(leaf: u64) -> u64;

    /// Log2 of the size of a leaf, or of its group, in bytes.
    #[inline(always)]
    fn leaf_bits(level: u32, leaf: u64) -> u32 {
        let group = if Self::is_grouped(leaf) {
            Self::group_bits(level)
        } else {
            0
        };

        Self::span_bits(level) + group
    }
}
