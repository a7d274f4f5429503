// SPDX-License-Identifier: GPL-2.0

//! What a format of page tables is: a type whose constants say all that the code needs to know.
//!
//! Nothing of this is looked up while walking. A table with another number of levels is another
//! type, and the compiler unrolls the walk for each.

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

/// A format of page tables: what the bits of its leaves mean.
///
/// An *entry* is what stands in a table. A *leaf* is an entry that maps memory. Where its bits are is
/// the [`LeafLayout`](super::LeafLayout) of the format.
pub trait Format: LeafShape + 'static {
    /// Its name, for people.
    const NAME: &'static str;

    /// Choices that a driver makes once for a whole table.
    type Options: Copy + Send + Sync;

    /// Log2 of the bytes of IOVA that can be translated; IOVAs begin at zero.
    const INPUT_BITS: u32 = shape_bits::<Self>();
    /// May a large page in use be replaced by a table of smaller ones?
    const CAN_CUT: bool;

    /// Do tables with these options leave it to the hardware to note what was written to? Then no
    /// groups are made: in a group it may note that in any entry.
    #[inline(always)]
    fn tracks_dirty(_options: Self::Options) -> bool {
        false
    }

    /// The attributes of leaves at level 0; `None` if the format cannot say this. There is a bit among
    /// them that does not say whether the device has written.
    fn attributes(
        options: Self::Options,
        permissions: Permissions,
        kind: MemoryKind,
    ) -> Option<u64>;

    /// What the device may do through `leaf`.
    fn permissions(leaf: u64) -> Permissions;

    /// The kind of memory `leaf` is mapped as.
    fn kind(leaf: u64) -> MemoryKind;
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

/// The attributes that `F` chooses, and no other bits. What is left may not be empty, or a leaf could
/// look like an empty entry.
#[inline(always)]
pub(super) fn attributes<F: Format>(
    options: F::Options,
    permissions: Permissions,
    kind: MemoryKind,
) -> Option<u64> {
    F::attributes(options, permissions, kind)
        .map(F::attributes_of)
        .filter(|attributes| attributes & !F::DIRTY.mask != 0)
}
