// SPDX-License-Identifier: GPL-2.0

//! The formats of IO page tables that IOMMUs walk, for the page tables of `kernel_ext::iommu::table`.
//!
//! Pure but for `domain.rs`: `no_std` (Kbuild says so for every crate), nothing of the kernel is called.
//! There is no `unsafe`, and the same source runs in the kernel and in tests on the host.
//!
//! | file | what it owns |
//! |---|---|
//! | `vtd/`, `vmsa/`, `mock.rs` | the formats, with the bits of the specifications |
//! | `domain.rs` | a page table as the kernel's IOMMU drivers want it |
//!
//! The pictures in `Documentation/driver-api/page-table-formats.rst` have the architectures' numbers
//! of levels beside ours.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod base;
mod domain;
mod mock;
pub mod vmsa;
pub mod vtd;

pub use domain::DomainTable;
pub use mock::Mock;
