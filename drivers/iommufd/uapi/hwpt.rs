// SPDX-License-Identifier: GPL-2.0

//! The commands on hardware: its capabilities and its page tables.

use super::{known, Command};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOPNOTSUPP};

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
}

impl HwptFlags {
    /// Checks that page tables with these flags are offered. A feature is offered only if programs
    /// can use all of it, so that they do not find out later that a part is missing.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if they are not.
    pub(crate) fn check_offered(self, offer: HwptOffer) -> Result {
        let refused =
            self.nest_parent && !offer.parents || (self.faults || self.pasid) && !offer.features;

        if self.dirty_tracking || refused {
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
        // The lowest bit is dirty tracking, which this module does not have. The last one is
        // inverted: it says that ATS cannot be used.
        u64::from(self.pasid_exec) << 1
            | u64::from(self.pasid_privileged) << 2
            | u64::from(!self.ats) << 3
    }
}
