// SPDX-License-Identifier: GPL-2.0

//! Chooses the page table that a device is attached to: the one that the caller names, or one that
//! mirrors the IO address space that the caller names. The latter is shared by all devices that it
//! suits. It is allocated if there is none, and freed when no device is attached to it any more. It
//! is not compatible with PASIDs, for which user space allocates page tables itself.

use crate::{
    device::Device,
    hwpt::{self, Hwpt, Origin},
    ioas::Ioas,
};
use iommufd_core::{AttachHandle, ObjectGuard, ObjectId, OwnerRef, UserRef};
use kernel::prelude::*;
use kernel_ext::iommu::Requester;

/// The way in which requests of a device are attached to a page table.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// The requests are not attached to a page table yet.
    Attach,
    /// The requests are attached to a page table. Those of the whole group move to another one.
    Replace,
}

impl Change {
    /// Attaches the requests `who` of `device` to `hwpt`. Returns the page table that those of its
    /// group have left.
    fn apply(
        self,
        device: &OwnerRef<Device>,
        who: Requester,
        hwpt: UserRef<Hwpt>,
    ) -> Result<Option<UserRef<Hwpt>>> {
        let handle = AttachHandle::new(device)?;

        match self {
            Self::Attach => device.group().attach(who, handle, hwpt).map(|()| None),
            Self::Replace => device.group().replace(who, handle, hwpt),
        }
    }

    /// Returns the error of attaching a PASID of `device` to a page table that is not compatible
    /// with PASIDs.
    fn refuse_pasid(self, device: &OwnerRef<Device>, who: Requester) -> Error {
        match self {
            Self::Attach if device.group().is_attached(who, device.id()) => EBUSY,
            _ => EINVAL,
        }
    }
}

/// Detaches the requests `who` of a device. Returns whether the group has left a page table.
pub(crate) fn detach(device: &OwnerRef<Device>, who: Requester) -> bool {
    let left = device.group().detach(who, device.id());

    match left {
        Some(hwpt) => {
            put(hwpt);
            true
        }
        None => false,
    }
}

/// Detaches all requests of a device. Returns whether the group has left a page table.
pub(crate) fn detach_all(device: &OwnerRef<Device>) -> bool {
    let mut last = None;
    let mut left = false;

    while let Some(who) = device.group().next_attached(device.id(), last) {
        left |= detach(device, who);
        last = Some(who);
    }
    left
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

/// Attaches the requests `who` of a device to the page table `pt`, or to one that mirrors the IO
/// address space `pt`. Returns the page table.
///
/// # Errors
///
/// `ENOENT` if there is no such object; `EINVAL` if it has another type. Else those of
/// [`Group::attach`](crate::group::Group::attach) and
/// [`Group::replace`](crate::group::Group::replace).
pub(crate) fn change(
    device: &OwnerRef<Device>,
    who: Requester,
    pt: ObjectId,
    change: Change,
) -> Result<ObjectId> {
    let context = device.context();
    let changed = match context.get_any(pt)?.downcast::<Ioas>() {
        Ok(_) if who != Requester::Rid => return Err(change.refuse_pasid(device, who)),
        Ok(ioas) => change_to_ioas(device, &ioas, change)?,
        Err(object) => {
            let hwpt = object.downcast::<Hwpt>().map_err(|_| EINVAL)?;

            Changed {
                id: hwpt.id(),
                left: change.apply(device, who, hwpt.to_user())?,
                new: None,
            }
        }
    };

    for hwpt in [changed.left, changed.new].into_iter().flatten() {
        put(hwpt);
    }
    Ok(changed.id)
}

/// Attaches the requests of a device without a PASID to a page table of `ioas`: the oldest one that
/// suits the device, or a new one.
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
        match change.apply(device, Requester::Rid, hwpt.to_user()) {
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
            change.apply(device, Requester::Rid, hwpt.to_user())?;
            if let Err(error) = hwpt::start_mirroring(&hwpt) {
                drop(device.group().detach(Requester::Rid, device.id()));
                return Err(error);
            }
            None
        }
        // Filled before it replaces the other one, so that the mappings exist at all times for the
        // device.
        Change::Replace => {
            hwpt::start_mirroring(&hwpt)?;
            change.apply(device, Requester::Rid, hwpt.to_user())?
        }
    };

    hwpt::list(&hwpt, &mut hwpts)?;
    Ok(Changed {
        id: hwpt.publish(),
        left,
        new: Some(new),
    })
}
