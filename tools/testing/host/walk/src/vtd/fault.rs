// SPDX-License-Identifier: GPL-2.0

//! The faults of VT-d, and the numbers that it records for them.
//!
//! The numbers are the fault reasons of section 7.1.3; legacy mode and scalable mode each have a
//! set of their own. The number of a cause depends on the stage, and on the access for which the
//! second stage was walked. Only this file deals with that.

use crate::{Stage, TableVisit};
use core::fmt;

/// A fault of VT-d.
pub type Fault = crate::Fault<Cause>;

/// The cause of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The request executes, and ERE is clear in the PASID-table entry.
    ExecuteDisabled,
    /// The request has supervisor privilege, and SRE is clear in the PASID-table entry.
    SupervisorDisabled,
    /// The upper bits of the address are not copies of its sign.
    NonCanonical,
    /// The address has more bits than the second stage translates.
    BeyondWidth,
    /// The top table cannot be read.
    RootAccess,
    /// A table below the top cannot be read.
    EntryAccess,
    /// The entry is not present: P, or R and W, are clear.
    NotPresent,
    /// A reserved bit is set in an entry that is present.
    Reserved,
    /// An entry requires supervisor privilege, and the request has none.
    Privilege,
    /// The page may not be executed.
    NoExecute,
    /// The page may not be written.
    NoWrite,
    /// The page may not be read.
    NoRead,
    /// The output address is in the interrupt address range.
    InterruptRange,
    /// An accessed or dirty flag cannot be set.
    UpdateFailed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExecuteDisabled => "execute requests are not enabled",
            Self::SupervisorDisabled => "supervisor requests are not enabled",
            Self::NonCanonical => "address is not canonical",
            Self::BeyondWidth => "address is beyond the address width",
            Self::RootAccess => "top table cannot be accessed",
            Self::EntryAccess => "table cannot be accessed",
            Self::NotPresent => "entry is not present",
            Self::Reserved => "reserved bit is set",
            Self::Privilege => "user access to a supervisor page",
            Self::NoExecute => "no execute permission",
            Self::NoWrite => "no write permission",
            Self::NoRead => "no read permission",
            Self::InterruptRange => "output is in the interrupt address range",
            Self::UpdateFailed => "accessed or dirty flag cannot be set",
        })
    }
}

impl Fault {
    /// Returns the fault reason in legacy mode (FR of the fault recording register, section 7.1.3).
    ///
    /// Legacy mode has no first stage and sets no flags. The faults of these are `None`.
    #[must_use]
    pub const fn legacy_reason(&self) -> Option<u8> {
        if matches!(self.stage, Stage::One) {
            return None;
        }
        match self.cause {
            Cause::RootAccess => Some(0x3),
            Cause::BeyondWidth => Some(0x4),
            Cause::NoWrite => Some(0x5),
            Cause::NoRead => Some(0x6),
            // Legacy mode does not distinguish an absent entry from one that denies the access.
            Cause::NotPresent if self.access.request.writes() => Some(0x5),
            Cause::NotPresent => Some(0x6),
            Cause::EntryAccess => Some(0x7),
            Cause::Reserved => Some(0xc),
            Cause::InterruptRange => Some(0xe),
            _ => None,
        }
    }

    /// Returns the fault reason in scalable mode (FR of the fault recording register, section
    /// 7.1.3).
    #[must_use]
    pub const fn scalable_reason(&self) -> u8 {
        match (self.stage, self.table) {
            (Stage::One, _) => self.first_stage_reason(),
            (Stage::Two, None) => self.second_stage_reason(),
            (Stage::Two, Some(visit)) => self.nested_reason(visit),
        }
    }

    /// Returns SPT.5 and SPT.6, SFS.1 to SFS.4, SFS.10, SGN.1 to SGN.8.
    const fn first_stage_reason(&self) -> u8 {
        match self.cause {
            Cause::ExecuteDisabled => 0x5c,
            Cause::SupervisorDisabled => 0x5d,
            Cause::EntryAccess => 0x70,
            Cause::NotPresent => 0x71,
            Cause::Reserved => 0x72,
            Cause::RootAccess => 0x73,
            Cause::UpdateFailed => 0x91,
            _ => self.general_reason(),
        }
    }

    /// Returns SSS.1 to SSS.4, SSS.6, SGN.5 to SGN.8.
    const fn second_stage_reason(&self) -> u8 {
        match self.cause {
            Cause::EntryAccess => 0x78,
            Cause::NotPresent => 0x79,
            Cause::Reserved => 0x7a,
            Cause::RootAccess => 0x7b,
            Cause::UpdateFailed => 0x92,
            _ => self.general_reason(),
        }
    }

    /// Returns SFS.5 to SFS.8 if the second stage does not allow the walk of the first stage to
    /// read an entry, or to set a flag. Faults of the second stage's own tables have their usual
    /// numbers.
    const fn nested_reason(&self, visit: TableVisit) -> u8 {
        match self.cause {
            Cause::BeyondWidth => 0x74,
            Cause::NotPresent | Cause::NoRead | Cause::NoWrite if visit.update => 0x77,
            Cause::NotPresent | Cause::NoRead if visit.top => 0x75,
            Cause::NotPresent | Cause::NoRead => 0x76,
            _ => self.second_stage_reason(),
        }
    }

    /// Returns the reasons that do not depend on the stage.
    const fn general_reason(&self) -> u8 {
        match self.cause {
            Cause::NonCanonical => 0x80,
            Cause::Privilege => 0x81,
            Cause::NoExecute => 0x82,
            Cause::BeyondWidth => 0x84,
            Cause::NoWrite => 0x85,
            Cause::InterruptRange => 0x87,
            _ => 0x86,
        }
    }
}

/// A field that the hardware reports as an invalid context or PASID-table entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// The stage does not have this number of levels (address width AW, or FSPM).
    Levels,
    /// The host or guest address width is not possible.
    Width,
    /// The top table is not at a multiple of 4 KiB below 2^HAW.
    Root,
}

impl ConfigError {
    /// Returns the fault reason in legacy mode (section 7.1.3, LCT).
    #[must_use]
    pub const fn legacy_reason(self) -> u8 {
        match self {
            Self::Levels | Self::Width => 0x3,
            Self::Root => 0xb,
        }
    }

    /// Returns the fault reason in scalable mode (section 7.1.3, SPT).
    #[must_use]
    pub const fn scalable_reason(self) -> u8 {
        match self {
            Self::Levels | Self::Width => 0x5b,
            Self::Root => 0x5a,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Levels => "the stage has no such number of levels",
            Self::Width => "no such address width",
            Self::Root => "the top table is misaligned or beyond the host address width",
        })
    }
}
