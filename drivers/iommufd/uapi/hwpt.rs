// SPDX-License-Identifier: GPL-2.0

//! The commands on hardware: what it can do, and its page tables.

use super::{known, Command};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EINVAL, EOPNOTSUPP};

/// Other page tables may be nested on this one.
const HWPT_NEST_PARENT: u32 = 1 << 0;
/// It can tell which memory was written to.
const HWPT_DIRTY_TRACKING: u32 = 1 << 1;
/// `fault_id` names who handles its faults.
const HWPT_FAULT_ID_VALID: u32 = 1 << 2;
/// Devices that use PASIDs may be attached to it.
const HWPT_PASID: u32 = 1 << 3;

/// The type of no data at all.
const HWPT_DATA_NONE: u32 = 0;

/// `IOMMU_HWPT_ALLOC`: makes a page table.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct HwptAlloc {
    size: u32,
    flags: u32,
    /// The device that it is to suit.
    pub(crate) dev_id: u32,
    /// The IO address space that it mirrors, or what it is nested on.
    pub(crate) pt_id: u32,
    /// Result: its ID.
    pub(crate) out_hwpt_id: u32,
    reserved: u32,
    /// What is at `data_uptr`.
    pub(crate) data_type: u32,
    /// Length in bytes.
    pub(crate) data_len: u32,
    /// User address of what the IOMMU driver wants to know.
    pub(crate) data_uptr: u64,
    /// The ID of the fault queue that its faults go to.
    pub(crate) fault_id: u32,
    reserved2: u32,
}
command!(HwptAlloc, 0x89, up to reserved: u32);

/// What the flags of a page table ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HwptFlags {
    /// Other page tables may be nested on it.
    pub(crate) nest_parent: bool,
    /// It can tell which memory was written to.
    pub(crate) dirty_tracking: bool,
    /// Its faults go to `fault_id`.
    pub(crate) faults: bool,
    /// Devices that use PASIDs may be attached to it.
    pub(crate) pasid: bool,
}

/// Which page tables on an IO address space can be had for a device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HwptOffer {
    /// Those with flags or data: the IOMMU's driver may also make none of these.
    pub(crate) features: bool,
    /// Those that other page tables may be nested on.
    pub(crate) parents: bool,
}

impl HwptFlags {
    /// Whether there are page tables that are what the flags ask for. A feature is offered once
    /// programs can use it: before, they would find out too late that it is missing.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if not.
    pub(crate) fn check_offered(self, offer: HwptOffer) -> Result {
        let unusable = self.dirty_tracking || self.pasid;

        if unusable || self.nest_parent && !offer.parents || self.faults && !offer.features {
            return Err(EOPNOTSUPP);
        }
        Ok(())
    }
}

impl HwptAlloc {
    /// Whether the fields go together.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the reserved field is used (the second one is not looked at); `EINVAL` for
    /// data without a type, or a type without data.
    pub(crate) fn check(&self) -> Result {
        known(self.reserved, 0)?;
        if (self.data_type == HWPT_DATA_NONE) != (self.data_len == 0) {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Whether a page table may be asked for that is nested on another one.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for flags that such a page table cannot have, and without data on it.
    pub(crate) fn check_nested(&self) -> Result {
        known(self.flags, HWPT_FAULT_ID_VALID | HWPT_PASID)?;
        if self.data_len == 0 {
            return Err(EOPNOTSUPP);
        }
        Ok(())
    }

    /// What is asked for on an IO address space.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for flags that are not known or do not go together.
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

/// `in_data_type` says what is wanted.
const HW_INFO_INPUT_TYPE: u32 = 1 << 0;

/// `IOMMU_GET_HW_INFO`: what the IOMMU of a device can do.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct GetHwInfo {
    size: u32,
    flags: u32,
    /// The device.
    pub(crate) dev_id: u32,
    /// Room at `data_uptr` in bytes; result: how much there is to say.
    pub(crate) data_len: u32,
    /// User address of what the IOMMU driver says.
    pub(crate) data_uptr: u64,
    /// What it is to say; result: what it has said.
    pub(crate) data_type: u32,
    /// Result: the width of its PASIDs in bits; zero without PASIDs.
    pub(crate) out_max_pasid_log2: u8,
    reserved: [u8; 3],
    /// Result: what it can do, see [`HwCapabilities`].
    pub(crate) out_capabilities: u64,
}
command!(GetHwInfo, 0x8a, up to reserved: [u8; 3]);

impl GetHwInfo {
    /// What is wanted; zero leaves it to the driver.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for flags that are not known, and if the reserved field is used.
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

/// What an IOMMU can do for a device.
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
    /// As user space reads them.
    pub(crate) fn bits(self) -> u64 {
        // The lowest bit is dirty tracking, which this module does not have. The last one says what
        // cannot be done.
        u64::from(self.pasid_exec) << 1
            | u64::from(self.pasid_privileged) << 2
            | u64::from(!self.ats) << 3
    }
}
