// SPDX-License-Identifier: GPL-2.0

//! IO page tables in the formats that IOMMUs walk, and the operations on them.
//!
//! An IOMMU driver chooses a format ([`vtd`], [`vmsa`]) and creates a [`DomainTable`], or a
//! [`PageTable`] where it needs more than that offers.
//!
//! Only `domain.rs` calls the kernel, and no file contains `unsafe`. The memory of the tables is
//! behind a trait ([`TableMemory`]), so that the same source is tested on the host.
//!
//! | file | contents |
//! |---|---|
//! | `format.rs` | the trait of a format: constants and the meaning of bits |
//! | `vtd.rs`, `vmsa.rs`, `mock.rs` | the formats, with the bits of the specifications |
//! | `page_table.rs` | a page table: a tree of tables and its limits |
//! | `place.rs` | the path from the root to an entry |
//! | `map.rs`, `grow.rs`, `unmap.rs`, `cut.rs` | the operations that change a page table |
//! | `read.rs`, `dirty.rs` | lookups, and the pages that the device has written to |
//! | `gather.rs` | the IOTLB invalidations that an operation requires |
//! | `domain.rs` | a page table for the paging domain of an IOMMU driver |
//!
//! Levels are counted from the leaves: entries of level 0 are pages. The pictures in
//! `Documentation/driver-api/page-table-formats.rst` also show the level numbers of the
//! architectures.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod base;
mod cut;
mod dirty;
mod domain;
mod error;
mod format;
mod gather;
mod grow;
mod map;
mod mock;
mod page_table;
mod permissions;
mod place;
mod read;
mod unmap;
pub mod vmsa;
pub mod vtd;

pub use base::{Access, CountField, MemoryKind, PhysRun, TableLayout, TableMemory, TableShape};
pub use domain::DomainTable;
pub use error::Error;
pub use format::{Format, Leaf, Pattern};
pub use gather::Gather;
pub use mock::Mock;
pub use page_table::{Limits, PageTable};
pub use permissions::Permissions;
pub use read::View;
