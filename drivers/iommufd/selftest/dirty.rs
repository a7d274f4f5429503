// SPDX-License-Identifier: GPL-2.0

//! Writes of mock devices, which page tables record.

use super::{
    iommu::{MockDomain, MockIommu},
    uapi::{Dirty, TestCommand},
};
use crate::{call::Call, hwpt::Hwpt};
use iommufd_core::ObjectId;
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

/// The most bits of a bitmap.
const MOST_BITS: u64 = 8 << 24;

/// `DIRTY`: lets a device write to the pages whose bits are set in a bitmap. Those that are not
/// mapped, or are read-only, count nevertheless.
///
/// # Errors
///
/// `EINVAL` for numbers that are zero or not aligned, if the page table is not one of the mock
/// IOMMU, and if it does not record writes; `EOVERFLOW` for a bitmap that is too large; `ENOENT` if
/// there is no such page table; `EFAULT` if the bitmap cannot be read.
pub(super) fn write(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let mut dirty: Dirty = command.arguments()?;
    let bits = dirty.length.checked_div(dirty.page_size).ok_or(EINVAL)?;

    if bits == 0
        || dirty.iova % dirty.page_size != 0
        || dirty.length % dirty.page_size != 0
        || dirty.uptr == 0
    {
        return Err(EINVAL);
    }
    if bits > MOST_BITS {
        return Err(EOVERFLOW);
    }
    let hwpt = call.context.get::<Hwpt>(ObjectId(command.id))?;
    let domain = hwpt.table().downcast::<MockIommu>().ok_or(EINVAL)?;
    let bytes = bits.div_ceil(8) as usize;
    let mut bitmap = KVVec::new();

    UserSlice::new(UserPtr::from_addr(dirty.uptr as usize), bytes)
        .read_all(&mut bitmap, GFP_KERNEL_ACCOUNT)?;

    let is_set = |bit: u64| {
        let byte = bitmap.get((bit / 8) as usize);

        byte.is_some_and(|byte| byte >> (bit % 8) & 1 != 0)
    };
    let written = || (0..bits).filter(|&bit| is_set(bit));

    MockDomain::write(
        domain,
        written().map(|bit| dirty.iova.wrapping_add(bit * dirty.page_size)),
    )?;
    dirty.out_nr_dirty = written().count() as u64;
    command.answer(&dirty)?;
    call.respond(command)
}
