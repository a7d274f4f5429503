// SPDX-License-Identifier: GPL-2.0

//! The lock of the lists of IOMMUs, one list for each driver.
//!
//! It is held for reading while a device is offered to the IOMMUs of a driver, so that they stay,
//! and for writing while one comes or goes. Both may sleep. Locks of the core are taken before it,
//! and the lock of the registry after it.

use crate::bindings;

/// Holds the lock for reading.
pub(super) struct Shared(());

impl Shared {
    pub(super) fn lock() -> Self {
        // SAFETY: The function has no requirements.
        unsafe { bindings::kernel_ext_iommu_instances_down_read() };
        Self(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: This value holds the lock for reading.
        unsafe { bindings::kernel_ext_iommu_instances_up_read() };
    }
}

/// Holds the lock for writing.
pub(super) struct Exclusive(());

impl Exclusive {
    pub(super) fn lock() -> Self {
        // SAFETY: The function has no requirements.
        unsafe { bindings::kernel_ext_iommu_instances_down_write() };
        Self(())
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        // SAFETY: This value holds the lock for writing.
        unsafe { bindings::kernel_ext_iommu_instances_up_write() };
    }
}
