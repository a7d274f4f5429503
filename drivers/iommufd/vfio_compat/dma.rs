// SPDX-License-Identifier: GPL-2.0

//! `VFIO_IOMMU_MAP_DMA` and `VFIO_IOMMU_UNMAP_DMA`.

use super::container_ioas;
use crate::{
    context::Context,
    uapi::{
        vfio::{DmaMap, DmaUnmap},
        UnmapRange,
    },
};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::{
    iommu::Access,
    uaccess::{read_versioned, write_versioned},
};

/// Maps memory of the calling process.
///
/// # Errors
///
/// `EFAULT` if the struct cannot be read, `EINVAL` if it is not valid, `ENODEV` without an address
/// space, then those of [`Ioas::map_user`](crate::ioas::Ioas::map_user).
pub(super) fn map(context: &Context, user: UserPtr) -> Result {
    let command: DmaMap = read_versioned(user, size_of::<DmaMap>())?;
    let (read, write) = command.check()?;
    let ioas = container_ioas(context)?;

    ioas.map_user(
        context,
        command.vaddr as usize,
        command.size as usize,
        Some(command.iova),
        Access { read, write },
    )
    .map(drop)
}

/// Unmaps a range. Writes the number of bytes that were unmapped to the struct, even after an
/// error.
///
/// # Errors
///
/// `EFAULT` if the struct cannot be read or written, `EINVAL` if it is not valid, `ENODEV` without
/// an address space, then those of [`Ioas::cut`](crate::ioas::Ioas::cut) and
/// [`Ioas::unmap`](crate::ioas::Ioas::unmap).
pub(super) fn unmap(context: &Context, user: UserPtr) -> Result {
    let mut command: DmaUnmap = read_versioned(user, size_of::<DmaUnmap>())?;
    let all = command.check()?;
    let ioas = container_ioas(context)?;

    let range = if all {
        if !command.is_without_range() {
            return Err(EINVAL);
        }
        Ok(UnmapRange::All)
    } else {
        if !ioas.large_pages() {
            for last in command.cuts() {
                ioas.cut(&[last])?;
            }
        }
        command.range()
    };
    let (unmapped, result) = match range {
        Ok(range) => ioas.unmap(range),
        Err(error) => (0, Err(error)),
    };

    command.size = unmapped;
    write_versioned(user, size_of::<DmaUnmap>(), &command)?;
    result
}
