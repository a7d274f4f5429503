// SPDX-License-Identifier: GPL-2.0

//! The formats of Intel VT-d (Virtualization Technology for Directed I/O, Architecture
//! Specification, revision 4): second-stage tables (3.7, 9.8) and first-stage tables (3.6, 9.7).
//!
//! Both have tables of 512 entries and pages of 4 KiB, 2 MiB and 1 GiB. Where the hardware's
//! capabilities lack a size (CAP_REG.SLLPS, FS1GP), the driver leaves it out of the limits of a
//! page table.

use crate::base::AddressField;

mod first_stage;
mod second_stage;

pub use first_stage::{FirstStage, FirstStageOptions};
pub use second_stage::{SecondStage, SecondStageOptions};

/// Bits 51:12, the address in entries of both formats.
const ADDRESS: u64 = ((1 << 52) - 1) & !((1 << 12) - 1);
/// The same bits, as the address of a page.
const PAGE_ADDRESS: AddressField = AddressField {
    own: ADDRESS,
    high: (0, 0),
};
/// Above level 0, the entry is a page and not a table.
const PAGE_SIZE: u64 = 1 << 7;
/// The hardware ignores this bit of pages of both formats. It marks pages that are mapped as MMIO,
/// which VT-d does not distinguish from memory.
const IGNORED_MMIO: u64 = 1 << 52;
