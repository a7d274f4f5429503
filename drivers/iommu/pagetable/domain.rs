// SPDX-License-Identifier: GPL-2.0

//! A page table for the kernel's IOMMU drivers: the operations of a
//! [`PagingDomain`](kernel_ext::iommu::driver::PagingDomain), except the invalidation of the IOTLB.
//!
//! A table that becomes empty is freed by the call that has emptied it, after the driver has
//! invalidated the caches of tables. The invalidation for pages alone is added to the kernel's
//! gather, so that one flush serves many calls.

use crate::{
    base::{Access, PhysRun},
    error::Error,
    format::Format,
    gather::Gather,
    page_table::{Limits, PageTable},
};
use core::{ops::RangeInclusive, pin::Pin};
use kernel::{device::Device, prelude::*};
use kernel_ext::iommu::{self, Geometry, IommuPages, TableAllocation};

/// A page table in the kernel's memory.
///
/// `COHERENT` says that the page walks of the IOMMU snoop the CPU caches.
///
/// # Examples
///
/// ```ignore
/// let table = DomainTable::<SecondStage<4>, true>::new(
///     iommu,
///     SecondStageOptions { snoop: true, ..Default::default() },
///     Limits { output_bits: 46, ..Default::default() },
/// )?;
///
/// table.map(iova, &runs, access, TableAllocation::Sleep, |range, tables| {
///     iotlb.invalidate(range, tables)
/// })?;
/// ```
pub struct DomainTable<F: Format, const COHERENT: bool>(PageTable<F, IommuPages<COHERENT>>);

impl From<Error> for kernel::error::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Alignment | Error::Indivisible => EINVAL,
            Error::Range => ERANGE,
            Error::Exists => EADDRINUSE,
            Error::Unsupported => EOPNOTSUPP,
            Error::NoMemory => ENOMEM,
        }
    }
}

impl<F: Format, const COHERENT: bool> DomainTable<F, COHERENT> {
    /// Creates an empty page table; `iommu` is the device of the IOMMU.
    ///
    /// # Errors
    ///
    /// - `ENOMEM` if the root could not be allocated.
    /// - `EOPNOTSUPP` if `limits` lack the smallest page of the format.
    pub fn new(iommu: &Device, options: F::Options, limits: Limits) -> Result<Self> {
        Ok(Self(PageTable::new(
            IommuPages::new(iommu),
            options,
            limits,
            TableAllocation::SleepAndAccount,
        )?))
    }

    /// Returns the page table.
    pub fn table(&self) -> &PageTable<F, IommuPages<COHERENT>> {
        &self.0
    }

    /// Returns the aperture and the page sizes.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            aperture: self.0.aperture(),
            page_sizes: self.0.page_sizes(),
        }
    }

    /// Maps `runs` to adjacent IOVAs from `iova` on.
    ///
    /// `invalidate` is called if a range must be invalidated before the device uses it. Its flag
    /// says whether this includes the caches of tables.
    ///
    /// # Errors
    ///
    /// None of `runs` is mapped then.
    ///
    /// - `EADDRINUSE` if a page of the range is mapped.
    /// - `ERANGE` for an IOVA outside the aperture or a physical address beyond the limits.
    /// - `EINVAL` if an address or a length is not aligned.
    /// - `EOPNOTSUPP` if the format cannot express `access`.
    /// - `ENOMEM` if a table could not be allocated.
    pub fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
        how: TableAllocation,
        invalidate: impl FnOnce(RangeInclusive<u64>, bool),
    ) -> Result {
        let mut gather = Gather::new();
        let mapped = self.0.map(iova, runs, access.into(), how, &mut gather);

        gather.flush(&self.0, |gather| {
            invalidate(gather.range(), gather.has_tables())
        });
        Ok(mapped?)
    }

    /// Removes all pages in `length` bytes from `iova` on, and returns how many bytes were mapped.
    ///
    /// The range that must be invalidated is added to `pending`. If tables have become empty,
    /// `invalidate` is called for it instead, and must include the caches of tables.
    pub fn unmap(
        &self,
        iova: u64,
        length: usize,
        pending: Pin<&mut iommu::Gather>,
        invalidate: impl FnOnce(RangeInclusive<u64>),
    ) -> usize {
        let mut gather = Gather::new();
        // This allocates only to cut a page, and no caller unmaps a part of one.
        let removed = self.0.unmap(
            iova,
            length as u64,
            TableAllocation::Atomic,
            &mut gather,
            |_| {},
        );

        if gather.has_tables() {
            gather.flush(&self.0, |gather| invalidate(gather.range()));
        } else {
            if !gather.is_empty() {
                let range = gather.range();

                pending.add(*range.start(), *range.end());
            }
            gather.flush(&self.0, |_| {});
        }
        removed.map_or(0, |bytes| bytes as usize)
    }

    /// Returns the physical address to which `iova` is translated.
    pub fn translate(&self, iova: u64) -> Option<u64> {
        self.0.translate(iova)
    }

    /// Reads what is mapped in `length` bytes from `iova` on, up to the first hole, into `runs`.
    ///
    /// Returns the number of runs, which are as long as possible.
    pub fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> usize {
        self.0.read_runs(iova, length as u64, runs)
    }
}
