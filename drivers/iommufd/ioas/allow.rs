// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_IOAS_ALLOW_IOVAS`: ranges of an address space that user space has to itself.

use super::Ioas;
use crate::{
    dispatch::Call,
    interval::Node,
    iova_map::AllowedRanges,
    uapi::{IoasAllowIovas, IovaRange},
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::{alloc::SlabBox, uaccess::read_versioned};

/// Carries it out.
///
/// # Errors
///
/// `EINVAL` for a range of less than two addresses, and for one that overlaps another; `EADDRINUSE`
/// if something in them is reserved. What was allowed before still is then.
pub(crate) fn allow_iovas(command: &mut IoasAllowIovas, call: &Call<'_>) -> Result {
    command.check()?;

    let ioas: ObjectGuard<'_, Ioas> = call.context.get(ObjectId(command.ioas_id))?;
    let mut ranges = read_ranges(command)?;
    // What had been allowed is freed once the lock is released.
    let allowed = ioas.map.write().allow(&mut ranges);

    allowed
}

fn read_ranges(command: &IoasAllowIovas) -> Result<AllowedRanges> {
    let array = UserPtr::from_addr(command.allowed_iovas as usize);
    let mut ranges = AllowedRanges::new();

    for index in 0..command.num_iovas as usize {
        let at = array.wrapping_byte_add(index * size_of::<IovaRange>());
        let IovaRange { start, last } = read_versioned(at, size_of::<IovaRange>())?;

        if start >= last {
            return Err(EINVAL);
        }
        ranges.add(SlabBox::new(
            Node::new(start, last, ()),
            GFP_KERNEL_ACCOUNT,
        )?)?;
    }
    Ok(ranges)
}
