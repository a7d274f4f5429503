// SPDX-License-Identifier: GPL-2.0

//! The imports of this crate: the tree of tables, whose `unsafe` is in `rust/`.
//!
//! On the host, `tools/testing/host/pagetable` compiles the rest of this crate with a file of its
//! own in place of this one.

pub(crate) use kernel_ext::iommu::table::{
    Entry, Frame, Reader, Refused, Retired, Slot, Table, Tree, MAX_LEVELS,
};
pub use kernel_ext::iommu::{
    table::{CountField, TableLayout, TableMemory, TableShape},
    Access, MemoryKind, PhysRun,
};
