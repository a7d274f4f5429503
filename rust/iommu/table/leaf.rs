// SPDX-License-Identifier: GPL-2.0

//! How a leaf is put together: the address, the attributes, and what else is set in it.
//!
//! A format says where the bits of a leaf are. That a leaf holds the address that was mapped, and
//! keeps it whatever else changes, follows from this file and not from the format: the owners of memory
//! believe what a page table says of it.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::layout::{TableLayout, TableShape, MAX_LEVELS};
use core::marker::PhantomData;

/// Where a leaf holds a physical address.
#[derive(Clone, Copy, Debug)]
pub struct AddressField {
    /// The bits of the address that are in their own place.
    pub own: u64,
    /// Lowest bit in the leaf, and number, of the bits of the address from 48 on; no bits if those are
    /// in their own place, or if there are none.
    pub high: (u32, u32),
}

impl AddressField {
    const HIGH_FROM: u32 = 48;

    const fn high_mask(self) -> u64 {
        (1 << self.high.1) - 1
    }

    /// The bits of a leaf that are used.
    pub const fn mask(self) -> u64 {
        self.own | self.high_mask() << self.high.0
    }

    /// The address in `leaf`.
    #[inline(always)]
    pub const fn get(self, leaf: u64) -> u64 {
        if self.high.1 == 0 {
            leaf & self.own
        } else {
            leaf & self.own | (leaf >> self.high.0 & self.high_mask()) << Self::HIGH_FROM
        }
    }

    /// `phys`, which has no other bits than the field can hold, in its place; all other bits zero.
    #[inline(always)]
    const fn put(self, phys: u64) -> u64 {
        if self.high.1 == 0 {
            phys
        } else {
            phys & self.own | phys >> Self::HIGH_FROM << self.high.0
        }
    }
}

/// How a leaf says that the device has written through it.
#[derive(Clone, Copy, Debug)]
pub struct DirtyField {
    /// If these attributes ...
    pub mask: u64,
    /// ... have this value, the device has written through the leaf;
    pub dirty: u64,
    /// if they have this one, it has not. With any other value, the hardware does not note it.
    pub clean: u64,
}

/// The bits of leaves.
///
/// The *attributes* of a leaf are what a [`Format`](super::Format) chooses for what a device may do and
/// for the kind of memory, and what the hardware notes in it.
pub trait LeafLayout: TableShape {
    /// Log2 of the physical addresses that a leaf can hold.
    const OUTPUT_BITS: u32;
    /// How many levels can hold leaves, from level 0 on.
    const LEAF_LEVELS: u32;
    /// Where a leaf holds the address.
    const ADDRESS: AddressField;
    /// Where it holds the attributes.
    const ATTRIBUTES: u64;
    /// What else is set in every leaf of level 0.
    const PAGE_FLAGS: u64;
    /// What else is set in every leaf of the levels above.
    const LARGE_PAGE_FLAGS: u64;
    /// Set in a leaf that is one of a group; 0 if there are no groups.
    const GROUP_FLAG: u64 = 0;
    /// Log2 of how many leaves of a level make a group that can be cached as one page, if they lie
    /// next to each other and are marked, by level; 0 where there are no such groups.
    const GROUP_BITS: [u32; MAX_LEVELS as usize] = [0; MAX_LEVELS as usize];
    /// Where it holds whether the device has written.
    const DIRTY: DirtyField;
}

/// What follows from a [`LeafLayout`], for all layouts alike.
pub trait LeafShape: LeafLayout {
    /// Log2 of how many leaves of `level` make a group; 0 where there are none.
    #[inline(always)]
    fn group_bits(level: u32) -> u32 {
        Self::GROUP_BITS.get(level as usize).copied().unwrap_or(0)
    }

    /// The leaf for `phys`, which is aligned to the size of a leaf at this level and below
    /// `1 << OUTPUT_BITS`, with attributes out of [`ATTRIBUTES`](LeafLayout::ATTRIBUTES).
    #[inline(always)]
    fn leaf(level: u32, phys: u64, attributes: u64) -> u64 {
        let flags = if level == 0 {
            Self::PAGE_FLAGS
        } else {
            Self::LARGE_PAGE_FLAGS
        };

        Self::ADDRESS.put(phys) | attributes | flags
    }

    /// The physical address in `leaf`.
    #[inline(always)]
    fn phys(leaf: u64) -> u64 {
        Self::ADDRESS.get(leaf)
    }

    /// The attributes of `leaf`.
    #[inline(always)]
    fn attributes_of(leaf: u64) -> u64 {
        leaf & Self::ATTRIBUTES
    }

    /// `leaf`, marked as one of a group.
    #[inline(always)]
    fn grouped(leaf: u64) -> u64 {
        leaf | Self::GROUP_FLAG
    }

    /// Is `leaf` one of a group?
    #[inline(always)]
    fn is_grouped(leaf: u64) -> bool {
        leaf & Self::GROUP_FLAG != 0
    }

    /// `leaf`, not one of a group any more.
    #[inline(always)]
    fn ungrouped(leaf: u64) -> u64 {
        leaf & !Self::GROUP_FLAG
    }

    /// Has the device written through `leaf`?
    #[inline(always)]
    fn is_dirty(leaf: u64) -> bool {
        leaf & Self::DIRTY.mask == Self::DIRTY.dirty
    }

    /// `leaf`, which is dirty, as if the device had not written through it.
    #[inline(always)]
    fn cleaned(leaf: u64) -> u64 {
        leaf & !Self::DIRTY.mask | Self::DIRTY.clean
    }

    /// `leaf`, as if the device had written through it, if that would be noted in it: for tests and for
    /// drivers of devices that exist in memory only.
    #[inline(always)]
    fn dirtied(leaf: u64) -> u64 {
        if leaf & Self::DIRTY.mask == Self::DIRTY.clean {
            leaf & !Self::DIRTY.mask | Self::DIRTY.dirty
        } else {
            leaf
        }
    }
}

impl<L: LeafLayout> LeafShape for L {}

/// What the fields of a layout must keep to for this file to be right.
pub(super) struct CheckedLeaves<L>(PhantomData<L>);

impl<L: LeafLayout> CheckedLeaves<L> {
    pub(super) const LAYOUT: () = {
        let address = L::ADDRESS.mask();
        let flags = L::PAGE_FLAGS | L::LARGE_PAGE_FLAGS | L::GROUP_FLAG;
        // The largest address of a page. Fields are masks, so it stands for all of them.
        let last = ((1 << L::OUTPUT_BITS) - 1) & !((1 << L::GRANULE_BITS) - 1);

        assert!(L::OUTPUT_BITS >= L::GRANULE_BITS && L::OUTPUT_BITS < 64);
        assert!(L::ADDRESS.put(last) & !address == 0);
        assert!(L::ADDRESS.get(L::ADDRESS.put(last)) == last);
        assert!(L::ADDRESS.put(last).count_ones() == last.count_ones());
        // The address, the attributes and the rest do not touch each other.
        assert!((L::ATTRIBUTES | flags) & address == 0);
        assert!(L::ATTRIBUTES & flags == 0);
        assert!(L::GROUP_FLAG & (L::PAGE_FLAGS | L::LARGE_PAGE_FLAGS) == 0);
        assert!(L::DIRTY.mask & !L::ATTRIBUTES == 0);
        assert!((L::DIRTY.dirty | L::DIRTY.clean) & !L::DIRTY.mask == 0);
        assert!(L::DIRTY.dirty != L::DIRTY.clean);
        assert!(L::LEAF_LEVELS >= 1);

        let mut level = 0;
        while level < MAX_LEVELS {
            let bits = L::GROUP_BITS[level as usize];

            assert!(bits == 0 || L::GROUP_FLAG != 0 && bits <= <L as TableLayout>::INDEX_BITS);
            level += 1;
        }
    };
}
