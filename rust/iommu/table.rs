// SPDX-License-Identifier: GPL-2.0

//! IO page tables: a tree of tables that a device walks, in a format that a driver names, and what
//! can be done with it.
//!
//! A driver names a [`Format`] and gets a [`PageTable`]. It does not see the entries: which memory
//! a page table holds is decided and read back here.
//!
//! | file | what it owns |
//! |---|---|
//! | `word.rs` | a word that CPUs and a device share |
//! | `memory.rs`, `pages.rs` | where tables live: the trait, and the kernel's pages |
//! | `layout.rs` | the shape of a tree and of the links in it |
//! | `tree.rs` | the tables, and the links between them |
//! | `leaf.rs` | how a leaf is put together |
//! | `format.rs`, `permissions.rs` | what a format is: a type with constants |
//! | `page_table.rs`, `error.rs` | a page table: a tree, its limits, who may call what |
//! | `place.rs` | the way from the root to an entry |
//! | `map.rs`, `grow.rs`, `unmap.rs`, `cut.rs` | what changes a page table |
//! | `read.rs`, `dirty.rs` | what looks into one |
//! | `gather.rs` | what a device must forget before memory is used again |
//!
//! `unsafe` is in `word.rs`, `memory.rs`, `pages.rs` and `tree.rs`; the other files are pure and
//! safe, and all but `word.rs` and `pages.rs` are also compiled for the host. Levels count from the
//! leaves: entries of level 0 are pages. The formats of hardware are in `drivers/iommu/pagetable`.

mod cut;
mod dirty;
mod error;
mod format;
mod gather;
mod grow;
mod layout;
mod leaf;
mod map;
mod memory;
mod page_table;
mod pages;
mod permissions;
mod place;
mod read;
mod tree;
mod unmap;
mod word;

use super::run;

pub use dirty::DirtyPage;
pub use error::Error;
pub use format::{Format, Leaf};
pub use gather::Gather;
pub use layout::{CountField, TableLayout, TableShape, MAX_LEVELS};
pub use leaf::{AddressField, LeafLayout, LeafShape, Pattern};
pub use memory::TableMemory;
pub use page_table::{Limits, PageTable};
pub use pages::{IommuPages, RetiredPages, TableAllocation};
pub use permissions::Permissions;
pub use read::View;
pub use word::Word;
