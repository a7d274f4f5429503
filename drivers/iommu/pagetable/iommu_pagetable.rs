// SPDX-License-Identifier: GPL-2.0

//! IO page tables: the formats that IOMMUs walk, and what is done with them, whatever the format.
//!
//! Pure but for `domain.rs`: `no_std` (Kbuild says so for every crate), nothing of the kernel is called. There is no `unsafe`. Tables live in memory
//! behind a trait ([`TableMemory`]), so the same source runs in the kernel and in tests on the host.
//!
//! | file | what it owns |
//! |---|---|
//! | `format.rs` | what a format is: a type with constants |
//! | `vtd/`, `vmsa/`, `mock.rs` | the formats, with the bits of the specifications |
//! | `page_table.rs` | a page table: a tree of tables, its limits, who may call what |
//! | `place.rs` | the way from the root to an entry |
//! | `map.rs`, `grow.rs`, `unmap.rs`, `cut.rs` | what changes a page table |
//! | `read.rs`, `dirty.rs` | what looks into one |
//! | `gather.rs` | what a device must forget before memory is used again |
//! | `domain.rs` | a page table as the kernel's IOMMU drivers want it |
//!
//! Levels count from the leaves: entries of level 0 are pages. The pictures in
//! `Documentation/driver-api/page-table-formats.rst` have the architectures' numbers beside them.

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
pub use format::{Format, Leaf};
pub use gather::Gather;
pub use mock::Mock;
pub use page_table::{Limits, PageTable};
pub use permissions::Permissions;
pub use read::View;
