// SPDX-License-Identifier: GPL-2.0

//! The stages of Arm's VMSAv8-64 as an SMMUv3 walks them (Arm ARM DDI 0487, chapter D8; SMMUv3 IHI
//! 0070, sections 3.4 for sizes, 3.13 for flags, 5.2 and 5.4 for the fields, 7.3 for the events).
//!
//! These begin where a stream table entry, and a context descriptor, have been found valid in all
//! that is not about translation, and end with the address on the bus. Stage 1 is that of the
//! non-secure EL1&0 regime. Descriptors have 64 bits; addresses have 48, and 52 where they come out
//! of tables with granules of 64 KiB. The small tables of STT, the 52-bit virtual addresses of VAX
//! and the descriptors of LPA2 are not known here: the constructors refuse them. Levels are counted
//! as Arm does: 0 is the topmost that there is, 3 that of the smallest page.

mod fault;
mod geometry;
mod nested;
mod stage1;
mod stage2;

pub use fault::{Cause, Class, ConfigError, Event, Fault, Illegal};
pub use geometry::Granule;
pub use nested::Nested;
pub use stage1::{Stage1, Stage1Config, TableConfig};
pub use stage2::{Stage2, Stage2Config};

/// What the hardware sets in descriptors by itself (HTTU: HA and HD of a CD, S2HA and S2HD).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagUpdates {
    /// Nothing.
    None,
    /// The access flag.
    Access,
    /// The access flag, and the dirty state of pages that have DBM.
    AccessAndDirty,
}

/// AF: the page has been used.
const ACCESS_FLAG: u64 = 1 << 10;
/// DBM: without permission to write, the page is clean rather than read-only.
const DIRTY_BIT_MODIFIER: u64 = 1 << 51;

/// A descriptor after its access flag has been looked at: what it becomes, or the fault.
///
/// `faultless` is AFFD: a clear flag is as good as a set one. Setting it comes first.
const fn with_access_flag(
    descriptor: u64,
    updates: FlagUpdates,
    faultless: bool,
) -> Result<u64, Cause> {
    if descriptor & ACCESS_FLAG != 0 {
        return Ok(descriptor);
    }
    match updates {
        FlagUpdates::Access | FlagUpdates::AccessAndDirty => Ok(descriptor | ACCESS_FLAG),
        FlagUpdates::None if faultless => Ok(descriptor),
        FlagUpdates::None => Err(Cause::AccessFlag),
    }
}

/// Is a page clean rather than read-only, if it says that it cannot be written?
fn is_dirty_managed(descriptor: u64, updates: FlagUpdates) -> bool {
    updates == FlagUpdates::AccessAndDirty && descriptor & DIRTY_BIT_MODIFIER != 0
}
