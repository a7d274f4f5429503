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
    /// What the option belongs to; zero is the context.
    pub(crate) object_id: u32,
    /// The value, or result: the value.
    pub(crate) val64: u64,
}
command!(IommuOption, 0x87, up to val64: u64);

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionId {
    /// `IOMMU_OPTION_RLIMIT_MODE` of the context: pinned pages count against the process, as VFIO
    /// has it, instead of the user.
    RlimitMode,
    /// `IOMMU_OPTION_HUGE_PAGES` of an address space: contiguous memory may be mapped with large
    /// pages.
    HugePages,
}

/// What to do with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionOp {
    /// Sets it to a value.
    Set(u64),
    /// Reads it.
    Get,
}

impl IommuOption {
    /// Where the value is, from the start of the struct.
    pub(crate) const VALUE_AT: usize = core::mem::offset_of!(Self, val64);

    /// Which option it is.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for one that is not known, and if the reserved field is used.
    pub(crate) fn check(&self) -> Result<OptionId> {
        known(self.reserved.into(), 0)?;
        match self.option_id {
            0 => Ok(OptionId::RlimitMode),
            1 => Ok(OptionId::HugePages),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// What to do with it.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for what is not known.
    pub(crate) fn op(&self) -> Result<OptionOp> {
        match self.op {
            0 => Ok(OptionOp::Set(self.val64)),
            1 => Ok(OptionOp::Get),
            _ => Err(EOPNOTSUPP),
        }
    }
}

/// `IOMMU_VFIO_IOAS`: chooses the address space that the ioctls of the VFIO container work on.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct VfioIoas {
    size: u32,
    /// The IO address space, or result: its ID.
    pub(crate) ioas_id: u32,
    op: u16,
    reserved: u16,
}
command!(VfioIoas, 0x88, up to reserved: u16);

/// What to do with the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VfioIoasOp {
    /// Tells what is chosen.
    Get,
    /// Chooses.
    Set,
    /// Nothing is chosen any more.
    Clear,
}

impl VfioIoas {
    /// What to do.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for what is not known, and if the reserved field is used.
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
