// SPDX-License-Identifier: GPL-2.0

//! The structs of `include/uapi/linux/iommufd.h`, and the checks of them that need no object.
//!
//! Every struct begins with its own size, as the caller knows it, and is read and written by the
//! rules in [`kernel_ext::uaccess`](../kernel_ext/uaccess/index.html). Pure: no kernel calls.

use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOPNOTSUPP};

/// The type of all ioctls of this file, `';'`.
const IOMMUFD_TYPE: u32 = b';' as u32;
/// The numbers from here on are iommufd's; those below belong to the VFIO container.
const CMD_BASE: u32 = 0x80;
/// The end of the numbers of iommufd: behind `IOMMU_TEST_CMD` in a kernel that is configured for
/// iommufd's selftests, else behind `IOMMU_IOAS_NOIOMMU_GET_PA`. The kernel's own module has the
/// same range, with and without test hooks in this one.
const CMD_END: u32 = if cfg!(CONFIG_IOMMUFD_TEST) {
    0xa1
} else {
    0x96
};

/// Returns whether an ioctl has one of iommufd's numbers, whatever its type.
pub(crate) fn is_iommufd(code: u32) -> bool {
    (CMD_BASE..CMD_END).contains(&(code & 0xff))
}

/// A struct with which an ioctl is called.
pub(crate) trait Command: FromBytes + IntoBytes + Immutable {
    /// The number of the ioctl.
    const NR: u32;
    /// The size of the first version of the struct, in bytes. A smaller one is refused.
    const MIN_SIZE: usize;
    /// The ioctl, `_IO(IOMMUFD_TYPE, NR)`.
    const CODE: u32 = IOMMUFD_TYPE << 8 | Self::NR;
}

/// Returns the end of a field, in bytes from the start of its struct.
macro_rules! end_of {
    ($type:ident.$field:ident: $field_type:ty) => {
        core::mem::offset_of!($type, $field) + size_of::<$field_type>()
    };
}

macro_rules! command {
    ($type:ident, $nr:literal, up to $field:ident: $field_type:ty) => {
        impl Command for $type {
            const NR: u32 = $nr;
            const MIN_SIZE: usize = end_of!($type.$field: $field_type);
        }
    };
}

// Named by their paths: the host compiles this file from elsewhere.
#[path = "uapi/hwpt.rs"]
mod hwpt;
#[path = "uapi/ioas.rs"]
mod ioas;
#[path = "uapi/option.rs"]
mod option;
#[path = "uapi/vfio.rs"]
pub(crate) mod vfio;

pub(crate) use hwpt::*;
pub(crate) use ioas::*;
pub(crate) use option::*;

/// `IOMMU_DESTROY`: destroys an object.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Destroy {
    size: u32,
    /// ID of the object.
    pub(crate) id: u32,
}
command!(Destroy, 0x80, up to id: u32);

/// Decodes the value of a switch: one is on, zero is off.
///
/// # Errors
///
/// `EINVAL` for any other value.
pub(crate) fn switch(value: u64) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(EINVAL),
    }
}

/// Checks that no bits other than `known` are set.
fn known(bits: u32, known: u32) -> Result {
    if bits & !known == 0 {
        Ok(())
    } else {
        Err(EOPNOTSUPP)
    }
}

#[cfg(test)]
#[path = "tests/uapi.rs"]
mod tests;
