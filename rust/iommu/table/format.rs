// SPDX-License-Identifier: GPL-2.0

//! A format of page tables: a type whose constants say all that the code needs to know.
//!
//! No constant is looked up during a walk. Tables with different numbers of levels are different
//! types, and the compiler unrolls the walk of each.

use super::{
    layout::TableLayout,
    leaf::{CheckedLeaves, LeafShape},
    permissions::Permissions,
    run::MemoryKind,
};
use core::marker::PhantomData;

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

/// A format of page tables: the meaning of the bits of an entry.
///
/// [`TableLayout`] describes the tables and the links between them,
/// [`LeafLayout`](super::LeafLayout) where the bits of a leaf are, and this trait what its
/// attributes mean. A driver chooses a format; it does not call these functions.
pub trait Format: LeafShape + 'static {
    /// The name of the format in messages and reports.
    const NAME: &'static str;

    /// Choices that a driver makes once for a whole table.
    type Options: Copy + Send + Sync;

    /// Log2 of the number of bytes of IOVA that a table translates; IOVAs begin at zero.
    const INPUT_BITS: u32 = shape_bits::<Self>();
    /// Whether the hardware allows a large page in use to be replaced by a table of smaller pages.
    const CAN_CUT: bool;

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

    /// Returns what the device may do through `leaf`.
    fn permissions(leaf: u64) -> Permissions;
}

/// Log2 of the bytes that a tree of this shape covers.
const fn shape_bits<L: TableLayout + ?Sized>() -> u32 {
    L::GRANULE_BITS + (L::LEVELS - 1) * L::INDEX_BITS + L::ROOT_BITS
}

/// What a format must keep to.
pub(super) struct CheckedFormat<F>(PhantomData<F>);

impl<F: Format> CheckedFormat<F> {
    pub(super) const FORMAT: () = {
        let () = CheckedLeaves::<F>::LAYOUT;

        assert!(F::INPUT_BITS <= shape_bits::<F>());
    };
}

/// Returns the attributes that `F` chooses, without other bits.
///
/// A leaf that could be mistaken for an empty entry is not made: some bit is set in it, whatever
/// the address, also when it is [cleaned](LeafShape::cleaned).
#[inline(always)]
pub(super) fn attributes<F: Format>(
    options: F::Options,
    permissions: Permissions,
    kind: MemoryKind,
) -> Option<u64> {
    let always_set = F::PAGE_FLAGS != 0 && F::LARGE_PAGE_FLAGS != 0;

    F::attributes(options, permissions, kind)
        .map(F::attributes_of)
        .filter(|attributes| always_set || attributes & !F::DIRTY_FLAG != 0)
}
