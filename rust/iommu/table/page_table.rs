// SPDX-License-Identifier: GPL-2.0

//! A page table: a tree of tables in one format, and the limits that it keeps.

use super::{
    error::Error,
    format::{CheckedFormat, Format},
    memory::TableMemory,
    tree::Tree,
};
use core::ops::RangeInclusive;

/// What a driver knows of the hardware that will walk a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Log2 of the physical addresses that the hardware can output.
    pub output_bits: u32,
    /// The sizes of pages that may be used, a bit for each: bit 12 for 4 KiB. Sizes that the format
    /// does not have are ignored, and so are those above one that is missing; the smallest one must
    /// be there. Groups of pages that may be cached as one are not made without the bit for the size
    /// of the group.
    pub page_sizes: u64,
}

impl Default for Limits {
    /// All that the format has.
    fn default() -> Self {
        Self {
            output_bits: 64,
            page_sizes: u64::MAX,
        }
    }
}

/// A page table in the format `F`, whose tables live in `M`.
///
/// # Who may call what at the same time
///
/// No lock is taken. [`map`](Self::map), [`unmap`](Self::unmap) and [`cut`](Self::cut) may run at the
/// same time for ranges that do not meet; everything that only looks, or reads and clears what is
/// dirty, may run at any time, and sees of a range that is being changed what was there or what will
/// be there, entry by entry. Whoever
/// owns the ranges sees to that they do not meet: if they do, translations get lost or mixed up,
/// as they would with any page table, but nothing worse comes of it for the CPU.
pub struct PageTable<F: Format, M: TableMemory> {
    pub(super) tree: Tree<F, M>,
    pub(super) options: F::Options,
    /// Physical addresses above this, inclusive, cannot be mapped.
    pub(super) last_output: u64,
    /// A bit for each size, those of groups among them.
    pub(super) page_sizes: u64,
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// An empty page table.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]; [`Error::Unsupported`] if the hardware cannot use the smallest page.
    pub fn new(
        memory: M,
        options: F::Options,
        limits: Limits,
        flags: M::Flags,
    ) -> Result<Self, Error> {
        const { CheckedFormat::<F>::FORMAT };
        let page_sizes = Self::usable_sizes(limits.page_sizes, !F::tracks_dirty(options));

        if page_sizes & (1 << F::GRANULE_BITS) == 0 {
            return Err(Error::Unsupported);
        }
        Ok(Self {
            tree: Tree::new(memory, flags).ok_or(Error::NoMemory)?,
            options,
            last_output: last_of(limits.output_bits.min(F::OUTPUT_BITS)),
            page_sizes,
        })
    }

    /// The sizes of the format that are among `allowed`: of pages, and of groups of such pages. None
    /// above a page that is missing: a large page is cut into pages of the next smaller size.
    fn usable_sizes(allowed: u64, groups: bool) -> u64 {
        (0..F::LEAF_LEVELS.min(F::LEVELS))
            .map(|level| (F::span_bits(level), F::group_bits(level)))
            .take_while(|&(page, _)| allowed & (1 << page) != 0)
            .filter(|&(page, _)| page < F::INPUT_BITS)
            .fold(0, |sizes, (page, group)| {
                let fits = groups && page + group < F::INPUT_BITS;
                let grouped = if fits { 1 << (page + group) } else { 0 };

                sizes | 1 << page | allowed & grouped
            })
    }

    /// The physical address of the topmost table, for the device.
    pub fn root(&self) -> u64 {
        self.tree.root_phys()
    }

    /// Where the tables live.
    pub fn memory(&self) -> &M {
        self.tree.memory()
    }

    /// The IOVAs that can be mapped, both ends inclusive.
    pub fn aperture(&self) -> RangeInclusive<u64> {
        0..=last_of(F::INPUT_BITS)
    }

    /// The sizes of pages that are used, a bit for each: bit 12 for 4 KiB. Groups of pages that the
    /// hardware may cache as one are among them.
    pub fn page_sizes(&self) -> u64 {
        self.page_sizes
    }

    /// Are leaves of `level` put in groups?
    #[inline(always)]
    pub(super) fn has_groups(&self, level: u32) -> bool {
        let bits = F::group_bits(level);

        bits != 0 && self.page_sizes & (1 << (F::span_bits(level) + bits)) != 0
    }

    /// The size in bytes of the largest page, or group of pages, that is used.
    #[inline(always)]
    pub(super) fn largest_page(&self) -> u64 {
        1 << (63 - (self.page_sizes | 1).leading_zeros())
    }

    /// The last byte of `length` bytes from `iova` on.
    #[inline(always)]
    pub(super) fn last(iova: u64, length: u64) -> Result<u64, Error> {
        let granule = 1u64 << F::GRANULE_BITS;

        if (iova | length) & (granule - 1) != 0 || length == 0 {
            return Err(Error::Alignment);
        }
        match iova.checked_add(length - 1) {
            Some(last) if last <= last_of(F::INPUT_BITS) => Ok(last),
            _ => Err(Error::Range),
        }
    }
}

/// The last address that has `bits` bits.
#[inline(always)]
pub(super) const fn last_of(bits: u32) -> u64 {
    if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    }
}
