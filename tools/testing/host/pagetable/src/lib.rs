// SPDX-License-Identifier: GPL-2.0

//! `rust/iommu/table` and the formats of `drivers/iommu/pagetable`, as they stand there, over `std`
//! instead of the kernel.
//!
//! Their tests lie in `drivers/iommu/pagetable/tests`.

mod base;
#[path = "../../../../../rust/iommu/tests/bench_memory.rs"]
pub mod bench_memory;
#[path = "../../../../../rust/iommu/tests/host_memory.rs"]
pub mod memory;
#[path = "../../../../../drivers/iommu/pagetable/mock.rs"]
mod mock;
#[path = "../../../../../rust/iommu/run.rs"]
mod run;
mod table;
#[path = "../../../../../drivers/iommu/pagetable/vmsa/mod.rs"]
pub mod vmsa;
#[path = "../../../../../drivers/iommu/pagetable/vtd/mod.rs"]
pub mod vtd;
#[path = "../../../../../drivers/iommu/pagetable/walk/mod.rs"]
pub mod walk;
#[path = "../../../../../rust/iommu/tests/window_memory.rs"]
pub mod window;

pub use mock::Mock;
pub use run::{Access, MemoryKind, PhysRun};
pub use table::{
    CountField, Error, Format, Gather, Leaf, Limits, PageTable, Permissions, TableLayout,
    TableMemory, TableShape, View,
};
