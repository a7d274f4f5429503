// SPDX-License-Identifier: GPL-2.0

//! The sources of `rust/iommu/table` and of the formats in `drivers/iommu/pagetable`, compiled with
//! `std` instead of the kernel.
//!
//! Their tests are in `drivers/iommu/pagetable/tests`.

mod base;
#[path = "../../../../../rust/iommu/tests/bench_memory.rs"]
pub mod bench_memory;
#[allow(dead_code, reason = "the kernel uses all of it, the tests only a part")]
#[path = "../../../../../rust/iommu/dirty_bits.rs"]
mod dirty_bits;
#[path = "../../../../../rust/iommu/tests/host_memory.rs"]
pub mod memory;
#[path = "../../../../../rust/iommu/run.rs"]
mod run;
mod table;
#[path = "../../../../../rust/iommu/tests/window_memory.rs"]
pub mod window;

/// The formats.
#[path = "../../../../../drivers/iommu/pagetable"]
mod pagetable {
    pub(crate) mod mock;
    pub mod vmsa;
    pub mod vtd;
}

/// The size of the pages of the CPU.
const PAGE_SIZE: usize = 4096;

pub use pagetable::{mock::Mock, vmsa, vtd};
pub use run::{Access, MemoryKind, PhysRun};
pub use table::{
    AddressField, CountField, DirtyPage, Error, Format, Gather, Leaf, LeafLayout, LeafShape,
    Limits, PageTable, Pattern, Permissions, TableLayout, TableMemory, TableShape, View,
};
