// SPDX-License-Identifier: GPL-2.0

//! How a leaf is put together: the address, the attributes, and what else is set in it.
//!
//! A format says where the bits of a leaf are. That a leaf holds the address that was mapped, and
//! keeps it whatever else changes, follows from this file and not from the format: the owners of
//! memory believe what a page table says of it.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::{
    layout::{TableLayout, TableShape, MAX_LEVELS},
    run::MemoryKind,
};
use core::marker::PhantomData;

/// Where a leaf holds a physical address.
#[derive(Clone, Copy, Debug)]
pub struct AddressField {
    /// The bits of the address that are in their own place.
    pub own: u64,
    /// Lowest bit in the leaf, and number, of the bits of the address from 48 on; no bits if those
    /// are in their own place, or if there are none.
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

/// The bits of leaves.
///
/// An *entry* is a word of a table. A *leaf* is an entry that maps memory. The *attributes* of a
/// leaf are its bits except the address, the type of the entry and the mark of a group.
///
/// # Examples
///
/// An address that overlaps the attributes does not compile:
///
/// ```compile_fail,E0080
/// # use iommu_pagetable::{memory::HostMemory, *};
/// struct Wrong;
///
/// # impl TableLayout for Wrong {
/// #     const LEVELS: u32 = Mock::LEVELS;
/// #     const GRANULE_BITS: u32 = Mock::GRANULE_BITS;
/// #     const INDEX_BITS: u32 = Mock::INDEX_BITS;
/// #     const ROOT_BITS: u32 = Mock::ROOT_BITS;
/// #     const LINK_MASK: u64 = Mock::LINK_MASK;
/// #     const LINK_TAG: u64 = Mock::LINK_TAG;
/// #     const LINK_FLAGS: u64 = Mock::LINK_FLAGS;
/// #     const LINK_ADDRESS: u64 = Mock::LINK_ADDRESS;
/// #     const COUNT: CountField = Mock::COUNT;
/// #     const VISIBLE: u64 = Mock::VISIBLE;
/// # }
/// impl LeafLayout for Wrong {
///     const ADDRESS: AddressField = AddressField {
///         own: Mock::ADDRESS.own | Mock::DIRTY_FLAG,
///         high: (0, 0),
///     };
///     const ATTRIBUTES: u64 = Mock::ATTRIBUTES;
///     // ...
/// #     const OUTPUT_BITS: u32 = Mock::OUTPUT_BITS;
/// #     const LEAF_LEVELS: u32 = Mock::LEAF_LEVELS;
/// #     const PAGE_FLAGS: u64 = Mock::PAGE_FLAGS;
/// #     const LARGE_PAGE_FLAGS: u64 = Mock::LARGE_PAGE_FLAGS;
/// #     const MMIO: Pattern = Mock::MMIO;
/// #     const DIRTY: Pattern = Mock::DIRTY;
/// #     const DIRTY_FLAG: u64 = Mock::DIRTY_FLAG;
/// }
/// # impl Format for Wrong {
/// #     const NAME: &'static str = "wrong";
/// #     type Options = ();
/// #     const CAN_CUT: bool = true;
/// #     fn attributes(_: (), permissions: Permissions, kind: MemoryKind) -> Option<u64> {
/// #         Mock::attributes((), permissions, kind)
/// #     }
/// #     fn permissions(leaf: u64) -> Permissions {
/// #         Mock::permissions(leaf)
/// #     }
/// # }
///
/// let table = PageTable::<Wrong, HostMemory>::new(Default::default(), (), Limits::default(), ());
/// # let _ = table.map(|_| ());
/// ```
pub trait LeafLayout: TableShape {
    /// Log2 of the end of the physical addresses that a leaf can hold.
    const OUTPUT_BITS: u32;
    /// The number of levels that can hold leaves, counted from level 0.
    const LEAF_LEVELS: u32;
    /// The bits of a leaf that hold the address.
    const ADDRESS: AddressField;
    /// The bits of a leaf that are attributes.
    const ATTRIBUTES: u64;
    /// The type of a leaf of level 0: bits that are set in each.
    const PAGE_FLAGS: u64;
    /// The type of a leaf of the levels above.
    const LARGE_PAGE_FLAGS: u64;
    /// The mark of a leaf that is part of a group; 0 where there are no groups.
    const GROUP_FLAG: u64 = 0;
    /// Log2 of the number of leaves that form a group, by level, or 0 where there are no groups.
    ///
    /// The hardware may cache the leaves of a group as one page. They map adjacent memory and are
    /// [marked](Self::GROUP_FLAG).
    const GROUP_BITS: [u32; MAX_LEVELS as usize] = [0; MAX_LEVELS as usize];
    /// The attributes of a leaf that is mapped as [`MemoryKind::Mmio`].
    const MMIO: Pattern;
    /// The attributes of a leaf through which the device has written.
    const DIRTY: Pattern;
    /// The bit of [`DIRTY`](Self::DIRTY) that the hardware changes when the device writes.
    const DIRTY_FLAG: u64;
}

/// What follows from a [`LeafLayout`], for all layouts alike.
pub trait LeafShape: LeafLayout {
    /// Returns log2 of the number of leaves of `level` that form a group, or 0 if there are none.
    #[inline(always)]
    fn group_bits(level: u32) -> u32 {
        Self::GROUP_BITS.get(level as usize).copied().unwrap_or(0)
    }

    /// Returns the leaf of `level` that maps `phys`.
    ///
    /// `phys` is aligned to the size of a leaf of this level and below `1 << OUTPUT_BITS`, and
    /// `attributes` has only bits of [`ATTRIBUTES`](LeafLayout::ATTRIBUTES).
    #[inline(always)]
    fn leaf(level: u32, phys: u64, attributes: u64) -> u64 {
        let flags = if level == 0 {
            Self::PAGE_FLAGS
        } else {
            Self::LARGE_PAGE_FLAGS
        };

        Self::ADDRESS.put(phys) | attributes | flags
    }

    /// Returns the physical address in `leaf`.
    #[inline(always)]
    fn phys(leaf: u64) -> u64 {
        Self::ADDRESS.get(leaf)
    }

    /// Returns the attributes of `leaf`, with the flags that the hardware has changed since it was
    /// written.
    #[inline(always)]
    fn attributes_of(leaf: u64) -> u64 {
        leaf & Self::ATTRIBUTES
    }

    /// Returns `leaf` with the mark of a group.
    #[inline(always)]
    fn grouped(leaf: u64) -> u64 {
        leaf | Self::GROUP_FLAG
    }

    /// Returns whether `leaf` has the mark of a group.
    #[inline(always)]
    fn is_grouped(leaf: u64) -> bool {
        leaf & Self::GROUP_FLAG != 0
    }

    /// Returns `leaf` without the mark of a group.
    #[inline(always)]
    fn ungrouped(leaf: u64) -> u64 {
        leaf & !Self::GROUP_FLAG
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
        // Both parts of the address have bits of their own.
        assert!(L::ADDRESS.own & L::ADDRESS.high_mask() << L::ADDRESS.high.0 == 0);
        assert!(L::ADDRESS.high.1 == 0 || L::ADDRESS.own >> AddressField::HIGH_FROM == 0);
        assert!(L::ADDRESS.put(last) & !address == 0);
        assert!(L::ADDRESS.get(L::ADDRESS.put(last)) == last);
        assert!(L::ADDRESS.put(last).count_ones() == last.count_ones());
        // The address, the attributes and the rest do not touch each other.
        assert!((L::ATTRIBUTES | flags) & address == 0);
        assert!(L::ATTRIBUTES & flags == 0);
        assert!(L::GROUP_FLAG & (L::PAGE_FLAGS | L::LARGE_PAGE_FLAGS) == 0);
        assert!((L::MMIO.mask | L::DIRTY.mask) & !L::ATTRIBUTES == 0);
        assert!(L::DIRTY_FLAG != 0 && L::DIRTY_FLAG & !L::DIRTY.mask == 0);
        assert!(L::LEAF_LEVELS >= 1);

        let mut level = 0;
        while level < MAX_LEVELS {
            let bits = L::GROUP_BITS[level as usize];

            assert!(bits == 0 || L::GROUP_FLAG != 0 && bits <= <L as TableLayout>::INDEX_BITS);
            level += 1;
        }
    };
}
