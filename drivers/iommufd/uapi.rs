// SPDX-License-Identifier: GPL-2.0

//! The structs of `include/uapi/linux/iommufd.h`, and what can be said of them without an object.
//!
//! Every struct begins with its own size, as the caller knows it, and is read and written by the
//! rules in [`kernel_ext::uaccess`](../kernel_ext/uaccess/index.html). Pure: no kernel calls.

use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOPNOTSUPP, EOVERFLOW};
use core::mem::offset_of;

/// The type of all ioctls of this file, `';'`.
const IOMMUFD_TYPE: u32 = b';' as u32;
/// The numbers from here on are iommufd's; those below belong to the VFIO container.
const CMD_BASE: u32 = 0x80;
/// The number behind the last one, of `IOMMU_IOAS_NOIOMMU_GET_PA`.
const CMD_END: u32 = 0x96;

/// Whether an ioctl has one of iommufd's numbers, whatever its type.
pub(crate) fn is_iommufd(code: u32) -> bool {
    (CMD_BASE..CMD_END).contains(&(code & 0xff))
}

/// A struct with which an ioctl is called.
pub(crate) trait Command: FromBytes + IntoBytes + Immutable {
    /// The number of the ioctl.
    const NR: u32;
    /// The bytes that the struct had when the command was new: with fewer there is no call.
    const MIN_SIZE: usize;
    /// The ioctl, `_IO(IOMMUFD_TYPE, NR)`.
    const CODE: u32 = IOMMUFD_TYPE << 8 | Self::NR;
}

/// The end of a field of a struct, in bytes from its start.
macro_rules! end_of {
    ($type:ident.$field:ident: $field_type:ty) => {
        offset_of!($type, $field) + size_of::<$field_type>()
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

/// `IOMMU_DESTROY`: gives an object up.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Destroy {
    size: u32,
    /// The object.
    pub(crate) id: u32,
}
command!(Destroy, 0x80, up to id: u32);

/// `IOMMU_IOAS_ALLOC`: makes an IO address space.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasAlloc {
    size: u32,
    flags: u32,
    /// Result: its ID.
    pub(crate) out_ioas_id: u32,
}
command!(IoasAlloc, 0x81, up to out_ioas_id: u32);

impl IoasAlloc {
    /// `EOPNOTSUPP` for flags: none exists.
    pub(crate) fn check(&self) -> Result {
        known(self.flags, 0)
    }
}

/// A range of IOVA, both ends inclusive.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IovaRange {
    /// The first address.
    pub(crate) start: u64,
    /// The last address.
    pub(crate) last: u64,
}

/// `IOMMU_IOAS_IOVA_RANGES`: tells what may be mapped.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasIovaRanges {
    size: u32,
    /// The IO address space.
    pub(crate) ioas_id: u32,
    /// How many ranges the caller has room for; result: how many there are.
    pub(crate) num_iovas: u32,
    reserved: u32,
    /// User address of an array of [`IovaRange`].
    pub(crate) allowed_iovas: u64,
    /// Result: what IOVAs and lengths are multiples of, in bytes.
    pub(crate) out_iova_alignment: u64,
}
command!(IoasIovaRanges, 0x84, up to out_iova_alignment: u64);

impl IoasIovaRanges {
    /// `EOPNOTSUPP` if the reserved field is used.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)
    }
}

/// Map at the given IOVA; otherwise the kernel chooses one.
const MAP_FIXED_IOVA: u32 = 1 << 0;
/// The device may write.
const MAP_WRITEABLE: u32 = 1 << 1;
/// The device may read.
const MAP_READABLE: u32 = 1 << 2;

/// `IOMMU_IOAS_MAP`: maps memory of the calling process.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasMap {
    size: u32,
    flags: u32,
    /// The IO address space.
    pub(crate) ioas_id: u32,
    reserved: u32,
    /// User address of the first byte.
    pub(crate) user_va: u64,
    /// Length in bytes.
    pub(crate) length: u64,
    /// Where to map it, or result: where it is.
    pub(crate) iova: u64,
}
command!(IoasMap, 0x85, up to iova: u64);

/// What the flags of a mapping ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapFlags {
    /// The caller has chosen the IOVA.
    pub(crate) fixed: bool,
    /// The device may read.
    pub(crate) read: bool,
    /// The device may write.
    pub(crate) write: bool,
}

impl IoasMap {
    /// What the flags ask for.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for what is not known; `EOVERFLOW` for numbers that no range has; `EINVAL` if
    /// the device may neither read nor write.
    pub(crate) fn check(&self) -> Result<MapFlags> {
        known(self.flags, MAP_FIXED_IOVA | MAP_WRITEABLE | MAP_READABLE)?;
        known(self.reserved, 0)?;
        if self.iova == u64::MAX || self.length == u64::MAX {
            return Err(EOVERFLOW);
        }
        let flags = MapFlags {
            fixed: self.flags & MAP_FIXED_IOVA != 0,
            read: self.flags & MAP_READABLE != 0,
            write: self.flags & MAP_WRITEABLE != 0,
        };

        if !flags.read && !flags.write {
            return Err(EINVAL);
        }
        Ok(flags)
    }
}

/// `IOMMU_IOAS_UNMAP`: takes mappings away.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasUnmap {
    size: u32,
    /// The IO address space.
    pub(crate) ioas_id: u32,
    /// The first address.
    pub(crate) iova: u64,
    /// Length in bytes; result: how much was mapped there.
    pub(crate) length: u64,
}
command!(IoasUnmap, 0x86, up to length: u64);

/// What is to be unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnmapRange {
    /// Whatever there is.
    All,
    /// A range, both ends inclusive.
    Range(u64, u64),
}

impl IoasUnmap {
    /// What is to be unmapped.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` for a range past the end of the address space, `EINVAL` for an empty one.
    pub(crate) fn range(&self) -> Result<UnmapRange> {
        if self.iova == 0 && self.length == u64::MAX {
            return Ok(UnmapRange::All);
        }
        if self.iova == u64::MAX || self.length == u64::MAX {
            return Err(EOVERFLOW);
        }
        let last = self.length.checked_sub(1).ok_or(EINVAL)?;

        Ok(UnmapRange::Range(
            self.iova,
            self.iova.checked_add(last).ok_or(EOVERFLOW)?,
        ))
    }
}

/// `EOPNOTSUPP` unless `bits` has only `known` ones.
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
