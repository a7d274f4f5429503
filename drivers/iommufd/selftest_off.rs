// SPDX-License-Identifier: GPL-2.0

//! Stands in the place of `selftest.rs` in builds without the selftests of the kernel.

use crate::call::Entry;
use kernel::{device::Device, prelude::*};
use kernel_ext::iommu::DmaOwner;

pub(crate) use iommufd_core::iommufd_objects;

/// The mock IOMMU: none.
pub(crate) struct Mock;

impl Mock {
    /// Adds none to the system.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self)
    }
}

/// The commands of the selftests: none.
pub(crate) static COMMANDS: &[Entry] = &[];

/// Whether a device is known to raise no interrupts at all: never.
pub(crate) fn raises_no_interrupts(_dev: &Device) -> bool {
    false
}

/// Whether page tables for a device are made as parents of others: never, as no program could nest
/// any on them.
pub(crate) fn can_be_parent(_device: &DmaOwner) -> bool {
    false
}
