// SPDX-License-Identifier: GPL-2.0

//! Devices that a driver such as vfio-pci has bound to a context.
//!
//! Binding claims the DMA of the whole group of a device. DMA is blocked until the device is
//! attached.

pub(crate) mod attach;

use crate::{
    context::{Context, Iommufd},
    group::{Group, GroupRef},
    selftest,
};
use iommufd_core::{allow_unsafe_interrupts, DeviceHead, OwnerRef};
use kernel::{
    device::{self, Bound},
    prelude::*,
};
use kernel_ext::iommu::{self, Capability, DmaOwner};

/// A bound device.
#[repr(C)]
pub(crate) struct Device {
    head: DeviceHead<Iommufd>,
    group: GroupRef,
}

impl Device {
    /// Binds `dev` to `context`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if its DMA is not coherent with the CPU's caches, which user space could not flush,
    /// or if it has no IOMMU; `EPERM` if its interrupts are not isolated, unless the module
    /// parameter allows that, or if its group has another owner.
    pub(crate) fn bind(context: &Context, dev: &device::Device<Bound>) -> Result<OwnerRef<Self>> {
        if !iommu::is_capable(dev, Capability::CacheCoherency) {
            return Err(EINVAL);
        }
        let group = GroupRef::new(context, iommu::Group::of(dev).ok_or(ENODEV)?)?;

        check_interrupts(&group, dev)?;

        let owner = DmaOwner::claim(dev, (&raw const *context).cast())?;
        let device = Self {
            head: DeviceHead::new(context, group.head().clone(), owner)?,
            group,
        };
        Ok(context.reserve(|_| Ok(device))?.publish_owned())
    }

    /// Returns its group.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Returns the claim on the DMA of its group.
    pub(crate) fn owner(&self) -> &DmaOwner {
        self.head.owner()
    }
}

impl AsRef<DeviceHead<Iommufd>> for Device {
    fn as_ref(&self) -> &DeviceHead<Iommufd> {
        &self.head
    }
}

/// Refuses a device that could raise any interrupt with a DMA write, unless the administrator
/// allows such devices.
fn check_interrupts(group: &Group, dev: &device::Device) -> Result {
    if selftest::raises_no_interrupts(dev) || group.iommu().has_isolated_msi() {
        return Ok(());
    }
    if !allow_unsafe_interrupts() {
        return Err(EPERM);
    }
    dev_warn!(
        dev,
        "interrupts are not isolated from other devices: allowed by allow_unsafe_interrupts\n"
    );
    Ok(())
}
