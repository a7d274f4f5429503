// SPDX-License-Identifier: GPL-2.0

//! The stages of Intel VT-d (Architecture Specification, revision 4; sections 3.6 to 3.8 and 9.6 to
//! 9.8 for the entries, 7.1.3 for the faults).
//!
//! A walk begins with a valid root, context or PASID-table entry, and ends with the address on the
//! bus. Requests *to* the interrupt address range are not translated: the hardware takes those
//! without a PASID for interrupts before. Levels are counted as the specification does: 1 is the
//! entry of a 4 KiB page, 5 that of PML5.

mod fault;
mod first_stage;
mod nested;
mod second_stage;

pub use fault::{Cause, ConfigError, Fault};
pub use first_stage::{FirstStage, FirstStageConfig};
pub use nested::Nested;
pub use second_stage::{SecondStage, SecondStageConfig};

use super::bits;

/// Bits of the address that one level resolves.
const STRIDE: u32 = 9;

/// Entries of levels 2 and 3 with this bit map a page. Above, it is reserved in both stages.
const PAGE_SIZE: u64 = 1 << 7;

/// Log2 of the bytes that an entry of this level covers, 1 being the lowest.
const fn shift(level: u32) -> u32 {
    12 + STRIDE * (level - 1)
}

/// Returns the address of the entry for `input` in a table of this level.
const fn slot(table: u64, level: u32, input: u64) -> u64 {
    table | (((input >> shift(level)) & bits(0, STRIDE)) << 3)
}

/// Returns the address of a table or page in an entry whose reserved bits are zero.
const fn address(entry: u64, low: u32) -> u64 {
    entry & bits(low, 52)
}

/// Returns the cause of the fault if an entry cannot be read, or a flag in it cannot be set.
const fn inaccessible(update: bool, top: bool) -> Cause {
    match (update, top) {
        (true, _) => Cause::UpdateFailed,
        (false, true) => Cause::RootAccess,
        (false, false) => Cause::EntryAccess,
    }
}

/// Returns whether this can be the address of a table, given the host address width in bits.
const fn valid_root(root: u64, host_bits: u32) -> bool {
    root & !bits(12, host_bits) == 0
}

/// Returns whether host-physical addresses may have this many bits.
const fn valid_host_bits(host_bits: u32) -> bool {
    host_bits >= 32 && host_bits <= 52
}

/// Returns whether writes to this address are taken for interrupts (section 3.14).
const fn in_interrupt_range(output: u64) -> bool {
    output >> 20 == 0xfee
}
