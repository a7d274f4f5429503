// SPDX-License-Identifier: GPL-2.0

//! A page table as the kernel's IOMMU drivers want it: what a
//! [`PagingDomain`](kernel_ext::iommu::driver::PagingDomain) does, but for how the hardware forgets.
//!
//! Tables that become empty are given back when the hardware has forgotten the way to them, which is
//! before the call returns that removed them. Pages alone wait in the kernel's gather, so that one
//! flush serves many calls.

use core::{ops::RangeInclusive, pin::Pin};
use kernel::{device::Device, prelude::*};
use kernel_ext::iommu::{
    self,
    table::{Format, Gather, Limits, PageTable},
    Access, Geometry, IommuPages, PhysRun, TableAllocation,
};

/// A page table in the kernel's memory. `COHERENT`: the IOMMU snoops the CPUs' caches when it walks.
pub struct DomainTable<F: Format, const COHERENT: bool>(PageTable<F, IommuPages<COHERENT>>);

impl<F: Format, const COHERENT: bool> DomainTable<F, COHERENT> {
    /// An empty page table for `iommu`, the device that is an IOMMU.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EOPNOTSUPP` if the hardware cannot use the smallest page.
    pub fn new(iommu: &Device, options: F::Options, limits: Limits) -> Result<Self> {
        Ok(Self(PageTable::new(
            IommuPages::new(iommu),
            options,
            limits,
            TableAllocation::SleepAndAccount,
        )?))
    }

    /// The page table itself.
    pub fn table(&self) -> &PageTable<F, IommuPages<COHERENT>> {
        &self.0
    }

    /// Its addresses and page sizes.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            aperture: self.0.aperture(),
            page_sizes: self.0.page_sizes(),
        }
    }

    /// Maps `runs` one behind the other from `iova` on. `forget` is called if the hardware must forget
    /// a range before anybody relies on the map; the flag says whether the way to it as well.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `ERANGE`, `EINVAL` for what is not aligned, `EOPNOTSUPP` for an access that the
    /// format cannot grant, `ENOMEM`. Nothing of `runs` is mapped then.
    pub fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
        how: TableAllocation,
        forget: impl FnOnce(RangeInclusive<u64>, bool),
    ) -> Result {
        let mut gather = Gather::new();
        let mapped = self.0.map(iova, runs, access.into(), how, &mut gather);

        gather.flush(&self.0, |gather| {
            forget(gather.range(), gather.has_tables())
        });
        Ok(mapped?)
    }

    /// Removes what is mapped in `length` bytes from `iova` on. Returns how many bytes that was. What
    /// the hardware must forget is added to `pending`, or forgotten at once with `forget`.
    pub fn unmap(
        &self,
        iova: u64,
        length: usize,
        pending: Pin<&mut iommu::Gather>,
        forget: impl FnOnce(RangeInclusive<u64>),
    ) -> usize {
        let mut gather = Gather::new();
        // Memory is needed only where a page reaches out of the range, which no caller asks for.
        let removed = self.0.unmap(
            iova,
            length as u64,
            TableAllocation::Atomic,
            &mut gather,
            |_| {},
        );

        if gather.has_tables() {
            gather.flush(&self.0, |gather| forget(gather.range()));
        } else {
            if !gather.is_empty() {
                let range = gather.range();

                pending.add(*range.start(), *range.end());
            }
            gather.flush(&self.0, |_| {});
        }
        removed.map_or(0, |bytes| bytes as usize)
    }

    /// The physical address behind `iova`.
    pub fn translate(&self, iova: u64) -> Option<u64> {
        self.0.translate(iova)
    }

    /// Reads what is mapped in `length` bytes from `iova` on, up to the first hole, into `runs`, as
    /// the longest runs possible. Returns how many.
    pub fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> usize {
        self.0.read_runs(iova, length as u64, runs)
    }
}
