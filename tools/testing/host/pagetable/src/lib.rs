// SPDX-License-Identifier: GPL-2.0

//! `drivers/iommu/pagetable` and the tree of tables below it, as they stand there, over `std`
//! instead of the kernel.
//!
//! Their tests lie in `drivers/iommu/pagetable/tests`.

mod base;
#[path = "../../../../../rust/iommu/tests/bench_memory.rs"]
pub mod bench_memory;
#[path = "../../../../../drivers/iommu/pagetable/cut.rs"]
mod cut;
#[path = "../../../../../drivers/iommu/pagetable/dirty.rs"]
mod dirty;
#[path = "../../../../../drivers/iommu/pagetable/error.rs"]
mod error;
#[path = "../../../../../drivers/iommu/pagetable/format.rs"]
mod format;
#[path = "../../../../../drivers/iommu/pagetable/gather.rs"]
mod gather;
#[path = "../../../../../drivers/iommu/pagetable/grow.rs"]
mod grow;
#[path = "../../../../../drivers/iommu/pagetable/map.rs"]
mod map;
#[path = "../../../../../rust/iommu/tests/host_memory.rs"]
pub mod memory;
#[path = "../../../../../drivers/iommu/pagetable/mock.rs"]
mod mock;
#[path = "../../../../../drivers/iommu/pagetable/page_table.rs"]
mod page_table;
#[path = "../../../../../drivers/iommu/pagetable/permissions.rs"]
mod permissions;
#[path = "../../../../../drivers/iommu/pagetable/place.rs"]
mod place;
#[path = "../../../../../drivers/iommu/pagetable/read.rs"]
mod read;
#[path = "../../../../../rust/iommu/run.rs"]
mod run;
#[path = "../../../../../rust/iommu/table_layout.rs"]
mod table_layout;
#[path = "../../../../../rust/iommu/table_memory.rs"]
mod table_memory;
#[path = "../../../../../rust/iommu/table_tree.rs"]
mod table_tree;
#[path = "../../../../../drivers/iommu/pagetable/unmap.rs"]
mod unmap;
#[path = "../../../../../drivers/iommu/pagetable/vmsa/mod.rs"]
pub mod vmsa;
#[path = "../../../../../drivers/iommu/pagetable/vtd/mod.rs"]
pub mod vtd;
#[path = "../../../../../drivers/iommu/pagetable/walk/mod.rs"]
pub mod walk;
#[path = "../../../../../rust/iommu/tests/window_memory.rs"]
pub mod window;
mod word;

pub use base::{Access, CountField, MemoryKind, PhysRun, TableLayout, TableMemory, TableShape};
pub use error::Error;
pub use format::{Format, Leaf};
pub use gather::Gather;
pub use mock::Mock;
pub use page_table::{Limits, PageTable};
pub use permissions::Permissions;
pub use read::View;
