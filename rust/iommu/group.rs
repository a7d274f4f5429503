// SPDX-License-Identifier: GPL-2.0

//! IOMMU groups.

use crate::{bindings, shim::device_ptr};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::device::{Bound, Device};

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
