// SPDX-License-Identifier: GPL-2.0

//! What the driver of an IOMMU tells of the hardware behind a device.

use super::DmaOwner;
use crate::{bindings, shim::device_ptr};
use core::{ffi::c_void, ptr::NonNull};
use kernel::{error::from_err_ptr, prelude::*};

/// A description of hardware, in a format of its driver.
///
/// # Invariants
///
/// `data`, if there are any, are `length` bytes from `kmalloc()` that this value owns.
pub struct HwInfo {
    data: Option<NonNull<c_void>>,
    length: u32,
    kind: u32,
}

impl HwInfo {
    /// Asks the driver for a description of the given kind; zero stands for the one it prefers.
    ///
    /// A driver that tells nothing gives an empty one of kind zero.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver does not know this kind, else whatever it reports.
    pub fn of(device: &DmaOwner, kind: u32) -> Result<Self> {
        let (mut length, mut kind) = (0, kind);
        // SAFETY: The operations of a driver stay, and do not change.
        let Some(hw_info) = (unsafe { (*device.iommu_ops()).hw_info }) else {
            return Ok(Self {
                data: None,
                length: 0,
                kind: 0,
            });
        };
        // SAFETY: It is a device of this driver.
        let data = unsafe { hw_info(device_ptr(device.device()), &mut length, &mut kind) };
        let data = NonNull::new(from_err_ptr(data)?);

        // INVARIANT: The driver has allocated the data for the caller.
        let this = Self {
            length: if data.is_some() { length } else { 0 },
            data,
            kind,
        };
        // The driver has described its hardware without saying in which format.
        if kernel::warn_on!(this.kind == 0) {
            return Err(EOPNOTSUPP);
        }
        Ok(this)
    }

    /// What it describes.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// The description.
    pub fn bytes(&self) -> &[u8] {
        match self.data {
            // SAFETY: By the type invariant there are so many bytes.
            Some(data) => unsafe {
                core::slice::from_raw_parts(data.as_ptr().cast(), self.length as usize)
            },
            None => &[],
        }
    }
}

impl Drop for HwInfo {
    fn drop(&mut self) {
        if let Some(data) = self.data {
            // SAFETY: By the type invariant this value owns them.
            unsafe { bindings::kfree(data.as_ptr()) };
        }
    }
}

/// What a device can do with PASIDs.
#[derive(Clone, Copy)]
pub struct PasidSupport {
    /// How many PASIDs it has.
    pub count: u32,
    /// It may ask for permission to execute.
    pub exec: bool,
    /// It may ask for privileged accesses.
    pub privileged: bool,
}

impl PasidSupport {
    /// Whether PASIDs of the device are enabled, and what it can do with them.
    pub fn of(device: &DmaOwner) -> Option<Self> {
        // SAFETY: An owned device has an IOMMU; the number is fixed when that takes it over.
        let count = unsafe { (*device.iommu()).max_pasids };
        if count == 0 {
            return None;
        }
        // SAFETY: It is a valid device.
        let control =
            unsafe { bindings::kernel_ext_pci_pasid_control(device_ptr(device.device())) };
        let has = |bit: u32| control & bit as c_int != 0;

        Some(Self {
            count,
            exec: has(bindings::PCI_PASID_CTRL_EXEC),
            privileged: has(bindings::PCI_PASID_CTRL_PRIV),
        })
    }
}
