// SPDX-License-Identifier: GPL-2.0

//! What the IOMMU of a device is capable of.

use crate::{bindings, shim::device_ptr};
use kernel::device::{Bound, Device};

/// A capability of the IOMMU for a device (`enum iommu_cap`).
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Capability {
    /// DMA can snoop the caches of the CPU, so that software need not flush them.
    CacheCoherency = bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY,
    /// The IOMMU can enforce snooping for DMA of which the device requests that it does not snoop.
    EnforceCacheCoherency = bindings::iommu_cap_IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
    /// Page tables record which memory devices have written to.
    DirtyTracking = bindings::iommu_cap_IOMMU_CAP_DIRTY_TRACKING,
    /// The device may use PCI ATS to request translations.
    PciAts = bindings::iommu_cap_IOMMU_CAP_PCI_ATS_SUPPORTED,
}

impl Capability {
    /// Returns the capability with this number, or `None` if it is not listed here.
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

/// Returns whether the IOMMU of `dev` has a capability. False for a device without an IOMMU.
pub fn is_capable(dev: &Device<Bound>, capability: Capability) -> bool {
    // SAFETY: `dev` is a reference to a device that a driver is bound to, so it does not lose its
    // IOMMU during the call.
    unsafe { bindings::device_iommu_capable(device_ptr(dev), capability as u32) }
}
