// SPDX-License-Identifier: GPL-2.0

//! The commands on IO address spaces.

use super::{known, Command};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOVERFLOW};

/// `IOMMU_IOAS_ALLOC`: creates an IO address space.
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
    /// Checks the flags, of which none exists: `EOPNOTSUPP` if one is set.
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

/// `IOMMU_IOAS_IOVA_RANGES`: reports the IOVAs that may be mapped.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasIovaRanges {
    size: u32,
    /// ID of the IO address space.
    pub(crate) ioas_id: u32,
    /// Number of ranges that the caller has room for; result: number of ranges.
    pub(crate) num_iovas: u32,
    reserved: u32,
    /// User address of an array of [`IovaRange`].
    pub(crate) allowed_iovas: u64,
    /// Result: the alignment of IOVAs and lengths, in bytes.
    pub(crate) out_iova_alignment: u64,
}
command!(IoasIovaRanges, 0x84, up to out_iova_alignment: u64);

impl IoasIovaRanges {
    /// Checks that the reserved field is zero: `EOPNOTSUPP` if not.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)
    }
}

/// `IOMMU_IOAS_ALLOW_IOVAS`: keeps ranges free of reservations, and restricts the IOVAs that the
/// kernel chooses to them.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasAllowIovas {
    size: u32,
    /// ID of the IO address space.
    pub(crate) ioas_id: u32,
    /// Number of ranges; with zero, the kernel chooses any IOVA.
    pub(crate) num_iovas: u32,
    reserved: u32,
    /// User address of an array of [`IovaRange`].
    pub(crate) allowed_iovas: u64,
}
command!(IoasAllowIovas, 0x82, up to allowed_iovas: u64);

impl IoasAllowIovas {
    /// Checks that the reserved field is zero: `EOPNOTSUPP` if not.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)
    }
}

/// The memory is mapped at the given IOVA. Without the flag, the kernel chooses one.
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
    /// ID of the IO address space.
    pub(crate) ioas_id: u32,
    reserved: u32,
    /// User address of the first byte.
    pub(crate) user_va: u64,
    /// Length in bytes.
    pub(crate) length: u64,
    /// IOVA to map it at; result: IOVA at which it is mapped.
    pub(crate) iova: u64,
}
command!(IoasMap, 0x85, up to iova: u64);

/// The flags of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapFlags {
    /// The caller has chosen the IOVA.
    pub(crate) fixed: bool,
    /// The device may read.
    pub(crate) read: bool,
    /// The device may write.
    pub(crate) write: bool,
}

impl MapFlags {
    /// Decodes the flags. `numbers` are the addresses and lengths of the same command.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for unknown flags; `EOVERFLOW` if a number is `u64::MAX`, which no valid range
    /// has; `EINVAL` if the device may neither read nor write.
    fn new(flags: u32, numbers: &[u64]) -> Result<Self> {
        known(flags, MAP_FIXED_IOVA | MAP_WRITEABLE | MAP_READABLE)?;
        if numbers.contains(&u64::MAX) {
            return Err(EOVERFLOW);
        }
        let flags = Self {
            fixed: flags & MAP_FIXED_IOVA != 0,
            read: flags & MAP_READABLE != 0,
            write: flags & MAP_WRITEABLE != 0,
        };

        if !flags.read && !flags.write {
            return Err(EINVAL);
        }
        Ok(flags)
    }
}

impl IoasMap {
    /// Checks the fields, and decodes the flags.
    ///
    /// # Errors
    ///
    /// Those of [`MapFlags::new`]; `EOPNOTSUPP` if the reserved field is not zero.
    pub(crate) fn check(&self) -> Result<MapFlags> {
        known(self.reserved, 0)?;
        MapFlags::new(self.flags, &[self.iova, self.length])
    }
}

/// `IOMMU_IOAS_MAP_FILE`: maps a part of a file that is memory.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasMapFile {
    size: u32,
    flags: u32,
    /// ID of the IO address space.
    pub(crate) ioas_id: u32,
    /// File descriptor of the file.
    pub(crate) fd: i32,
    /// Offset of the range in the file, in bytes.
    pub(crate) start: u64,
    /// Length in bytes.
    pub(crate) length: u64,
    /// IOVA to map it at; result: IOVA at which it is mapped.
    pub(crate) iova: u64,
}
command!(IoasMapFile, 0x8f, up to iova: u64);

impl IoasMapFile {
    /// Checks the fields, and decodes the flags.
    ///
    /// # Errors
    ///
    /// Those of [`MapFlags::new`].
    pub(crate) fn check(&self) -> Result<MapFlags> {
        MapFlags::new(self.flags, &[self.iova, self.length])
    }
}

/// `IOMMU_IOAS_COPY`: maps memory that is mapped already, in the same or in another IO address
/// space.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasCopy {
    size: u32,
    /// Flags, see [`check`](Self::check).
    pub(crate) flags: u32,
    /// ID of the IO address space to map into.
    pub(crate) dst_ioas_id: u32,
    /// ID of the IO address space in which the memory is mapped.
    pub(crate) src_ioas_id: u32,
    /// Length in bytes.
    pub(crate) length: u64,
    /// IOVA to map it at; result: IOVA at which it is mapped.
    pub(crate) dst_iova: u64,
    /// IOVA of the memory in the other IO address space.
    pub(crate) src_iova: u64,
}
command!(IoasCopy, 0x83, up to src_iova: u64);

impl IoasCopy {
    /// Checks the fields, and decodes the flags.
    ///
    /// # Errors
    ///
    /// Those of [`MapFlags::new`].
    pub(crate) fn check(&self) -> Result<MapFlags> {
        MapFlags::new(self.flags, &[self.length, self.src_iova, self.dst_iova])
    }
}

/// `IOMMU_IOAS_CHANGE_PROCESS`: charges all mapped files to the calling process.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasChangeProcess {
    size: u32,
    reserved: u32,
}
command!(IoasChangeProcess, 0x92, up to reserved: u32);

impl IoasChangeProcess {
    /// Checks that the reserved field is zero: `EOPNOTSUPP` if not.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)
    }
}

/// `IOMMU_IOAS_UNMAP`: unmaps a range.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoasUnmap {
    size: u32,
    /// ID of the IO address space.
    pub(crate) ioas_id: u32,
    /// The first address.
    pub(crate) iova: u64,
    /// Length in bytes; result: number of bytes that were unmapped.
    pub(crate) length: u64,
}
command!(IoasUnmap, 0x86, up to length: u64);

/// A range to unmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnmapRange {
    /// The whole address space.
    All,
    /// A range, both ends inclusive.
    Range(u64, u64),
}

impl IoasUnmap {
    /// Returns the range to unmap.
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
