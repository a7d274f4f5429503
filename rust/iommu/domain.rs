// SPDX-License-Identifier: GPL-2.0

//! Paging domains, of drivers in C and in Rust.

use super::{
    c_table::CTable,
    dma_owner::{Claimed, DmaOwner},
    domain_table::{DomainTable, Geometry},
    driver::{find_page_table, DomainRef, Driver},
    features::{DomainFeatures, UserData},
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*,
};

/// A paging domain: a page table owned by the IOMMU driver of a device.
///
/// # Invariants
///
/// `raw` is a valid paging domain that this value owns. `table` is the page table in it, and valid
/// as long as the domain.
pub struct Domain {
    raw: NonNull<bindings::iommu_domain>,
    table: NonNull<dyn DomainTable>,
    /// Dropped after the domain has been freed.
    _driver: DriverModule,
}

/// A reference to the module of an IOMMU driver, whose functions free a domain and its page table.
///
/// The core keeps the driver only while it has a device. A domain may exist for longer.
///
/// # Invariants
///
/// `0` is null, or a module to which this value owns a reference.
struct DriverModule(*mut bindings::module);

impl DriverModule {
    /// Takes a reference to the module of the driver of the IOMMU of a device.
    fn of(claim: &Claimed<'_>) -> Self {
        let module = claim.iommu_ops().owner;

        // INVARIANT: The reference is taken here.
        // SAFETY: `module` is null, or the core has a reference to it, because the driver has the
        // device while `claim` exists.
        unsafe { bindings::kernel_ext_module_get(module) };
        Self(module)
    }
}

impl Drop for DriverModule {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which is not used after this.
        unsafe { bindings::kernel_ext_module_put(self.0) };
    }
}

// SAFETY: A domain may be used and freed on any thread.
unsafe impl Send for Domain {}
// SAFETY: The functions of the IOMMU API may be called for one domain on several threads at the
// same time, and `DomainTable` is `Sync`.
unsafe impl Sync for Domain {}

impl Domain {
    /// Allocates an empty domain that is compatible with the device of `owner`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver does not support `features` or does not take `data`; `ENODEV` if
    /// the driver of the device has been unbound; `ENOMEM`; else the error of the IOMMU driver.
    pub fn new(owner: &DmaOwner, features: DomainFeatures, data: Option<UserData>) -> Result<Self> {
        let claim = owner.hold()?;
        let dev = claim.as_raw();
        let driver = DriverModule::of(&claim);
        let ops = claim.iommu_ops();
        let flags = features.bits();

        let Some(alloc) = ops.domain_alloc_paging_flags else {
            if flags != 0 || data.is_some() {
                return Err(EOPNOTSUPP);
            }
            // SAFETY: `claim` exists, so the device is valid and has an IOMMU.
            let raw = unsafe { bindings::iommu_paging_domain_alloc_flags(dev, 0) };
            let raw = NonNull::new(from_err_ptr(raw)?).ok_or(ENODEV)?;

            // SAFETY: The domain was allocated just now, so this function owns it, and `driver` is
            // the module of its driver.
            return Ok(unsafe { Self::from_raw(raw, driver) });
        };
        let data = data.map(|data| bindings::iommu_user_data {
            type_: data.kind,
            uptr: data.at.as_mut_ptr(),
            len: data.length,
        });
        let data = data.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: `dev` is a device of this driver as long as `claim` exists. `data` is null or
        // valid for the call, and the driver accesses the user memory that it refers to with the
        // functions for user memory.
        let raw = from_err_ptr(unsafe { alloc(dev, flags, data) })?;
        let domain = NonNull::new(raw).ok_or(ENOMEM)?;

        // The core attaches only devices of the same driver.
        // SAFETY: The domain was allocated just now, and no other reference to it exists.
        unsafe { (*domain.as_ptr()).owner = ops };
        // SAFETY: The domain was allocated just now, so this function owns it, and `driver` is the
        // module of its driver.
        Ok(unsafe { Self::from_raw(domain, driver) })
    }

    /// Takes ownership of a domain.
    ///
    /// # Safety
    ///
    /// `raw` is a valid paging domain of the driver in the module `driver`, and the caller passes
    /// its ownership to the result.
    unsafe fn from_raw(raw: NonNull<bindings::iommu_domain>, driver: DriverModule) -> Self {
        // SAFETY: The caller passes the ownership of the domain, so it stays valid as long as the
        // result exists.
        let table = match unsafe { find_page_table(raw) } {
            Some(table) => table,
            // SAFETY: The caller promises that this is a paging domain, which stays valid as long
            // as the result exists. It is not one of a Rust driver, so it belongs to a C driver.
            None => unsafe { CTable::of(raw) },
        };

        // INVARIANT: The caller passes the ownership of the domain, in which `table` lies.
        Self {
            raw,
            table,
            _driver: driver,
        }
    }

    /// Returns the page table in the domain.
    ///
    /// A Rust driver takes a whole batch of runs in one call; a C driver is called through the
    /// functions of the IOMMU API.
    #[inline]
    pub fn page_table(&self) -> &dyn DomainTable {
        // SAFETY: By the type invariant the table is valid as long as the domain, which `self`
        // owns.
        unsafe { self.table.as_ref() }
    }

    /// Returns the IOVA range and the page sizes that the domain supports.
    pub fn geometry(&self) -> Geometry {
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        let geometry = unsafe { (*self.as_raw()).geometry };
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        let page_sizes = unsafe { (*self.as_raw()).pgsize_bitmap };

        Geometry {
            aperture: geometry.aperture_start..=geometry.aperture_end,
            page_sizes: page_sizes as u64,
        }
    }

    /// Returns the domain as a domain of the driver `T`, if it is one.
    pub fn downcast<T: Driver>(&self) -> Option<DomainRef<'_, T>> {
        // SAFETY: By the type invariant the domain is valid while `self` is borrowed.
        unsafe { DomainRef::from_raw(self.raw) }
    }

    /// Makes the domain ignore requests of devices to bypass the caches of the CPU. Must be called
    /// while the domain is empty. Returns whether the domain supports this.
    pub fn enforce_cache_coherency(&self) -> bool {
        // SAFETY: By the type invariant the domain is valid.
        unsafe { bindings::kernel_ext_iommu_enforce_cache_coherency(self.as_raw()) }
    }

    /// Returns whether the domain records which memory devices have written to, once it is
    /// [told to](Self::track_dirty).
    pub fn can_track_dirty(&self) -> bool {
        self.dirty_ops().is_some()
    }

    /// Starts or stops to record which memory devices have written to.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the domain was not allocated for this; else the error of the driver.
    pub fn track_dirty(&self, on: bool) -> Result {
        let track = self.dirty_ops().and_then(|ops| ops.set_dirty_tracking);

        // SAFETY: By the type invariant the domain is valid, and the function is its own.
        to_result(unsafe { track.ok_or(EOPNOTSUPP)?(self.as_raw(), on) })
    }

    fn dirty_ops(&self) -> Option<&bindings::iommu_dirty_ops> {
        // SAFETY: By the type invariant the domain is valid; the field is constant from its
        // creation on.
        let ops = unsafe { (*self.as_raw()).dirty_ops };

        // SAFETY: The operations of a domain are null, or valid as long as the domain.
        unsafe { ops.as_ref() }
    }

    /// Returns the C structure.
    pub fn as_raw(&self) -> *mut bindings::iommu_domain {
        self.raw.as_ptr()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the domain, which is not used after this.
        unsafe { bindings::iommu_domain_free(self.as_raw()) };
    }
}
