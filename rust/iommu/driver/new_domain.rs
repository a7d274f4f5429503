// SPDX-License-Identifier: GPL-2.0

//! Allocating domains.

use super::{
    dirty_ops,
    domain::{DomainBox, DomainRef},
    domain_ops::operations,
    Driver, PagingDomain,
};
use crate::{
    bindings,
    iommu::table::{Format, IommuPages, Limits, PageTable, TableAllocation},
};
use core::{marker::PhantomData, ops::RangeInclusive, ptr::NonNull};
use kernel::{device::Device, prelude::*};

/// A new domain of the driver `T`: what [`Driver::new_domain`] returns.
///
/// # Invariants
///
/// `raw` is a domain of `T`, which this value owns. `dirty_ops` are the
/// [operations](super::dirty_ops::operations) for it.
pub struct NewDomain<T: Driver> {
    raw: NonNull<bindings::iommu_domain>,
    dirty_ops: &'static bindings::iommu_dirty_ops,
    driver: PhantomData<T>,
}

impl<T: Driver> NewDomain<T> {
    /// Allocates a domain with an empty page table in the format `F`, for `iommu`, the device that
    /// is the IOMMU. `COHERENT`: the IOMMU snoops the CPUs' caches when it walks. `limits` are what
    /// the hardware cannot do; `data` is what the driver keeps for the domain.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EOPNOTSUPP` if the hardware cannot use the smallest page; what `data` fails with.
    pub fn new<F: Format, const COHERENT: bool>(
        iommu: &Device,
        options: F::Options,
        limits: Limits,
        data: impl PinInit<T::Domain, Error>,
    ) -> Result<Self> {
        let how = TableAllocation::SleepAndAccount;
        let table =
            PageTable::<F, _>::new(IommuPages::<COHERENT>::new(iommu), options, limits, how)?;
        let raw = bindings::iommu_domain {
            type_: bindings::IOMMU_DOMAIN_UNMANAGED,
            ops: operations::<T, F, COHERENT>(),
            owner: T::operations().as_raw(),
            pgsize_bitmap: table.page_sizes() as c_ulong,
            geometry: bindings::iommu_domain_geometry {
                aperture_start: *table.aperture().start(),
                aperture_end: *table.aperture().end(),
                force_aperture: true,
            },
            ..pin_init::zeroed()
        };
        // SAFETY: Owner and operations are set above for these types. The domain is created in a
        // `KBox`.
        let domain = unsafe { DomainBox::<T, F, COHERENT>::new(raw, table, data) };
        let domain = KBox::try_pin_init(domain, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The domain is not moved: it stays where it is until `free` makes a box of it
        // again.
        let domain = Box::leak(unsafe { Pin::into_inner_unchecked(domain) });

        // INVARIANT: A `DomainBox` begins with the structure of the core. No other reference to it
        // exists.
        Ok(Self {
            raw: NonNull::from(domain).cast(),
            dirty_ops: dirty_ops::operations::<T, F, COHERENT>(),
            driver: PhantomData,
        })
    }

    /// Says that only IOVAs in `aperture` are to be mapped, where the hardware translates fewer
    /// than the format.
    pub fn with_aperture(self, aperture: RangeInclusive<u64>) -> Self {
        // SAFETY: By the type invariant the domain is valid, and no other reference to it exists.
        let geometry = unsafe { &mut (*self.raw.as_ptr()).geometry };

        geometry.aperture_start = *aperture.start();
        geometry.aperture_end = *aperture.end();
        self
    }

    /// Says that users are to map in pages of these sizes, a bit for each, where those of the
    /// format do not suit them.
    pub fn with_page_sizes(self, page_sizes: u64) -> Self {
        // SAFETY: By the type invariant the domain is valid, and no other reference to it exists.
        unsafe { (*self.raw.as_ptr()).pgsize_bitmap = page_sizes as c_ulong };
        self
    }

    /// Lets the domain record which memory devices write to, once it is told to.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver does not support that ([`PagingDomain::dirty`]).
    pub(super) fn with_dirty_tracking(self) -> Result<Self> {
        // SAFETY: By the type invariant the domain is valid.
        let domain = unsafe { DomainRef::<T>::from_raw(self.raw) }.ok_or(EINVAL)?;

        if domain.dirty().is_none() {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: By the type invariant the domain is valid, and no other reference to it exists.
        unsafe { (*self.raw.as_ptr()).dirty_ops = self.dirty_ops };
        Ok(self)
    }

    /// Passes the domain to C.
    pub(super) fn into_raw(self) -> *mut bindings::iommu_domain {
        let raw = self.raw.as_ptr();

        core::mem::forget(self);
        raw
    }
}

impl<T: Driver> Drop for NewDomain<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the domain, to which no device is attached.
        unsafe { bindings::iommu_domain_free(self.raw.as_ptr()) };
    }
}
