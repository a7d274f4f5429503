// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_HWPT_ALLOC`: page tables that user space asks for.

use super::{list, start_mirroring, Hwpt, Origin};
use crate::{device::Device, dispatch::Call, ioas::Ioas, uapi::HwptAlloc};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::iommu::{is_capable, Capability, DomainFeatures, UserData};

/// Carries it out.
///
/// # Errors
///
/// `ENOENT` if there is no such device, or nobody of that ID who handles faults; `EINVAL` if there is
/// nothing to build the page table on; `EOPNOTSUPP` if the IOMMU cannot do what is wanted; else those
/// of [`Hwpt::reserve`] and [`start_mirroring`].
pub(crate) fn alloc(command: &mut HwptAlloc, call: &Call<'_>) -> Result {
    command.check()?;

    let device: ObjectGuard<'_, Device> = call.context.get(ObjectId(command.dev_id))?;
    let parent = call
        .context
        .get_any(ObjectId(command.pt_id))
        .map_err(|_| EINVAL)?;
    let ioas = match parent.downcast::<Ioas>() {
        Ok(ioas) => ioas,
        Err(parent) => {
            // No driver is asked for nested page tables.
            return Err(parent.downcast::<Hwpt>().map_or(EINVAL, |_| EOPNOTSUPP));
        }
    };
    let flags = command.paging_flags()?;

    if flags.dirty_tracking && !is_capable(device.device(), Capability::DirtyTracking) {
        return Err(EOPNOTSUPP);
    }
    let origin = Origin::User {
        features: DomainFeatures {
            nest_parent: flags.nest_parent,
            dirty_tracking: flags.dirty_tracking,
            pasid: flags.pasid,
        },
        data: user_data(command),
    };
    let hwpt = Hwpt::reserve(call.context, ioas.to_user(), device.owner(), origin)?;

    // From here on no device is needed. User space can stall pinning and copying, and unbinding
    // waits for calls that have the device.
    drop(device);
    start_mirroring(&hwpt)?;
    if flags.faults {
        // Nobody handles faults: there are no such objects.
        return Err(ENOENT);
    }
    {
        let mut hwpts = ioas.hwpts.lock();

        hwpts.reserve(1, GFP_KERNEL_ACCOUNT)?;
        list(&hwpt, &mut hwpts)?;
    }
    command.out_hwpt_id = hwpt.id().0;
    call.respond(command)?;
    hwpt.publish();
    Ok(())
}

fn user_data(command: &HwptAlloc) -> Option<UserData> {
    (command.data_len != 0).then(|| UserData {
        kind: command.data_type,
        at: UserPtr::from_addr(command.data_uptr as usize),
        length: command.data_len as usize,
    })
}
