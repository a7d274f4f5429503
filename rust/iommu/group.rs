// SPDX-License-Identifier: GPL-2.0

//! Groups of devices, and who may drive their DMA.

use super::driver::Driver;
use crate::{bindings, shim::device_ptr};
use core::{ffi::c_void, mem::ManuallyDrop, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    prelude::*,
    sync::aref::ARef,
};

/// What an IOMMU can do for a device.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Capability {
    /// DMA may snoop the CPU's caches, so that nobody has to flush them.
    CacheCoherency = bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY,
    /// The device can be kept from asking for DMA that does not snoop.
    EnforceCacheCoherency = bindings::iommu_cap_IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
    /// Page tables can tell which memory devices have written to.
    DirtyTracking = bindings::iommu_cap_IOMMU_CAP_DIRTY_TRACKING,
    /// The device may ask for translations (PCI ATS).
    PciAts = bindings::iommu_cap_IOMMU_CAP_PCI_ATS_SUPPORTED,
}

impl Capability {
    /// The one with this number, if it has a name here.
    pub(super) fn from_raw(raw: bindings::iommu_cap) -> Option<Self> {
        [
            Self::CacheCoherency,
            Self::EnforceCacheCoherency,
            Self::DirtyTracking,
            Self::PciAts,
        ]
        .into_iter()
        .find(|capability| *capability as u32 == raw)
    }
}

/// Whether the IOMMU of `dev` can do it. False for a device without an IOMMU.
pub fn is_capable(dev: &Device, capability: Capability) -> bool {
    // SAFETY: `dev` is a valid device.
    unsafe { bindings::device_iommu_capable(device_ptr(dev), capability as u32) }
}

/// A reference to an IOMMU group: devices that the IOMMU cannot tell apart.
///
/// # Invariants
///
/// `0` is valid and this value owns one reference to it.
pub struct Group(NonNull<bindings::iommu_group>);

// SAFETY: Groups may be used and put on any thread.
unsafe impl Send for Group {}
// SAFETY: The functions below may run at the same time for one group.
unsafe impl Sync for Group {}

impl Group {
    /// The group of `dev`, if an IOMMU serves it.
    pub fn of(dev: &Device) -> Option<Self> {
        // INVARIANT: `iommu_group_get()` took the reference.
        // SAFETY: `dev` is a valid device.
        NonNull::new(unsafe { bindings::iommu_group_get(device_ptr(dev)) }).map(Self)
    }

    /// The group behind C's pointer, without a reference of its own; `None` for null.
    ///
    /// # Safety
    ///
    /// The caller has a reference to the group for as long as it uses the result.
    pub unsafe fn borrow_raw(group: *mut bindings::iommu_group) -> Option<ManuallyDrop<Self>> {
        NonNull::new(group).map(|group| ManuallyDrop::new(Self(group)))
    }

    /// Whether a write of a device of the group can raise no interrupt but its own.
    pub fn has_isolated_msi(&self) -> bool {
        // SAFETY: By the type invariant the group is valid.
        unsafe { bindings::iommu_group_has_isolated_msi(self.as_raw()) }
    }

    /// Whether both are the same group.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The C structure.
    pub fn as_raw(&self) -> *mut bindings::iommu_group {
        self.0.as_ptr()
    }
}

impl Clone for Group {
    fn clone(&self) -> Self {
        // INVARIANT: `iommu_group_ref_get()` took the reference.
        // SAFETY: By the type invariant the group is valid.
        unsafe { bindings::iommu_group_ref_get(self.as_raw()) };
        Self(self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference.
        unsafe { bindings::iommu_group_put(self.as_raw()) };
    }
}

/// The right of one owner to drive the DMA of a device and so of its whole group.
///
/// From the first claim on, DMA of the group is blocked until something is attached; with the last
/// claim dropped it returns to the kernel's DMA API.
///
/// # Invariants
///
/// `iommu_device_claim_dma_owner()` succeeded for `dev`, whose group is `group`.
pub struct DmaOwner {
    dev: ARef<Device>,
    group: Group,
}

impl DmaOwner {
    /// Claims the DMA of the group of `dev` for the owner that `cookie`, an address, stands for.
    ///
    /// # Errors
    ///
    /// `EPERM` if somebody else owns it or a driver uses the DMA API of a device in it, `EBUSY` if it
    /// is attached to something, `ENODEV` if no IOMMU serves the device.
    pub fn claim(dev: &Device<Bound>, cookie: *const c_void) -> Result<Self> {
        let group = Group::of(dev).ok_or(ENODEV)?;

        // SAFETY: `dev` is a valid device that a driver is bound to; the cookie is only compared.
        to_result(unsafe {
            bindings::iommu_device_claim_dma_owner(device_ptr(dev), cookie.cast_mut())
        })?;
        // INVARIANT: The claim succeeded.
        Ok(Self {
            dev: (&**dev).into(),
            group,
        })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Its group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// What the IOMMU core knows of the device.
    pub(crate) fn iommu(&self) -> *mut bindings::dev_iommu {
        // SAFETY: The device is valid. By the type invariant its DMA is claimed, which only works
        // where an IOMMU serves it, and it keeps that IOMMU as long as it is claimed.
        unsafe { (*device_ptr(&self.dev)).iommu }
    }

    /// The operations of its IOMMU's driver.
    pub(crate) fn iommu_ops(&self) -> *const bindings::iommu_ops {
        // SAFETY: As in `iommu`, the device has an IOMMU, which is registered with its operations.
        unsafe { (*(*self.iommu()).iommu_dev).ops }
    }

    /// Whether the driver of its IOMMU can be asked for domains with features or data of its own.
    pub fn takes_domain_features(&self) -> bool {
        // SAFETY: The operations of a driver stay, and do not change.
        unsafe { (*self.iommu_ops()).domain_alloc_paging_flags }.is_some()
    }

    /// Whether the driver of its IOMMU nests domains on others.
    pub fn nests_domains(&self) -> bool {
        // SAFETY: The operations of a driver stay, and do not change.
        unsafe { (*self.iommu_ops()).domain_alloc_nested }.is_some()
    }

    /// Whether `T` is the driver of its IOMMU.
    pub fn is_driven_by<T: Driver>(&self) -> bool {
        core::ptr::eq(self.iommu_ops(), T::operations().as_raw())
    }
}

impl Drop for DmaOwner {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the claim is ours.
        unsafe { bindings::iommu_device_release_dma_owner(device_ptr(&self.dev)) };
    }
}
