// SPDX-License-Identifier: GPL-2.0

//! The functions for drivers such as vfio-pci: bind, attach, replace, detach.
//!
//! This module only selects the function that carries each call out.

use crate::{
    access::Access,
    context::{Context, Iommufd},
    device::{
        attach::{self, Change},
        Device,
    },
};
use iommufd_core::{KernelApi, ObjectId, OwnerRef};
use kernel::{
    device::{self, Bound},
    prelude::*,
};
use kernel_ext::iommu::{self, Requester};

iommufd_core::export_kernel_api!(Iommufd);

impl KernelApi for Iommufd {
    type Device = Device;
    type Access = Access;

    fn bind(context: &Context, dev: &device::Device<Bound>) -> Result<OwnerRef<Device>> {
        Device::bind(context, dev)
    }

    fn unbind(device: &OwnerRef<Device>) {
        kernel::warn_on!(attach::detach_all(device));
    }

    fn attach(device: &OwnerRef<Device>, who: Requester, pt: ObjectId) -> Result<ObjectId> {
        attach::change(device, who, pt, Change::Attach)
    }

    fn replace(device: &OwnerRef<Device>, who: Requester, pt: ObjectId) -> Result<ObjectId> {
        attach::change(device, who, pt, Change::Replace)
    }

    fn detach(device: &OwnerRef<Device>, who: Requester) {
        attach::detach(device, who);
    }

    fn has_group(context: &Context, group: &iommu::Group) -> bool {
        context.any::<Device>(|device| device.group().iommu().is_same(group))
    }
}
