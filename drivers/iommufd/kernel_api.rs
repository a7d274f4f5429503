// SPDX-License-Identifier: GPL-2.0

//! What drivers such as vfio-pci call: bind, attach, replace, detach.
//!
//! The module only names what carries each call out.

use crate::{
    context::{Context, Iommufd},
    device::{
        attach::{self, Change, NO_PASID},
        Device,
    },
};
use kernel::{
    device::{self, Bound},
    prelude::*,
};
use kernel_ext::{
    iommu,
    iommufd::{KernelApi, ObjectId, UserRef},
};

kernel_ext::export_kernel_api!(Iommufd);

impl KernelApi for Iommufd {
    type Device = Device;

    fn bind(context: &Context, dev: &device::Device<Bound>) -> Result<UserRef<Device>> {
        Device::bind(context, dev)
    }

    fn unbind(device: UserRef<Device>) {
        // The device keeps the context, and goes first.
        let context = device.context().to_aref();

        kernel::warn_on!(attach::detach(&device));
        context.destroy_user(device);
    }

    fn attach(device: &UserRef<Device>, pasid: u32, pt: ObjectId) -> Result<ObjectId> {
        attach::change(device, pasid, pt, Change::Attach)
    }

    fn replace(device: &UserRef<Device>, pasid: u32, pt: ObjectId) -> Result<ObjectId> {
        attach::change(device, pasid, pt, Change::Replace)
    }

    fn detach(device: &UserRef<Device>, pasid: u32) {
        if pasid == NO_PASID {
            attach::detach(device);
        }
    }

    fn has_group(context: &Context, group: &iommu::Group) -> bool {
        context.any::<Device>(|device| device.group().iommu().is_same(group))
    }
}
