// SPDX-License-Identifier: GPL-2.0

//! The sources of `drivers/iommu/pagetable` and of the tree of tables below it, compiled with `std`
//! instead of the kernel.
//!
//! Their tests are in `drivers/iommu/pagetable/tests`.

mod base;
#[path = "../../../../../rust/iommu/tests/bench_memory.rs"]
pub mod bench_memory;
#[path = "../../../../../rust/iommu/tests/host_memory.rs"]
pub mod memory;
#[path = "../../../../../rust/iommu/run.rs"]
mod run;
#[path = "../../../../../rust/iommu/table_layout.rs"]
mod table_layout;
#[path = "../../../../../rust/iommu/table_memory.rs"]
mod table_memory;
#[path = "../../../../../rust/iommu/table_tree.rs"]
mod table_tree;
#[path = "../../../../../rust/iommu/tests/window_memory.rs"]
pub mod window;
mod word;

/// Everything of the kernel's crate except `domain.rs`, which calls the kernel.
#[path = "../../../../../drivers/iommu/pagetable"]
mod pagetable {
    pub(crate) mod cut;
    pub(crate) mod dirty;
    pub(crate) mod error;
    pub(crate) mod format;
    pub(crate) mod gather;
    pub(crate) mod grow;
    pub(crate) mod map;
    pub(crate) mod mock;
    pub(crate) mod page_table;
    pub(crate) mod permissions;
    pub(crate) mod place;
    pub(crate) mod read;
    pub(crate) mod unmap;
    pub mod vmsa;
    pub mod vtd;
}

// The files name each other by their paths in the kernel's crate, `crate::format` for one.
use pagetable::*;

pub use base::{Access, CountField, MemoryKind, PhysRun, TableLayout, TableMemory, TableShape};
pub use pagetable::{
    error::Error,
    format::{Format, Leaf, Pattern},
    gather::Gather,
    mock::Mock,
    page_table::{Limits, PageTable},
    permissions::Permissions,
    read::View,
    vmsa, vtd,
};
