// SPDX-License-Identifier: GPL-2.0

//! The commands on hardware: its capabilities and its page tables.

use super::{known, Command};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOPNOTSUPP, EOVERFLOW};

/// Other page tables may be nested on this one.
const HWPT_NEST_PARENT: u32 = 1 << 0;
/// It records which memory was written to.
const HWPT_DIRTY_TRACKING: u32 = 1 << 1;
/// `fault_id` is the fault queue that its faults go to.
const HWPT_FAULT_ID_VALID: u32 = 1 << 2;
/// Devices that use PASIDs may be attached to it.
const HWPT_PASID: u32 = 1 << 3;

/// The type of absent data.
const HWPT_DATA_NONE: u32 = 0;

/// `IOMMU_HWPT_ALLOC`: allocates a page table.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct HwptAlloc {
    size: u32,
    flags: u32,
    /// ID of the device that it is to suit.
    pub(crate) dev_id: u32,
    /// ID of the IO address space that it mirrors, or of the parent that it is nested on.
    pub(crate) pt_id: u32,
    /// Result: its ID.
    pub(crate) out_hwpt_id: u32,
    reserved: u32,
    /// Type of the data at `data_uptr`.
    pub(crate) data_type: u32,
    /// Length of the data in bytes.
    pub(crate) data_len: u32,
    /// User address of data for the IOMMU driver.
    pub(crate) data_uptr: u64,
    /// The ID of the fault queue that its faults go to.
    pub(crate) fault_id: u32,
    reserved2: u32,
}
command!(HwptAlloc, 0x89, up to reserved: u32);

/// The flags of a page table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HwptFlags {
    /// Other page tables may be nested on it.
    pub(crate) nest_parent: bool,
    /// It records which memory was written to.
    pub(crate) dirty_tracking: bool,
    /// Its faults go to `fault_id`.
    pub(crate) faults: bool,
    /// Devices that use PASIDs may be attached to it.
    pub(crate) pasid: bool,
}

/// The page tables on an IO address space that can be allocated for a device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HwptOffer {
    /// Those with flags or data, of which the driver of the IOMMU may still refuse any.
    pub(crate) features: bool,
    /// Parents: those that other page tables may be nested on.
    pub(crate) parents: bool,
    /// Those that record which memory was written to.
    pub(crate) dirty_tracking: bool,
}

impl HwptFlags {
    /// Checks that page tables with these flags are offered. A feature is offered only if programs
    /// can use all of it, so that they do not find out later that a part is missing.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if they are not.
    pub(crate) fn check_offered(self, offer: HwptOffer) -> Result {
        let needs_features = self.faults || self.pasid || self.dirty_tracking;

        if self.nest_parent && !offer.parents
            || needs_features && !offer.features
            || self.dirty_tracking && !offer.dirty_tracking
        {
            return Err(EOPNOTSUPP);
        }
        Ok(())
    }
}

impl HwptAlloc {
    /// Checks that the fields are consistent.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the reserved field is not zero (the second one is not checked); `EINVAL` for
    /// data without a type, or a type without data.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)?;
        if (self.data_type == HWPT_DATA_NONE) != (self.data_len == 0) {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Checks the fields for a page table that is nested on another one.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for flags that such a page table cannot have, and if there is no data.
    pub(crate) fn check_nested(&self) -> Result {
        known(self.flags, HWPT_FAULT_ID_VALID | HWPT_PASID)?;
        if self.data_len == 0 {
            return Err(EOPNOTSUPP);
        }
        Ok(())
    }

    /// Decodes the flags of a page table on an IO address space.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for unknown flags, and for flags that exclude each other.
    pub(crate) fn paging_flags(&self) -> Result<HwptFlags> {
        known(
            self.flags,
            HWPT_NEST_PARENT | HWPT_DIRTY_TRACKING | HWPT_FAULT_ID_VALID | HWPT_PASID,
        )?;
        let flags = HwptFlags {
            nest_parent: self.flags & HWPT_NEST_PARENT != 0,
            dirty_tracking: self.flags & HWPT_DIRTY_TRACKING != 0,
            faults: self.flags & HWPT_FAULT_ID_VALID != 0,
            pasid: self.flags & HWPT_PASID != 0,
        };

        if flags.nest_parent && flags.faults {
            return Err(EOPNOTSUPP);
        }
        Ok(flags)
    }
}

/// Writes are recorded from now on.
const DIRTY_TRACKING_ENABLE: u32 = 1 << 0;

/// `IOMMU_HWPT_SET_DIRTY_TRACKING`: starts or stops to record writes.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct HwptSetDirtyTracking {
    size: u32,
    flags: u32,
    /// ID of the page table.
    pub(crate) hwpt_id: u32,
    reserved: u32,
}
command!(HwptSetDirtyTracking, 0x8b, up to reserved: u32);

impl HwptSetDirtyTracking {
    /// Returns whether writes are recorded from now on. The reserved field is not checked.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for unknown flags.
    pub(crate) fn enable(&self) -> Result<bool> {
        known(self.flags, DIRTY_TRACKING_ENABLE)?;
        Ok(self.flags & DIRTY_TRACKING_ENABLE != 0)
    }
}

/// The record stays as it is.
const GET_DIRTY_BITMAP_NO_CLEAR: u32 = 1 << 0;

/// `IOMMU_HWPT_GET_DIRTY_BITMAP`: reads which memory was written to.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct HwptGetDirtyBitmap {
    size: u32,
    /// ID of the page table.
    pub(crate) hwpt_id: u32,
    flags: u32,
    reserved: u32,
    /// The first IOVA, to which bit 0 belongs.
    pub(crate) iova: u64,
    /// The length of the range in bytes.
    pub(crate) length: u64,
    /// Number of bytes that a bit stands for. If it is not a power of two, its lowest bit counts.
    pub(crate) page_size: u64,
    /// User address of the bitmap, which need not be aligned.
    pub(crate) data: u64,
}
command!(HwptGetDirtyBitmap, 0x8c, up to data: u64);

impl HwptGetDirtyBitmap {
    /// Returns whether the record is to be cleared.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for unknown flags, and if the reserved field is not zero.
    pub(crate) fn clears(&self) -> Result<bool> {
        known(self.flags, GET_DIRTY_BITMAP_NO_CLEAR)?;
        known(self.reserved, 0)?;
        Ok(self.flags & GET_DIRTY_BITMAP_NO_CLEAR == 0)
    }

    /// Returns the first and the last IOVA of the range, both inclusive. `alignment` is that of the
    /// address space, a power of two.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty range, and for one that is not aligned to `alignment` and to
    /// `page_size`, which is not zero; `EOVERFLOW` for a range past the end of the address space.
    pub(crate) fn range(&self, alignment: u64) -> Result<(u64, u64)> {
        let more = self.length.checked_sub(1).ok_or(EINVAL)?;
        let last = self.iova.checked_add(more).ok_or(EOVERFLOW)?;
        let end = last.wrapping_add(1);

        for size in [alignment, self.page_size] {
            if (self.iova | end) & size.checked_sub(1).ok_or(EINVAL)? != 0 {
                return Err(EINVAL);
            }
        }
        Ok((self.iova, last))
    }
}

/// `in_data_type` is the kind of information that is requested.
const HW_INFO_INPUT_TYPE: u32 = 1 << 0;

/// `IOMMU_GET_HW_INFO`: reports the capabilities of the IOMMU of a device.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct GetHwInfo {
    size: u32,
    flags: u32,
    /// ID of the device.
    pub(crate) dev_id: u32,
    /// Size of the buffer at `data_uptr` in bytes; result: length of the information.
    pub(crate) data_len: u32,
    /// User address of the buffer for the information of the IOMMU driver.
    pub(crate) data_uptr: u64,
    /// Kind of information that is requested; result: kind that was written.
    pub(crate) data_type: u32,
    /// Result: the width of PASIDs of the device in bits; zero without PASIDs.
    pub(crate) out_max_pasid_log2: u8,
    reserved: [u8; 3],
    /// Result: the capabilities, see [`HwCapabilities`].
    pub(crate) out_capabilities: u64,
}
command!(GetHwInfo, 0x8a, up to reserved: [u8; 3]);

impl GetHwInfo {
    /// Returns the kind of information that is requested; zero leaves it to the driver.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for unknown flags, and if the reserved field is not zero.
    pub(crate) fn check(&self) -> Result<u32> {
        known(self.flags, HW_INFO_INPUT_TYPE)?;
        if self.reserved != [0; 3] {
            return Err(EOPNOTSUPP);
        }
        Ok(if self.flags & HW_INFO_INPUT_TYPE != 0 {
            self.data_type
        } else {
            0
        })
    }
}

/// The capabilities of an IOMMU for a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HwCapabilities {
    /// Page tables record which memory the device has written to.
    pub(crate) dirty_tracking: bool,
    /// The device may ask for permission to execute, with a PASID.
    pub(crate) pasid_exec: bool,
    /// The device may ask for privileged accesses, with a PASID.
    pub(crate) pasid_privileged: bool,
    /// The device may ask for translations.
    pub(crate) ats: bool,
}

impl HwCapabilities {
    /// Returns the bits of the ABI.
    pub(crate) fn bits(self) -> u64 {
        // The last one is inverted: it says that ATS cannot be used.
        u64::from(self.dirty_tracking)
            | u64::from(self.pasid_exec) << 1
            | u64::from(self.pasid_privileged) << 2
            | u64::from(!self.ats) << 3
    }
}
