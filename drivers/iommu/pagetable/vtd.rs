// SPDX-License-Identifier: GPL-2.0

//! The formats of Intel VT-d (Virtualization Technology for Directed I/O, Architecture
//! Specification, revision 4): second-stage tables (3.7, 9.8) and first-stage tables (3.6, 9.7).
//!
//! Both have tables of 512 entries and pages of 4 KiB, 2 MiB and 1 GiB. Where the hardware's
//! capabilities lack a size (CAP_REG.SLLPS, FS1GP), the driver leaves it out of
//! [`Limits`](crate::Limits).

mod first_stage;
mod second_stage;

pub use first_stage::{FirstStage, FirstStageOptions};
pub use second_stage::{SecondStage, SecondStageOptions};

use crate::base::AddressField;

/// Bits 51:12, the address in entries of both formats.
const ADDRESS: u64 = ((1 << 52) - 1) & !((1 << 12) - 1);
/// The same, as the address of a page.
const PAGE_ADDRESS: AddressField = AddressField {
    own: ADDRESS,
    high: (0, 0),
};
/// A page, not a table, above level 0.
const PAGE_SIZE: u64 = 1 << 7;
/// Ignored by the hardware in pages of both formats: where we note that it is MMIO, which VT-d maps
/// no other than memory.
const IGNORED_MMIO: u64 = 1 << 52;
