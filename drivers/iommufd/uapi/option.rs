// SPDX-License-Identifier: GPL-2.0

//! Options of a context and of its address spaces, the address space of the VFIO container among
//! them.

use super::{known, Command};
use crate::base::{FromBytes, Immutable, IntoBytes, Result, EOPNOTSUPP};

/// `IOMMU_OPTION`: reads or sets an option.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IommuOption {
    size: u32,
    option_id: u32,
    op: u16,
    reserved: u16,
    /// ID of the object that has the option; zero is the context.
    pub(crate) object_id: u32,
    /// The value to set; result: the value.
    pub(crate) val64: u64,
}
command!(IommuOption, 0x87, up to val64: u64);

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionId {
    /// `IOMMU_OPTION_RLIMIT_MODE` of the context: pinned pages count against the limit of the
    /// process, as in VFIO, instead of that of the user.
    RlimitMode,
    /// `IOMMU_OPTION_HUGE_PAGES` of an address space: contiguous memory may be mapped with large
    /// pages.
    HugePages,
}

/// An operation on an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionOp {
    /// Sets the option to a value.
    Set(u64),
    /// Reads the value.
    Get,
}

impl IommuOption {
    /// Offset of the value in the struct, in bytes.
    pub(crate) const VALUE_AT: usize = core::mem::offset_of!(Self, val64);

    /// Returns the option.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for an unknown option, and if the reserved field is not zero.
    pub(crate) fn check(&self) -> Result<OptionId> {
        known(self.reserved.into(), 0)?;
        match self.option_id {
            0 => Ok(OptionId::RlimitMode),
            1 => Ok(OptionId::HugePages),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// Returns the operation.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for an unknown operation.
    pub(crate) fn op(&self) -> Result<OptionOp> {
        match self.op {
            0 => Ok(OptionOp::Set(self.val64)),
            1 => Ok(OptionOp::Get),
            _ => Err(EOPNOTSUPP),
        }
    }
}

/// `IOMMU_VFIO_IOAS`: chooses the address space that the ioctls of the VFIO container use.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct VfioIoas {
    size: u32,
    /// ID of the IO address space; result: the ID of the one that is chosen.
    pub(crate) ioas_id: u32,
    op: u16,
    reserved: u16,
}
command!(VfioIoas, 0x88, up to reserved: u16);

/// An operation on the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VfioIoasOp {
    /// Returns the address space that is chosen.
    Get,
    /// Chooses an address space.
    Set,
    /// Chooses none.
    Clear,
}

impl VfioIoas {
    /// Returns the operation.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for an unknown operation, and if the reserved field is not zero.
    pub(crate) fn check(&self) -> Result<VfioIoasOp> {
        known(self.reserved.into(), 0)?;
        match self.op {
            0 => Ok(VfioIoasOp::Get),
            1 => Ok(VfioIoasOp::Set),
            2 => Ok(VfioIoasOp::Clear),
            _ => Err(EOPNOTSUPP),
        }
    }
}
