// SPDX-License-Identifier: GPL-2.0

//! The ioctls of the VFIO container, `include/uapi/linux/vfio.h`, as far as they work on the
//! address space behind it.
//!
//! These structs begin with `argsz`, how many bytes the caller has room for. Flags that are not
//! known are `EINVAL` here.

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

/// The version of the API, the only one.
pub(crate) const API_VERSION: isize = 0;

/// Address spaces whose areas can be unmapped in part.
pub(crate) const TYPE1_IOMMU: usize = 1;
/// Address spaces whose areas are unmapped as a whole.
pub(crate) const TYPE1V2_IOMMU: usize = 3;
/// All DMA is coherent, whatever devices ask for.
pub(crate) const DMA_CC_IOMMU: usize = 4;
/// No IOMMU at all.
pub(crate) const NOIOMMU_IOMMU: usize = 8;
/// Everything can be unmapped at once.
pub(crate) const UNMAP_ALL: usize = 9;

const MAP_READ: u32 = 1 << 0;
const MAP_WRITE: u32 = 1 << 1;
const UNMAP_FLAG_ALL: u32 = 1 << 1;

/// `EINVAL` if the caller has less than a whole `T`, or flags other than `known`.
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
    /// Where to map it.
    pub(crate) iova: u64,
    /// Length in bytes.
    pub(crate) size: u64,
}

impl DmaMap {
    /// Whether the device may read, and whether it may write.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the struct is too short, or there are flags that are not known.
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
    /// Length in bytes; result: how much was mapped there.
    pub(crate) size: u64,
}

impl DmaUnmap {
    /// Whether everything is to be unmapped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the struct is too short, or there are flags that are not known.
    pub(crate) fn check(&self) -> Result<bool> {
        check::<Self>(self.argsz, self.flags, UNMAP_FLAG_ALL)?;
        Ok(self.flags & UNMAP_FLAG_ALL != 0)
    }

    /// Whether no range is named, as it must be where everything is meant.
    pub(crate) fn is_without_range(&self) -> bool {
        self.iova == 0 && self.size == 0
    }

    /// The range.
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

    /// The addresses that must be the last of an area so that the range can be unmapped: its own
    /// last, and the one below it if there is one.
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

/// What every capability begins with: `struct vfio_info_cap_header`.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapHeader {
    id: u16,
    version: u16,
    /// Where the next one is, from the start of the info; zero behind the last.
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

/// How many more mappings there may be.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CapDmaAvail {
    header: CapHeader,
    avail: u32,
}

/// What may be mapped; an array of ranges follows.
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
/// Where the capabilities are. Each begins at a multiple of eight bytes.
const DMA_AVAIL_AT: usize = size_of::<Type1Info>();
const IOVA_RANGES_AT: usize = (DMA_AVAIL_AT + size_of::<CapDmaAvail>()).next_multiple_of(8);

impl Type1Info {
    /// What the caller has to pass: the fields of the first version.
    pub(crate) const MIN_SIZE: usize = core::mem::offset_of!(Self, cap_offset);

    /// How many bytes the caller has room for.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is less than the fields of the first version.
    pub(crate) fn check(&self) -> Result<usize> {
        let room = self.argsz as usize;

        if room < Self::MIN_SIZE {
            return Err(EINVAL);
        }
        Ok(room)
    }

    /// Fills it in, and lets `write` put the capabilities behind it, each at its offset, as far as
    /// there is room. Those that do not fit are only counted.
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
            // Memory is what limits them.
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

        // Linked wherever it begins within the room, and only there if all of it fits.
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

/// The IOVAs that IOMMUs translate as far as is known before any page table exists: those that
/// every page table of three levels covers. On x86-64, writes to a window of them are interrupts
/// instead.
const PRESUMED_RANGES: &[(u64, u64)] = if cfg!(CONFIG_X86_64) {
    &[(0, 0xfedf_ffff), (0xfef0_0000, PRESUMED_LAST)]
} else {
    &[(0, PRESUMED_LAST)]
};
const PRESUMED_LAST: u64 = (1 << 39) - 1;

/// The parts of `ranges` that a program may count on before a device is in the container.
///
/// Some programs ask which IOVAs there are only once, and before they open the device, as VFIO's
/// own container knows from the group. Some of them also compute the end of the last range, which
/// 64 bits cannot hold if everything is allowed.
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
