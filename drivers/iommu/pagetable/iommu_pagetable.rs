// SPDX-License-Identifier: GPL-2.0

//! The formats of IO page tables that IOMMUs walk, for the page tables of
//! [`kernel_ext::iommu::table`].
//!
//! An IOMMU driver chooses a format ([`vtd`], [`vmsa`]) for each domain. The formats call no
//! function of the kernel, and no file contains `unsafe`, so that the same source is tested on the
//! host.
//!
//! | file | contents |
//! |---|---|
//! | `vtd.rs`, `vmsa.rs`, `mock.rs` | the formats, with the bits of the specifications |
//!
//! Levels are counted from the leaves: entries of level 0 are pages. The pictures in
//! `Documentation/driver-api/page-table-formats.rst` also show the level numbers of the
//! architectures.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod base;
mod mock;
pub mod vmsa;
pub mod vtd;

pub use mock::Mock;
