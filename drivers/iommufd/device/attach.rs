// SPDX-License-Identifier: GPL-2.0

//! Chooses the page table that a device is attached to: the one that the caller names, or one that
//! mirrors the IO address space that the caller names. The latter is shared by all devices that it
//! suits. It is allocated if there is none, and freed when no device is attached to it any more.

use crate::{
    device::Device,
    hwpt::{self, Hwpt, Origin},
    ioas::Ioas,
};
use iommufd_core::{AttachHandle, ObjectGuard, ObjectId, OwnerRef, UserRef};
use kernel::prelude::*;

/// The PASID that stands for requests without one (`IOMMU_NO_PASID`).
pub(crate) const NO_PASID: u32 = 0;

/// The way in which a device is attached to a page table.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// The device is attached to none.
    Attach,
    /// The device is attached to one, which its whole group leaves.
    Replace,
}

impl Change {
    /// Attaches `device` to `hwpt`. Returns the page table that its group has left.
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

/// Detaches a device. Returns whether it was attached.
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

/// Drops a reference to a page table. If that was allocated automatically, it is freed unless a
/// device is attached to it. No lock may be held.
fn put(hwpt: UserRef<Hwpt>) {
    if hwpt.is_automatic() {
        hwpt.put_and_try_destroy();
    }
}

/// The result of attaching a device. The references are to be put once no lock is held.
struct Changed {
    /// The page table that the device is attached to.
    id: ObjectId,
    /// The page table that its group has left.
    left: Option<UserRef<Hwpt>>,
    /// The page table that the device is attached to, if it is new: other devices of the group
    /// could have been attached and detached before it was published.
    new: Option<UserRef<Hwpt>>,
}

/// Attaches a device to the page table `pt`, or to one that mirrors the IO address space `pt`.
///
/// # Errors
///
/// `ENOENT` if there is no such object; `EINVAL` if it has another type, or if there is a PASID,
/// because no page table is allocated for PASIDs. Else those of [`Change::apply`].
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

/// Attaches a device to a page table of `ioas`: the oldest one that suits the device, or a new one.
fn change_to_ioas(
    device: &OwnerRef<Device>,
    ioas: &ObjectGuard<'_, Ioas>,
    change: Change,
) -> Result<Changed> {
    let context = device.context();
    let mut hwpts = ioas.hwpts.lock();

    for listed in hwpts.iter().filter(|listed| listed.automatic) {
        // A page table that is being destroyed cannot be looked up any more, and its ID may have
        // been reused.
        let Ok(hwpt) = context.get::<Hwpt>(listed.id) else {
            continue;
        };
        if !hwpt.is(listed) {
            continue;
        }
        match change.apply(device, hwpt.to_user()) {
            // The page table does not suit this device.
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
        // Attached before it is filled: some drivers finish the page table only when a device is
        // attached.
        Change::Attach => {
            change.apply(device, hwpt.to_user())?;
            if let Err(error) = hwpt::start_mirroring(&hwpt) {
                drop(device.group().detach(device.id()));
                return Err(error);
            }
            None
        }
        // Filled before it replaces the other one, so that the mappings exist at all times for the
        // device.
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
