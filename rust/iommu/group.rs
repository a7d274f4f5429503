// SPDX-License-Identifier: GPL-2.0

//! IOMMU groups, and the ownership of their DMA.

use super::{capability::Capability, driver::Driver};
use crate::{bindings, shim::device_ptr};
use core::{ffi::c_void, mem::ManuallyDrop, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    prelude::*,
    sync::aref::ARef,
};

/// A reference to an IOMMU group: a set of devices that the IOMMU cannot isolate from each other.
///
/// # Invariants
///
/// `0` is valid, and this value owns one reference to it. A value in a `ManuallyDrop` borrows the
/// reference instead.
pub struct Group(NonNull<bindings::iommu_group>);

// SAFETY: References to a group may be used and dropped on any thread.
unsafe impl Send for Group {}
// SAFETY: The functions that are called with a `&Group` may run on several threads at the same
// time.
unsafe impl Sync for Group {}

impl Group {
    /// Returns the group of `dev`, or `None` if it has no IOMMU.
    pub fn of(dev: &Device<Bound>) -> Option<Self> {
        // INVARIANT: `iommu_group_get()` takes a reference, which the new value owns.
        // SAFETY: `dev` is a reference to a device that a driver is bound to, so it does not leave
        // its group during the call.
        NonNull::new(unsafe { bindings::iommu_group_get(device_ptr(dev)) }).map(Self)
    }

    /// Borrows the group of a C pointer, without taking a reference. Returns `None` for null.
    ///
    /// # Safety
    ///
    /// The caller has a reference to the group for as long as it uses the result.
    pub unsafe fn borrow_raw(group: *mut bindings::iommu_group) -> Option<ManuallyDrop<Self>> {
        NonNull::new(group).map(|group| ManuallyDrop::new(Self(group)))
    }

    /// Returns whether interrupts are isolated: a device of the group cannot raise interrupts of
    /// other devices by DMA.
    pub fn has_isolated_msi(&self) -> bool {
        // SAFETY: By the type invariant the group is valid.
        unsafe { bindings::iommu_group_has_isolated_msi(self.as_raw()) }
    }

    /// Returns whether both are the same group.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Returns the C structure.
    pub fn as_raw(&self) -> *mut bindings::iommu_group {
        self.0.as_ptr()
    }
}

impl Clone for Group {
    fn clone(&self) -> Self {
        // INVARIANT: `iommu_group_ref_get()` takes a reference, which the new value owns.
        // SAFETY: By the type invariant `self` has a reference, so the count is not zero.
        unsafe { bindings::iommu_group_ref_get(self.as_raw()) };
        Self(self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference, which is not used after
        // this.
        unsafe { bindings::iommu_group_put(self.as_raw()) };
    }
}

/// The ownership of the DMA of a device, and thereby of its whole group, by one user.
///
/// From the first claim on, DMA of the group is blocked until a domain is attached. When the last
/// claim is dropped, the group returns to the DMA API of the kernel.
///
/// # Invariants
///
/// `iommu_device_claim_dma_owner()` has succeeded for `dev`, whose group is `group`, and this value
/// owns that claim.
pub struct DmaOwner {
    dev: ARef<Device>,
    group: Group,
}

impl DmaOwner {
    /// Claims the DMA of the group of `dev` for the owner that is identified by the address
    /// `cookie`.
    ///
    /// # Errors
    ///
    /// `EPERM` if the group has another owner, or a driver uses the DMA API for a device in it;
    /// `EBUSY` if a domain is attached to the group; `ENODEV` if the device has no IOMMU.
    pub fn claim(dev: &Device<Bound>, cookie: *const c_void) -> Result<Self> {
        let group = Group::of(dev).ok_or(ENODEV)?;

        // SAFETY: `dev` is a reference to a device that a driver is bound to, so it is not removed
        // from its group during the call. The cookie is only compared.
        to_result(unsafe {
            bindings::iommu_device_claim_dma_owner(device_ptr(dev), cookie.cast_mut())
        })?;
        // INVARIANT: The claim has succeeded, and the new value owns it.
        Ok(Self {
            dev: (&**dev).into(),
            group,
        })
    }

    /// Returns the device.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// Returns its group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Returns whether the IOMMU of the device has a capability.
    pub fn is_capable(&self, capability: Capability) -> bool {
        // SAFETY: `self.dev` is a reference, so the device is valid. By the type invariant its DMA
        // is claimed, so it keeps its IOMMU.
        unsafe { bindings::device_iommu_capable(device_ptr(&self.dev), capability as u32) }
    }

    /// Returns the data of the IOMMU core for the device.
    pub(crate) fn iommu(&self) -> *mut bindings::dev_iommu {
        // SAFETY: `self.dev` is a reference, so the device is valid. By the type invariant its DMA
        // is claimed. This is possible only for a device with an IOMMU, which keeps its `dev_iommu`
        // as long as it is claimed.
        unsafe { (*device_ptr(&self.dev)).iommu }
    }

    /// Returns the operations of the driver of its IOMMU.
    pub(crate) fn iommu_ops(&self) -> *const bindings::iommu_ops {
        // SAFETY: By the type invariant the DMA of the device is claimed, so it has an IOMMU, whose
        // registration stays in the valid `dev_iommu` as long as it is claimed.
        let iommu = unsafe { (*self.iommu()).iommu_dev };
        // SAFETY: As above, the registration is valid. Its operations do not change.
        unsafe { (*iommu).ops }
    }

    /// Returns whether the driver of its IOMMU allocates domains with optional features and with
    /// data from user space.
    pub fn takes_domain_features(&self) -> bool {
        // SAFETY: By the type invariant the DMA of the device is claimed, so the driver has it. The
        // operations of a driver are constant and live as long as one of its devices.
        unsafe { (*self.iommu_ops()).domain_alloc_paging_flags }.is_some()
    }

    /// Returns whether the driver of its IOMMU allocates nested domains.
    pub fn nests_domains(&self) -> bool {
        // SAFETY: By the type invariant the DMA of the device is claimed, so the driver has it. The
        // operations of a driver are constant and live as long as one of its devices.
        unsafe { (*self.iommu_ops()).domain_alloc_nested }.is_some()
    }

    /// Returns whether `T` is the driver of its IOMMU.
    pub fn is_driven_by<T: Driver>(&self) -> bool {
        core::ptr::eq(self.iommu_ops(), T::operations().as_raw())
    }
}

impl Drop for DmaOwner {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the claim, which is released only here.
        unsafe { bindings::iommu_device_release_dma_owner(device_ptr(&self.dev)) };
    }
}
