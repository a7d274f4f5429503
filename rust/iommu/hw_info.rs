// SPDX-License-Identifier: GPL-2.0

//! Descriptions of the IOMMU hardware of a device by its driver.

use super::DmaOwner;
use crate::bindings;
use core::{ffi::c_void, ptr::NonNull};
use kernel::{error::from_err_ptr, prelude::*};

/// A description of the hardware, in a format that the driver defines.
///
/// # Invariants
///
/// `data` is `None` and `length` zero, or `data` points to `length` bytes from `kmalloc()` that
/// this value owns.
pub struct HwInfo {
    data: Option<NonNull<c_void>>,
    length: u32,
    kind: u32,
}

impl HwInfo {
    /// Returns the description of the given kind by the driver. Kind zero selects the default of
    /// the driver.
    ///
    /// The description of a driver without this operation is empty, with kind zero.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver does not support this kind; `ENODEV` if the driver of the device
    /// has been unbound; else the error of the IOMMU driver.
    pub fn of(device: &DmaOwner, kind: u32) -> Result<Self> {
        let claim = device.hold()?;
        let (mut length, mut kind) = (0, kind);
        let Some(hw_info) = claim.iommu_ops().hw_info else {
            return Ok(Self {
                data: None,
                length: 0,
                kind: 0,
            });
        };
        // SAFETY: The operation is that of the driver of this device's IOMMU, which the device
        // keeps while `claim` exists. Both out-parameters are valid for writing.
        let data = unsafe { hw_info(claim.as_raw(), &mut length, &mut kind) };
        let data = NonNull::new(from_err_ptr(data)?);

        // INVARIANT: By the contract of `hw_info`, the driver returns `length` bytes from
        // `kmalloc()`, which the caller owns.
        let this = Self {
            length: if data.is_some() { length } else { 0 },
            data,
            kind,
        };
        // A description without a kind is an error of the driver.
        if kernel::warn_on!(this.kind == 0) {
            return Err(EOPNOTSUPP);
        }
        Ok(this)
    }

    /// Returns the kind of the description.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// Returns the bytes of the description.
    pub fn bytes(&self) -> &[u8] {
        match self.data {
            // SAFETY: By the type invariant `data` points to `length` bytes that this value owns.
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
            // SAFETY: By the type invariant this value owns the data, which came from `kmalloc()`
            // and is not used after this.
            unsafe { bindings::kfree(data.as_ptr()) };
        }
    }
}

/// The PASID features of a device.
#[derive(Clone, Copy)]
pub struct PasidSupport {
    /// Number of PASIDs.
    pub count: u32,
    /// Requests may ask for execute permission.
    pub exec: bool,
    /// Requests may be privileged.
    pub privileged: bool,
}

impl PasidSupport {
    /// Returns the PASID features of a device, or `None` if it has no PASIDs or its driver has been
    /// unbound.
    pub fn of(device: &DmaOwner) -> Option<Self> {
        let claim = device.hold().ok()?;
        // SAFETY: The device keeps its `dev_iommu` while `claim` exists. The number is constant
        // from the probe of the device by its IOMMU driver on.
        let count = unsafe { (*claim.iommu()).max_pasids };
        if count == 0 {
            return None;
        }
        // SAFETY: `claim` has a reference to the device, so it is valid.
        let control = unsafe { bindings::kernel_ext_pci_pasid_control(claim.as_raw()) };
        let has = |bit: u32| control & bit as c_int != 0;

        Some(Self {
            count,
            exec: has(bindings::PCI_PASID_CTRL_EXEC),
            privileged: has(bindings::PCI_PASID_CTRL_PRIV),
        })
    }
}
