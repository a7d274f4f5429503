// SPDX-License-Identifier: GPL-2.0

//! What a new domain is asked for.

use crate::bindings;
use kernel::uaccess::UserPtr;

/// What a domain can do besides translating.
#[derive(Clone, Copy, Default)]
pub struct DomainFeatures {
    /// Other domains may be nested on it.
    pub nest_parent: bool,
    /// It records which memory devices have written to.
    pub dirty_tracking: bool,
    /// Devices that use PASIDs may be attached to it.
    pub pasid: bool,
}

impl DomainFeatures {
    const NEST_PARENT: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_NEST_PARENT;
    const DIRTY_TRACKING: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    const PASID: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID;

    /// Decodes the flags that a driver is called with; `None` if one of them is unknown here.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let features = Self {
            nest_parent: bits & Self::NEST_PARENT != 0,
            dirty_tracking: bits & Self::DIRTY_TRACKING != 0,
            pasid: bits & Self::PASID != 0,
        };

        (features.bits() == bits).then_some(features)
    }

    /// Encodes the features as drivers read them.
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
    /// The type of the data, a number that the driver knows.
    pub kind: u32,
    /// The user address of the data, in the memory of the calling process.
    pub at: UserPtr,
    /// The length of the data in bytes.
    pub length: usize,
}
