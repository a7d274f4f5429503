// SPDX-License-Identifier: GPL-2.0

//! The stages of Arm's VMSAv8-64 as an SMMUv3 walks them (Arm ARM DDI 0487, chapter D8; SMMUv3 IHI
//! 0070, sections 3.4 for sizes, 3.13 for flags, 5.2 and 5.4 for the fields, 7.3 for the events).
//!
//! A walk begins with the fields of a stream table entry, and of a context descriptor, that are
//! about translation, and ends with the address on the bus. Stage 1 is that of the non-secure EL1&0
//! regime. Descriptors have 64 bits. Addresses have 48 bits; those that tables with granules of 64
//! KiB put out have 52. The constructors refuse the small tables of STT, the 52-bit virtual
//! addresses of VAX and the descriptors of LPA2. Levels are counted as Arm does: 0 is the topmost
//! level, 3 that of the smallest page.

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

/// The flags that the hardware sets in descriptors (HTTU: HA and HD of a CD, S2HA and S2HD).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagUpdates {
    /// None.
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

/// Returns a descriptor with its access flag as the hardware updates it, or the fault.
///
/// `faultless` is AFFD: a clear flag is no fault. Where the hardware sets the flag, it does so
/// even then.
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

/// Returns whether a page without permission to write is clean rather than read-only.
fn is_dirty_managed(descriptor: u64, updates: FlagUpdates) -> bool {
    updates == FlagUpdates::AccessAndDirty && descriptor & DIRTY_BIT_MODIFIER != 0
}
