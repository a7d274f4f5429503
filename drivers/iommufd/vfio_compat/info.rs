// SPDX-License-Identifier: GPL-2.0

//! `VFIO_IOMMU_GET_INFO`: page sizes, and the IOVAs that may be mapped.

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

/// Reports the page sizes and the usable IOVAs of the address space of the container. As long as it
/// has no users, only those IOVAs are reported that every IOMMU is [`presumed`] to translate.
///
/// # Errors
///
/// `EFAULT` if the caller's memory cannot be read or written, `EINVAL` if it has less room than the
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
