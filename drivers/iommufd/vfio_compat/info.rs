// SPDX-License-Identifier: GPL-2.0

//! `VFIO_IOMMU_GET_INFO`: page sizes, and what may be mapped.

use super::container_ioas;
use crate::{
    context::Context,
    uapi::vfio::{presumed, Type1Info},
};
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use kernel_ext::uaccess::{read_versioned, write_versioned};

/// Tells what the address space of the container can do: as long as no device is in it, what is
/// [`presumed`] of the IOMMU.
///
/// # Errors
///
/// `EFAULT` if the caller's memory cannot be read or written, `EINVAL` if there is less than the
/// first version of the struct, `ENODEV` without an address space.
pub(super) fn get_info(context: &Context, user: UserPtr) -> Result {
    let mut info: Type1Info = read_versioned(user, Type1Info::MIN_SIZE)?;
    let room = info.check()?;
    let ioas = container_ioas(context)?;
    let page_sizes = ioas.page_sizes();
    let write = |offset, bytes: &[u8]| {
        UserSlice::new(user.wrapping_byte_add(offset), bytes.len())
            .writer()
            .write_slice(bytes)
    };

    if ioas.has_users() {
        info.fill(page_sizes, ioas.map.read().usable(), write)?;
    } else {
        info.fill(page_sizes, presumed(ioas.map.read().usable()), write)?;
    }
    write_versioned(user, room, &info)
}
