// SPDX-License-Identifier: GPL-2.0

//! The commands on page tables: they are allocated for user space, and record what devices write.

use crate::{
    call::{Call, Execute},
    device::Device,
    hwpt::{list, start_mirroring, Hwpt, Origin},
    ioas::Ioas,
    selftest,
    uapi::{HwptAlloc, HwptGetDirtyBitmap, HwptOffer, HwptSetDirtyTracking},
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::iommu::{Bitmap, Capability, DirtyRecorder, DomainFeatures, UserData};

/// # Errors
///
/// `ENOENT` if there is no such device, or no fault queue with that ID; `EINVAL` if `pt_id` is
/// neither an IO address space nor a parent; `EOPNOTSUPP` for features that are not offered; else
/// those of [`Hwpt::reserve`] and [`start_mirroring`].
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
            dirty_tracking: device.owner().is_capable(Capability::DirtyTracking),
        })?;

        let origin = Origin::User {
            features: DomainFeatures {
                nest_parent: flags.nest_parent,
                dirty_tracking: flags.dirty_tracking,
                pasid: flags.pasid,
            },
            data: user_data(self),
        };
        let hwpt = Hwpt::reserve(call.context, ioas.to_user(), device.owner(), origin)?;

        // The device is not needed any more. User space can stall pinning and copying, and
        // unbinding waits until there are no references to the device.
        drop(device);
        start_mirroring(&hwpt)?;
        if flags.faults {
            // No fault queue has this ID, because none can be allocated.
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

/// Everything that was recorded before is forgotten when recording starts, also if it goes on.
///
/// # Errors
///
/// `ENOENT` if there is no such page table; `EOPNOTSUPP` for unknown flags, and if the page table
/// was not allocated for this; `EINTR` if the caller was killed; else the error of the IOMMU
/// driver.
impl Execute for HwptSetDirtyTracking {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let enable = self.enable()?;
        let hwpt: ObjectGuard<'_, Hwpt> = call.context.get(ObjectId(self.hwpt_id))?;

        if !hwpt.table().can_track_dirty() {
            return Err(EOPNOTSUPP);
        }
        if enable {
            hwpt.ioas().forget_dirty(hwpt.table())?;
        }
        hwpt.table().track_dirty(enable)
    }
}

/// # Errors
///
/// `ENOENT` if there is no such page table; `EOPNOTSUPP` for unknown flags, and if the page table
/// was not allocated for this; else those of [`HwptGetDirtyBitmap::range`] and
/// [`Ioas::read_dirty`].
impl Execute for HwptGetDirtyBitmap {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let clear = self.clears()?;
        let hwpt: ObjectGuard<'_, Hwpt> = call.context.get(ObjectId(self.hwpt_id))?;
        let (first, last) = self.range(hwpt.ioas().alignment())?;

        if !hwpt.table().can_track_dirty() {
            return Err(EOPNOTSUPP);
        }
        let bitmap = Bitmap::new(self.iova, self.length, self.page_size, self.data as usize)
            .ok_or(EINVAL)?;

        hwpt.ioas().read_dirty(
            hwpt.table(),
            first,
            last,
            &mut DirtyRecorder::to_user(bitmap, clear),
        )
    }
}

/// Returns the error for a page table that is to be nested on another one: `EOPNOTSUPP` if the
/// driver has no such page tables, or the command asks for one that cannot exist; else `EINVAL`,
/// because no page table is a parent.
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
