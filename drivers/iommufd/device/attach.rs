// SPDX-License-Identifier: GPL-2.0

//! Which page table a device gets: the one that is named, or one that mirrors the address space
//! that is named. Such a page table is shared by all devices that it suits, and made when there is
//! none; it goes with the last device.

use crate::{
    device::Device,
    hwpt::{self, Hwpt, Origin},
    ioas::Ioas,
};
use iommufd_core::{AttachHandle, ObjectGuard, ObjectId, OwnerRef, UserRef};
use kernel::prelude::*;

/// The PASID that stands for requests without one (`IOMMU_NO_PASID`).
pub(crate) const NO_PASID: u32 = 0;

/// How a device comes to a page table.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// It is attached to none.
    Attach,
    /// It is attached to one, which its whole group leaves.
    Replace,
}

impl Change {
    /// Brings `device` to `hwpt`. Returns the page table that its group has left.
    fn apply(
        self,
        device: &OwnerRef<Device>,
        hwpt: UserRef<Hwpt>,
    ) -> Result<Option<UserRef<Hwpt>>> {
        let handle = AttachHandle::new(device)?;

        match self {
            Self::Attach => device.group().attach(handle, hwpt).map(|()| None),
            Self::Replace => device.group().replace(handle, hwpt),
        }
    }
}

/// Detaches a device from what it is attached to. Whether it was attached.
pub(crate) fn detach(device: &OwnerRef<Device>) -> bool {
    let left = device.group().detach(device.id());

    match left {
        Some(hwpt) => {
            put(hwpt);
            true
        }
        None => false,
    }
}

/// Gives a page table up; one that was made automatically goes if nothing is attached to it any
/// more. No lock may be held.
fn put(hwpt: UserRef<Hwpt>) {
    if hwpt.is_automatic() {
        hwpt.put_and_try_destroy();
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
    /// left again before it was published.
    new: Option<UserRef<Hwpt>>,
}

/// Brings a device to the page table `pt`, or to one that mirrors the address space `pt`.
///
/// # Errors
///
/// `ENOENT` if there is no such object, `EINVAL` if it is of another type or there is a PASID: only
/// page tables that were made for PASIDs can take one. Else those of [`Change::apply`].
pub(crate) fn change(
    device: &OwnerRef<Device>,
    pasid: u32,
    pt: ObjectId,
    change: Change,
) -> Result<ObjectId> {
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
        put(hwpt);
    }
    Ok(changed.id)
}

/// Brings a device to a page table of `ioas`: the oldest that suits it, or a new one.
fn change_to_ioas(
    device: &OwnerRef<Device>,
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

    let hwpt = Hwpt::reserve(context, ioas.to_user(), device.owner(), Origin::Automatic)?;
    let new = hwpt.to_user();
    let left = match change {
        // Attached before it is filled: drivers may only then know what the page table looks like.
        Change::Attach => {
            change.apply(device, hwpt.to_user())?;
            if let Err(error) = hwpt::start_mirroring(&hwpt) {
                drop(device.group().detach(device.id()));
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

    hwpt::list(&hwpt, &mut hwpts)?;
    Ok(Changed {
        id: hwpt.publish(),
        left,
        new: Some(new),
    })
}
