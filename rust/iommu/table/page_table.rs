// SPDX-License-Identifier: GPL-2.0

//! A page table: a tree of tables in one format, and its limits.

use super::{
    error::Error,
    format::{CheckedFormat, Format},
    memory::TableMemory,
    tree::Tree,
};
use core::ops::RangeInclusive;

/// The limits of the hardware that walks a page table.
///
/// # Examples
///
/// Hardware with physical addresses of 46 bits and without pages of 1 GiB:
///
/// ```
/// use iommu_pagetable::Limits;
///
/// let limits = Limits {
///     output_bits: 46,
///     page_sizes: 1 << 12 | 1 << 21,
/// };
/// # assert_ne!(limits, Limits::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Log2 of the end of the physical addresses that the hardware can output.
    pub output_bits: u32,
    /// The sizes of pages that may be used, in bytes, or-ed together: bit 12 stands for 4 KiB.
    ///
    /// The smallest size of the format must be among them. Sizes that the format does not have are
    /// ignored, and so are those above a size that is missing. Groups of pages, which the hardware
    /// may cache as one page, are made only if the bit for the size of the group is set.
    pub page_sizes: u64,
}

impl Default for Limits {
    /// Returns the limits of hardware that supports everything in the format.
    fn default() -> Self {
        Self {
            output_bits: 64,
            page_sizes: u64::MAX,
        }
    }
}

/// A page table in the format `F`, whose tables are allocated from `M`.
///
/// # Concurrency
///
/// No function takes a lock. [`map`](Self::map), [`unmap`](Self::unmap) and [`cut`](Self::cut) may
/// be called at the same time for ranges that do not overlap. Functions that read the page table,
/// or read and clear dirty flags, may be called at any time. Of a range that is being changed they
/// see, entry by entry, the old or the new state.
///
/// The caller ensures that the ranges do not overlap. If they do, translations are lost or mixed
/// up, as in any page table, but memory safety is not affected.
///
/// # Examples
///
/// Tables of VT-d's second stage with 4 levels. In the kernel, `memory` is `IommuPages`, and the
/// flags are a `TableAllocation` in place of `()`:
///
/// ```
/// use iommu_pagetable::{
///     vtd::{SecondStage, SecondStageOptions},
///     Access, Error, Gather, Limits, MemoryKind, PageTable, PhysRun,
/// };
/// # use iommu_pagetable::memory::HostMemory;
///
/// let options = SecondStageOptions { snoop: true, ..Default::default() };
/// let limits = Limits { output_bits: 46, ..Default::default() };
/// # let memory = <HostMemory>::default();
/// let table = PageTable::<SecondStage<4>, _>::new(memory, options, limits, ())?;
///
/// // Map 8 KiB and a page of registers to adjacent IOVAs.
/// let runs = [
///     PhysRun { phys: 0x7000, length: 0x2000, kind: MemoryKind::Normal },
///     PhysRun { phys: 0xfe00_0000, length: 0x1000, kind: MemoryKind::Mmio },
/// ];
/// let access = Access { read: true, write: true };
/// let mut gather = Gather::new();
/// let mapped = table.map(0x10_0000, &runs, access.into(), (), &mut gather);
///
/// gather.flush(&table, |gather| {
///     // Invalidate the IOTLB for gather.range() here.
/// #   let _ = gather;
/// });
/// mapped?;
/// assert_eq!(table.translate(0x10_1008), Some(0x8008));
/// assert_eq!(table.translate(0x10_2000), Some(0xfe00_0000));
/// assert_eq!(table.translate(0x10_3000), None);
/// # Ok::<(), Error>(())
/// ```
pub struct PageTable<F: Format, M: TableMemory> {
    pub(super) tree: Tree<F, M>,
    pub(super) options: F::Options,
    /// The last physical address that can be mapped.
    pub(super) last_output: u64,
    /// The sizes of pages and of groups, or-ed together.
    pub(super) page_sizes: u64,
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Creates an empty page table.
    ///
    /// `options` must agree with the fields that the driver writes into the hardware's structures;
    /// `flags` say how `memory` may allocate the root.
    ///
    /// # Errors
    ///
    /// - [`Error::NoMemory`] if the root could not be allocated.
    /// - [`Error::Unsupported`] if `limits` lack the smallest page of the format.
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

    /// Returns the sizes of the format that are in `allowed`: those of pages, and those of groups
    /// of such pages.
    ///
    /// Sizes above a missing page size are not used, because a large page is cut into pages of the
    /// next smaller size.
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

    /// Returns the physical address of the root table, which the hardware is given.
    pub fn root(&self) -> u64 {
        self.tree.root_phys()
    }

    /// Returns the memory that the tables are allocated from.
    pub fn memory(&self) -> &M {
        self.tree.memory()
    }

    /// Returns the range of IOVAs that can be mapped.
    pub fn aperture(&self) -> RangeInclusive<u64> {
        0..=last_of(F::INPUT_BITS)
    }

    /// Returns the sizes of the pages that are used, in bytes, or-ed together.
    ///
    /// The sizes of groups of pages, which the hardware may cache as one page, are included.
    pub fn page_sizes(&self) -> u64 {
        self.page_sizes
    }

    /// Returns whether leaves of `level` are put in groups.
    #[inline(always)]
    pub(super) fn has_groups(&self, level: u32) -> bool {
        let bits = F::group_bits(level);

        bits != 0 && self.page_sizes & (1 << (F::span_bits(level) + bits)) != 0
    }

    /// Returns the size in bytes of the largest page, or group of pages, that is used.
    #[inline(always)]
    pub(super) fn largest_page(&self) -> u64 {
        1 << (63 - (self.page_sizes | 1).leading_zeros())
    }

    /// Returns the last IOVA of a range, which must be aligned and within the aperture.
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

/// Returns the last address of `bits` bits.
#[inline(always)]
pub(super) const fn last_of(bits: u32) -> u64 {
    if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    }
}
