// SPDX-License-Identifier: GPL-2.0

//! The features of a new domain, and the data that user space passes for it.

use crate::bindings;
use kernel::uaccess::UserPtr;

/// Optional features of a domain.
#[derive(Clone, Copy, Default)]
pub struct DomainFeatures {
    /// Other domains can be nested on the domain.
    pub nest_parent: bool,
    /// The domain records which memory devices have written to.
    pub dirty_tracking: bool,
    /// Devices that use PASIDs can be attached to the domain.
    pub pasid: bool,
}

impl DomainFeatures {
    const NEST_PARENT: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_NEST_PARENT;
    const DIRTY_TRACKING: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    const PASID: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID;

    /// Decodes the flags that are passed to a driver. Returns `None` if one of them is not listed
    /// here.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let features = Self {
            nest_parent: bits & Self::NEST_PARENT != 0,
            dirty_tracking: bits & Self::DIRTY_TRACKING != 0,
            pasid: bits & Self::PASID != 0,
        };

        (features.bits() == bits).then_some(features)
    }

    /// Encodes the features as flags that are passed to a driver.
    pub(super) fn bits(self) -> u32 {
        [
            (self.nest_parent, Self::NEST_PARENT),
            (self.dirty_tracking, Self::DIRTY_TRACKING),
            (self.pasid, Self::PASID),
        ]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// Data that user space passes to an IOMMU driver. The driver reads it from user memory itself.
#[derive(Clone, Copy)]
pub struct UserData {
    /// The type of the data, a number that the driver defines.
    pub kind: u32,
    /// The address of the data in the memory of the calling process.
    pub at: UserPtr,
    /// The length of the data in bytes.
    pub length: usize,
}
