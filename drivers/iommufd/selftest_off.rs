// SPDX-License-Identifier: GPL-2.0

//! The replacement of `selftest.rs` in builds without the selftests of the kernel.

use crate::call::Entry;
use kernel::{device::Device, prelude::*};
use kernel_ext::iommu::DmaOwner;

pub(crate) use iommufd_core::iommufd_objects;

/// The mock IOMMU: none.
pub(crate) struct Mock;

impl Mock {
    /// Adds no IOMMU to the system.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self)
    }
}

/// The commands of the selftests: none.
pub(crate) static COMMANDS: &[Entry] = &[];

/// Returns whether a device is known to raise no interrupts: always false.
pub(crate) fn raises_no_interrupts(_dev: &Device) -> bool {
    false
}

/// Returns whether page tables for a device can be allocated as parents: always false, because no
/// program could nest page tables on them.
pub(crate) fn can_be_parent(_device: &DmaOwner) -> bool {
    false
}
