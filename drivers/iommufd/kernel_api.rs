// SPDX-License-Identifier: GPL-2.0

//! What drivers such as vfio-pci ask for: bind, attach, replace, detach.

use crate::{
    context::{Context, Iommufd},
    device::Device,
    hwpt::{self, Hwpt, Origin},
    ioas::Ioas,
};
use kernel::{
    device::{self, Bound},
    prelude::*,
};
use kernel_ext::{
    iommu,
    iommufd::{KernelApi, ObjectGuard, ObjectId, UserRef},
};

kernel_ext::export_kernel_api!(Iommufd);

/// The PASID that stands for requests without one (`IOMMU_NO_PASID`).
const NO_PASID: u32 = 0;

impl KernelApi for Iommufd {
    type Device = Device;

    fn bind(context: &Context, dev: &device::Device<Bound>) -> Result<UserRef<Device>> {
        Device::bind(context, dev)
    }

    fn unbind(device: UserRef<Device>) {
        // The device keeps the context, and goes first.
        let context = device.context().to_aref();

        if let Some(hwpt) = device.group().detach(&device) {
            kernel::warn_on!(true);
            put(&context, hwpt);
        }
        context.destroy_user(device);
    }

    fn attach(device: &UserRef<Device>, pasid: u32, pt: ObjectId) -> Result<ObjectId> {
        change(device, pasid, pt, Change::Attach)
    }

    fn replace(device: &UserRef<Device>, pasid: u32, pt: ObjectId) -> Result<ObjectId> {
        change(device, pasid, pt, Change::Replace)
    }

    fn detach(device: &UserRef<Device>, pasid: u32) {
        if pasid != NO_PASID {
            return;
        }
        if let Some(hwpt) = device.group().detach(device) {
            put(device.context(), hwpt);
        }
    }

    fn has_group(context: &Context, group: &iommu::Group) -> bool {
        context.any::<Device>(|device| device.group().iommu().is_same(group))
    }
}

/// How a device comes to a page table.
#[derive(Clone, Copy)]
enum Change {
    Attach,
    Replace,
}

impl Change {
    /// Brings `device` to `hwpt`. Returns the page table that its group has left.
    fn apply(self, device: &UserRef<Device>, hwpt: UserRef<Hwpt>) -> Result<Option<UserRef<Hwpt>>> {
        match self {
            Self::Attach => device.group().attach(device, hwpt).map(|()| None),
            Self::Replace => device.group().replace(device, hwpt),
        }
    }
}

/// Gives a page table up; one that was made automatically goes if nothing is attached to it any more.
/// No lock may be held.
fn put(context: &Context, hwpt: UserRef<Hwpt>) {
    if hwpt.is_automatic() {
        context.put_and_try_destroy(hwpt);
    }
}

/// What bringing a device to a page table has led to. The references are to be put once no lock is
/// held.
struct Changed {
    /// The page table that the device has now.
    id: ObjectId,
    /// The one that its group has left.
    left: Option<UserRef<Hwpt>>,
    /// The one that the device has, if it is new: other devices of the group could have come and
    /// left again before everybody could see it.
    new: Option<UserRef<Hwpt>>,
}

/// Brings a device to the page table `pt`, or to one that mirrors the address space `pt`.
///
/// # Errors
///
/// `ENOENT` if there is no such object, `EINVAL` if it is of another type or there is a PASID: only
/// page tables that were made for PASIDs can take one. Else those of [`Change::apply`].
fn change(device: &UserRef<Device>, pasid: u32, pt: ObjectId, change: Change) -> Result<ObjectId> {
    let context = device.context();
    let changed = match context.get_any(pt)?.downcast::<Ioas>() {
        _ if pasid != NO_PASID => return Err(EINVAL),
        Ok(ioas) => change_to_ioas(device, &ioas, change)?,
        Err(object) => {
            let hwpt = object.downcast::<Hwpt>().map_err(|_| EINVAL)?;

            Changed {
                id: hwpt.id(),
                left: change.apply(device, hwpt.to_user())?,
                new: None,
            }
        }
    };

    for hwpt in [changed.left, changed.new].into_iter().flatten() {
        put(context, hwpt);
    }
    Ok(changed.id)
}

/// Brings a device to a page table of `ioas`: the oldest that suits it, or a new one.
fn change_to_ioas(
    device: &UserRef<Device>,
    ioas: &ObjectGuard<'_, Ioas>,
    change: Change,
) -> Result<Changed> {
    let context = device.context();
    let mut hwpts = ioas.hwpts.lock();

    for listed in hwpts.iter().filter(|listed| listed.automatic) {
        // One that is being destroyed cannot be looked up any more; its ID may have a new owner.
        let Ok(hwpt) = context.get::<Hwpt>(listed.id) else {
            continue;
        };
        if !hwpt.is(listed) {
            continue;
        }
        match change.apply(device, hwpt.to_user()) {
            // It does not suit this device.
            Err(error) if error == EINVAL => {}
            Err(error) => return Err(error),
            Ok(left) => {
                return Ok(Changed {
                    id: listed.id,
                    left,
                    new: None,
                })
            }
        }
    }
    hwpts.reserve(1, GFP_KERNEL_ACCOUNT)?;

    let hwpt = Hwpt::reserve(context, ioas.to_user(), device, Origin::Automatic)?;
    let new = hwpt.to_user();
    let left = match change {
        // Attached before it is filled: drivers may only then know what the page table looks like.
        Change::Attach => {
            change.apply(device, hwpt.to_user())?;
            if let Err(error) = hwpt::start_mirroring(&hwpt) {
                drop(device.group().detach(device));
                return Err(error);
            }
            None
        }
        // Filled before it replaces the other: the device shall not notice.
        Change::Replace => {
            hwpt::start_mirroring(&hwpt)?;
            change.apply(device, hwpt.to_user())?
        }
    };

    Ok(Changed {
        id: hwpt::publish(hwpt, &mut hwpts)?,
        left,
        new: Some(new),
    })
}
