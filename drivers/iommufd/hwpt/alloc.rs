// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_HWPT_ALLOC`: page tables that user space asks for.

use super::{list, start_mirroring, Hwpt, Origin};
use crate::{
    device::Device,
    dispatch::Call,
    ioas::Ioas,
    uapi::{HwptAlloc, HwptOffer},
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::iommu::{DomainFeatures, UserData};

/// Carries it out.
///
/// # Errors
///
/// `ENOENT` if there is no such device, or no fault queue with that ID; `EINVAL` if there is
/// nothing to build the page table on; `EOPNOTSUPP` for what is not offered; else those of
/// [`Hwpt::reserve`] and [`start_mirroring`].
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
            parent.downcast::<Hwpt>().map_err(|_| EINVAL)?;
            return Err(no_parent(command, &device));
        }
    };
    let flags = command.paging_flags()?;

    flags.check_offered(HwptOffer {
        features: device.owner().takes_domain_features(),
        parents: can_be_parent(&device),
    })?;

    let origin = Origin::User {
        features: DomainFeatures {
            nest_parent: flags.nest_parent,
            ..DomainFeatures::default()
        },
        data: user_data(command),
    };
    let hwpt = Hwpt::reserve(call.context, ioas.to_user(), device.owner(), origin)?;

    // From here on no device is needed. User space can stall pinning and copying, and unbinding
    // waits for calls that have the device.
    drop(device);
    start_mirroring(&hwpt)?;
    if flags.faults {
        // No object has this ID and type: fault queues cannot be made.
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

/// Whether page tables for `device` are made as parents of others. No program can nest any on them;
/// the kernel's selftests make some of the mock IOMMU nevertheless.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
fn can_be_parent(device: &Device) -> bool {
    crate::selftest::is_mock(device.owner())
}

/// As above: without the mock IOMMU, none is.
#[cfg(not(CONFIG_IOMMUFD_RUST_TEST))]
fn can_be_parent(_device: &Device) -> bool {
    false
}

/// Why no page table for `device` is nested on another one: `EINVAL` if only because none can be a
/// parent, `EOPNOTSUPP` if no such page table could be.
fn no_parent(command: &HwptAlloc, device: &Device) -> Error {
    if device.owner().nests_domains() {
        command.check_nested().err().unwrap_or(EINVAL)
    } else {
        EOPNOTSUPP
    }
}

fn user_data(command: &HwptAlloc) -> Option<UserData> {
    (command.data_len != 0).then(|| UserData {
        kind: command.data_type,
        at: UserPtr::from_addr(command.data_uptr as usize),
        length: command.data_len as usize,
    })
}
