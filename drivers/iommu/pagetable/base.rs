// SPDX-License-Identifier: GPL-2.0

//! What this crate needs from its surroundings: the tree of tables, whose `unsafe` is in `rust/`.
//!
//! Everything else of this crate is also compiled for the host, where `tools/testing/host` has
//! another file of this name.

pub(crate) use kernel_ext::iommu::table::{
    Entry, Frame, Reader, Refused, Retired, Slot, Table, Tree, MAX_LEVELS,
};
pub use kernel_ext::iommu::{
    table::{CountField, TableLayout, TableMemory, TableShape},
    Access, MemoryKind, PhysRun,
};
