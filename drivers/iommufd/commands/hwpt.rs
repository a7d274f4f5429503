// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_HWPT_ALLOC`: page tables that user space asks for.

use crate::{
    call::{Call, Execute},
    device::Device,
    hwpt::{list, start_mirroring, Hwpt, Origin},
    ioas::Ioas,
    selftest,
    uapi::{HwptAlloc, HwptOffer},
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::iommu::{DomainFeatures, UserData};

/// # Errors
///
/// `ENOENT` if there is no such device, or no fault queue with that ID; `EINVAL` if there is
/// nothing to build the page table on; `EOPNOTSUPP` for what is not offered; else those of
/// [`Hwpt::reserve`] and [`start_mirroring`].
impl Execute for HwptAlloc {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        self.check()?;

        let device: ObjectGuard<'_, Device> = call.context.get(ObjectId(self.dev_id))?;
        let parent = call
            .context
            .get_any(ObjectId(self.pt_id))
            .map_err(|_| EINVAL)?;
        let ioas = match parent.downcast::<Ioas>() {
            Ok(ioas) => ioas,
            Err(parent) => {
                parent.downcast::<Hwpt>().map_err(|_| EINVAL)?;
                return Err(no_parent(self, &device));
            }
        };
        let flags = self.paging_flags()?;

        flags.check_offered(HwptOffer {
            features: device.owner().takes_domain_features(),
            parents: selftest::can_be_parent(device.owner()),
        })?;

        let origin = Origin::User {
            features: DomainFeatures {
                nest_parent: flags.nest_parent,
                ..DomainFeatures::default()
            },
            data: user_data(self),
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
        self.out_hwpt_id = hwpt.id().0;
        call.respond(self)?;
        hwpt.publish();
        Ok(())
    }
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
