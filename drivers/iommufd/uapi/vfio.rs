// SPDX-License-Identifier: GPL-2.0

//! The ioctls of the VFIO container (`include/uapi/linux/vfio.h`) that use its address space.
//!
//! These structs begin with `argsz`, the number of bytes that the caller has room for. Unknown
//! flags are `EINVAL` here.

use super::{UnmapRange, IOMMUFD_TYPE};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOVERFLOW};

/// The number of the first ioctl; VFIO has the same type as iommufd.
const VFIO_BASE: u32 = 100;

const fn code(nr: u32) -> u32 {
    IOMMUFD_TYPE << 8 | (VFIO_BASE + nr)
}

/// `VFIO_GET_API_VERSION`.
pub(crate) const GET_API_VERSION: u32 = code(0);
/// `VFIO_CHECK_EXTENSION`; the argument is the extension.
pub(crate) const CHECK_EXTENSION: u32 = code(1);
/// `VFIO_SET_IOMMU`; the argument is the type.
pub(crate) const SET_IOMMU: u32 = code(2);
/// `VFIO_IOMMU_GET_INFO`, with a [`Type1Info`].
pub(crate) const IOMMU_GET_INFO: u32 = code(12);
/// `VFIO_IOMMU_MAP_DMA`, with a [`DmaMap`].
pub(crate) const IOMMU_MAP_DMA: u32 = code(13);
/// `VFIO_IOMMU_UNMAP_DMA`, with a [`DmaUnmap`].
pub(crate) const IOMMU_UNMAP_DMA: u32 = code(14);

/// The only version of the API.
pub(crate) const API_VERSION: isize = 0;

/// Address spaces whose areas can be unmapped in part.
pub(crate) const TYPE1_IOMMU: usize = 1;
/// Address spaces whose areas are unmapped as a whole.
pub(crate) const TYPE1V2_IOMMU: usize = 3;
/// All DMA is coherent, even if devices request otherwise.
pub(crate) const DMA_CC_IOMMU: usize = 4;
/// No IOMMU.
pub(crate) const NOIOMMU_IOMMU: usize = 8;
/// The whole address space can be unmapped with one call.
pub(crate) const UNMAP_ALL: usize = 9;

const MAP_READ: u32 = 1 << 0;
const MAP_WRITE: u32 = 1 << 1;
const UNMAP_FLAG_ALL: u32 = 1 << 1;

/// Checks that the caller has a whole `T`, and that no flags other than `known` are set: `EINVAL`
/// if not.
fn check<T>(argsz: u32, flags: u32, known: u32) -> Result {
    if (argsz as usize) < size_of::<T>() || flags & !known != 0 {
        return Err(EINVAL);
    }
    Ok(())
}

/// `struct vfio_iommu_type1_dma_map`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DmaMap {
    argsz: u32,
    flags: u32,
    /// User address of the first byte.
    pub(crate) vaddr: u64,
    /// IOVA to map it at.
    pub(crate) iova: u64,
    /// Length in bytes.
    pub(crate) size: u64,
}

impl DmaMap {
    /// Checks the struct. Returns whether the device may read, and whether it may write.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the struct is too short, or an unknown flag is set.
    pub(crate) fn check(&self) -> Result<(bool, bool)> {
        check::<Self>(self.argsz, self.flags, MAP_READ | MAP_WRITE)?;
        Ok((self.flags & MAP_READ != 0, self.flags & MAP_WRITE != 0))
    }
}

/// `struct vfio_iommu_type1_dma_unmap`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DmaUnmap {
    argsz: u32,
    flags: u32,
    iova: u64,
    /// Length in bytes; result: number of bytes that were unmapped.
    pub(crate) size: u64,
}

impl DmaUnmap {
    /// Checks the struct. Returns whether the whole address space is to be unmapped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the struct is too short, or an unknown flag is set.
    pub(crate) fn check(&self) -> Result<bool> {
        check::<Self>(self.argsz, self.flags, UNMAP_FLAG_ALL)?;
        Ok(self.flags & UNMAP_FLAG_ALL != 0)
    }

    /// Returns whether the struct names no range, which is required if the whole address space is
    /// to be unmapped.
    pub(crate) fn is_without_range(&self) -> bool {
        self.iova == 0 && self.size == 0
    }

    /// Returns the range.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` for a range past the end of the address space, `EINVAL` for an empty one.
    pub(crate) fn range(&self) -> Result<UnmapRange> {
        let last = self.size.checked_sub(1).ok_or(EINVAL)?;

        Ok(UnmapRange::Range(
            self.iova,
            self.iova.checked_add(last).ok_or(EOVERFLOW)?,
        ))
    }

    /// Returns the addresses at which areas must end so that the range can be unmapped: its own
    /// last address, and the address below the range if there is one.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = u64> {
        let below = self.iova.wrapping_sub(1);
        let has_below = self.iova != 0;

        core::iter::once(below.wrapping_add(self.size)).chain(has_below.then_some(below))
    }
}

const INFO_PGSIZES: u32 = 1 << 0;
const INFO_CAPS: u32 = 1 << 1;

/// `struct vfio_iommu_type1_info`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Type1Info {
    argsz: u32,
    flags: u32,
    iova_pgsizes: u64,
    cap_offset: u32,
    pad: u32,
}

/// The start of every capability: `struct vfio_info_cap_header`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapHeader {
    id: u16,
    version: u16,
    /// Offset of the next capability from the start of the info; zero in the last one.
    next: u32,
}

impl CapHeader {
    const NEXT: usize = core::mem::offset_of!(Self, next);

    const fn new(id: u16) -> Self {
        Self {
            id,
            version: 1,
            next: 0,
        }
    }
}

/// The number of mappings that can still be made.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapDmaAvail {
    header: CapHeader,
    avail: u32,
}

/// The IOVAs that may be mapped. An array of ranges follows.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapIovaRanges {
    header: CapHeader,
    nr_iovas: u32,
    reserved: u32,
}

const CAP_IOVA_RANGES: u16 = 1;
const CAP_DMA_AVAIL: u16 = 3;

/// The size of a range in the array: its first and its last address.
const RANGE_SIZE: usize = 2 * size_of::<u64>();
/// The offsets of the capabilities, each a multiple of eight bytes.
const DMA_AVAIL_AT: usize = size_of::<Type1Info>();
const IOVA_RANGES_AT: usize = (DMA_AVAIL_AT + size_of::<CapDmaAvail>()).next_multiple_of(8);

impl Type1Info {
    /// The size of the first version of the struct, in bytes. A smaller one is refused.
    pub(crate) const MIN_SIZE: usize = core::mem::offset_of!(Self, cap_offset);

    /// Returns the number of bytes that the caller has room for.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is less than [`MIN_SIZE`](Self::MIN_SIZE).
    pub(crate) fn check(&self) -> Result<usize> {
        let room = self.argsz as usize;

        if room < Self::MIN_SIZE {
            return Err(EINVAL);
        }
        Ok(room)
    }

    /// Fills in the struct, and calls `write` for each part of the capabilities, with the offset of
    /// the part, as far as the caller has room. Capabilities that do not fit only count towards
    /// `argsz`.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub(crate) fn fill(
        &mut self,
        page_sizes: u64,
        ranges: impl Iterator<Item = (u64, u64)>,
        mut write: impl FnMut(usize, &[u8]) -> Result,
    ) -> Result {
        let room = self.argsz as usize;
        let mut write_if_room = |at: usize, bytes: &[u8]| {
            if at + bytes.len() <= room {
                write(at, bytes)
            } else {
                Ok(())
            }
        };
        let avail = CapDmaAvail {
            header: CapHeader::new(CAP_DMA_AVAIL),
            // Only memory limits the number of mappings.
            avail: u32::MAX,
        };
        let mut end = IOVA_RANGES_AT + size_of::<CapIovaRanges>();
        let mut nr_iovas = 0;

        write_if_room(DMA_AVAIL_AT, avail.as_bytes())?;
        for (first, last) in ranges {
            write_if_room(end, [first, last].as_bytes())?;
            end += RANGE_SIZE;
            nr_iovas += 1;
        }
        let has_room = end <= room;

        // The link to a capability is written if the capability begins within the room, and its
        // contents only if all of it fits.
        if IOVA_RANGES_AT <= room {
            write(
                DMA_AVAIL_AT + CapHeader::NEXT,
                (IOVA_RANGES_AT as u32).as_bytes(),
            )?;
        }
        if has_room {
            let header = CapIovaRanges {
                header: CapHeader::new(CAP_IOVA_RANGES),
                nr_iovas,
                reserved: 0,
            };
            write(IOVA_RANGES_AT, header.as_bytes())?;
        }
        self.flags = INFO_PGSIZES | INFO_CAPS;
        self.iova_pgsizes = page_sizes;
        self.cap_offset = if has_room { DMA_AVAIL_AT as u32 } else { 0 };
        self.argsz = u32::try_from(end).unwrap_or(u32::MAX);
        Ok(())
    }
}

/// The IOVAs that every IOMMU is presumed to translate before any page table exists: those that a
/// page table of three levels covers. On x86-64, writes to a window of them are interrupts instead.
const PRESUMED_RANGES: &[(u64, u64)] = if cfg!(CONFIG_X86_64) {
    &[(0, 0xfedf_ffff), (0xfef0_0000, PRESUMED_LAST)]
} else {
    &[(0, PRESUMED_LAST)]
};
const PRESUMED_LAST: u64 = (1 << 39) - 1;

/// Returns the parts of `ranges` that a program may rely on before a device is in the container.
///
/// Some programs query the IOVAs only once, and before they open the device, because VFIO's own
/// container knows them from the group. Some also compute the end of the last range, which 64 bits
/// cannot represent if the whole address space is allowed.
pub(crate) fn presumed(
    ranges: impl Iterator<Item = (u64, u64)>,
) -> impl Iterator<Item = (u64, u64)> {
    ranges.flat_map(|(first, last)| {
        PRESUMED_RANGES.iter().filter_map(move |&(low, high)| {
            let (first, last) = (first.max(low), last.min(high));

            (first <= last).then_some((first, last))
        })
    })
}

#[cfg(test)]
#[path = "../tests/vfio.rs"]
mod tests;
